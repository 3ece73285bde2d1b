package main

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMemory_IsGivenBackOnceABurstIsOver(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	k := &memoryKeeper{}
	for _, step := range []struct {
		what  string
		ticks int
		now   memoryUse
		over  bool
	}{
		{"it has just begun", 1, memoryUse{allocated: 20 * mib, live: 10 * mib}, false},
		{"a burst is on", 1, memoryUse{allocated: 120 * mib, live: 20 * mib}, false},
		{"it pauses", quietTicks - 1, memoryUse{allocated: 120*mib + 1000, live: 20 * mib}, false},
		{"it goes on", 1, memoryUse{allocated: 121 * mib, live: 20 * mib}, false},
		{"it is over", quietTicks, memoryUse{allocated: 121*mib + 1000, live: 20 * mib}, true},
		{"it is over for long", 10 * quietTicks, memoryUse{allocated: 121*mib + 2000, live: 10 * mib}, false},
		{"a little happens", 1, memoryUse{allocated: 122 * mib, live: 10 * mib}, false},
		{"and no more", quietTicks, memoryUse{allocated: 122 * mib, live: 10 * mib}, false},
		{"another burst", 1, memoryUse{allocated: 400 * mib, live: 12 * mib}, false},
		{"is over", quietTicks, memoryUse{allocated: 400 * mib, live: 12 * mib}, true},
		{"where much is live, less than half of it", 1, memoryUse{allocated: 500 * mib, live: 400 * mib}, false},
		{"is not worth a collection", 10 * quietTicks, memoryUse{allocated: 500 * mib, live: 400 * mib}, false},
	} {
		for n := 1; n < step.ticks; n++ {
			assert.False(t, k.over(step.now), step.what)
		}
		assert.Equal(t, step.over, k.over(step.now), step.what)
	}
}

//nolint:paralleltest // it measures the memory of the whole process
func TestMemory_GoesBackToTheSystem(t *testing.T) {
	func() {
		var burst [][]byte
		for range 64 {
			burst = append(burst, make([]byte, 1<<20))
		}
		runtime.KeepAlive(burst)
	}()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go keepMemory(ctx)
	require.Eventually(t, func() bool {
		runtime.ReadMemStats(&after)
		return after.HeapReleased >= before.HeapReleased+32<<20
	}, time.Minute, memoryEvery)
}
