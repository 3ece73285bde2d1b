package main

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/gmbot/gmbot/actors"
	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/persistence/redistest"
	"github.com/gmbot/gmbot/telegram/simulator"
)

// warmTown has two protected groups, both with the channel and the second with another one, and people who were
// seen in the first, in the second, and in both.
type warmTown struct {
	*town
	db            string
	other, club   int64
	first, second []int64 // who was seen where
}

func startWarmTown(t *testing.T, people int) *warmTown {
	t.Helper()
	w := &warmTown{town: startTown(t, simulator.Options{}), db: newDB(t)}
	w.other = w.NewChannel("Club", "club_here", w.olga)
	require.NoError(t, w.Promote(w.other, w.olga, w.bot.ID, simulator.Rights("can_invite_users")))
	w.club = w.NewSupergroup("Club talk", "", w.olga)
	for i := range people {
		user := w.NewUser(fmt.Sprintf("Person %d", i), "")
		if i%2 == 0 {
			require.NoError(t, w.Join(w.channel, user))
		}
		if i < 2*people/3 {
			w.first = append(w.first, user)
		}
		if i >= people/3 {
			w.second = append(w.second, user)
		}
	}
	store, err := persistence.Open(t.Context(), "sqlite://"+w.db, persistence.Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close()) }()
	news, club := persistence.Channel{ID: w.channel, Title: "News"}, persistence.Channel{ID: w.other, Title: "Club"}
	require.NoError(t, store.Update(t.Context(), func(tx persistence.Tx) error {
		for group, channels := range map[int64][]persistence.Channel{w.group: {news}, w.club: {news, club}} {
			g := persistence.Group{ID: group, OwnerID: w.olga, Title: "Talk", Enabled: true, Channels: channels}
			if _, err := tx.SaveGroup(g, persistence.Owner{ID: w.olga}); err != nil {
				return err
			}
		}
		for group, seen := range map[int64][]int64{w.group: w.first, w.club: w.second} {
			for _, user := range seen {
				if err := tx.SawMember(group, user, time.Now()); err != nil {
					return err
				}
			}
		}
		return nil
	}))
	return w
}

func (w *warmTown) warm(t *testing.T, redis string, args ...string) *program {
	t.Helper()
	return launch(t, append([]string{"warm"}, args...), "BOT_TOKEN="+w.bot.Token, "TELEGRAM_API_URL="+w.url,
		"DATABASE_URL=sqlite://"+w.db, "REDIS_URL="+redis)
}

func (w *warmTown) asked() int { return len(w.CallsOf("getChatMember")) }

// due is the questions that belong to a channel and people, each once.
func (w *warmTown) due(channel int64, people ...[]int64) map[string]int {
	due := map[string]int{}
	for _, some := range people {
		for _, user := range some {
			due[fmt.Sprintf("%d %d", channel, user)] = 1
		}
	}
	return due
}

func (w *warmTown) everybodyOnce(t *testing.T, due ...map[string]int) {
	t.Helper()
	want, got := map[string]int{}, map[string]int{}
	for _, some := range due {
		maps.Copy(want, some)
	}
	for _, c := range w.CallsOf("getChatMember") {
		got[fmt.Sprintf("%v %v", c.Params["chat_id"], c.Params["user_id"])]++
	}
	require.Equal(t, want, got, "everybody once")
}

func TestE2E_Warm(t *testing.T) {
	t.Parallel()
	for _, scope := range []string{"group", "all"} {
		t.Run(scope, func(t *testing.T) {
			t.Parallel()
			w, server := startWarmTown(t, 150), redistest.Start(t)
			which, total := fmt.Sprintf("--group=%d", w.group), 100
			due := []map[string]int{w.due(w.channel, w.first)}
			if scope == "all" {
				which, total = "--all", 150+100
				due = []map[string]int{w.due(w.channel, w.first, w.second), w.due(w.other, w.second)}
			}
			p := w.warm(t, server.URL(), which, "--per-second=5") // all would take 20 s at least
			w.until(t, "some are asked about", func() bool { return w.asked() >= 6 })
			require.NoError(t, p.cmd.Process.Signal(syscall.SIGINT))
			require.Zero(t, p.waitEnd(8*time.Second))
			stopped := w.asked()
			require.Less(t, stopped, total)
			assert.Contains(t, p.log.String(), fmt.Sprintf("stopped; %d of %d memberships: asked about %d,", stopped, total, stopped))

			// What was believed may have ended by now: who is passed stays passed.
			server.Forget(fmt.Sprintf("gmbot:%d:m:*", w.bot.ID))
			p = w.warm(t, server.URL(), which, "--per-second=1000")
			require.Zero(t, p.waitEnd(20*time.Second))
			assert.Contains(t, p.log.String(), fmt.Sprintf("going on after %d of %d memberships", stopped, total))
			assert.Contains(t, p.log.String(), fmt.Sprintf("%d of %d memberships: asked about %d, known before 0, no answer 0\n", total, total, total-stopped))
			w.everybodyOnce(t, due...)
			assert.Len(t, server.Keys(fmt.Sprintf("gmbot:%d:m:*", w.bot.ID)), total-stopped, "the cache has what the second run asked")

			// A whole run leaves no place to go on from: the next one begins with those whom the cache does not know.
			p = w.warm(t, server.URL(), which, "--per-second=1000")
			require.Zero(t, p.waitEnd(20*time.Second))
			assert.Contains(t, p.log.String(), fmt.Sprintf("asked about %d, known before %d,", stopped, total-stopped))
			assert.Equal(t, total+stopped, w.asked())
		})
	}
}

// On a terminal there is a bar, and Ctrl-C is what its driver makes a signal of.
func TestE2E_WarmOnATerminal(t *testing.T) {
	t.Parallel()
	w, server := startWarmTown(t, 30), redistest.Start(t)
	path, err := binary()
	require.NoError(t, err)
	keyboard, screen := openTerminal(t)
	cmd := exec.CommandContext(t.Context(), path, "warm", "--all", "--per-second=3") // all would take 16 s at least
	cmd.Env = []string{"BOT_TOKEN=" + w.bot.Token, "TELEGRAM_API_URL=" + w.url, "DATABASE_URL=sqlite://" + w.db, "REDIS_URL=" + server.URL()}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = screen, screen, screen
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	require.NoError(t, cmd.Start())
	require.NoError(t, screen.Close())
	shown, read := &logs{}, make(chan struct{})
	go func() {
		defer close(read)
		_, _ = io.Copy(shown, keyboard) // ends with an error when the program has closed the other side
	}()
	eventually(t, 20*time.Second, "the bar shows how long it takes", func() bool { return regexp.MustCompile(`█░.*s left`).MatchString(shown.String()) })
	_, err = keyboard.WriteString("\x03")
	require.NoError(t, err)
	require.NoError(t, cmd.Wait(), "status 0")
	<-read
	assert.Regexp(t, `█░+ +\d+ %  \d+ of 50 memberships, about \d+s left`, shown.String())
	assert.Regexp(t, `\r\x1b\[Kstopped; \d+ of 50 memberships: asked about \d+, .*; the same command goes on from here\r\n$`, shown.String())
}

// openTerminal makes a pair of devices of which the second is a terminal.
func openTerminal(t *testing.T) (keyboard, screen *os.File) {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = keyboard.Close() })
	fd := int(keyboard.Fd())
	require.NoError(t, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	require.NoError(t, err)
	screen, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	require.NoError(t, err)
	return keyboard, screen
}

// A place outlives a kill; --anew does not ask for it, and passes over whom the cache knows.
func TestE2E_WarmKilled(t *testing.T) {
	t.Parallel()
	w, server := startWarmTown(t, 150), redistest.Start(t)
	p := w.warm(t, server.URL(), "--all", "--per-second=20") // all would take 12 s at least
	w.until(t, "some are asked about", func() bool { return w.asked() >= 10 })
	p.kill()
	stopped := w.asked()
	p = w.warm(t, server.URL(), "--all", "--per-second=10")
	w.until(t, "it goes on", func() bool { return w.asked() >= stopped+3 })
	require.Zero(t, p.terminate())
	// Only the question whose answer the kill cut off may have been asked twice.
	require.Regexp(t, fmt.Sprintf("going on after (%d|%d) of 250 memberships", stopped-1, stopped), p.log.String())
	known := len(server.Keys(fmt.Sprintf("gmbot:%d:m:*", w.bot.ID)))
	p = w.warm(t, server.URL(), "--all", "--anew", "--per-second=1000")
	require.Zero(t, p.waitEnd(20*time.Second))
	assert.NotContains(t, p.log.String(), "going on")
	assert.Contains(t, p.log.String(), fmt.Sprintf("250 of 250 memberships: asked about %d, known before %d, no answer 0\n", 250-known, known))
}

// A channel that Telegram says nothing about five times in a row is left out.
func TestE2E_WarmLeavesOutAChannelWithoutAnswers(t *testing.T) {
	t.Parallel()
	w, server := startWarmTown(t, 30), redistest.Start(t)
	w.Fail(simulator.Fault{Kind: simulator.FaultError, Method: "getChatMember", Status: 500, Description: "Internal Server Error"})
	p := w.warm(t, server.URL(), "--all", "--per-second=1000")
	require.Zero(t, p.waitEnd(20*time.Second))
	assert.Contains(t, p.log.String(), "50 of 50 memberships: asked about 10, known before 0, no answer 10, left out as their channel gives no answer 40\n")
	assert.Empty(t, server.Keys(fmt.Sprintf("gmbot:%d:m:*", w.bot.ID)), "nothing is known from that")
}

func TestE2E_WarmSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	w, server := startWarmTown(t, 3), redistest.Start(t)
	for want, args := range map[string][]string{
		"say which: --group ID, or --all": nil,
		"is no group that is protected":   {"--group=-7"},
		"--per-second":                    {"--all", "--per-second=0"},
	} {
		p := w.warm(t, server.URL(), args...)
		assert.Equal(t, 1, p.waitEnd(20*time.Second))
		assert.Contains(t, p.log.String(), want)
	}
	// Nobody was seen within so short a time.
	p := w.warm(t, server.URL(), "--all", "--seen-within=1ns")
	require.Zero(t, p.waitEnd(20*time.Second))
	assert.Contains(t, p.log.String(), "0 of 0 memberships")
	assert.Zero(t, w.asked())
}

func TestWarm_SaysHowFarAndHowLong(t *testing.T) {
	t.Parallel()
	now := time.Now()
	run := func(bar *progressBar) string {
		var out bytes.Buffer
		r := newWarmReport(&out, os.Stderr)
		r.now, r.bar = func() time.Time { return now }, bar
		r.show(actors.Warmed{Total: 100, Done: 20, Before: 20})
		for done := 21; done <= 40; done++ { // four in a second
			now = now.Add(250 * time.Millisecond)
			r.show(actors.Warmed{Total: 100, Done: done, Before: 20, Asked: done - 20})
		}
		require.NoError(t, r.end(actors.Warmed{Total: 100, Done: 40, Before: 20, Asked: 20}, nil))
		return out.String()
	}
	assert.Equal(t, `going on after 20 of 100 memberships, where an earlier run ended
40 of 100 memberships: asked about 20, known before 0, no answer 0, about 15s left
40 of 100 memberships: asked about 20, known before 0, no answer 0
`, run(nil))
	var drawn bytes.Buffer
	assert.Equal(t, 2, strings.Count(run(&progressBar{out: &drawn}), "\n"), "no lines beside the bar")
	assert.Contains(t, drawn.String(), "█████████░░░░░░░░░░░░░░░░░░░░░  30 %  30 of 100 memberships, about 18s left")
	assert.True(t, strings.HasSuffix(drawn.String(), "\r\x1b[K"), "and the bar goes")
}
