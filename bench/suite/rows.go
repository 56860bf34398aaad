package suite

import "encke/bench"

var (
	everybody = []string{"encke", "nchan", "coder", "ws"}
	withHTTP  = []string{"encke", "nchan", "coder"} // npm ws is WebSocket alone
	alone     = []string{"encke"}
)

// rows are what BENCHMARKS.md tells, in its order. The targets are those of the project's issues.
var rows = []row{
	{key: "idle-ws0", title: "WebSocket, no channel", scenario: "idle", args: "--transport ws0", kinds: everybody,
		change:  func(o *bench.Options) { o.Transport = "ws0" },
		figures: memory("≤ 150 B", 150)},
	{key: "idle-ws", title: "WebSocket, one channel shared by all", scenario: "idle", args: "--transport ws", kinds: everybody,
		figures: memory("≤ 200 B", 200)},
	{key: "idle-users", title: "WebSocket with a token, its user's own channel and one shared by all", scenario: "idle", args: "--users 15000", kinds: alone,
		change: ofUsers(15000), figures: withTokens(memory("≤ 400 B", 400))},
	{key: "idle-sse", title: "Server-Sent Events", scenario: "idle", args: "--transport sse", kinds: withHTTP,
		change: func(o *bench.Options) { o.Transport = "sse" }, figures: memory("≤ 256 B", 256)},
	{key: "idle-stream", title: "HTTP stream", scenario: "idle", args: "--transport stream", kinds: alone,
		change: func(o *bench.Options) { o.Transport = "stream" }, figures: memory("≤ 256 B", 256)},
	{key: "idle-longpoll", title: "parked long poll", scenario: "idle", args: "--transport longpoll", kinds: withHTTP,
		change: func(o *bench.Options) { o.Transport = "longpoll" }, figures: memory("≤ 256 B", 256)},
	{key: "connect", title: "WebSocket handshakes", scenario: "connect", kinds: everybody,
		figures: []figure{
			{name: "handshakes/s", text: "handshakes/s"},
			{name: "server CPU per handshake", text: "server CPU a handshake, with accept and close", lower: true, target: "≤ 25 µs", bound: 25},
			{name: "time to connect p99", text: "time to connect, p99", lower: true}}},
	{key: "broadcast", title: "Broadcast at 5 messages/s", scenario: "broadcast", kinds: everybody,
		figures: append(deliveries("≤ 1.15 × floor", 1.15), figure{name: "harness CPU per verified delivery", text: "harness: CPU a verified delivery, beside a bare read(2) loop", lower: true, target: "≤ 1.5 × floor", bound: 1.5, ratio: true})},
	{key: "saturated", title: "Broadcast, saturated", scenario: "broadcast", args: "--saturate --seconds 5", kinds: everybody,
		change: func(o *bench.Options) { o.Saturate, o.Seconds = true, 5 },
		figures: []figure{
			{name: "deliveries/s", text: "deliveries/s", target: "≥ 5 × one frame a write", bound: 5, ratio: true},
			{name: "server CPU per delivery", text: "server CPU a delivery", lower: true},
			{name: "latency p50", text: "latency p50", lower: true}, {name: "latency p99", text: "latency p99", lower: true}}},
	{key: "targeted", title: "Targeted, one POST a message", scenario: "targeted", kinds: everybody,
		figures: []figure{
			{name: "deliveries/s", text: "messages/s", target: "≥ 100 k/s", bound: 100_000},
			{name: "server CPU per delivery", text: "server CPU a message", lower: true},
			{name: "latency p99", text: "latency p99", lower: true}}},
	{key: "batch", title: "Targeted, 100 JSON lines a POST", scenario: "targeted", args: "--batch 100", kinds: alone,
		change: func(o *bench.Options) { o.Batch = 100 },
		figures: []figure{
			{name: "deliveries/s", text: "messages/s", target: "≥ 300 k/s", bound: 300_000},
			{name: "server CPU per delivery", text: "server CPU a message", lower: true},
			{name: "client CPU per delivery", text: "harness: CPU a message", lower: true}}},
	{key: "sse", title: "Server-Sent Events at 5 messages/s", scenario: "sse", kinds: withHTTP, figures: deliveries("≤ 1.15 × floor", 1.15)},
	{key: "longpoll", title: "Long polls at 2 messages/s", scenario: "longpoll", args: "--rate 2", kinds: withHTTP,
		change: func(o *bench.Options) { o.Rate = 2 }, figures: deliveries("", 0)},
	{key: "storm", title: "Storm: 10,000 drop and come back at once", scenario: "storm", kinds: everybody,
		figures: []figure{
			{name: "time until all are back", text: "time until all are back", lower: true},
			{name: "server CPU per comeback", text: "server CPU a comeback", lower: true},
			{name: "time to come back p99", text: "time to come back, p99", lower: true}}},
	{key: "storm-users", title: "Storm of 10,000 with tokens", scenario: "storm", args: "--users 10000", kinds: alone,
		change: ofUsers(10000), beside: &row{scenario: "storm"},
		figures: []figure{
			{name: "time until all are back", text: "time until all are back", lower: true, target: "≤ 1.3 × without", bound: 1.3, ratio: true},
			{name: "server CPU per comeback", text: "server CPU a comeback", lower: true},
			{name: "time to come back p99", text: "time to come back, p99", lower: true}}},
	{key: "users", title: "Pushes to 10,000 users at random, one POST a message", scenario: "users", kinds: alone,
		beside: &row{scenario: "targeted", args: "--encke-json", change: func(o *bench.Options) { o.JSON = true }},
		figures: []figure{
			{name: "deliveries/s", text: "messages/s", target: "≥ 0.8 × channels", bound: 0.8, ratio: true},
			{name: "server CPU per delivery", text: "server CPU a message", lower: true},
			{name: "latency p99", text: "latency p99", lower: true}}},
	{key: "presence", title: "10,000 users join a channel and leave it, all at once, three followers keep who is there", scenario: "presence", kinds: alone,
		beside: &row{scenario: "presence", args: "--presence off", change: func(o *bench.Options) { o.Presence = "off" }},
		figures: []figure{
			{name: "server CPU per join+leave, of all : of a tenth", text: "server CPU a join and leave, of 10,000 : of 1,000", lower: true, target: "≤ 1.5", bound: 1.5},
			{name: "server CPU per join+leave", text: "server CPU a join and leave, of 10,000", lower: true},
			{name: "server CPU per join+leave, of three tenths", text: "server CPU a join and leave, of 3,000", lower: true},
			{name: "server CPU per join+leave, of a tenth", text: "server CPU a join and leave, of 1,000", lower: true},
			{name: "time until all are seen", text: "time until everybody has seen all", lower: true},
			{name: "time until all are gone, beyond the grace", text: "time until nobody sees anybody, beyond the grace", lower: true},
			{name: "time from join to being seen p99", text: "from join to being seen, p99", lower: true},
			{name: "presence events per storm", text: "presence events in a storm", lower: true},
			{name: "presence events that would do", text: "presence events that would do", lower: true},
			{name: "presence bytes per join+leave", text: "bytes of them a join and leave", lower: true}}},
	{key: "http", title: "Small keep-alive requests", scenario: "http", kinds: alone,
		figures: []figure{
			{name: "GET /healthz: server CPU per request", text: "GET /healthz, server CPU", lower: true, target: "≤ 14 µs", bound: 14},
			{name: "GET /healthz: requests/s", text: "GET /healthz, requests/s"},
			{name: "GET /poll wait=0: server CPU per request", text: "GET /poll?wait=0, server CPU", lower: true, target: "≤ 14 µs", bound: 14},
			{name: "POST /channels/x: server CPU per request", text: "POST /channels/x, server CPU", lower: true, target: "≤ 14 µs", bound: 14}}},
}

// ofUsers lets clients bring tokens of so many users.
func ofUsers(n int) func(o *bench.Options) {
	return func(o *bench.Options) { o.Users, o.JSON = n, true }
}

func memory(target string, bound float64) []figure {
	return []figure{
		{name: "server bytes per connection", text: "server, user space", lower: true, target: target, bound: bound},
		{name: "kernel slab bytes per connection, both ends", text: "kernel slab, both ends", lower: true},
		{name: "client bytes per connection", text: "harness, a client", lower: true, target: "≤ 400 B", bound: 400}}
}

// withTokens has no target for the harness: it keeps every client's token, 200 bytes, and the collector's share of them.
func withTokens(figures []figure) []figure {
	for i := range figures {
		if f := &figures[i]; f.name == "client bytes per connection" {
			f.target = ""
		}
	}
	return figures
}

func deliveries(target string, bound float64) []figure {
	return []figure{
		{name: "server CPU per delivery", text: "server CPU a delivery", lower: true, target: target, bound: bound, ratio: target != ""},
		{name: "latency p50", text: "latency p50", lower: true},
		{name: "latency p99", text: "latency p99", lower: true}}
}

// Keys returns the names of rows.
func Keys() (keys []string) {
	for _, w := range rows {
		keys = append(keys, w.key)
	}
	return append(keys, "million")
}
