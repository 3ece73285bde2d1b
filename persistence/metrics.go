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
	away        prometheus.Gauge
	journal     prometheus.Gauge
	journalSize prometheus.Gauge
	keptChanges prometheus.Gauge
	changesSize prometheus.Gauge
	journalMax  prometheus.Gauge
	pools       *poolMetrics
}

// NewMetrics registers the store's metrics. A nil registerer gives nil. What was registered before is
// shared, so a store and a writer may each make their own.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	if reg == nil {
		return nil
	}
	// A commit waits for the disk: half a millisecond to some seconds.
	buckets := prometheus.ExponentialBuckets(0.0001, 4, 10)
	m := &Metrics{
		pools: register(reg, newPoolMetrics()),
		query: register(reg, prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "gmbot", Subsystem: "store", Name: "query_seconds",
			Help: "Time a read took, by what was read.", Buckets: buckets,
		}, []string{"query"})),
		transaction: register(reg, prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "gmbot", Subsystem: "store", Name: "transaction_seconds",
			Help: "Time a transaction took until it was durable or undone, with the wait for the connection, by its kind.", Buckets: buckets,
		}, []string{"transaction"})),
		changes: register(reg, prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "gmbot", Subsystem: "store", Name: "transaction_changes",
			Help: "Changes the writer gathered into one transaction.", Buckets: prometheus.ExponentialBuckets(1, 2, 10),
		})),
		depth: register(reg, prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "gmbot", Subsystem: "store", Name: "queued_changes",
			Help: "Changes waiting for the writer.",
		})),
		capacity: register(reg, prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "gmbot", Subsystem: "store", Name: "queue_capacity_changes",
			Help: "Changes that may wait for the writer; more are refused.",
		})),
		errors: register(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "gmbot", Subsystem: "store", Name: "errors_total",
			Help: "Failed reads and transactions, and refused changes, by kind.",
		}, []string{"kind"})),
		away: register(reg, prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "gmbot", Subsystem: "store", Name: "away",
			Help: "1 while the database does not answer, else 0.",
		})),
		journal: register(reg, prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "gmbot", Subsystem: "journal", Name: "updates",
			Help: "Updates that wait in the journal for the database.",
		})),
		journalSize: register(reg, prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "gmbot", Subsystem: "journal", Name: "size_bytes",
			Help: "Bytes in the journal of updates.",
		})),
		keptChanges: register(reg, prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "gmbot", Subsystem: "journal", Name: "changes",
			Help: "Changes of rows that wait in the journal for the database.",
		})),
		changesSize: register(reg, prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "gmbot", Subsystem: "journal", Name: "changes_size_bytes",
			Help: "Bytes in the journal of changes.",
		})),
		journalMax: register(reg, prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "gmbot", Subsystem: "journal", Name: "capacity_bytes",
			Help: "Bytes the journal may hold; beyond them nothing new is taken.",
		})),
	}
	for _, kind := range errorKinds() {
		m.errors.WithLabelValues(kind)
	}
	for _, name := range readNames {
		m.query.WithLabelValues(name)
	}
	for _, name := range transactionNames {
		m.transaction.WithLabelValues(name)
	}
	return m
}

// readNames and transactionNames are the values of the labels query and transaction: each series stands from
// the start, so that their number does not depend on what happened so far.
var readNames = []string{
	"audit_of", "audit_trail", "count_flows", "count_seen", "counts", "day", "due_before", "exemptions",
	"flow", "flows_of_group", "flows_of_user", "group", "groups_of_owner", "groups_requiring", "is_exempt",
	"join_request", "join_requests_before", "join_requests_of", "lately_seen", "meta", "muted_flows",
	"notices", "oldest_proofs", "open_flows_of_group", "open_groups", "pauses", "person", "ping", "protected_groups",
	"removals_before", "required_channels", "seen", "seen_by_channel", "seen_for_channel", "seen_in",
	"set_asides", "deferred", "wizard",
}

var transactionNames = []string{"prune", "update"}

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

func (m *Metrics) isAway(away bool) {
	if m != nil {
		m.away.Set(float64(bit(away)))
	}
}

func (m *Metrics) kept(records int, size, limit int64) {
	if m != nil {
		m.journal.Set(float64(records))
		m.journalSize.Set(float64(size))
		m.journalMax.Set(float64(limit))
	}
}

// OfChanges shows a journal of changes instead of one of updates.
func (m *Metrics) OfChanges() *Metrics {
	if m == nil {
		return nil
	}
	view := *m
	view.journal, view.journalSize = m.keptChanges, m.changesSize
	return &view
}
