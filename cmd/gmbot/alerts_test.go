package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

const rulesFolder = "../../deploy/prometheus/"

// rule is an alert or a recording rule.
type rule struct {
	Alert       string
	Record      string
	Expr        string
	For         string
	Labels      map[string]string
	Annotations map[string]string
}

// rulesOf reads a file of rules.
func rulesOf(t *testing.T, name string) (list []rule) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(rulesFolder, name))
	require.NoError(t, err)
	var file struct{ Groups []struct{ Rules []rule } }
	require.NoError(t, yaml.Unmarshal(raw, &file))
	for _, g := range file.Groups {
		list = append(list, g.Rules...)
	}
	require.NotEmpty(t, list)
	return list
}

// Each alert fires when it should, and is silent when idle, busy, unconfigured, on a restart and on a standby.
func TestAlerts_FireAndAreSilent(t *testing.T) {
	t.Parallel()
	promtool(t, "", "check", "rules", rulesFolder+"alerts.yaml", rulesFolder+"recording.yaml")
	promtool(t, "", "test", "rules", rulesFolder+"alerts_test.yaml")
	raw, err := os.ReadFile(rulesFolder + "alerts_test.yaml")
	require.NoError(t, err)
	for _, r := range rulesOf(t, "alerts.yaml") {
		assert.Contains(t, string(raw), "name: "+r.Alert+" fires\n")
		assert.GreaterOrEqual(t, strings.Count(string(raw), "alertname: "+r.Alert+"}"), 5, "%s is not looked at where all is well", r.Alert)
	}
}

// Each alert has a severity, a summary, and a section that says what to do about it; each metric they name exists.
func TestAlerts_HaveARunbook(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../docs/runbook.md")
	require.NoError(t, err)
	sections := strings.Split(string(raw), "\n## ")[1:]
	known := map[string]bool{}
	for _, r := range metricRows() {
		known[r.name] = true
		if r.kind == "histogram" {
			known[r.name+"_bucket"], known[r.name+"_count"], known[r.name+"_sum"] = true, true, true
		}
	}
	alerts := rulesOf(t, "alerts.yaml")
	for _, r := range alerts {
		assert.Contains(t, []string{"page", "ticket"}, r.Labels["severity"], r.Alert)
		assert.NotEmpty(t, r.Annotations["summary"], r.Alert)
		assert.True(t, strings.HasSuffix(r.Annotations["runbook_url"], "docs/runbook.md#"+strings.ToLower(r.Alert)), r.Alert)
		var section string
		for _, s := range sections {
			if name, rest, _ := strings.Cut(s, "\n"); name == r.Alert {
				section = rest
			}
		}
		for _, part := range []string{"**What it means.**", "**How to look.**", "**What to do.**", "**Whom to wake.**"} {
			assert.Contains(t, section, part, r.Alert)
		}
	}
	assert.Len(t, sections, len(alerts), "a section for each alert, and an alert for each section")
	text := string(raw)
	for _, r := range append(alerts, rulesOf(t, "recording.yaml")...) {
		text += "\n" + r.Expr
	}
	for _, name := range regexp.MustCompile(`\bgmbot_[a-z_]+`).FindAllString(text, -1) {
		assert.True(t, known[name], "there is no metric %s", name)
	}
}
