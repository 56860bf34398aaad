package edge

import (
	"fmt"
	"math"
	"time"

	"encke/channel"
	"encke/token"
)

// Config is everything that can be set. Defaults gives the values that PROTOCOL.md names.
type Config struct {
	Listen         string       // public listener
	Backend        string       // backend listener
	Loops          int          // event loops
	MaxConnections int          // beyond it new ones get 503
	MaxPerAddress  int          // connections of one address; 0: any number
	BackendKeys    []BackendKey // one of which every request of the backend listener has to bring; none: it is for loopback only
	OpenBackend    bool         // it is for anybody who reaches it
	Tokens         token.Config // how clients' tokens are verified
	ProxyFrom      []string     // proxies that say whose connections they pass on (PROXY protocol): addresses or networks
	Origins        []string     // whose pages may connect, besides the server's own: scheme://host, https://*.example.com, "*"
	MaxPerUser     int          // connections of one user; 0: any number
	Anonymous      []string     // channels that clients without a token may read: names, or a prefix and "*"
	Page           []byte       // what GET / answers; nil: nothing
	Script         []byte       // the JavaScript client, what GET /encke.js answers; nil: nothing
	Console        []byte       // the console's page, what GET / of the backend listener answers; nil: nothing
	Echo           bool         // serve /echo
	SharePort      bool         // other processes may listen on the same ports

	ConnectionRate           float64 // new connections a second that are served; 0: any
	ConnectionRatePerAddress float64 // of one address
	CommandRate              float64 // commands a second of one client, ten times as many at once; 0: any

	Memory      int64 // bytes that process and connections may take together (memory.go); 0: no budget
	MaxMessage  int   // bytes of a message in either direction
	MaxBody     int   // bytes of a backend body
	MaxHeader   int   // bytes of request line and headers
	MaxChannels int   // channels of a connection
	MaxPending  int   // bytes of output that may wait for one connection
	Unsent      int   // bytes of a connection's output that the kernel may hold unsent; 0: as its buffer holds
	MaxBacklog  int   // bytes of publications that may wait in one loop before pushes have to wait

	HeaderTimeout  time.Duration
	BodyTimeout    time.Duration
	IdleTimeout    time.Duration
	WriteTimeout   time.Duration
	UserGrace      time.Duration // a user whose last connection has gone is online for this long
	PublishTimeout time.Duration // how long a push waits for loops that are behind
	PingInterval   time.Duration
	ReturnWithin   time.Duration // after a shutdown clients are told to come back within this; 0: by their number

	HistoryLength int
	HistoryAge    time.Duration
	HistoryMemory int64  // bytes of history; 0: its part of Memory
	Presence      string // off, counts or members: what is kept of who is in a channel
	SeePresence   string // which clients may see that: granted, anybody, users or nobody
	HookOn        string // what the site's backend is asked about: connect, subscribe, publish, with commas between

	Site Site // the site's backend

	MailboxLength int           // letters kept for one user
	MailboxBytes  int64         // bytes of them
	MailboxAge    time.Duration // how long they are kept; 0: any time
	MailboxMemory int64         // bytes of all letters; 0: their part of Memory

	SlowReaders string // resume, drop-oldest or latest: what becomes of readers that are too slow
	Rules       []Rule // for channels by their names; the first that fits counts

	IDAge    time.Duration // how long message ids are remembered
	IDMemory int64         // bytes of them; 0: their part of Memory

	Log func(format string, args ...any) // nil: nothing is logged
}

// Defaults returns the configuration that `encke serve` starts from.
func Defaults() Config {
	return Config{
		Listen: ":8080", Backend: "127.0.0.1:8081", Loops: 1, MaxConnections: 10000,
		CommandRate: 100, MaxMessage: 64 << 10, MaxBody: 8 << 20, MaxHeader: 8 << 10, MaxChannels: 128,
		MaxPending: 1 << 20, Unsent: 128 << 10, MaxBacklog: 64 << 10,
		HeaderTimeout: 10 * time.Second, BodyTimeout: 30 * time.Second, IdleTimeout: 75 * time.Second,
		WriteTimeout: 30 * time.Second, UserGrace: 10 * time.Second, PublishTimeout: 5 * time.Second, PingInterval: 25 * time.Second,
		HistoryLength: 100, HistoryAge: 5 * time.Minute, HistoryMemory: 256 << 20, SlowReaders: "resume", Presence: "off", SeePresence: "granted",
		Site: Site{Timeout: 2 * time.Second}, MailboxLength: 100, MailboxBytes: 256 << 10, MailboxAge: 7 * 24 * time.Hour, MailboxMemory: 64 << 20,
		IDAge: 5 * time.Minute, IDMemory: 64 << 20,
	}
}

// check refuses values that cannot work, naming the flag to change.
func (c *Config) check() error {
	for _, v := range []struct {
		flag       string
		value, min int64
	}{
		{"loops", int64(c.Loops), 1},
		{"max-connections", int64(c.MaxConnections), 1},
		{"max-connections-per-address", int64(c.MaxPerAddress), 0},
		{"max-connections-per-user", int64(c.MaxPerUser), 0},
		{"connection-rate", int64(math.Floor(c.ConnectionRate)), 0},
		{"connection-rate-per-address", int64(math.Floor(c.ConnectionRatePerAddress)), 0},
		{"memory", c.Memory, 0},
		{"command-rate", int64(math.Floor(c.CommandRate)), 0},
		{"max-message-size", int64(c.MaxMessage), 1},
		{"max-body-size", int64(c.MaxBody), 1},
		{"max-header-size", int64(c.MaxHeader), 256},
		{"max-channels", int64(c.MaxChannels), 1},
		{"max-pending", int64(c.MaxPending), 1024},
		{"max-unsent", int64(c.Unsent), 0},
		{"max-backlog", int64(c.MaxBacklog), 1},
		{"header-timeout", int64(c.HeaderTimeout), int64(time.Millisecond)},
		{"body-timeout", int64(c.BodyTimeout), int64(time.Millisecond)},
		{"idle-timeout", int64(c.IdleTimeout), int64(time.Millisecond)},
		{"write-timeout", int64(c.WriteTimeout), int64(time.Millisecond)},
		{"ping-interval", int64(c.PingInterval), int64(time.Millisecond)},
		{"user-grace", int64(c.UserGrace), 0},
		{"return-within", int64(c.ReturnWithin), 0},
		{"history-length", int64(c.HistoryLength), 0},
		{"history-age", int64(c.HistoryAge), 0},
		{"history-memory", c.HistoryMemory, 0},
		{"message-id-age", int64(c.IDAge), 0},
		{"message-id-memory", c.IDMemory, 0},
		{"mailbox-length", int64(c.MailboxLength), 1},
		{"mailbox-bytes", c.MailboxBytes, 1},
		{"mailbox-age", int64(c.MailboxAge), 0},
		{"mailbox-memory", c.MailboxMemory, 0},
	} {
		if v.value < v.min {
			return fmt.Errorf("cannot use --%s %d: at least %d is needed", v.flag, v.value, v.min)
		}
	}
	if err := c.checkBackend(); err != nil {
		return err
	}
	if c.Memory > 0 && c.Memory < leastMemory {
		return fmt.Errorf("cannot use --memory %d: at least %d is needed", c.Memory, leastMemory)
	}
	if c.Memory > 0 && c.HistoryMemory+c.IDMemory+c.MailboxMemory > c.Memory/2 {
		return fmt.Errorf("cannot use --history-memory %d, --message-id-memory %d and --mailbox-memory %d: together they are more than half of --memory %d",
			c.HistoryMemory, c.IDMemory, c.MailboxMemory, c.Memory)
	}
	for name, age := range map[string]time.Duration{"history-age": c.HistoryAge, "message-id-age": c.IDAge} {
		if age > 0 && age < time.Millisecond {
			return fmt.Errorf("cannot use --%s %v: at least 1ms is needed, or 0", name, age)
		}
	}
	return nil
}

// leastMemory is what the process takes by itself, with something to spare.
const leastMemory = 32 << 20

// mayRead says whether a client without a token may read the channel. "*" does not open what is a user's own.
func (c *Config) mayRead(name []byte) bool {
	for _, p := range c.Anonymous {
		if channel.Match(p, name) && !token.Foreign(name, p) {
			return true
		}
	}
	return false
}
