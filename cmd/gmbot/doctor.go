package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"github.com/rs/zerolog"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/protos"
	"github.com/gmbot/gmbot/telegram"
)

const (
	// clockOff is how far the clocks may be apart: joins that are older than 30 s count as hints only.
	clockOff = 10 * time.Second
	// hookErrorFresh is how old Telegram's last failed delivery may be to count.
	hookErrorFresh = 10 * time.Minute
	// illShown is how many places with a fault are listed.
	illShown = 50
)

type doctorCommand struct {
	settings
	Groups    int     `default:"1000" help:"How many protected groups are looked at."`
	PerSecond float64 `default:"20" help:"How many questions about rights are asked in a second."`
	Database  bool    `help:"Look at the database alone, and closer: what its hot queries cost, its indexes, sizes and dead rows."`
	Listen    int     `default:"8" help:"How many seconds to look whether another program polls; 0: not at all."`
}

// finding is a line of the table. cure is set where something is wrong.
type finding struct {
	about, what, cure string
}

// doctor looks at everything the bot needs, and changes nothing.
type doctor struct {
	set    *settings
	o      *doctorCommand
	client *telegram.Client
	me     *telegram.Me
	held   bool // a bot acts on the database now
	found  []finding
	table  bytes.Buffer // what stands below the findings, with --database
}

// Run is `gmbot doctor`.
func (c *doctorCommand) Run(ctx context.Context, out io.Writer) error {
	if c.Groups <= 0 || c.PerSecond <= 0 || c.Listen < 0 || c.Listen > 50 {
		return errors.New("--groups and --per-second must be more than 0, and --listen from 0 to 50")
	}
	d := &doctor{set: &c.settings, o: c}
	d.look(ctx)
	ill := d.print(out)
	_, _ = d.table.WriteTo(out)
	switch {
	case ctx.Err() != nil:
		return errors.New("ended before everything was looked at")
	case ill > 0:
		return fmt.Errorf("to be cured: %d", ill)
	}
	return nil
}

func (d *doctor) well(about, what string) {
	d.found = append(d.found, finding{about: about, what: what})
}

func (d *doctor) ill(about, what, cure string) { d.found = append(d.found, finding{about, what, cure}) }

// print writes the table and says how many lines have a fault.
func (d *doctor) print(out io.Writer) (ill int) {
	for _, f := range d.found {
		mark := "✓"
		if f.cure != "" {
			mark = "✗"
			ill++
		}
		_, _ = fmt.Fprintf(out, "%s %-10s %s\n", mark, f.about, printable(f.what))
		if f.cure != "" {
			_, _ = fmt.Fprintf(out, "  %-10s → %s\n", "", f.cure)
		}
	}
	return ill
}

// printable leaves out of a foreign title what would move the cursor or change the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, s)
}

func (d *doctor) look(ctx context.Context) {
	if wrong, ok := errors.AsType[settingErrors](d.set.check()); ok {
		for _, w := range wrong {
			d.ill("settings", w.name+" "+w.what, w.cure)
		}
		return // nothing else can be told apart from that
	}
	d.well("settings", "each can be read")
	store := d.database(ctx)
	if store != nil {
		defer func() { _ = store.Close() }()
	}
	if d.o.Database {
		if store != nil {
			d.examine(ctx)
		}
		return
	}
	if d.token(ctx) {
		d.privacy()
		d.updates(ctx)
		d.redis(ctx)
		d.clock(ctx)
		if store != nil {
			d.rights(ctx, store)
		}
	}
}

// database opens the store only when that changes nothing in it.
func (d *doctor) database(ctx context.Context) persistence.Store {
	const about = "database"
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	fault := func(err error) persistence.Store {
		if wrong, ok := errors.AsType[settingErrors](databaseFault(err)); ok {
			d.ill(about, wrong[0].name+" "+wrong[0].what, wrong[0].cure)
		}
		return nil
	}
	s, err := persistence.SchemaOf(ctx, d.set.DatabaseURL)
	if err != nil {
		return fault(err)
	}
	version := fmt.Sprintf("%s, schema version %d of %d", s.Dialect, s.Have, s.Want)
	switch {
	case s.Have > s.Want:
		return fault(persistence.ErrSchemaNewer)
	case s.Have < s.Want:
		d.well(about, version+"; gmbot run, or gmbot migrate up, brings it up to date")
		return nil
	}
	lock, err := persistence.TryLock(ctx, d.set.DatabaseURL)
	switch {
	case err == nil:
		lock.Release()
		version += "; no bot acts on it now"
	case errors.Is(err, persistence.ErrHeld):
		d.held = true
		version += "; a bot acts on it now"
	default:
		return fault(err)
	}
	store, err := persistence.Open(ctx, d.set.DatabaseURL, persistence.Options{Log: zerolog.Nop(), Readers: 2})
	if err != nil {
		return fault(err)
	}
	d.well(about, version)
	return store
}

// token reports whether Telegram knows the bot.
func (d *doctor) token(ctx context.Context) bool {
	const about = "token"
	var err error
	if d.client, err = telegram.NewClient(d.set.BotToken, d.set.TelegramAPIURL, nil); err == nil {
		d.me, err = d.client.Me(ctx)
	}
	switch {
	case err == nil:
		d.well(about, "Telegram knows it as @"+d.me.Username)
		return true
	case telegram.Classify(err) == protos.Outcome_UNAUTHORIZED:
		d.ill(about, errToken[0].name+": "+errToken[0].what, errToken[0].cure)
	default:
		d.ill(about, "Telegram does not answer: "+telegram.Redact(err.Error()), "see that this machine reaches "+d.set.TelegramAPIURL+", and run this again")
	}
	return false
}

func (d *doctor) privacy() {
	if !d.me.CanJoinGroups {
		d.ill("groups", "the bot cannot be added to groups", "allow it with @BotFather: /setjoingroups")
	}
	if d.me.ReadsAll {
		d.well("privacy", "privacy mode is off: the bot gets every message")
	} else {
		d.well("privacy", "privacy mode is on, which does no harm: an administrator gets every message")
	}
}

// updates looks whether something keeps updates from the bot.
func (d *doctor) updates(ctx context.Context) {
	const about = "updates"
	info, err := d.client.WebhookInfo(ctx)
	if err != nil {
		d.ill(about, "Telegram does not say whether there is a webhook: "+telegram.Redact(err.Error()), "run this again")
		return
	}
	pending := fmt.Sprintf("%d waiting", info.Pending)
	lately := time.Since(time.Unix(info.LastErrorDate, 0)) < hookErrorFresh
	switch {
	case d.set.WebhookURL == "" && info.URL != "":
		d.ill(about, "a webhook is set, but WEBHOOK_URL is empty", "set WEBHOOK_URL, or start gmbot run, which removes the webhook; if it comes back, another program uses this token")
	case d.set.WebhookURL == "" && d.held:
		d.well(about, "polling, by the bot that acts on the database; "+pending)
	case d.set.WebhookURL == "":
		d.polling(ctx, about, pending)
	case info.URL == "" && d.held:
		d.ill(about, "no webhook is set, although a bot acts on the database", "give that bot the same WEBHOOK_URL, and see its log")
	case info.URL == "":
		d.well(about, "no webhook is set yet; gmbot run sets it")
	case info.URL != d.set.WebhookURL:
		d.ill(about, "another webhook is set than WEBHOOK_URL", "start gmbot run, which sets it; if it changes back, another program uses this token")
	case info.LastErrorDate != 0 && lately:
		d.ill(about, "Telegram could not deliver to WEBHOOK_URL: "+telegram.Redact(info.LastError)+"; "+pending,
			"see that the address leads to WEBHOOK_ADDR, by https with a certificate that is valid")
	default:
		d.well(about, "webhook is set; "+pending)
	}
}

// polling tries whether another program polls: its poll and this one end each other. That program may wait some
// seconds before it polls again.
func (d *doctor) polling(ctx context.Context, about, pending string) {
	if d.o.Listen == 0 {
		d.well(about, "polling; "+pending)
		return
	}
	_, err := d.client.GetUpdates(ctx, 0, 1, d.o.Listen, telegram.AllowedUpdates())
	if telegram.Classify(err) == protos.Outcome_CONFLICT {
		d.ill(about, "another program polls with this token", "stop it: each bot can have only one")
		return
	}
	if err != nil {
		d.ill(about, "polling fails: "+telegram.Redact(err.Error()), "run this again")
		return
	}
	d.well(about, "polling, and nobody else does; "+pending)
}

func (d *doctor) redis(ctx context.Context) {
	const about = "redis"
	if d.set.RedisURL == "" {
		d.well(about, "not used: the cache is in the process")
		return
	}
	shared, err := visitShared(ctx, d.set.RedisURL, d.me.ID)
	if err != nil {
		d.ill(about, "REDIS_URL does not answer", "start Redis, or name the address where it is; the bot goes on without it")
		return
	}
	shared.Close()
	d.well(about, "answers")
}

func (d *doctor) clock(ctx context.Context) {
	const about = "clock"
	off, err := d.client.ClockOffset(ctx)
	switch {
	case err != nil:
		d.ill(about, "Telegram does not say what time it is: "+telegram.Redact(err.Error()), "run this again")
	case off.Abs() > clockOff:
		d.ill(about, fmt.Sprintf("this machine's is %s off Telegram's", off.Abs().Round(time.Second)), "set it, and have it kept: for example timedatectl set-ntp true")
	default:
		d.well(about, "agrees with Telegram's")
	}
}
