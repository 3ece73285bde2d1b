package simulator_test

import (
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/telegram/simulator"
)

const displaced = "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"

// result is what a poll that ran aside came to, and after how long.
type result struct {
	answer

	took time.Duration
}

func (r result) updates() (n int) {
	var list []any
	_ = json.Unmarshal(r.Result, &list)
	return len(list)
}

// poll runs getUpdates aside and returns when it waits or is done.
func (b *box) poll(p object) <-chan result {
	c := make(chan result, 1)
	began := time.Now()
	go func() {
		a := b.call("getUpdates", p)
		c <- result{a, time.Since(began)}
	}()
	synctest.Wait()
	return c
}

// bubble runs a test in virtual time.
func bubble(t *testing.T, switches simulator.Switches, f func(t *testing.T, b *box)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, inBubble(t, switches)) })
}

// A poll waits for its timeout, at most 50 seconds. Source: Bot API server, Client.cpp.
func TestS1_PollWaits(t *testing.T) {
	t.Parallel()
	for timeout, want := range map[int]time.Duration{0: 0, -4: 0, 1: time.Second, 50: 50 * time.Second, 99: 50 * time.Second} {
		bubble(t, simulator.Switches{}, func(t *testing.T, b *box) {
			r := <-b.poll(object{"timeout": timeout})
			assert.Equal(t, want, r.took, "timeout %d", timeout)
			assert.JSONEq(t, `[]`, string(r.Result))
		})
	}
}

// An update ends the wait at once, and is there when the wait is over. Source: Bot API server, Client.cpp.
func TestS1_PollWakes(t *testing.T) {
	t.Parallel()
	bubble(t, simulator.Switches{}, func(t *testing.T, b *box) {
		waiting := b.poll(object{"timeout": 30})
		time.Sleep(7 * time.Second)
		assert.Empty(t, waiting)
		require.NoError(t, b.Start(b.anna, b.bot.ID))
		r := <-waiting
		assert.Equal(t, 7*time.Second, r.took)
		assert.Equal(t, 1, r.updates())

		r = <-b.poll(object{"timeout": 30})
		assert.Zero(t, r.took, "something is pending")
		assert.Equal(t, 1, r.updates())
	})
}

// Other things that happen do not end it.
func TestS1_PollSleepsThroughTheRest(t *testing.T) {
	t.Parallel()
	bubble(t, simulator.Switches{}, func(t *testing.T, b *box) {
		waiting := b.poll(object{"timeout": 30})
		b.NewBot("other_bot")
		require.NoError(t, b.Join(b.NewSupergroup("Elsewhere", "", b.olga), b.anna))
		b.good("getMe", nil)
		r := <-waiting
		assert.Equal(t, 30*time.Second, r.took)
		assert.Zero(t, r.updates())
	})
}

// The older of two waiting polls is ended by the newer. Source: Bot API server, Client.cpp
// (abort_long_poll).
func TestS1_OlderPollIsDisplaced(t *testing.T) {
	t.Parallel()
	bubble(t, simulator.Switches{}, func(t *testing.T, b *box) {
		older := b.poll(object{"timeout": 30})
		time.Sleep(time.Second)
		newer := b.poll(object{"timeout": 30, "offset": 5})
		r := <-older
		assert.Equal(t, 409, r.status)
		assert.Equal(t, displaced, r.Description)
		assert.Equal(t, time.Second, r.took)
		require.NoError(t, b.Start(b.anna, b.bot.ID))
		assert.Equal(t, 1, (<-newer).updates())
	})
}

// There is no conflict where the newer does not wait: its timeout is 0, or something is pending. Source:
// Bot API server, Client.cpp (do_get_updates).
func TestS1_NoConflictWithoutWaiting(t *testing.T) {
	t.Parallel()
	bubble(t, simulator.Switches{}, func(t *testing.T, b *box) {
		older := b.poll(object{"timeout": 30})
		newer := <-b.poll(object{"timeout": 0, "offset": 5})
		assert.True(t, newer.OK)
		assert.Zero(t, newer.took)
		require.NoError(t, b.Start(b.anna, b.bot.ID))
		assert.Equal(t, 1, (<-older).updates())

		for range 4 { // pollers share a queue that is never empty, and nobody is told
			for _, offset := range []int{0, 1} {
				assert.Equal(t, 1, (<-b.poll(object{"timeout": 30, "offset": offset})).updates())
			}
		}
	})
}

// Bots do not end each other's polls.
func TestS1_ConflictIsWithinABot(t *testing.T) {
	t.Parallel()
	bubble(t, simulator.Switches{}, func(t *testing.T, b *box) {
		other := b.NewBot("other_bot")
		waiting := b.poll(object{"timeout": 10})
		assert.True(t, b.as(other.Token, "getUpdates", object{"timeout": 5}).OK)
		assert.True(t, (<-waiting).OK)
	})
}

// A conflict within three seconds of another is told three seconds late. Source: Bot API server,
// Client.cpp (fail_query_conflict).
func TestS1_SecondConflictIsLate(t *testing.T) {
	t.Parallel()
	for off, late := range map[bool]time.Duration{false: 3 * time.Second, true: 0} {
		bubble(t, simulator.Switches{NoConflictWait: off}, func(t *testing.T, b *box) {
			first := b.poll(object{"timeout": 50})
			second := b.poll(object{"timeout": 50, "offset": 5})
			assert.Zero(t, (<-first).took, "at once")
			time.Sleep(2 * time.Second)
			third := b.poll(object{"timeout": 50, "offset": 6})
			r := <-second
			assert.Equal(t, displaced, r.Description)
			assert.Equal(t, 2*time.Second+late, r.took)
			time.Sleep(10 * time.Second)
			fourth := b.poll(object{"timeout": 1, "offset": 7})
			r = <-third
			assert.Equal(t, displaced, r.Description)
			assert.Equal(t, 10*time.Second+late, r.took, "long after the last, at once again")
			<-fourth
		})
	}
}

// The same holds for a conflict with a webhook. Source: Bot API server, Client.cpp (fail_query_conflict).
func TestS1_SecondWebhookConflictIsLate(t *testing.T) {
	t.Parallel()
	bubble(t, simulator.Switches{}, func(t *testing.T, b *box) {
		b.good("setWebhook", object{"url": "https://example.invalid/"})
		for i, want := range []time.Duration{0, 3 * time.Second, 0} {
			r := <-b.poll(object{"timeout": 20})
			assert.Equal(t, 409, r.status)
			assert.Equal(t, want, r.took, "conflict %d", i)
		}
	})
}

// A poll that repeats its offset within half a second gets one update. Source: Bot API server, Client.cpp
// (process_get_updates_query).
func TestS1_HotRepetitionGetsOneUpdate(t *testing.T) {
	t.Parallel()
	for off, hot := range map[bool]int{false: 1, true: 3} {
		bubble(t, simulator.Switches{NoLimitOne: off}, func(t *testing.T, b *box) {
			for range 3 {
				b.PushRaw(b.bot.ID, json.RawMessage(`{}`))
			}
			for i, c := range []struct {
				pause  time.Duration
				offset int
				want   int
			}{
				{0, 0, 3}, // the first
				{499 * time.Millisecond, 0, hot},
				{499 * time.Millisecond, 0, hot},
				{500 * time.Millisecond, 0, 3},
				{0, 1, 3}, // another offset
				{0, 0, 3},
				{0, 0, hot},
			} {
				time.Sleep(c.pause)
				assert.Len(t, b.updates(object{"offset": c.offset}), c.want, "poll %d, switch %v", i, off)
			}
		})
	}
}

// A poll that repeats its offset within three seconds waits for at least three. Source: Bot API server,
// Client.cpp (process_get_updates_query).
func TestS1_SoonRepetitionWaits(t *testing.T) {
	t.Parallel()
	for off, least := range map[bool]time.Duration{false: 3 * time.Second, true: 0} {
		bubble(t, simulator.Switches{NoRepeatWait: off}, func(t *testing.T, b *box) {
			for i, c := range []struct {
				pause   time.Duration
				offset  int
				timeout time.Duration
				want    time.Duration
			}{
				{0, 0, 0, 0}, // the first
				{2999 * time.Millisecond, 0, 0, least},
				{2 * time.Second, 0, 2 * time.Second, 2 * time.Second}, // the one before began five seconds ago
				{0, 0, 2 * time.Second, max(least, 2*time.Second)},
				{0, 1, 0, 0}, // another offset
				{0, 1, 5 * time.Second, 5 * time.Second},
				{0, 1, 0, 0},
			} {
				time.Sleep(c.pause)
				r := <-b.poll(object{"offset": c.offset, "timeout": int(c.timeout.Seconds())})
				assert.Equal(t, c.want, r.took, "poll %d, switch %v", i, off)
			}
		})
	}
}
