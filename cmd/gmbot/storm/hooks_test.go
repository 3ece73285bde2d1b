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
	"time"

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
		source.SetTaking(true, "")
	}()
	_ = source.RunWebhook(l.ctx)
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
	h.w.mu.Lock()
	l := h.w.life
	handler := l.hooks
	h.w.mu.Unlock()
	if handler == nil || l.dead.Load() {
		return nil, syscall.ECONNREFUSED
	}
	var u update
	_ = json.Unmarshal(raw, &u)
	who := u.concerns()
	if d := h.w.fate(l, webhook, who); d != nil {
		if d.How == "before" {
			l.die(d.Down)
			return nil, syscall.ECONNREFUSED
		}
		defer l.die(d.Down)
	}
	kind, dice := h.w.w.hookTrouble(raw, who)
	switch kind {
	case refusedKind:
		return nil, syscall.ECONNREFUSED
	case brokenKind:
		return nil, io.ErrUnexpectedEOF
	case proxyKind:
		return answer(r, http.StatusBadGateway, "<html>502 Bad Gateway</html>"), nil
	case slowKind:
		_ = sleep(r.Context(), rand2(dice, 8*time.Second))
	}
	h.w.w.heard(u)
	in := r.Clone(context.WithoutCancel(r.Context()))
	in.Body = io.NopCloser(bytes.NewReader(raw))
	rec := httptest.NewRecorder()
	handler.ServeHTTP(rec, in)
	if kind == lostKind || l.dead.Load() {
		return nil, io.ErrUnexpectedEOF
	}
	return rec.Result(), nil
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
