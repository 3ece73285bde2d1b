package actors

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/gmbot/gmbot/protos"
)

// Metrics counts what actors, the sender and the gate do. Its nil pointer counts nothing.
//
// What traffic counts at each message costs no allocation. No label holds a chat or a person.
type Metrics struct {
	actorMetrics
	senderMetrics
	gateMetrics
	sizeMetrics
}

// NewMetrics registers the metrics of this package; a nil registerer gives nil.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	if reg == nil {
		return nil
	}
	f := factory{promauto.With(reg)}
	return &Metrics{
		actorMetrics: newActorMetrics(f, reg), senderMetrics: newSenderMetrics(f), gateMetrics: newGateMetrics(f), sizeMetrics: newSizeMetrics(f, reg),
	}
}

// factory makes registered metrics of this program.
type factory struct{ promauto.Factory }

func (f factory) counters(subsystem, name, help string, labels ...string) *prometheus.CounterVec {
	return f.NewCounterVec(prometheus.CounterOpts{Namespace: "gmbot", Subsystem: subsystem, Name: name, Help: help}, labels)
}

func (f factory) gauges(subsystem, name, help string, labels ...string) *prometheus.GaugeVec {
	return f.NewGaugeVec(prometheus.GaugeOpts{Namespace: "gmbot", Subsystem: subsystem, Name: name, Help: help}, labels)
}

func (f factory) gauge(subsystem, name, help string) prometheus.Gauge {
	return f.NewGauge(prometheus.GaugeOpts{Namespace: "gmbot", Subsystem: subsystem, Name: name, Help: help})
}

// kinds are the kinds of actors.
func kinds() []string {
	return []string{"sender", "clerk", "sweeper", "overseer", "membership", "router", "group", "verification", "channel", "person"}
}

// actorMetrics count the life of actors and what waits for them, by kind.
type actorMetrics struct {
	alive      *prometheus.GaugeVec
	spawns     *prometheus.CounterVec
	passivated *prometheus.CounterVec
	restarts   *prometheus.CounterVec
	gaveUp     *prometheus.CounterVec
	panics     *prometheus.CounterVec
	drops      *prometheus.CounterVec
	dead       *prometheus.CounterVec
	loads      map[string]*mailboxLoad
}

func newActorMetrics(f factory, reg prometheus.Registerer) actorMetrics {
	m := actorMetrics{
		alive:      f.gauges("actor", "live_actors", "Actors alive, by kind.", "kind"),
		spawns:     f.counters("actor", "spawns_total", "Actors started for the first time, by kind.", "kind"),
		passivated: f.counters("actor", "passivations_total", "Actors that had nothing to do and were ended, by kind.", "kind"),
		restarts:   f.counters("actor", "restarts_total", "Restarts after a panic, by kind.", "kind"),
		gaveUp:     f.counters("actor", "failures_total", "Actors that panicked too often and were stopped, by kind; they come back after a pause.", "kind"),
		panics:     f.counters("actor", "panics_total", "Panics, by kind.", "kind"),
		drops:      f.counters("actor", "dropped_messages_total", "Messages that found a full mailbox, by kind.", "kind"),
		loads:      map[string]*mailboxLoad{},
		dead:       f.counters("actor", "dead_letters_total", "Messages to actors that were gone, by what they held: an update, which comes again, or nothing that anybody misses.", "held"),
	}
	m.dead.WithLabelValues(heldUpdate)
	m.dead.WithLabelValues(heldNothing)
	waited := f.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: "gmbot", Subsystem: "actor", Name: "mailbox_wait_seconds",
		Help:    "How long a message waited in a mailbox, by kind; one message in sixteen of each mailbox is timed.",
		Buckets: []float64{.00001, .0001, .001, .01, .1, 1, 5, 15, 60},
	}, []string{"kind"})
	for _, kind := range kinds() {
		load := &mailboxLoad{waited: waited.WithLabelValues(kind)}
		m.loads[kind] = load
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: "gmbot", Subsystem: "actor", Name: "mailbox_messages",
			Help: "Messages that wait in mailboxes, by kind.", ConstLabels: prometheus.Labels{"kind": kind},
		}, func() float64 { return float64(load.messages.Load()) }))
		m.alive.WithLabelValues(kind)
		for _, c := range []*prometheus.CounterVec{m.spawns, m.passivated, m.restarts, m.gaveUp, m.panics, m.drops} {
			c.WithLabelValues(kind)
		}
	}
	return m
}

// What a dead letter may hold.
const (
	heldUpdate  = "update"
	heldNothing = "nothing"
)

func heldBy(message any) string {
	switch m := actor.UnwrapEnvelopeMessage(message).(type) {
	case *protos.Event:
		return heldUpdate
	case carrier:
		if len(m.events()) > 0 {
			return heldUpdate
		}
	}
	return heldNothing
}

// watch counts dead letters, and reports events among them to whoever owns them.
func (m *Metrics) watch(system *actor.ActorSystem, s *supervision) {
	system.EventStream.Subscribe(func(event any) {
		letter, ok := event.(*actor.DeadLetterEvent)
		if !ok {
			return
		}
		if m != nil {
			m.dead.WithLabelValues(heldBy(letter.Message)).Inc()
		}
		s.lost(letter.Message, "nobody was there to take it")
	})
}

// load is where the mailboxes of a kind count; nil counts nothing.
func (m *Metrics) load(kind string) *mailboxLoad {
	if m == nil {
		return nil
	}
	return m.loads[kind]
}

func (m *Metrics) live(kind string, by float64) {
	if m != nil {
		m.alive.WithLabelValues(kind).Add(by)
	}
}

func (m *Metrics) spawned(kind string) {
	if m != nil {
		m.spawns.WithLabelValues(kind).Inc()
	}
}

func (m *Metrics) slept(kind string) {
	if m != nil {
		m.passivated.WithLabelValues(kind).Inc()
	}
}

func (m *Metrics) restarted(kind string) {
	if m != nil {
		m.restarts.WithLabelValues(kind).Inc()
	}
}

func (m *Metrics) failed(kind string) {
	if m != nil {
		m.gaveUp.WithLabelValues(kind).Inc()
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

// since is a duration in the unit of all metrics.
func since(d time.Duration) float64 { return max(d.Seconds(), 0) }
