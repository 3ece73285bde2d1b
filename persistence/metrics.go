package persistence

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts what the store and its writer do. A nil pointer counts nothing.
type Metrics struct {
	query       *prometheus.HistogramVec
	transaction *prometheus.HistogramVec
	changes     prometheus.Histogram
	depth       prometheus.Gauge
	capacity    prometheus.Gauge
	errors      *prometheus.CounterVec
}

// NewMetrics registers the store's metrics. A nil registerer gives nil. What was registered before is
// shared, so a store and a writer may each make their own.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	if reg == nil {
		return nil
	}
	// A commit waits for the disk: half a millisecond to some seconds.
	buckets := prometheus.ExponentialBuckets(0.0001, 4, 10)
	return &Metrics{
		query: register(reg, prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "gmbot", Subsystem: "store", Name: "query_seconds",
			Help: "Time a read took, by what was read.", Buckets: buckets,
		}, []string{"query"})),
		transaction: register(reg, prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "gmbot", Subsystem: "store", Name: "transaction_seconds",
			Help: "Time a transaction took until it was durable or undone, with the wait for the connection, by its kind.", Buckets: buckets,
		}, []string{"transaction"})),
		changes: register(reg, prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "gmbot", Subsystem: "store", Name: "changes_per_transaction",
			Help: "Changes the writer gathered into one transaction.", Buckets: prometheus.ExponentialBuckets(1, 2, 10),
		})),
		depth: register(reg, prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "gmbot", Subsystem: "store", Name: "queue_depth",
			Help: "Changes waiting for the writer.",
		})),
		capacity: register(reg, prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "gmbot", Subsystem: "store", Name: "queue_capacity",
			Help: "Changes that may wait for the writer; more are refused.",
		})),
		errors: register(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "gmbot", Subsystem: "store", Name: "errors_total",
			Help: "Failed reads and transactions, and refused changes, by kind.",
		}, []string{"kind"})),
	}
}

// register registers a collector, or returns the one registered before under the same name.
func register[C prometheus.Collector](reg prometheus.Registerer, c C) C {
	err := reg.Register(c)
	if twice, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok {
		if old, ok := twice.ExistingCollector.(C); ok {
			return old
		}
	}
	if err != nil {
		panic(err) // the same name with another shape: a mistake in this file
	}
	return c
}

func (m *Metrics) queried(name string, took time.Duration, err error) {
	if m == nil {
		return
	}
	m.query.WithLabelValues(name).Observe(took.Seconds())
	m.failed(err)
}

func (m *Metrics) transacted(name string, took time.Duration, err error) {
	if m == nil {
		return
	}
	m.transaction.WithLabelValues(name).Observe(took.Seconds())
	m.failed(err)
}

func (m *Metrics) failed(err error) {
	if m == nil || err == nil || errors.Is(err, ErrNotFound) {
		return
	}
	m.errors.WithLabelValues(errorKind(err)).Inc()
}

func (m *Metrics) gathered(n int) {
	if m != nil {
		m.changes.Observe(float64(n))
	}
}

func (m *Metrics) queued(depth, capacity int) {
	if m != nil {
		m.depth.Set(float64(depth))
		m.capacity.Set(float64(capacity))
	}
}
