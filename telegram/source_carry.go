package telegram

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
)

// load is a number of events that came together; whoever brought them waits until all are settled.
type load struct {
	items []*item
	left  int           // not closed; only the carrying goroutine counts
	open  int           // not reported as settled; guarded by Source.mu
	over  chan struct{} // closed when none is left
	// settled is called just before that; nil calls nobody.
	settled func()
}

func newLoad(items []*item) *load {
	l := &load{items: items, left: len(items), open: len(items), over: make(chan struct{})}
	for _, it := range items {
		it.load = l
	}
	if l.left == 0 {
		close(l.over)
	}
	return l
}

// settledOne counts one event that was reported as settled, and reports whether it was the last.
func (l *load) settledOne() bool {
	if l == nil {
		return true
	}
	l.open--
	return l.open == 0
}

// done counts one event off. nil has nobody waiting.
func (l *load) done() {
	if l == nil {
		return
	}
	l.left--
	if l.left > 0 {
		return
	}
	if l.settled != nil {
		l.settled()
	}
	close(l.over)
}

// run carries events for as long as intake takes them, and a little longer for what is in the air then.
func (s *Source) run(ctx context.Context, intake func(context.Context) error) error {
	defer s.setTaking(false, "stopping")
	ctx, cancel := context.WithCancel(ctx)
	var again sync.WaitGroup
	defer func() {
		cancel()
		<-s.ended
		again.Wait()
	}()
	go s.carryAll(ctx)
	again.Go(func() { s.retake(ctx) })
	return intake(ctx)
}

// carry has events carried and returns when all of them are settled, or false when the program ends first.
func (s *Source) carry(items []*item) bool {
	l, ok := s.load(items)
	if !ok {
		return false
	}
	w := &window{s: s, loads: []*load{l}}
	return w.wait(context.Background(), nil)
}

// load hands events to the goroutine that carries them, or returns false when the program has ended.
func (s *Source) load(items []*item) (*load, bool) {
	l := newLoad(items)
	if l.left == 0 {
		return l, true
	}
	select {
	case s.loads <- l:
		return l, true
	case <-s.ended:
		return nil, false
	}
}

// carryAll carries every load until ctx has ended and nothing is in the air, or the grace for that is over.
func (s *Source) carryAll(ctx context.Context) {
	defer close(s.ended)
	grace, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(stopGrace, cancel) })()
	var items []*item
	stop := ctx.Done()
	for {
		items = s.tend(ctx, grace, items)
		s.expect(items)
		if len(items) == 0 && ctx.Err() != nil {
			return
		}
		var due <-chan time.Time
		var timer *time.Timer
		if len(items) > 0 {
			timer = time.NewTimer(s.untilDeadline(items))
			due = timer.C
		}
		select {
		case l := <-s.loads:
			items = append(items, l.items...)
		case <-s.wake:
		case <-due:
		case <-stop:
			stop = nil
		case <-grace.Done():
			return
		}
		if timer != nil {
			timer.Stop()
		}
	}
}

// expect notes what is in the air. Whoever settled meanwhile has roused the carrying goroutine already.
func (s *Source) expect(items []*item) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left = 0
	each := false
	for _, it := range items {
		if !it.settled {
			s.left++
		}
		each = each || it.attempt != 1
	}
	if each && !s.each {
		s.rouse() // one may have settled unheard
	}
	s.each = each
	s.o.Metrics.air(s.left)
}

// tend takes settled items out, and hands out those whose turn it is. While an event of a chat waits
// to be handed out again, later ones of that chat wait behind it. After ctx nothing is handed out, after
// grace nothing is set aside.
func (s *Source) tend(ctx, grace context.Context, items []*item) []*item {
	left := make([]*item, 0, len(items))
	again := map[int64]bool{}
	away := s.away() && grace.Err() == nil
	now := time.Now()
	var keep []*item
	for _, it := range items {
		settled, failed := s.look(it, now, away)
		if !settled && failed != "" && it.deferred {
			if !away && grace.Err() == nil {
				s.setAside(grace, it, failed)
			}
			s.close(it)
			continue
		}
		if !settled && failed != "" && away {
			keep = append(keep, it)
			continue
		}
		if failed != "" && planted("redelivery dropped") {
			settled = true
		}
		last := it.attempt >= deliveries || it.attempt > 0 && now.Sub(it.first) >= finishWithin
		if !settled && failed != "" && last && grace.Err() == nil {
			settled = s.setAside(grace, it, failed)
		}
		if settled {
			if !it.closed { // to be kept is to be closed
				s.close(it)
			}
			continue
		}
		left = append(left, it)
		chat := it.e.GetChat().GetId()
		if failed != "" && !last || it.attempt == 0 {
			if again[chat] || ctx.Err() != nil {
				continue
			}
			s.hand(it, failed)
		}
		if it.attempt > 1 {
			again[chat] = true
		}
	}
	left = append(left, s.keep(keep)...)
	if s.hindered != "" && !slices.ContainsFunc(left, func(it *item) bool { return it.stuck }) {
		s.setHindered("")
	}
	return left
}

// look says whether an item is settled, or why it has to be handed out again.
func (s *Source) look(it *item, now time.Time, away bool) (settled bool, failed string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if it.settled {
		return true, ""
	}
	due := it.due
	if away {
		due = due.Add(keepWithin - settleWithin)
	}
	if it.out && it.failed == "" && !now.Before(due) {
		it.failed = "not settled in time"
	}
	return false, it.failed
}

// hand delivers an event under a new handle. What was sent does not change, so each further delivery is
// of a copy.
func (s *Source) hand(it *item, failed string) {
	e := it.e
	if failed != "" {
		s.o.Metrics.update(e.GetKind().String(), "redelivered")
		s.o.Log.Warn().Int64("update", e.GetUpdateId()).Uint32("attempt", it.attempt).Str("reason", clip(failed, 200)).
			Msg("an update is handed out again")
	}
	if it.attempt > 0 {
		e = proto.CloneOf(e)
	}
	now := time.Now()
	s.mu.Lock()
	s.last++
	it.attempt++
	if it.attempt == 1 {
		it.first = now
	} else {
		it.older = append(it.older, it.delivery)
	}
	it.delivery, it.out, it.failed, it.due = s.last, true, "", now.Add(settleWithin)
	if end := it.first.Add(finishWithin); end.Before(it.due) || it.deferred {
		it.due = end
	}
	e.Delivery, e.Attempt = it.delivery, it.attempt
	if it.replayed {
		e.Attempt++
	}
	s.open[it.delivery] = it
	s.mu.Unlock()
	if line := s.o.Log.Debug(); line.Enabled() {
		line.Int64("update", e.GetUpdateId()).Stringer("kind", e.GetKind()).Int64("chat", e.GetChat().GetId()).
			Uint32("attempt", e.GetAttempt()).Msg("an update is handed out")
	}
	s.o.Deliver(e)
}

func (s *Source) close(it *item) {
	s.mu.Lock()
	settled := it.settled
	it.closed = true
	delete(s.open, it.delivery)
	for _, d := range it.older {
		delete(s.open, d)
	}
	s.mu.Unlock()
	it.load.done()
	if settled {
		now := time.Now().UnixMilli()
		s.o.Metrics.settled(it.e, now)
		if line := s.o.Log.Debug(); line.Enabled() {
			line.Int64("update", it.e.GetUpdateId()).Int64("ms", now-it.e.GetReceivedMs()).Msg("an update is settled")
		}
	}
}

func (s *Source) untilDeadline(items []*item) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	left := settleWithin
	if s.away() {
		left = keepWithin
	}
	for _, it := range items {
		if it.out && it.failed == "" {
			left = min(left, time.Until(it.due))
		}
	}
	return max(left, time.Millisecond)
}

func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
