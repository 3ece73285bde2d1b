package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
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
	return runBot(ctx, r.settings, l, newLog(out, r.LogLevel, r.LogFormat))
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
}

// runBot runs until ctx ends. The endpoints answer from the beginning, whatever Telegram does.
func runBot(ctx context.Context, set settings, l net.Listener, log zerolog.Logger) error {
	b := &bot{set: set, log: log, status: newStatus(version()), reg: newRegistry()}
	stopHTTP := serve(ctx, l, b.status.handler(b.reg))
	defer func() {
		bye, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
		defer cancel()
		stopHTTP(bye)
	}()
	log.Info().Str("version", version()).Str("http", l.Addr().String()).Msg("gmbot starts")
	if set.RedisURL != "" {
		log.Warn().Msg("REDIS_URL is set, but this version keeps its cache in the process")
	}
	if set.SentryDSN != "" {
		log.Warn().Msg("SENTRY_DSN is set, but this version reports errors in the log only")
	}
	store, err := persistence.Open(ctx, set.DatabaseURL, persistence.Options{Metrics: persistence.NewMetrics(b.reg), Log: log})
	if err != nil {
		return databaseFault(err)
	}
	b.store = store
	b.status.check("store", store.Ping)
	defer func() {
		if err := store.Close(); err != nil {
			log.Error().Err(err).Msg("the store did not close well")
		}
	}()
	if b.client, err = telegram.NewClient(set.BotToken, set.TelegramAPIURL, telegram.NewMetrics(b.reg)); err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	if err := b.meet(ctx); err != nil || b.me == nil {
		return err
	}
	return b.work(ctx)
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
	return settingErrors{{"DATABASE_URL", "cannot be opened: " + telegram.Redact(err.Error()), "for example sqlite://gmbot.db"}}
}

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
			return settingErrors{{"BOT_TOKEN", "Telegram refuses it", "check it with @BotFather, and TELEGRAM_API_URL if you changed that"}}
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
	system, err := actors.Start(ctx, actors.Options{
		API: b.client, Store: b.store, Bot: b.me, Log: b.log, Registry: b.reg,
		MessagesPerSecond: b.set.MessagesPerSecond, MessagesPerGroupMinute: b.set.MessagesPerGroupMinute,
		ActionsPerSecond: b.set.ActionsPerSecond,
	})
	if err != nil {
		return fmt.Errorf("start the gate: %w", err)
	}
	source := telegram.NewSource(telegram.SourceOptions{
		Client: b.client, Deliver: system.Deliver, SetAside: system.SetAside, Log: b.log, Metrics: b.client.Metrics(),
	})
	system.UseSettler(source)
	b.greet(ctx)
	b.status.readyWhen(source.Taking)
	err = source.Run(ctx)
	b.log.Info().Msg("gmbot stops")
	b.status.because("stopping")
	bye, cancel := context.WithTimeout(context.Background(), stopWithin-2*time.Second)
	defer cancel()
	if stopErr := system.Stop(bye); stopErr != nil {
		b.log.Error().Err(stopErr).Msg("the gate did not stop in time; what was open stands in the store")
	}
	return err
}

// greet sets what Telegram keeps for the bot. Nothing of it is worth failing for.
func (b *bot) greet(ctx context.Context) {
	if set, err := b.client.WebhookURLSet(ctx); err == nil && set {
		b.log.Warn().Msg("a webhook was set for this bot; it is removed, because WEBHOOK_URL is empty and the bot polls")
		if err := b.client.DeleteWebhook(ctx); err != nil {
			b.log.Warn().Str("error", telegram.Redact(err.Error())).Msg("the webhook cannot be removed")
		}
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
		"all_private_chats":       menu("start", "help"),
		"all_chat_administrators": menu("protect", "unprotect", "status", "settings", "help"),
	} {
		if err := b.client.SetMyCommands(ctx, scope, list); err != nil {
			b.log.Warn().Str("error", telegram.Redact(err.Error())).Msg("the bot's menu cannot be set")
		}
	}
}
