package telegram

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// SecretHeader carries the secret of setWebhook. Source: Bot API, setWebhook.
	SecretHeader = "X-Telegram-Bot-Api-Secret-Token" //nolint:gosec // a header's name

	maxUpdateBytes = 1 << 20
	hooksAtOnce    = 256              // updates from webhooks that may be in the air
	answerWithin   = 20 * time.Second // past the time after which an update is set aside
	guardEvery     = time.Second      // while webhooks come
	guardIdle      = 5 * time.Second
	replayEvery    = time.Second
)

// hooks is what a Source holds of webhooks.
type hooks struct {
	mu     sync.Mutex
	taking bool
	air    map[int64]*load // by update id, so that one that comes again joins what is in the air
	// arrived has room for all that may be in the air.
	arrived chan *load

	guarding sync.Mutex
	guarded  time.Time // when the guard last allowed to go on
}

// RunWebhook takes what a Webhook hands in until ctx ends, then waits a little for what is in the air, and
// returns nil: what could not be finished is sent again. It returns Guard's error when that forbids to go on.
// Whether Telegram sends anything is told by SetTaking.
func (s *Source) RunWebhook(ctx context.Context) error {
	var replaying sync.WaitGroup
	defer replaying.Wait() // it ends when nothing is carried any more
	return s.run(ctx, func(ctx context.Context) error { return s.await(ctx, &replaying) })
}

// SetTaking says whether Telegram sends webhooks here, and if not, why. Polling finds that out by itself.
func (s *Source) SetTaking(ok bool, reason string) { s.setTaking(ok, reason) }

// await passes on what arrives, and has kept updates replayed beside it.
func (s *Source) await(ctx context.Context, replaying *sync.WaitGroup) error {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	replaying.Go(func() {
		if err := s.replayAll(ctx); err != nil {
			end(err)
		}
	})
	s.admit(true)
	defer s.admit(false)
	idle := time.NewTicker(guardIdle)
	defer idle.Stop()
	for {
		var arrived *load
		select {
		case <-ctx.Done():
			return forbidden(ctx)
		case arrived = <-s.hooks.arrived:
		case <-idle.C:
		}
		if err := s.guardSoon(ctx); err != nil {
			end(err)
			return forbidden(ctx)
		}
		if arrived == nil {
			continue
		}
		select {
		case s.loads <- arrived:
		case <-ctx.Done():
			return forbidden(ctx)
		}
	}
}

// guardError is why Guard ended a source.
type guardError struct{ error }

// forbidden is Guard's error if that ended ctx, otherwise nil: the end is no fault.
func forbidden(ctx context.Context) error {
	if e, ok := errors.AsType[guardError](context.Cause(ctx)); ok {
		return e.error
	}
	return nil
}

// guardSoon asks the guard, unless it allowed to go on within the last second.
func (s *Source) guardSoon(ctx context.Context) error {
	s.hooks.guarding.Lock()
	defer s.hooks.guarding.Unlock()
	if time.Since(s.hooks.guarded) < guardEvery {
		return nil
	}
	if err := s.guard(ctx); err != nil {
		return guardError{err}
	}
	s.hooks.guarded = time.Now()
	return nil
}

// replayAll has what was kept judged, whenever the store is there.
func (s *Source) replayAll(ctx context.Context) error {
	tick := time.NewTicker(replayEvery)
	defer tick.Stop()
	for {
		for s.hasKept() {
			if err := s.guardSoon(ctx); err != nil {
				return err
			}
			if !s.replay() {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (s *Source) admit(yes bool) {
	s.hooks.mu.Lock()
	defer s.hooks.mu.Unlock()
	s.hooks.taking = yes
}

// join finds the load an update is in, or begins one. nil: not now.
func (s *Source) join(id int64, it *item) *load {
	h := &s.hooks
	h.mu.Lock()
	defer h.mu.Unlock()
	if l := h.air[id]; l != nil {
		return l
	}
	if !h.taking || len(h.air) >= hooksAtOnce {
		return nil
	}
	l := newLoad([]*item{it})
	l.settled = func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.air, id)
	}
	h.air[id] = l
	h.arrived <- l
	return l
}

// take carries one update and says the status to answer with: 200 when it is settled, or nothing is to do
// about it; 503 when it has to come again.
func (s *Source) take(ctx context.Context, raw json.RawMessage) int {
	it := &item{}
	id, needed := s.read(raw, it)
	switch {
	case id == 0:
		return http.StatusBadRequest
	case !needed:
		return http.StatusOK
	}
	l := s.join(id, it)
	if l == nil {
		s.o.Metrics.update(it.e.GetKind().String(), "refused")
		return http.StatusServiceUnavailable
	}
	late := time.NewTimer(answerWithin)
	defer late.Stop()
	select {
	case <-l.over:
		return http.StatusOK
	case <-s.ended:
	case <-late.C:
	case <-ctx.Done():
	}
	select {
	case <-l.over:
		return http.StatusOK
	default:
		return http.StatusServiceUnavailable
	}
}

// Webhook is the handler that Telegram sends updates to. Until a Source takes them it answers 503, which has
// Telegram send them again.
type Webhook struct {
	secret  [sha256.Size]byte
	metrics *Metrics
	source  atomic.Pointer[Source]
}

// NewWebhook makes a handler that answers 401 to whoever does not show the secret.
func NewWebhook(secret string, m *Metrics) *Webhook {
	return &Webhook{secret: sha256.Sum256([]byte(secret)), metrics: m}
}

// To hands what comes to a source whose RunWebhook runs, or will.
func (h *Webhook) To(s *Source) { h.source.Store(s) }

// ServeHTTP implements http.Handler.
func (h *Webhook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	status := h.status(w, r)
	h.metrics.hooked(status)
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1") // honoured by Telegram. Source: Bot API server, WebhookActor.cpp
	}
	w.WriteHeader(status)
}

func (h *Webhook) status(w http.ResponseWriter, r *http.Request) int {
	shown := sha256.Sum256([]byte(r.Header.Get(SecretHeader)))
	if subtle.ConstantTimeCompare(shown[:], h.secret[:]) != 1 {
		return http.StatusUnauthorized
	}
	if r.Method != http.MethodPost {
		return http.StatusMethodNotAllowed
	}
	source := h.source.Load()
	if source == nil {
		return http.StatusServiceUnavailable
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxUpdateBytes))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return http.StatusRequestEntityTooLarge
	}
	if err != nil {
		return http.StatusBadRequest
	}
	return source.take(r.Context(), raw)
}
