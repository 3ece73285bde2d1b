package actors

import (
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// slot is the place of one root actor. Whoever looks it up gets the one alive now.
type slot struct {
	kind    string
	name    string
	produce actor.Producer
	mailbox int
	pid     atomic.Pointer[actor.PID]
}

// overseer keeps the root actors alive: one that was stopped for failing too often is replaced after
// a pause that grows. The system starts it; nobody sends to it but the library and itself.
type overseer struct {
	d        *deps
	slots    []*slot
	byPID    map[string]*slot
	failures map[*slot]int
	leaving  bool
}

// replace asks the overseer to start a slot's actor anew.
type replace struct{ slot *slot }

// stopOverseer ends the watch, before the actors are ended in order; it answers drained.
type stopOverseer struct{}

// Receive handles the end of root actors.
func (o *overseer) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		o.byPID, o.failures = map[string]*slot{}, map[*slot]int{}
		for _, s := range o.slots {
			o.watch(c, s)
		}
	case *actor.Terminated:
		s := o.byPID[m.Who.GetId()]
		delete(o.byPID, m.Who.GetId())
		if s == nil || o.leaving {
			return
		}
		o.failures[s]++
		o.d.metrics.failed(s.kind)
		o.d.log.Error().Str("actor", s.kind).Int("failures", o.failures[s]).Msg("a root actor was stopped for failing; it is replaced")
		wait := min(time.Duration(o.failures[s])*100*time.Millisecond, 5*time.Second)
		self, root := c.Self(), o.d.root
		time.AfterFunc(wait, func() { root.Send(self, &replace{slot: s}) })
	case *replace:
		if !o.leaving {
			m.slot.start(o.d)
			o.watch(c, m.slot)
		}
	case *stopOverseer:
		o.leaving = true
		c.Respond(&drained{})
		c.Stop(c.Self())
	}
}

func (o *overseer) watch(c actor.Context, s *slot) {
	pid := s.pid.Load()
	o.byPID[pid.GetId()] = s
	c.Watch(pid)
}

// start spawns the slot's actor under a fresh name.
func (s *slot) start(d *deps) {
	s.pid.Store(d.root.SpawnPrefix(rootProps(s.kind, s.produce, s.mailbox, d.supervision()), s.kind+s.name))
}
