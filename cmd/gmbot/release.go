package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/gmbot/gmbot/actors"
	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/protos"
	"github.com/gmbot/gmbot/telegram"
)

const (
	releaseAtOnce = 100 // groups whose protection is turned off in one transaction
	releaseLook   = 250 * time.Millisecond
	releaseSay    = 5 * time.Second
)

type releaseCommand struct {
	settings
	Group    int64         `xor:"which" help:"Id of the group, for example -1001234567890." placeholder:"ID"`
	All      bool          `xor:"which" help:"Every group."`
	Patience time.Duration `default:"2m" help:"How long to go on while nobody can be freed."`
}

// Run is `gmbot release`.
func (r *releaseCommand) Run(ctx context.Context, out io.Writer) error {
	if err := r.check(); err != nil {
		return err
	}
	if r.All == (r.Group != 0) {
		return errors.New("say which: --group ID, or --all")
	}
	status := newStatus(version())
	log := newLog(out, r.LogLevel, r.LogFormat, redactor(r.secrets()...))
	b := &bot{set: r.settings, log: log, status: status, reg: newRegistry(status), began: time.Now()}
	lock, err := persistence.TryLock(ctx, r.DatabaseURL)
	if errors.Is(err, persistence.ErrHeld) {
		return errors.New("a bot acts on this database: end it first, then nobody is muted again meanwhile")
	}
	if err != nil {
		return databaseFault(err)
	}
	defer lock.Release()
	metrics := persistence.NewMetrics(b.reg)
	if b.store, err = b.openStore(ctx, metrics); err != nil || b.store == nil {
		return err
	}
	defer func() { _ = b.store.Close() }()
	closeJournals, err := b.openJournals(ctx, metrics)
	if err != nil {
		return err
	}
	defer closeJournals()
	if b.client, b.me, err = r.meet(ctx); err != nil {
		return err
	}
	return b.release(ctx, out, r)
}

// release turns protection off and has the gate free everybody whose mute is the bot's own. What is not done
// stands in the store: the command takes it up again, and so does the bot.
func (b *bot) release(ctx context.Context, out io.Writer, r *releaseCommand) error {
	groups := []int64{r.Group}
	if r.All {
		groups = nil
		err := b.store.ProtectedGroups(ctx, func(id int64) bool { groups = append(groups, id); return true })
		if err != nil {
			return fmt.Errorf("read the groups: %w", err)
		}
	}
	for some := range slices.Chunk(groups, releaseAtOnce) {
		if err := b.store.Update(ctx, func(tx persistence.Tx) error { return unprotect(tx, some) }); err != nil {
			return fmt.Errorf("turn protection off: %w", err)
		}
	}
	chosen := map[int64]bool{}
	for _, id := range groups {
		chosen[id] = true
	}
	system, err := actors.Start(ctx, actors.Options{
		API: b.client, Store: b.store, Bot: b.me, Log: b.log, Registry: b.reg, Changes: b.changes,
		MessagesPerSecond: b.set.MessagesPerSecond, MessagesPerGroupMinute: b.set.MessagesPerGroupMinute, ActionsPerSecond: b.set.ActionsPerSecond,
	})
	if err != nil {
		return fmt.Errorf("start the gate: %w", err)
	}
	left, waitErr := b.waitFreed(ctx, out, func(id int64) bool { return r.All || chosen[id] }, r.Patience)
	bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin-2*time.Second)
	defer cancel()
	if err := system.Stop(bye); err != nil {
		b.log.Warn().Str("error", telegram.Redact(err.Error())).Msg("the gate did not stop in time; what was open stands in the store")
	}
	switch {
	case waitErr != nil:
		return waitErr
	case left > 0:
		return fmt.Errorf("%d could not be freed, because Telegram refuses or does not answer; run the command again to go on", left)
	}
	_, err = fmt.Fprintf(out, "nobody is muted by the bot any more; protection is off in %d groups\n", len(groups))
	return err
}

func unprotect(tx persistence.Tx, groups []int64) error {
	for _, id := range groups {
		if err := tx.SetGroupEnabled(id, false); errors.Is(err, persistence.ErrNotFound) {
			return fmt.Errorf("group %d is not known", id)
		} else if err != nil {
			return err
		}
		freed, err := tx.FreeAll(id)
		if err != nil {
			return err
		}
		if err := tx.Audit(time.Now(), id, 0, 0, "release", fmt.Sprintf("%d to free", freed)); err != nil {
			return err
		}
	}
	return nil
}

// waitFreed waits until no flow of the chosen groups is left, and returns how many are when nothing moves any
// more.
func (b *bot) waitFreed(ctx context.Context, out io.Writer, chosen func(int64) bool, patience time.Duration) (left int, err error) {
	least, moved, said := -1, time.Now(), time.Now()
	for {
		if left, err = b.countOpen(ctx, chosen); err != nil || left == 0 {
			return left, err
		}
		now := time.Now()
		if least < 0 || left < least {
			least, moved = left, now
		}
		if now.Sub(moved) > patience {
			return left, nil
		}
		if now.Sub(said) > releaseSay {
			said = now
			_, _ = fmt.Fprintf(out, "still to free: %d\n", left)
		}
		select {
		case <-ctx.Done():
			return left, fmt.Errorf("ended with %d still to free; run the command again to go on", left)
		case <-time.After(releaseLook):
		}
	}
}

func (b *bot) countOpen(ctx context.Context, chosen func(int64) bool) (n int, err error) {
	open, err := b.store.OpenGroups(ctx)
	if err != nil {
		return 0, fmt.Errorf("read open work: %w", err)
	}
	for _, id := range open {
		if !chosen(id) {
			continue
		}
		states, err := b.store.CountFlows(ctx, id)
		if err != nil {
			return 0, fmt.Errorf("count what is open: %w", err)
		}
		for _, some := range states {
			n += some
		}
	}
	return n, nil
}

// meet asks Telegram once who the bot is.
func (s *settings) meet(ctx context.Context) (*telegram.Client, *protos.User, error) {
	client, err := telegram.NewClient(s.BotToken, s.TelegramAPIURL, nil)
	if err != nil {
		return nil, nil, fmt.Errorf("make a client: %w", err)
	}
	me, err := client.GetMe(ctx)
	switch {
	case telegram.Classify(err) == protos.Outcome_UNAUTHORIZED:
		return nil, nil, errToken
	case err != nil:
		return nil, nil, fmt.Errorf("ask Telegram who the bot is: %s", telegram.Redact(err.Error()))
	}
	return client, me, nil
}
