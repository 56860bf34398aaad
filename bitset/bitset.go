// Package bitset holds sets of small numbers that are walked in ascending order: the free slots of a loop and the
// subscribers of a channel on a loop. A set is small (a sorted slice) until it has more than 32 members, then sparse
// pages of 4096 bits: one eighth of a byte for each member of a well-filled set.
//
// A Set is not safe for concurrent use; its owner is a loop.
package bitset

import (
	"math/bits"
	"slices"
)

const (
	smallMax = 32
	pageBits = 12
	pageSize = 1 << pageBits
	words    = pageSize / 64
)

type page struct {
	n    int // members in this page
	bits [words]uint64
}

// Set is a set of uint32. The zero value is the empty set.
type Set struct {
	n     int
	small []uint32 // sorted; the members while pages is nil
	pages []*page  // index: member / pageSize; nil where a page is empty
}

// Len returns the number of members.
func (s *Set) Len() int { return s.n }

// Has says whether x is a member.
func (s *Set) Has(x uint32) bool {
	if s.pages == nil {
		_, ok := slices.BinarySearch(s.small, x)
		return ok
	}
	i := int(x >> pageBits)
	if i >= len(s.pages) || s.pages[i] == nil {
		return false
	}
	return s.pages[i].bits[x%pageSize/64]&(1<<(x%64)) != 0
}

// Add makes x a member and says whether it was none before.
func (s *Set) Add(x uint32) bool {
	if s.pages == nil {
		i, ok := slices.BinarySearch(s.small, x)
		if ok {
			return false
		}
		if len(s.small) < smallMax {
			s.small = slices.Insert(s.small, i, x)
			s.n++
			return true
		}
		s.spread()
	}
	return s.addPaged(x)
}

func (s *Set) addPaged(x uint32) bool {
	i := int(x >> pageBits)
	if i >= len(s.pages) {
		s.pages = append(s.pages, make([]*page, i+1-len(s.pages))...)
	}
	p := s.pages[i]
	if p == nil {
		p = new(page)
		s.pages[i] = p
	}
	w, bit := &p.bits[x%pageSize/64], uint64(1)<<(x%64)
	if *w&bit != 0 {
		return false
	}
	*w |= bit
	p.n++
	s.n++
	return true
}

// spread turns the sorted slice into pages.
func (s *Set) spread() {
	old := s.small
	s.small, s.n = nil, 0
	s.pages = make([]*page, int(old[len(old)-1]>>pageBits)+1)
	for _, x := range old {
		s.addPaged(x)
	}
}

// Remove makes x no member and says whether it was one. A set that becomes empty gives its memory back.
func (s *Set) Remove(x uint32) bool {
	if s.pages == nil {
		i, ok := slices.BinarySearch(s.small, x)
		if !ok {
			return false
		}
		s.small = slices.Delete(s.small, i, i+1)
		s.n--
		return true
	}
	if !s.Has(x) {
		return false
	}
	i := int(x >> pageBits)
	p := s.pages[i]
	p.bits[x%pageSize/64] &^= 1 << (x % 64)
	p.n--
	s.n--
	if p.n == 0 {
		s.pages[i] = nil
	}
	if s.n == 0 {
		s.pages = nil
	}
	return true
}

// Next returns the smallest member that is at least from; ok is false when there is none.
func (s *Set) Next(from uint32) (x uint32, ok bool) {
	if s.pages == nil {
		i, _ := slices.BinarySearch(s.small, from)
		if i == len(s.small) {
			return 0, false
		}
		return s.small[i], true
	}
	first := int(from >> pageBits)
	for i := first; i < len(s.pages); i++ {
		p := s.pages[i]
		if p == nil {
			continue
		}
		w, mask := 0, ^uint64(0)
		if i == first {
			w, mask = int(from%pageSize/64), ^uint64(0)<<(from%64)
		}
		for ; w < words; w++ {
			if b := p.bits[w] & mask; b != 0 {
				return uint32(i<<pageBits | w<<6 | bits.TrailingZeros64(b)), true
			}
			mask = ^uint64(0)
		}
	}
	return 0, false
}

// Clone returns a copy that shares nothing with s.
func (s *Set) Clone() Set {
	c := Set{n: s.n, small: slices.Clone(s.small)}
	if s.pages != nil {
		c.pages = make([]*page, len(s.pages))
		for i, p := range s.pages {
			if p != nil {
				q := *p
				c.pages[i] = &q
			}
		}
	}
	return c
}
