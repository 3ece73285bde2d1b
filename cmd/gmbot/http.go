package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/rs/zerolog"

	"github.com/gmbot/gmbot/actors"
)

// requestsAtOnce bounds what is answered at the same time; who comes on top is told to come again.
const requestsAtOnce = 32

// handler serves the endpoints.
func (s *status) handler(reg *prometheus.Registry) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /live", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), checkWithin)
		defer cancel()
		if err := s.isLive(ctx); err != nil {
			writeText(w, http.StatusServiceUnavailable, "not live: an actor does not answer")
			return
		}
		writeText(w, http.StatusOK, "live")
	})
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) {
		ok, reason := s.isReady()
		but := s.but()
		switch {
		case !ok && but != "" && but != reason:
			writeText(w, http.StatusServiceUnavailable, "not ready: "+reason+"; "+but)
		case !ok:
			writeText(w, http.StatusServiceUnavailable, "not ready: "+reason)
		case but != "":
			writeText(w, http.StatusOK, "ready, but "+but)
		default:
			writeText(w, http.StatusOK, "ready")
		}
	})
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, r *http.Request) { writeJSON(w, s.health(r.Context())) })
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 10 * time.Second}))
	return mux
}

func writeText(w http.ResponseWriter, code int, words string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	_, _ = fmt.Fprintln(w, words)
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	to := json.NewEncoder(w)
	to.SetEscapeHTML(false)
	_ = to.Encode(v)
}

// bounded answers at most n requests at once, none of which may bring more than a little.
func bounded(n int, h http.Handler) http.Handler {
	slots := make(chan struct{}, n)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
			r.Body = http.MaxBytesReader(w, r.Body, 1<<10)
			h.ServeHTTP(w, r)
		default:
			w.Header().Set("Retry-After", "1")
			writeText(w, http.StatusServiceUnavailable, "busy")
		}
	})
}

// listen binds HTTP_ADDR before anything else is begun, so that a wrong one shows at once.
func listen(ctx context.Context, addr string) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, settingErrors{{"HTTP_ADDR", "cannot be listened on: " + addr, "name a free one, for example :8000 or 127.0.0.1:9000"}}
	}
	return l, nil
}

// serve answers on l until it is stopped; no answer takes longer than within.
func serve(ctx context.Context, l net.Listener, h http.Handler, within time.Duration, lines zerolog.Logger) (stop func(context.Context)) {
	srv := &http.Server{
		Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: within,
		IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10, BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
	}
	actors.AdoptHTTP(srv, lines.With().Str("from", "http").Logger())
	ended := make(chan struct{})
	go func() {
		_ = srv.Serve(l) // ErrServerClosed, or the listener is gone: either way it is over
		close(ended)
	}()
	return func(ctx context.Context) {
		if err := srv.Shutdown(ctx); err != nil {
			_ = srv.Close()
		}
		<-ended
	}
}
