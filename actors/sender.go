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
	Slots                  int     // calls in the air at once, 0 = 32, and 128 where calls take long
	MessagesPerSecond      float64 // 0 = 28
	MessagesPerGroupMinute float64 // 0 = 18
	ActionsPerSecond       float64 // 0 = none
	Clock                  Clock
	Log                    zerolog.Logger
	Metrics                *Metrics
	Pauses                 *pauseBook          // nil: pauses end with the sender
	Report                 func(Incident)      // nil: nobody is told
	Random                 func(n int64) int64 // uniform in [0, n); nil: by chance
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
	gauge    *slotGauge         // nil: the slots are given
	air      map[*task]struct{} // calls under way
	calls    chan call          // to a goroutine that has none to carry out
	timer    *time.Timer
	timerAt  time.Time
	meter    *time.Timer
	ctx      context.Context //nolint:containedctx // the sender's own life, given to its calls
	cancel   context.CancelFunc
	stopping *actor.PID
	held     bool // another program may be acting: nothing leaves
}

// callDone brings the outcome of a call. The goroutine that made it sends it.
type callDone struct {
	t    *task
	done *protos.JobDone
	took time.Duration
}

// laneTick is the time at which something that waited may leave.
type laneTick struct{}

// stopSender asks the sender to finish what is in the air within grace; it answers senderStopped.
type stopSender struct{ grace time.Duration }

// holdSender keeps everything that waits from leaving, or lets it leave again; nobody answers. The system sends it.
type holdSender struct{ on bool }

// askQuiet asks whether nothing waits and most slots are empty; senderQuiet answers. The sweeper sends it.
type (
	askQuiet    struct{}
	senderQuiet struct{ quiet bool }
)

// senderStopped answers stopSender.
type senderStopped struct{ left int }

// graceOver ends the wait for what is in the air.
type graceOver struct{}

func newSender(api API, o SenderOptions) actor.Actor {
	var gauge *slotGauge
	if o.Slots <= 0 {
		o.Slots, gauge = defaultSlots, &slotGauge{}
	}
	if o.MessagesPerSecond <= 0 {
		o.MessagesPerSecond = defaultPerSecond
	}
	if o.MessagesPerGroupMinute <= 0 {
		o.MessagesPerGroupMinute = defaultPerGroup
	}
	if o.Random == nil {
		o.Random = rand.Int64N
	}
	ctx, cancel := context.WithCancel(context.Background())
	now := o.Clock()
	s := &sender{api: api, o: o, gauge: gauge, ctx: ctx, cancel: cancel, air: map[*task]struct{}{}, calls: make(chan call), lanes: newLanes(limits{
		slots: o.Slots, perSecond: o.MessagesPerSecond, perGroup: o.MessagesPerGroupMinute, actions: o.ActionsPerSecond,
		floodExtra: func() time.Duration { return time.Duration(o.Random(int64(500 * time.Millisecond))) },
		jitter:     func(d time.Duration) time.Duration { return time.Duration(o.Random(max(int64(d), 1))) },
		paused:     func(k pauseKey, until time.Time) { o.Pauses.note(k, until, o.Clock()) },
	}, now)}
	for k, until := range o.Pauses.standing(now) {
		s.lanes.pause(k, until)
	}
	return s
}

// Receive handles jobs, and the ends of calls.
func (s *sender) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		s.measureSoon(c)
	case *measureTick:
		s.measure(c)
	case *actor.Stopping, *actor.Restarting:
		if s.meter != nil {
			s.meter.Stop()
		}
		s.owe(c, s.lanes.drain())
		s.abandon(c)
		s.cancel()
		if s.timer != nil {
			s.timer.Stop()
		}
	case *protos.Job:
		s.onJob(c, m)
	case *withdraw:
		s.owe(c, s.lanes.withdraw(m))
	case *callDone:
		s.onDone(c, m)
	case *laneTick:
		s.timerAt = time.Time{}
		s.pump(c)
	case *askQuiet:
		c.Respond(&senderQuiet{quiet: s.stopping == nil && !s.held && s.lanes.quiet(s.o.Clock())})
	case *ping:
		c.Respond(&pong{})
	case *stopSender:
		s.stopping = c.Sender()
		s.owe(c, s.lanes.drain())
		self, root := c.Self(), c.ActorSystem().Root
		time.AfterFunc(m.grace, func() { root.Send(self, &graceOver{}) })
		s.maybeStopped(c)
	case *holdSender:
		s.held = m.on
		s.pump(c)
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
	if job.GetTellWait() && t.to != nil {
		c.Send(t.to, &protos.JobWait{Tag: job.GetTag(), WaitMs: s.lanes.held(job.GetChatId(), job.GetLane(), now).Milliseconds()})
	}
	s.pump(c)
}

// pump lets leave what may, and sets the alarm for what may later.
func (s *sender) pump(c actor.Context) {
	if s.stopping != nil || s.held {
		return
	}
	now := s.o.Clock()
	for {
		t, wait, late := s.lanes.next(now)
		s.owe(c, late)
		if t == nil {
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

// launch carries a call out; lanes have bounded how many are in the air. The goroutine that carried one out takes the
// next: its stack has grown to what a call needs, which is a good part of what a new one costs.
func (s *sender) launch(c actor.Context, t *task, now time.Time) {
	s.air[t] = struct{}{}
	s.o.Metrics.left(t.job.GetLane(), now.Sub(t.since))
	call := call{t: t, to: c.Self(), root: c.ActorSystem().Root, sent: now.UnixMilli()}
	select {
	case s.calls <- call:
	default:
		go s.carry(call)
	}
}

// call is a task that may leave.
type call struct {
	t    *task
	to   *actor.PID
	root *actor.RootContext
	sent int64 // Unix ms
}

// restAfter is how long a goroutine waits for the next call.
const restAfter = 200 * time.Millisecond

// carry carries calls out, one after the other, while there are some. The mailboxes' crew could do that: it was measured to
// take some 6 % more CPU and a MiB more in a burst, for one lock is between mailboxes and calls then.
func (s *sender) carry(one call) {
	rest := time.NewTimer(restAfter)
	defer rest.Stop()
	for {
		s.carryOut(one)
		rest.Reset(restAfter)
		select {
		case one = <-s.calls:
		case <-rest.C:
			return
		case <-s.ctx.Done():
			return
		}
	}
}

func (s *sender) carryOut(one call) {
	began := s.o.Clock()
	done := &protos.JobDone{Tag: one.t.job.GetTag(), Outcome: protos.Outcome_UNCLEAR, Description: "call panicked", SentMs: one.sent}
	defer func() {
		if recover() != nil {
			s.o.Log.Error().Msg("a call to Telegram panicked")
		}
		one.root.Send(one.to, &callDone{t: one.t, done: done, took: s.o.Clock().Sub(began)})
	}()
	done = s.api.Do(s.ctx, one.t.job)
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
	s.note(m)
	now := s.o.Clock()
	if s.gauge != nil {
		s.lanes.limits.slots = s.gauge.took(m.took, now)
	}
	owed := s.lanes.done(m.t, m.done, now)
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
