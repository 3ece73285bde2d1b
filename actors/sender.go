package actors

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/rs/zerolog"
	"google.golang.org/protobuf/proto"

	"github.com/gmbot/gmbot/protos"
)

// API carries out one job and says what became of it; telegram.Client does. It is called from several
// goroutines at once and must return within 15 s or so.
type API interface {
	Do(ctx context.Context, job *protos.Job) *protos.JobDone
}

// SenderOptions are what a sender is made of; zero budgets mean the defaults.
type SenderOptions struct {
	Slots                  int     // calls in the air at once, 0 = 32
	MessagesPerSecond      float64 // 0 = 28
	MessagesPerGroupMinute float64 // 0 = 18
	ActionsPerSecond       float64 // 0 = none
	Clock                  Clock
	Log                    zerolog.Logger
	Metrics                *Metrics
}

const (
	defaultSlots     = 32
	defaultPerSecond = 28
	defaultPerGroup  = 18
)

// sender is the only way out to Telegram: it decides which call leaves when, and goroutines carry the
// calls out and report back by message. Everybody sends it jobs; it answers each once.
type sender struct {
	api      API
	o        SenderOptions
	lanes    *lanes
	air      map[*task]struct{} // calls under way
	timer    *time.Timer
	timerAt  time.Time
	ctx      context.Context //nolint:containedctx // the sender's own life, given to its calls
	cancel   context.CancelFunc
	stopping *actor.PID
}

// callDone brings the outcome of a call. The goroutine that made it sends it.
type callDone struct {
	t    *task
	done *protos.JobDone
}

// laneTick is the time at which something that waited may leave.
type laneTick struct{}

// stopSender asks the sender to finish what is in the air within grace; it answers senderStopped.
type stopSender struct{ grace time.Duration }

// senderStopped answers stopSender.
type senderStopped struct{ left int }

// graceOver ends the wait for what is in the air.
type graceOver struct{}

func newSender(api API, o SenderOptions) actor.Actor {
	if o.Slots <= 0 {
		o.Slots = defaultSlots
	}
	if o.MessagesPerSecond <= 0 {
		o.MessagesPerSecond = defaultPerSecond
	}
	if o.MessagesPerGroupMinute <= 0 {
		o.MessagesPerGroupMinute = defaultPerGroup
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &sender{api: api, o: o, ctx: ctx, cancel: cancel, air: map[*task]struct{}{}, lanes: newLanes(limits{
		slots: o.Slots, perSecond: o.MessagesPerSecond, perGroup: o.MessagesPerGroupMinute, actions: o.ActionsPerSecond,
		floodExtra: func() time.Duration { return rand.N(500 * time.Millisecond) },
	}, o.Clock())}
}

// Receive handles jobs, and the ends of calls.
func (s *sender) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Stopping, *actor.Restarting:
		s.owe(c, s.lanes.drain())
		s.abandon(c)
		s.cancel()
		if s.timer != nil {
			s.timer.Stop()
		}
	case *protos.Job:
		s.onJob(c, m)
	case *callDone:
		s.onDone(c, m)
	case *laneTick:
		s.timerAt = time.Time{}
		s.pump(c)
	case *stopSender:
		s.stopping = c.Sender()
		s.owe(c, s.lanes.drain())
		self, root := c.Self(), c.ActorSystem().Root
		time.AfterFunc(m.grace, func() { root.Send(self, &graceOver{}) })
		s.maybeStopped(c)
	case *graceOver:
		s.stopped(c)
	}
}

func (s *sender) onJob(c actor.Context, job *protos.Job) {
	now := s.o.Clock()
	t := &task{job: job, to: c.Sender(), since: now}
	if s.stopping != nil {
		s.owe(c, []reply{refused(t, "stopping")})
		return
	}
	s.owe(c, s.lanes.add(t))
	s.pump(c)
}

// pump lets leave what may, and sets the alarm for what may later.
func (s *sender) pump(c actor.Context) {
	if s.stopping != nil {
		return
	}
	now := s.o.Clock()
	for {
		t, wait, late := s.lanes.next(now)
		s.owe(c, late)
		if t == nil {
			s.o.Metrics.waiting(s.lanes.work)
			s.alarm(c, now, wait)
			return
		}
		s.launch(c, t, now)
	}
}

func (s *sender) alarm(c actor.Context, now time.Time, wait time.Duration) {
	at := now.Add(wait)
	if wait == 0 || !s.timerAt.IsZero() && !at.Before(s.timerAt) {
		return
	}
	if s.timer != nil {
		s.timer.Stop()
	}
	s.timerAt = at
	self, root := c.Self(), c.ActorSystem().Root
	s.timer = time.AfterFunc(wait, func() { root.Send(self, &laneTick{}) })
}

// launch carries a call out; lanes have bounded how many are in the air.
func (s *sender) launch(c actor.Context, t *task, now time.Time) {
	s.air[t] = struct{}{}
	s.o.Metrics.left(t.job.GetLane(), now.Sub(t.since))
	self, root, api, ctx := c.Self(), c.ActorSystem().Root, s.api, s.ctx
	go func() {
		sent := now.UnixMilli()
		done := &protos.JobDone{Tag: t.job.GetTag(), Outcome: protos.Outcome_UNCLEAR, Description: "call panicked", SentMs: sent}
		defer func() {
			if recover() != nil {
				s.o.Log.Error().Msg("a call to Telegram panicked")
			}
			root.Send(self, &callDone{t: t, done: done})
		}()
		done = api.Do(ctx, t.job)
	}()
}

// abandon answers for the calls whose end this sender will not see.
func (s *sender) abandon(c actor.Context) {
	for t := range s.air {
		tasks := t.parts
		if len(tasks) == 0 {
			tasks = []*task{t}
		}
		for _, one := range tasks {
			s.owe(c, []reply{{t: one, done: &protos.JobDone{
				Tag: one.job.GetTag(), Outcome: protos.Outcome_UNCLEAR, Description: "the sender stopped",
			}}})
		}
	}
	clear(s.air)
}

func (s *sender) onDone(c actor.Context, m *callDone) {
	if _, under := s.air[m.t]; !under {
		return // a call of an earlier life, answered when that ended
	}
	delete(s.air, m.t)
	if m.done.GetOutcome() == protos.Outcome_FLOOD {
		s.o.Metrics.flooded(m.t.job.GetLane(), m.done.GetRetryAfterS())
		s.o.Log.Warn().Int64("chat", m.t.job.GetChatId()).Str("lane", m.t.job.GetLane().String()).
			Int64("seconds", m.done.GetRetryAfterS()).Msg("Telegram asks for a pause")
	}
	owed := s.lanes.done(m.t, m.done, s.o.Clock())
	s.owe(c, owed)
	if s.stopping != nil {
		s.owe(c, s.lanes.drain())
		s.maybeStopped(c)
		return
	}
	s.pump(c)
}

// owe pays answers out.
func (s *sender) owe(c actor.Context, owed []reply) {
	for _, r := range owed {
		if r.done.GetOutcome() == protos.Outcome_EXPIRED {
			s.o.Metrics.refused(r.t.job.GetLane(), r.done.GetDescription())
		}
		if r.t.to == nil {
			continue
		}
		done := r.done
		if done.GetTag() != r.t.job.GetTag() {
			done = proto.CloneOf(done)
			done.Tag = r.t.job.GetTag()
		}
		c.Send(r.t.to, done)
	}
}

func (s *sender) maybeStopped(c actor.Context) {
	if s.lanes.inAir == 0 {
		s.stopped(c)
	}
}

func (s *sender) stopped(c actor.Context) {
	if s.stopping == nil {
		return
	}
	c.Send(s.stopping, &senderStopped{left: s.lanes.inAir})
	s.stopping = nil
	c.Stop(c.Self())
}
