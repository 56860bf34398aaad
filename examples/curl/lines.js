// Every line of the page and of README.md beside it (readme.mjs writes that from here; a test runs them all).
//
// In braces stands what the page fills in: {backend}, {encke} and {site} are addresses, {channel} and {user} names, {key} is the
// header with the backend's key, {keyfor} the same for push-load.sh, {token} a client's token.
// `answer` shows what comes: its fields are always there, and no others unless "…" stands among them; numbers and positions are
// examples. `status` is the last request's; 201 is 202 where nobody is subscribed. `flows`: it does not end by itself.

const pushed = '{"channel":"{channel}","offset":17,"position":"k3f9zq.17","subscribers":1}';
const toUser = '{"channel":"user:{user}","offset":4,"position":"k3f9zq.4","subscribers":1}';
const hello = '{"channel":"{channel}","offset":17,"position":"k3f9zq.17","time":1795224000123,"data":"hello"}';
const json = "-H 'Content-Type: application/json'";

export const groups = [
  { id: "push", title: "Push to a channel", text: "Whatever is POSTed is the message. 201: somebody is subscribed, 202: nobody is.", lines: [
    { id: "text", what: "Text", line: "curl{key} -d 'hello' {backend}/channels/{channel}", status: 201, answer: pushed },
    { id: "json", what: "JSON", line: `curl{key} ${json} -d '{"home":2,"away":1}' {backend}/channels/{channel}`, status: 201, answer: pushed,
      note: "From curl 7.82 on --json says both." },
    { id: "event", what: "With the name of an event", line: "curl{key} -H 'Encke-Event: score' -d '2:1' {backend}/channels/{channel}", status: 201, answer: pushed },
    { id: "event-url", what: "The event in the address", line: "curl{key} -d '3:1' '{backend}/channels/{channel}?event=score'", status: 201, answer: pushed },
    { id: "pipe", what: "What a command prints", line: "date | curl{key} -H 'Content-Type: text/plain' --data-binary @- {backend}/channels/{channel}", status: 201, answer: pushed },
    { id: "binary", what: "Bytes", line: "printf '\\001\\002\\003' | curl{key} -H 'Content-Type: application/octet-stream' --data-binary @- {backend}/channels/{channel}", status: 201, answer: pushed,
      note: "Readers get them in base64; over the subprotocol encke.raw as they are." },
    { id: "picture", what: "A picture", line: "curl{key} -H 'Content-Type: image/svg+xml' --data-binary @examples/icon.svg {backend}/channels/{channel}", status: 201, answer: pushed,
      note: "In the repository's folder." },
    { id: "several", what: "To several channels", line: `curl{key} ${json} -d '{"channels":["{channel}","{channel}:b"],"data":"to both"}' {backend}/publish`, status: 201,
      answer: '{"results":[{"channel":"{channel}","offset":17,"position":"k3f9zq.17","subscribers":1},{"channel":"{channel}:b","offset":1,"position":"k3f9zq.1","subscribers":1}]}' },
    { id: "object", what: "Everything in one object", line: `curl{key} ${json} -d '{"channel":"{channel}","event":"score","ttl":30,"data":{"home":3,"away":1}}' {backend}/publish`, status: 201, answer: pushed,
      note: "Further fields: id, expect, mailbox; user or users in place of channel." },
    { id: "batch", what: "Many at once, one a line",
      line: `printf '%s\\n' '{"channel":"{channel}","data":1}' 'a bad line' '{"user":"{user}","data":2}' | curl{key} -H 'Content-Type: application/x-ndjson' --data-binary @- {backend}/publish`, status: 200,
      answer: pushed + '\n{"error":{"code":"bad_json","message":"this is not JSON: …","offset":0}}\n' + toUser, note: "One answer a line, in order. A bad line harms no other." },
    { id: "load", what: "This machine's load, three times", line: "CHANNEL={channel}{keyfor} sh examples/push-load.sh {backend} 3", note: "In the repository's folder. Without the 3 it goes on until Ctrl-C." },
  ] },
  { id: "once", title: "Once, in order, in time", text: "For publishers that try again, that must not overwrite one another, or whose messages age.", lines: [
    { id: "twice", what: "Pushed twice, stored once", line: "for i in 1 2; do curl{key} -H 'Idempotency-Key: order-17' -d 'paid' {backend}/channels/{channel}; done", status: 201, answer: pushed + "\n" + pushed,
      note: "Both answers are the same. The key is remembered for five minutes." },
    { id: "reused", what: "The same key with another message", line: "curl{key} -H 'Idempotency-Key: order-17' -d 'cancelled' {backend}/channels/{channel}", status: 409,
      answer: '{"error":{"code":"id_reused","message":"this id was given to another message of this channel","channel":"{channel}"}}', note: "Within five minutes after the line above." },
    { id: "expect", what: "Only when nobody was faster", line: `curl{key} -H "Encke-Expect: $(curl -s{key} {backend}/channels/{channel} | sed 's/.*"position":"\\([^"]*\\)".*/\\1/')" -d 'mine' {backend}/channels/{channel}`, status: 201, answer: pushed,
      note: "The inner curl asks where the channel is." },
    { id: "conflict", what: "Somebody was faster", line: "curl{key} -H 'Encke-Expect: 0' -d 'too late' {backend}/channels/{channel}", status: 412,
      answer: '{"error":{"code":"conflict","message":"the channel is not at the expected position: it is at k3f9zq.17","channel":"{channel}"}}', note: "0 expects a channel in which nothing was ever published." },
    { id: "ttl", what: "For half a minute only", line: "curl{key} -H 'Encke-TTL: 30s' -d 'door is open' {backend}/channels/{channel}", status: 201, answer: pushed, note: "Who comes later is not given it." },
  ] },
  { id: "people", title: "To people", text: "On every device, over whatever each is connected by. A letter is kept until it is acknowledged.", lines: [
    { id: "user", what: "To one", line: "curl{key} -d 'hello' {backend}/users/{user}", status: 201, answer: toUser },
    { id: "users", what: "To several", line: `curl{key} ${json} -d '{"users":["{user}","ada"],"data":"lunch?"}' {backend}/publish`, status: 201,
      answer: '{"results":[{"channel":"user:{user}","offset":4,"position":"k3f9zq.4","subscribers":1},{"channel":"user:ada","offset":1,"position":"k3f9zq.1","subscribers":0}]}' },
    { id: "letter", what: "A letter", line: "curl{key} -H 'Encke-Mailbox: always' -d 'you have won' {backend}/users/{user}", status: 201, answer: '{"channel":"user:{user}","mail":1838309376123904,"subscribers":1}',
      note: "Given to all devices, and to those that come later, until one of them acknowledges it." },
    { id: "away", what: "A letter only for one who is away", line: "curl{key} -H 'Encke-Mailbox: away' -d 'we missed you' {backend}/users/ada", status: 202, answer: '{"channel":"user:ada","mail":1838309376123904,"subscribers":0}',
      note: "To one who is there it is a message like any other." },
    { id: "mailbox", what: "Letters that wait", line: "curl{key} {backend}/users/{user}/mailbox", status: 200,
      answer: '{"user":"{user}","total":1,"more":false,"letters":[{"channel":"user:{user}","mail":1838309376123904,"time":1795224000123,"data":"you have won"}]}' },
    { id: "mailbox-page", what: "The oldest of them", line: "curl{key} '{backend}/users/ada/mailbox?limit=1&after=0'", status: 200,
      answer: '{"user":"ada","total":1,"more":false,"letters":[{"channel":"user:ada","mail":1838309376123904,"time":1795224000123,"data":"we missed you"}]}', note: "after is the number of the last letter that one has seen." },
    { id: "letter-delete", what: "Delete the oldest", line: `curl{key} -X DELETE "{backend}/users/ada/mailbox?only=$(curl -s{key} '{backend}/users/ada/mailbox?limit=1' | grep -o '"mail":[0-9]*' | cut -d: -f2)"`, status: 200, answer: '{"deleted":1}' },
    { id: "mailbox-empty", what: "Delete them all", line: "curl{key} -X DELETE {backend}/users/ada/mailbox", status: 200, answer: '{"deleted":0}' },
  ] },
  { id: "here", title: "Who is here", text: "Users are those who came with a token; without one a client is a connection.", lines: [
    { id: "online", what: "Is she online", line: "curl{key} {backend}/users/{user}", status: 200, answer: '{"user":"{user}","online":true,"connections":1,"last_seen":1795224000123}' },
    { id: "online-many", what: "Who of these is", line: `curl{key} ${json} -d '{"users":["{user}","ada"]}' {backend}/users`, status: 200,
      answer: '{"users":[{"user":"{user}","online":true,"connections":1,"last_seen":1795224000123},{"user":"ada","online":false,"connections":0,"last_seen":null}]}', note: "Up to 10,000." },
    { id: "presence", what: "Who is in a channel", line: "curl{key} {backend}/channels/{channel}/presence", status: 200,
      answer: '{"channel":"{channel}","users":1,"connections":1,"position":"k3f9zq.2","members":[…]}' },
    { id: "counts", what: "How many are", line: "curl{key} '{backend}/channels/{channel}/presence?counts=1'", status: 200, answer: '{"channel":"{channel}","users":1,"connections":1,"position":"k3f9zq.2"}' },
    { id: "follow-presence", what: "Who comes and goes", line: "curl{key} -N '{backend}/sse?channels=$presence:{channel}&since=0'", status: 200, flows: true,
      answer: 'data: {"channel":"$presence:{channel}","offset":1,"position":"k3f9zq.1","event":"presence","time":1795224000123,"data":{…}}' },
  ] },
  { id: "channel", title: "What a channel holds", text: "History is kept for those who come back, as long as the channel's rule says.", lines: [
    { id: "state", what: "Its state", line: "curl{key} {backend}/channels/{channel}", status: 200, answer: '{"channel":"{channel}","position":"k3f9zq.17","offset":17,"subscribers":1,"history":{"length":17,"bytes":2040}}' },
    { id: "history", what: "Its history", line: "curl{key} {backend}/channels/{channel}/history", status: 200, answer: `{"publications":[${hello},…],"position":"k3f9zq.17","recovered":true}`, note: "Oldest first, 100 unless limit says otherwise." },
    { id: "history-page", what: "Two of it, from a place on", line: "curl{key} '{backend}/channels/{channel}/history?since=0&limit=2'", status: 200, answer: `{"publications":[${hello},…],"position":"k3f9zq.2","recovered":true}`,
      note: "The answer's position is the next since." },
    { id: "forget", what: "Forget its history", line: "curl{key} -X DELETE {backend}/channels/{channel}", status: 204, answer: "", note: "Subscribers stay, and the count goes on." },
    { id: "unknown", what: "One that is not there", line: "curl{key} {backend}/channels/curl:nobody-was-here", status: 404, answer: '{"error":{"code":"unknown_channel","message":"there is no such channel: nobody is subscribed and nothing is kept","channel":"curl:nobody-was-here"}}' },
  ] },
  { id: "follow", title: "Follow from the backend", text: "Any channel, users' own too, without being counted as a person. Ctrl-C ends it.", lines: [
    { id: "backend-sse", what: "A channel", line: "curl{key} -N '{backend}/sse?channels={channel}'", status: 200, flows: true, answer: `id: k3f9zq.16\n\nid: k3f9zq.17\ndata: ${hello}` },
    { id: "backend-user", what: "What a user is told", line: "curl{key} -N '{backend}/sse?channels=user:{user}&since=0'", status: 200, flows: true,
      answer: 'data: {"channel":"user:{user}","offset":4,"position":"k3f9zq.4","time":1795224000123,"data":"hello"}' },
    { id: "stats-live", what: "How many are online", line: "curl{key} -N '{backend}/sse?channels=$stats'", status: 200, flows: true,
      answer: 'data: {"channel":"$stats","offset":17,"position":"k3f9zq.17","time":1795224000123,"data":{"online":2,"users":1,"ws":1,"sse":1,"stream":0,"poll":0,"total":{"connections":9,"published":40,"delivered":80}}}',
      note: "At most once a second, when it has changed." },
    { id: "console-live", what: "How the server is doing", line: "curl{key} -N '{backend}/sse?channels=$console'", status: 200, flows: true,
      answer: 'data: {"channel":"$console","offset":17,"position":"k3f9zq.17","time":1795224000123,"data":{"uptime_seconds":93.2,"seconds":1.0,"connections":{…},"users":1,…}}', note: "Once a second. Open the backend's address in a browser to see it drawn." },
  ] },
  { id: "server", title: "The server", text: "For monitoring, and for what starts and stops it.", lines: [
    { id: "health", what: "Does it live", line: "curl{key} {backend}/healthz", status: 200, answer: "ok" },
    { id: "ready", what: "Does it take connections", line: "curl{key} {backend}/readyz", status: 200, answer: "ok", note: "503 while it shuts down." },
    { id: "stats", what: "Its figures", line: "curl{key} {backend}/stats", status: 200, answer: '{"uptime_seconds":93.2,"epoch":"k3f9zq","connections":{…},"channels":{…},"messages":{…},"users":{…},…}' },
    { id: "metrics", what: "The same for Prometheus", line: "curl{key} {backend}/metrics", status: 200, answer: "encke_channels 6" },
  ] },
  { id: "token", title: "Tokens", text: "They say who a client is and what it may do. Your site makes them; these are for trying.", lines: [
    { id: "site-token", what: "From the examples' site", line: "export TOKEN=$(curl -s -X POST {site}/curl/token); echo $TOKEN", status: 200, answer: "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ….…", note: "A new visitor's, for ten minutes." },
    { id: "encke-token", what: "By hand", line: "export TOKEN=$(bin/encke token --sub {user} --channels '{channel}=subscribe+publish+presence'); echo $TOKEN", answer: "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ….…",
      note: "In the repository's folder, with the same ENCKE_TOKEN_SECRET in the environment here and where the server was started: export ENCKE_TOKEN_SECRET=$(openssl rand -hex 32)" },
  ] },
  { id: "client", title: "A client in a terminal", text: "What a browser does, without one. This channel is readable by anybody.", lines: [
    { id: "sse", what: "Server-Sent Events", line: "curl -N '{encke}/sse?channels={channel}'", status: 200, flows: true, answer: `id: k3f9zq.16\n\nid: k3f9zq.17\ndata: ${hello}` },
    { id: "sse-since", what: "From the beginning of what is kept", line: "curl -N '{encke}/sse?channels={channel}&since=0'", status: 200, flows: true, answer: `event: resumed\ndata: {"recovered":true}\nid: k3f9zq.0\n\nid: k3f9zq.1\ndata: ${hello}` },
    { id: "stream", what: "A stream, one message a line", line: "curl -N '{encke}/stream?channels={channel}'", status: 200, flows: true, answer: `{"position":"k3f9zq.16"}\n${hello}` },
    { id: "poll", what: "A poll that answers at once", line: "curl '{encke}/poll?channels={channel}&since=0&wait=0'", status: 200, answer: `{"publications":[${hello},…],"position":"k3f9zq.17","recovered":true}` },
    { id: "long-poll", what: "A poll that waits", line: "curl '{encke}/poll?channels={channel}&wait=25s'", status: 200, waits: true, answer: `{"publications":[${hello}],"position":"k3f9zq.17","recovered":true}`, note: "Until something comes, at most 25 seconds." },
    { id: "long-polling", what: "Long polling: each message once",
      line: `since=0; while answer=$(curl -sf "{encke}/poll?channels={channel}&since=$since&wait=25s"); do echo "$answer"; since=$(echo "$answer" | sed 's/.*"position":"\\([^"]*\\)".*/\\1/'); done`,
      status: 200, flows: true, answer: `{"publications":[${hello},…],"position":"k3f9zq.17","recovered":true}` },
    { id: "interval", what: "Interval polling, every 5 seconds",
      line: `since=0; while answer=$(curl -sf "{encke}/poll?channels={channel}&since=$since&wait=0"); do echo "$answer"; since=$(echo "$answer" | sed 's/.*"position":"\\([^"]*\\)".*/\\1/'); sleep 5; done`,
      status: 200, flows: true, answer: `{"publications":[${hello},…],"position":"k3f9zq.17","recovered":true}` },
    { id: "two", what: "Two channels, each from its place", line: "curl '{encke}/poll?channels={channel},{channel}:b&since=0,0&wait=0'", status: 200, answer: `{"publications":[${hello},…],"position":"k3f9zq.17,1","recovered":true}` },
    { id: "client-presence", what: "Who is here", line: "curl '{encke}/presence?channel={channel}'", status: 200, answer: '{"channel":"{channel}","users":1,"connections":1,"position":"k3f9zq.2","members":[…]}', note: "Where the channel's rule or the token says that one may see it." },
    { id: "ping", what: "Is anybody there", line: "curl {encke}/ping", status: 200, answer: '{"pong":{"time":1795224000123}}' },
    { id: "library", what: "The JavaScript client", line: "curl -O {encke}/encke.js", status: 200, answer: "" },
  ] },
  { id: "as-user", title: "A client with a token", text: "Its own channel comes by itself, with its letters.", lines: [
    { id: "as-sse", what: "Everything for this user", line: `curl -N -H "Authorization: Bearer {token}" '{encke}/sse?channels={channel}'`, status: 200, flows: true,
      answer: `data: ${hello}`, note: "The id has a second place then: that of the user's own channel." },
    { id: "as-query", what: "The token in the address", line: `curl -N "{encke}/stream?channels={channel}&token={token}"`, status: 200, flows: true, answer: `{"position":"k3f9zq.16,4"}\n${hello}`, note: "For what cannot send headers, as EventSource." },
    { id: "letters", what: "The letters that wait", line: `curl -H "Authorization: Bearer {token}" '{encke}/poll?channels=user:{user}&mail=0&wait=0'`, status: 200,
      answer: '{"publications":[{"channel":"user:{user}","mail":1838309376123904,"time":1795224000123,"data":"you have won"},…],"position":"k3f9zq.4","recovered":true,"mail":1838309376123904}' },
    { id: "ack", what: "Acknowledge them",
      line: `curl -X POST -H "Authorization: Bearer {token}" "{encke}/ack?mail=$(curl -s -H "Authorization: Bearer {token}" '{encke}/poll?channels=user:{user}&mail=0&wait=0' | grep -o '"mail":[0-9]*' | tail -n 1 | cut -d: -f2)"`, status: 200, answer: '{"acknowledged":1}',
      note: "All up to the number. With ?only=… single ones." },
    { id: "bad-token", what: "A token that is none", line: `curl -H 'Authorization: Bearer nonsense' '{encke}/poll?channels={channel}&wait=0'`, status: 401, answer: '{"error":{"code":"bad_token","message":"this token is not one that the server takes"}}' },
  ] },
  { id: "end", title: "End what somebody may do", text: "At once, on all devices. These end the page's own connection too, which says so.", lines: [
    { id: "disconnect", what: "End a user's connections", line: "curl{key} -X DELETE {backend}/users/{user}/connections", status: 200, answer: '{"disconnected":1}', note: "Their tokens still hold." },
    { id: "revoke", what: "Revoke all tokens of a user", line: `curl{key} ${json} -d '{"user":"{user}"}' {backend}/tokens/revoke`, status: 204, answer: "", note: "Those made until now." },
    { id: "revoke-one", what: "Revoke one token", line: `curl{key} ${json} -d '{"id":"the-jti-of-a-token","for":"1h"}' {backend}/tokens/revoke`, status: 204, answer: "" },
  ] },
];

/** What README.md says where the page fills in. */
export const plain = { backend: "http://127.0.0.1:8081", encke: "http://localhost:8080", site: "http://localhost:8000", channel: "curl:demo", user: "42", key: "", keyfor: "", token: "$TOKEN" };

/** Splits a template into its text and what is filled in: [{ text, name }…], name only where it was in braces. */
export function parts(template, values) {
  return template.split(/\{(backend|encke|site|channel|user|key|keyfor|token)\}/).map((text, i) => i % 2 ? { text: values[text], name: text } : { text }).filter(p => p.text);
}

export const fill = (template, values) => parts(template, values).map(p => p.text).join("");
