package main

import (
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/persistence/stalltest"
	"github.com/gmbot/gmbot/telegram/simulator"
)

const someToken = "123456:AAbbCCddEEffGGhhIIjjKKllMMnnOOppQQ"

// A wrong setting ends the program with a status, one line that names the variable, and no secret.
func TestE2E_WrongSettings(t *testing.T) {
	t.Parallel()
	taken, err := listen(t.Context(), "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = taken.Close() })
	w := startTown(t, simulator.Options{})
	good := map[string]string{"BOT_TOKEN": someToken, "TELEGRAM_API_URL": w.url}
	hooks := map[string]string{"WEBHOOK_URL": "https://bot.example.org/", "WEBHOOK_SECRET": hookPass}
	hooks["WEBHOOK_CERT_FILE"], hooks["WEBHOOK_KEY_FILE"], _ = selfMade(t)
	for name, c := range map[string]struct {
		variable, value string
	}{
		"no token":              {"BOT_TOKEN", ""},
		"a misshapen token":     {"BOT_TOKEN", "secret-thing"},
		"a token nobody knows":  {"BOT_TOKEN", someToken},
		"unknown scheme":        {"DATABASE_URL", "oracle://scott:tiger@db/x"},
		"no database":           {"DATABASE_URL", "nonsense"},
		"folder not there":      {"DATABASE_URL", "sqlite:///no/such/folder/x.db"},
		"no such database":      {"DATABASE_URL", strings.Replace(newPostgres(t), "@/", "@/no_", 1)},
		"no PostgreSQL address": {"DATABASE_URL", "postgres://bot:hunter2@host:port/x"},
		"address in use":        {"HTTP_ADDR", taken.Addr().String()},
		"no address":            {"HTTP_ADDR", "here"},
		"bad level":             {"LOG_LEVEL", "loud"},
		"bad format":            {"LOG_FORMAT", "xml"},
		"bad API address":       {"TELEGRAM_API_URL", "telegram"},
		"no number":             {"MESSAGES_PER_SECOND", "many"},
		"no messages at all":    {"MESSAGES_PER_GROUP_MINUTE", "0"},
		"negative actions":      {"ACTIONS_PER_SECOND", "-1"},
		"negative sweep":        {"SWEEP_CALLS_PER_MINUTE", "-1"},
		"secret with a blank":   {"WEBHOOK_SECRET", "top secret"},
		"webhook, no address":   {"WEBHOOK_URL", "example.org/hook"},
		"webhook, no secret":    {"WEBHOOK_SECRET", ""},
		"webhook, no port":      {"WEBHOOK_ADDR", "here"},
		"webhook, port in use":  {"WEBHOOK_ADDR", taken.Addr().String()},
		"certificate, no key":   {"WEBHOOK_KEY_FILE", ""},
		"key, no certificate":   {"WEBHOOK_CERT_FILE", ""},
		"no such certificate":   {"WEBHOOK_CERT_FILE", "/no/such/cert.pem"},
		"no such key":           {"WEBHOOK_KEY_FILE", "/no/such/key.pem"},
		"no certificate at all": {"WEBHOOK_CERT_FILE", "e2e_program_test.go"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var env []string
			with := maps.Clone(good)
			if strings.HasPrefix(c.variable, "WEBHOOK_") {
				maps.Copy(with, hooks)
				with["WEBHOOK_ADDR"] = freeAddr(t)
			}
			for k, v := range with {
				if k != c.variable {
					env = append(env, k+"="+v)
				}
			}
			p := launch(t, []string{"run"}, append(env, c.variable+"="+c.value)...)
			assert.NotZero(t, p.waitEnd(10*time.Second))
			said := p.log.String()
			var lines []string
			for line := range strings.SplitSeq(strings.TrimSpace(said), "\n") {
				if strings.HasPrefix(line, "gmbot: ") {
					lines = append(lines, line)
				}
			}
			require.Len(t, lines, 1, said)
			assert.True(t, strings.HasPrefix(lines[0], "gmbot: "+c.variable+": "), lines[0])
			assert.NotContains(t, said, "goroutine ")
			for _, secret := range []string{someToken, "secret-thing", "tiger", "hunter2", "top secret", hookPass} {
				assert.NotContains(t, said, secret)
			}
		})
	}
}

func TestE2E_TelegramDownAtStart(t *testing.T) {
	t.Parallel()
	w := startTown(t, simulator.Options{})
	up := w.Fail(simulator.Fault{Kind: simulator.FaultError, Method: "getMe", Status: 502, Description: "Bad Gateway"})
	p := launch(t, []string{"run"}, "BOT_TOKEN="+w.bot.Token, "TELEGRAM_API_URL="+w.url, "DATABASE_URL=sqlite://"+newDB(t))
	eventually(t, 10*time.Second, "it says so", func() bool {
		code, words := p.get("/ready")
		return code == http.StatusServiceUnavailable && strings.Contains(words, "Telegram does not answer")
	})
	code, _ := p.get("/live")
	assert.Equal(t, http.StatusOK, code)
	p.says("trying again")
	up()
	p.waitReady()
	assert.Zero(t, p.terminate())
}

func TestE2E_OddUpdatesHarmOnlyThemselves(t *testing.T) {
	t.Parallel()
	w := startTown(t, simulator.Options{Validate: func(string, string, []byte) error { return nil }}) // odd on purpose
	p := runOn(t, w, newDB(t))
	for _, odd := range []string{
		`{}`, `{"message":null}`, `{"message":{}}`, `{"message":{"message_id":"x","chat":7}}`, `{"chat_member":{"chat":{"id":-1}}}`,
		`{"callback_query":{"id":5}}`, `{"brand_new_kind":{"a":[1,2]}}`, `{"message":{"message_id":1,"date":1,"chat":{"id":-7,"type":"supergroup"}}}`,
	} {
		w.PushRaw(w.bot.ID, json.RawMessage(odd))
	}
	w.settled(t)
	w.protect(t)
	_, metrics := p.get("/metrics")
	assert.Contains(t, metrics, `gmbot_updates_total{kind="unknown",outcome="malformed"} 4`)
	for line := range strings.SplitSeq(strings.TrimSpace(metrics), "\n") {
		assert.True(t, strings.HasPrefix(line, "gmbot_") || strings.HasPrefix(line, "# HELP gmbot_") || strings.HasPrefix(line, "# TYPE gmbot_"), line)
	}
}

func TestE2E_Endpoints(t *testing.T) {
	t.Parallel()
	w := startTown(t, simulator.Options{})
	p := runOn(t, w, newDB(t))
	code, body := p.get("/health")
	assert.Equal(t, http.StatusOK, code)
	var h health
	require.NoError(t, json.Unmarshal([]byte(body), &h))
	assert.Equal(t, "ok", h.Status)
	assert.True(t, h.Checks["store"].OK && h.Checks["updates"].OK)
	code, _ = p.get("/live")
	assert.Equal(t, http.StatusOK, code)
	q := launch(t, []string{"health"}, "HTTP_ADDR="+p.http)
	assert.Zero(t, q.waitEnd(10*time.Second))
	assert.Zero(t, p.terminate())
	assert.NotContains(t, p.log.String(), w.bot.Token)
	q = launch(t, []string{"health"}, "HTTP_ADDR="+p.http)
	assert.Equal(t, 1, q.waitEnd(10*time.Second))
}

// The first thing anybody sees.
func TestE2E_Demo(t *testing.T) {
	t.Parallel()
	p := launch(t, []string{"demo", "--once", "--http-addr", "127.0.0.1:0"})
	assert.Zero(t, p.waitEnd(90*time.Second), "every scene went as it should")
	for _, part := range []string{"Anna    writes", "gmbot   mutes      Anna", "gmbot   frees      Anna", "Still missing: Garden News"} {
		assert.Contains(t, p.log.String(), part)
	}
	assert.NotContains(t, p.log.String(), "✗")
	for line := range strings.Lines(p.log.String()) {
		assert.LessOrEqual(t, utf8.RuneCountInString(strings.TrimSuffix(line, "\n")), 80, "it fits a terminal: %s", line)
	}
}

func TestE2E_DemoEndsInASecond(t *testing.T) {
	t.Parallel()
	p := launch(t, []string{"demo", "--http-addr", "127.0.0.1:0"})
	eventually(t, 20*time.Second, "it has begun", func() bool { return strings.Contains(p.log.String(), "Olga    promotes") })
	assert.Less(t, stalltest.Took(func() { assert.Zero(t, p.terminate()) }), 1500*time.Millisecond)
}

func TestE2E_Migrate(t *testing.T) {
	t.Parallel()
	said := func(url string, args ...string) string {
		p := launch(t, append([]string{"migrate"}, args...), "DATABASE_URL="+url)
		assert.Zero(t, p.waitEnd(20*time.Second))
		return p.log.String()
	}
	for _, url := range []string{"sqlite://" + newDB(t), newPostgres(t)} {
		assert.Regexp(t, `version 0 of \d+\nmissing: 00001_initial.sql\n`, said(url, "status"))
		assert.Regexp(t, `version (\d+) of `, said(url, "up"))
		assert.NotContains(t, said(url, "status"), "missing")
	}
	p := launch(t, []string{"migrate", "import-gmbot", "sqlite://" + newDB(t)}, "DATABASE_URL=sqlite://"+newDB(t))
	assert.Equal(t, 1, p.waitEnd(20*time.Second))
	assert.Contains(t, p.log.String(), "does not exist")
}
