package actors

import (
	"context"
	"sync"
)

// workPool runs what must not block an actor: a fixed number of goroutines and a bounded queue.
type workPool struct {
	work   chan func(context.Context)
	ctx    context.Context //nolint:containedctx // the pool's own life, handed to what it runs
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// newWorkPool starts a pool.
func newWorkPool(workers, queue int) *workPool {
	ctx, cancel := context.WithCancel(context.Background())
	p := &workPool{work: make(chan func(context.Context), queue), ctx: ctx, cancel: cancel}
	for range workers {
		p.wg.Go(p.run)
	}
	return p
}

func (p *workPool) run() {
	for {
		select {
		case <-p.ctx.Done():
			return
		case f := <-p.work:
			if p.ctx.Err() != nil {
				return
			}
			f(p.ctx)
		}
	}
}

// Go queues f and reports whether there was room. f's context ends with the pool.
func (p *workPool) Go(f func(ctx context.Context)) bool {
	if p.ctx.Err() != nil {
		return false
	}
	select {
	case p.work <- f:
		return true
	default:
		return false
	}
}

// Close ends the pool: what runs is told so and awaited until ctx ends, what waits is dropped.
func (p *workPool) Close(ctx context.Context) {
	p.cancel()
	ended := make(chan struct{})
	go func() { p.wg.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-ctx.Done():
	}
}
