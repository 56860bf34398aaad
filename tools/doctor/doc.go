// Package doctor compares what a Linux machine is set to with what a number of connections needs. It reads and changes
// nothing. tools/sysctl/README.md explains each setting; the numbers there and here are the same.
//
// Reading order: source.go (where values come from), finding.go (what is said of one), memory.go (what connections take),
// then the checks: files.go, tcp.go, machine.go. kernel_test.go measures what a connection takes in the kernel.
package doctor
