package telegram

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/gmbot/gmbot/protos"
)

const (
	batchSize    = 100
	pollSeconds  = 50               // Telegram's longest. Source: Bot API server, Client.cpp
	settleWithin = 5 * time.Second  // an event not settled by then is handed out again
	deliveries   = 3                // then it is set aside
	finishWithin = 15 * time.Second // however long it waited behind others
	stopGrace    = 2 * time.Second  // for what is in the air when the program ends
	maxReason    = 4096             // bytes of a reason that is stored
)

// Updates is the part of a Client that a Source polls.
type Updates interface {
	GetUpdates(ctx context.Context, offset int64, limit, timeoutSeconds int, allowed []string) ([]json.RawMessage, error)
}

// SourceOptions are what a Source is made of. Client, Deliver and SetAside are required.
type SourceOptions struct {
	Client Updates
	// Deliver hands an event on; it must not block. Whoever gets it settles it.
	Deliver func(*protos.Event)
	// SetAside stores an update nobody could finish; when it returns nil the update is settled.
	SetAside func(ctx context.Context, e *protos.Event, raw []byte, reason string) error
	Log      zerolog.Logger
	Metrics  *Metrics
}

// Source long-polls and owns every event until it is settled: nothing to do, or stored. One batch is
// in the air; the poll that confirms it leaves when all of it is settled. An event that is given up,
// or not settled in time, is handed out again, twice at most, and then set aside, at the latest 15 s
// after it was first handed out, so that the offset always moves on.
type Source struct {
	o    SourceOptions
	mu   sync.Mutex
	last uint64
	open map[uint64]*item // by delivery, also older ones of the same event
	wake chan struct{}

	taking bool
	reason string
}

// item is one event on its way.
type item struct {
	e        *protos.Event
	raw      json.RawMessage
	attempt  uint32
	delivery uint64    // the current one
	first    time.Time // when it was first handed out
	due      time.Time // when the current delivery counts as given up
	out      bool      // handed out now
	settled  bool
	failed   string // why the current delivery was given up
	older    []uint64
}

// NewSource makes a Source; Run starts it.
func NewSource(o SourceOptions) *Source {
	return &Source{o: o, open: map[uint64]*item{}, wake: make(chan struct{}, 1), reason: "not started"}
}

// Taking reports whether Telegram answers the polls, and if not, why.
func (s *Source) Taking() (bool, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.taking, s.reason
}

func (s *Source) setTaking(ok bool, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taking, s.reason = ok, reason
}

// Settled reports that nothing about an event can be lost any more. Any of its deliveries will do.
func (s *Source) Settled(delivery uint64) {
	s.report(delivery, func(it *item) { it.settled = true })
}

// NotDone reports that a delivery was given up. An older one than the current changes nothing.
func (s *Source) NotDone(delivery uint64, reason string) {
	if reason == "" {
		reason = "given up"
	}
	s.report(delivery, func(it *item) {
		if it.delivery == delivery && it.failed == "" {
			it.failed = reason
		}
	})
}

func (s *Source) report(delivery uint64, change func(*item)) {
	s.mu.Lock()
	it := s.open[delivery]
	if it != nil {
		change(it)
	}
	s.mu.Unlock()
	if it == nil {
		return
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Run polls until ctx ends, then waits a little for what is in the air. It always returns nil: what
// could not be finished comes again to the next program.
func (s *Source) Run(ctx context.Context) error {
	defer s.setTaking(false, "stopping")
	p := &poller{s: s}
	offset := int64(0)
	for ctx.Err() == nil {
		raws, err := s.o.Client.GetUpdates(ctx, offset, batchSize, p.timeout(), AllowedUpdates())
		s.o.Metrics.polled(Classify(err), time.Now())
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			p.failed(ctx, err)
			continue
		}
		next, items := s.decode(raws)
		if len(raws) > 0 && next == 0 {
			// Nothing can be confirmed, so the same comes again at once.
			p.failed(ctx, ErrNoUpdateID)
			continue
		}
		p.succeeded()
		if !s.carry(ctx, items) {
			return nil
		}
		if next != 0 {
			offset = next
		}
		if ctx.Err() != nil && len(raws) > 0 {
			s.confirm(offset)
		}
	}
	return nil
}

// confirm tells Telegram that the last batch is settled, so that the next program does not get it.
func (s *Source) confirm(offset int64) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if _, err := s.o.Client.GetUpdates(ctx, offset, 1, 0, AllowedUpdates()); err != nil {
		s.o.Log.Info().Str("error", Redact(err.Error())).Msg("the last updates could not be confirmed and will come again")
	}
}

// decode turns a batch into items and says the offset that confirms all of it. A malformed update
// harms only itself.
func (s *Source) decode(raws []json.RawMessage) (next int64, items []*item) {
	now := time.Now().UnixMilli()
	for _, raw := range raws {
		id, err := UpdateID(raw)
		if err != nil {
			s.o.Metrics.update("unknown", "malformed")
			s.o.Log.Debug().Msg("an update without an update_id was skipped")
			continue
		}
		next = id + 1
		e, err := Decode(raw, now)
		if err != nil {
			s.o.Metrics.update("unknown", "malformed")
			s.o.Log.Debug().Int64("update", id).Str("error", Redact(err.Error())).Msg("a malformed update was skipped")
			continue
		}
		if e.GetKind() == protos.EventKind_OTHER {
			s.o.Metrics.update(e.GetKind().String(), "skipped")
			continue
		}
		items = append(items, &item{e: e, raw: raw})
	}
	return next, items
}

// carry hands out a batch and returns when all of it is settled, or false when the program ends first.
func (s *Source) carry(ctx context.Context, items []*item) bool {
	grace, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(stopGrace, cancel) })()
	for {
		items = s.tend(ctx, grace, items)
		s.o.Metrics.air(len(items))
		if len(items) == 0 {
			return true
		}
		timer := time.NewTimer(s.untilDeadline(items))
		select {
		case <-s.wake:
		case <-timer.C:
		case <-grace.Done():
			timer.Stop()
			return false
		}
		timer.Stop()
	}
}

// tend takes settled items out, and hands out those whose turn it is. While an event of a chat waits
// to be handed out again, later ones of that chat wait behind it. After ctx nothing is handed out, after
// grace nothing is set aside.
func (s *Source) tend(ctx, grace context.Context, items []*item) []*item {
	left := items[:0:0]
	again := map[int64]bool{}
	for _, it := range items {
		settled, failed := s.look(it)
		last := it.attempt >= deliveries || it.attempt > 0 && time.Since(it.first) >= finishWithin
		if !settled && failed != "" && last && grace.Err() == nil {
			settled = s.setAside(grace, it, failed)
		}
		if settled {
			s.close(it)
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
	return left
}

// look says whether an item is settled, or why it has to be handed out again.
func (s *Source) look(it *item) (settled bool, failed string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if it.settled {
		return true, ""
	}
	if it.out && it.failed == "" && !time.Now().Before(it.due) {
		it.failed = "not settled in time"
	}
	return false, it.failed
}

// hand delivers an event under a new handle. The event is a copy: what was sent does not change.
func (s *Source) hand(it *item, failed string) {
	if failed != "" {
		s.o.Metrics.update(it.e.GetKind().String(), "redelivered")
		s.o.Log.Warn().Int64("update", it.e.GetUpdateId()).Uint32("attempt", it.attempt).Str("reason", clip(failed, 200)).
			Msg("an update is handed out again")
	}
	e := clone(it.e)
	now := time.Now()
	s.mu.Lock()
	s.last++
	it.attempt++
	if it.attempt == 1 {
		it.first = now
	}
	it.delivery, it.out, it.failed, it.due = s.last, true, "", now.Add(settleWithin)
	if end := it.first.Add(finishWithin); end.Before(it.due) {
		it.due = end
	}
	it.older = append(it.older, s.last)
	e.Delivery, e.Attempt = it.delivery, it.attempt
	s.open[it.delivery] = it
	s.mu.Unlock()
	s.o.Deliver(e)
}

// setAside stores an update that failed each time; the store's failure is tried again at each deadline.
func (s *Source) setAside(ctx context.Context, it *item, reason string) bool {
	ctx, cancel := context.WithTimeout(ctx, settleWithin)
	defer cancel()
	if err := s.o.SetAside(ctx, it.e, it.raw, clip(Redact(reason), maxReason)); err != nil {
		s.o.Log.Error().Int64("update", it.e.GetUpdateId()).Str("error", Redact(err.Error())).
			Msg("an update can neither be finished nor set aside; nothing new is taken until it can")
		s.mu.Lock()
		it.due, it.failed = time.Now().Add(settleWithin), ""
		s.mu.Unlock()
		return false
	}
	s.o.Metrics.update(it.e.GetKind().String(), "set_aside")
	s.o.Log.Error().Int64("update", it.e.GetUpdateId()).Str("reason", clip(Redact(reason), 200)).
		Msg("an update failed each time and was set aside")
	return true
}

func (s *Source) close(it *item) {
	s.mu.Lock()
	settled := it.settled
	for _, d := range it.older {
		delete(s.open, d)
	}
	s.mu.Unlock()
	if settled {
		s.o.Metrics.update(it.e.GetKind().String(), "settled")
		s.o.Metrics.settled(time.Duration(time.Now().UnixMilli()-it.e.GetReceivedMs()) * time.Millisecond)
	}
}

func (s *Source) untilDeadline(items []*item) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	left := settleWithin
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
