package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/gmbot/gmbot/actors"
	"github.com/gmbot/gmbot/actors/text"
	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/protos"
	"github.com/gmbot/gmbot/telegram"
)

// stopWithin is what an orderly end may take; service managers are told 8 s.
const stopWithin = 6500 * time.Millisecond

type runCommand struct {
	settings
}

// Run is `gmbot run`.
func (r *runCommand) Run(ctx context.Context, out io.Writer) error {
	if err := r.check(); err != nil {
		return err
	}
	l, err := listen(ctx, r.HTTPAddr)
	if err != nil {
		return err
	}
	log := newLog(out, r.LogLevel, r.LogFormat, redactor(r.secrets()...))
	actors.AdoptSlog(log)
	return newBot(r.settings, log).run(ctx, l)
}

// bot is the running program.
type bot struct {
	set    settings
	log    zerolog.Logger
	status *status
	reg    *prometheus.Registry
	client *telegram.Client
	store  persistence.Store
	me     *protos.User
	began  time.Time
	hook   *webhookEnd // nil: the bot polls

	journal *persistence.Journal
	changes *persistence.Changes
	lock    persistence.Lock // only the source's goroutine changes it
	reports *reporter        // nil without SENTRY_DSN
	running atomic.Pointer[actors.System]
}

func newBot(set settings, log zerolog.Logger) *bot {
	status := newStatus(version())
	return &bot{set: set, log: log, status: status, reg: newRegistry(status), began: time.Now()}
}

// run runs until ctx ends. The endpoints answer from the beginning, whatever Telegram does.
func (b *bot) run(ctx context.Context, l net.Listener) error {
	set, log := b.set, b.log
	stopHTTP, err := b.serve(ctx, l)
	if err != nil {
		return err
	}
	defer stopHTTP()
	log.Info().Str("version", version()).Str("http", l.Addr().String()).Msg("gmbot starts")
	go tellManager(ctx, b.status, b.turns)
	go keepMemory(ctx)
	calls := telegram.NewMetrics(b.reg)
	hook, stopHook, err := openWebhook(ctx, &set, calls, log)
	if err != nil {
		return err
	}
	b.hook = hook
	defer func() {
		bye, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
		defer cancel()
		stopHook(bye)
	}()
	if b.reports, err = newReporter(set, redactor(set.secrets()...), b.reg); err != nil {
		return err
	}
	defer b.reports.flush()
	lock, err := b.standBy(ctx)
	if err != nil || lock == nil {
		return err
	}
	b.lock = lock
	defer func() { b.lock.Release() }()
	metrics := persistence.NewMetrics(b.reg)
	if b.store, err = b.openStore(ctx, metrics); err != nil || b.store == nil {
		return err
	}
	b.status.check("store", b.store.Ping)
	defer func() {
		if err := b.store.Close(); err != nil {
			log.Error().Err(err).Msg("the store did not close well")
		}
	}()
	closeJournals, err := b.openJournals(ctx, metrics)
	if err != nil {
		return err
	}
	defer closeJournals()
	if b.client, err = telegram.NewClient(set.BotToken, set.TelegramAPIURL, calls); err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	if err := b.meet(ctx); err != nil || b.me == nil {
		return err
	}
	return b.work(ctx)
}

// chat says what the bot knows of a chat, once it works.
func (b *bot) chat(ctx context.Context, id int64) (any, error) {
	system := b.running.Load()
	if system == nil {
		return nil, errors.New("the bot is not at work yet")
	}
	return system.Chat(ctx, id)
}

// turns answers nil while the program does something for its bot: its actors answer, once there are any.
func (b *bot) turns(ctx context.Context) error {
	if system := b.running.Load(); system != nil {
		return system.Ping(ctx)
	}
	return nil
}

// errToken says that Telegram knows no bot by the token.
var errToken = settingErrors{{"BOT_TOKEN", "Telegram refuses it", "check it with @BotFather, and TELEGRAM_API_URL if you changed that"}}

// meet learns who the bot is. A refused token is final; anything else is tried again until ctx ends.
func (b *bot) meet(ctx context.Context) error {
	for wait, tries := 500*time.Millisecond, 0; ctx.Err() == nil; tries++ {
		me, err := b.client.GetMe(ctx)
		if err == nil {
			b.me = me
			b.log.Info().Str("bot", "@"+me.GetUsername()).Msg("Telegram knows the bot")
			return nil
		}
		if telegram.Classify(err) == protos.Outcome_UNAUTHORIZED {
			return errToken
		}
		b.status.because("Telegram does not answer")
		if tries%10 == 0 {
			b.log.Warn().Str("error", telegram.Redact(err.Error())).Msg("Telegram does not answer, trying again")
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		wait = min(wait*2, 5*time.Second)
	}
	return nil
}

// work is the bot's life: start the gate, take updates, and end in order.
func (b *bot) work(ctx context.Context) error {
	options := actors.Options{
		API: b.client, Store: b.store, Bot: b.me, Log: b.log, Registry: b.reg, Report: b.reports.incident,
		MessagesPerSecond: b.set.MessagesPerSecond, MessagesPerGroupMinute: b.set.MessagesPerGroupMinute,
		ActionsPerSecond: b.set.ActionsPerSecond, SweepCallsPerMinute: b.set.SweepCallsPerMinute, Changes: b.changes,
	}
	shared, err := b.share()
	if err != nil {
		return err
	}
	if shared != nil {
		defer shared.Close()
		options.Shared = shared
	}
	system, err := actors.Start(ctx, options)
	if err != nil {
		return fmt.Errorf("start the gate: %w", err)
	}
	b.running.Store(system)
	source := telegram.NewSource(telegram.SourceOptions{
		Client: b.client, Deliver: system.Deliver, Asides: system, Keeper: b.journal, Away: system.Away, Guard: b.stillOurs,
		Log: b.log, Metrics: b.client.Metrics(),
	})
	system.UseSettler(source)
	b.greet(ctx)
	b.status.readyWhen(source.Taking)
	b.status.fault("database", func() string {
		if system.Away() {
			return "the database does not answer: what must be stored is kept in the journal"
		}
		return ""
	})
	if b.hook == nil {
		err = source.Run(ctx)
	} else {
		err = b.takeWebhooks(ctx, source)
	}
	b.log.Info().Msg("gmbot stops")
	b.status.because("stopping")
	bye, cancel := context.WithTimeout(context.Background(), stopWithin-2*time.Second)
	defer cancel()
	if stopErr := system.Stop(bye); stopErr != nil {
		b.log.Error().Err(stopErr).Msg("the gate did not stop in time; what was open stands in the store")
	}
	return err
}

// share connects to the shared cache, if there is one. Whether its server answers is of no matter.
func (b *bot) share() (*persistence.SharedCache, error) {
	if b.set.RedisURL == "" {
		return nil, nil //nolint:nilnil // none is wanted
	}
	shared, err := persistence.OpenShared(persistence.SharedOptions{
		URL: b.set.RedisURL, Bot: b.me.GetId(), Updates: telegram.AllowedUpdates(), Registry: b.reg, Log: b.log,
		Changed: func(channelID, userID int64) {
			if s := b.running.Load(); s != nil {
				s.BeliefChanged(channelID, userID)
			}
		},
	})
	if err != nil {
		return nil, settingErrors{{"REDIS_URL", err.Error(), "for example redis://localhost:6379/0"}}
	}
	b.status.fault("redis", func() string {
		if !shared.Up() {
			return "the shared cache (Redis) does not answer and is not used"
		}
		return ""
	})
	b.status.check("redis", func(context.Context) error {
		if !shared.Up() {
			return errors.New("not used now")
		}
		return nil
	})
	return shared, nil
}

// unhook removes a webhook, so that the bot can poll. What waits for it is kept.
func (b *bot) unhook(ctx context.Context) {
	hook, err := b.client.WebhookInfo(ctx)
	if err != nil || hook.URL == "" {
		return
	}
	b.log.Warn().Msg("a webhook was set for this bot; it is removed, because WEBHOOK_URL is empty and the bot polls")
	if err := b.client.DeleteWebhook(ctx); err != nil {
		b.log.Warn().Str("error", telegram.Redact(err.Error())).Msg("the webhook cannot be removed")
	}
}

// greet sets what Telegram keeps for the bot. Nothing of it is worth failing for.
func (b *bot) greet(ctx context.Context) {
	if b.hook == nil {
		b.unhook(ctx)
	}
	words, err := text.New()
	if err != nil {
		return
	}
	menu := func(names ...string) (list []telegram.Command) {
		for _, name := range names {
			list = append(list, telegram.Command{Name: name, Description: words.Say("en", "menu."+name, nil)})
		}
		return list
	}
	for scope, list := range map[string][]telegram.Command{
		"all_private_chats": menu("start", "protect", "mygroups", "forgetme", "help"),
		"all_chat_administrators": menu(
			"protect", "unprotect", "status", "settings", "why", "exempt", "unexempt", "preview", "dryrun", "export", "import", "help",
		),
	} {
		if err := b.client.SetMyCommands(ctx, scope, list); err != nil {
			b.log.Warn().Str("error", telegram.Redact(err.Error())).Msg("the bot's menu cannot be set")
		}
	}
}
