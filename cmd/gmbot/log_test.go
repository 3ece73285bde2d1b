package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/PaulSonOfLars/gotgbot/v2"
	"github.com/jackc/pgx/v5"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/actors"
)

const aPassword = `p"a\ss<w>o&rd/1@x`

// Errors as the libraries really word them, with secrets where they put them.
func leakyErrors(t *testing.T, token, password string) []error {
	t.Helper()
	resp, dial := (&http.Client{Timeout: time.Second}).Do(mustRequest(t, "http://127.0.0.1:1/bot"+token+"/getMe"))
	if dial == nil {
		_ = resp.Body.Close()
	}
	_, parse := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://[::1/bot"+token, http.NoBody)
	_, dsn := pgx.ParseConfig("postgres://gm:" + password + "@h:port/db")
	return []error{
		dial, parse, dsn, fmt.Errorf("connect: %w", dsn),
		&gotgbot.TelegramError{Method: "getMe", Code: 400, Description: "Bad Request: " + token, ResponseParams: nil},
		fmt.Errorf("password=%s host=db", password), fmt.Errorf("%q", password), errors.New("link https://t.me/+AbCdEfGhIj"),
	}
}

func mustRequest(t *testing.T, address string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
	require.NoError(t, err)
	return r
}

func TestLog_KeepsSecretsToItself(t *testing.T) {
	t.Parallel()
	const token = "123456:AAAbbbCCCdddEEEfffGGGhhh"
	for _, format := range []string{"json", "console"} {
		var out bytes.Buffer
		set := settings{BotToken: token, DatabaseURL: "postgres://gm:p%22a%5Css%3Cw%3Eo%26rd%2F1%40x@h/db", RedisURL: "redis://:rediska@h"}
		log := newLog(&out, "debug", format, redactor(set.secrets()...))
		for _, err := range append(leakyErrors(t, token, aPassword), leakyErrors(t, token, "p%22a%5Css%3Cw%3Eo%26rd%2F1%40x")...) {
			log.Error().Err(err).Str("again", err.Error()).Msg(err.Error())
			actors.NewSlog(log).Error(err.Error(), "err", err)
		}
		said := out.String()
		for _, secret := range []string{"AAAbbb", "o&rd", "o%26rd", "rediska", "AbCdEf"} {
			assert.NotContains(t, said, secret)
		}
		assert.Contains(t, said, "[redacted]")
	}
}

// Whatever a password is, no line shows it, however it was spelled.
func FuzzLog_KeepsSecretsToItself(f *testing.F) {
	f.Add("hunter22", "before ", " after")
	f.Add(aPassword, "://x:", "@h")
	f.Add("日本語のパスワード", "", "")
	f.Add("\x00\xff\"\\n${}", "%", "\n")
	f.Fuzz(func(t *testing.T, password, before, after string) {
		if len(password) < 6 || slices.Contains(parts("[redacted]", len(password)), password) || strings.Contains(before+after, password) {
			return
		}
		var out bytes.Buffer
		log := newLog(&out, "info", "json", redactor(password))
		log.Info().Str("field", before+password+after).Err(fmt.Errorf("%s%q", before, password)).Msg(before + password)
		line := out.String()
		var fields map[string]any
		if json.Unmarshal([]byte(line), &fields) != nil {
			return // cutting a word out of the middle of an escape may spoil the line, but shows nothing
		}
		for name, part := range fields {
			if text, ok := part.(string); ok && name != "time" && name != "level" {
				assert.NotContains(t, text, password)
			}
		}
	})
}

// parts are all pieces of a text that are n bytes long.
func parts(text string, n int) (list []string) {
	for i := 0; i+n <= len(text); i++ {
		list = append(list, text[i:i+n])
	}
	return list
}

func TestLog_CutsFloods(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	d := newDam(func() time.Time { return now })
	var out bytes.Buffer
	log := zerolog.New(&out).Hook(d)
	for range 100 {
		log.Warn().Msg("again")
		log.Warn().Msg("and again")
	}
	assert.Equal(t, 2*sameLines, strings.Count(out.String(), "\n"))
	now = now.Add(time.Second)
	out.Reset()
	log.Warn().Msg("again")
	assert.Contains(t, out.String(), fmt.Sprintf(`"not_said_before":%d`, 100-sameLines))
	for i := range 3 * maxMessages {
		log.Warn().Msg(fmt.Sprint(i))
	}
	assert.LessOrEqual(t, len(d.said), maxMessages)
}

// A library's attribute named like our message does not spoil the line.
func TestLog_TakesLibrariesLines(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := newLog(&out, "debug", "json", redactor())
	actors.NewSlog(log).With("from", "library").Warn("dead letter", "message", "text", "pid", 5)
	var line map[string]any
	require.NoError(t, json.Unmarshal(out.Bytes(), &line))
	assert.Equal(t, "dead letter", line["message"])
	assert.Equal(t, "text", line["about"])
	assert.Equal(t, "library", line["from"])
	assert.Equal(t, 1, strings.Count(out.String(), `"message"`))
}
