package persistence

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// awayAfter is how long one transaction may hang until the database counts as away.
	awayAfter = 2 * time.Second
	// probeEvery is how often a database that is away is tried, and for how long each time.
	probeEvery  = 500 * time.Millisecond
	probeFirst  = 100 * time.Millisecond
	probeWithin = 2 * time.Second
)

// Away reports whether the database does not answer now. It is asked before each decision to wait for it,
// and costs some nanoseconds.
func (w *Writer) Away() bool {
	if w.away.Load() {
		return true
	}
	began := w.began.Load()
	return began != 0 && time.Since(time.Unix(0, began)) > awayAfter
}

// Suspect takes an error of a read: one that the database is to blame for makes it count as away until it
// answers a change of its own.
func (w *Writer) Suspect(err error) {
	if !errors.Is(err, ErrUnavailable) || errors.Is(err, errHeld) || w.ctx.Err() != nil || w.away.Swap(true) {
		return
	}
	if w.o.Changes != nil {
		w.store.Hold(true)
	}
	w.o.Metrics.isAway(true)
	w.o.Log.Warn().Err(err).Msg("the database does not answer; what needs it waits")
	w.probes.Go(w.probe)
}

// Superseded reports that another program has acted on the database while this one could not reach it.
func (w *Writer) Superseded() bool { return w.lost.Load() }

// probe tries the database until it answers and all that was kept is applied.
func (w *Writer) probe() {
	since := time.Now()
	for wait := probeFirst; ; wait = probeEvery {
		select {
		case <-w.ctx.Done():
			return
		case <-time.After(wait):
		}
		if err := w.tryBack(); err == nil {
			w.o.Log.Info().Dur("away", time.Since(since)).Msg("the database answers again")
			return
		} else if errors.Is(err, ErrSuperseded) {
			w.lost.Store(true)
			w.o.Log.Error().Err(err).Msg("what was kept is left to the next start")
			return
		}
	}
}

func (w *Writer) tryBack() error {
	err := w.within(func(ctx context.Context) error {
		return w.store.Update(ctx, func(tx Tx) error { return tx.SetMeta("last_probe", time.Now().UTC().Format(time.RFC3339)) })
	})
	if err != nil {
		return err
	}
	c := w.o.Changes
	for c != nil && c.journal.Len() > 0 {
		err := w.within(func(ctx context.Context) error {
			if err := c.stillFirst(ctx, w.store); err != nil {
				return err
			}
			return c.applySome(ctx, w.store)
		})
		if err != nil {
			return err
		}
	}
	w.turn.Lock()
	defer w.turn.Unlock()
	if c != nil && c.journal.Len() > 0 {
		return errMoreKept
	}
	if c != nil {
		w.store.Hold(false)
	}
	w.away.Store(false)
	w.o.Metrics.isAway(false)
	return nil
}

// errMoreKept: something was kept while the rest was being applied.
var errMoreKept = errors.New("more was kept meanwhile")

func (w *Writer) within(do func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(w.ctx, probeWithin)
	defer cancel()
	return do(ctx)
}

// keep puts changes into the journal while the database is away, which is then as good as stored, and
// reports whether it took them.
func (w *Writer) keep(batch []request) bool {
	if w.o.Changes == nil || !w.away.Load() {
		return false
	}
	w.turn.Lock()
	if !w.away.Load() {
		w.turn.Unlock()
		return false
	}
	errs := make([]error, len(batch))
	var records [][]byte
	for i, r := range batch {
		record, err := w.o.Changes.record(r.change)
		if errs[i] = err; err == nil {
			records = append(records, record)
		}
	}
	err := w.o.Changes.journal.Keep(records...)
	w.turn.Unlock()
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrUnavailable, err)
		w.o.Log.Error().Err(err).Msg("changes can neither be stored nor kept")
	}
	for i, r := range batch {
		if errs[i] == nil {
			errs[i] = err
		}
		w.o.Metrics.failed(errs[i])
		w.report(r.done, errs[i])
	}
	return true
}
