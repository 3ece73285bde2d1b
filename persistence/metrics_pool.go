package persistence

import (
	"database/sql"
	"maps"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
)

// poolState is what a pool of connections says of itself.
type poolState struct {
	inUse, idle, capacity int
	waits                 int64
	waited                time.Duration
}

func sqlPool(db *sql.DB) func() poolState {
	return func() poolState {
		s := db.Stats()
		return poolState{s.InUse, s.Idle, s.MaxOpenConnections, s.WaitCount, s.WaitDuration}
	}
}

func pgxPool(pool *pgxpool.Pool) func() poolState {
	return func() poolState {
		s := pool.Stat()
		return poolState{int(s.AcquiredConns()), int(s.IdleConns()), int(s.MaxConns()), s.EmptyAcquireCount(), s.EmptyAcquireWaitTime()}
	}
}

// poolMetrics shows the store's connections; the pools are asked at each scrape.
type poolMetrics struct {
	mu    sync.Mutex
	pools map[string]func() poolState

	connections, capacity, waits, waited *prometheus.Desc
}

func newPoolMetrics() *poolMetrics {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("gmbot_store_pool_"+name, help, append([]string{"pool"}, labels...), nil)
	}
	return &poolMetrics{
		pools:       map[string]func() poolState{},
		connections: desc("connections", "Connections to the database, by pool and whether they are in use or idle.", "state"),
		capacity:    desc("capacity_connections", "Connections a pool may have."),
		waits:       desc("waits_total", "Statements that had to wait for a connection."),
		waited:      desc("wait_seconds_total", "Seconds that statements waited for a connection."),
	}
}

// watch shows a pool under a name; a later one of the same name takes its place.
func (m *Metrics) watch(name string, pool func() poolState) {
	if m == nil {
		return
	}
	m.pools.mu.Lock()
	defer m.pools.mu.Unlock()
	m.pools.pools[name] = pool
}

// Describe implements prometheus.Collector.
func (m *poolMetrics) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.connections, m.capacity, m.waits, m.waited} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (m *poolMetrics) Collect(to chan<- prometheus.Metric) {
	m.mu.Lock()
	pools := maps.Clone(m.pools)
	m.mu.Unlock()
	for name, ask := range pools {
		s := ask()
		to <- prometheus.MustNewConstMetric(m.connections, prometheus.GaugeValue, float64(s.inUse), name, "in_use")
		to <- prometheus.MustNewConstMetric(m.connections, prometheus.GaugeValue, float64(s.idle), name, "idle")
		to <- prometheus.MustNewConstMetric(m.capacity, prometheus.GaugeValue, float64(s.capacity), name)
		to <- prometheus.MustNewConstMetric(m.waits, prometheus.CounterValue, float64(s.waits), name)
		to <- prometheus.MustNewConstMetric(m.waited, prometheus.CounterValue, s.waited.Seconds(), name)
	}
}
