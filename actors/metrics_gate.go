package actors

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gmbot/gmbot/protos"
)

// GateMetrics counts what the gate decides and does. Its zero pointer counts nothing.
type GateMetrics struct {
	pass     *prometheus.CounterVec
	decide   *prometheus.CounterVec
	mutes    *prometheus.CounterVec
	frees    *prometheus.CounterVec
	deletes  *prometheus.CounterVec
	closes   *prometheus.CounterVec
	retries  *prometheus.CounterVec
	setAside prometheus.Counter
}

// NewGateMetrics registers the gate's metrics.
func NewGateMetrics(reg prometheus.Registerer) *GateMetrics {
	vec := func(name, help string, labels ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "gmbot", Subsystem: "gate", Name: name, Help: help}, labels)
		reg.MustRegister(v)
		return v
	}
	m := &GateMetrics{
		pass:    vec("passed_total", "Updates that needed no look at anybody, by reason.", "reason"),
		decide:  vec("verifications_total", "Looks at a person, by what caused them and the verdict on the channels.", "cause", "verdict"),
		mutes:   vec("mutes_total", "Attempts to mute, by outcome.", "outcome"),
		frees:   vec("frees_total", "Attempts to free, by outcome.", "outcome"),
		deletes: vec("deleted_messages_total", "Messages whose deletion was attempted, by outcome.", "outcome"),
		closes:  vec("flows_closed_total", "Flows that ended, by reason.", "reason"),
		retries: vec("retries_total", "Looks put off, by reason.", "reason"),
	}
	m.setAside = prometheus.NewCounter(prometheus.CounterOpts{
		Namespace: "gmbot", Subsystem: "gate", Name: "set_aside_total", Help: "Updates nobody could finish, kept in the store.",
	})
	reg.MustRegister(m.setAside)
	return m
}

func (t trigger) String() string {
	switch t {
	case byResume:
		return "resume"
	case byModerator:
		return "moderator"
	case byHint:
		return "channel_join"
	case byLeave:
		return "channel_leave"
	case byJoin:
		return "join"
	case byMessage:
		return "message"
	case byPress:
		return "press"
	}
	return "other"
}

func (m *GateMetrics) passed(reason string) {
	if m != nil {
		m.pass.WithLabelValues(reason).Inc()
	}
}

func (m *GateMetrics) decided(t trigger, v protos.Verdict) {
	if m != nil {
		m.decide.WithLabelValues(t.String(), v.String()).Inc()
	}
}

func (m *GateMetrics) muted(o protos.Outcome) {
	if m != nil {
		m.mutes.WithLabelValues(o.String()).Inc()
	}
}

func (m *GateMetrics) freed(o protos.Outcome) {
	if m != nil {
		m.frees.WithLabelValues(o.String()).Inc()
	}
}

func (m *GateMetrics) deleted(o protos.Outcome, n int) {
	if m != nil {
		m.deletes.WithLabelValues(o.String()).Add(float64(n))
	}
}

func (m *GateMetrics) closed(reason string) {
	if m != nil {
		m.closes.WithLabelValues(reason).Inc()
	}
}

func (m *GateMetrics) retried(reason string) {
	if m != nil {
		m.retries.WithLabelValues(reason).Inc()
	}
}

func (m *GateMetrics) wasSetAside() {
	if m != nil {
		m.setAside.Inc()
	}
}
