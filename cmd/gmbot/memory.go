package main

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// memoryEvery is how often it is looked whether a burst is over.
	memoryEvery = 100 * time.Millisecond
	// quietBytes is what a program that has nothing to do allocates in that time at most.
	quietBytes = 256 << 10
	// quietTicks is for how many of those it has nothing to do when a burst is over: goroutines that wait for the next
	// call or message have ended by then, and their stacks are free, too.
	quietTicks = 5
	// heapGrowth is by how many percent the heap may grow between two collections where GOGC says nothing else: with the
	// runtime's 100 a burst leaves 4 MiB more behind, and costs no measurably less.
	heapGrowth = 60
	// burstLeast is what must have been allocated since, so that it is worth to give memory back.
	burstLeast = 8 << 20
)

// memoryUse is what the runtime says of its heap, bytes.
type memoryUse struct {
	allocated uint64 // since the program began
	live      uint64 // reachable at the last collection
}

// memoryKeeper gives memory back to the system once a burst is over. Left alone, the runtime collects only when the
// heap has doubled, which a bot that has nothing to do may not see for minutes, and returns what is free at one
// percent of a processor. Under load nothing is done, so that it costs a burst nothing.
type memoryKeeper struct {
	last   memoryUse
	quiet  int    // ticks in a row
	backAt uint64 // allocated when memory was given back last
}

// over reports whether a burst is over that was large enough to be worth a collection: one costs time in proportion to
// what is live.
func (k *memoryKeeper) over(now memoryUse) bool {
	k.quiet++
	if now.allocated-k.last.allocated > quietBytes {
		k.quiet = 0
	}
	k.last = now
	if k.quiet < quietTicks || now.allocated-k.backAt < max(burstLeast, now.live/2) {
		return false
	}
	k.backAt = now.allocated
	return true
}

// keepMemory gives memory back after each burst until ctx ends.
func keepMemory(ctx context.Context) {
	const usual = 100
	if asked := debug.SetGCPercent(heapGrowth); asked != usual {
		debug.SetGCPercent(asked)
	}
	samples := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}, {Name: "/gc/heap/live:bytes"}}
	tick := time.NewTicker(memoryEvery)
	defer tick.Stop()
	k := &memoryKeeper{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		metrics.Read(samples)
		if k.over(memoryUse{allocated: samples[0].Value.Uint64(), live: samples[1].Value.Uint64()}) {
			runtime.GC() // what pools hold goes only with the second
			debug.FreeOSMemory()
		}
	}
}
