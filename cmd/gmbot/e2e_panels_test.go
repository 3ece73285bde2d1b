package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/persistence/redistest"
	"github.com/gmbot/gmbot/telegram/simulator"
)

// panel is what a dashboard asks Prometheus for.
type panel struct {
	dashboard, title string
	exprs            []string
}

func panels(t *testing.T) (list []panel) {
	t.Helper()
	files, err := filepath.Glob("../../deploy/grafana/dashboards/*.json")
	require.NoError(t, err)
	require.Len(t, files, 4)
	uids := map[string]bool{}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		require.NoError(t, err)
		var d struct {
			UID    string `json:"uid"`
			Title  string `json:"title"`
			Panels []struct {
				Type, Title string
				Targets     []struct{ Expr string }
			}
		}
		require.NoError(t, json.Unmarshal(raw, &d), file)
		assert.False(t, uids[d.UID], "two dashboards are %s", d.UID)
		uids[d.UID] = true
		for _, p := range d.Panels {
			one := panel{dashboard: d.Title, title: p.Title}
			for _, target := range p.Targets {
				one.exprs = append(one.exprs, target.Expr)
			}
			if p.Type != "row" {
				require.NotEmpty(t, one.exprs, "%s: %s", d.Title, p.Title)
				list = append(list, one)
			}
		}
	}
	return list
}

// Every panel's query returns data, asked of a real Prometheus that scrapes a bot under load.
func TestE2E_EveryPanelShowsSomething(t *testing.T) {
	t.Parallel()
	w := startTown(t, simulator.Options{})
	redis := redistest.Start(t)
	p := runOn(t, w, newPostgres(t), "REDIS_URL="+redis.URL())
	prom := startPrometheus(t, p.http, "../../deploy/prometheus/recording.yaml", "../../deploy/prometheus/alerts.yaml")
	w.protect(t)
	require.NoError(t, w.Join(w.channel, w.boris))
	// Something of everything: a known member, and strangers who write, are muted, join, are free, and leave again.
	rounds := 0
	happens := func() {
		w.write(t, w.boris, "hello")
		stranger := w.NewUser("Carl", "")
		require.NoError(t, w.Join(w.group, stranger))
		_, _ = w.Write(w.group, stranger, "coins") // the bot may have been faster
		w.until(t, "a stranger is muted", w.muted(stranger))
		require.NoError(t, w.Join(w.channel, stranger))
		w.until(t, "and free", w.free(stranger))
		rounds++
		if rounds > 10 {
			return // of more than twenty who leave the bot thinks that something is wrong
		}
		require.NoError(t, w.Leave(w.channel, stranger))
		w.until(t, "and muted for leaving", w.muted(stranger))
	}
	for end := time.Now().Add(8 * time.Second); time.Now().Before(end); {
		happens()
	}
	for _, one := range panels(t) {
		for _, expr := range one.exprs {
			asked := strings.NewReplacer("$__rate_interval", "5s", "$instance", ".*").Replace(expr)
			assert.NotContains(t, asked, "$", "%s: %s", one.dashboard, one.title)
			// A rate is known of what happened and was scraped twice lately; a busy machine may have left that out.
			eventually(t, 20*time.Second, fmt.Sprintf("%s: %s shows something: %s", one.dashboard, one.title, asked), func() bool {
				series, err := prom.query(asked)
				require.NoError(t, err, "%s: %s", one.dashboard, one.title)
				if series == 0 {
					happens()
				}
				return series > 0
			})
		}
	}
}

// What dashboards, alerts and recordings ask for is served by the program.
func TestDeploy_AsksForMetricsThatExist(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/metrics.md")
	require.NoError(t, err)
	exists := map[string]bool{}
	for _, m := range regexp.MustCompile("`(gmbot_[a-z0-9_]+)`").FindAllStringSubmatch(string(page), -1) {
		exists[m[1]] = true
	}
	var asked []string
	for _, p := range panels(t) {
		asked = append(asked, p.exprs...)
	}
	for _, file := range []string{"alerts.yaml", "recording.yaml"} {
		rules, err := os.ReadFile("../../deploy/prometheus/" + file)
		require.NoError(t, err)
		asked = append(asked, string(rules))
	}
	found := 0
	for _, expr := range asked {
		for _, name := range regexp.MustCompile(`\bgmbot_[a-z0-9_]+`).FindAllString(expr, -1) {
			if name == "gmbot_slo" || strings.HasPrefix(name, "gmbot_go_") || // a group of rules, and the runtime's own
				strings.HasPrefix(name, "gmbot_process_") {
				continue
			}
			found++
			base := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(name, "_bucket"), "_sum"), "_count")
			assert.True(t, exists[name] || exists[base], "nothing serves %s", name)
		}
	}
	assert.Greater(t, found, 80)
}
