package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"

	"github.com/gmbot/gmbot/telegram/simulator/load"
)

type benchCommand struct {
	Loads       []load.Kind     `default:"clean,burst,paced,raid,mixed,many" help:"Loads: clean, burst, paced, raid, mixed, many."`
	Size        float64         `default:"1" help:"How many messages and people, times the usual."`
	APILatency  []time.Duration `name:"api-latency" help:"What Telegram takes for a call, for example 0s,30ms; empty: each load's own." placeholder:"0s,30ms"`
	Runs        int             `default:"1" help:"Runs of each load; the table shows the median of each figure."`
	Baseline    bool            `help:"Run a bot of the bare library in turns with this one, and show ratios."`
	Known       int             `default:"1000000" help:"Protected groups in the load many."`
	JSON        string          `name:"json" help:"File for the figures, with those of each run." placeholder:"FILE"`
	DatabaseURL string          `env:"DATABASE_URL" help:"Server for databases of the bench's own; empty: SQLite files in a temporary folder."`
	RedisURL    string          `env:"REDIS_URL" help:"Shared cache; empty: none."`
	DebugAddr   string          `env:"DEBUG_ADDR" help:"Where gmbot serves /debug/pprof while it is under load; empty: nowhere." placeholder:"ADDR"`
}

// Run is `gmbot bench`.
func (b *benchCommand) Run(ctx context.Context, out io.Writer) error {
	if b.Runs < 1 || b.Size <= 0 {
		return errors.New("--runs must be 1 or more and --size more than 0")
	}
	plan, err := b.plan()
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "gmbot-bench-")
	if err != nil {
		return fmt.Errorf("make a temporary folder: %w", err)
	}
	defer func() { _ = os.RemoveAll(folder) }()
	bench := &bench{
		stores: benchStores{DatabaseURL: b.DatabaseURL, RedisURL: b.RedisURL, folder: folder}, errOut: os.Stderr,
		bar: newProgressBar(os.Stderr), debug: b.DebugAddr, known: int(float64(b.Known) * b.Size),
	}
	report := benchReport{Version: version(), Go: runtime.Version(), CPUs: runtime.NumCPU(), At: time.Now().UTC().Truncate(time.Second)}
	table := benchTable{out: out}
	for _, spec := range plan {
		rows, err := b.row(ctx, bench, spec)
		bench.bar.clear()
		if err != nil {
			return err
		}
		report.Rows = append(report.Rows, rows...)
		table.show(rows)
	}
	table.legend()
	return errors.Join(table.err, b.save(report))
}

// plan is the loads, each with each latency.
func (b *benchCommand) plan() (plan []load.Spec, err error) {
	for _, kind := range b.Loads {
		spec, err := load.Default(kind, b.Size)
		if err != nil {
			return nil, err
		}
		latencies := b.APILatency
		if len(latencies) == 0 {
			latencies = []time.Duration{spec.Latency}
			if kind == load.Burst {
				latencies = []time.Duration{0, 30 * time.Millisecond}
			}
		}
		for _, spec.Latency = range latencies {
			plan = append(plan, spec)
		}
	}
	return plan, nil
}

// row runs one load, in turns with the bare bot, and never both at once.
func (b *benchCommand) row(ctx context.Context, bench *bench, spec load.Spec) ([]benchRow, error) {
	rows := []benchRow{{Load: spec, Bot: "gmbot"}}
	if b.Baseline {
		rows = append(rows, benchRow{Load: spec, Bot: "bare"})
	}
	for n := range b.Runs {
		for i := range rows {
			bench.bar.title(fmt.Sprintf("%s %s, %s, run %d of %d", spec.Kind, spec.Latency, rows[i].Bot, n+1, b.Runs))
			f, err := bench.run(ctx, spec, rows[i].Bot == "bare")
			if err != nil {
				return nil, fmt.Errorf("%s with %s: %w", spec.Kind, rows[i].Bot, err)
			}
			rows[i].Runs = append(rows[i].Runs, f)
		}
	}
	for i := range rows {
		rows[i].Median = median(rows[i].Runs)
	}
	if b.Baseline {
		rows[0].Ratio = compare(rows[0].Median, rows[1].Median)
	}
	return rows, nil
}

func (b *benchCommand) save(report benchReport) error {
	if b.JSON == "" {
		return nil
	}
	raw, err := json.MarshalIndent(report, "", "  ")
	if err == nil {
		err = os.WriteFile(b.JSON, append(raw, '\n'), 0o600)
	}
	if err != nil {
		return fmt.Errorf("--json: %w", err)
	}
	return nil
}

// bench runs loads, one after the other.
type bench struct {
	stores benchStores
	errOut io.Writer
	bar    *progressBar
	debug  string // where gmbot serves its profiles
	known  int    // groups, in the load many
}

// run lets one load meet one bot, both in processes of their own and new.
func (b *bench) run(ctx context.Context, spec load.Spec, bare bool) (f figures, err error) {
	spec.Reacts = spec.Reacts && !bare
	tg, said, err := startTelegram(b.errOut, spec)
	if err != nil {
		return f, err
	}
	defer tg.stop()
	began := time.Now()
	bot, err := b.start(ctx, spec, said, bare)
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, bot.end()) }()
	ready := time.Since(began)
	if err := tg.order(orderWarm); err != nil {
		return f, err
	}
	if _, err := tg.hear(b.bar.show); err != nil {
		return f, err
	}
	before, err := bot.begin(ctx)
	if err != nil {
		return f, err
	}
	telegram := tg.cpu()
	if err := tg.order(orderRun); err != nil {
		return f, err
	}
	done, err := tg.hear(b.bar.show)
	if err != nil {
		return f, err
	}
	if done.Result == nil {
		return f, errors.New("the simulated Telegram said something else than a result")
	}
	after, err := bot.finish(ctx)
	if err != nil {
		return f, err
	}
	f = reckon(*done.Result, before, after)
	f.ReadySeconds = ready.Seconds()
	f.TelegramCPUPerCall = micros(tg.cpu()-telegram) / float64(max(done.Result.AllCalls(), 1))
	return f, ctx.Err()
}

func (b *bench) start(ctx context.Context, spec load.Spec, said benchSays, bare bool) (*benchBot, error) {
	if bare {
		return startBare(b.errOut, said)
	}
	sleeping := 0
	if spec.Kind == load.Many {
		sleeping = max(b.known-spec.Groups, 0)
	}
	return b.startGMBot(ctx, said, sleeping)
}
