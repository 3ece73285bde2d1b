package persistence

import "github.com/prometheus/client_golang/prometheus"

// SharedMetrics show the shared cache. They exist only where one is configured. A nil pointer shows nothing.
type SharedMetrics struct {
	up       prometheus.Gauge
	changes  prometheus.Gauge
	capacity prometheus.Gauge
}

// NewSharedMetrics registers them. A nil registerer gives nil.
func NewSharedMetrics(reg prometheus.Registerer) *SharedMetrics {
	if reg == nil {
		return nil
	}
	gauge := func(name, help string) prometheus.Gauge {
		return register(reg, prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "gmbot", Subsystem: "redis", Name: name, Help: help}))
	}
	m := &SharedMetrics{
		up:       gauge("up", "1 while the shared cache is used, else 0; missing without REDIS_URL."),
		changes:  gauge("queued_changes", "Changes on their way to the shared cache."),
		capacity: gauge("queue_capacity_changes", "Changes that may be on their way to the shared cache; with more it begins anew."),
	}
	m.capacity.Set(sharedQueue)
	return m
}

func (m *SharedMetrics) isUp(up bool) {
	if m != nil {
		m.up.Set(float64(bit(up)))
	}
}

func (m *SharedMetrics) queued(n int) {
	if m != nil {
		m.changes.Set(float64(n))
	}
}
