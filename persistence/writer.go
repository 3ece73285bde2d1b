package persistence

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
)

// WriterOptions are what a writer may be given; the zero value is good.
type WriterOptions struct {
	// Queue bounds the changes that wait; 0 = 4096.
	Queue int
	// MaxBatch bounds the changes of one transaction; 0 = 256.
	MaxBatch int
	// Timeout bounds one transaction; 0 = 5 s, or 2 s with Changes.
	Timeout time.Duration
	// Changes keeps what is to be stored while the database is away, which is then as good as stored; nil: it
	// fails.
	Changes *Changes
	// Metrics counts transactions and shows the queue; nil counts nothing.
	Metrics *Metrics
	// Log gets a line with the stack when a change or a done panics.
	Log zerolog.Logger
}

func (o WriterOptions) filled() WriterOptions {
	if o.Queue <= 0 {
		o.Queue = 4096
	}
	if o.MaxBatch <= 0 {
		o.MaxBatch = 256
	}
	if o.Timeout <= 0 && o.Changes != nil {
		o.Timeout = awayAfter
	}
	if o.Timeout <= 0 {
		o.Timeout = 5 * time.Second
	}
	return o
}

// Writer gathers changes without waiting: it commits at once what it has, and what arrives meanwhile is
// the next transaction. Only its own goroutine writes. All its methods are safe for concurrent use.
type Writer struct {
	store  Store
	o      WriterOptions
	queue  chan request
	ctx    context.Context // of every transaction
	giveUp context.CancelFunc
	ended  chan struct{}

	turn   sync.Mutex // held while changes are kept, and where the time away ends
	away   atomic.Bool
	lost   atomic.Bool  // another program has acted: nothing of this one's is applied any more
	began  atomic.Int64 // Unix ns: since when the transaction under way is; 0 = none is
	probes sync.WaitGroup

	mu     sync.RWMutex // held for reading while something is put into queue
	closed bool
}

type request struct {
	change func(Tx) error
	done   func(error)
}

// NewWriter starts a writer for s; Close ends it.
func NewWriter(s Store, o WriterOptions) *Writer {
	o = o.filled()
	ctx, cancel := context.WithCancel(context.Background())
	w := &Writer{
		store: s, o: o, queue: make(chan request, o.Queue),
		ctx: ctx, giveUp: cancel, ended: make(chan struct{}),
	}
	o.Metrics.queued(0, o.Queue)
	go w.run()
	return w
}

// Do queues change and never blocks. done is called exactly once: with nil when change is durable, else
// with change's own error, ErrBusy if the queue is full, ErrClosed if the writer was closed, or the
// store's error; after an error nothing of change is in the store.
//
// done runs on the writer's goroutine, or on the caller's before Do returns when the change is refused
// (ErrBusy, ErrClosed). It must not block: no other change is committed while it runs.
//
// Changes run in the order they were queued, several in one transaction. When one fails, all of its
// transaction are undone and each is run again alone, so that it harms only itself: a change may run
// twice, and must work from its arguments and what Tx returns to it. When the store itself fails, all
// of the transaction get that error. A panic in change counts as its error.
func (w *Writer) Do(change func(Tx) error, done func(error)) {
	if err := w.put(request{change, done}); err != nil {
		w.o.Metrics.failed(err)
		w.report(done, err)
	}
}

func (w *Writer) put(r request) error {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if w.closed {
		return fmt.Errorf("queue change: %w", ErrClosed)
	}
	select {
	case w.queue <- r:
		w.o.Metrics.queued(len(w.queue), w.o.Queue)
		return nil
	default:
		return fmt.Errorf("queue change: %w", ErrBusy)
	}
}

// Depth is how many changes wait, without those in the transaction under way.
func (w *Writer) Depth() int { return len(w.queue) }

// Close refuses further changes and returns when those queued are committed or have failed and every
// done has returned. When ctx ends first, the transaction under way is undone, what still waits gets
// ErrClosed, and Close returns ctx's error without waiting for that; a further call waits. Calling it
// twice is harmless. It must not be called from a change or a done.
func (w *Writer) Close(ctx context.Context) error {
	w.mu.Lock()
	if !w.closed {
		w.closed = true
		close(w.queue)
	}
	w.mu.Unlock()
	select {
	case <-w.ended:
		return nil
	default:
	}
	select {
	case <-w.ended:
		return nil
	case <-ctx.Done():
		w.giveUp()
		return fmt.Errorf("close writer with %d changes waiting: %w", w.Depth(), ctx.Err())
	}
}

func (w *Writer) run() {
	defer close(w.ended)
	defer w.probes.Wait()
	defer w.giveUp()
	batch := make([]request, 0, w.o.MaxBatch)
	for first := range w.queue {
		batch = w.gather(append(batch[:0], first))
		w.o.Metrics.queued(len(w.queue), w.o.Queue)
		w.commit(batch)
		clear(batch)
	}
}

// gather adds what waits already.
func (w *Writer) gather(batch []request) []request {
	for len(batch) < w.o.MaxBatch {
		select {
		case r, open := <-w.queue:
			if !open {
				return batch
			}
			batch = append(batch, r)
		default:
			return batch
		}
	}
	return batch
}

func (w *Writer) commit(batch []request) {
	if w.keep(batch) {
		return
	}
	own, err := w.transact(batch)
	if err == nil || own && len(batch) == 1 {
		w.reportAll(batch, err)
		return
	}
	if !own {
		w.failed(batch, err)
		return
	}
	for i := range batch {
		own, err := w.transact(batch[i : i+1])
		if err != nil && !own {
			w.failed(batch[i:], err)
			return
		}
		w.report(batch[i].done, err)
	}
}

// transact runs a batch in one transaction. own tells whether an error is that of one of the changes.
func (w *Writer) transact(batch []request) (own bool, err error) {
	if w.ctx.Err() != nil {
		return false, fmt.Errorf("commit changes: %w", ErrClosed)
	}
	timeout := w.o.Timeout
	if w.away.Load() {
		timeout = min(timeout, probeWithin)
	}
	ctx, cancel := context.WithTimeout(w.ctx, timeout)
	defer cancel()
	w.began.Store(time.Now().UnixNano())
	defer w.began.Store(0)
	var failed error
	defer func() {
		if p := recover(); p != nil {
			w.o.Log.Error().Interface("panic", p).Bytes("stack", debug.Stack()).Msg("a change of the store panicked")
			own, err = true, fmt.Errorf("change panicked: %v", p)
		}
	}()
	w.o.Metrics.gathered(len(batch))
	err = w.store.Update(ctx, func(tx Tx) error {
		for _, r := range batch {
			if err := r.change(tx); err != nil {
				failed = err
				return err
			}
		}
		return nil
	})
	own = (failed != nil || errors.Is(err, errSwallowed)) && !errors.Is(err, ErrUnavailable) && ctx.Err() == nil
	if !own {
		w.Suspect(err)
	}
	if err != nil && !own && w.ctx.Err() != nil {
		err = fmt.Errorf("%w: %w", ErrClosed, err)
	}
	return own, err
}

// failed keeps what the database could not store. What may have been stored all the same is not kept, or it
// would be done twice: whoever asked for it has to look.
func (w *Writer) failed(batch []request, err error) {
	if errors.Is(err, ErrUnavailable) && !errors.Is(err, errUnclear) && w.keep(batch) {
		return
	}
	w.reportAll(batch, err)
}

func (w *Writer) reportAll(batch []request, err error) {
	for _, r := range batch {
		w.report(r.done, err)
	}
}

// report calls done and keeps its panic from ending the writer.
func (w *Writer) report(done func(error), err error) {
	defer func() {
		if p := recover(); p != nil {
			w.o.Log.Error().Interface("panic", p).Bytes("stack", debug.Stack()).Msg("a change's report panicked")
		}
	}()
	done(err)
}
