package simulator

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"time"
)

// Telegram keeps at most this many updates for a bot, and this many bytes of them; one answer holds at
// most so many bytes; and after so long without updates ids begin anew. Source: Bot API server, Client.cpp;
// TDLib, TQueue; for the last, Bot API, Update.
const (
	maxQueue      = 100_000
	maxQueueBytes = 128 << 20
	maxAnswer     = 4 << 20
	idleIDs       = 7 * 24 * time.Hour
)

// How long updates are kept. Source: Bot API server, Client.cpp.
const (
	keepUpdate   = 24 * time.Hour
	keepCallback = 150 * time.Second
)

type queued struct {
	id      int64
	raw     json.RawMessage
	expires time.Time
	handed  *Handed // what OnHand is told; nil once it was
	line    hookKey // what a webhook gets it in order with
	sent    bool    // to a webhook, which has not answered yet
}

// rawList is a list of things that are encoded already.
type rawList []json.RawMessage

// MarshalJSON implements json.Marshaler.
func (l rawList) MarshalJSON() ([]byte, error) { return l.append(nil), nil }

func (l rawList) append(to []byte) []byte {
	to = append(to, '[')
	for i, raw := range l {
		if i > 0 {
			to = append(to, ',')
		}
		to = append(to, raw...)
	}
	return append(to, ']')
}

// poll is a waiting getUpdates. displaced says that a newer one took its place, and how long its error
// is held back.
type poll struct{ displaced chan displacement }

type displacement struct {
	hold time.Duration
	text string
}

// notByDefault are the kinds a bot gets only when it asks. Source: Bot API, getUpdates.
var notByDefault = map[string]bool{"chat_member": true, "message_reaction": true, "message_reaction_count": true}

// wants: the bot asked for updates of a kind.
func (b *account) wants(kind string) bool {
	if b.allowed == nil {
		return !notByDefault[kind]
	}
	return b.allowed[kind]
}

// push enqueues an update of a kind for a bot, unless the bot did not ask for the kind. The filter is
// applied here, not when the update is fetched. The world is locked.
func (s *Server) push(b *account, kind string, body map[string]any) {
	if !b.wants(kind) {
		return
	}
	keep := keepUpdate
	if kind == "callback_query" {
		keep = keepCallback
	}
	expires := s.clock().Add(keep)
	if len(s.faults) > 0 && s.mishap(b, kind, body, func() { s.queueUpdate(b, kind, body, expires) }) {
		return
	}
	s.queueUpdate(b, kind, body, expires)
}

func (s *Server) queueUpdate(b *account, kind string, body map[string]any, expires time.Time) {
	if !s.nextUpdate(b) {
		return
	}
	raw := mustJSON(map[string]any{"update_id": b.lastID, kind: body})
	if s.o.Validate != nil {
		_ = s.o.Validate("update", kind, raw)
	}
	q := queued{id: b.lastID, raw: raw, expires: expires, line: lineOf(kind, body)}
	if s.o.OnHand != nil {
		q.handed = handed(b, kind, body)
	}
	b.enqueue(q)
	s.deliver(b)
	s.touch()
}

// handed says what an update is about.
func handed(b *account, kind string, body map[string]any) *Handed {
	h := &Handed{BotID: b.ID, UpdateID: b.lastID, Kind: kind}
	within := func(key, field string) int64 {
		inner, _ := body[key].(map[string]any)
		n, _ := inner[field].(int64)
		return n
	}
	h.ChatID, h.UserID = within("chat", "id"), within("from", "id")
	h.MessageID, _ = body["message_id"].(int64)
	if kind == "callback_query" {
		h.CallbackID, _ = body["id"].(string)
		h.MessageID = within("message", "message_id")
		message, _ := body["message"].(map[string]any)
		chat, _ := message["chat"].(map[string]any)
		h.ChatID, _ = chat["id"].(int64)
	}
	return h
}

// nextUpdate gives out an update's id; false: the queue is full and the update is lost.
func (s *Server) nextUpdate(b *account) bool {
	now := s.clock()
	idle := now.Sub(b.lastUpdate) > idleIDs
	if idle {
		b.expire(now)
	}
	switch {
	case len(b.queue) >= maxQueue || b.queued >= s.queueMax:
		return false
	case b.lastID == 0 || idle && len(b.queue) == 0:
		from := s.o.Seed + uint64(b.lastID)
		if s.o.Seed == 0 {
			from = rand.Uint64()
		}
		b.lastID = int64(from*0x9E3779B97F4A7C15%900_000_000) + 1
	default:
		b.lastID++
	}
	b.lastUpdate = now
	return true
}

func (b *account) enqueue(q queued) {
	if len(b.queue) == 0 || q.expires.Before(b.expiry) {
		b.expiry = q.expires
	}
	b.queue = append(b.queue, q)
	b.queued += len(q.raw)
}

// drop forgets what is over.
func (b *account) drop(over func(queued) bool) {
	b.queue = slices.DeleteFunc(b.queue, func(q queued) bool {
		gone := over(q)
		if gone {
			b.queued -= len(q.raw)
		}
		return gone
	})
}

// shorten forgets the first n of the queue.
func (b *account) shorten(n int) {
	for _, q := range b.queue[:n] {
		b.queued -= len(q.raw)
	}
	b.queue = b.queue[n:]
}

// PushRaw enqueues any object as an update, however malformed; update_id is set unless it is there.
func (s *Server) PushRaw(botID int64, update json.RawMessage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.bots {
		if b.ID != botID || !s.nextUpdate(b) {
			continue
		}
		var fields map[string]json.RawMessage
		if json.Unmarshal(update, &fields) == nil {
			if _, ok := fields["update_id"]; !ok {
				fields["update_id"] = mustJSON(b.lastID)
				update = mustJSON(fields)
			}
		}
		b.enqueue(queued{id: b.lastID, raw: update, expires: s.clock().Add(keepUpdate), line: hookKey{"update", b.lastID}})
		s.deliver(b)
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
	if !now.After(b.expiry) {
		return
	}
	b.drop(func(q queued) bool { return now.After(q.expires) })
	for i, q := range b.queue {
		if i == 0 || q.expires.Before(b.expiry) {
			b.expiry = q.expires
		}
	}
}

// confirm applies an offset the way Telegram does: positive ones delete what is below, negative ones
// all but the last, and ones more than ten past the id that comes next count as none. Source: Bot API
// server, Client.cpp (do_get_updates); TDLib, TQueue.
func (b *account) confirm(offset int64) {
	switch {
	case offset < 0:
		if keep := int(min(-offset, int64(len(b.queue)))); keep < len(b.queue) {
			b.shorten(len(b.queue) - keep)
		}
	case offset > b.lastID+1+10, offset == 0:
	default:
		i := 0
		for i < len(b.queue) && b.queue[i].id < offset {
			i++
		}
		b.shorten(i)
	}
}

const (
	conflictPoll    = "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"
	conflictWebhook = "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"
	conflictSet     = "Conflict: terminated by setWebhook request"
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
	now := s.clock()
	if s.o.Switches.NoConflictWait {
		return 0
	}
	if now.Before(b.nextConflict) {
		return conflictPause
	}
	b.nextConflict = now.Add(conflictPause)
	return 0
}

func (s *Server) conflict(ctx context.Context, hold time.Duration, text string) error {
	if err := s.pause(ctx, hold); err != nil {
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
	if b.hook != nil {
		hold := s.holdConflict(b)
		s.mu.Unlock()
		return nil, s.conflict(ctx, hold, conflictWebhook)
	}
	if kinds, ok := p.list("allowed_updates"); ok {
		b.allow(kinds)
	}
	now := s.clock()
	timeout, limit = s.repeated(b, now, offset, timeout, limit)
	waiting := len(b.queue)
	b.confirm(offset)
	b.expire(now)
	if len(b.queue) != waiting {
		s.touch()
	}
	if len(b.queue) == 0 && timeout > 0 {
		if b.poll != nil {
			b.poll.displaced <- displacement{s.holdConflict(b), conflictPoll}
		}
		mine := &poll{displaced: make(chan displacement, 1)}
		b.poll = mine
		deadline := time.NewTimer(time.Duration(timeout) * time.Second)
		defer deadline.Stop()
		for over := false; len(b.queue) == 0 && !over; {
			changed, restarted := s.watch(), s.restarted
			s.mu.Unlock()
			select {
			case <-changed:
			case <-deadline.C:
				over = true
			case by := <-mine.displaced:
				return nil, s.conflict(ctx, by.hold, by.text)
			case <-restarted:
				s.mu.Lock()
				b.done(mine)
				s.mu.Unlock()
				return nil, errHangUp
			case <-ctx.Done():
				s.mu.Lock()
				b.done(mine)
				s.mu.Unlock()
				return nil, ctx.Err()
			}
			s.mu.Lock()
			if b.poll != mine {
				s.mu.Unlock()
				by := <-mine.displaced
				return nil, s.conflict(ctx, by.hold, by.text)
			}
		}
		b.done(mine)
	}
	defer s.mu.Unlock()
	result := make(rawList, 0, min(limit, len(b.queue)))
	size := 0
	for i, q := range b.queue[:min(limit, len(b.queue))] {
		if size += len(q.raw); i > 0 && size > s.answerMax {
			break
		}
		result = append(result, q.raw)
		if q.handed != nil {
			s.o.OnHand(*q.handed)
			b.queue[i].handed = nil
		}
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
