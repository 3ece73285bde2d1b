package storm

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// outcome is what became of one world.
type outcome struct {
	breaches []breach
	used     []string
	history  string
	world    *world
}

// play runs a plan in a bubble of its own.
func play(t *testing.T, p plan, only choice) (o outcome) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, p, only)
		w.run()
		o = outcome{breaches: w.w.breaches, used: w.w.used, world: w}
		if len(o.breaches) > 0 {
			o.history = w.w.history() + w.w.log.buf.String()
		}
	})
	return o
}

// seedsInCheck are played in the whole check, and a few of them under the race detector.
const (
	seedsInCheck = 200
	seedsRaced   = 4
)

// Trouble of every kind, deaths of the process, and people who do what they like break no invariant. In the
// environment:
//
//	STORM=10m        go on so long, on all cores, with worlds of a day among the small ones
//	STORM_FIRST=500  with STORM: from this seed on; STORM_SIZE=day worlds of that size alone
//	STORM_SEED=7     play that seed alone and show its history; STORM_SIZE=day one of a day
//	STORM_ONLY=…     with a seed: only these of its acts, faults and deaths
//	STORM_QUICK=1    do not look for the shortest history of what fails
//	STORM_UNTIL=3h   with a seed: no longer than that
//	STORM_KEEP=dir   the whole history of each world that fails becomes a file there: what the scheduler decided
//	                 is not drawn from the seed, so a world may go another way when it is played again
func TestStorm(t *testing.T) {
	t.Parallel()
	switch {
	case os.Getenv("STORM_WORKER") != "":
		work(t)
	case os.Getenv("STORM_SEED") != "":
		replay(t)
	case os.Getenv("STORM") != "":
		length, err := time.ParseDuration(os.Getenv("STORM"))
		require.NoError(t, err, "STORM is a duration, as 10m")
		fleet(t, length, 0)
	case raced, testing.Short():
		for seed := range uint64(seedsRaced) {
			if text := try(t, seed+1, small, nil, false); text != "" {
				t.Error(text)
			}
		}
	default:
		fleet(t, time.Hour, seedsInCheck)
	}
}

// scales are the sizes of worlds, by what STORM_SIZE says.
var scales = map[string]scale{"": small, small.Name: small, day.Name: day}

func number(t *testing.T, name string) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(os.Getenv(name), 10, 64)
	require.NoError(t, err, name)
	return n
}

// replay shows what happens with one seed.
func replay(t *testing.T) {
	t.Helper()
	var only choice
	if ids := os.Getenv("STORM_ONLY"); ids != "" {
		only = choose(strings.Split(ids, ","))
	}
	sc, known := scales[os.Getenv("STORM_SIZE")]
	require.True(t, known, "STORM_SIZE is small or day")
	p := newPlan(number(t, "STORM_SEED"), sc)
	if until := os.Getenv("STORM_UNTIL"); until != "" {
		length, err := time.ParseDuration(until)
		require.NoError(t, err, "STORM_UNTIL is a duration, as 3h20m")
		p.until(length)
	}
	o := play(t, p, only)
	t.Log(o.world.w.history())
	r := report{Matrix: map[string]int{}}
	r.add(o.world)
	t.Logf("\n%s", r.String())
	for _, b := range o.breaches {
		t.Errorf("%s: %s", b.Kind, b.Text)
	}
}

// try plays a seed, and says what broke, as short as it can be told; quick: without looking for that.
func try(t *testing.T, seed uint64, sc scale, r *report, quick bool) string {
	t.Helper()
	p := newPlan(seed, sc)
	o := play(t, p, nil)
	if r != nil {
		r.add(o.world)
	}
	if len(o.breaches) == 0 {
		return ""
	}
	keep(t, seed, sc, o)
	text := fmt.Sprintf("seed %d, %s: %s: %s\n", seed, sc.Name, o.breaches[0].Kind, o.breaches[0].Text)
	again := fmt.Sprintf("GOMAXPROCS=1 STORM_SEED=%d STORM_SIZE=%s", seed, sc.Name)
	const command = "go test ./cmd/gmbot/storm -run '^TestStorm$' -v"
	if quick {
		return text + "again: " + again + " " + command + "\n"
	}
	short, shortest, only := shrink(t, p, o)
	if only == nil { // what the scheduler decides is not drawn from the seed
		return text + "again: " + again + " " + command + "\n" + o.world.w.about(o.breaches[0])
	}
	text += fmt.Sprintf("of %d acts, faults and deaths these %d do: %s\n", len(o.used)+len(p.Steps), len(only), only)
	return text + fmt.Sprintf("again: %s STORM_UNTIL=%s STORM_ONLY=%s %s\n%s", again, short.Scale.Length, only, command, shortest.history)
}

// keep writes down what happened in a world that failed.
func keep(t *testing.T, seed uint64, sc scale, o outcome) {
	t.Helper()
	if dir := os.Getenv("STORM_KEEP"); dir != "" {
		var b strings.Builder
		for _, one := range o.breaches {
			fmt.Fprintf(&b, "%s  %s: %s\n", one.At, one.Kind, one.Text)
		}
		path := filepath.Join(dir, fmt.Sprintf("%s-%d.txt", sc.Name, seed))
		assert.NoError(t, os.WriteFile(path, []byte(b.String()+"\n"+o.history), 0o600))
	}
}

// fleet lets a process on each core play for so long, or so many seeds where that is not 0, and gathers what
// they report. A world is played on one core: what happens then depends on its seed, and hardly on anything
// else.
func fleet(t *testing.T, length time.Duration, seeds int) {
	t.Helper()
	all := report{Matrix: map[string]int{}}
	var mu sync.Mutex
	var workers sync.WaitGroup
	dir := t.TempDir()
	for i := range runtime.NumCPU() {
		workers.Go(func() {
			path := filepath.Join(dir, strconv.Itoa(i))
			c := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestStorm$", "-test.timeout", "0")
			c.Env = append(os.Environ(), "GOMAXPROCS=1", "GOGC="+rarely, "STORM_WORKER="+strconv.Itoa(i), "STORM_REPORT="+path,
				"STORM="+length.String(), "STORM_SEEDS="+strconv.Itoa(seeds))
			out, err := c.CombinedOutput()
			mu.Lock()
			defer mu.Unlock()
			raw, missing := os.ReadFile(path)
			if missing != nil {
				t.Errorf("a worker ended without a report: %v\n%s", err, out)
				return
			}
			var one report
			if assert.NoError(t, json.Unmarshal(raw, &one)) {
				all.merge(one)
				all.Heap = append(all.Heap, one.Heap...)
			}
		})
	}
	workers.Wait()
	t.Logf("\n%s", all.String())
	for _, f := range all.Failures {
		t.Error(f)
	}
	if seeds == 0 && length >= wholeStorm {
		if empty := all.empty(); len(empty) > 0 {
			t.Errorf("no fault met these %d: %s", len(empty), strings.Join(empty, "; "))
		}
		if refuted := all.refuted(); len(refuted) > 0 {
			t.Errorf("faults met these, which are said to be out of reach: %s", strings.Join(refuted, "; "))
		}
	}
}

const (
	// wholeStorm is how long a storm is that must have met everything.
	wholeStorm = 10 * time.Minute
	// rarely is how often a worker collects garbage: its worlds are small, and so is what is left of them.
	rarely = "400"
	// daysAmong: of so many worlds in a storm one is of a day.
	daysAmong = 12
)

// work is one process of a fleet.
func work(t *testing.T) {
	t.Helper()
	length, err := time.ParseDuration(os.Getenv("STORM"))
	require.NoError(t, err)
	r := report{Matrix: map[string]int{}}
	began, before := time.Now(), runtime.NumGoroutine()
	step := uint64(runtime.NumCPU())
	first := uint64(1)
	if os.Getenv("STORM_FIRST") != "" {
		first = number(t, "STORM_FIRST")
	}
	seeds := number(t, "STORM_SEEDS")
	for seed, n := first+number(t, "STORM_WORKER"), 0; time.Since(began) < length && len(r.Failures) < failuresShown; seed, n = seed+step, n+1 {
		if seeds != 0 && seed >= first+seeds {
			break
		}
		sc := small
		if one := os.Getenv("STORM_SIZE"); one != "" {
			sc = scales[one]
		} else if seeds == 0 && n%daysAmong == daysAmong-1 {
			sc = day
		}
		if text := try(t, seed, sc, &r, os.Getenv("STORM_QUICK") != "" || len(r.Failures) >= failuresShrunk); text != "" {
			r.Failures = append(r.Failures, text)
		}
		if n%10 == 0 {
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			r.Heap = append(r.Heap, m.HeapAlloc)
		}
	}
	r.Wall, r.Left = time.Since(began), runtime.NumGoroutine()-before
	raw, err := json.Marshal(r)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(os.Getenv("STORM_REPORT"), raw, 0o600))
	for _, f := range r.Failures {
		t.Error(f)
	}
}

const (
	// failuresShown: a worker that has seen so many has seen enough.
	failuresShown = 12
	// failuresShrunk: of so many the shortest history is looked for.
	failuresShrunk = 2
)
