package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/rs/zerolog"

	"github.com/gmbot/gmbot/actors"
	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/telegram"
)

// redisWait is how long a command waits for Redis to answer.
const redisWait = 3 * time.Second

// How often a bar is drawn, and how often a line says how far it is where no terminal shows a bar.
const (
	warmDraw = 100 * time.Millisecond
	warmSay  = 5 * time.Second
)

type warmCommand struct {
	settings
	Group      int64         `xor:"which" help:"Id of the group, for example -1001234567890." placeholder:"ID"`
	All        bool          `xor:"which" help:"Every group."`
	SeenWithin time.Duration `help:"Only people seen within this time, for example 24h; 0: everybody seen."`
	PerSecond  float64       `default:"20" help:"How many memberships Telegram is asked about in a second."`
	Anew       bool          `help:"Begin at the beginning, and not where an earlier run was stopped."`
}

// Run is `gmbot warm`. It ends with status 0 also when it is stopped by a signal.
func (w *warmCommand) Run(ctx context.Context, out io.Writer) error {
	if err := w.check(); err != nil {
		return err
	}
	switch {
	case w.RedisURL == "":
		return settingErrors{{"REDIS_URL", "is not set: what is learned ahead of time needs a place that outlives this command", "for example redis://localhost:6379/0"}}
	case w.All == (w.Group != 0):
		return errors.New("say which: --group ID, or --all")
	case w.PerSecond <= 0 || w.SeenWithin < 0:
		return errors.New("--per-second must be more than 0, and --seen-within not less")
	}
	err := w.warm(ctx, out)
	if err == nil || ctx.Err() == nil {
		return err
	}
	_, err = fmt.Fprintln(out, "stopped: "+telegram.Redact(err.Error()))
	return err
}

func (w *warmCommand) warm(ctx context.Context, out io.Writer) error {
	client, me, err := w.meet(ctx)
	if err != nil {
		return err
	}
	shared, err := visitShared(ctx, w.RedisURL, me.GetId())
	if err != nil {
		return err
	}
	defer shared.Close()
	store, err := persistence.Open(ctx, w.DatabaseURL, persistence.Options{Log: zerolog.Nop()})
	if err != nil {
		return databaseFault(err)
	}
	defer func() { _ = store.Close() }()
	if err := w.known(ctx, store); err != nil {
		return err
	}
	report := newWarmReport(out, os.Stderr)
	done, err := actors.Warm(ctx, actors.WarmOptions{
		API: client, Store: store, Shared: shared, PerSecond: w.PerSecond,
		Group: w.Group, SeenWithin: w.SeenWithin, Anew: w.Anew, Progress: report.show,
	})
	return report.end(done, err)
}

// known refuses a group that nobody protects.
func (w *warmCommand) known(ctx context.Context, store persistence.Reader) error {
	if w.All {
		return nil
	}
	g, err := store.Group(ctx, w.Group)
	if errors.Is(err, persistence.ErrNotFound) || err == nil && !g.Enabled {
		return fmt.Errorf("--group: %d is no group that is protected", w.Group)
	}
	if err != nil {
		return fmt.Errorf("read the group: %w", err)
	}
	return nil
}

// warmReport says how far it is: by a bar on a terminal, by lines now and then elsewhere.
type warmReport struct {
	out   io.Writer
	bar   *progressBar // nil: there is no terminal
	now   func() time.Time
	began time.Time
	said  time.Time
}

func newWarmReport(out, errOut io.Writer) *warmReport {
	r := &warmReport{out: out, now: time.Now}
	if isTerminal(errOut) {
		r.bar = newProgressBar(errOut)
	}
	return r
}

func (r *warmReport) print(format string, args ...any) {
	_, _ = fmt.Fprintf(r.out, format+"\n", args...)
}

func (r *warmReport) show(d actors.Warmed) {
	now := r.now()
	if r.began.IsZero() {
		r.began, r.said = now, now
		if d.Before > 0 {
			r.print("going on after %d of %d memberships, where an earlier run ended", d.Before, d.Total)
		}
	}
	switch since := now.Sub(r.said); {
	case r.bar != nil && since >= warmDraw:
		r.bar.what = fmt.Sprintf("%d of %d memberships%s", d.Done, d.Total, r.left(d, now))
		r.bar.show(float64(d.Done) / float64(max(d.Total, 1)))
	case r.bar == nil && since >= warmSay:
		r.print("%s%s", sayWarmed(d), r.left(d, now))
	default:
		return
	}
	r.said = now
}

// left estimates the time left from how long this run took so far; "" until there is something to tell by.
func (r *warmReport) left(d actors.Warmed, now time.Time) string {
	passed, took := d.Done-d.Before, now.Sub(r.began)
	if passed == 0 || took < time.Second {
		return ""
	}
	left := time.Duration(float64(took) / float64(passed) * float64(d.Total-d.Done))
	return fmt.Sprintf(", about %s left", left.Round(time.Second))
}

func (r *warmReport) end(d actors.Warmed, err error) error {
	if r.bar != nil {
		r.bar.clear()
	}
	switch {
	case err == nil:
		r.print("%s", sayWarmed(d))
		return nil
	case errors.Is(err, context.Canceled):
		r.print("stopped; %s; the same command goes on from here", sayWarmed(d))
		return nil
	default:
		r.print("%s", sayWarmed(d))
		return fmt.Errorf("not all were asked about, and the same command goes on from here: %s", telegram.Redact(err.Error()))
	}
}

func sayWarmed(d actors.Warmed) string {
	text := fmt.Sprintf("%d of %d memberships: asked about %d, known before %d, no answer %d", d.Done, d.Total, d.Asked, d.Known, d.Unknown)
	if d.LeftOut > 0 {
		text += fmt.Sprintf(", left out as their channel gives no answer %d", d.LeftOut)
	}
	return text
}

// visitShared connects to the shared cache as a guest: the bot that listens decides what is believed.
func visitShared(ctx context.Context, address string, bot int64) (*persistence.SharedCache, error) {
	shared, err := persistence.OpenShared(persistence.SharedOptions{
		URL: address, Bot: bot, Updates: telegram.AllowedUpdates(), Visitor: true, Log: zerolog.Nop(),
	})
	if err != nil {
		return nil, settingErrors{{"REDIS_URL", err.Error(), "for example redis://localhost:6379/0"}}
	}
	ctx, cancel := context.WithTimeout(ctx, redisWait)
	defer cancel()
	for !shared.Up() {
		select {
		case <-ctx.Done():
			shared.Close()
			return nil, settingErrors{{"REDIS_URL", "does not answer", "start Redis, or name the address where it is"}}
		case <-time.After(20 * time.Millisecond):
		}
	}
	return shared, nil
}
