package telegram

import (
	"context"
	"encoding/json"
	"slices"
	"time"
)

// overtakeAfter is how long the next poll waits for what is late. Asked for the same offset within half a second,
// Telegram gives one update only. Source: Bot API server, Client.cpp
const overtakeAfter = 600 * time.Millisecond

// window is what was taken from Telegram and is not confirmed yet, in Telegram's order: one batch, as long as
// all of it is settled in time. Behind an update that is late (a command that waits for Telegram's answers)
// Telegram gives the following ones again with each poll, at most a batch from the late one on; of those the
// new ones are handed out, so that one group's slow command does not keep all other groups waiting. Only
// the polling goroutine uses it.
type window struct {
	s     *Source
	next  int64 // the offset that confirms all of it; 0 when nothing was taken yet
	taken []taken
	loads []*load // not known to be over
}

// taken is one update; item is nil when nobody needs it.
type taken struct {
	id   int64
	item *item
}

// over reports whether Telegram may forget it. The caller holds Source.mu.
func (it *item) over() bool { return it.settled || it.closed }

// confirmable forgets what Telegram may forget, and returns the offset that says so.
func (w *window) confirmable() int64 {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	for i, t := range w.taken {
		if t.item != nil && !t.item.over() {
			w.taken = w.taken[i:]
			return t.id
		}
	}
	w.taken = w.taken[:0]
	return w.next
}

// take decodes what is new in a batch, and returns what of it is needed. A malformed update harms only itself.
func (w *window) take(raws []json.RawMessage) []*item {
	known := make(map[int64]bool, len(w.taken))
	for _, t := range w.taken {
		known[t.id] = true
	}
	batch, news := make([]item, len(raws)), make([]*item, 0, len(raws))
	for i, raw := range raws {
		if len(known) > 0 {
			if id, err := UpdateID(raw); err == nil && known[id] {
				continue
			}
		}
		id, needed := w.s.read(raw, &batch[i])
		if id == 0 {
			continue
		}
		t := taken{id: id}
		if needed {
			t.item = &batch[i]
			news = append(news, t.item)
		}
		w.taken, w.next = append(w.taken, t), id+1
	}
	w.s.o.Metrics.lagged(news)
	return news
}

// carry has what is new carried and returns when it is time for the next poll: all is settled, or some of it is
// late. It returns false when the program ends first.
func (w *window) carry(ctx context.Context, news []*item) bool {
	if len(news) > 0 {
		l, ok := w.s.load(news)
		if !ok {
			return false
		}
		w.loads = append(w.loads, l)
	}
	if len(w.loads) == 0 {
		return true
	}
	ticker := time.NewTicker(overtakeAfter)
	defer ticker.Stop()
	return w.wait(ctx, ticker.C)
}

// stuck reports whether something cannot even be set aside: nothing new is taken then.
func (w *window) stuck() bool {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	return slices.ContainsFunc(w.taken, func(t taken) bool {
		return t.item != nil && !t.item.over() && t.item.stuck
	})
}

// wait returns when all is settled, or when enough says so and nothing is stuck, or false when the program ends
// before that. Once ctx has ended nothing new is taken, and all of it is waited for.
func (w *window) wait(ctx context.Context, enough <-chan time.Time) bool {
	for len(w.loads) > 0 {
		select {
		case <-w.loads[0].over:
			w.loads = w.loads[1:]
		case <-enough:
			if ctx.Err() == nil && !w.stuck() {
				return true
			}
		case <-w.s.ended:
			select {
			case <-w.loads[0].over:
			default:
				return false
			}
		}
	}
	return true
}
