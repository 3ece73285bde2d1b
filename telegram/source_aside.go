package telegram

import (
	"context"
	"encoding/json"
	"maps"
	"strings"
	"time"
)

// Panicked is in the reason of a delivery that ended in a panic. What panics each time waits for a person; what could
// not be finished for any other reason is tried again.
const Panicked = " panicked: "

const (
	asideFirst   = 15 * time.Second // then twice as long after each try
	asideLongest = 5 * time.Minute
	// asideTries fit into a day, for which Telegram would keep an update. Source: Bot API, getUpdates
	asideTries = int(24 * time.Hour / asideLongest)
	// asideTrouble is how long the store is let be after it could not say what was set aside.
	asideTrouble = 5 * time.Second
)

// Aside is an update that could not be finished.
type Aside struct {
	ID     int64
	Raw    json.RawMessage
	Reason string    // redacted
	At     time.Time // when it was set aside last
	Again  time.Time // when it is to be tried again; zero = never: it waits for a person
	Tries  int       // how often it was tried again
}

// Asides stores what could not be finished. Its methods return when that is durable.
type Asides interface {
	// SetAside stores an update, in place of an earlier one with its id.
	SetAside(ctx context.Context, a Aside) error
	// Deferred lists at most limit updates that are to be tried again, next first.
	Deferred(ctx context.Context, limit int) ([]Aside, error)
	// Finished forgets one that is finished.
	Finished(ctx context.Context, id int64) error
}

// aside is an item as it is set aside now.
func (it *item) aside(reason string) Aside {
	a := Aside{ID: it.e.GetUpdateId(), Raw: it.raw, Reason: clip(Redact(reason), maxReason), At: time.Now(), Tries: it.tries}
	if a.Tries < asideTries && !strings.Contains(reason, Panicked) {
		a.Again = a.At.Add(min(asideFirst<<min(a.Tries, 10), asideLongest))
	}
	return a
}

// retake tries again what was set aside, when it is time, until ctx ends. Each time is one delivery, and holds nothing
// up: what else came of its chat has gone on long ago.
func (s *Source) retake(ctx context.Context) {
	next := time.Now() // an earlier life may have left some
	for {
		var due <-chan time.Time
		var timer *time.Timer
		if !next.IsZero() {
			timer = time.NewTimer(time.Until(next))
			due = timer.C
		}
		select {
		case <-ctx.Done():
		case <-due:
			var ok bool
			if next, ok = s.retakeDue(ctx); !ok {
				return
			}
		case at := <-s.deferred:
			if next.IsZero() || at.Before(next) {
				next = at
			}
		}
		if timer != nil {
			timer.Stop()
		}
		if ctx.Err() != nil {
			return
		}
	}
}

// retakeDue tries again what is due, at most a batch, and returns when there is more to do; zero = not before something
// else is set aside. It returns false when the program ends, or may not act.
func (s *Source) retakeDue(ctx context.Context) (next time.Time, ok bool) {
	if s.away() {
		return time.Now().Add(asideTrouble), true
	}
	list, err := s.o.Asides.Deferred(ctx, batchSize)
	if err != nil {
		if ctx.Err() == nil {
			s.o.Log.Warn().Str("error", Redact(err.Error())).Msg("what was set aside cannot be read, trying again")
		}
		return time.Now().Add(asideTrouble), true
	}
	var items []*item
	now := time.Now()
	for _, a := range list {
		if a.Again.After(now) {
			next = a.Again
			break
		}
		if s.takes(a.ID) {
			s.forget(ctx, a.ID)
			continue
		}
		e, err := Decode(a.Raw, a.At.UnixMilli())
		if err != nil {
			continue // it was decoded before it was set aside
		}
		items = append(items, &item{e: e, raw: a.Raw, tries: a.Tries + 1, replayed: true, deferred: true})
	}
	if len(items) == 0 {
		if len(list) == batchSize && next.IsZero() { // and there may be more
			next = time.Now().Add(asideTrouble)
		}
		return next, true
	}
	if s.guard(ctx) != nil { // whoever takes updates ends by its word, too
		return time.Time{}, false
	}
	ok = s.carry(items)
	for _, it := range items {
		s.finish(ctx, it)
	}
	return time.Now().Add(time.Second), ok
}

// finish forgets an update that was set aside, if it is finished now, and be it while the program ends.
func (s *Source) finish(ctx context.Context, it *item) {
	s.mu.Lock()
	settled := it.settled
	s.mu.Unlock()
	if settled {
		s.forget(ctx, it.e.GetUpdateId())
	}
}

func (s *Source) forget(ctx context.Context, id int64) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
	defer cancel()
	if err := s.o.Asides.Finished(ctx, id); err != nil {
		s.o.Log.Warn().Int64("update", id).Str("error", Redact(err.Error())).
			Msg("an update that was set aside is finished, and cannot be forgotten: it is tried again")
	}
}

// waits remembers the deliveries of what was set aside: what took too long may be finished before it is tried again.
func (s *Source) waits(it *item) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range append(it.older, it.delivery) {
		s.waiting[d] = it.e.GetUpdateId()
	}
}

// takes ends that, and reports whether it is finished.
func (s *Source) takes(id int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	done := s.finished[id]
	delete(s.finished, id)
	maps.DeleteFunc(s.waiting, func(_ uint64, one int64) bool { return one == id })
	return done
}

// setAside stores an update that failed each time; the store's failure is tried again at each deadline.
func (s *Source) setAside(ctx context.Context, it *item, reason string) bool {
	ctx, cancel := context.WithTimeout(ctx, settleWithin)
	defer cancel()
	a := it.aside(reason)
	if err := s.o.Asides.SetAside(ctx, a); err != nil {
		if it.deferred { // as it stands in the store it is tried again
			return true
		}
		if s.o.Keeper != nil && len(s.keep([]*item{it})) == 0 {
			return true
		}
		s.o.Log.Error().Int64("update", it.e.GetUpdateId()).Str("error", Redact(err.Error())).
			Msg("an update can neither be finished nor set aside; nothing new is taken until it can")
		s.mu.Lock()
		it.stuck, it.due, it.failed = true, time.Now().Add(settleWithin), ""
		s.mu.Unlock()
		return false
	}
	if a.Again.IsZero() {
		s.o.Metrics.update(it.e.GetKind().String(), "set_aside")
		s.o.Log.Error().Int64("update", it.e.GetUpdateId()).Str("reason", clip(a.Reason, 200)).
			Msg("an update failed each time and was set aside")
		return true
	}
	s.waits(it)
	s.o.Metrics.update(it.e.GetKind().String(), "deferred")
	s.o.Log.Warn().Int64("update", it.e.GetUpdateId()).Str("reason", clip(a.Reason, 200)).Int("tries", a.Tries).Time("again", a.Again).
		Msg("an update could not be finished in time and is tried again later")
	select {
	case s.deferred <- a.Again:
	default: // there is one that waits, which is due before this one
	}
	return true
}
