package main

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// secrets are what nobody may ever see of a program: every end-to-end test looks for them in all that the
// program prints, serves, and reports.
type secrets []string

// inviteLink is the shape of Telegram's links to private chats, which the simulator's have, too.
var inviteLink = regexp.MustCompile(`(?i)(?:t\.me|telegram\.me|telegram\.dog)/(?:\+|joinchat/)[A-Za-z0-9_-]{4,}|tg://join\?invite=[A-Za-z0-9_-]{4,}`)

// secretsOf finds the secrets in a program's environment.
func secretsOf(env []string) (list secrets) {
	for _, pair := range env {
		name, value, _ := strings.Cut(pair, "=")
		switch name {
		case "BOT_TOKEN":
			_, key, _ := strings.Cut(value, ":")
			list = append(list, key)
		case "WEBHOOK_SECRET":
			list = append(list, value)
		case "DATABASE_URL", "REDIS_URL":
			if u, err := url.Parse(value); err == nil {
				password, _ := u.User.Password()
				list = append(list, password)
				if other := url.QueryEscape(password); other != password {
					list = append(list, other)
				}
			}
		case "SENTRY_DSN":
			if u, err := url.Parse(value); err == nil {
				list = append(list, u.User.Username())
			}
		}
	}
	// What is empty, or so short that it stands in ordinary words, cannot be looked for.
	return slices.DeleteFunc(list, func(s string) bool { return len(s) < 6 })
}

// found says which secrets stand in a text.
func (s secrets) found(text string) (list []string) {
	for _, one := range s {
		if strings.Contains(text, one) {
			list = append(list, "a secret of the settings: "+one)
		}
	}
	if link := inviteLink.FindString(text); link != "" {
		list = append(list, "an invite link: "+link)
	}
	return list
}

func (s secrets) check(t *testing.T, what, text string) {
	t.Helper()
	if list := s.found(text); len(list) > 0 {
		t.Errorf("%s %s", what, strings.Join(list, ", "))
	}
}

func TestSecrets_AreFound(t *testing.T) {
	t.Parallel()
	s := secretsOf([]string{
		"BOT_TOKEN=123:AAAbbbCCCdddEEEfff", "DATABASE_URL=postgres://gm:hunter%212@db/gm", "REDIS_URL=redis://:rediska@h/0",
		"SENTRY_DSN=https://publickey@sentry.example.com/1", "WEBHOOK_SECRET=hooksecret", "LOG_LEVEL=debug",
	})
	for _, text := range []string{
		"bot123:AAAbbbCCCdddEEEfff/getMe", "redis://:rediska@h", "key publickey", "X: hooksecret",
		"see https://t.me/+AbCdEfGh12", "https://t.me/joinchat/AbCdEf", "tg://join?invite=AbCdEf",
	} {
		assert.Len(t, s.found(text), 1, text)
	}
	assert.Empty(t, s.found("all is well: https://t.me/news_here, debug"))
}
