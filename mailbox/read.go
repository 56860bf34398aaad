package mailbox

// After appends to dst the user's letters with an id above id, oldest first, as long as their Wire together has at most
// bytes; the first one comes whatever its size, unless bytes is 0 or less. more tells that there are further ones: go on
// after the last one's id. Who asks on each connection, after the id that the client has seen, misses nothing.
func (s *Boxes) After(user string, id uint64, bytes int, now int64, dst []*Letter) (letters []*Letter, more bool) {
	sh := s.shard(user)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	b := sh.find(user, now)
	if b == nil {
		return dst, false
	}
	return b.after(id, bytes, dst)
}

// after is After for this box.
func (b *box) after(id uint64, bytes int, dst []*Letter) (letters []*Letter, more bool) {
	from := b.letters.above(id)
	if bytes <= 0 {
		return dst, from < b.letters.n
	}
	for i := from; i < b.letters.n; i++ {
		l := b.letters.at(i)
		if bytes -= len(l.Wire); bytes < 0 && i > from {
			return dst, true
		}
		dst = append(dst, l)
	}
	return dst, false
}

// Poll is After for pollers, who have no connection that would remember what they were given, and do not say it: the box does. A visit goes
// on until there was no poll for more than grace milliseconds; during a visit each letter is given once, to whoever polls
// for that user, and a new visit begins with the oldest letter again. An answer that did not arrive is therefore repeated
// in the next visit, and not before it. Nothing is noted for a user without letters.
func (s *Boxes) Poll(user string, bytes int, grace int64, now int64, dst []*Letter) (letters []*Letter, more bool) {
	sh := s.shard(user)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	b := sh.find(user, now)
	if b == nil {
		return dst, false
	}
	if now-b.polled > grace {
		b.given = 0
	}
	b.polled = now
	letters, more = b.after(b.given, bytes, dst)
	if len(letters) > len(dst) {
		b.given = letters[len(letters)-1].ID
	}
	return letters, more
}

// Polled notes that a poll of the user that was waiting is over at now: the visit went on until then.
func (s *Boxes) Polled(user string, now int64) {
	sh := s.shard(user)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if b := sh.byUser[user]; b != nil {
		b.polled = max(b.polled, now)
	}
}

// List appends to dst the user's letters with an id above after, oldest first, at most limit. total is how many letters the
// user has in all; more tells that there are further ones.
func (s *Boxes) List(user string, after uint64, limit int, now int64, dst []*Letter) (letters []*Letter, total int, more bool) {
	sh := s.shard(user)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	b := sh.find(user, now)
	if b == nil {
		return dst, 0, false
	}
	from := b.letters.above(after)
	to := from + min(max(limit, 0), b.letters.n-from)
	for i := from; i < to; i++ {
		dst = append(dst, b.letters.at(i))
	}
	return dst, b.letters.n, to < b.letters.n
}
