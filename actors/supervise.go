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
	inject  func(kind string, message any) fault // nil outside tests
}

func (d *deps) supervision() supervision {
	return supervision{settler: d.settler, log: d.log, metrics: d.actors, inject: d.inject}
}

// restartFew restarts what panicked, and stops what does it too often.
func restartFew() actor.SupervisorStrategy {
	return actor.NewOneForOneStrategy(restarts, restartWindow, func(any) actor.Directive { return actor.RestartDirective })
}

// rootProps are propsFor an actor without a parent, which needs a guardian to supervise it.
func rootProps(kind string, produce actor.Producer, mailbox int, s supervision) *actor.Props {
	return propsFor(kind, produce, mailbox, s).Configure(actor.WithGuardian(restartFew()))
}

// propsFor gives an actor its bounded mailbox, its guard against panics, and supervision of its children.
func propsFor(kind string, produce actor.Producer, mailbox int, s supervision) *actor.Props {
	return actor.PropsFromProducer(produce,
		actor.WithMailbox(newMailbox(mailbox, func(m any) {
			s.metrics.dropped(kind)
			s.lost(m, kind+"'s mailbox is full")
		})),
		actor.WithReceiverMiddleware(func(next actor.ReceiverFunc) actor.ReceiverFunc { return s.guard(kind, next) }),
		actor.WithSupervisor(restartFew()),
	)
}

// carrier is a message that carries events whose loss must be reported.
type carrier interface{ events() []*protos.Event }

// lost reports the events in a message that nobody will handle.
func (s supervision) lost(message any, reason string) {
	switch m := actor.UnwrapEnvelopeMessage(message).(type) {
	case *protos.Event:
		s.settler.NotDone(m.GetDelivery(), reason)
	case carrier:
		for _, e := range m.events() {
			s.settler.NotDone(e.GetDelivery(), reason)
		}
	}
}

// guard logs a panic with its stack and reports what was in hand; then the supervisor decides. A panic
// while an actor ends would keep its parent waiting for ever, so it goes no further.
func (s supervision) guard(kind string, next actor.ReceiverFunc) actor.ReceiverFunc {
	return func(c actor.ReceiverContext, envelope *actor.MessageEnvelope) {
		defer func() {
			reason := recover()
			if reason == nil {
				return
			}
			words := telegram.Redact(fmt.Sprint(reason))
			s.metrics.panicked(kind)
			s.log.Error().Str("actor", kind).Str("message", fmt.Sprintf("%T", envelope.Message)).Str("panic", words).
				Str("stack", telegram.Redact(string(debug.Stack()))).Msg("an actor panicked")
			s.lost(envelope.Message, kind+" panicked: "+words)
			switch envelope.Message.(type) {
			case *actor.Stopping, *actor.Stopped, *actor.Restarting:
				return
			}
			panic(reason)
		}()
		s.count(kind, envelope.Message)
		if s.inject != nil && s.planted(kind, c, envelope.Message) {
			return
		}
		next(c, envelope)
	}
}

func (s supervision) count(kind string, message any) {
	switch message.(type) {
	case *actor.Started:
		s.metrics.live(kind, 1)
	case *actor.Restarting:
		s.metrics.restarted(kind)
		s.metrics.live(kind, -1)
	case *actor.Stopped:
		s.metrics.live(kind, -1)
	}
}

// planted carries out a fault of a test, and reports whether the message is gone by it.
func (s supervision) planted(kind string, c actor.ReceiverContext, message any) bool {
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

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
