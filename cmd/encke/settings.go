package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"encke/client/js"
	"encke/edge"
	"encke/page"
	"encke/tools/doctor"

	"github.com/BurntSushi/toml"
	"github.com/docker/go-units"
	"github.com/spf13/pflag"
)

// settings are everything that `encke serve` can be told. A setting has one name: --max-pending on the command line,
// ENCKE_MAX_PENDING in the environment, max-pending in the file; the first of these that has it counts.
type settings struct {
	edge.Config
	file  string
	check bool
	dev   bool
	drain time.Duration

	secrets             []string // for tokens
	secretFile, keyFile string

	backendKeys    []string
	backendKeyFile string

	siteSecrets    []string
	siteSecretFile string
}

// parseServe reads the settings of `encke serve`.
func parseServe(args []string) (s settings, err error) {
	s.Config = edge.Defaults()
	s.Console = page.Console
	s.Loops = min(runtime.GOMAXPROCS(0), 64)
	s.MaxConnections, s.HistoryMemory, s.IDMemory, s.MailboxMemory = 0, 0, 0, 0
	s.Memory = doctor.Here().MemoryTotal() / 4 * 3
	f := s.flags()
	if err = f.Parse(args); err != nil {
		return
	}
	if f.NArg() > 0 {
		return s, fmt.Errorf("cannot use argument %q: flags only", f.Arg(0))
	}
	if err = s.environment(f); err != nil {
		return
	}
	if s.file != "" {
		if err = s.load(f); err != nil {
			return s, fmt.Errorf("cannot use %s: %w", s.file, err)
		}
	}
	if err = s.keys(); err != nil {
		return
	}
	if s.MaxConnections == 0 {
		s.MaxConnections = descriptors() - 64
		if s.Memory > 0 {
			s.MaxConnections = min(s.MaxConnections, edge.MostConnections(s.Memory))
		}
	}
	s.Script = js.Source
	if s.dev {
		if !f.Changed("presence") {
			s.Presence = "members"
		}
		if !f.Changed("see-presence") {
			s.SeePresence = "anybody"
		}
		s.OpenBackend = true
		s.Origins = append(s.Origins, "*")
		s.Page = page.HTML
		s.Anonymous = append(s.Anonymous, "*")
	}
	return
}

// flags defines the settings. encke.example.toml explains them; a test holds the two against each other.
func (s *settings) flags() *pflag.FlagSet {
	f := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	f.SortFlags = false
	f.Usage = func() {
		fmt.Printf("Run the server. Clients connect to --listen, the backend pushes to --backend. Each setting may also stand in the\n"+
			"environment (ENCKE_MAX_PENDING for --max-pending) or in a file (see encke.example.toml).\n\nFlags of encke serve:\n%s", f.FlagUsages())
	}
	f.StringVar(&s.file, "config", "", "`file` of settings, TOML; it alone can have rules for channels")
	f.BoolVar(&s.check, "check", false, "say whether the settings can be used, and end")
	f.StringVar(&s.Listen, "listen", s.Listen, "public `address` for clients, host:port; without a host every IPv4 and IPv6 address")
	f.StringVar(&s.Backend, "backend", s.Backend, "backend `address` for pushes, figures and health; keep it away from clients")
	f.BoolVar(&s.dev, "dev", false, "for trying out: clients without a token may read every channel, and / shows the live page")
	f.StringSliceVar(&s.Anonymous, "anonymous", nil, "`channels` that clients without a token may read: names, or a prefix and *; none by default")
	f.StringSliceVar(&s.ProxyFrom, "proxy-from", nil, "`addresses` or networks of proxies that say whose connections they pass on (PROXY protocol, versions 1 and 2); they have to then")
	f.StringSliceVar(&s.Origins, "origins", nil, "`origins` whose pages may connect, besides the server's own: scheme://host, https://*.example.com, or * for all")
	f.StringArrayVar(&s.backendKeys, "backend-key", nil, "`key` that requests to --backend must bring (Authorization: Bearer …), at least 16 characters; better in ENCKE_BACKEND_KEY or a file. Needed unless --backend is on loopback")
	f.StringVar(&s.backendKeyFile, "backend-key-file", "", "`file` of such keys, one a line; behind each may stand what it is for: publish,read,manage,stats")
	f.StringArrayVar(&s.secrets, "token-secret", nil, "HS256 `secret` of clients' tokens, at least 32 bytes; better in ENCKE_TOKEN_SECRET or a file: others see arguments. Give it twice while changing it")
	f.StringVar(&s.secretFile, "token-secret-file", "", "`file` with such secrets, one a line")
	f.StringVar(&s.keyFile, "token-keys", "", "`file` of public keys or certificates, PEM, for tokens by RS256, ES256 and EdDSA")
	f.StringVar(&s.Tokens.KeySet, "token-key-set", "", "`address` of a JSON Web Key Set, fetched again every minute")
	f.StringVar(&s.Tokens.Issuer, "token-issuer", "", "what tokens must have as iss; by default anything")
	f.StringVar(&s.Tokens.Audience, "token-audience", "", "what tokens must have in aud; by default anything")
	f.DurationVar(&s.Tokens.Leeway, "token-leeway", 0, "by how much the clocks of token makers may be wrong")
	f.StringVar(&s.Presence, "presence", s.Presence, "what is kept of who is in a channel, for users with tokens: `off`, counts or members; with --dev members")
	f.StringVar(&s.SeePresence, "see-presence", s.SeePresence, "which clients may see it: `granted` (those whose tokens say so), anybody, users (with any token) or nobody; with --dev anybody")
	f.StringVar(&s.Site.Webhook, "webhook", "", "`address` of the site's backend that is told of changes, by signed POSTs")
	f.StringSliceVar(&s.Site.Events, "webhook-events", nil, "of which `changes`: user_online, user_offline, channel_occupied, channel_vacated; by default all")
	f.StringVar(&s.Site.Hook, "hook", "", "`address` of the site's backend that is asked what clients may do, by signed POSTs")
	f.StringVar(&s.HookOn, "hook-on", "", "`what` it is asked: connect, subscribe, publish, with commas between; rules for channels may say otherwise")
	f.DurationVar(&s.Site.Timeout, "hook-timeout", s.Site.Timeout, "time that it may take to answer")
	f.StringArrayVar(&s.siteSecrets, "webhook-secret", nil, "`secret` that requests to --webhook and --hook are signed with, at least 16 bytes; better in ENCKE_WEBHOOK_SECRET or a file. Give it twice while changing it: they are signed with both")
	f.StringVar(&s.siteSecretFile, "webhook-secret-file", "", "`file` with such secrets, one a line, at most two")
	f.IntVar(&s.Loops, "loops", s.Loops, "event loops, 1 to 64; by default one for each processor")
	size(f, &s.Memory, "memory", "`bytes` that server and connections may take together; by default three quarters of what machine or cgroup have; 0: no budget")
	f.IntVar(&s.MaxConnections, "max-connections", s.MaxConnections, "connections held at once; more get 503; 0: what descriptors (less 64) and half of --memory allow")
	f.IntVar(&s.MaxPerAddress, "max-connections-per-address", s.MaxPerAddress, "connections of one address (of IPv6 the first 64 bits); more get 429; 0: any number")
	f.IntVar(&s.MaxPerUser, "max-connections-per-user", s.MaxPerUser, "connections of one user, by its tokens; more get 429; 0: any number")
	f.Float64Var(&s.ConnectionRate, "connection-rate", s.ConnectionRate, "new connections a second that are served; more get 429; 0: any number")
	f.Float64Var(&s.ConnectionRatePerAddress, "connection-rate-per-address", s.ConnectionRatePerAddress, "new connections a second of one address; 0: any number")
	f.Float64Var(&s.CommandRate, "command-rate", s.CommandRate, "commands a second of one client, ten times as many at once; 0: any number")
	size(f, &s.MaxMessage, "max-message-size", "`bytes` of one message, from clients or the backend")
	size(f, &s.MaxBody, "max-body-size", "`bytes` of one backend request's body, e.g. a batch")
	size(f, &s.MaxHeader, "max-header-size", "`bytes` of request line and headers together")
	f.IntVar(&s.MaxChannels, "max-channels", s.MaxChannels, "channels of one connection")
	f.StringVar(&s.SlowReaders, "slow-readers", s.SlowReaders, "what becomes of a reader that is too slow: `policy` resume (it is disconnected and comes back with its position), drop-oldest (it goes on with what is kept, and is told of the gap) or latest (it gets the newest only)")
	size(f, &s.MaxPending, "max-pending", "`bytes` that may wait for one reader before it is too slow")
	size(f, &s.Unsent, "max-unsent", "`bytes` of a connection's output that the kernel may hold unsent; what it does not take waits in --max-pending; 0: as much as its send buffer holds")
	size(f, &s.MaxBacklog, "max-backlog", "`bytes` of publications that may wait in one loop before pushes have to wait")
	f.DurationVar(&s.HeaderTimeout, "header-timeout", s.HeaderTimeout, "time for a request's headers to arrive")
	f.DurationVar(&s.BodyTimeout, "body-timeout", s.BodyTimeout, "time for a request's body to arrive")
	f.DurationVar(&s.IdleTimeout, "idle-timeout", s.IdleTimeout, "time that a keep-alive connection may be idle between requests")
	f.DurationVar(&s.WriteTimeout, "write-timeout", s.WriteTimeout, "time in which a reader for whom output waits must take 16 KiB of it, or it is disconnected")
	f.DurationVar(&s.PublishTimeout, "publish-timeout", s.PublishTimeout, "time that a push may wait for loops that are behind before it gets 503")
	f.DurationVar(&s.PingInterval, "ping-interval", s.PingInterval, "silence after which a WebSocket is pinged, and interval of the heartbeats of streams")
	f.DurationVar(&s.UserGrace, "user-grace", s.UserGrace, "time for which a user whose last connection has gone is still online")
	f.DurationVar(&s.ReturnWithin, "return-within", s.ReturnWithin, "at shutdown clients are told to come back at a random time within this; 0: as long as 5,000 a second take")
	f.IntVar(&s.HistoryLength, "history-length", s.HistoryLength, "publications kept in each channel; 0 keeps none")
	f.DurationVar(&s.HistoryAge, "history-age", s.HistoryAge, "how long publications are kept; 0: any time")
	size(f, &s.HistoryMemory, "history-memory", "`bytes` of all history together; the oldest goes first; 0: an eighth of --memory")
	f.DurationVar(&s.IDAge, "message-id-age", s.IDAge, "how long ids given by publishers are remembered, so that a push made again is stored once; 0: not at all")
	size(f, &s.IDMemory, "message-id-memory", "`bytes` of all such ids together; beyond it the oldest are forgotten; 0: a 64th of --memory")
	f.IntVar(&s.MailboxLength, "mailbox-length", s.MailboxLength, "letters kept for one user, until they are acknowledged; the oldest go first")
	size(f, &s.MailboxBytes, "mailbox-bytes", "`bytes` of one user's letters")
	f.DurationVar(&s.MailboxAge, "mailbox-age", s.MailboxAge, "how long letters are kept; 0: any time")
	size(f, &s.MailboxMemory, "mailbox-memory", "`bytes` of all letters together; the oldest go first; 0: a 32nd of --memory")
	f.DurationVar(&s.drain, "drain-timeout", 10*time.Second, "time for connections to end in order at SIGTERM or SIGINT")
	f.BoolVar(&s.Echo, "echo", false, "serve /echo, a WebSocket echo for conformance suites and latency probes")
	f.BoolVar(&s.SharePort, "share-port", false, "let several encke processes listen on the same ports (SO_REUSEPORT)")
	return f
}

// bytesValue is a flag of bytes: a number, or one with a unit, of 1024 each (64KiB, 64k, 1.5g).
type bytesValue[T int | int64] struct{ v *T }

func size[T int | int64](f *pflag.FlagSet, v *T, name, usage string) {
	f.Var(bytesValue[T]{v}, name, usage)
}

func (b bytesValue[T]) Type() string { return "bytes" }

func (b bytesValue[T]) String() string {
	switch {
	case b.v == nil || *b.v == 0:
		return "0"
	case *b.v%1024 != 0:
		return strconv.FormatInt(int64(*b.v), 10)
	}
	return strings.ReplaceAll(units.CustomSize("%.10g%s", float64(*b.v), 1024, []string{"", "KiB", "MiB", "GiB", "TiB"}), " ", "")
}

func (b bytesValue[T]) Set(text string) error {
	n, err := units.RAMInBytes(text)
	if err != nil {
		return fmt.Errorf("bytes are a number, or one with a unit, like 64KiB")
	}
	*b.v = T(n)
	return nil
}

// variable is the name of a setting in the environment.
func variable(flag string) string {
	return "ENCKE_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// environment sets what the command line has not.
func (s *settings) environment(f *pflag.FlagSet) (err error) {
	f.VisitAll(func(flag *pflag.Flag) {
		text, there := os.LookupEnv(variable(flag.Name))
		if !there || flag.Changed || err != nil {
			return
		}
		for _, value := range values(flag, text) {
			if e := f.Set(flag.Name, value); e != nil {
				err = fmt.Errorf("cannot use %s: %w", variable(flag.Name), e)
			}
		}
	})
	return err
}

// values are those of a variable: several lines, where the flag may be given several times.
func values(flag *pflag.Flag, text string) []string {
	if flag.Value.Type() == "stringArray" {
		return strings.FieldsFunc(text, func(c rune) bool { return c == '\n' || c == '\r' })
	}
	return []string{text}
}

// load sets from the file what neither command line nor environment have.
func (s *settings) load(f *pflag.FlagSet) error {
	var all map[string]any
	if _, err := toml.DecodeFile(s.file, &all); err != nil {
		return err
	}
	for name, value := range all {
		if name == "channel" {
			continue
		}
		flag := f.Lookup(name)
		if flag == nil || name == "config" || name == "check" {
			return fmt.Errorf("there is no setting %q", name)
		}
		if flag.Changed {
			continue
		}
		for _, text := range written(flag, value) {
			if err := f.Set(name, text); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return s.loadRules()
}

// written is a value of the file as it would be written on the command line, once or several times.
func written(flag *pflag.Flag, value any) []string {
	list, is := value.([]any)
	if !is {
		return []string{fmt.Sprint(value)}
	}
	var items []string
	for _, v := range list {
		items = append(items, fmt.Sprint(v))
	}
	if flag.Value.Type() == "stringArray" {
		return items
	}
	return []string{strings.Join(items, ",")}
}

// age is a time with its unit. The library would take a bare number as nanoseconds.
type age time.Duration

// UnmarshalText implements encoding.TextUnmarshaler.
func (a *age) UnmarshalText(text []byte) error {
	d, err := time.ParseDuration(string(text))
	*a = age(d)
	return err
}

// amount is a size with its unit, or a number of bytes.
type amount int

// UnmarshalTOML implements toml.Unmarshaler.
func (b *amount) UnmarshalTOML(value any) error {
	return bytesValue[int]{(*int)(b)}.Set(fmt.Sprint(value))
}

// loadRules reads the rules for channels.
func (s *settings) loadRules() error {
	var file struct {
		Channel []struct {
			Pattern       string  `toml:"pattern"`
			HistoryLength *int    `toml:"history-length"`
			HistoryAge    *age    `toml:"history-age"`
			SlowReaders   *string `toml:"slow-readers"`

			Subscribe   *string `toml:"subscribe"`
			Publish     *string `toml:"publish"`
			SeePresence *string `toml:"see-presence"`
			Presence    *string `toml:"presence"`
			Hooks       *string `toml:"hooks"`

			MaxSubscribers *int    `toml:"max-subscribers"`
			MaxMessage     *amount `toml:"max-message-size"`
		} `toml:"channel"`
	}
	meta, err := toml.DecodeFile(s.file, &file)
	if err != nil {
		return err
	}
	for _, key := range meta.Undecoded() {
		if key[0] == "channel" {
			return fmt.Errorf("there is no setting %q for channels", strings.Join(key[1:], "."))
		}
	}
	for _, c := range file.Channel {
		s.Rules = append(s.Rules, edge.Rule{Pattern: c.Pattern, HistoryLength: c.HistoryLength,
			HistoryAge: (*time.Duration)(c.HistoryAge), SlowReaders: c.SlowReaders, Subscribe: c.Subscribe, Publish: c.Publish,
			SeePresence: c.SeePresence, Presence: c.Presence, Hooks: c.Hooks, MaxSubscribers: c.MaxSubscribers, MaxMessage: (*int)(c.MaxMessage)})
	}
	return nil
}
