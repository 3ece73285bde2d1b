//go:build planted

package storm

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// plants are the faults that a build with the tag planted can have, each with the rules that say so when it is
// there; docs/reliability.md says what each is.
var plants = []struct {
	name  string
	rules []string
	world scale // where it shows
}{
	{"free without commit", []string{ruleStored}, hunted},
	{"late mute ignored", []string{ruleModerator, ruleNoRow, ruleMuted, ruleWrongRow}, belated},
	{"stale outside believed", []string{ruleStale}, hunted},
	{"429 honoured elsewhere", []string{ruleFlood}, hunted},
	{"mark not compared", []string{ruleModerator}, hunted},
	{"notice without intent", []string{ruleNotices}, hunted},
	{"press unanswered", []string{rulePress}, hunted},
	{"redelivery dropped", []string{ruleLost, ruleFree}, failing},
	{"old push believed", []string{ruleFree, ruleLost}, overtaken},
	{"unknown taken for outside", []string{ruleGuess}, hunted},
	{"seen updates forgotten", []string{ruleTwice}, warned},
}

// within is how soon each is to be found by one process on one core: what that works, not what others on the
// machine have it wait.
const within = time.Minute

// worked is how long this process has had a core.
func worked(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// Every planted fault is found, soon, and by a rule of its own: the same seed does not break that rule where
// nothing is planted. PLANTED names one to look for alone.
func TestPlanted(t *testing.T) {
	if os.Getenv("STORM_HUNT") != "" {
		hunt(t)
		return
	}
	for _, bug := range plants {
		if one := os.Getenv("PLANTED"); one != "" && one != bug.name {
			continue
		}
		t.Run(strings.ReplaceAll(bug.name, " ", "_"), func(t *testing.T) {
			first, spent := uint64(1), time.Duration(0)
			for {
				seed, took, what := hunting(t, bug.name, bug.world, bug.rules, first, within-spent, 0)
				spent += took
				require.NotEmpty(t, what, "%s is not found within %s", bug.name, within)
				if _, _, also := hunting(t, "nothing", bug.world, bug.rules, seed, within, 1); also == "" {
					t.Logf("%-28s %5.1f s, seed %d: %s", bug.name, spent.Seconds(), seed, what)
					return
				}
				first = seed + 1 // the rule does not hold without it either
			}
		})
	}
}

var found = regexp.MustCompile(`found with seed (\d+) after (\S+): (.*)`)

// hunting has a process of its own, which has the fault, play seeds until one breaks one of the rules: for so long,
// or so many where seeds is not 0. It returns the seed, how
// long that took, and what broke.
func hunting(t *testing.T, bug string, world scale, rules []string, first uint64, length time.Duration, seeds int) (seed uint64, took time.Duration, what string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*length)
	defer cancel()
	c := exec.CommandContext(ctx, os.Args[0], "-test.run", "^TestPlanted$", "-test.v")
	c.Env = append(os.Environ(), "STORM_HUNT="+strings.Join(rules, "|"), "STORM_SIZE="+world.Name, "PLANTED="+bug, "GOMAXPROCS=1", "GOGC="+rarely,
		"STORM="+length.String(), "STORM_FIRST="+strconv.FormatUint(first, 10), "STORM_SEEDS="+strconv.Itoa(seeds))
	out, _ := c.CombinedOutput()
	m := found.FindSubmatch(out)
	if m == nil {
		return 0, length, ""
	}
	seed, _ = strconv.ParseUint(string(m[1]), 10, 64)
	took, _ = time.ParseDuration(string(m[2]))
	return seed, took, string(m[3])
}

// Small worlds with more deaths, each with more of what brings a certain fault to light.
var (
	hunted = scale{}.with("hunted", func(s *scale) {
		*s = scale{Name: "hunted", Cells: 1, People: 8, Acts: 20, Length: 18 * time.Minute, Deaths: 12, Trouble: 0.3, Gales: 2, Delayed: 0.06, Fails: 60}
	})
	belated   = hunted.with("belated", func(s *scale) { s.Late, s.Trouble, s.Hasty = 0.7, 0.4, true })
	failing   = hunted.with("failing", func(s *scale) { s.Fails = 5 })
	warned    = hunted.with("warned", func(s *scale) { s.Home, s.Hooks, s.Deaths = groupsInCell, true, 40 })
	overtaken = hunted.with("overtaken", func(s *scale) { s.Delayed, s.Trouble = 0.4, 0.1 })
)

func (sc scale) with(name string, change func(*scale)) scale {
	sc.Name = name
	change(&sc)
	scales[name] = sc
	return sc
}

// hunt plays seeds until one breaks a rule that it looks for.
func hunt(t *testing.T) {
	t.Helper()
	length, err := time.ParseDuration(os.Getenv("STORM"))
	require.NoError(t, err)
	rules := strings.Split(os.Getenv("STORM_HUNT"), "|")
	first, seeds := number(t, "STORM_FIRST"), number(t, "STORM_SEEDS")
	sc := scales[os.Getenv("STORM_SIZE")]
	for seed := first; worked(t) < length && (seeds == 0 || seed < first+seeds); seed++ {
		o := play(t, newPlan(seed, sc), nil)
		if i := slices.IndexFunc(o.breaches, func(b breach) bool { return slices.Contains(rules, b.Kind) }); i >= 0 {
			fmt.Printf("found with seed %d after %s: %s: %s\n", seed, worked(t), o.breaches[i].Kind, o.breaches[i].Text)
			return
		}
	}
}
