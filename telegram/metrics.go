package telegram

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gmbot/gmbot/protos"
)

// Metrics counts calls and updates. Its nil pointer counts nothing.
type Metrics struct {
	calls    *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	updates  *prometheus.CounterVec
	polls    *prometheus.CounterVec
	inAir    prometheus.Gauge
	age      prometheus.Histogram
	lastPoll prometheus.Gauge
}

// NewMetrics registers the metrics of this package.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	const ns, api, updates = "gmbot", "api", "updates"
	m := &Metrics{
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: ns, Subsystem: api, Name: "calls_total", Help: "Calls to Telegram, by method and outcome.",
		}, []string{"method", "outcome"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: ns, Subsystem: api, Name: "call_seconds", Help: "How long calls took.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 15, 60},
		}, []string{"method"}),
		updates: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: ns, Name: "updates_total", Help: "Updates, by kind and what became of them.",
		}, []string{"kind", "outcome"}),
		polls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: ns, Subsystem: updates, Name: "polls_total", Help: "Long polls, by outcome.",
		}, []string{"outcome"}),
		inAir: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: ns, Subsystem: updates, Name: "in_air", Help: "Updates taken and not yet settled.",
		}),
		age: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: ns, Subsystem: updates, Name: "settle_seconds", Help: "From an update's intake to its settling.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 15},
		}),
		lastPoll: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: ns, Subsystem: updates, Name: "last_poll_timestamp_seconds", Help: "When Telegram last answered a poll.",
		}),
	}
	reg.MustRegister(m.calls, m.seconds, m.updates, m.polls, m.inAir, m.age, m.lastPoll)
	return m
}

func (m *Metrics) called(method string, o protos.Outcome, took time.Duration) {
	if m != nil {
		m.calls.WithLabelValues(method, o.String()).Inc()
		m.seconds.WithLabelValues(method).Observe(took.Seconds())
	}
}

func (m *Metrics) update(kind, outcome string) {
	if m != nil {
		m.updates.WithLabelValues(kind, outcome).Inc()
	}
}

func (m *Metrics) polled(o protos.Outcome, at time.Time) {
	if m == nil {
		return
	}
	m.polls.WithLabelValues(o.String()).Inc()
	if o == protos.Outcome_DONE {
		m.lastPoll.Set(float64(at.UnixMilli()) / 1000)
	}
}

func (m *Metrics) settled(took time.Duration) {
	if m != nil {
		m.age.Observe(took.Seconds())
	}
}

func (m *Metrics) air(n int) {
	if m != nil {
		m.inAir.Set(float64(n))
	}
}
