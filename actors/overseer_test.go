package actors

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/telegram"
)

// hello is answered by a greeter.
type hello struct{}

// greeter answers how many of its kind were made before it.
type greeter struct{ life int }

func (g *greeter) Receive(c actor.Context) {
	if _, ok := c.Message().(*hello); ok {
		c.Respond(g.life)
	}
}

// watched starts a root actor that an overseer keeps alive.
func (s *stage) watched(t *testing.T) (one *slot, over *actor.PID) {
	t.Helper()
	lives := 0
	d := &deps{root: s.system.Root, settler: &ledger{}, log: zerolog.Nop(), inject: s.supervision().inject}
	one = &slot{kind: "greeter", name: "0", mailbox: 100, produce: func() actor.Actor {
		lives++
		return &greeter{life: lives}
	}}
	one.start(d)
	over = s.spawn("overseer", func() actor.Actor { return &overseer{d: d, slots: []*slot{one}} })
	synctest.Wait()
	return one, over
}

// life asks who is there; 0 is nobody.
func (s *stage) life(one *slot) int {
	got, err := s.system.Root.RequestFuture(one.pid.Load(), &hello{}, time.Millisecond).Result()
	n, ok := got.(int)
	if err != nil || !ok {
		return 0
	}
	return n
}

func TestOverseer_ReplacesWhatFailsTooOften(t *testing.T) {
	t.Parallel()
	onStage(t, func(t *testing.T, s *stage) {
		one, over := s.watched(t)
		first := one.pid.Load()
		for i := range restarts {
			require.Equal(t, 1+i, s.life(one))
			s.system.Root.Send(first, &boom{})
			synctest.Wait()
		}
		require.Equal(t, 1+restarts, s.life(one), "restarted, under the same name")
		s.system.Root.Send(first, &boom{})
		synctest.Wait()
		require.Zero(t, s.life(one), "once too often")
		require.Same(t, first, one.pid.Load())
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		require.Equal(t, 2+restarts, s.life(one), "replaced")
		require.NotEqual(t, first.GetId(), one.pid.Load().GetId())

		s.system.Root.Stop(one.pid.Load()) // the second time it takes longer
		time.Sleep(150 * time.Millisecond)
		synctest.Wait()
		require.Zero(t, s.life(one))
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		require.Equal(t, 3+restarts, s.life(one))
		s.system.Root.Stop(over)
		s.system.Root.Stop(one.pid.Load())
	})
}

func TestOverseer_ThePauseHasABound(t *testing.T) {
	t.Parallel()
	onStage(t, func(t *testing.T, s *stage) {
		one, over := s.watched(t)
		for i := range 60 {
			require.Equal(t, 1+i, s.life(one))
			s.system.Root.Stop(one.pid.Load())
			time.Sleep(5*time.Second + 100*time.Millisecond)
			synctest.Wait()
		}
		s.system.Root.Stop(over)
	})
}

func TestOverseer_ReplacesNobodyOnceItIsLeaving(t *testing.T) {
	t.Parallel()
	onStage(t, func(t *testing.T, s *stage) {
		one, over := s.watched(t)
		s.system.Root.Stop(one.pid.Load())
		synctest.Wait() // it is to be replaced in a moment
		answer, err := s.system.Root.RequestFuture(over, &stopOverseer{}, time.Second).Result()
		require.NoError(t, err)
		assert.IsType(t, &drained{}, answer)
		time.Sleep(time.Minute)
		synctest.Wait()
		assert.Zero(t, s.life(one))
	})
}

// The gate goes on when its root actors were stopped and replaced.
func TestOverseer_TheGateWorksAgain(t *testing.T) {
	t.Parallel()
	runGate(t, func(t *testing.T, g *gate) {
		before := g.s.Sender()
		g.s.actors.Root.Stop(before)
		g.s.actors.Root.Stop(g.s.Membership(theChannel, anna))
		g.s.actors.Root.Stop(g.s.Shard(theGroup))
		g.pass(time.Second)
		require.NotEqual(t, before.GetId(), g.s.Sender().GetId())
		sent := g.send(message(anna, 10, "buy my coins"))
		g.pass(3 * time.Second)
		assert.True(t, g.isSettled(sent))
		assert.True(t, g.w.deleted[10])
		assert.Equal(t, telegram.StatusRestricted, g.w.standingOf(anna).GetStatus())
	})
}
