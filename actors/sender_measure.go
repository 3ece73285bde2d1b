package actors

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// measureEvery is how often the sender's queues are measured; the oldest call cannot be known more cheaply.
const measureEvery = time.Second

// measureTick is the time at which the sender measures its queues.
type measureTick struct{}

// laneLoad is what waits in one lane, over all chats.
type laneLoad struct {
	waiting int
	oldest  time.Duration
}

// measure walks over the chats with something waiting. A queue is in order of time but for calls that were
// put back, which are older still and stand first.
func (l *lanes) measure(now time.Time) (load [laneCount]laneLoad) {
	add := func(lane int, queue []*task) {
		if len(queue) > 0 {
			load[lane].waiting += len(queue)
			load[lane].oldest = max(load[lane].oldest, now.Sub(queue[0].since))
		}
	}
	add(0, l.answers)
	for _, ch := range l.turns {
		for lane := range ch.queues {
			add(lane, ch.queues[lane])
		}
	}
	return load
}

// measureSoon sets the next time to measure.
func (s *sender) measureSoon(c actor.Context) {
	if s.o.Metrics == nil {
		return
	}
	self, root := c.Self(), c.ActorSystem().Root
	s.meter = time.AfterFunc(measureEvery, func() { root.Send(self, &measureTick{}) })
}

func (s *sender) measure(c actor.Context) {
	s.o.Metrics.measured(s.lanes.measure(s.o.Clock()), s.lanes.inAir)
	s.measureSoon(c)
}
