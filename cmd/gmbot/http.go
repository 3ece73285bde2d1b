package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// status is what the endpoints show. It is safe for concurrent use.
type status struct {
	mu      sync.Mutex
	began   time.Time
	ready   func() (bool, string)
	checks  map[string]func(context.Context) error
	version string
}

func newStatus(version string) *status {
	return &status{
		began: time.Now(), version: version, checks: map[string]func(context.Context) error{},
		ready: func() (bool, string) { return false, "starting" },
	}
}

// readyWhen says whom to ask whether updates are being taken.
func (s *status) readyWhen(f func() (bool, string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready = f
}

// because answers "not ready" with a reason, until somebody better can be asked.
func (s *status) because(reason string) { s.readyWhen(func() (bool, string) { return false, reason }) }

func (s *status) check(name string, f func(context.Context) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.checks[name] = f
}

func (s *status) isReady() (bool, string) {
	s.mu.Lock()
	f := s.ready
	s.mu.Unlock()
	return f()
}

// health is the JSON of /health.
type health struct {
	Status        string           `json:"status"` // ok or degraded
	Version       string           `json:"version"`
	UptimeSeconds int64            `json:"uptime_seconds"`
	Checks        map[string]check `json:"checks"`
}

type check struct {
	OK        bool    `json:"ok"`
	Reason    string  `json:"reason,omitempty"`
	LatencyMs float64 `json:"latency_ms"`
}

func (s *status) health(ctx context.Context) health {
	h := health{Status: "ok", Version: s.version, UptimeSeconds: int64(time.Since(s.began).Seconds()), Checks: map[string]check{}}
	ready, reason := s.isReady()
	h.Checks["updates"] = check{OK: ready, Reason: reason}
	s.mu.Lock()
	checks := maps.Clone(s.checks)
	s.mu.Unlock()
	for name, f := range checks {
		began := time.Now()
		err := f(ctx)
		c := check{OK: err == nil, LatencyMs: float64(time.Since(began).Microseconds()) / 1000}
		if err != nil {
			c.Reason = "does not answer"
		}
		h.Checks[name] = c
	}
	for _, c := range h.Checks {
		if !c.OK {
			h.Status = "degraded"
		}
	}
	return h
}

// handler serves the endpoints.
func (s *status) handler(reg *prometheus.Registry) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /live", func(w http.ResponseWriter, _ *http.Request) { writeText(w, http.StatusOK, "live") })
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) {
		if ok, reason := s.isReady(); !ok {
			writeText(w, http.StatusServiceUnavailable, "not ready: "+reason)
			return
		}
		writeText(w, http.StatusOK, "ready")
	})
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
		defer cancel()
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(s.health(ctx))
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 10 * time.Second}))
	return mux
}

func writeText(w http.ResponseWriter, code int, words string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	_, _ = fmt.Fprintln(w, words)
}

// newRegistry makes the one registry; what the Go collectors name gets the program's prefix too.
func newRegistry() *prometheus.Registry {
	reg := prometheus.NewRegistry()
	own := prometheus.WrapRegistererWithPrefix("gmbot_", reg)
	own.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: "gmbot", Name: "build_info", Help: "Always 1; the label is the version.",
		ConstLabels: prometheus.Labels{"version": version()},
	})
	info.Set(1)
	reg.MustRegister(info)
	return reg
}

// listen binds HTTP_ADDR before anything else is begun, so that a wrong one shows at once.
func listen(ctx context.Context, addr string) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, settingErrors{{"HTTP_ADDR", "cannot be listened on: " + addr, "name a free one, for example :8000 or 127.0.0.1:9000"}}
	}
	return l, nil
}

// serve answers on l until ctx ends.
func serve(ctx context.Context, l net.Listener, h http.Handler) (stop func(context.Context)) {
	srv := &http.Server{
		Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second,
		IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10, BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
	}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(l) }()
	return func(ctx context.Context) {
		if err := srv.Shutdown(ctx); err != nil {
			_ = srv.Close()
		}
		if err := <-ended; errors.Is(err, http.ErrServerClosed) {
			return
		}
	}
}
