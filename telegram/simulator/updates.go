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

// poll is a waiting getUpdates.
type poll struct{ displaced chan string }

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
	b.nextUpdate()
	raw := mustJSON(map[string]any{"update_id": b.lastID, kind: body})
	if s.o.Validate != nil {
		_ = s.o.Validate("update", kind, raw)
	}
	b.enqueue(queued{id: b.lastID, raw: raw, expires: s.o.Clock().Add(keep)})
	s.touch()
}

func (b *account) nextUpdate() {
	if b.lastID == 0 {
		b.lastID = rand.Int64N(900_000_000) + 1
		return
	}
	b.lastID++
}

func (b *account) enqueue(q queued) {
	if len(b.queue) < maxQueue {
		b.queue = append(b.queue, q)
	}
}

// PushRaw enqueues any object as an update, however malformed; update_id is set unless it is there.
func (s *Server) PushRaw(botID int64, update json.RawMessage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.bots {
		if b.ID != botID {
			continue
		}
		b.nextUpdate()
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
// all but the last, and ones far past the end count as none. Source: Bot API server, Client.cpp.
func (b *account) confirm(offset int64) {
	switch {
	case offset < 0:
		if keep := int(min(-offset, int64(len(b.queue)))); keep < len(b.queue) {
			b.queue = slices.Clone(b.queue[len(b.queue)-keep:])
		}
	case offset > b.lastID+10, offset == 0:
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

// getUpdates is the method of that name. It may wait, so it locks the world itself.
func (s *Server) getUpdates(ctx context.Context, b *account, p params) (any, error) {
	limit := int(clamp(p.integer("limit", 100), 1, 100))
	timeout := clamp(p.integer("timeout", 0), 0, 50)
	offset := p.integer("offset", 0)
	s.mu.Lock()
	if b.webhook != "" {
		s.mu.Unlock()
		return nil, apiError{code: 409, text: conflictWebhook}
	}
	if kinds, ok := p.list("allowed_updates"); ok {
		b.allow(kinds)
	}
	now := s.o.Clock()
	if !s.o.Switches.NoLimitOne && offset == b.lastPoll.offset && now.Sub(b.lastPoll.at) < 500*time.Millisecond && b.lastPoll.at != (time.Time{}) {
		limit = 1
	}
	b.lastPoll.offset, b.lastPoll.at = offset, now
	waiting := len(b.queue)
	b.confirm(offset)
	b.expire(now)
	if len(b.queue) != waiting {
		s.touch()
	}
	if len(b.queue) == 0 && timeout > 0 {
		if b.poll != nil {
			b.poll.displaced <- conflictPoll
		}
		mine := &poll{displaced: make(chan string, 1)}
		b.poll = mine
		deadline := time.NewTimer(time.Duration(timeout) * time.Second)
		defer deadline.Stop()
		for len(b.queue) == 0 {
			changed := s.changed
			s.mu.Unlock()
			select {
			case <-changed:
			case <-deadline.C:
				s.mu.Lock()
				b.done(mine)
				s.mu.Unlock()
				return []json.RawMessage{}, nil
			case text := <-mine.displaced:
				return nil, apiError{code: 409, text: text}
			case <-ctx.Done():
				s.mu.Lock()
				b.done(mine)
				s.mu.Unlock()
				return nil, ctx.Err()
			}
			s.mu.Lock()
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

// allow stores which kinds a bot wants; an empty list means the default.
func (b *account) allow(kinds []string) {
	if len(kinds) == 0 {
		b.allowed = nil
		return
	}
	b.allowed = map[string]bool{}
	for _, k := range kinds {
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
