package model

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"time"

	"encke/token"

	"github.com/golang-jwt/jwt/v5"
)

// secret signs the tokens of every run; the server is told it in its environment.
const secret = "a secret of the model checker, 32 bytes and more"

// person is a user. Several clients may be one: they are its tabs.
type person struct {
	name   string
	own    string // its channel
	token  string
	info   string // JSON, "" for none
	steady bool   // never unsubscribes: it can only be gone by staying away
}

// newPerson makes a user who may read and watch every channel. Every other one's token is made as a site would make it, since
// encke's own has no info.
func newPerson(i int, name string) (*person, error) {
	p := &person{name: name, own: ownPrefix + name, steady: i%3 > 0}
	var err error
	if i%2 == 0 {
		p.token, err = token.Issue([]byte(secret), name, token.Grants{{Pattern: "*", Rights: token.Subscribe | token.Presence}}, time.Now(), 24*time.Hour)
		return p, err
	}
	p.info = fmt.Sprintf(`{"name":"user %d","n":[%d,"é\"<&>"]}`, i, i)
	claims := jwt.MapClaims{"sub": name, "exp": time.Now().Add(24 * time.Hour).Unix(), "info": json.RawMessage(p.info),
		"channels": map[string][]string{"*": {"subscribe", "presence"}}}
	p.token, err = jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(secret))
	if err == nil { // as it stands in the token, which is what others see
		var text []byte
		text, err = json.Marshal(json.RawMessage(p.info))
		p.info = string(text)
	}
	return p, err
}

// populate makes the users of a run, their channels and mailboxes, and the rosters of all others.
func (r *Run) populate() error {
	s := r.scenario
	infos := map[string]string{}
	for i := range s.People {
		name := fmt.Sprint("u", i)
		if i == 1 {
			name = "u:@x=~$+!"
		}
		p, err := newPerson(i, name)
		if err != nil {
			return err
		}
		r.people = append(r.people, p)
		r.truth.AddUser(p.name)
		infos[p.name] = p.info
	}
	if s.People == 0 {
		return nil
	}
	r.truth.age = s.Age
	for _, channel := range s.Channels {
		r.truth.AddRoster(channel, infos, s.Grace)
	}
	return nil
}

// peopleArgs are the flags of a server with users. Presence and rights are as --dev has them.
func (s *Scenario) peopleArgs() []string {
	if s.People == 0 {
		return []string{"--dev"}
	}
	return []string{"--anonymous", "*", "--presence", "members", "--see-presence", "anybody", "--user-grace", s.Grace.String(),
		"--mailbox-length", "1000000", "--mailbox-bytes", "1000000000", "--mailbox-memory", "1000000000"}
}

// rules is the configuration file of a scenario in which users' own channels are silent most of the time.
func (s *Scenario) rules() string {
	return fmt.Sprintf("[[channel]]\npattern = \"%s*\"\nhistory-age = \"%v\"\n", ownPrefix, s.Age)
}

// credentials is how a client brings its token: as a header, or an argument.
func (c *client) credentials() (header, argument string) {
	switch {
	case c.user == nil:
	case c.rng.IntN(2) == 0:
		header = "Authorization: Bearer " + c.user.token + "\r\n"
	default:
		argument = "&token=" + url.QueryEscape(c.user.token)
	}
	return header, argument
}

// way is how a client reaches the server. Some of those with a token take the straight one: of them most is known.
func (c *client) way() (address string, faulty bool) {
	if c.straight {
		return c.run.server.Public, false
	}
	return c.run.way(c.rng)
}

// errand makes a request of its own beside a client's connection. ok is false when it was not answered, or put off.
func (c *client) errand(method, target string, into any) (ok bool, err error) {
	address := c.run.server.Public
	if len(c.run.lanes) > 0 {
		address, _ = c.way()
	}
	ctx := c.run.live
	if c.heads != nil {
		ctx = context.Background()
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://"+address+target, nil)
	if err != nil {
		return false, err
	}
	if c.user != nil {
		request.Header.Set("Authorization", "Bearer "+c.user.token)
	}
	client := http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	if c.heads != nil {
		client.Timeout = liveness
	}
	res, err := client.Do(request)
	if err != nil {
		c.run.tally.Add("refused/errand", 1)
		return false, nil
	}
	defer res.Body.Close()
	if res.StatusCode == 503 || res.StatusCode == 429 || res.StatusCode == 408 {
		return false, nil
	}
	var text json.RawMessage
	switch err := json.NewDecoder(res.Body).Decode(&text); {
	case isCut(err) || ctx.Err() != nil:
		return false, nil
	case err != nil || res.StatusCode != 200 || json.Unmarshal(text, into) != nil:
		return false, fmt.Errorf("%s %s: status %d, %.300q, %w", method, target, res.StatusCode, text, err)
	}
	return true, nil
}

// lookAround takes a snapshot of who is in a channel.
func (c *client) lookAround(channel string) error {
	var s snapshot
	ok, err := c.errand("GET", "/presence?channel="+url.QueryEscape(channel), &s)
	if !ok || err != nil {
		return err
	}
	c.journal.note("GET /presence of %s: %s", channel, s.Position)
	c.run.tally.Add("people/snapshots", 1)
	if s.Channel != channel {
		return fmt.Errorf("asked for the presence of %s, told that of %s", channel, s.Channel)
	}
	return c.sub.Snapshot(&s)
}

// lookAll takes a snapshot where one is missing, and now and then where there is one; everywhere before the client stays.
func (c *client) lookAll(channels []string) error {
	for _, name := range channels {
		of, is := isCompanion(name)
		if !is || !c.staying && (c.rng.IntN(8) == 0) == (c.sub.rolls[name] == nil) {
			continue
		}
		if err := c.lookAround(of); err != nil {
			return err
		}
	}
	return nil
}

// chooseAck chooses what to acknowledge of the letters that came last.
func (c *client) chooseAck() *acking {
	read := c.sub.read
	if c.sub.box == nil || len(read) == 0 || c.heads != nil {
		return nil
	}
	if c.rng.IntN(3) > 0 {
		return c.sub.box.Order(read[c.rng.IntN(len(read))], nil)
	}
	var only []uint64
	for range 1 + c.rng.IntN(3) {
		only = append(only, read[c.rng.IntN(len(read))])
	}
	return c.sub.box.Order(0, only)
}

func (a *acking) numbers() string {
	text, _ := json.Marshal(a.only)
	return string(text[1 : len(text)-1])
}

// acknowledge acknowledges letters by a request of its own.
func (c *client) acknowledge() error {
	a := c.chooseAck()
	if a == nil {
		return nil
	}
	target := fmt.Sprint("/ack?mail=", a.upTo)
	if a.upTo == 0 {
		target = "/ack?only=" + a.numbers()
	}
	var answer struct{ Acknowledged int }
	ok, err := c.errand("POST", target, &answer)
	c.journal.note("POST %s: %v %d", target, ok, answer.Acknowledged)
	if !ok || err != nil {
		return err
	}
	c.run.tally.Add("people/acknowledged", int64(answer.Acknowledged))
	return c.sub.box.Done(a, answer.Acknowledged)
}

// identify makes some clients users, the first of them with fewer tabs than the last, and has them follow who is in some channels.
func (r *Run) identify(c *client) {
	if len(r.people) == 0 {
		return
	}
	if c.rng.Float64() >= r.scenario.Strangers {
		n := len(r.people)
		c.user = r.people[max(c.rng.IntN(n), c.rng.IntN(n))]
		c.sub.box = r.truth.boxes[c.user.name]
		c.straight = len(r.lanes) > 0 && c.rng.IntN(4) == 0
		c.channels = append(c.channels, c.user.own)
	}
	for _, k := range c.rng.Perm(len(r.scenario.Channels))[:c.rng.IntN(1+min(3, len(r.scenario.Channels)))] {
		c.channels = append(c.channels, companionPrefix+r.scenario.Channels[k])
	}
}

// writeRules writes the configuration file and returns its name.
func (r *Run) writeRules() (string, error) {
	f, err := os.CreateTemp("", "encke-model-*.toml")
	if err != nil {
		return "", err
	}
	defer f.Close()
	r.cleanup = func() { os.Remove(f.Name()) }
	_, err = f.WriteString(r.scenario.rules())
	return f.Name(), err
}
