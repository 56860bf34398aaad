package edge

// queue is first in, first out. The zero value is an empty one.
type queue[T any] struct {
	items []T // from head on
	head  int
}

// worthMoving is how many places in front of a queue's head are worth moving what is behind it.
const worthMoving = 64

func (q *queue[T]) len() int { return len(q.items) - q.head }

func (q *queue[T]) push(x T) { q.items = append(q.items, x) }

// front returns the oldest; it stays in the queue. There must be one.
func (q *queue[T]) front() T { return q.items[q.head] }

// pop takes the oldest out. There must be one.
func (q *queue[T]) pop() T {
	var none T
	x := q.items[q.head]
	q.items[q.head] = none
	q.head++
	switch n := q.len(); {
	case n == 0:
		q.items, q.head = q.items[:0], 0
	case q.head >= worthMoving && q.head >= n: // each place is moved at most once for each that was taken
		copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	return x
}
