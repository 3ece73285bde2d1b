package simulator

import (
	"slices"
	"time"
)

// window is a limit: at most so many in such a time.
type window struct {
	most int
	per  time.Duration
}

// Telegram's limits on messages and edits: one a second in a chat, where short bursts pass, twenty a minute
// in a group, some thirty a second in all. Source: the bot FAQ; how long a burst may be is from memory.
var (
	chatWindows  = []window{{5, 5 * time.Second}}
	groupWindows = []window{{5, 5 * time.Second}, {20, time.Minute}}
	botWindows   = []window{{30, time.Second}}
)

// maxUnfinished is how many messages of one chat may wait; what comes then is refused after a while.
// Source: Bot API server, Client.cpp.
const (
	maxUnfinished   = 310
	unfinishedSleep = 3 * time.Second
	unfinishedPause = 60 * time.Second
)

// pace remembers when the last ones were.
type pace []time.Time

// wait is how long the next one has to wait.
func (p *pace) wait(limits []window, now time.Time) (wait time.Duration) {
	for _, l := range limits {
		if n := len(*p); n >= l.most {
			wait = max(wait, (*p)[n-l.most].Add(l.per).Sub(now))
		}
	}
	return wait
}

func (p *pace) note(limits []window, now time.Time) {
	most := limits[len(limits)-1].most
	if len(*p) >= most {
		*p = slices.Delete(*p, 0, len(*p)-most+1)
	}
	*p = append(*p, now)
}

// floodError is what the back end says of a message that comes too soon. The server sleeps through it, or
// tells of it.
type floodError struct {
	key  floodKey
	wait time.Duration
}

func (floodError) Error() string { return "flood" }

// limited applies Telegram's limits to a message or an edit, which share them. Source: TDLib's author.
func (s *Server) limited(b *account, c *chat) error {
	if !s.o.Switches.MessageLimits {
		return nil
	}
	limits := groupWindows
	if c.id > 0 {
		limits = chatWindows
	}
	now := s.o.Clock()
	if wait := max(c.sends.wait(limits, now), b.sends.wait(botWindows, now)); wait > 0 {
		return floodError{floodKey{b.ID, ClassTalk, c.id}, wait}
	}
	c.sends.note(limits, now)
	b.sends.note(botWindows, now)
	return nil
}

// line is the messages of a chat that wait: one that sleeps holds up those behind it. Source: TDLib,
// SendMessageQuery, whose queries are chained by chat.
type line struct {
	waiting []*try
	wakes   time.Time // when the first tries again
}

// try is one call on its way to its effect.
type try struct {
	s       *Server
	b       *account
	name    string
	f       method
	p       params
	restart <-chan struct{} // the server's, when the call came in
	slept   time.Duration
	line    *line // the one it stands in
	refused bool  // the chat's line was too long
}

// once tries; more is how long to sleep before the next try, 0 when this was the last. Floods of one call
// are slept through while they last eight seconds in all. Source: TDLib, NetQueryCreator, NetQueryDelayer.
func (t *try) once() (result any, more time.Duration, err error) {
	s := t.s
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.touch()
	select {
	case <-t.restart:
		return nil, 0, errHangUp
	default:
	}
	if s.o.Switches.MessageLimits {
		if wait, err := t.turn(); wait > 0 || err != nil {
			return nil, wait, err
		}
	}
	result, err = t.f(s, t.b, t.p)
	flood, ok := err.(floodError) //nolint:errorlint // methods return it as it is
	switch {
	case !ok:
		t.leave()
		return result, 0, err
	case t.slept+flood.wait > floodSleep:
		t.leave()
		return nil, 0, s.flooded(flood.key, flood.wait, 0)
	}
	t.slept += flood.wait
	if t.line != nil {
		t.line.wakes = s.o.Clock().Add(flood.wait)
	}
	return nil, flood.wait, nil
}

// turn lets messages of one chat go one after the other: it says how long this one waits for those before
// it. The world is locked.
func (t *try) turn() (time.Duration, error) {
	if t.name != "sendMessage" && t.name != "sendDocument" {
		return 0, nil
	}
	c := t.s.named(t.p.str("chat_id"))
	if c == nil {
		return 0, nil
	}
	l := &c.line
	switch {
	case t.refused:
		return 0, t.s.flooded(floodKey{t.b.ID, ClassTalk, c.id}, unfinishedPause, 0)
	case t.line == nil && len(l.waiting) > maxUnfinished:
		t.refused = true
		return unfinishedSleep, nil
	case t.line == nil:
		t.line = l
		l.waiting = append(l.waiting, t)
	}
	if l.waiting[0] == t {
		return 0, nil
	}
	return max(l.wakes.Sub(t.s.o.Clock()), 0) + time.Millisecond, nil
}

// leave ends a call's place in its line. The world is locked.
func (t *try) leave() {
	if t.line != nil {
		t.line.waiting = slices.DeleteFunc(t.line.waiting, func(x *try) bool { return x == t })
		t.line = nil
	}
}

// insist tries until there is an answer.
func (t *try) insist() (any, error) {
	for {
		result, more, err := t.once()
		if more == 0 {
			return result, err
		}
		time.Sleep(more)
	}
}
