package telegram

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/gmbot/gmbot/protos"
)

const (
	retryFirst   = 200 * time.Millisecond
	retryLongest = 8 * time.Second  // whoever presses a button meanwhile waits for it
	retryOthers  = 30 * time.Second // somebody has to change something first
	retryRefused = time.Minute
	sayAgain     = time.Minute // the same trouble is logged once in it
)

// Run polls until ctx ends, then waits a little for what is in the air, and returns nil: what could not be
// finished comes again to the next program. It returns Guard's error when that forbids to go on.
func (s *Source) Run(ctx context.Context) error { return s.run(ctx, s.poll) }

func (s *Source) poll(ctx context.Context) error {
	w := &window{s: s}
	if err := s.pollInto(ctx, w); err != nil {
		return err
	}
	if len(w.taken) > 0 && w.wait(ctx, nil) {
		s.confirm(w.confirmable())
	}
	return nil
}

func (s *Source) pollInto(ctx context.Context, w *window) error {
	p := &poller{s: s}
	for ctx.Err() == nil {
		if err := s.guard(ctx); err != nil {
			return err
		}
		offset := w.confirmable()
		late := len(w.taken) > 0
		if !late && !s.replay() {
			return nil
		}
		timeout := p.timeout()
		if late {
			timeout = 0 // Telegram has updates: at least the late ones
		}
		raws, err := s.o.Client.GetUpdates(ctx, offset, batchSize, s.patience(timeout), AllowedUpdates())
		s.o.Metrics.polled(Classify(err), time.Now())
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the end is no fault
		}
		if err != nil {
			p.failed(ctx, err)
			continue
		}
		news := w.take(raws)
		if len(raws) > 0 && len(w.taken) == 0 {
			// Nothing can be confirmed, so the same comes again at once.
			p.failed(ctx, ErrNoUpdateID)
			continue
		}
		p.succeeded()
		if err := s.guard(ctx); err != nil && len(news) > 0 {
			return err
		}
		if !w.carry(ctx, news) {
			return nil
		}
	}
	return nil
}

func (s *Source) guard(ctx context.Context) error {
	if s.o.Guard == nil || ctx.Err() != nil {
		return nil //nolint:nilerr // the end is no fault
	}
	return s.o.Guard(ctx)
}

// confirm tells Telegram that the last batch is settled, so that the next program does not get it.
func (s *Source) confirm(offset int64) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if _, err := s.o.Client.GetUpdates(ctx, offset, 1, 0, AllowedUpdates()); err != nil {
		s.o.Log.Info().Str("error", Redact(err.Error())).Msg("the last updates could not be confirmed and will come again")
	}
}

// read decodes one update. Without an id it is none at all; otherwise it says whether it is needed.
func (s *Source) read(raw json.RawMessage, it *item) (id int64, needed bool) {
	e, err := Decode(raw, time.Now().UnixMilli())
	if err != nil {
		s.o.Metrics.update("unknown", "malformed")
		id, noID := UpdateID(raw)
		if noID != nil {
			s.o.Log.Debug().Msg("an update without an update_id was skipped")
			return 0, false
		}
		s.o.Log.Debug().Int64("update", id).Str("error", Redact(err.Error())).Msg("a malformed update was skipped")
		return id, false
	}
	if e.GetKind() == protos.EventKind_OTHER {
		s.o.Metrics.update(e.GetKind().String(), "skipped")
		return e.GetUpdateId(), false
	}
	s.o.Metrics.took(e)
	it.e, it.raw = e, raw
	return e.GetUpdateId(), true
}

// poller remembers how polling goes: how long to wait after trouble, and when it was last said.
type poller struct {
	s      *Source
	begun  bool
	fails  int
	said   string
	saidAt time.Time
}

// timeout of the next poll, seconds. The first, and those after trouble, ask for an answer at once, so
// that it is known whether updates are being taken.
func (p *poller) timeout() int {
	if p.fails > 0 || !p.begun {
		p.begun = true
		return 0
	}
	return pollSeconds
}

func (p *poller) succeeded() {
	if p.fails > 0 {
		p.s.o.Log.Info().Msg("Telegram answers polls again")
	}
	p.fails, p.said = 0, ""
	p.s.setTaking(true, "")
}

// failed says what is wrong, in words of what to do about it, and waits.
func (p *poller) failed(ctx context.Context, err error) {
	p.fails++
	words, wait := p.s.explain(err, p.fails)
	p.s.setTaking(false, words)
	if words != p.said || time.Since(p.saidAt) >= sayAgain {
		p.said, p.saidAt = words, time.Now()
		p.s.o.Log.Warn().Str("error", Redact(err.Error())).Dur("next_try", wait).Msg(words)
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

func (s *Source) explain(err error, fails int) (words string, wait time.Duration) {
	var e *Error
	errors.As(err, &e)
	outcome, longest := Classify(err), retryLongest
	if outcome == protos.Outcome_CONFLICT {
		longest = retryOthers
	}
	wait = min(retryFirst<<min(fails-1, 10), longest)
	wait += time.Duration(s.o.Random(int64(wait / 4)))
	switch outcome {
	case protos.Outcome_CONFLICT:
		if strings.Contains(e.Description, "webhook") {
			return "a webhook is set for this bot, so polling is refused: delete it, or run with WEBHOOK_URL", max(wait, 3*time.Second)
		}
		return "another program polls with this bot's token: stop it, each bot can have only one", max(wait, 3*time.Second)
	case protos.Outcome_UNAUTHORIZED:
		return "Telegram refuses BOT_TOKEN: it was revoked, or belongs to another API server", retryRefused
	case protos.Outcome_FLOOD:
		return "Telegram asks for a pause in polling", max(wait, RetryAfter(err))
	default:
		return "Telegram does not answer polls, trying again", wait
	}
}
