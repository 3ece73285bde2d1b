package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/PaulSonOfLars/gotgbot/v2"
	"github.com/PaulSonOfLars/gotgbot/v2/ext"
	"github.com/PaulSonOfLars/gotgbot/v2/ext/handlers"
)

// benchBareCommand is what `gmbot bench --baseline` compares with: the bare library, its Updater and Dispatcher
// with their defaults, and the least that a gate can do. It stores nothing.
type benchBareCommand struct {
	BotToken       string `env:"BOT_TOKEN" required:""`
	TelegramAPIURL string `env:"TELEGRAM_API_URL" name:"telegram-api-url" required:""`
	Channel        int64  `required:"" help:"Channel that members must have joined."`
}

// Run is `gmbot bench-bare`.
func (b *benchBareCommand) Run(ctx context.Context) error {
	api := &gotgbot.RequestOpts{APIURL: b.TelegramAPIURL}
	bot, err := gotgbot.NewBot(b.BotToken, &gotgbot.BotOpts{
		BotClient: &gotgbot.BaseBotClient{DefaultRequestOpts: api}, RequestOpts: api,
	})
	if err != nil {
		return fmt.Errorf("bare bot: %w", err)
	}
	gate := &bareGate{channel: b.Channel}
	dispatcher := ext.NewDispatcher(nil)
	dispatcher.AddHandler(handlers.NewMessage(nil, gate.judge))
	updater := ext.NewUpdater(dispatcher, nil)
	err = updater.StartPolling(bot, &ext.PollingOpts{GetUpdatesOpts: &gotgbot.GetUpdatesOpts{
		Timeout: 9, RequestOpts: &gotgbot.RequestOpts{Timeout: 10 * time.Second, APIURL: b.TelegramAPIURL},
	}})
	if err != nil {
		return fmt.Errorf("bare bot: %w", err)
	}
	<-ctx.Done()
	return nil // its poll would hold up an orderly end
}

// bareGate remembers in memory who was found in the channel.
type bareGate struct {
	channel int64
	known   sync.Map
}

func (g *bareGate) judge(bot *gotgbot.Bot, c *ext.Context) error {
	user, message := c.EffectiveSender.User, c.EffectiveMessage
	if _, ok := g.known.Load(user.Id); ok {
		return nil
	}
	member, err := bot.GetChatMember(g.channel, user.Id, nil)
	if err != nil {
		return err
	}
	switch member.GetStatus() {
	case "creator", "administrator", "member":
		g.known.Store(user.Id, true)
		return nil
	}
	if _, err := message.Delete(bot, nil); err != nil {
		return err
	}
	if _, err := c.EffectiveChat.RestrictMember(bot, user.Id, gotgbot.ChatPermissions{}, nil); err != nil {
		return err
	}
	_, err = bot.SendMessage(c.EffectiveChat.Id, user.FirstName+", to write here please join the channel.", nil)
	return err
}
