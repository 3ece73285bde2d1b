package main

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gmbot/gmbot/protos"
)

//go:generate go run . reference ../..

// referenceCommand writes the pages that list what stands in the code.
type referenceCommand struct {
	Folder string `arg:"" help:"The project's folder."`
}

// Run is `gmbot reference`.
func (r referenceCommand) Run() error {
	metrics, err := metricsPage()
	if err != nil {
		return err
	}
	for name, page := range map[string]string{
		"docs/metrics.md": metrics, "docs/settings.md": settingsPage(), "deploy/.env.example": exampleEnv(),
	} {
		//nolint:gosec // pages are for everybody to read
		if err := os.WriteFile(filepath.Join(r.Folder, name), []byte(page), 0o644); err != nil {
			return fmt.Errorf("write a page: %w", err)
		}
	}
	return nil
}

// catalogue is a registerer that remembers the descriptions of what it was given.
type catalogue struct {
	prometheus.Registerer
	rows map[string]metricRow
}

// metricRow describes a metric.
type metricRow struct {
	name, kind, help string
	labels           []string
}

var descShape = regexp.MustCompile(`^Desc\{fqName: "([^"]+)", help: ("(?:[^"\\]|\\.)*"), unit: "[^"]*", constLabels: \{([^}]*)\}, variableLabels: \{([^}]*)\}\}$`)

// Register implements prometheus.Registerer.
func (c *catalogue) Register(m prometheus.Collector) error {
	descs := make(chan *prometheus.Desc)
	go func() { m.Describe(descs); close(descs) }()
	for d := range descs {
		part := descShape.FindStringSubmatch(d.String())
		if part == nil {
			return fmt.Errorf("a description cannot be read: %s", d)
		}
		row := metricRow{name: part[1], kind: kindOf(m, part[1]), help: strings.Trim(part[2], `"`)}
		for pair := range strings.SplitSeq(part[3]+","+part[4], ",") {
			if label, _, _ := strings.Cut(pair, "="); label != "" {
				row.labels = append(row.labels, label)
			}
		}
		c.rows[row.name] = row
	}
	return c.Registerer.Register(m)
}

// MustRegister implements prometheus.Registerer.
func (c *catalogue) MustRegister(all ...prometheus.Collector) {
	for _, m := range all {
		if err := c.Register(m); err != nil {
			panic(err)
		}
	}
}

func kindOf(m prometheus.Collector, name string) string {
	switch m.(type) {
	case *prometheus.HistogramVec, prometheus.Histogram:
		return "histogram"
	}
	if strings.HasSuffix(name, "_total") {
		return "counter"
	}
	return "gauge"
}

// metricRows describes every metric of the program itself, sorted by name.
func metricRows() []metricRow {
	all := &catalogue{Registerer: prometheus.NewRegistry(), rows: map[string]metricRow{}}
	registerProgram(all, newStatus(""))
	registerParts(all)
	return slices.SortedFunc(maps.Values(all.rows), func(a, b metricRow) int { return cmp.Compare(a.name, b.name) })
}

// units are what the last word of a name may be, "total" aside, and how the page calls it.
var units = map[string]string{"info": "1", "up": "0 or 1", "away": "0 or 1", "ready": "0 or 1", "standby": "0 or 1"}

// unitOf says what a metric counts: the last word of its name, or what stands before "total".
func (r metricRow) unitOf() string {
	words := strings.Split(strings.TrimSuffix(r.name, "_total"), "_")
	last := words[len(words)-1]
	if unit := units[last]; unit != "" {
		return unit
	}
	if strings.HasSuffix(r.name, "_timestamp_seconds") {
		return "Unix seconds"
	}
	return last
}

func metricsPage() (string, error) {
	var page strings.Builder
	page.WriteString(`# Metrics

Generated from the code by ` + "`make generate`" + `; what stands here is what ` + "`/metrics`" + ` serves. A metric of the shared
cache is served only with ` + "`REDIS_URL`" + `. No label holds a chat or a person, so the number of series does not grow with
either. Counters that have a fixed set of labels begin at 0. Beside these stand ` + "`gmbot_go_…`" + ` and
` + "`gmbot_process_…`" + `, the runtime's own. What they mean when something is wrong: [Runbook](runbook.md).

| Metric | Kind | Unit | Labels | What it says |
|---|---|---|---|---|
`)
	for _, r := range metricRows() {
		labels := "–"
		if len(r.labels) > 0 {
			labels = "`" + strings.Join(r.labels, "`, `") + "`"
		}
		fmt.Fprintf(&page, "| `%s` | %s | %s | %s | %s |\n", r.name, r.kind, r.unitOf(), labels, r.help)
	}
	page.WriteString("\n## Values of labels\n\n| Label | Values |\n|---|---|\n")
	for _, l := range []struct {
		name   string
		values map[int32]string
	}{{"lane", protos.Lane_name}, {"outcome", protos.Outcome_name}, {"verdict", protos.Verdict_name}} {
		fmt.Fprintf(&page, "| `%s` | %s |\n", l.name, strings.Join(slices.Collect(sortedValues(l.values)), ", "))
	}
	page.WriteString("| `kind` of updates | " + strings.Join(slices.Collect(sortedValues(protos.EventKind_name)), ", ") + ", unknown |\n")
	return page.String(), nil
}

func sortedValues(m map[int32]string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for _, k := range slices.Sorted(maps.Keys(m)) {
			if !yield(m[k]) {
				return
			}
		}
	}
}

func settingsPage() string {
	var page strings.Builder
	page.WriteString(`# Settings

Generated from cmd/gmbot/config.go by ` + "`make generate`" + `. Each is an environment variable and a flag of ` + "`gmbot run`" + `
(` + "`BOT_TOKEN`" + ` is ` + "`--bot-token`" + `). A wrong setting ends the program with one line that names the variable and the cure.

| Variable | Flag | Default | Meaning |
|---|---|---|---|
`)
	for field := range reflect.TypeFor[settings]().Fields() {
		env, value := field.Tag.Get("env"), "–"
		if d := field.Tag.Get("default"); d != "" {
			value = "`" + d + "`"
		}
		flag := strings.ToLower(strings.ReplaceAll(env, "_", "-"))
		fmt.Fprintf(&page, "| `%s` | `--%s` | %s | %s |\n", env, flag, value, field.Tag.Get("help"))
	}
	return page.String()
}

// exampleEnv is a file of variables to begin with: every setting with its default, commented out.
func exampleEnv() string {
	var page strings.Builder
	page.WriteString(`# Settings of gmbot, made by "make generate" from cmd/gmbot/config.go. Copy it to .env beside compose.yaml, or to
# /etc/gmbot/env for systemd, and take the # away from what you set.
`)
	for field := range reflect.TypeFor[settings]().Fields() {
		fmt.Fprintf(&page, "\n# %s\n#%s=%s\n", field.Tag.Get("help"), field.Tag.Get("env"), field.Tag.Get("default"))
	}
	page.WriteString(`
# For compose.yaml alone.
#POSTGRES_PASSWORD=
#GRAFANA_PASSWORD=
`)
	return page.String()
}
