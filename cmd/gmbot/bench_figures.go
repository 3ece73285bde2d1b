package main

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/gmbot/gmbot/telegram/simulator/load"
)

// benchReport is the JSON of a bench.
type benchReport struct {
	Version string     `json:"version"`
	Go      string     `json:"go"`
	CPUs    int        `json:"cpus"`
	At      time.Time  `json:"at"`
	Rows    []benchRow `json:"rows"`
}

// benchRow is one load with one bot.
type benchRow struct {
	Load   load.Spec `json:"load"`
	Bot    string    `json:"bot"` // gmbot or bare
	Median figures   `json:"median"`
	Ratio  *ratio    `json:"ratio,omitempty"` // gmbot's to the bare bot's
	Runs   []figures `json:"runs"`
}

// figures are what one run came to. Whatever is "per message" is so for every message of the load.
type figures struct {
	load.Result

	MessagesPerSecond   float64 `json:"messages_per_second"`
	ViolationsPerSecond float64 `json:"violations_per_second"`
	CPUPerMessage       float64 `json:"cpu_per_message_us"` // user and system, microseconds
	CallsPerMessage     float64 `json:"calls_per_message"`
	CommitsPerMessage   float64 `json:"transactions_per_message"`
	CommitsPerViolation float64 `json:"transactions_per_violation"`
	ReadsPerMessage     float64 `json:"reads_per_message"` // of the database
	RedisPerMessage     float64 `json:"redis_commands_per_message"`
	RSS                 float64 `json:"rss_mib"`      // after the load
	RSSFile             float64 `json:"rss_file_mib"` // of it, the program's own text
	PeakRSS             float64 `json:"peak_rss_mib"` // of the process's whole life
	Collections         float64 `json:"gc_cycles"`
	GCPause             float64 `json:"gc_pause_ms"` // in all
	ReadySeconds        float64 `json:"ready_seconds"`
	TelegramCPUPerCall  float64 `json:"simulator_cpu_per_call_us"`
}

// reckon puts together what the load saw and what the bot's process used.
func reckon(r load.Result, before, after sample) figures {
	grew := func(name string) float64 { return after.metrics[name] - before.metrics[name] }
	messages, violations := float64(max(r.Messages, 1)), float64(max(r.Violations, 1))
	calls := 0
	for _, n := range r.Calls {
		calls += n
	}
	commits := grew("gmbot_store_transaction_seconds_count")
	f := figures{
		Result: r, MessagesPerSecond: messages / r.Seconds, ViolationsPerSecond: float64(r.Violations) / r.Seconds,
		CPUPerMessage: micros(after.cpu-before.cpu) / messages, CallsPerMessage: float64(calls) / messages,
		CommitsPerMessage: commits / messages, ReadsPerMessage: grew("gmbot_store_query_seconds_count") / messages,
		RSS: mebibytes(after.rss), RSSFile: mebibytes(after.file), PeakRSS: mebibytes(after.peak),
		Collections: grew("gmbot_go_gc_duration_seconds_count"), GCPause: grew("gmbot_go_gc_duration_seconds_sum") * 1000,
	}
	if r.Violations > 0 {
		f.CommitsPerViolation = commits / violations
	}
	if after.redis > 0 {
		f.RedisPerMessage = max(after.redis-before.redis-1, 0) / messages // one of them asked for this number
	}
	return f
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }

func mebibytes(n uint64) float64 { return float64(n) / (1 << 20) }

// ratio is a bot's figures to another's; 0 where one has none.
type ratio struct {
	Messages float64 `json:"messages_per_second"`
	CPU      float64 `json:"cpu_per_message"`
	MuteP50  float64 `json:"mute_p50"`
	MuteP99  float64 `json:"mute_p99"`
	GoneP99  float64 `json:"delete_p99"`
}

func compare(a, b figures) *ratio {
	by := func(x, y float64) float64 {
		if y == 0 {
			return 0
		}
		return x / y
	}
	return &ratio{
		Messages: by(a.MessagesPerSecond, b.MessagesPerSecond), CPU: by(a.CPUPerMessage, b.CPUPerMessage),
		MuteP50: by(a.Mute.P50, b.Mute.P50), MuteP99: by(a.Mute.P99, b.Mute.P99), GoneP99: by(a.Delete.P99, b.Delete.P99),
	}
}

// median is the median of each figure by itself.
func median(runs []figures) (f figures) {
	if len(runs) == 1 {
		return runs[0]
	}
	trees := make([]any, 0, len(runs))
	for _, one := range runs {
		var tree any
		if raw, err := json.Marshal(one); err != nil || json.Unmarshal(raw, &tree) != nil {
			return figures{}
		}
		trees = append(trees, tree)
	}
	if raw, err := json.Marshal(middle(trees)); err != nil || json.Unmarshal(raw, &f) != nil {
		return figures{}
	}
	return f
}

// middle takes numbers of the same place in several trees for their median.
func middle(trees []any) any {
	switch first := trees[0].(type) {
	case map[string]any:
		merged := map[string]any{}
		for key := range first {
			var parts []any
			for _, tree := range trees {
				if part, ok := tree.(map[string]any)[key]; ok { //nolint:errcheck,forcetypeassert // all are of one type
					parts = append(parts, part)
				}
			}
			merged[key] = middle(parts)
		}
		return merged
	case float64:
		numbers := make([]float64, 0, len(trees))
		for _, tree := range trees {
			n, _ := tree.(float64)
			numbers = append(numbers, n)
		}
		slices.Sort(numbers)
		return numbers[len(numbers)/2]
	default:
		return first
	}
}
