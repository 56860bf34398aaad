// Command peer-coder is a plain Go server as a peer of encke: net/http, github.com/coder/websocket, a goroutine for each
// connection and a bounded queue for each subscriber, as in that library's own chat example.
package main

import (
	"context"
	"errors"
	"flag"
	"log"
	"net"
	"net/http"
	"os/signal"
	"runtime"
	"syscall"
	"time"
)

func main() {
	public := flag.String("public", "127.0.0.1:8080", "address for clients")
	backend := flag.String("backend", "127.0.0.1:8081", "address for the backend")
	threads := flag.Int("threads", runtime.NumCPU(), "threads that run Go code (GOMAXPROCS)")
	queue := flag.Int("queue", 256, "messages that may wait for one subscriber")
	flag.Parse()
	runtime.GOMAXPROCS(*threads)

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	h := &hub{queue: *queue}
	failed := make(chan error, 2)
	go serve(*public, h.public(), failed) // both end with the process
	go serve(*backend, h.backend(), failed)
	select {
	case <-ctx.Done():
	case err := <-failed:
		log.Fatal(err)
	}
}

// serve listens with the backlog that the kernel allows (net.core.somaxconn). Idle connections stay.
func serve(address string, handler http.Handler, failed chan<- error) {
	l, err := net.Listen("tcp", address)
	if err == nil {
		err = (&http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}).Serve(l)
	}
	if !errors.Is(err, http.ErrServerClosed) {
		failed <- err
	}
}
