package actors

import (
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// idling is how many of a crew wait.
func (w *crew) idling() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.idle)
}

// goroutine names the one that calls.
func goroutine() string {
	room := make([]byte, 64)
	name, _, _ := strings.Cut(string(room[:runtime.Stack(room, false)]), " [")
	return name
}

func TestCrew_RunsEverythingOnceOnGoroutinesThatStay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, ran, seen := &crew{}, atomic.Int64{}, sync.Map{}
		for range 100 {
			w.Schedule(func() { ran.Add(1); seen.Store(goroutine(), true) })
			synctest.Wait()
		}
		require.EqualValues(t, 100, ran.Load())
		assert.Equal(t, 1, w.idling(), "the one that ran everything")
		names := 0
		seen.Range(func(any, any) bool { names++; return true })
		assert.Equal(t, 1, names)

		// One that waits for another's run is no reason to wait for it.
		first := make(chan struct{})
		w.Schedule(func() { <-first; ran.Add(1) })
		w.Schedule(func() { close(first); ran.Add(1) })
		synctest.Wait()
		assert.EqualValues(t, 102, ran.Load())
		w.close()
	})
}

func TestCrew_GoroutinesWithoutWorkEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, together := &crew{}, make(chan struct{})
		for range 2 * crewIdle {
			w.Schedule(func() { <-together })
		}
		close(together)
		synctest.Wait()
		assert.Equal(t, crewIdle, w.idling(), "no more than so many wait")
		for range 8 { // a few have work all the time
			time.Sleep(crewRest / 2)
			both := make(chan struct{})
			w.Schedule(func() { <-both })
			w.Schedule(func() { close(both) })
			synctest.Wait()
		}
		assert.Equal(t, 2, w.idling())
		time.Sleep(3 * crewRest)
		assert.Zero(t, w.idling(), "and none when nobody has")
		assert.Nil(t, w.look, "then nothing is looked at")
		ran := false
		w.Schedule(func() { ran = true })
		synctest.Wait()
		assert.True(t, ran)
		w.close()
	})
}

// What is scheduled while a system stops is run all the same, and leaves nobody behind: the bubble would not end.
func TestCrew_Closed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, ran, go1 := &crew{}, atomic.Int64{}, make(chan struct{})
		w.Schedule(func() { ran.Add(1) })
		w.Schedule(func() { <-go1; ran.Add(1) })
		synctest.Wait()
		w.close()
		w.close()
		close(go1)
		w.Schedule(func() { ran.Add(1) })
		synctest.Wait()
		assert.EqualValues(t, 3, ran.Load())
		assert.Zero(t, w.idling())
		(*crew)(nil).close()
	})
}

func TestCrew_UnderLoad(t *testing.T) {
	t.Parallel()
	var w crew
	var ran, all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 5000 {
				ran.Add(1)
				w.Schedule(ran.Done)
			}
		})
	}
	for range 50 {
		w.dismiss()
	}
	all.Wait()
	ran.Wait()
	w.close()
}
