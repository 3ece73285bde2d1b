package simulator

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"time"
)

// Telegram keeps at most this many updates for a bot. Source: Bot API server, Client.cpp.
const maxQueue = 100_000

// How long updates are kept. Source: Bot API server, Client.cpp.
const (
	keepUpdate   = 24 * time.Hour
	keepCallback = 150 * time.Second
)

type queued struct {
	id      int64
	raw     json.RawMessage
	expires time.Time
}

// poll is a waiting getUpdates. displaced says that a newer one took its place, and how long its error
// is held back.
type poll struct{ displaced chan time.Duration }

// notByDefault are the kinds a bot gets only when it asks. Source: Bot API, getUpdates.
var notByDefault = map[string]bool{"chat_member": true, "message_reaction": true, "message_reaction_count": true}

// push enqueues an update of a kind for a bot, unless the bot did not ask for the kind. The filter is
// applied here, not when the update is fetched. The world is locked.
func (s *Server) push(b *account, kind string, body map[string]any) {
	if b.allowed == nil && notByDefault[kind] || b.allowed != nil && !b.allowed[kind] {
		return
	}
	keep := keepUpdate
	if kind == "callback_query" {
		keep = keepCallback
	}
	if !b.nextUpdate() {
		return
	}
	raw := mustJSON(map[string]any{"update_id": b.lastID, kind: body})
	if s.o.Validate != nil {
		_ = s.o.Validate("update", kind, raw)
	}
	b.enqueue(queued{id: b.lastID, raw: raw, expires: s.o.Clock().Add(keep)})
	s.touch()
}

// nextUpdate gives out an update's id; false: the queue is full and the update is lost.
func (b *account) nextUpdate() bool {
	switch {
	case len(b.queue) >= maxQueue:
		return false
	case b.lastID == 0:
		b.lastID = rand.Int64N(900_000_000) + 1
	default:
		b.lastID++
	}
	return true
}

func (b *account) enqueue(q queued) { b.queue = append(b.queue, q) }

// PushRaw enqueues any object as an update, however malformed; update_id is set unless it is there.
func (s *Server) PushRaw(botID int64, update json.RawMessage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.bots {
		if b.ID != botID || !b.nextUpdate() {
			continue
		}
		var fields map[string]json.RawMessage
		if json.Unmarshal(update, &fields) == nil {
			if _, ok := fields["update_id"]; !ok {
				fields["update_id"] = mustJSON(b.lastID)
				update = mustJSON(fields)
			}
		}
		b.enqueue(queued{id: b.lastID, raw: update, expires: s.o.Clock().Add(keepUpdate)})
		s.touch()
	}
}

// Pending is how many updates a bot has not confirmed.
func (s *Server) Pending(botID int64) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.bots {
		if b.ID == botID {
			return len(b.queue)
		}
	}
	return 0
}

func (b *account) expire(now time.Time) {
	b.queue = slices.DeleteFunc(b.queue, func(q queued) bool { return now.After(q.expires) })
}

// confirm applies an offset the way Telegram does: positive ones delete what is below, negative ones
// all but the last, and ones more than ten past the id that comes next count as none. Source: Bot API
// server, Client.cpp (do_get_updates); TDLib, TQueue.
func (b *account) confirm(offset int64) {
	switch {
	case offset < 0:
		if keep := int(min(-offset, int64(len(b.queue)))); keep < len(b.queue) {
			b.queue = slices.Clone(b.queue[len(b.queue)-keep:])
		}
	case offset > b.lastID+1+10, offset == 0:
	default:
		i := 0
		for i < len(b.queue) && b.queue[i].id < offset {
			i++
		}
		b.queue = b.queue[i:]
	}
}

const (
	conflictPoll    = "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"
	conflictWebhook = "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"
)

// A poll that repeats its offset so soon waits longer, or gets only one update; a conflict so soon
// after another is told late. Source: Bot API server, Client.cpp (process_get_updates_query,
// fail_query_conflict).
const (
	repeatedSoon  = 3 * time.Second
	repeatedHotly = 500 * time.Millisecond
	conflictPause = 3 * time.Second
)

// repeated applies what a poll with the offset of the one before gets for it.
func (s *Server) repeated(b *account, now time.Time, offset, timeout int64, limit int) (int64, int) {
	last := b.lastPoll
	b.lastPoll.offset, b.lastPoll.at = offset, now
	if last.at.IsZero() || offset != last.offset {
		return timeout, limit
	}
	if !s.o.Switches.NoRepeatWait && now.Sub(last.at) < repeatedSoon {
		timeout = max(timeout, int64(repeatedSoon/time.Second))
	}
	if !s.o.Switches.NoLimitOne && now.Sub(last.at) < repeatedHotly {
		limit = 1
	}
	return timeout, limit
}

// holdConflict says how long a conflict that arises now is held back. The world is locked.
func (s *Server) holdConflict(b *account) time.Duration {
	now := s.o.Clock()
	if s.o.Switches.NoConflictWait {
		return 0
	}
	if now.Before(b.nextConflict) {
		return conflictPause
	}
	b.nextConflict = now.Add(conflictPause)
	return 0
}

func conflict(ctx context.Context, hold time.Duration, text string) error {
	if err := pause(ctx, hold); err != nil {
		return err
	}
	return apiError{code: 409, text: text}
}

// getUpdates is the method of that name. It may wait, so it locks the world itself.
func (s *Server) getUpdates(ctx context.Context, b *account, p params) (any, error) {
	limit := int(clamp(p.integer("limit", 100), 1, 100))
	timeout := clamp(p.integer("timeout", 0), 0, 50)
	offset := p.integer("offset", 0)
	s.mu.Lock()
	if b.webhook != "" {
		hold := s.holdConflict(b)
		s.mu.Unlock()
		return nil, conflict(ctx, hold, conflictWebhook)
	}
	if kinds, ok := p.list("allowed_updates"); ok {
		b.allow(kinds)
	}
	now := s.o.Clock()
	timeout, limit = s.repeated(b, now, offset, timeout, limit)
	waiting := len(b.queue)
	b.confirm(offset)
	b.expire(now)
	if len(b.queue) != waiting {
		s.touch()
	}
	if len(b.queue) == 0 && timeout > 0 {
		if b.poll != nil {
			b.poll.displaced <- s.holdConflict(b)
		}
		mine := &poll{displaced: make(chan time.Duration, 1)}
		b.poll = mine
		deadline := time.NewTimer(time.Duration(timeout) * time.Second)
		defer deadline.Stop()
		for over := false; len(b.queue) == 0 && !over; {
			changed := s.changed
			s.mu.Unlock()
			select {
			case <-changed:
			case <-deadline.C:
				over = true
			case hold := <-mine.displaced:
				return nil, conflict(ctx, hold, conflictPoll)
			case <-ctx.Done():
				s.mu.Lock()
				b.done(mine)
				s.mu.Unlock()
				return nil, ctx.Err()
			}
			s.mu.Lock()
			if b.poll != mine {
				s.mu.Unlock()
				return nil, conflict(ctx, <-mine.displaced, conflictPoll)
			}
		}
		b.done(mine)
	}
	defer s.mu.Unlock()
	result := make([]json.RawMessage, 0, min(limit, len(b.queue)))
	for _, q := range b.queue[:min(limit, len(b.queue))] {
		result = append(result, q.raw)
	}
	return result, nil
}

func (b *account) done(p *poll) {
	if b.poll == p {
		b.poll = nil
	}
}

// allow stores which kinds a bot wants; none that exists means the default. Source: Bot API server,
// Client.cpp (get_allowed_update_types).
func (b *account) allow(kinds []string) {
	b.allowed = nil
	for _, k := range kinds {
		if !updateKinds[k] {
			continue
		}
		if b.allowed == nil {
			b.allowed = map[string]bool{}
		}
		b.allowed[k] = true
	}
}

func clamp(n, low, high int64) int64 { return max(low, min(n, high)) }

func mustJSON(v any) json.RawMessage {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err) // only maps of plain values are encoded here
	}
	return raw
}
