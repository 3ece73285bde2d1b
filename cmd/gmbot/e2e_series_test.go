package main

import (
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/telegram/simulator"
)

// However many people come, the number of series stays, and a scrape each five seconds costs less than a
// hundredth of a core.
func TestE2E_SeriesDoNotGrowAndScrapesAreCheap(t *testing.T) {
	t.Parallel()
	w := startTown(t, simulator.Options{})
	p := launchOf(t, plain, []string{"run"}, "BOT_TOKEN="+w.bot.Token, "TELEGRAM_API_URL="+w.url, "DATABASE_URL=sqlite://"+newDB(t))
	p.waitReady()
	w.protect(t)
	comers := func(n int) {
		t.Helper()
		for range n {
			user := w.NewUser("Somebody", "")
			require.NoError(t, w.Join(w.group, user))
			w.until(t, "a stranger is muted", w.muted(user))
			require.NoError(t, w.Join(w.channel, user))
			w.until(t, "who joined is free", w.free(user))
			w.write(t, user, "hello")
		}
		w.settled(t)
	}
	series := func() int {
		t.Helper()
		_, scraped := p.get("/metrics")
		return len(sampleLine.FindAllString(scraped, -1))
	}
	comers(5)
	few := series()
	comers(40)
	many := series()
	t.Logf("%d series after 5 people, %d after 45", few, many)
	// A method, an outcome or a reason that was not met before may appear; a label that holds a person brings 40.
	assert.Less(t, many-few, 40)

	used := func() float64 {
		t.Helper()
		_, scraped := p.get("/metrics")
		m := regexp.MustCompile(`(?m)^gmbot_process_cpu_seconds_total (\S+)$`).FindStringSubmatch(scraped)
		require.NotNil(t, m)
		seconds, err := strconv.ParseFloat(strings.TrimSpace(m[1]), 64)
		require.NoError(t, err)
		return seconds
	}
	before, scrapes := used(), 50
	for range scrapes {
		p.get("/metrics")
	}
	each := (used() - before) / float64(scrapes+1)
	t.Logf("a scrape of %d series takes %.1f ms of a core", many, each*1000)
	assert.Less(t, each/5, 0.01)
}
