package edge

import (
	"encke/mailbox"
	"encke/presence"
	"encke/webhook"

	"github.com/prometheus/client_golang/prometheus"
)

// StatsUsers are the figures of users: who is online, who is in channels, what is kept for them.
type StatsUsers struct {
	Online    int64           `json:"online"` // those in their grace included
	Bytes     int64           `json:"bytes"`  // of memory, estimated: those included who are remembered only
	Presence  presence.Totals `json:"presence"`
	Mailboxes mailbox.Counts  `json:"mailboxes"`
	Letters   uint64          `json:"letters_given"` // to connections and polls
}

// StatsSite are the figures of what is said to the site's backend; each is nil where nothing is.
type StatsSite struct {
	Webhook *webhook.SenderCounts `json:"webhook,omitempty"`
	Hook    *webhook.AskerCounts  `json:"hook,omitempty"`
}

func (s *Server) statsUsers() StatsUsers {
	return StatsUsers{s.users.online.Load(), s.users.bytes(), s.presence.Totals(), s.mailboxes.Counts(), s.figures.letters.Load()}
}

func (s *Server) statsSite() (out StatsSite) {
	if s.sender != nil {
		c := s.sender.Counts()
		out.Webhook = &c
	}
	if s.asker != nil {
		c := s.asker.Counts()
		out.Hook = &c
	}
	return out
}

var (
	descUsers    = prometheus.NewDesc("encke_users_online", "Users who are online.", nil, nil)
	descMembers  = prometheus.NewDesc("encke_presence_members", "Users in channels whose presence is kept.", nil, nil)
	descLetters  = prometheus.NewDesc("encke_letters", "Letters in mailboxes.", nil, nil)
	descLetterB  = prometheus.NewDesc("encke_letters_bytes", "Bytes that mailboxes take.", nil, nil)
	descLettersN = prometheus.NewDesc("encke_letters_total", "Letters, by what became of them.", []string{"fate"}, nil)
	descWebhook  = prometheus.NewDesc("encke_webhook_events_total", "Changes to be told to the site's backend, by what became of them.", []string{"fate"}, nil)
	descWebhookW = prometheus.NewDesc("encke_webhook_waiting", "Changes that wait to be told.", nil, nil)
	descHook     = prometheus.NewDesc("encke_hook_questions_total", "Questions to the site's backend, by what became of them.", []string{"fate"}, nil)
)

// collectPeople gives Prometheus the figures of users and of the site's backend.
func collectPeople(u *StatsUsers, site *StatsSite, gauge func(*prometheus.Desc, float64, ...string), count func(*prometheus.Desc, uint64, ...string)) {
	gauge(descUsers, float64(u.Online))
	gauge(descMembers, float64(u.Presence.Members))
	m := &u.Mailboxes
	gauge(descLetters, float64(m.Letters))
	gauge(descLetterB, float64(m.Bytes))
	fates := func(d *prometheus.Desc, all map[string]uint64) {
		for fate, n := range all {
			count(d, n, fate)
		}
	}
	fates(descLettersN, map[string]uint64{"put": m.Put, "given": u.Letters, "acknowledged": m.Acknowledged, "deleted": m.Deleted,
		"dropped_length": m.DroppedLength, "dropped_bytes": m.DroppedBytes, "dropped_age": m.DroppedAge, "dropped_memory": m.DroppedMemory})
	if w := site.Webhook; w != nil {
		fates(descWebhook, map[string]uint64{"sent": w.Sent, "superseded": w.Superseded, "dropped_full": w.DroppedFull,
			"dropped_age": w.DroppedAge, "dropped_closed": w.DroppedClosed})
		gauge(descWebhookW, float64(w.Waiting))
	}
	if h := site.Hook; h != nil {
		fates(descHook, map[string]uint64{"allowed": h.Allowed, "refused": h.Refused, "failed": h.Failed, "not_asked": h.Shorted})
	}
}
