package telegram

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/protos"
)

const hookPass = "s3cret_-"

// answered is what became of a request to a webhook.
type answered struct {
	at     time.Duration
	status int
	header http.Header
}

// hookBox is a box whose Source takes webhooks.
type hookBox struct {
	*box
	hook    *Webhook
	err     error
	guards  int
	guard   func() error
	away    bool
	shelved [][]byte
	full    bool
}

// inHookBox runs a test with a Source that takes webhooks already, and ends it.
func inHookBox(t *testing.T, test func(h *hookBox)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := &hookBox{box: &box{t: t, began: time.Now(), done: make(chan struct{}), reg: prometheus.NewRegistry()}}
		m := NewMetrics(h.reg)
		h.hook = NewWebhook(hookPass, m)
		h.src = NewSource(SourceOptions{
			Deliver: h.deliver, Asides: h, Guard: h.allow, Keeper: h, Away: h.isAway, Log: zerolog.New(&h.log), Metrics: m,
		})
		h.hook.To(h.src)
		var ctx context.Context
		ctx, h.end = context.WithCancel(t.Context())
		go func() {
			h.err = h.src.RunWebhook(ctx)
			h.endedAt = time.Since(h.began)
			close(h.done)
		}()
		synctest.Wait()
		test(h)
		h.step()
		h.end()
		<-h.done
	})
}

func (h *hookBox) allow(context.Context) error {
	h.mu.Lock()
	h.guards++
	guard := h.guard
	h.mu.Unlock()
	if guard == nil {
		return nil
	}
	return guard()
}

func (h *hookBox) isAway() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.away
}

func (h *hookBox) setAway(yes bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.away = yes
}

// Keep implements Keeper.
func (h *hookBox) Keep(records ...[]byte) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.full {
		return errStore
	}
	h.shelved = append(h.shelved, records...)
	return nil
}

// Next implements Keeper.
func (h *hookBox) Next(n int) ([][]byte, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.shelved[:min(n, len(h.shelved))], nil
}

// Done implements Keeper.
func (h *hookBox) Done(n int) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.shelved = h.shelved[n:]
	return nil
}

// Len implements Keeper.
func (h *hookBox) Len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.shelved)
}

// post has a request made, and returns at once.
func (h *hookBox) post(ctx context.Context, body string) <-chan answered {
	h.t.Helper()
	h.step()
	got := make(chan answered, 1)
	go func() {
		r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/hook", strings.NewReader(body))
		r.Header.Set(SecretHeader, hookPass)
		w := httptest.NewRecorder()
		h.hook.ServeHTTP(w, r)
		got <- answered{time.Since(h.began), w.Code, w.Header()}
	}()
	synctest.Wait()
	return got
}

func (h *hookBox) come(id, chat int64) <-chan answered {
	h.t.Helper()
	return h.post(h.t.Context(), string(write(id, chat)))
}

func TestWebhook_AnswersWhenSettled(t *testing.T) {
	t.Parallel()
	inHookBox(t, func(h *hookBox) {
		first, second := h.come(10, -1), h.come(11, -2)
		h.pass(4 * time.Second)
		assert.Empty(t, first)
		h.settle(11)
		assert.Equal(t, answered{4 * time.Second, 200, http.Header{}}, <-second, "each by itself")
		h.give(10)
		h.settle(10)
		assert.Equal(t, 200, (<-first).status)
		assert.Equal(t, []string{"10.1", "11.1", "10.2"}, h.order(), "handed out again, as when polled")
		assert.Empty(t, h.src.open)
		assert.Empty(t, h.src.hooks.air)
	})
}

func TestWebhook_SetAsideAfterThree(t *testing.T) {
	t.Parallel()
	inHookBox(t, func(h *hookBox) {
		got := h.come(10, -1)
		h.pass(15 * time.Second)
		require.Len(t, h.asides, 1)
		assert.Equal(t, answered{15 * time.Second, 200, http.Header{}}, <-got)
		assert.Equal(t, []string{"10.1", "10.2", "10.3"}, h.order())
	})
}

// What can neither be finished nor set aside, before anybody knows that the store is away, is kept, once.
func TestWebhook_KeptWhereItCannotBeSetAside(t *testing.T) {
	t.Parallel()
	inHookBox(t, func(h *hookBox) {
		h.mu.Lock()
		h.store = func(context.Context, int) error { return errStore }
		h.mu.Unlock()
		got := h.come(10, -1)
		h.pass(15 * time.Second)
		assert.Equal(t, 200, (<-got).status)
		require.Equal(t, 1, h.Len())
		h.mu.Lock()
		h.store = nil
		h.mu.Unlock()
		h.pass(20 * time.Second)
		require.Len(t, h.asides, 1, "it comes again from there")
		assert.Zero(t, h.Len())
		assert.Empty(t, h.src.open)
	})
}

// Past the deadline the answer is 503; the event stays in the air, and its next coming joins it.
func TestWebhook_ComesAgain(t *testing.T) {
	t.Parallel()
	inHookBox(t, func(h *hookBox) {
		h.mu.Lock()
		h.store = func(context.Context, int) error { return errStore }
		h.full = true
		h.mu.Unlock()
		got := h.come(10, -1)
		h.pass(answerWithin)
		late := <-got
		assert.Equal(t, 503, late.status)
		assert.Equal(t, "1", late.header.Get("Retry-After"))
		gone, leave := context.WithCancel(h.t.Context())
		broken := h.post(gone, string(write(10, -1)))
		leave()
		assert.Equal(t, 503, (<-broken).status, "nobody hears it")
		again := h.come(10, -1)
		assert.Equal(t, []string{"10.1", "10.2", "10.3"}, h.order(), "it is not handed out once more")
		h.settle(10)
		assert.Equal(t, 200, (<-again).status)
	})
}

func TestWebhook_Bound(t *testing.T) {
	t.Parallel()
	inHookBox(t, func(h *hookBox) {
		var all []<-chan answered
		for i := range int64(hooksAtOnce) {
			all = append(all, h.come(10+i, -1-i))
		}
		assert.Equal(t, 503, (<-h.come(1000, -1)).status)
		for i := range int64(hooksAtOnce) {
			h.src.Settled(h.latest(10 + i))
		}
		for _, got := range all {
			assert.Equal(t, 200, (<-got).status)
		}
		last := h.come(1000, -1)
		h.settle(1000)
		assert.Equal(t, 200, (<-last).status)
	})
}

func TestWebhook_Stop(t *testing.T) {
	t.Parallel()
	inHookBox(t, func(h *hookBox) {
		quick, slow := h.come(10, -1), h.come(11, -2)
		time.AfterFunc(time.Second, func() { h.src.Settled(h.delivery(10, 1)) })
		h.step()
		h.end()
		synctest.Wait()
		assert.Equal(t, 503, (<-h.come(12, -3)).status, "nothing new is taken")
		assert.Equal(t, answered{time.Second, 200, http.Header{}}, <-quick)
		<-h.done
		require.NoError(t, h.err)
		assert.Equal(t, 2*time.Second, h.endedAt)
		assert.Equal(t, 503, (<-slow).status)
		assert.Equal(t, []string{"10.1", "11.1"}, h.order())
		taking, why := h.src.Taking()
		assert.False(t, taking)
		assert.Equal(t, "stopping", why)
	})
}

// While the store is away events are kept, which is enough for a 200, and judged when it is back.
func TestWebhook_StoreAway(t *testing.T) {
	t.Parallel()
	inHookBox(t, func(h *hookBox) {
		h.setAway(true)
		got := h.come(10, -1)
		h.pass(keepWithin)
		assert.Equal(t, 200, (<-got).status)
		assert.Equal(t, 1, h.Len())
		h.pass(time.Minute)
		assert.Equal(t, []string{"10.1"}, h.order())
		h.setAway(false)
		h.pass(2 * replayEvery)
		assert.Equal(t, []string{"10.1", "10.2"}, h.order(), "it is no copy of what was seen")
		h.settle(10)
		assert.Zero(t, h.Len())
	})
}

// Who lost the lock takes nothing more.
func TestWebhook_Guard(t *testing.T) {
	t.Parallel()
	for name, idle := range map[string]bool{"idle": true, "busy": false} {
		inHookBox(t, func(h *hookBox) {
			h.settleAll(h.come(10, -1), 10)
			assert.Equal(t, 1, h.guards)
			h.settleAll(h.come(11, -1), 11)
			assert.Equal(t, 1, h.guards, "not asked for each")
			taken := errors.New("another program has taken over")
			h.mu.Lock()
			h.guard = func() error { return taken }
			h.mu.Unlock()
			h.pass(guardEvery)
			if idle {
				h.pass(guardIdle)
			} else {
				assert.Equal(t, 503, (<-h.come(12, -1)).status, name)
			}
			<-h.done
			assert.Equal(t, taken, h.err, name)
			assert.Equal(t, []string{"10.1", "11.1"}, h.order(), name)
		})
	}
}

func (h *hookBox) settleAll(got <-chan answered, ids ...int64) {
	h.t.Helper()
	h.settle(ids...)
	assert.Equal(h.t, 200, (<-got).status)
}

func TestWebhook_Refuses(t *testing.T) {
	t.Parallel()
	h := NewWebhook(hookPass, nil)
	ask := func(method, secret, body string) int {
		r := httptest.NewRequestWithContext(t.Context(), method, "/", strings.NewReader(body))
		r.Header.Set(SecretHeader, secret)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}
	const update = `{"update_id":5,"message":{}}`
	assert.Equal(t, 503, ask(http.MethodPost, hookPass, update), "nobody takes it yet")
	h.To(NewSource(SourceOptions{Deliver: func(*protos.Event) {}}))
	assert.Equal(t, 503, ask(http.MethodPost, hookPass, string(write(5, -1))), "not yet")
	for _, secret := range []string{"", "s", hookPass + "x", strings.ToUpper(hookPass)} {
		assert.Equal(t, 401, ask(http.MethodPost, secret, update), secret)
	}
	assert.Equal(t, 405, ask(http.MethodGet, hookPass, update))
	assert.Equal(t, 400, ask(http.MethodPost, hookPass, "{"))
	assert.Equal(t, 413, ask(http.MethodPost, hookPass, update+strings.Repeat(" ", maxUpdateBytes)))
}

// Whatever comes with the secret is answered, and only what has to come again or cannot be an update is refused.
func FuzzWebhook(f *testing.F) {
	for _, body := range []string{
		"", "{", "null", "[]", `{"update_id":1}`, `{"update_id":-1,"message":{}}`, `{"update_id":1e99}`, string(write(7, -100)),
		`{"update_id":9,"callback_query":{"id":"1","from":{"id":7},"data":"v:1"}}`, `{"update_id":9,"chat_member":{"chat":{"id":-1},"new_chat_member":null}}`,
	} {
		f.Add([]byte(body))
	}
	var src *Source
	src = NewSource(SourceOptions{
		Deliver: func(e *protos.Event) { src.Settled(e.GetDelivery()) },
		Asides:  &box{}, Log: zerolog.Nop(),
	})
	hook := NewWebhook(hookPass, nil)
	hook.To(src)
	ctx, end := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { _ = src.RunWebhook(ctx); close(done) }()
	f.Cleanup(func() { end(); <-done })
	for taking := false; !taking; {
		src.hooks.mu.Lock()
		taking = src.hooks.taking
		src.hooks.mu.Unlock()
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", bytes.NewReader(body))
		r.Header.Set(SecretHeader, hookPass)
		w := httptest.NewRecorder()
		hook.ServeHTTP(w, r)
		id, err := UpdateID(body)
		if isUpdate := err == nil && id != 0; isUpdate != (w.Code == http.StatusOK) || !isUpdate && w.Code != http.StatusBadRequest {
			t.Errorf("%d for %q", w.Code, body)
		}
	})
}
