package actors

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gmbot/gmbot/persistence"
)

// countEvery is how often the store is asked how much of everything there is.
const countEvery = 15 * time.Second

// sizeMetrics show how much there is of what has a bound or grows, as it is at each scrape; what the store
// has to count is as of the last count, and missing until the first.
type sizeMetrics struct{ sizes *sizes }

type sizes struct {
	mu     sync.Mutex
	known  bool
	counts persistence.Counts
	clock  Clock
	cache  *MembershipCache
	pools  map[string]*workPool

	protected, rows, oldest, paused, aside, deferred, entries, entriesMax, tasks, tasksMax *prometheus.Desc
}

func newSizeMetrics(_ factory, reg prometheus.Registerer) sizeMetrics {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("gmbot_"+name, help, labels, nil)
	}
	s := &sizes{
		protected:  desc("gate_protected_groups", "Groups whose protection is on. Those awake are actors of the kind group."),
		rows:       desc("flow_open_flows", "People with something under way, by state; muted ones sleep.", "state"),
		oldest:     desc("flow_oldest_age_seconds", "How long ago the oldest flow in a state began, by state; 0 when there is none.", "state"),
		paused:     desc("gate_paused_places", "Groups and channels in which the bot cannot do what a group needs now, by what that is.", "kind"),
		aside:      desc("gate_set_aside_updates", "Updates nobody could finish that wait in the store for somebody to look at them."),
		deferred:   desc("gate_deferred_updates", "Updates that could not be finished in time, and that wait in the store to be tried again."),
		entries:    desc("membership_cache_entries", "Memberships held in memory."),
		entriesMax: desc("membership_cache_capacity_entries", "Memberships that memory may hold; the least used make room."),
		tasks:      desc("pool_waiting_tasks", "Tasks that wait for a goroutine of a pool, by pool.", "pool"),
		tasksMax:   desc("pool_capacity_tasks", "Tasks that may wait for a pool; more are refused.", "pool"),
	}
	reg.MustRegister(s)
	return sizeMetrics{s}
}

// Describe implements prometheus.Collector.
func (s *sizes) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{s.protected, s.rows, s.oldest, s.paused, s.aside, s.deferred, s.entries, s.entriesMax, s.tasks, s.tasksMax} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (s *sizes) Collect(to chan<- prometheus.Metric) {
	s.mu.Lock()
	defer s.mu.Unlock()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	if s.cache != nil {
		gauge(s.entries, float64(s.cache.Len()))
		gauge(s.entriesMax, float64(s.cache.bound))
	}
	for name, pool := range s.pools {
		gauge(s.tasks, float64(len(pool.work)), name)
		gauge(s.tasksMax, float64(cap(pool.work)), name)
	}
	if !s.known {
		return
	}
	gauge(s.protected, float64(s.counts.Protected))
	gauge(s.aside, float64(s.counts.SetAside))
	gauge(s.deferred, float64(s.counts.Deferred))
	for _, state := range []persistence.FlowState{persistence.Checking, persistence.Muting, persistence.Muted, persistence.Freeing} {
		gauge(s.rows, float64(s.counts.Flows[state]), string(state))
		if state == persistence.Muted {
			continue // it sleeps for as long as the person stays outside
		}
		age := 0.0
		if began := s.counts.Oldest[state]; !began.IsZero() {
			age = since(s.clock().Sub(began))
		}
		gauge(s.oldest, age, string(state))
	}
	for _, kind := range pauseKinds() {
		gauge(s.paused, float64(s.counts.Pauses[kind]), string(kind))
	}
}

func (s *sizes) took(c persistence.Counts) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known, s.counts = true, c
}

// size shows the sizes of what d has, and counts in its store until ctx ends.
func (m *Metrics) size(ctx context.Context, d *deps, shared *workPool) {
	if m == nil {
		return
	}
	m.sizes.mu.Lock()
	m.sizes.cache, m.sizes.clock = d.cache, d.clock
	m.sizes.pools = map[string]*workPool{"reads": d.pool, "commands": d.commands}
	if shared != nil {
		m.sizes.pools["shared"] = shared
	}
	m.sizes.mu.Unlock()
	go func() {
		tick := time.NewTicker(countEvery)
		defer tick.Stop()
		for {
			if !d.writer.Away() {
				if counts, err := d.store.Counts(ctx); err == nil {
					m.sizes.took(counts)
				} else if ctx.Err() == nil {
					d.log.Warn().Err(err).Msg("the store could not be counted; its metrics show what was")
				}
			}
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}()
}
