package mailbox

import (
	"fmt"

	"encke/codes"
)

// keysPerPut bounds how many expired message ids one Put forgets: more than one, so that it gets ahead of them; few, so
// that nobody pays for a long silence.
const keysPerPut = 2

// Put puts a letter into the user's box at now. encode is called at most once with the letter's id and returns its Wire,
// which belongs to the letter from then on and counts with its capacity; it runs under a lock, so it must be quick and not
// call Boxes. ends is when the letter's own time is over, Unix time in milliseconds; 0: Config.Age only. A letter that is
// over already is counted as put and as dropped by age.
//
// key is the message's id in its publisher's words; empty: it has none. With a key that was put for this user within
// Config.IDAge, and the same digest, nothing is put: repeated is true, and letter is the one put then, or, when it has left
// the box meanwhile, its ID and Time without Wire. Put refuses another digest with IDReused, and with MessageTooLarge a
// letter above Config.Bytes or for which Config.Memory has no room even alone; nothing has happened then.
//
// The user's oldest letters make room for the new one within Config.Length and Config.Bytes, and the oldest letters of all
// users for what exceeds Config.Memory; that is exceeded for a moment by what is being put.
func (s *Boxes) Put(user string, key []byte, digest uint64, ends int64, encode func(id uint64) []byte, now int64) (letter *Letter, repeated bool, err *codes.Error) {
	if s.conf.IDAge <= 0 {
		key = nil
	}
	letter, repeated, err = s.shard(user).put(user, key, digest, ends, encode, now)
	if err != nil || repeated {
		return letter, repeated, err
	}
	s.makeRoom(now)
	if len(key) > 0 {
		s.forgetKeys(now, keysPerPut)
	}
	return letter, false, nil
}

// put does what needs the shard's lock.
func (sh *shard) put(user string, id []byte, digest uint64, ends int64, encode func(id uint64) []byte, now int64) (*Letter, bool, *codes.Error) {
	s := sh.boxes
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if len(id) > 0 {
		r, err := sh.keys.seen(user, id, digest, now, s.conf.IDAge)
		if err != nil {
			return nil, false, err
		}
		if r != nil {
			return sh.again(user, r, now), true, nil
		}
	}
	l := &Letter{ID: s.serial.next(now), Time: now, ends: endOf(now, ends, s.conf.Age)}
	l.Wire = encode(l.ID)
	if err := s.check(user, l); err != nil {
		return nil, false, err
	}
	sh.keep(user, l, now)
	if len(id) > 0 {
		s.keyBytes.Add(sh.keys.remember(user, id, l.ID, digest, now))
	}
	return l, false, nil
}

// again returns the letter of a message that is put once more.
func (sh *shard) again(user string, r *record, now int64) *Letter {
	if b := sh.find(user, now); b != nil {
		if i := b.letters.find(r.letter); i >= 0 {
			return b.letters.at(i)
		}
	}
	return &Letter{ID: r.letter, Time: r.time}
}

// check refuses a letter that can be kept for nobody.
func (s *Boxes) check(user string, l *Letter) *codes.Error {
	if n := int64(len(l.Wire)); n > s.conf.Bytes {
		return codes.New(codes.MessageTooLarge, fmt.Sprintf("as a letter it has %d bytes, and all letters of a user may have --mailbox-bytes %d", n, s.conf.Bytes))
	}
	if n := boxCost + int64(len(user)) + l.cost(); s.conf.Memory > 0 && n > s.conf.Memory {
		return codes.New(codes.MessageTooLarge, fmt.Sprintf("as a letter it takes %d bytes, and all letters may take --mailbox-memory %d", n, s.conf.Memory))
	}
	return nil
}

// keep puts the letter into the user's box, where the oldest make room for it.
func (sh *shard) keep(user string, l *Letter, now int64) {
	sh.accepted++
	if l.over(now) { // it must not displace others
		sh.gone[byAge]++
		return
	}
	b := sh.find(user, now)
	if b == nil {
		b = sh.make(user)
	}
	conf, size := &sh.boxes.conf, int64(len(l.Wire))
	for b.letters.n >= conf.Length {
		sh.takeOldest(b, 1, byLength)
	}
	for b.bytes+size > conf.Bytes {
		sh.takeOldest(b, 1, byBytes)
	}
	b.letters.push(l, conf.Length)
	b.bytes += size
	sh.letters++
	b.next = min(b.next, l.ends)
	sh.ledger.push(l, b)
	sh.boxes.bytes.Add(l.cost())
	sh.settle(b)
}

// makeRoom drops the oldest letters, whoever has them, while all together take more memory than they may. The caller holds
// no lock.
func (s *Boxes) makeRoom(now int64) {
	for s.conf.Memory > 0 && s.bytes.Load() > s.conf.Memory {
		i := s.oldest.lowest()
		if i < 0 {
			return
		}
		s.shards[i].dropOldest(now)
	}
}

// dropOldest drops the shard's oldest letter, or what is over in its box.
func (sh *shard) dropOldest(now int64) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	l := sh.ledger.oldest
	if l == nil {
		return // somebody else was faster
	}
	b := l.home
	if !sh.expire(b, now) {
		sh.takeOldest(b, 1, byMemory)
	}
	sh.settle(b)
}
