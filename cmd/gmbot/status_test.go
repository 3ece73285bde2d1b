package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
)

// Who restarts the program when /live says so must not be told "live" while an actor answers nobody, nor wait for it.
func TestStatus_NotLiveWhileAnActorDoesNotAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, hung := newStatus("test"), false
		s.liveWhen(func(ctx context.Context) error {
			if hung {
				<-ctx.Done()
			}
			return ctx.Err()
		})
		get := func() (int, string) {
			w := httptest.NewRecorder()
			s.handler(prometheus.NewRegistry()).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/live", http.NoBody))
			return w.Code, w.Body.String()
		}
		code, _ := get()
		assert.Equal(t, http.StatusOK, code)
		hung = true
		began := time.Now()
		code, words := get()
		assert.Equal(t, http.StatusServiceUnavailable, code)
		assert.Contains(t, words, "an actor does not answer")
		assert.LessOrEqual(t, time.Since(began), checkWithin)
		hung = false
		code, _ = get()
		assert.Equal(t, http.StatusOK, code, "and it is seen that it answers again")
	})
}
