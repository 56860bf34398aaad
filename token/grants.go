package token

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"encke/channel"
)

// Rights are what a client may do in a channel.
type Rights uint8

// The rights.
const (
	Subscribe Rights = 1 << iota
	Publish
	Presence
)

var rightNames = []struct {
	right Rights
	name  string
}{{Subscribe, "subscribe"}, {Publish, "publish"}, {Presence, "presence"}}

// ParseRights reads names of rights.
func ParseRights(names []string) (all Rights, err error) {
	for _, name := range names {
		found := false
		for _, r := range rightNames {
			if r.name == name {
				all |= r.right
				found = true
			}
		}
		if !found {
			return 0, fmt.Errorf("there is no right %q: subscribe, publish, presence", name)
		}
	}
	return all, nil
}

// Names returns the names of rights.
func (r Rights) Names() (names []string) {
	for _, x := range rightNames {
		if r&x.right != 0 {
			names = append(names, x.name)
		}
	}
	return names
}

// Grant gives rights in the channels whose names fit a pattern (channel.Match).
type Grant struct {
	Pattern string
	Rights  Rights
}

// Grants is the claim "channels": an object from patterns to lists of rights, or a list of patterns that may be subscribed to.
type Grants []Grant

// UnmarshalJSON implements json.Unmarshaler.
func (g *Grants) UnmarshalJSON(text []byte) error {
	const want = "channels is an object of lists of rights, or a list of names"
	if len(text) > 0 && text[0] == '[' {
		var list []string
		if json.Unmarshal(text, &list) != nil {
			return errors.New(want)
		}
		for _, p := range list {
			*g = append(*g, Grant{p, Subscribe})
		}
		return g.check()
	}
	var object map[string][]string
	if json.Unmarshal(text, &object) != nil {
		return errors.New(want)
	}
	for p, names := range object {
		rights, err := ParseRights(names)
		if err != nil {
			return err
		}
		*g = append(*g, Grant{p, rights})
	}
	return g.check()
}

// maxGrants is how many grants a token may have: they are looked through at each subscribe.
const maxGrants = 100

func (g *Grants) check() error {
	if len(*g) > maxGrants {
		return fmt.Errorf("channels names more than %d", maxGrants)
	}
	for _, x := range *g {
		if !channel.CheckPattern(x.Pattern) {
			return fmt.Errorf("channels: %q is neither a channel's name nor the beginning of names and *", x.Pattern)
		}
	}
	return nil
}

// MarshalJSON implements json.Marshaler.
func (g Grants) MarshalJSON() ([]byte, error) {
	object := map[string][]string{}
	for _, x := range g {
		object[x.Pattern] = x.Rights.Names()
	}
	return json.Marshal(object)
}

// grantTable has the grants of the tokens seen lately, by their text: most tokens of a site say the same, and then its connections
// share them. The zero value is an empty one.
type grantTable struct {
	mu  sync.RWMutex
	all map[string]*Grants // guarded by mu
}

// maxTexts is how many different texts are kept.
const maxTexts = 1024

// read returns the grants of a claim, nil for an empty one.
func (t *grantTable) read(text []byte) (*Grants, error) {
	if len(text) == 0 {
		return nil, nil
	}
	t.mu.RLock()
	g := t.all[string(text)]
	t.mu.RUnlock()
	if g != nil {
		return g, nil
	}
	g = new(Grants)
	if err := json.Unmarshal(text, g); err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.all == nil || len(t.all) >= maxTexts {
		t.all = map[string]*Grants{}
	}
	t.all[string(text)] = g
	return g, nil
}
