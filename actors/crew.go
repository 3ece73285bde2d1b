package actors

import (
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

const (
	// crewRest is how long goroutines wait for work that is not there.
	crewRest = 200 * time.Millisecond
	// crewIdle bounds those that wait.
	crewIdle = 256
)

// crew runs mailboxes on goroutines that it uses again. A new goroutine for each run, as the library has it, first grows
// its stack to what handling a message needs, which costs a good part of the handling. It is safe for concurrent use;
// nothing waits for it.
type crew struct {
	mu     sync.Mutex
	idle   []chan func() // the last that had work stands last
	spare  int           // fewest idle since the last look
	look   *time.Timer   // nil while nobody is idle
	closed bool
}

var _ actor.Dispatcher = (*crew)(nil)

// Throughput implements actor.Dispatcher; the mailbox has its own, see yieldAfter.
func (w *crew) Throughput() int { return yieldAfter }

// Schedule implements actor.Dispatcher.
func (w *crew) Schedule(work func()) {
	w.mu.Lock()
	n := len(w.idle) - 1
	if n < 0 {
		w.mu.Unlock()
		go w.run(work)
		return
	}
	to := w.idle[n]
	w.idle[n], w.idle = nil, w.idle[:n]
	w.spare = min(w.spare, n)
	w.mu.Unlock()
	to <- work
}

func (w *crew) run(work func()) {
	next := make(chan func(), 1)
	for ok := true; ok; work, ok = <-next {
		work()
		if !w.rest(next) {
			return
		}
	}
}

// rest has a goroutine wait for work, unless too many do.
func (w *crew) rest(next chan func()) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || len(w.idle) >= crewIdle {
		return false
	}
	w.idle = append(w.idle, next)
	if w.look == nil {
		w.spare = 0
		w.look = time.AfterFunc(crewRest, w.dismiss)
	}
	return true
}

// dismiss ends those that had no work since the last look.
func (w *crew) dismiss() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	for _, next := range w.idle[:w.spare] {
		close(next)
	}
	w.idle = append([]chan func(){}, w.idle[w.spare:]...)
	w.spare, w.look = len(w.idle), nil
	if len(w.idle) > 0 {
		w.look = time.AfterFunc(crewRest, w.dismiss)
	}
}

// close ends all that wait; what runs goes on, and what is scheduled later runs on a goroutine of its own.
func (w *crew) close() {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	for _, next := range w.idle {
		close(next)
	}
	w.idle = nil
	if w.look != nil {
		w.look.Stop()
	}
}
