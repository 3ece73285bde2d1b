package main

import (
	"fmt"
	"io"
	"time"

	"github.com/gmbot/gmbot/telegram/simulator/load"
)

// benchTable prints rows as they come, in columns.
type benchTable struct {
	out    io.Writer
	err    error
	headed bool
}

const benchColumns = "%-7s %5s  %-5s %8s %8s  %-18s %-18s %-18s %6s %6s %6s %11s %9s\n"

func (t *benchTable) print(format string, args ...any) {
	if _, err := fmt.Fprintf(t.out, format, args...); err != nil && t.err == nil {
		t.err = err
	}
}

func (t *benchTable) show(rows []benchRow) {
	if !t.headed {
		t.print(benchColumns, "load", "API", "bot", "msg/s", "CPU µs", "mute ms", "delete ms", "answer ms", "calls", "SQL", "Redis", "RSS MiB", "GC")
		t.headed = true
	}
	for _, row := range rows {
		f := row.Median
		commits, collections := "–", "–"
		if row.Bot == "gmbot" {
			commits, collections = fmt.Sprintf("%.2f", f.CommitsPerMessage), fmt.Sprintf("%.0f/%.0fms", f.Collections, f.GCPause)
		}
		t.print(benchColumns, row.Load.Kind, millis(row.Load.Latency), row.Bot, fmt.Sprintf("%.0f", f.MessagesPerSecond), fmt.Sprintf("%.0f", f.CPUPerMessage),
			spread3(f.Mute), spread3(f.Delete), spread3(f.Answer), fmt.Sprintf("%.2f", f.CallsPerMessage), commits,
			fmt.Sprintf("%.2f", f.RedisPerMessage), fmt.Sprintf("%.0f/%.0f", f.RSS, f.PeakRSS), collections)
		t.phases(f)
		if f.Lost > 0 {
			t.print("        %d effects never came\n", f.Lost)
		}
	}
	if r := rows[0].Ratio; r != nil {
		t.print("        ratio: %.2f × messages/s, %.2f × CPU", r.Messages, r.CPU)
		if r.MuteP99 > 0 {
			t.print(", mute p99 %.2f, delete p99 %.2f", r.MuteP99, r.GoneP99)
		}
		t.print("\n")
	}
}

// phases shows what a raid did to other groups.
func (t *benchTable) phases(f figures) {
	if f.Quiet == nil || f.During == nil {
		return
	}
	t.print("        other groups: mute %s before the raid, %s during it; answer %s, %s\n",
		spread3(f.Quiet.Mute), spread3(f.During.Mute), spread3(f.Quiet.Answer), spread3(f.During.Answer))
}

func (t *benchTable) legend() {
	t.print(`
Times are p50/p95/p99, from the moment the update is first sent to the bot until the call reaches the API.
CPU, API calls, SQL transactions and Redis commands are per message; RSS after the load, and its peak; GC: cycles and
their pauses in all.
`)
}

func millis(d time.Duration) string { return fmt.Sprintf("%dms", d.Milliseconds()) }

func spread3(p load.Percentiles) string {
	if p.N == 0 {
		return "–"
	}
	return fmt.Sprintf("%s/%s/%s", short(p.P50), short(p.P95), short(p.P99))
}

func short(ms float64) string {
	if ms < 10 {
		return fmt.Sprintf("%.1f", ms)
	}
	return fmt.Sprintf("%.0f", ms)
}
