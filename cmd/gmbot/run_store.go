package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/telegram"
)

const (
	// lockEvery is how often a standby tries to take over, and a database that is away at the start is tried.
	lockEvery = 500 * time.Millisecond
	// lockPatience is how long a lost lock is tried for until somebody else must have it: a server that was
	// cut off from this program takes some time to end its old session.
	lockPatience = 10 * time.Second
)

// pause waits until it is time to try again, and reports false when ctx ends first.
func pause(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(lockEvery):
		return true
	}
}

// away says that the database does not answer at the start; the program waits for it. said tells whether the
// log knows already.
func (b *bot) away(err error, said bool) {
	b.status.because("the database is away")
	if !said {
		b.log.Warn().Str("error", telegram.Redact(err.Error())).Msg("the database does not answer, trying again")
	}
}

// standBy waits until no other program acts for this database. It returns nil when ctx ends first.
func (b *bot) standBy(ctx context.Context) (persistence.Lock, error) {
	for waited, away := false, false; ; {
		lock, err := persistence.TryLock(ctx, b.set.DatabaseURL)
		switch {
		case err == nil && waited:
			b.log.Info().Msg("the other program has ended, taking over")
			return lock, nil
		case err == nil:
			return lock, nil
		case ctx.Err() != nil:
			return nil, nil //nolint:nilnil,nilerr // told to end
		case errors.Is(err, persistence.ErrHeld):
			b.status.because(standby)
			if !waited {
				b.log.Info().Msg("another program acts on this database: standing by")
			}
			waited, away = true, false
		case persistence.IsAway(err):
			b.away(err, away)
			away = true
		default:
			return nil, databaseFault(err)
		}
		if !pause(ctx) {
			return nil, nil //nolint:nilnil // told to end
		}
	}
}

// openStore opens the store, and waits for a server that is away. It returns nil when ctx ends first.
func (b *bot) openStore(ctx context.Context, metrics *persistence.Metrics) (persistence.Store, error) {
	for away := false; ; away = true {
		store, err := persistence.Open(ctx, b.set.DatabaseURL, persistence.Options{Metrics: metrics, Log: b.log, Report: b.reports.store})
		if err == nil {
			return store, nil
		}
		if ctx.Err() != nil {
			return nil, nil //nolint:nilnil,nilerr // told to end
		}
		if !persistence.IsAway(err) {
			return nil, databaseFault(err)
		}
		b.away(err, away)
		if !pause(ctx) {
			return nil, nil //nolint:nilnil // told to end
		}
	}
}

// openJournals opens the two journals, which share the room that is allowed, and applies what an earlier
// program could not store.
func (b *bot) openJournals(ctx context.Context, metrics *persistence.Metrics) (closeBoth func(), err error) {
	fault := func(err error) error {
		return settingErrors{{"JOURNAL_FILE", "cannot be used: " + telegram.Redact(err.Error()), "name a file in a folder the bot may write to"}}
	}
	half := b.set.JournalBytes / 2
	if b.journal, err = persistence.OpenJournal(b.set.journalFile(), half, metrics); err != nil {
		return nil, fault(err)
	}
	kept, err := persistence.OpenJournal(b.set.journalFile()+".rows", half, metrics.OfChanges())
	if err != nil {
		_ = b.journal.Close()
		return nil, fault(err)
	}
	closeBoth = func() {
		_ = kept.Close()
		_ = b.journal.Close()
	}
	for away := false; ; away = true {
		b.changes, err = persistence.TakeUp(ctx, b.store, kept, b.log)
		if err == nil || ctx.Err() != nil {
			return closeBoth, nil //nolint:nilerr // told to end: nothing is begun
		}
		if !errors.Is(err, persistence.ErrUnavailable) {
			closeBoth()
			return nil, fmt.Errorf("take up the journal: %w", err)
		}
		b.away(err, away)
		pause(ctx)
	}
}

// stillOurs is asked before each batch. A lost lock is taken again; if another program has it, that one
// acts now, and this one must not: not even what waits to be sent leaves any more. While the database cannot be asked nobody can take over either.
func (b *bot) stillOurs(ctx context.Context) error {
	if b.running.Load().Superseded() {
		b.running.Load().HoldCalls(true)
		return fmt.Errorf("another program has taken over: %w", persistence.ErrSuperseded)
	}
	if b.running.Load().Away() {
		return nil
	}
	err := b.lock.Held(ctx)
	if err == nil {
		return nil
	}
	b.running.Load().Suspect(err)
	b.running.Load().HoldCalls(true)
	for deadline := time.Now().Add(lockPatience); ; {
		lock, err := persistence.TryLock(ctx, b.set.DatabaseURL)
		switch {
		case err == nil:
			b.lock.Release()
			b.lock = lock
			b.running.Load().HoldCalls(false)
			b.log.Info().Msg("the lock was lost and taken again")
			return nil
		case !errors.Is(err, persistence.ErrHeld):
			b.running.Load().HoldCalls(false)
			return nil // the database is away, which is no reason to stop
		case time.Now().After(deadline):
			return fmt.Errorf("another program has taken over: %w", err)
		}
		if !pause(ctx) {
			return ctx.Err()
		}
	}
}

// databaseFault names the variable where the address is to blame.
func databaseFault(err error) error {
	var wrong *persistence.URLError
	switch {
	case errors.As(err, &wrong):
		return settingErrors{{"DATABASE_URL", wrong.Reason, "for example sqlite://gmbot.db"}}
	case errors.Is(err, persistence.ErrSchemaNewer):
		return settingErrors{{"DATABASE_URL", "was written by a newer gmbot", "run that version, or name another database"}}
	}
	return settingErrors{{"DATABASE_URL", "cannot be opened: " + telegram.Redact(err.Error()), "for example sqlite://gmbot.db or postgres://user:password@localhost:5432/gmbot"}}
}
