package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/persistence/pgtest"
	"github.com/gmbot/gmbot/persistence/redistest"
	"github.com/gmbot/gmbot/telegram/simulator"
)

// Whoever stops the database, Redis or Telegram learns which it is from /ready, from one alert and from one log
// line. The test's log is the transcript.
func TestE2E_AnOperatorLearnsWhatIsWrong(t *testing.T) {
	t.Parallel()
	w := startTown(t, simulator.Options{})
	database, redis := pgtest.Start(t), redistest.Start(t)
	p := runOn(t, w, database.Database(t), "REDIS_URL="+redis.URL())
	w.protect(t)
	for _, c := range []struct {
		what                string
		stop, start         func()
		status              int
		ready, alert, lines string
	}{
		{
			"PostgreSQL", database.Kill, func() { database.Run(t) }, http.StatusOK,
			"the database does not answer", "GmbotDatabaseDown", "the database does not answer; what needs it waits",
		},
		{
			"Redis", redis.Kill, redis.Run, http.StatusOK,
			"the shared cache (Redis) does not answer", "GmbotRedisDown", "the shared cache does not answer and is not used",
		},
		{
			"Telegram", func() { w.Restart(time.Hour) }, func() { w.Restart(0) }, http.StatusServiceUnavailable,
			"Telegram does not answer polls", "GmbotTelegramDown", "Telegram does not answer polls, trying again",
		},
	} {
		before := p.log.String()
		c.stop()
		w.write(t, w.olga, "is anybody there?")
		var words string
		eventually(t, 20*time.Second, "/ready says that it is "+c.what, func() bool {
			code, said := p.get("/ready")
			words = strings.TrimSpace(said)
			return code == c.status && strings.Contains(said, c.ready)
		})
		_, first := p.get("/metrics")
		time.Sleep(4 * time.Second) // the time between two scrapes is what a rate is made of
		_, second := p.get("/metrics")
		alerts := firing(t, first, second)
		said := strings.TrimPrefix(p.log.String(), before)
		t.Logf("\n$ stop %s\n$ curl HOST:8000/ready\n%s\n$ amtool alert\n%s\n$ tail log\n%s", c.what, words, strings.Join(alerts, "\n"), said)
		assert.Equal(t, []string{c.alert}, alerts)
		assert.Equal(t, 1, strings.Count(said, `"message":"`+c.lines+`"`), "one line")
		c.start()
		eventually(t, 30*time.Second, "all is well again", func() bool { _, said := p.get("/ready"); return said == "ready\n" })
	}
	assert.Zero(t, p.terminate())
}

var sampleLine = regexp.MustCompile(`(?m)^(gmbot_[a-z0-9_]+)(?:\{([^}]*)\})? ([^ \n]+)$`)

// firing says which alerts fire when things stay as two scrapes found them, by Prometheus' own evaluation.
func firing(t *testing.T, first, second string) (alerts []string) {
	t.Helper()
	old := map[string]float64{}
	for _, m := range sampleLine.FindAllStringSubmatch(first, -1) {
		old[m[1]+m[2]], _ = strconv.ParseFloat(m[3], 64)
	}
	folder, err := filepath.Abs(rulesFolder)
	require.NoError(t, err)
	var file strings.Builder
	fmt.Fprintf(&file, "rule_files: [%[1]s/alerts.yaml, %[1]s/recording.yaml]\nevaluation_interval: 15s\ntests:\n  - interval: 15s\n    input_series:\n", folder)
	fmt.Fprintf(&file, "      - {series: 'up{instance=\"bot\",job=\"gmbot\"}', values: '1x60'}\n")
	for _, m := range sampleLine.FindAllStringSubmatch(second, -1) {
		if strings.HasPrefix(m[1], "gmbot_go_") || strings.HasPrefix(m[1], "gmbot_process_") {
			continue
		}
		value, err := strconv.ParseFloat(m[3], 64)
		require.NoError(t, err)
		labels := `instance="bot",job="gmbot"`
		if m[2] != "" {
			labels = m[2] + "," + labels
		}
		grows := 0.0
		if strings.HasSuffix(m[1], "_total") || strings.HasSuffix(m[1], "_count") || strings.HasSuffix(m[1], "_bucket") {
			grows = max(value-old[m[1]+m[2]], 0)
		}
		fmt.Fprintf(&file, "      - {series: '%s{%s}', values: '%f+%fx60'}\n", m[1], labels, value, grows)
	}
	file.WriteString("    alert_rule_test:\n")
	for _, r := range rulesOf(t, "alerts.yaml") {
		fmt.Fprintf(&file, "      - {eval_time: 8m, alertname: %s}\n", r.Alert)
	}
	path := filepath.Join(t.TempDir(), "now_test.yaml")
	require.NoError(t, os.WriteFile(path, []byte(file.String()), 0o600))
	// Each alert is said to be silent: those of which promtool complains are the ones that fire.
	out, _ := exec.CommandContext(t.Context(), "promtool", "test", "rules", path).CombinedOutput()
	for _, m := range regexp.MustCompile(`alertname: ?(\w+)`).FindAllStringSubmatch(string(out), -1) {
		if !slices.Contains(alerts, m[1]) {
			alerts = append(alerts, m[1])
		}
	}
	require.True(t, len(alerts) > 0 || strings.Contains(string(out), "SUCCESS"), "promtool: %s", out)
	return alerts
}

// look asks a debug page.
func look(t *testing.T, addr, path, accept, host string) (int, string) {
	t.Helper()
	req := mustRequest(t, "http://"+addr+path)
	req.Header.Set("Accept", accept)
	if host != "" {
		req.Host = host
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	return resp.StatusCode, readAll(t, resp)
}

// toldOf is what the log tells of the update for which somebody was muted.
func toldOf(t *testing.T, p *program, user int64) map[string]bool {
	t.Helper()
	var update int64
	said := map[int64]map[string]bool{}
	for _, line := range p.log.lines() {
		var l struct {
			Update, User            int64
			Message, Decision, Call string
		}
		require.NoError(t, json.Unmarshal([]byte(line), &l), line)
		if l.Decision == "mute" && l.User == user {
			update = l.Update
		}
		if said[l.Update] == nil {
			said[l.Update] = map[string]bool{}
		}
		said[l.Update][strings.TrimSpace(l.Message+" "+l.Call)] = true
	}
	if update == 0 {
		return nil
	}
	return said[update]
}

// debugChat is what a test wants of the debug page of a group.
type debugChat struct {
	Kind  string
	Group struct {
		Title  string
		Rights []struct{ OK bool }
		Flows  map[string]int
		Audit  []struct{ Action string }
		Memory *struct{ Loaded bool }
	}
}

// One update can be followed through the log by its id, and the debug pages show what the bot knows, without
// tokens and links.
func TestE2E_LogAndDebugPagesTellAboutAnUpdate(t *testing.T) {
	t.Parallel()
	w := startTown(t, simulator.Options{})
	sentry := startSentry(t)
	addr := freeAddr(t)
	p := runOn(t, w, newDB(t), "LOG_LEVEL=debug", "DEBUG_ADDR="+addr, "SENTRY_DSN="+sentry.dsn())
	w.protect(t)
	w.write(t, w.anna, "coins")
	w.until(t, "Anna is muted, and shown the way", func() bool { return w.muted(w.anna)() && w.notices() == 1 })
	w.settled(t)

	for _, step := range []string{
		"an update is handed out", "a person was looked at", "a call has ended restrict", "a call has ended delete", "a call has ended getmember", "an update is settled",
	} {
		eventually(t, 20*time.Second, "the log tells of Anna's update: "+step, func() bool { return toldOf(t, p, w.anna)[step] })
	}

	for _, path := range []string{fmt.Sprintf("/debug/chat/%d", w.group), fmt.Sprintf("/debug/chat/%d", w.channel), fmt.Sprintf("/debug/chat/%d", w.anna), "/debug/actors"} {
		for _, accept := range []string{"", "text/html"} {
			code, body := look(t, addr, path, accept, "")
			require.Equal(t, http.StatusOK, code, "%s: %s", path, body)
			p.hide.check(t, path+" served", body)
			if accept == "" {
				assert.True(t, json.Valid([]byte(body)), body)
			}
		}
	}
	var chat debugChat
	eventually(t, 20*time.Second, "Anna's mute is stored", func() bool {
		_, body := look(t, addr, fmt.Sprintf("/debug/chat/%d", w.group), "", "")
		chat = debugChat{}
		require.NoError(t, json.Unmarshal([]byte(body), &chat))
		return chat.Group.Flows["muted"] == 1
	})
	assert.Equal(t, "group", chat.Kind)
	assert.Len(t, chat.Group.Rights, 4)
	assert.Equal(t, map[string]int{"muted": 1}, chat.Group.Flows)
	assert.NotEmpty(t, chat.Group.Audit)
	require.NotNil(t, chat.Group.Memory)
	assert.True(t, chat.Group.Memory.Loaded)
	_, body := look(t, addr, "/debug/actors", "", "")
	assert.Contains(t, body, fmt.Sprintf("group%d", w.group))
	code, _ := look(t, addr, "/debug/actors", "", "evil.example.com")
	assert.Equal(t, http.StatusForbidden, code, "a page of the web does not get it")
	code, _ = p.get("/debug/actors")
	assert.Equal(t, http.StatusNotFound, code, "not where everybody may ask")
	code, body = p.get("/health")
	assert.Equal(t, http.StatusOK, code)
	assert.Contains(t, body, `"since":"`)
	assert.Zero(t, p.terminate())
	events, raw := sentry.got()
	assert.Empty(t, events, "nothing is sent when nothing is wrong")
	p.hide.check(t, "Sentry was sent", raw)
}

func readAll(t *testing.T, resp *http.Response) string {
	t.Helper()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return string(body)
}
