package actors

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"
)

func TestPing_SaysWhetherEveryRootActorTurns(t *testing.T) {
	t.Parallel()
	runGate(t, func(t *testing.T, g *gate) {
		require.NoError(t, g.s.Ping(t.Context()))
		root := g.s.actors.Root
		deaf := root.Spawn(actor.PropsFromFunc(func(actor.Context) {}))
		was := g.s.routers[3].pid.Swap(deaf)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := g.s.Ping(ctx)
		require.ErrorIs(t, err, ErrStuck)
		require.ErrorContains(t, err, "router 3")
		g.s.routers[3].pid.Store(was)
		root.Stop(deaf)
		synctest.Wait()
		require.NoError(t, g.s.Ping(t.Context()))
	})
}
