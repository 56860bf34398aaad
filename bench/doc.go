// Package bench measures Encke, and servers like it, from the outside: fleets of clients on the project's own loops, no
// goroutine per client, every delivery verified. cmd/encke-bench is its command.
//
// Reading order: report.go (what comes out), target.go (the server under test), fleet.go (the clients' loops),
// payload.go and verify.go (what every client checks), subscriber.go and poster.go (the two kinds of clients), then one
// file a scenario. floor.go is what the kernel alone costs, for comparison.
package bench
