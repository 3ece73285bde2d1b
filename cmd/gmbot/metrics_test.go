package main

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/telegram/simulator"
)

// Every name says what it counts in, and one that is counted is in the plural.
func TestMetrics_EveryNameHasAUnit(t *testing.T) {
	t.Parallel()
	known := strings.Fields(`1 seconds bytes actors breakers calls changes connections entries errors failures floods flows frees
		groups letters lookups messages mutes panics passivations people places polls reports requests restarts retries rights spawns tasks updates
		verifications waits`)
	for _, r := range metricRows() {
		assert.True(t, strings.HasPrefix(r.name, "gmbot_"), r.name)
		assert.NotEmpty(t, r.help, r.name)
		if unit := r.unitOf(); unit != "0 or 1" && unit != "Unix seconds" {
			assert.Contains(t, known, unit, r.name)
		}
	}
}

// metricsOf are the names that a scrape holds, as docs/metrics.md calls them.
func metricsOf(scraped string) map[string]bool {
	names := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (\S+)`).FindAllStringSubmatch(scraped, -1) {
		names[m[1]] = true
	}
	return names
}

// What a program serves passes Prometheus' own linter, is documented, and tells nobody's id.
func TestEndToEnd_MetricsAreInOrder(t *testing.T) {
	t.Parallel()
	w := startTown(t, simulator.Options{})
	p := runOn(t, w, newDB(t))
	w.protect(t)
	w.write(t, w.anna, "hello")
	w.until(t, "Anna is muted, and shown the way", func() bool { return w.muted(w.anna)() && w.notices() == 1 })
	require.NoError(t, w.Join(w.channel, w.anna))
	w.until(t, "Anna is free", w.free(w.anna))
	w.settled(t)
	var scraped string
	eventually(t, 20*time.Second, "the store is counted", func() bool {
		_, scraped = p.get("/metrics")
		return contains(scraped, `gmbot_gate_protected_groups 1`, `gmbot_gate_funnel_people_total{step="verified"} 1`)
	})

	promtool(t, scraped, "check", "metrics")

	page, err := os.ReadFile("../../docs/metrics.md")
	require.NoError(t, err)
	for name := range metricsOf(scraped) {
		if !strings.HasPrefix(name, "gmbot_go_") && !strings.HasPrefix(name, "gmbot_process_") {
			assert.Contains(t, string(page), "`"+name+"`")
		}
	}
	for _, value := range regexp.MustCompile(`="([^"]*)"`).FindAllStringSubmatch(scraped, -1) {
		assert.NotRegexp(t, `\d{7,}`, strings.TrimPrefix(value[1], version()), "a chat or a person in a label")
	}
	for _, line := range []string{
		`gmbot_gate_verifications_total{cause="message",decision="mute",verdict="OUTSIDE"} 1`,
		`gmbot_gate_funnel_people_total{step="shown"} 1`, `gmbot_program_ready 1`, `gmbot_actor_dead_letters_total{held="update"} 0`,
	} {
		assert.True(t, contains(scraped, line), line)
	}
}

// promtool runs Prometheus' tool, which must be content.
func promtool(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "promtool", args...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "promtool %v: %s", args, out)
	return string(out)
}
