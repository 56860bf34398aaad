// Serve runs Encke and the examples' site beside it: make examples.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"encke/examples/charts"
	"encke/examples/chat"
	"encke/examples/curl"
	"encke/examples/editor"
	"encke/examples/game"
	"encke/examples/notifications"
	"encke/examples/site"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "examples:", err)
		os.Exit(1)
	}
}

func run() error {
	listen := flag.String("listen", ":8000", "where the site is, `host:port`")
	public := flag.String("encke-listen", ":8080", "where pages reach Encke, `host:port`")
	backend := flag.String("encke-backend", "127.0.0.1:8081", "where the site reaches it, `host:port`")
	binary := flag.String("encke", "bin/encke", "Encke itself, a `file`")
	dir := flag.String("dir", "examples", "the examples, a `directory`")
	client := flag.String("client", "client/js/encke.js", "the JavaScript client, a `file`")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	_, port, err := net.SplitHostPort(*public)
	if err != nil {
		return fmt.Errorf("--encke-listen: %w", err)
	}
	s := &site.Site{Dir: *dir, Client: *client, Port: port, Backend: "http://" + *backend, Secret: secret()}
	l, err := net.Listen("tcp", *listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	if err := errors.Join(free("encke-listen", *public), free("encke-backend", *backend)); err != nil {
		return err
	}
	e, err := startEncke(*binary, s.Secret, "serve", "--config", *dir+"/encke.toml", "--listen", *public, "--backend", *backend)
	if err != nil {
		return err
	}
	defer e.end()
	if err := e.ready(ctx, s.Backend); err != nil {
		return err
	}

	mux := http.NewServeMux()
	s.Pages(mux)
	s.Visitors(mux)
	chat.Register(ctx, s, mux)
	notifications.Register(ctx, s, mux)
	charts.Register(ctx, s, mux)
	editor.Register(ctx, s, mux)
	game.Register(ctx, s, mux)
	curl.Register(ctx, s, mux)

	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: time.Minute}
	go func() { // owned by run; ends with ctx
		select {
		case <-ctx.Done():
		case <-e.over: // without Encke there is nothing to see
		}
		within, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		_ = server.Shutdown(within)
	}()
	fmt.Printf("examples: http://localhost:%d/\nconsole:  http://%s/\n", l.Addr().(*net.TCPAddr).Port, *backend)
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	if ctx.Err() == nil {
		return errors.New("encke has ended")
	}
	return nil
}

// secret returns what tokens are signed with: that of the environment, so that `encke token` makes such as well, or else a new one.
func secret() []byte {
	if s := os.Getenv("ENCKE_TOKEN_SECRET"); s != "" {
		return []byte(s)
	}
	return []byte(rand.Text() + rand.Text())
}
