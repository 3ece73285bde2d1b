package telegram

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gmbot/gmbot/protos"
)

// Trouble is told in words of what to do, and answered by waiting.
func TestSource_Trouble(t *testing.T) {
	t.Parallel()
	const hook = "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"
	for name, c := range map[string]struct {
		err         error
		words       string
		least, most int // polls in a minute
	}{
		"network":  {fromNetwork("getUpdates", errors.New("EOF at "+aToken)), "Telegram does not answer polls", 6, 12},
		"any":      {errors.New("EOF at " + aToken), "Telegram does not answer polls", 6, 12},
		"5xx":      {fromTelegram("getUpdates", 502, "Bad Gateway", 0, 0), "Telegram does not answer polls", 6, 12},
		"two":      {fromTelegram("getUpdates", 409, "Conflict: terminated by other getUpdates request", 0, 0), "another program polls", 4, 9},
		"webhook":  {fromTelegram("getUpdates", 409, hook, 0, 0), "a webhook is set", 4, 9},
		"token":    {fromTelegram("getUpdates", 401, "Unauthorized", 0, 0), "refuses BOT_TOKEN", 1, 2},
		"no token": {fromTelegram("getUpdates", 404, "Not Found", 0, 0), "refuses BOT_TOKEN", 1, 2},
		"flood":    {fromTelegram("getUpdates", 429, "Too Many Requests: retry after 20", 20, 0), "asks for a pause", 3, 4},
	} {
		inBox(t, func(b *box) { b.trouble = func(int) error { return c.err } }, func(b *box) {
			taking, why := b.src.Taking()
			assert.False(t, taking, name)
			assert.Contains(t, why, c.words, name)
			b.pass(time.Minute - time.Millisecond)
			assert.GreaterOrEqual(t, len(b.polls), c.least, name)
			assert.LessOrEqual(t, len(b.polls), c.most, name)
			assert.Equal(t, 1, b.said(c.words), "%s: said once a minute", name)
			for i, p := range b.polls {
				assert.Zero(t, p.timeout, "%s: whether it is over is asked at once", name)
				if i > 0 {
					assert.GreaterOrEqual(t, p.at-b.polls[i-1].at, retryFirst, name)
				}
			}
			b.trouble = nil
			b.pass(75 * time.Second)
			taking, why = b.src.Taking()
			assert.True(t, taking, name)
			assert.Empty(t, why, name)
			assert.Equal(t, 1, b.said("answers polls again"), name)
			assert.Equal(t, pollSeconds, b.polls[len(b.polls)-1].timeout, name)
			assert.NotContains(t, b.log.String(), secret, name)
			b.arrive(write(10, -1))
			assert.Equal(t, []string{"10.1"}, b.order(), name)
		})
	}
}

// Trouble that lasts is said again, and the wait does not grow past its limit and its jitter.
func TestSource_TroubleThatLasts(t *testing.T) {
	t.Parallel()
	inBox(t, func(b *box) { b.trouble = func(int) error { return errors.New("EOF") } }, func(b *box) {
		b.pass(time.Hour)
		assert.InDelta(t, 55, b.said("does not answer polls"), 10)
		for i := range b.polls[1:] {
			assert.LessOrEqual(t, b.polls[i+1].at-b.polls[i].at, retryLongest*5/4)
		}
		assert.InDelta(t, len(b.polls), b.counted("gmbot_updates_polls_total", "UNCLEAR"), 0)
	})
}

// Other trouble is said at once, and what was taken is kept.
func TestSource_TroubleChanges(t *testing.T) {
	t.Parallel()
	inBox(t, nil, func(b *box) {
		b.arrive(write(10, -1))
		b.trouble = func(n int) error {
			if n%2 == 0 {
				return fromTelegram("getUpdates", 409, "Conflict", 0, 0)
			}
			return errors.New("EOF")
		}
		b.settle(10)
		b.pass(10 * time.Second)
		assert.Positive(t, b.said("another program polls"))
		assert.Positive(t, b.said("does not answer polls"))
		assert.Equal(t, int64(11), b.offset())
	})
}

// Updates that cannot be confirmed come again and again: they are waited out like trouble.
func TestSource_OnlyUpdatesWithoutID(t *testing.T) {
	t.Parallel()
	inBox(t, func(b *box) {
		b.raws = func() []json.RawMessage { return []json.RawMessage{json.RawMessage(`{"message":{}}`)} }
	}, func(b *box) {
		b.pass(time.Minute)
		assert.LessOrEqual(t, len(b.polls), 12)
		taking, why := b.src.Taking()
		assert.False(t, taking)
		assert.NotEmpty(t, why)
		b.raws = nil
		b.arrive(write(10, -1))
		b.pass(time.Minute)
		assert.NotEmpty(t, b.handed, "and then it goes on")
	})
}

// stopAt ends a Source and says how long it took and what it polled then.
func (b *box) stopAt() (took time.Duration, polls []polled) {
	b.t.Helper()
	began, before := time.Since(b.began), len(b.polls)
	b.step()
	b.end()
	<-b.done
	taking, why := b.src.Taking()
	assert.False(b.t, taking)
	assert.Equal(b.t, "stopping", why)
	return b.endedAt - began, b.polls[before:]
}

func TestSource_Stop(t *testing.T) {
	t.Parallel()
	inBox(t, nil, func(b *box) {
		took, polls := b.stopAt()
		assert.Zero(t, took, "nothing is in the air")
		assert.Empty(t, polls)
	})
	inBox(t, func(b *box) { b.trouble = func(int) error { return errors.New("EOF") } }, func(b *box) {
		b.pass(30 * time.Second)
		took, _ := b.stopAt()
		assert.Zero(t, took, "it waits after trouble")
	})
	inBox(t, nil, func(b *box) {
		b.arrive(write(10, -1), write(11, -1))
		time.AfterFunc(time.Second, func() { b.src.Settled(b.delivery(10, 1)); b.src.Settled(b.delivery(11, 1)) })
		took, polls := b.stopAt()
		assert.Equal(t, time.Second, took)
		require.Len(t, polls, 1, "the batch is confirmed")
		assert.Equal(t, polled{time.Second, 12, 1, 0, AllowedUpdates()}, polls[0])
	})
	inBox(t, nil, func(b *box) {
		b.arrive(write(10, -1), write(11, -2))
		b.settle(10)
		b.pass(4 * time.Second)
		took, polls := b.stopAt()
		assert.Equal(t, 2*time.Second, took, "it waits, but not for long")
		assert.Empty(t, polls, "what is not settled comes again")
		assert.Equal(t, []string{"10.1", "11.1"}, b.order(), "nothing is handed out any more")
		assert.Empty(t, b.asides)
	})
}

func TestSource_StopWhileGivenUp(t *testing.T) {
	t.Parallel()
	inBox(t, nil, func(b *box) {
		b.arrive(write(10, -1))
		time.AfterFunc(time.Second, func() { b.src.NotDone(b.delivery(10, 1), "stopping") })
		took, _ := b.stopAt()
		assert.Equal(t, 2*time.Second, took)
		assert.Equal(t, []string{"10.1"}, b.order())
	})
	hang := func(ctx context.Context, _ int) error { <-ctx.Done(); return ctx.Err() }
	inBox(t, func(b *box) { b.store = hang }, func(b *box) {
		b.arrive(write(10, -1), write(11, -2), write(12, -3))
		b.pass(14*time.Second + 900*time.Millisecond)
		time.AfterFunc(time.Second, func() { b.src.NotDone(b.delivery(10, 3), "stopping") })
		took, _ := b.stopAt()
		assert.Equal(t, 2*time.Second, took, "a store that hangs is not waited for longer")
	})
	inBox(t, nil, func(b *box) {
		b.arrive(write(10, -1))
		b.give(10)
		b.give(10)
		time.AfterFunc(time.Second, func() { b.src.NotDone(b.delivery(10, 3), "no room") })
		took, polls := b.stopAt()
		assert.Equal(t, time.Second, took)
		assert.Len(t, b.asides, 1, "it is still set aside")
		assert.Len(t, polls, 1)
	})
}

// A confirmation that fails is said, and costs a second at most.
func TestSource_StopUnconfirmed(t *testing.T) {
	t.Parallel()
	inBox(t, nil, func(b *box) {
		b.arrive(write(10, -1))
		b.trouble = func(int) error { time.Sleep(time.Second); return errors.New("EOF at " + aToken) }
		time.AfterFunc(time.Second, func() { b.src.Settled(b.delivery(10, 1)) })
		took, _ := b.stopAt()
		assert.Equal(t, 2*time.Second, took)
		assert.Equal(t, 1, b.said("could not be confirmed"))
		assert.NotContains(t, b.log.String(), secret)
	})
}

// Whatever becomes of deliveries, each event ends once, the offset passes it, and none is handed out
// more than three times before that.
func TestSource_AnyFate(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		fates := rapid.SliceOfN(rapid.SliceOfN(rapid.IntRange(0, 2), 3, 3), 1, 8).Draw(rt, "fates")
		chats := rapid.SliceOfN(rapid.Int64Range(-3, -1), len(fates), len(fates)).Draw(rt, "chats")
		inBox(t, func(b *box) {
			b.once = true
			b.onDeliver = func(e *protos.Event) {
				switch fates[e.GetUpdateId()-10][e.GetAttempt()-1] {
				case 0:
					b.src.Settled(e.GetDelivery())
				case 1:
					b.src.NotDone(e.GetDelivery(), "no room")
				}
			}
		}, func(b *box) {
			var raws []json.RawMessage
			for i, chat := range chats {
				raws = append(raws, write(int64(10+i), chat))
			}
			first := rapid.IntRange(0, len(raws)).Draw(rt, "first")
			b.arrive(raws[:first]...)
			b.pass(time.Duration(rapid.IntRange(0, 2000).Draw(rt, "later")) * time.Millisecond)
			b.arrive(raws[first:]...)
			b.pass(2 * finishWithin) // the later ones of a chat wait for its earlier ones
			synctest.Wait()
			assert.Equal(rt, int64(10+len(fates)), b.offset())
			assert.InDelta(rt, len(fates), b.counted("gmbot_updates_total", "settled")+float64(len(b.asides)), 0)
			for _, d := range b.handed {
				assert.LessOrEqual(rt, d.attempt, uint32(deliveries))
			}
			assert.Empty(rt, b.src.open)
		})
	})
}
