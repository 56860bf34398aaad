package edge

import (
	"bytes"

	"encke/longpoll"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/common/expfmt"
)

// metrics shows Stats to Prometheus.
type metrics struct {
	server   *Server
	registry *prometheus.Registry
}

func newMetrics(s *Server) *metrics {
	m := &metrics{server: s, registry: prometheus.NewRegistry()}
	m.registry.MustRegister(m, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

var (
	descConnections = prometheus.NewDesc("encke_connections", "Connections now, by transport.", []string{"transport"}, nil)
	descChannels    = prometheus.NewDesc("encke_channels", "Channels in memory.", nil, nil)
	descSubs        = prometheus.NewDesc("encke_subscriptions", "Subscriptions now.", nil, nil)
	descHistory     = prometheus.NewDesc("encke_history_publications", "Publications kept.", nil, nil)
	descHistoryB    = prometheus.NewDesc("encke_history_bytes", "Bytes that kept publications take.", nil, nil)
	descPublished   = prometheus.NewDesc("encke_published_total", "Publications taken.", nil, nil)
	descRepeated    = prometheus.NewDesc("encke_pushes_repeated_total", "Pushes made again under their id, not stored again.", nil, nil)
	descForgotten   = prometheus.NewDesc("encke_message_ids_forgotten_total", "Message ids forgotten before their time for want of memory.", nil, nil)
	descDelivered   = prometheus.NewDesc("encke_delivered_total", "Publications given to subscribers.", []string{"loop"}, nil)
	descReplayed    = prometheus.NewDesc("encke_replayed_total", "Publications given from history.", nil, nil)
	descGaps        = prometheus.NewDesc("encke_gaps_total", "Subscribers told of a gap.", nil, nil)
	descRequests    = prometheus.NewDesc("encke_requests_total", "HTTP requests served.", nil, nil)
	descEnded       = prometheus.NewDesc("encke_connections_ended_total", "Connections ended, by reason.", []string{"reason"}, nil)
	descRefused     = prometheus.NewDesc("encke_refused_total", "Requests, commands and pushes refused, by code.", []string{"code"}, nil)
	descDropped     = prometheus.NewDesc("encke_history_dropped_total", "Publications that history lost, by reason.", []string{"reason"}, nil)
	descSkipped     = prometheus.NewDesc("encke_skipped_total", "Publications that slow readers were not given, and told so, by the channel's policy.", []string{"policy"}, nil)
	descBytes       = prometheus.NewDesc("encke_bytes_total", "Bytes, by direction.", []string{"direction"}, nil)
	descWaiting     = prometheus.NewDesc("encke_output_waiting_bytes", "Output that waits for slow readers.", nil, nil)
	descMemory      = prometheus.NewDesc("encke_memory_bytes", "Memory: used as measured, the budget, output that waits, input of which a part has come, what is known of people.", []string{"part"}, nil)
	descDelayed     = prometheus.NewDesc("encke_pushes_delayed_total", "Times that a push waited for loops that were behind.", nil, nil)
	descBacklog     = prometheus.NewDesc("encke_loop_backlog_bytes", "Publications that wait in a loop.", []string{"loop"}, nil)
	descSends       = prometheus.NewDesc("encke_sends_total", "send(2) calls, by loop.", []string{"loop"}, nil)
	descHalts       = prometheus.NewDesc("encke_accept_halts_total", "Times that accepting stopped at a limit.", nil, nil)
)

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(m, ch) }

// Collect implements prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	s := m.server.Stats()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	count := func(d *prometheus.Desc, v uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	for name, n := range s.Connections {
		if name != "total" {
			gauge(descConnections, float64(n), name)
		}
	}
	gauge(descChannels, float64(s.Channels.Channels))
	gauge(descSubs, float64(s.Channels.Subscriptions))
	gauge(descHistory, float64(s.Channels.Publications))
	gauge(descHistoryB, float64(s.Channels.Bytes))
	gauge(descWaiting, float64(s.Bytes.Waiting))
	count(descPublished, s.Messages.Published)
	count(descRepeated, s.Messages.Repeated)
	count(descForgotten, s.Messages.Forgotten)
	count(descReplayed, s.Messages.Replayed)
	count(descGaps, s.Messages.Gaps)
	count(descRequests, s.Messages.Requests)
	count(descDelayed, s.Messages.Stalls)
	count(descBytes, s.Bytes.In, "in")
	count(descBytes, s.Bytes.Out, "out")
	for reason, n := range s.Ended {
		count(descEnded, n, reason)
	}
	for code, n := range s.Refused {
		count(descRefused, n, code)
	}
	for reason, n := range s.Dropped {
		count(descDropped, n, reason)
	}
	for policy, n := range s.Skipped {
		count(descSkipped, n, policy)
	}
	gauge(descMemory, float64(s.Memory.Used), "used")
	gauge(descMemory, float64(s.Memory.Budget), "budget")
	gauge(descMemory, float64(s.Memory.Output), "output")
	gauge(descMemory, float64(s.Memory.Input), "input")
	gauge(descMemory, float64(s.Memory.People), "people")
	halts := uint64(0)
	for i, l := range s.Loops {
		name := string(rune('0' + i%10))
		if i > 9 {
			name = string(rune('0'+i/10)) + name
		}
		count(descDelivered, l.Delivered, name)
		count(descSends, l.Sends, name)
		gauge(descBacklog, float64(l.Backlog), name)
		halts += l.Halts
	}
	count(descHalts, halts)
	collectPeople(&s.Users, &s.Site, gauge, count)
}

func (s *Server) metricsAnswer() longpoll.Response {
	families, err := s.metrics.registry.Gather()
	if err != nil {
		return longpoll.Response{Status: 500, Type: "text/plain", Body: []byte(err.Error() + "\n")}
	}
	var b bytes.Buffer
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(&b, f); err != nil {
			return longpoll.Response{Status: 500, Type: "text/plain", Body: []byte(err.Error() + "\n")}
		}
	}
	return longpoll.Response{Status: 200, Type: string(expfmt.NewFormat(expfmt.TypeTextPlain)), Body: b.Bytes()}
}
