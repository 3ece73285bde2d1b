package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/persistence/pgtest"
	"github.com/gmbot/gmbot/persistence/stalltest"
	"github.com/gmbot/gmbot/telegram/simulator"
)

// away is a town whose database can be taken away.
type away struct {
	*town
	server *pgtest.Server
	url    string
	file   string // the journal
}

func startAway(t *testing.T) (*away, *program) {
	t.Helper()
	a := &away{town: startTown(t, simulator.Options{}), server: pgtest.Start(t), file: filepath.Join(t.TempDir(), "kept")}
	a.url = a.server.Database(t)
	p := a.run(t)
	a.protect(t)
	// Boris is in the channel and known to be.
	require.NoError(t, a.Join(a.channel, a.boris))
	a.write(t, a.boris, "hello")
	a.settled(t)
	return a, p
}

func (a *away) run(t *testing.T) *program {
	t.Helper()
	return runOn(t, a.town, a.url, "JOURNAL_FILE="+a.file)
}

// busy has a known member write n messages.
func (a *away) busy(t *testing.T, n int) {
	t.Helper()
	for range n {
		a.write(t, a.boris, "chatting on")
	}
}

func TestE2E_TheDatabaseIsAwayForTenThousandUpdates(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		take, give func(t *testing.T, a *away)
	}{
		"stopped": {
			func(_ *testing.T, a *away) { a.server.Kill() },
			func(t *testing.T, a *away) { t.Helper(); a.server.Run(t) },
		},
		"frozen": {
			func(_ *testing.T, a *away) { a.server.Freeze() },
			func(_ *testing.T, a *away) { a.server.Thaw() },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, p := startAway(t)
			c.take(t, a)
			id := a.write(t, a.anna, "coins")
			a.busy(t, 5000)
			carl := a.NewUser("Carl", "")
			require.NoError(t, a.Join(a.group, carl))
			a.busy(t, 5000)
			began := time.Now()
			eventually(t, time.Minute, "all updates are taken although the database is away", func() bool { return a.Pending(a.bot.ID) == 0 })
			t.Logf("10,000 updates taken in %s", time.Since(began).Round(time.Millisecond))
			a.until(t, "the stranger is muted although the database is away", func() bool { return a.gone(id)() && a.muted(a.anna)() })
			_, metrics := p.get("/metrics")
			assert.Contains(t, metrics, "gmbot_store_away 1")
			assert.NotContains(t, metrics, "gmbot_journal_changes 0\n", "which stands in the journal")
			a.whileAway(t)
			c.give(t, a)
			a.until(t, "the violation is dealt with", func() bool { return a.muted(carl)() })
			eventually(t, 10*time.Second, "back to normal", func() bool {
				_, metrics := p.get("/metrics")
				return strings.Contains(metrics, "gmbot_store_away 0") && strings.Contains(metrics, "gmbot_journal_changes 0\n") && strings.Contains(metrics, "gmbot_journal_updates 0\n")
			})
			a.until(t, "who joined meanwhile is free", a.free(a.anna))
			assert.Equal(t, 1, a.mutes(a.anna))
			assert.Equal(t, 1, a.mutes(carl))
			require.NoError(t, a.Join(a.channel, carl))
			a.until(t, "and joining frees as ever", a.free(carl))
		})
	}
}

// whileAway has people press and join although nothing can be stored; none of it may wait for the database.
func (a *away) whileAway(t *testing.T) {
	t.Helper()
	a.until(t, "the notice shows the way", a.has(a.group, notice))
	shown, _ := a.find(a.group, notice)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	press := func(who int64) string {
		var answer simulator.Answer
		var err error
		took := stalltest.Took(func() { answer, err = a.Press(ctx, a.group, shown.ID, who, buttonData(shown.ReplyMarkup)[0]) })
		require.NoError(t, err, "a press is answered")
		assert.Less(t, took, 2*time.Second)
		return answer.Text
	}
	assert.Contains(t, press(a.anna), "News", "who is muted hears what is missing")
	require.NoError(t, a.Join(a.channel, a.anna))
	a.until(t, "joining frees at once", a.free(a.anna))
}

func TestE2E_TheDatabaseIsAwayAtTheStart(t *testing.T) {
	t.Parallel()
	w := startTown(t, simulator.Options{})
	server := pgtest.Start(t)
	url := server.Database(t)
	server.Kill()
	p := launch(t, []string{"run"}, runArgs(w, url)...)
	eventually(t, 10*time.Second, "it waits, and says what for", func() bool {
		code, why := p.get("/ready")
		return code == http.StatusServiceUnavailable && strings.Contains(why, "the database is away")
	})
	other := launch(t, []string{"run"}, runArgs(w, url)...)
	eventually(t, 10*time.Second, "so does another", func() bool { _, why := other.get("/ready"); return strings.Contains(why, "the database is away") })
	assert.Zero(t, other.terminate(), "which ends in order when it is told to")
	server.Run(t)
	p.waitReady()
	assert.Equal(t, 1, strings.Count(p.log.String(), "trying again"), "one line")
	w.protect(t)
	assert.Zero(t, p.terminate())
}

func TestE2E_KilledWhileTheDatabaseIsAway(t *testing.T) {
	t.Parallel()
	a, p := startAway(t)
	a.server.Kill()
	id := a.write(t, a.anna, "coins")
	a.busy(t, 300)
	a.until(t, "muted, and shown the way", func() bool { return a.gone(id)() && a.muted(a.anna)() && a.has(a.group, notice)() })
	eventually(t, 30*time.Second, "taken and kept", func() bool { return a.Pending(a.bot.ID) == 0 })
	// The notice's id is kept when its answer is in, just after it is to be seen; a kill between the two is another test.
	shown, _ := a.find(a.group, notice)
	eventually(t, 30*time.Second, "the notice's id is kept", func() bool {
		kept, err := os.ReadFile(a.file + ".rows")
		require.NoError(t, err)
		return strings.Contains(string(kept), fmt.Sprintf(`"MessageID":%d`, shown.ID))
	})
	p.kill()
	a.server.Run(t)
	a.run(t)
	a.until(t, "what was kept is judged by the next program", func() bool { return a.gone(id)() && a.muted(a.anna)() })
	a.settled(t)
	assert.Equal(t, 1, a.mutes(a.anna))
	require.NoError(t, a.Join(a.channel, a.anna))
	a.until(t, "the next program knows the mute as its own", a.free(a.anna))
	a.until(t, "and the notice", func() bool { return !a.has(a.group, notice)() })
}
