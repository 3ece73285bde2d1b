package storm

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/telegram"
)

const (
	hookURL    = "https://gate.example/telegram"
	hookSecret = "storm"
	webhook    = "webhook" // what trouble with one is booked under
)

// hookKinds are the kinds of trouble with a webhook.
var hookKinds = []string{refusedKind, brokenKind, lostKind, proxyKind, slowKind}

// takeHooks has Telegram send updates to this life until it ends.
func (l *life) takeHooks(client *telegram.Client, source *telegram.Source) {
	handler := telegram.NewWebhook(hookSecret, nil)
	handler.To(source)
	l.w.mu.Lock()
	l.hooks = handler
	l.w.mu.Unlock()
	go func() {
		wish := telegram.WebhookSettings{URL: hookURL, Secret: hookSecret, MaxConnections: 40}
		for err := client.SetWebhook(l.ctx, wish); err != nil && l.ctx.Err() == nil && !l.dead.Load(); err = client.SetWebhook(l.ctx, wish) {
			_ = sleep(l.ctx, max(time.Second, telegram.RetryAfter(err)))
		}
		l.w.w.newQueues()
		source.SetTaking(true, "")
	}()
	_ = source.RunWebhook(l.ctx)
}

// pressQueue is how far Telegram has come with one person's presses. It hands them over one after the other, in whichever
// groups they are: one that fails is tried again at once, then after 2, 4, 8 … seconds, and those behind it wait as long.
type pressQueue struct {
	fails int
	until time.Time // what trouble has held it up for
}

// longestWait is what Telegram waits at most between two attempts.
const longestWait = 2 * time.Minute

// newQueues: where a webhook is set anew, nothing has failed yet.
func (w *watch) newQueues() {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.queues)
}

// handsPress notes what became of handing over somebody's press, and whether that met with trouble: that the bot does
// not take it by itself holds up the queue as well, and is no excuse.
func (w *watch) handsPress(user int64, taken, trouble bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	q, wait := w.queues[user], time.Duration(0)
	if q.fails > 0 && !taken {
		wait = min(time.Second<<min(q.fails, 10), longestWait)
	}
	q.fails++
	if taken {
		q.fails = 0
	}
	if trouble {
		q.until = time.Now().Add(wait)
	}
	w.queues[user] = q
}

// hookRoad carries webhooks from Telegram to whoever lives.
type hookRoad struct{ w *world }

// RoundTrip implements http.RoundTripper.
func (h hookRoad) RoundTrip(r *http.Request) (*http.Response, error) {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	_ = r.Body.Close()
	var u update
	_ = json.Unmarshal(raw, &u)
	resp, trouble, err := h.carry(r, raw, u)
	if u.Press != nil {
		h.w.w.handsPress(u.Press.From.ID, err == nil && resp.StatusCode == http.StatusOK, trouble)
	}
	return resp, err
}

// carry takes one over, and reports whether it met with trouble.
func (h hookRoad) carry(r *http.Request, raw []byte, u update) (resp *http.Response, trouble bool, err error) {
	h.w.mu.Lock()
	l := h.w.life
	handler := l.hooks
	h.w.mu.Unlock()
	if handler == nil || l.dead.Load() {
		return nil, true, syscall.ECONNREFUSED
	}
	who := u.concerns()
	if d := h.w.fate(l, webhook, who); d != nil {
		if d.How == "before" {
			l.die(d.Down)
			return nil, true, syscall.ECONNREFUSED
		}
		defer l.die(d.Down)
	}
	kind, dice := h.w.w.hookTrouble(raw, who)
	switch kind {
	case refusedKind:
		return nil, true, syscall.ECONNREFUSED
	case brokenKind:
		return nil, true, io.ErrUnexpectedEOF
	case proxyKind:
		return answer(r, http.StatusBadGateway, "<html>502 Bad Gateway</html>"), true, nil
	case slowKind:
		_ = sleep(r.Context(), rand2(dice, 8*time.Second))
	}
	h.w.w.heard(u)
	in := r.Clone(context.WithoutCancel(r.Context()))
	in.Body = io.NopCloser(bytes.NewReader(raw))
	rec := httptest.NewRecorder()
	handler.ServeHTTP(rec, in)
	if kind == lostKind || l.dead.Load() {
		return nil, true, io.ErrUnexpectedEOF
	}
	return rec.Result(), kind == slowKind && rec.Code == http.StatusOK, nil
}

// hookTrouble says what befalls a delivery. It depends on the seed and on what is delivered, and how often.
func (w *watch) hookTrouble(raw []byte, who pairKey) (string, *rand.Rand) {
	h := fnv.New64a()
	_, _ = h.Write(raw)
	key := fmt.Sprint(webhook, h.Sum64())
	w.mu.Lock()
	w.times[key]++
	n := w.times[key]
	w.mu.Unlock()
	luck := h.Sum64() + uint64(n)
	dice := rand.New(rand.NewPCG(w.world.plan.Seed, luck))
	id := fmt.Sprintf("h%x", luck)
	if !stormy(w.world.now()) || w.enough.Load() || dice.Float64() >= w.world.plan.Scale.Trouble || !w.world.only.happens(id) {
		return "", dice
	}
	kind := hookKinds[dice.IntN(len(hookKinds))]
	w.fault(kind, webhook, who, who.chat, id)
	return kind, dice
}

// A press waits behind those of the same person that trouble holds up, and not behind those the bot does not take.
func TestPressQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &watch{queues: map[int64]pressQueue{}}
		held := func() time.Duration { return time.Until(w.queues[7].until) }
		for _, wait := range []time.Duration{0, 2 * time.Second, 4 * time.Second, 8 * time.Second} {
			w.handsPress(7, false, true)
			require.Equal(t, wait, held())
		}
		w.handsPress(7, true, false)
		w.handsPress(7, false, true)
		require.Zero(t, held(), "taken, and the next is tried again at once")
		time.Sleep(time.Hour)
		w.handsPress(7, false, false)
		require.Equal(t, -time.Hour, held())
		require.Zero(t, w.queues[8])
	})
}
