package actors

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gmbot/gmbot/protos"
)

// senderMetrics show the sender's lanes.
type senderMetrics struct {
	waiting  *prometheus.GaugeVec
	oldest   *prometheus.GaugeVec
	inAir    prometheus.Gauge
	wait     *prometheus.HistogramVec
	refusals *prometheus.CounterVec
	floods   *prometheus.CounterVec
	floodFor *prometheus.CounterVec
}

// refusals are the reasons for which a call never leaves; see the sender.
func refusals() []string {
	return []string{"queue full", "superseded", "withdrawn", "too late", "stopping"}
}

func newSenderMetrics(f factory) senderMetrics {
	const sub = "sender"
	m := senderMetrics{
		waiting: f.gauges(sub, "waiting_calls", "Calls that wait to leave, by lane.", "lane"),
		oldest:  f.gauges(sub, "oldest_wait_seconds", "How long the oldest call has waited to leave, by lane; 0 when none waits.", "lane"),
		inAir:   f.gauge(sub, "in_air_calls", "Calls under way to Telegram."),
		wait: f.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "gmbot", Subsystem: sub, Name: "wait_seconds", Help: "How long calls waited to leave, by lane.",
			Buckets: []float64{.0001, .001, .01, .05, .1, .5, 1, 5, 15, 60, 300},
		}, []string{"lane"}),
		refusals: f.counters(sub, "shed_calls_total", "Calls that never left, by lane and reason.", "lane", "reason"),
		floods:   f.counters(sub, "floods_total", "Answers 429, with which Telegram asks for a pause, by lane.", "lane"),
		floodFor: f.counters(sub, "flood_seconds_total", "Seconds of pause that Telegram asked for, by lane.", "lane"),
	}
	for i := range laneCount {
		lane := protos.Lane(i).String()
		m.waiting.WithLabelValues(lane)
		m.oldest.WithLabelValues(lane)
		m.wait.WithLabelValues(lane)
		m.floods.WithLabelValues(lane)
		m.floodFor.WithLabelValues(lane)
		for _, reason := range refusals() {
			m.refusals.WithLabelValues(lane, reason)
		}
	}
	return m
}

// measured shows what waits at one moment.
func (m *Metrics) measured(load [laneCount]laneLoad, inAir int) {
	if m == nil {
		return
	}
	for i, l := range load {
		lane := protos.Lane(i).String()
		m.waiting.WithLabelValues(lane).Set(float64(l.waiting))
		m.oldest.WithLabelValues(lane).Set(since(l.oldest))
	}
	m.inAir.Set(float64(inAir))
}

func (m *Metrics) left(lane protos.Lane, waited time.Duration) {
	if m != nil {
		m.wait.WithLabelValues(lane.String()).Observe(since(waited))
	}
}

func (m *Metrics) refused(lane protos.Lane, reason string) {
	if m == nil {
		return
	}
	if reason == "" {
		reason = "too late" // the client found the deadline passed
	}
	m.refusals.WithLabelValues(lane.String(), reason).Inc()
}

func (m *Metrics) flooded(lane protos.Lane, seconds int64) {
	if m != nil {
		m.floods.WithLabelValues(lane.String()).Inc()
		m.floodFor.WithLabelValues(lane.String()).Add(float64(seconds))
	}
}
