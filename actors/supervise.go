package actors

import (
	"fmt"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/rs/zerolog"

	"github.com/gmbot/gmbot/protos"
	"github.com/gmbot/gmbot/telegram"
)

// fault is a failure that a test plants in an actor.
type fault string

const (
	faultNone  fault = ""
	faultPanic fault = "panic" // Receive panics
	faultDrop  fault = "drop"  // the message is lost, as a full mailbox loses it
	faultStop  fault = "stop"  // the actor stops with the message in hand
)

const (
	// restarts within restartWindow that an actor may have before it is stopped.
	restarts      = 5
	restartWindow = 10 * time.Second
)

// supervision is what every actor's props need: whom to tell of lost events, and where to log.
type supervision struct {
	settler Settler
	log     zerolog.Logger
	metrics *Metrics
	report  func(Incident)                       // nil: nobody is told
	inject  func(kind string, message any) fault // nil outside tests
	crew    *crew                                // nil: each mailbox runs on a goroutine of its own
}

// supervision is made once: each actor holds it.
func (d *deps) supervision() *supervision {
	if d.super != nil {
		return d.super
	}
	return &supervision{settler: d.settler, log: d.log, metrics: d.metrics, report: d.report, inject: d.inject}
}

// restartFew restarts what panicked, and stops what does it too often. It keeps nothing, so all share it.
var restartFew = actor.NewOneForOneStrategy(restarts, restartWindow, func(any) actor.Directive { return actor.RestartDirective })

// rootProps are propsFor an actor without a parent, which needs a guardian to supervise it.
func rootProps(kind string, produce actor.Producer, mailbox int, s *supervision) *actor.Props {
	return propsFor(kind, produce, mailbox, s).Configure(actor.WithGuardian(restartFew))
}

// propsFor gives one actor its bounded mailbox, its guard against panics, and supervision of its children. The
// library asks them for the actor again when it is restarted, so they cannot be shared by all of a kind.
func propsFor(kind string, produce actor.Producer, mailbox int, s *supervision) *actor.Props {
	l := &life{s: s, kind: kind, born: time.Now(), produce: produce, bound: mailbox}
	props := actor.PropsFromProducer(l.incarnate, actor.WithMailbox(l.mailbox), actor.WithSupervisor(restartFew))
	if s.crew != nil {
		props.Configure(actor.WithDispatcher(s.crew))
	}
	return props
}

// incarnate makes the actor, at first and after each panic.
func (l *life) incarnate() actor.Actor { return &guarded{life: l, actor: l.produce()} }

// mailbox is made once for each actor spawned; a restart keeps it.
func (l *life) mailbox() actor.Mailbox {
	l.s.metrics.spawned(l.kind)
	l.box = newMailbox(l.bound, l.s.metrics.load(l.kind), l.dropped)
	return l.box
}

func (l *life) dropped(message any) {
	l.s.metrics.dropped(l.kind)
	l.s.lost(message, l.kind+"'s mailbox is full")
}

// carrier is a message that carries events whose loss must be reported.
type carrier interface{ events() []*protos.Event }

// lost reports the events in a message that nobody will handle.
func (s *supervision) lost(message any, reason string) {
	switch m := actor.UnwrapEnvelopeMessage(message).(type) {
	case *protos.Event:
		s.settler.NotDone(m.GetDelivery(), reason)
	case carrier:
		for _, e := range m.events() {
			s.settler.NotDone(e.GetDelivery(), reason)
		}
	}
}

// guarded stands before an actor. It does what a middleware of the library could, which allocates an envelope
// for each message.
type guarded struct {
	life  *life
	actor actor.Actor
}

// Receive logs a panic with its stack and reports what was in hand; then the supervisor decides. A panic
// while an actor ends would keep its parent waiting for ever, so it goes no further.
func (g *guarded) Receive(c actor.Context) {
	defer func() {
		reason := recover()
		if reason == nil {
			return
		}
		message := c.Message()
		g.life.s.panicked(g.life, c, message, telegram.Redact(fmt.Sprint(reason)))
		switch message.(type) {
		case *actor.Stopping, *actor.Stopped, *actor.Restarting:
			return
		}
		panic(reason)
	}()
	message := c.Message()
	g.life.s.count(g.life, message)
	if g.life.s.inject != nil && g.life.s.planted(g.life.kind, c, message) {
		return
	}
	if ask, ok := message.(*inspect); ok {
		g.life.answer(c, g.actor, ask)
		return
	}
	g.actor.Receive(c)
}

// panicked tells everybody whom a panic concerns.
func (s *supervision) panicked(l *life, c actor.Context, message any, words string) {
	s.metrics.panicked(l.kind)
	l.last = &failure{words, time.Now()}
	i := Incident{Kind: IncidentPanic, Where: c.Self().GetId(), Words: words, Stack: callers()}
	i.about(message)
	s.log.Error().Str("actor", i.Where).Int64("update", i.UpdateID).Str("message", fmt.Sprintf("%T", message)).
		Str("panic", words).Str("stack", telegram.Redact(string(debug.Stack()))).Msg("an actor panicked")
	if s.report != nil {
		s.report(i)
	}
	s.lost(message, l.kind+telegram.Panicked+words)
}

func (s *supervision) count(l *life, message any) {
	kind := l.kind
	switch message.(type) {
	case *actor.Started:
		s.metrics.live(kind, 1)
	case *actor.Restarting:
		l.restarts++
		s.metrics.restarted(kind)
		s.metrics.live(kind, -1)
	case *actor.Stopped:
		s.metrics.live(kind, -1)
	}
}

// planted carries out a fault of a test, and reports whether the message is gone by it.
func (s *supervision) planted(kind string, c actor.Context, message any) bool {
	if _, ok := message.(actor.AutoReceiveMessage); ok {
		return false
	}
	if _, ok := message.(actor.SystemMessage); ok {
		return false
	}
	switch s.inject(kind, message) {
	case faultPanic:
		panic("planted by a test")
	case faultDrop:
		s.lost(message, "dropped by a test")
		return true
	case faultStop:
		s.lost(message, "stopped by a test")
		c.ActorSystem().Root.Stop(c.Self())
		return true
	case faultNone:
	}
	return false
}

func atoi(s string) (int64, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
