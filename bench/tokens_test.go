package bench

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"

	"encke/edge"
)

const tokenSecret = "a secret of at least thirty-two bytes"

// startGuarded runs a server in this process that nobody may read from without a token.
func startGuarded(t *testing.T) Target {
	t.Helper()
	c := edge.Defaults()
	c.Tokens.Secrets = [][]byte{[]byte(tokenSecret)}
	target := start(t, c)
	target.TokenSecret = tokenSecret
	return target
}

// TestTokens lets clients of every transport bring tokens.
func TestTokens(t *testing.T) {
	for _, c := range []struct {
		name     string
		scenario string
		change   func(o *Options)
		figures  string // that must have been measured
	}{
		{"raw", "broadcast", func(o *Options) { o.JSON = false }, "deliveries/s"},
		{"json", "broadcast", nil, "deliveries/s"},
		{"saturated", "broadcast", func(o *Options) { o.Saturate = true }, "deliveries/s"},
		{"fewer users than clients", "broadcast", func(o *Options) { o.Users, o.Workers = 7, 3 }, "deliveries/s"},
		{"more users than clients", "broadcast", func(o *Options) { o.Users = 1000 }, "deliveries/s"},
		{"sse", "sse", nil, "latency p50"},
		{"stream", "stream", nil, "latency p50"},
		{"longpoll", "longpoll", nil, "latency p50"},
		{"poll", "poll", nil, "latency p50"},
		{"mixed", "mixed", nil, "latency p50"},
		{"slow", "slow", nil, "latency p99 beside slow clients"},
		{"connect", "connect", nil, "handshakes/s"},
		{"connect, raw", "connect", func(o *Options) { o.JSON = false }, "handshakes/s"},
		{"idle", "idle", nil, "server memory at 60"},
		{"idle, no other channel", "idle", func(o *Options) { o.Transport = "ws0" }, "server memory at 60"},
		{"idle, sse", "idle", func(o *Options) { o.Transport = "sse" }, "server memory at 60"},
		{"storm", "storm", nil, "comebacks/s, messages while they were away"},
		{"storm, all transports", "storm", func(o *Options) { o.Transport = "ws,sse,stream,longpoll" }, "comebacks/s"},
		{"churn", "churn", func(o *Options) { o.Target, o.Tolerance = Target{Kind: "encke", Server: build(t), Loops: 2}, 1 }, "deliveries"},
		{"targeted", "targeted", nil, "deliveries/s"},
		{"users", "users", nil, "deliveries/s, latency p99"},
		{"users, in batches", "users", func(o *Options) { o.Batch = 5 }, "deliveries/s"},
		{"fewer users than publishers", "users", func(o *Options) { o.Users = 2 }, "deliveries/s"},
		{"users, floor", "users", func(o *Options) { o.Floor = true }, "deliveries/s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := small(t, c.scenario, startGuarded(t))
			o.Users, o.JSON, o.Floor = 60, true, false
			if c.change != nil {
				c.change(&o)
			}
			r, err := Run(context.Background(), o)
			if err != nil || r.Partial != "" {
				t.Fatalf("%s: %v\n%s", r.Scenario, err, table(r))
			}
			for name := range strings.SplitSeq(c.figures, ", ") {
				if r.Median(name) <= 0 {
					t.Errorf("%s: %s was not measured:\n%s", r.Scenario, name, table(r))
				}
			}
		})
	}
}

// TestBadTokens wants clear messages, which do not say the secret.
func TestBadTokens(t *testing.T) {
	target := startGuarded(t)
	for _, c := range []struct {
		name   string
		change func(o *Options)
		want   string
	}{
		{"no tokens", func(o *Options) { o.Users = 0 }, "403"},
		{"another secret", func(o *Options) { o.Target.TokenSecret = "another one of at least thirty-two bytes" }, "401"},
		{"no secret", func(o *Options) { o.Target.TokenSecret = "" }, TokenSecretVariable},
		{"a short secret", func(o *Options) { o.Target.TokenSecret = "too short" }, "fewer than 32 bytes"},
		{"a negative number", func(o *Options) { o.Users = -1 }, "-1 users"},
		{"a peer", func(o *Options) { o.Target.Kind = "coder" }, "only encke"},
		{"a scenario without clients", func(o *Options) { o.Scenario = "http" }, "no clients that bring tokens"},
		{"users, none", func(o *Options) { o.Scenario, o.Users = "users", 0 }, "--users"},
		{"users, raw", func(o *Options) { o.Scenario = "users" }, "--encke-json"},
		{"no secret for workers elsewhere", func(o *Options) {
			o.Target, o.Remote, o.Secret = Target{Kind: "encke"}, []string{"127.0.0.1:1"}, "0123456789abcdef"
		}, "workers on other machines need it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := small(t, "broadcast", target)
			o.Users, o.Floor = 10, false
			c.change(&o)
			r, err := Run(context.Background(), o)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("%v, want %q", err, c.want)
			}
			if s := o.Target.TokenSecret; s != "" && strings.Contains(err.Error()+table(r), s) {
				t.Errorf("the secret is told: %v", err)
			}
		})
	}
}

// TestSecretOfTokens starts a server that takes the tokens of a secret that nobody gave, and looks where it can be seen.
func TestSecretOfTokens(t *testing.T) {
	o := small(t, "storm", Target{Kind: "encke", Server: build(t), Loops: 2})
	o.Users, o.Floor = 60, false
	if r, err := Run(context.Background(), o); err != nil {
		t.Fatalf("%v\n%s", err, table(r))
	}
	o.secretOfTokens()
	secret := o.Target.TokenSecret
	cmd := o.Target.command(local(1), local(2), false)
	if len(secret) < leastTokenSecret || strings.Contains(strings.Join(cmd.Args, " "), secret) || slices.Contains(cmd.Args, "--dev") {
		t.Errorf("a secret of %d bytes, arguments %q", len(secret), cmd.Args)
	}
	if strings.Contains(strings.Join(os.Environ(), " "), secret) {
		t.Error("the secret is in the environment of this process")
	}
	o.Users = 0
	if o.secretOfTokens(); o.Target.TokenSecret != "" {
		t.Error("a server without users takes tokens")
	}
}

// TestTokensOfRemoteWorkers has workers that are reached over TCP find the secret in their own environment.
func TestTokensOfRemoteWorkers(t *testing.T) {
	const shared = "a secret of some length"
	t.Setenv(TokenSecretVariable, tokenSecret)
	address := listen(t, shared)
	o := small(t, "users", startGuarded(t))
	o.Users, o.Remote, o.Secret, o.Floor = 60, []string{address, address}, shared, false
	if r, err := Run(context.Background(), o); err != nil || r.Median("deliveries/s") <= 0 {
		t.Errorf("%v\n%s", err, table(r))
	}
	t.Setenv(TokenSecretVariable, "")
	if _, err := Run(context.Background(), o); err == nil || !strings.Contains(err.Error(), "cannot make clients' tokens") {
		t.Errorf("a worker without the secret: %v", err)
	}
}
