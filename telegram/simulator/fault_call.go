package simulator

import (
	"context"
	"maps"
	"net/http"
	"strings"
	"time"
)

const (
	// floodSleep is how long the server sleeps through floods of one call before it tells of them.
	// Source: TDLib, NetQueryCreator (total_timeout_limit), NetQueryDelayer.
	floodSleep = 8 * time.Second
	// maxSilence is how long a connection stays open without an answer.
	maxSilence = 10 * time.Minute
	// inTheAir is how long a call may have been under way when the bot was told to wait.
	inTheAir = 100 * time.Millisecond
)

// hit is what befalls one call.
type hit struct {
	kind   FaultKind     // "" = nothing but wait
	wait   time.Duration // before anything else
	length time.Duration // drawn from For
	err    error         // the answer, where it is one of trouble
	raw    *rawAnswer
	// restart is closed by the server's next restart, which forgets the call.
	restart <-chan struct{}
}

// rawAnswer is an answer that is not in Telegram's envelope, as of a proxy before it.
type rawAnswer struct {
	status int
	body   string
}

func (a rawAnswer) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/html")
	w.WriteHeader(a.status)
	_, _ = w.Write([]byte(a.body))
}

// floodKey is what a flood holds up: class and chat are zero where it holds all of them up.
type floodKey struct {
	bot   int64
	class string
	chat  int64
}

// strike says what befalls a call that has just come in. The world is locked.
func (s *Server) strike(b *account, method string, p params) (h hit) {
	h.restart = s.restarted
	if s.o.Latency != nil {
		h.wait = s.o.Latency(method)
	}
	if len(s.faults) == 0 && len(s.floods) == 0 && len(s.told) == 0 {
		return h
	}
	chat, user := s.concerned(method, p)
	now := s.o.Clock()
	var flood time.Duration
	key := floodKey{b.ID, Class(method), chat}
	if method != "getUpdates" {
		s.heed(key)
		for _, k := range []floodKey{key, {b.ID, key.class, 0}, {bot: b.ID}} {
			if until, ok := s.floods[k]; ok && now.Before(until) {
				h.kind, h.err = FaultFlood, s.flooded(key, until.Sub(now), h.wait)
				return h
			}
		}
	}
	for _, r := range s.faults {
		if !r.concerns(method) || h.kind != "" && r.Kind != FaultLatency || !ofCall(r.Kind) {
			continue
		}
		dice, ok := s.meets(r, method, chat, user, now)
		if !ok {
			continue
		}
		s.injected(Injected{Kind: r.Kind, Method: method, ChatID: chat, UserID: user, BotID: b.ID})
		length := r.For.draw(dice)
		if r.Kind == FaultLatency {
			h.wait += length
			continue
		}
		switch h.kind, h.length = r.Kind, length; r.Kind {
		case FaultError:
			h.wrong(r.Fault)
		case FaultFlood:
			s.flood(r.Scope, key, now.Add(length))
			flood = length
		case FaultSlow:
			h.wait += s.queue(key, now, min(length, floodSleep))
			flood = r.Then.draw(dice)
		default:
		}
	}
	if flood > 0 {
		h.err = s.flooded(key, flood, h.wait)
	}
	return h
}

func ofCall(k FaultKind) bool {
	switch k {
	case FaultDuplicate, FaultDelay, FaultMissing, FaultRestart, FaultClock:
		return false
	default:
		return true
	}
}

func (h *hit) wrong(f Fault) {
	status := f.Status
	if status == 0 {
		status = http.StatusBadGateway
	}
	if f.Body != "" {
		h.raw = &rawAnswer{status, f.Body}
		return
	}
	text := f.Description
	if text == "" {
		text = http.StatusText(status)
	}
	h.err = apiError{code: status, text: text}
}

// flood holds up what a flood's scope says. The world is locked.
func (s *Server) flood(scope string, key floodKey, until time.Time) {
	bounded(s.floods, s.o.Clock())
	switch scope {
	case ScopeChat:
		s.floods[key] = until
	case ScopeClass:
		s.floods[floodKey{key.bot, key.class, 0}] = until
	case ScopeBot:
		s.floods[floodKey{bot: key.bot}] = until
	default:
	}
}

// flooded is a 429 that is answered after a while. What the bot sends of the kind after that and before its
// time is over is counted as ignoring it. The world is locked.
func (s *Server) flooded(key floodKey, wait, after time.Duration) error {
	seconds := int((wait + time.Second - 1) / time.Second)
	s.tellFlood(key, s.o.Clock().Add(after), time.Duration(seconds)*time.Second)
	return apiError{code: http.StatusTooManyRequests, text: "Too Many Requests: retry after " + mustString(seconds), retryAfter: seconds}
}

// queue makes calls of one class in one chat wait behind each other. The world is locked.
func (s *Server) queue(key floodKey, now time.Time, sleep time.Duration) time.Duration {
	bounded(s.lines, now)
	free := s.lines[key]
	if free.Before(now) {
		free = now
	}
	s.lines[key] = free.Add(sleep)
	return free.Add(sleep).Sub(now)
}

// notice is a 429 that a bot has got.
type notice struct{ at, until time.Time }

// maxTold bounds how many of them are remembered.
const maxTold = 10_000

// tellFlood remembers that a bot was told to wait. The world is locked.
func (s *Server) tellFlood(key floodKey, at time.Time, wait time.Duration) {
	now := s.o.Clock()
	if len(s.told) >= maxTold {
		maps.DeleteFunc(s.told, func(_ floodKey, n notice) bool { return now.After(n.until) })
	}
	if len(s.told) >= maxTold {
		clear(s.told)
	}
	s.told[key] = notice{at, at.Add(wait)}
}

// bounded forgets what is over of a map of ends, when it grows large.
func bounded(ends map[floodKey]time.Time, now time.Time) {
	if len(ends) >= maxTold {
		maps.DeleteFunc(ends, func(_ floodKey, end time.Time) bool { return now.After(end) })
	}
}

// heed counts a call that a bot makes although it was told to wait. The world is locked.
func (s *Server) heed(key floodKey) {
	now := s.o.Clock()
	n, ok := s.told[key]
	if !ok || !now.Before(n.until) || now.Sub(n.at) <= inTheAir {
		return
	}
	s.ignored++
	if s.o.Switches.MessageLimits {
		s.floods[key] = now.Add(2 * n.until.Sub(n.at)) // ignored pauses grow. Source: reports to Telegram's developers
	}
}

// IgnoredFloods counts calls that were made although Telegram had asked for a pause that was not over, in
// the same chat and class of methods. What left within a tenth of a second of the 429 was in the air.
func (s *Server) IgnoredFloods() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ignored
}

// concerned says which chat and person a call is about. The world is locked.
func (s *Server) concerned(method string, p params) (chat, user int64) {
	chat, user = p.integer("chat_id", 0), p.integer("user_id", 0)
	if chat == 0 {
		if c := s.named(p.str("chat_id")); c != nil {
			chat = c.id
		}
	}
	switch {
	case user != 0:
	case chat > 0:
		user = chat
	case method == "answerCallbackQuery":
		if x := s.presses[p.str("callback_query_id")]; x != nil {
			chat, user = x.chat, x.user
		}
	case method == "deleteMessage":
		if c := s.chats[chat]; c != nil {
			if m := c.find(p.integer("message_id", 0)); m != nil {
				user = m.from
			}
		}
	}
	return chat, user
}

// answer carries a call out, with what befalls it.
func (s *Server) answer(ctx context.Context, b *account, name string, f method, p params, h hit) (any, error) {
	switch {
	case f == nil && knownMethods[strings.ToLower(name)]:
		return nil, apiError{code: 501, text: "Not Implemented: the simulator does not model " + name}
	case f == nil:
		return nil, apiError{code: 404, text: "Not Found: method not found"}
	case name == "getUpdates":
		return s.answerPoll(ctx, b, p, h)
	}
	t := &try{s: s, b: b, name: name, f: f, p: p, restart: h.restart}
	switch h.kind {
	case FaultBroken:
		_ = s.pause(ctx, h.wait)
		return nil, errHangUp
	case FaultLate:
		time.AfterFunc(h.wait+h.length, func() { _, _ = t.insist() })
		return nil, errHangUp
	case FaultSilent:
		_ = s.pause(ctx, maxSilence)
		time.AfterFunc(h.length, func() { _, _ = t.insist() })
		return nil, errHangUp
	case FaultLost:
		_, _ = t.after(ctx, h.wait)
		return nil, errHangUp
	default:
	}
	if h.err != nil || h.raw != nil {
		return nil, errorAfter(s.pause(ctx, h.wait), h.err)
	}
	return t.after(ctx, h.wait)
}

// answerPoll is answer for getUpdates, which waits by itself and does nothing late.
func (s *Server) answerPoll(ctx context.Context, b *account, p params, h hit) (any, error) {
	if h.kind == FaultSilent {
		h.wait = maxSilence
	}
	if err := s.pause(ctx, h.wait); err != nil {
		return nil, err
	}
	switch h.kind {
	case FaultBroken, FaultLate, FaultSilent:
		return nil, errHangUp
	case FaultLost:
		_, _ = s.getUpdates(ctx, b, p)
		return nil, errHangUp
	default:
	}
	if h.err != nil || h.raw != nil {
		return nil, h.err
	}
	return s.getUpdates(ctx, b, p)
}

func errorAfter(first, then error) error {
	if first != nil {
		return first
	}
	return then
}

// after acts when a wait is over, also for a client that gave up meanwhile, as Telegram does. A restart
// forgets what waits.
func (t *try) after(ctx context.Context, wait time.Duration) (any, error) {
	if wait <= 0 {
		result, more, err := t.once()
		if more == 0 {
			return result, err
		}
		wait = more
	}
	type outcome struct {
		result any
		err    error
	}
	done := make(chan outcome, 1)
	time.AfterFunc(wait, func() {
		result, err := t.insist()
		done <- outcome{result, err}
	})
	select {
	case o := <-done:
		return o.result, o.err
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-t.restart:
		return nil, errHangUp
	}
}

// pause waits; a restart or the end of the call ends it with an error.
func (s *Server) pause(ctx context.Context, wait time.Duration) error {
	if wait <= 0 {
		return nil
	}
	s.mu.Lock()
	restarted := s.restarted
	s.mu.Unlock()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-restarted:
		return errHangUp
	}
}
