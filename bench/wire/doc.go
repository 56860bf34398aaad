// Package wire is what the load harness reads and writes, as functions on bytes: payloads that prove themselves, frames,
// responses, publications, positions. No I/O.
package wire
