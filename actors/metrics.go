package actors

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gmbot/gmbot/protos"
)

// Metrics counts actors, the sender's lanes and membership look-ups. Its nil pointer counts nothing.
type Metrics struct {
	alive    *prometheus.GaugeVec
	restarts *prometheus.CounterVec
	panics   *prometheus.CounterVec
	drops    *prometheus.CounterVec
	dead     prometheus.Counter
	lookups  *prometheus.CounterVec
	depth    prometheus.Gauge
	wait     *prometheus.HistogramVec
	refusals *prometheus.CounterVec
	floods   *prometheus.CounterVec
	floodFor *prometheus.CounterVec
}

// NewMetrics registers them.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	const ns = "gmbot"
	counter := func(sub, name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: ns, Subsystem: sub, Name: name, Help: help}, labels)
	}
	m := &Metrics{
		alive: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: ns, Subsystem: "actor", Name: "alive", Help: "Actors alive, by kind.",
		}, []string{"kind"}),
		restarts: counter("actor", "restarts_total", "Restarts after a panic, by kind.", "kind"),
		panics:   counter("actor", "panics_total", "Panics, by kind.", "kind"),
		drops:    counter("actor", "dropped_messages_total", "Messages that found a full mailbox, by kind.", "kind"),
		dead: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: ns, Subsystem: "actor", Name: "dead_letters_total", Help: "Messages to actors that were gone.",
		}),
		lookups: counter("membership", "lookups_total", "Verdicts, by where they came from and what they were.", "source", "verdict"),
		depth: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: ns, Subsystem: "sender", Name: "waiting_calls", Help: "Calls that wait to leave.",
		}),
		wait: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: ns, Subsystem: "sender", Name: "wait_seconds", Help: "How long calls waited to leave, by lane.",
			Buckets: []float64{.0001, .001, .01, .05, .1, .5, 1, 5, 15, 60, 300},
		}, []string{"lane"}),
		refusals: counter("sender", "refused_total", "Calls that never left, by lane and reason.", "lane", "reason"),
		floods:   counter("sender", "floods_total", "Pauses Telegram asked for, by lane.", "lane"),
		floodFor: counter("sender", "flood_seconds_total", "Seconds of pause Telegram asked for, by lane.", "lane"),
	}
	reg.MustRegister(m.alive, m.restarts, m.panics, m.drops, m.dead, m.lookups, m.depth, m.wait, m.refusals, m.floods, m.floodFor)
	return m
}

// watch counts dead letters, and reports events among them to whoever owns them.
func (m *Metrics) watch(system *actor.ActorSystem, s supervision) {
	system.EventStream.Subscribe(func(event any) {
		letter, ok := event.(*actor.DeadLetterEvent)
		if !ok {
			return
		}
		if m != nil {
			m.dead.Inc()
		}
		s.lost(letter.Message, "nobody was there to take it")
	})
}

func (m *Metrics) live(kind string, by float64) {
	if m != nil {
		m.alive.WithLabelValues(kind).Add(by)
	}
}

func (m *Metrics) restarted(kind string) {
	if m != nil {
		m.restarts.WithLabelValues(kind).Inc()
	}
}

func (m *Metrics) panicked(kind string) {
	if m != nil {
		m.panics.WithLabelValues(kind).Inc()
	}
}

func (m *Metrics) dropped(kind string) {
	if m != nil {
		m.drops.WithLabelValues(kind).Inc()
	}
}

func (m *Metrics) looked(source string, v protos.Verdict) {
	if m != nil {
		m.lookups.WithLabelValues(source, v.String()).Inc()
	}
}

func (m *Metrics) waiting(n int) {
	if m != nil {
		m.depth.Set(float64(n))
	}
}

func (m *Metrics) left(lane protos.Lane, waited time.Duration) {
	if m != nil {
		m.wait.WithLabelValues(lane.String()).Observe(waited.Seconds())
	}
}

func (m *Metrics) refused(lane protos.Lane, reason string) {
	if m != nil {
		m.refusals.WithLabelValues(lane.String(), reason).Inc()
	}
}

func (m *Metrics) flooded(lane protos.Lane, seconds int64) {
	if m != nil {
		m.floods.WithLabelValues(lane.String()).Inc()
		m.floodFor.WithLabelValues(lane.String()).Add(float64(seconds))
	}
}
