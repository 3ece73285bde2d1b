package simulator

import (
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// FaultKind is what a fault does.
type FaultKind string

// What can go wrong. For says how long.
const (
	// FaultLatency: the call takes For longer. It adds to whatever else befalls the call.
	FaultLatency FaultKind = "latency"
	// FaultBroken: the connection breaks before the effect.
	FaultBroken FaultKind = "broken"
	// FaultLost: the call has its effect, and the connection breaks before the answer.
	FaultLost FaultKind = "lost"
	// FaultLate: the connection breaks at once, and the effect comes For later.
	FaultLate FaultKind = "late"
	// FaultSilent: no answer comes until the client gives up, and the effect comes For after that.
	FaultSilent FaultKind = "silent"
	// FaultError: an error answer with Status and Description; with Body, that and nothing else.
	FaultError FaultKind = "error"
	// FaultFlood: a 429 that asks to wait For, and again until that time is over: by Scope for this call
	// alone, for its class of methods in its chat, for its class everywhere, or for all the bot does.
	FaultFlood FaultKind = "flood"
	// FaultSlow: the server sleeps For, at most 8 s, while later calls of the class wait behind it in the
	// chat; then the call goes on, or, with Then, ends in a 429 that asks to wait so long.
	FaultSlow FaultKind = "slow"

	// FaultDuplicate: the update comes twice, the second time For later, under an id of its own.
	FaultDuplicate FaultKind = "duplicate"
	// FaultDelay: the update comes For later, behind others.
	FaultDelay FaultKind = "delay"
	// FaultMissing: the update never comes.
	FaultMissing FaultKind = "missing"

	// FaultRestart: the server goes away for For and comes back with its queues; see Server.Restart.
	FaultRestart FaultKind = "restart"
	// FaultClock: the server's clock jumps by For, back where it is negative; see Server.JumpClock.
	FaultClock FaultKind = "clock"
)

// Scopes of a flood.
const (
	ScopeCall  = "call"
	ScopeChat  = "chat"
	ScopeClass = "class"
	ScopeBot   = "bot"
)

// Service is what a fault of updates calls the service messages that tell of joins and leaves.
const Service = "service"

// Fault is trouble on purpose. What is left out matches everything, but for getUpdates, which a fault of
// calls meets only by name.
type Fault struct {
	Kind FaultKind

	Method string // the call's method
	Class  string // the class of the call's method; see Class
	Update string // the update's kind, or Service
	ChatID int64  // the chat a call or update concerns
	UserID int64  // the person it concerns

	Probability float64       // 0 = always
	Times       int           // how often at most; 0 = without end
	From, Until time.Duration // since the fault was set; Until 0 = without end
	Every       time.Duration // restart and clock: again so much later

	For         Spread
	Then        Spread
	Scope       string // flood; "" = ScopeCall
	Status      int    // error; 0 = 502
	Description string // error
	Body        string // error: sent as it is, with Status
}

// Injected is one fault that happened.
type Injected struct {
	Kind   FaultKind
	Method string // of a fault of calls
	Update string // of a fault of updates
	ChatID int64  // 0 where a call concerns no chat
	UserID int64  // 0 where a call concerns nobody in particular
	BotID  int64
	At     time.Time
}

// errHangUp closes the connection without an answer; errRaw says that the answer was no answer of Telegram's.
var (
	errHangUp = errors.New("connection closed")
	errRaw    = errors.New("not an answer of the Bot API")
)

// faults of calls, of updates, and of time.
var (
	ofCalls   = []FaultKind{FaultLatency, FaultBroken, FaultLost, FaultLate, FaultSilent, FaultError, FaultFlood, FaultSlow}
	ofUpdates = []FaultKind{FaultDuplicate, FaultDelay, FaultMissing}
	ofTime    = []FaultKind{FaultRestart, FaultClock}
)

// ErrFault is a fault that makes no sense.
var ErrFault = errors.New("no such fault")

// Check says what is wrong with a fault.
func (f Fault) Check() error {
	wrong := func(format string, a ...any) error {
		return fmt.Errorf("%w: "+format, append([]any{ErrFault}, a...)...)
	}
	calls, updates, moments := slices.Contains(ofCalls, f.Kind), slices.Contains(ofUpdates, f.Kind), slices.Contains(ofTime, f.Kind)
	least := f.For.least()
	_, known := modelled[f.Method]
	switch {
	case f.Kind == "":
		return wrong("kind is missing; it is one of %v", slices.Concat(ofCalls, ofUpdates, ofTime))
	case !calls && !updates && !moments:
		return wrong("kind %q is none of %v", f.Kind, slices.Concat(ofCalls, ofUpdates, ofTime))
	case !calls && (f.Method != "" || f.Class != ""):
		return wrong("%s concerns no calls, so it takes no method and no class", f.Kind)
	case !updates && f.Update != "":
		return wrong("%s concerns no updates", f.Kind)
	case moments && (f.ChatID != 0 || f.UserID != 0 || f.Probability != 0):
		return wrong("%s befalls the server, so it takes no chat, user or probability", f.Kind)
	case f.Method != "" && !known:
		return wrong("method %q is not modelled", f.Method)
	case f.Class != "" && !slices.Contains(classes, f.Class):
		return wrong("class %q is none of %v", f.Class, classes)
	case f.Update != "" && f.Update != Service && !updateKinds[f.Update]:
		return wrong("update %q does not exist", f.Update)
	case f.Probability < 0 || f.Probability > 1:
		return wrong("probability is %v, but goes from 0 to 1", f.Probability)
	case f.Times < 0:
		return wrong("times is negative")
	case f.From < 0 || f.Until < 0 || f.Until > 0 && f.Until <= f.From:
		return wrong("until must come after from")
	case f.Every != 0 && !moments:
		return wrong("every is for restart and clock")
	case f.Every < 0:
		return wrong("every is negative")
	case least < 0 && f.Kind != FaultClock:
		return wrong("for is negative")
	case f.For.zero() && slices.Contains([]FaultKind{FaultLatency, FaultFlood, FaultSlow, FaultDelay, FaultClock}, f.Kind):
		return wrong("%s needs for", f.Kind)
	case !slices.Contains([]string{"", ScopeCall, ScopeChat, ScopeClass, ScopeBot}, f.Scope):
		return wrong("scope %q is none of call, chat, class, bot", f.Scope)
	case f.Scope != "" && f.Kind != FaultFlood:
		return wrong("scope is for flood")
	case !f.Then.zero() && f.Kind != FaultSlow:
		return wrong("then is for slow")
	case (f.Status != 0 || f.Description != "" || f.Body != "") && f.Kind != FaultError:
		return wrong("status, description and body are for error")
	case f.Status != 0 && (f.Status < 400 || f.Status > 599):
		return wrong("status %d is no error", f.Status)
	}
	return nil
}

// running is a fault that was set.
type running struct {
	Fault

	seed   uint64
	since  time.Time
	left   int // times left, where they are limited
	thrown map[uint64]uint64
	timer  *time.Timer
	gone   bool
}

// Fail sets a fault; the function it returns ends it. A fault that makes no sense panics: see Check.
func (s *Server) Fail(f Fault) (remove func()) {
	if err := f.Check(); err != nil {
		panic(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := &running{Fault: f, since: s.o.Clock(), left: f.Times, seed: s.o.Seed}
	for _, other := range s.faults { // two that are alike throw different dice
		if other.Fault == f {
			r.seed++
		}
	}
	h := fnv.New64a()
	_, _ = fmt.Fprintf(h, "%+v", f)
	r.seed ^= h.Sum64()
	s.faults = append(s.faults, r)
	if slices.Contains(ofTime, f.Kind) {
		r.timer = time.AfterFunc(f.From, func() { s.moment(r) })
	}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.end(r)
	}
}

// end takes a fault away. The world is locked.
func (s *Server) end(r *running) {
	r.gone = true
	if r.timer != nil {
		r.timer.Stop()
	}
	s.faults = slices.DeleteFunc(slices.Clone(s.faults), func(x *running) bool { return x == r })
}

// maxThrown bounds what is remembered of one fault's throws.
const maxThrown = 1 << 16

// dice are the throws for one more call or update that a fault matches. They depend on the seed, on the
// fault, on what it concerns and on how often that was, and on nothing else: what happens to others
// changes nobody's luck. The world is locked.
func (r *running) dice(name string, chat, user int64) *rand.Rand {
	h := r.seed
	for _, part := range []uint64{uint64(chat), uint64(user)} {
		h = (h ^ part) * 0x9E3779B97F4A7C15
		h ^= h >> 29
	}
	for _, c := range []byte(name) {
		h = (h ^ uint64(c)) * 0x100000001B3
	}
	if r.thrown == nil || len(r.thrown) >= maxThrown {
		r.thrown = map[uint64]uint64{}
	}
	r.thrown[h]++
	return rand.New(rand.NewPCG(h, r.thrown[h]))
}

// meets reports whether a fault befalls what it concerns, and counts it. The world is locked.
func (s *Server) meets(r *running, name string, chat, user int64, now time.Time) (*rand.Rand, bool) {
	after := now.Sub(r.since)
	if r.ChatID != 0 && r.ChatID != chat || r.UserID != 0 && r.UserID != user ||
		after < r.From || r.Until > 0 && after >= r.Until {
		return nil, false
	}
	dice := r.dice(name, chat, user)
	if r.Probability > 0 && dice.Float64() >= r.Probability {
		return nil, false
	}
	if r.Times > 0 {
		r.left--
		if r.left == 0 {
			s.end(r)
		}
	}
	return dice, true
}

// Mend ends every fault, also what a flood or a restart still holds up.
func (s *Server) Mend() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.faults {
		s.end(r)
	}
	s.back = time.Time{}
	clear(s.floods)
	clear(s.lines)
}

// Injected says how many faults of each kind have happened.
func (s *Server) Injected() map[FaultKind]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.happened)
}

// injected counts a fault and tells the hook. The world is locked.
func (s *Server) injected(i Injected) {
	s.happened[i.Kind]++
	if s.o.OnFault != nil {
		i.At = s.clock()
		s.o.OnFault(i)
	}
}

// moment lets a fault of time happen, and sets its timer again.
func (s *Server) moment(r *running) {
	s.mu.Lock()
	if r.gone {
		s.mu.Unlock()
		return
	}
	r.left--
	after := s.o.Clock().Sub(r.since)
	length := r.For.draw(r.dice(string(r.Kind), 0, 0))
	again := r.Every > 0 && (r.Times == 0 || r.left > 0) && (r.Until == 0 || after+r.Every < r.Until)
	if again {
		r.timer.Reset(r.Every)
	} else {
		s.end(r)
	}
	s.injected(Injected{Kind: r.Kind})
	s.mu.Unlock()
	if r.Kind == FaultClock {
		s.JumpClock(length)
		return
	}
	s.Restart(length)
}

// JumpClock moves the clock that dates and expiries are made of.
func (s *Server) JumpClock(by time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.jumped += by
	s.touch()
}

// Restart breaks every connection, and any that is tried until the time is over; what was asked and not
// yet carried out is forgotten. Queues of updates, and what bots chose to get, outlive it. Source: Bot API
// server, Client.cpp: both are kept on disk.
func (s *Server) Restart(away time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.restarted)
	s.restarted = make(chan struct{})
	s.back = s.o.Clock().Add(away)
	s.lines = map[floodKey]time.Time{}
	s.touch()
}

// concerns reports whether a fault of calls is meant for a method.
func (r *running) concerns(method string) bool {
	return (r.Method != "" || method != "getUpdates") && (r.Method == "" || strings.EqualFold(r.Method, method)) &&
		(r.Class == "" || r.Class == Class(method))
}
