package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/telegram/simulator/load"
)

// A tiny bench of every load, and of the bare bot. It looks at what happened, never at how long it took.
func TestE2E_Bench(t *testing.T) {
	t.Parallel()
	for loads, more := range map[string][]string{"clean,burst": {"--baseline"}, "paced,raid": nil, "mixed,many": nil} {
		t.Run(loads, func(t *testing.T) {
			t.Parallel()
			report := runBench(t, append(more, "--loads", loads)...)
			require.Len(t, report.Rows, 2*(1+len(more)))
			for _, row := range report.Rows {
				t.Run(string(row.Load.Kind)+" "+row.Bot, func(t *testing.T) { checkBench(t, row) })
			}
		})
	}
}

func runBench(t *testing.T, args ...string) (report benchReport) {
	t.Helper()
	path, err := binary()
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "bench.json")
	cmd := exec.CommandContext(t.Context(), path, append([]string{"bench", "--size=0.01", "--api-latency=0s", "--json", file}, args...)...)
	var said bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr = []string{"TMPDIR=" + t.TempDir()}, &said, &said
	require.NoError(t, cmd.Run(), "%s", &said)
	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &report))
	return report
}

func checkBench(t *testing.T, row benchRow) {
	t.Helper()
	f, l := row.Median, row.Load
	assert.Zero(t, f.Lost, "every stranger is muted, every message of one deleted, every press answered")
	assert.GreaterOrEqual(t, f.Messages, l.Messages+l.Strangers+l.Raiders, "messages")
	assert.Equal(t, l.Strangers+l.Raiders, f.Violations, "violations")
	assert.Equal(t, f.Violations, f.Mute.N, "mutes")
	assert.Equal(t, f.Violations, f.Delete.N, "deletions")
	if row.Bot == "bare" {
		assert.Equal(t, 4*f.Violations, total(f.Calls), "a question, a deletion, a mute and a message each")
		return
	}
	if l.Kind == load.Clean {
		assert.Empty(t, f.Calls, "known members cost no call")
		assert.Less(t, f.CommitsPerMessage+f.ReadsPerMessage, 0.1, "nor the store, which something else may use meanwhile")
		return
	}
	if !l.Reacts { // else people come back
		assert.Equal(t, 2*f.Violations, f.Calls["getChatMember"], "two questions each")
		assert.Equal(t, f.Violations, f.Calls["restrictChatMember"], "one mute each")
		assert.LessOrEqual(t, total(f.Calls)-f.Calls["answerCallbackQuery"], 5*f.Violations, "five calls at most")
		assert.LessOrEqual(t, f.CommitsPerViolation, 8.0, "transactions a violation, when none is gathered")
		return
	}
	assert.Positive(t, f.Answer.N, "presses are answered")
}

func total(calls map[string]int) (n int) {
	for _, one := range calls {
		n += one
	}
	return n
}

// The bare bot that the documentation shows is the one that runs.
func TestDocs_ShowTheBareBot(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("bench_bare.go")
	require.NoError(t, err)
	page, err := os.ReadFile("../../docs/performance.md")
	require.NoError(t, err)
	_, code, ok := strings.Cut(string(source), "// Run is `gmbot bench-bare`.\n")
	require.True(t, ok)
	_, shown, ok := strings.Cut(string(page), "```go\n// Run is `gmbot bench-bare`.\n")
	require.True(t, ok)
	shown, _, ok = strings.Cut(shown, "```\n")
	require.True(t, ok)
	assert.Equal(t, code, shown)
}

// The median is taken of each figure by itself.
func TestBench_MedianOfEachFigure(t *testing.T) {
	t.Parallel()
	run := func(perSecond, cpu, p99 float64) figures {
		f := figures{MessagesPerSecond: perSecond, CPUPerMessage: cpu}
		f.Messages, f.Mute.P99, f.Calls = 7, p99, map[string]int{"getChatMember": int(cpu)}
		return f
	}
	m := median([]figures{run(10, 3, 1), run(30, 1, 9), run(20, 2, 5)})
	assert.Equal(t, run(20, 2, 5), m)
}

// Counters are read over their labels, whatever stands beside them.
func TestBench_ReadsCounters(t *testing.T) {
	t.Parallel()
	got := countersIn([]byte("# HELP a b\n# TYPE a counter\na{x=\"1 2\"} 3\na{x=\"} 4\"} 4\nb 2.5\nc_bucket{le=\"+Inf\"} 1\n"))
	assert.Equal(t, map[string]float64{"a": 7, "b": 2.5, "c_bucket": 1}, got)
}
