package actors

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/protos"
)

// gateMetrics count what the gate decides and does.
type gateMetrics struct {
	pass     *prometheus.CounterVec
	decide   *prometheus.CounterVec
	steps    *prometheus.CounterVec
	mutes    *prometheus.CounterVec
	frees    *prometheus.CounterVec
	deletes  *prometheus.CounterVec
	closes   *prometheus.CounterVec
	retries  *prometheus.CounterVec
	rights   *prometheus.CounterVec
	lookups  *prometheus.CounterVec
	sweeps   *prometheus.CounterVec
	breakers prometheus.Gauge
	crowds   prometheus.Gauge

	// What nearly every message counts.
	passKnown, lookInside prometheus.Counter
}

// The steps of the funnel, in the order in which people take them.
const (
	stepShown    = "shown"      // was shown the way to the channel
	stepPressed  = "pressed"    // pressed "I have joined"
	stepVerified = "verified"   // was freed for having joined
	stepLeft     = "left_again" // left the channel and was muted for it
)

func newGateMetrics(f factory) gateMetrics {
	const sub = "gate"
	m := gateMetrics{
		pass:     f.counters(sub, "passed_updates_total", "Updates that needed no look at anybody, by reason.", "reason"),
		decide:   f.counters(sub, "verifications_total", "Looks at a person, by what caused them, the verdict on the channels, and what was decided.", "cause", "verdict", "decision"),
		steps:    f.counters(sub, "funnel_people_total", "People who took a step of the way through the gate.", "step"),
		mutes:    f.counters(sub, "mutes_total", "Attempts to mute, by outcome.", "outcome"),
		frees:    f.counters(sub, "frees_total", "Attempts to free, by outcome.", "outcome"),
		deletes:  f.counters(sub, "deleted_messages_total", "Messages whose deletion was attempted, by outcome.", "outcome"),
		closes:   f.counters(sub, "closed_flows_total", "Flows that ended, by reason.", "reason"),
		retries:  f.counters(sub, "retries_total", "Looks put off, by reason.", "reason"),
		rights:   f.counters(sub, "lost_rights_total", "Times that the bot lost what it needs somewhere, by what it cannot do since.", "kind"),
		lookups:  f.counters("membership", "lookups_total", "Verdicts on memberships, by where they came from and what they were; push counts what Telegram told unasked.", "source", "verdict"),
		sweeps:   f.counters("sweeper", "checked_people_total", "Known members asked about again, by verdict; OUTSIDE are those whose leaving nobody told.", "verdict"),
		crowds:   f.gauge(sub, "crowd_people", "Newcomers whose turn to be looked at has not come, since very many write in their group; their messages are noted."),
		breakers: f.gauge("membership", "open_breakers", "Channels that are not asked about for the moment, since Telegram kept not answering."),
	}
	for _, step := range []string{stepShown, stepPressed, stepVerified, stepLeft} {
		m.steps.WithLabelValues(step)
	}
	for _, kind := range pauseKinds() {
		m.rights.WithLabelValues(string(kind))
	}
	for _, v := range []protos.Verdict{protos.Verdict_INSIDE, protos.Verdict_OUTSIDE, protos.Verdict_UNKNOWN} {
		m.sweeps.WithLabelValues(v.String())
		for _, source := range []string{"memory", "telegram"} {
			m.lookups.WithLabelValues(source, v.String())
		}
		// All of them from the start, so that the number of series does not depend on what happened so far.
		for t := byResume; t <= byPress; t++ {
			for _, a := range []act{actClose, actMute, actKeep, actFree, actRetry} {
				m.decide.WithLabelValues(t.String(), v.String(), a.String())
			}
		}
	}
	for _, o := range []protos.Outcome{protos.Outcome_DONE, protos.Outcome_FAILED, protos.Outcome_UNCLEAR} {
		for _, v := range []*prometheus.CounterVec{m.mutes, m.frees, m.deletes} {
			v.WithLabelValues(o.String())
		}
	}
	for _, reason := range []string{"known", "exempt", "duplicate", "unconcerned"} {
		m.pass.WithLabelValues(reason)
	}
	m.passKnown, m.lookInside = m.pass.WithLabelValues("known"), m.lookups.WithLabelValues("memory", protos.Verdict_INSIDE.String())
	return m
}

func pauseKinds() []persistence.PauseKind {
	return []persistence.PauseKind{persistence.CannotJudge, persistence.CannotMute, persistence.CannotDelete, persistence.Braked}
}

func (t trigger) String() string {
	switch t {
	case byResume:
		return "resume"
	case byModerator:
		return "moderator"
	case byTime:
		return "time"
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

func (a act) String() string {
	switch a {
	case actClose:
		return "close"
	case actMute:
		return "mute"
	case actKeep:
		return "keep"
	case actFree:
		return "free"
	case actRetry:
		return "retry"
	case actRemove:
		return "remove"
	}
	return "other"
}

func (m *Metrics) passed(reason string) {
	if m != nil {
		m.pass.WithLabelValues(reason).Inc()
	}
}

// knew counts a message of somebody whom memory knows to be in the channels.
func (m *Metrics) knew() {
	if m != nil {
		m.passKnown.Inc()
		m.lookInside.Inc()
	}
}

func (m *Metrics) decided(t trigger, v protos.Verdict, a act) {
	if m != nil {
		m.decide.WithLabelValues(t.String(), v.String(), a.String()).Inc()
	}
}

// step counts people who took a step of the funnel.
func (m *Metrics) step(name string, people int) {
	if m != nil {
		m.steps.WithLabelValues(name).Add(float64(people))
	}
}

func (m *Metrics) lostRight(kind persistence.PauseKind) {
	if m != nil {
		m.rights.WithLabelValues(string(kind)).Inc()
	}
}

func (m *Metrics) looked(source string, v protos.Verdict) {
	if m != nil {
		m.lookups.WithLabelValues(source, v.String()).Inc()
	}
}

func (m *Metrics) swept(v protos.Verdict) {
	if m != nil {
		m.sweeps.WithLabelValues(v.String()).Inc()
	}
}

func (m *Metrics) breaking(by float64) {
	if m != nil {
		m.breakers.Add(by)
	}
}

// crowd counts who waits for a turn in a group.
func (m *Metrics) crowd(by int) {
	if m != nil {
		m.crowds.Add(float64(by))
	}
}

func (m *Metrics) muted(o protos.Outcome) {
	if m != nil {
		m.mutes.WithLabelValues(o.String()).Inc()
	}
}

func (m *Metrics) freed(o protos.Outcome) {
	if m != nil {
		m.frees.WithLabelValues(o.String()).Inc()
	}
}

func (m *Metrics) deleted(o protos.Outcome, n int) {
	if m != nil {
		m.deletes.WithLabelValues(o.String()).Add(float64(n))
	}
}

func (m *Metrics) closed(reason string) {
	if m != nil {
		m.closes.WithLabelValues(reason).Inc()
	}
}

func (m *Metrics) retried(reason string) {
	if m != nil {
		m.retries.WithLabelValues(reason).Inc()
	}
}
