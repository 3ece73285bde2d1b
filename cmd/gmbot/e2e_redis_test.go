package main

import (
	"fmt"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/persistence/redistest"
	"github.com/gmbot/gmbot/telegram/simulator"
)

// askedAbout counts how often Telegram was asked for people in a chat.
func (w *town) askedAbout(chat int64, people ...int64) (n int) {
	for _, c := range w.CallsOf("getChatMember") {
		if fmt.Sprint(c.Params["chat_id"]) != fmt.Sprint(chat) {
			continue
		}
		for _, who := range people {
			if fmt.Sprint(c.Params["user_id"]) == fmt.Sprint(who) {
				n++
			}
		}
	}
	return n
}

var fromRedis = regexp.MustCompile(`(?m)^gmbot_membership_lookups_total{source="redis",verdict="INSIDE"} (\d+)$`)

// redis tells whether the program uses Redis (1), or does not (0).
func (p *program) redis(up int) func() bool {
	return func() bool {
		_, metrics := p.get("/metrics")
		return contains(metrics, fmt.Sprintf("gmbot_redis_up %d", up))
	}
}

func TestE2E_TheNextProgramKnowsWhatTheLastOneLearned(t *testing.T) {
	t.Parallel()
	w := startTown(t, simulator.Options{})
	server := redistest.Start(t)
	db := newDB(t)
	p := runOn(t, w, db, "REDIS_URL="+server.URL())
	w.protect(t)
	var known []int64
	for i := range 10 {
		who := w.NewUser(fmt.Sprint("Person ", i), "")
		require.NoError(t, w.Join(w.channel, who))
		require.NoError(t, w.Join(w.group, who))
		w.write(t, who, "hello")
		known = append(known, who)
	}
	w.settled(t)
	// The cache is written without waiting, and the kill must not come before.
	for _, who := range known {
		eventually(t, 10*time.Second, "Redis has it", func() bool {
			return len(server.Keys(fmt.Sprintf("*%d:%d", w.channel, who))) == 1
		})
	}
	p.kill()
	asked := w.askedAbout(w.channel, known...)
	p = runOn(t, w, db, "REDIS_URL="+server.URL())
	eventually(t, 10*time.Second, "Redis is used", p.redis(1))
	// Nobody waits for Redis for long: where the machine is busy just then, Telegram is asked instead.
	looked := func() (redis, telegram int) {
		_, metrics := p.get("/metrics")
		if m := fromRedis.FindStringSubmatch(metrics); m != nil {
			redis, _ = strconv.Atoi(m[1])
		}
		return redis, w.askedAbout(w.channel, known...) - asked
	}
	for i, who := range known {
		w.write(t, who, "hello again")
		eventually(t, 20*time.Second, "Redis answers, or Telegram is asked", func() bool {
			redis, telegram := looked()
			return redis+telegram > i
		})
	}
	w.settled(t)
	redis, telegram := looked()
	assert.Positive(t, redis, "Redis knows")
	assert.Equal(t, len(known), redis+telegram, "and whom it knows Telegram is not asked about again")

	// Without it the gate goes on.
	server.Freeze()
	id := w.write(t, w.anna, "coins")
	w.until(t, "a stranger is muted", func() bool { return w.gone(id)() && w.muted(w.anna)() })
	require.NoError(t, w.Join(w.channel, w.anna))
	w.until(t, "and freed", w.free(w.anna))
	eventually(t, 10*time.Second, "the gauge shows it", p.redis(0))
	server.Thaw()
	eventually(t, 5*time.Second, "it is used again", p.redis(1))
	assert.Zero(t, p.terminate())
}
