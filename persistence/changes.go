package persistence

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"

	"github.com/rs/zerolog"
	"google.golang.org/protobuf/proto"

	"github.com/gmbot/gmbot/protos"
)

// metaTerm counts the programs that acted on a database, one after the other.
const metaTerm = "term"

// replayAtOnce bounds the kept changes of one transaction.
const replayAtOnce = 256

// ErrSuperseded says that another program has acted on the database since this one began to.
var ErrSuperseded = errors.New("another program has acted on this database")

// Changes keeps changes of rows in a journal while the database is away, and applies them, in order and each
// once, when it is back. A writer uses it; see WriterOptions.
type Changes struct {
	journal *Journal
	term    int64
	log     zerolog.Logger
}

// TakeUp applies what an earlier program has kept in j, and begins a new term. It must be called with the
// lock held, before anything is read from s.
func TakeUp(ctx context.Context, s Store, j *Journal, log zerolog.Logger) (*Changes, error) {
	c := &Changes{journal: j, log: log}
	value, err := s.Meta(ctx, metaTerm)
	if err != nil {
		return nil, err
	}
	c.term, _ = strconv.ParseInt(value, 10, 64) // empty at first
	for j.Len() > 0 {
		if err := c.applySome(ctx, s); err != nil {
			return nil, fmt.Errorf("apply what the journal keeps: %w", err)
		}
	}
	c.term++
	if err := s.Update(ctx, func(tx Tx) error { return tx.SetMeta(metaTerm, strconv.FormatInt(c.term, 10)) }); err != nil {
		return nil, fmt.Errorf("begin a term: %w", err)
	}
	return c, nil
}

// record runs a change against a transaction that only notes what it is asked for. The error is the change's
// own, or wraps ErrUnavailable when it asks for what cannot be had without the database.
func (c *Changes) record(change func(Tx) error) (record []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("change panicked: %v", p)
		}
	}()
	r := &recorder{kept: &protos.KeptChange{Id: -1 - rand.Int64N(1<<62), Term: c.term}}
	if err := change(r); err != nil {
		return nil, err
	}
	if r.err != nil {
		return nil, fmt.Errorf("%w: %w", errSwallowed, r.err)
	}
	return proto.Marshal(r.kept)
}

// stillFirst returns ErrSuperseded when another program has acted meanwhile: then what is kept here may not
// be true any more, and the next start weighs it.
func (c *Changes) stillFirst(ctx context.Context, s Store) error {
	value, err := s.Meta(ctx, metaTerm)
	if err == nil && value != strconv.FormatInt(c.term, 10) {
		err = ErrSuperseded
	}
	return err
}

// applySome applies the oldest kept changes. One that the database refuses for its own sake is skipped.
func (c *Changes) applySome(ctx context.Context, s Store) error {
	records, err := c.journal.Next(replayAtOnce)
	if err != nil {
		return err
	}
	list := make([]*protos.KeptChange, 0, len(records))
	for _, record := range records {
		kept := &protos.KeptChange{}
		if err := proto.Unmarshal(record, kept); err != nil {
			c.log.Error().Msg("a record of the journal is no change and was skipped")
			continue
		}
		if kept.GetTerm() < c.term {
			if kept, err = c.weigh(ctx, s, kept); err != nil {
				return err
			}
		}
		list = append(list, kept)
	}
	if err := s.Update(ctx, func(tx Tx) error { return applyAll(tx, list) }); errors.Is(err, ErrUnavailable) {
		return err
	} else if err != nil {
		for _, kept := range list {
			err := s.Update(ctx, func(tx Tx) error { return apply(tx, kept) })
			if errors.Is(err, ErrUnavailable) {
				return err
			}
			if err != nil {
				c.log.Error().Err(err).Msg("a change from the journal cannot be applied and was skipped")
			}
		}
	}
	if err := c.journal.Done(len(records)); err != nil {
		return err
	}
	c.log.Info().Int("changes", len(records)).Int("left", c.journal.Len()).Msg("changes from the journal are applied")
	return nil
}

// weigh is for a change that was kept before another program acted: of it only mutes count that nobody
// knows of, and these are looked at again, because what is true now, only Telegram can say.
func (c *Changes) weigh(ctx context.Context, s Store, kept *protos.KeptChange) (*protos.KeptChange, error) {
	weighed := &protos.KeptChange{Id: kept.GetId(), Term: kept.GetTerm()}
	for _, step := range kept.GetSteps() {
		var f Flow
		if step.GetOp() != protos.KeptOp_KEPT_SAVE_FLOW || arguments(step, &f) != nil || f.UntilDate == 0 {
			continue
		}
		if _, err := s.Flow(ctx, f.GroupID, f.UserID); !errors.Is(err, ErrNotFound) {
			if err != nil {
				return nil, err
			}
			continue
		}
		f.State, f.Messages = Freeing, nil
		r := &recorder{kept: weighed}
		if err := r.SaveFlow(f); err != nil {
			return nil, err
		}
	}
	return weighed, nil
}
