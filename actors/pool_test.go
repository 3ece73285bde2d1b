package actors

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// stubborn work takes its time, whatever its context says.
func stubborn(d time.Duration, n *atomic.Int64) func(context.Context) {
	return func(context.Context) {
		time.Sleep(d)
		n.Add(1)
	}
}

func TestPool_IsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var done, now, most atomic.Int64
		work := func(context.Context) {
			most.Store(max(most.Load(), now.Add(1)))
			time.Sleep(time.Second)
			now.Add(-1)
			done.Add(1)
		}
		p := newWorkPool(2, 3)
		for range 2 {
			require.True(t, p.Go(work))
			synctest.Wait()
		}
		for range 3 {
			require.True(t, p.Go(work))
		}
		assert.False(t, p.Go(work), "two at work, three wait")
		time.Sleep(1100 * time.Millisecond)
		assert.True(t, p.Go(work), "room again")
		time.Sleep(time.Minute)
		assert.EqualValues(t, 6, done.Load())
		assert.EqualValues(t, 2, most.Load())
		p.Close(context.Background())
	})
}

func TestPool_CloseTellsWhatRunsAndDropsWhatWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var told, waited atomic.Int64
		p := newWorkPool(3, 100)
		for range 3 {
			p.Go(func(ctx context.Context) {
				<-ctx.Done()
				time.Sleep(time.Second)
				told.Add(1)
			})
		}
		synctest.Wait()
		for range 100 {
			require.True(t, p.Go(stubborn(0, &waited)))
		}
		start := time.Now()
		p.Close(context.Background())
		assert.EqualValues(t, 3, told.Load())
		assert.Equal(t, time.Second, time.Since(start))
		assert.Zero(t, waited.Load())
		assert.False(t, p.Go(stubborn(0, &waited)), "closed")
	})
}

func TestPool_CloseGivesUpWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var done atomic.Int64
		p := newWorkPool(1, 1)
		require.True(t, p.Go(stubborn(time.Minute, &done)))
		synctest.Wait()
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		p.Close(ctx)
		assert.Equal(t, 2*time.Second, time.Since(start))
		assert.Zero(t, done.Load())
		time.Sleep(time.Minute)
		assert.EqualValues(t, 1, done.Load())
	})
}
