// Package netloop is the event-loop engine: listeners, connections, buffers and timers on epoll, driven by netpoll's
// pollers. It knows bytes and connections, nothing of HTTP, WebSocket or channels.
//
// A connection is a 32-byte, pointer-free slot in its loop's slab. It has no goroutine, no buffer and no heap object
// while it is idle. One loop owns it: only that loop reads, writes and closes its descriptor, so nothing on the path
// takes a lock. Everybody else holds a Handle and talks through the loop's mailbox; a handle whose connection has gone
// is recognised by its generation and ignored.
//
// How netpoll drives a loop: EventLoop.Serve takes any netpoll.Listener. Ours has the loop's own epoll instance as its
// descriptor, and Accept runs one bounded turn of the loop and answers (nil, nil), which netpoll takes as "nothing to
// accept". So the poller's goroutine is the loop's goroutine.
//
//	netpoll poller: epoll_wait(outer) ─▶ Accept ─▶ turn:
//	    epoll_wait(inner, 0) ─▶ accept4 / read ─▶ Handler.Data ─▶ send
//	    timerfd ─▶ wheel, sweep      eventfd ─▶ mailbox ─▶ Handler.Mail
//	    Handler.Turn (bounded work, e.g. a fan-out) ─▶ sleep, or come back at once
//
// Life of a connection:
//
//	 accept4/connect          Close, peer reset
//	─────────────▶ open ───────────────────────────────▶ closed (slot free, generation + 1)
//	                │ Finish          output sent                     peer's FIN or linger time over
//	                └────────▶ finishing ──────▶ lingering (FIN sent, input discarded) ──────▶ closed
package netloop
