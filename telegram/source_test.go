package telegram

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/protos"
)

func TestSource_HandsOutInOrder(t *testing.T) {
	t.Parallel()
	inBox(t, nil, func(b *box) {
		b.arrive(write(10, -1), write(11, -1), write(12, -2), write(13, -1))
		assert.Equal(t, []string{"10.1", "11.1", "12.1", "13.1"}, b.order())
		seen := map[uint64]bool{0: true}
		for _, d := range b.handed {
			assert.False(t, seen[d.delivery], "each delivery has a handle of its own")
			seen[d.delivery] = true
			assert.Equal(t, time.Now().UnixMilli(), d.event.GetReceivedMs())
		}
	})
}

func TestSource_Polls(t *testing.T) {
	t.Parallel()
	inBox(t, nil, func(b *box) {
		b.pass(time.Minute)
		assert.Equal(t, []polled{{0, 0, 100, 0, AllowedUpdates()}, {0, 0, 100, 50, AllowedUpdates()}, {50 * time.Second, 0, 100, 50, AllowedUpdates()}},
			b.polls, "the first asks for an answer at once, the others wait")
		taking, why := b.src.Taking()
		assert.True(t, taking)
		assert.Empty(t, why)
	})
}

func TestSource_OffsetMovesWhenAllIsSettled(t *testing.T) {
	t.Parallel()
	inBox(t, nil, func(b *box) {
		b.arrive(write(10, -1), write(11, -2), write(12, -3))
		before := len(b.polls)
		b.arrive(write(13, -1))
		b.settle(12, 10)
		b.pass(overtakeAfter - time.Millisecond)
		assert.Len(t, b.polls, before, "one batch is in the air")
		b.settle(11)
		assert.Len(t, b.polls, before+1)
		assert.Equal(t, int64(13), b.polls[before].offset)
		assert.Equal(t, []string{"10.1", "11.1", "12.1", "13.1"}, b.order())
		b.settle(13)
		assert.Equal(t, int64(14), b.offset())
		assert.Empty(t, b.queue)
		assert.InDelta(t, 4, b.counted("gmbot_updates_total", "settled"), 0)
		assert.Zero(t, b.counted("gmbot_updates_total", "redelivered"))
		assert.Empty(t, b.src.open, "nothing is remembered of what is settled")
	})
}

// One group's slow command keeps nobody else waiting, and nothing is confirmed before it, nor handed out twice.
func TestSource_WhatIsLateIsOvertaken(t *testing.T) {
	t.Parallel()
	inBox(t, nil, func(b *box) {
		b.arrive(write(10, -1), write(11, -2), write(12, -3))
		b.settle(10, 12)
		b.arrive(write(13, -4), json.RawMessage(`{"update_id":14,"poll":{}}`), write(15, -2))
		b.pass(overtakeAfter)
		assert.Equal(t, []string{"10.1", "11.1", "12.1", "13.1", "15.1"}, b.order())
		assert.Equal(t, int64(11), b.offset(), "what stands before the late one is confirmed, and no more")
		b.settle(13, 15)
		before := len(b.polls)
		b.pass(3 * overtakeAfter)
		assert.Len(t, b.polls, before+3, "Telegram, which would answer each poll at once, is not asked in a loop")
		b.arrive(write(16, -4))
		b.pass(overtakeAfter)
		b.settle(16)
		assert.Equal(t, int64(11), b.offset())
		assert.Len(t, b.queue, 6, "the late one, and all behind it, stay with Telegram")
		b.settle(11)
		assert.Equal(t, int64(17), b.offset())
		assert.Empty(t, b.queue)
		assert.Equal(t, []string{"10.1", "11.1", "12.1", "13.1", "15.1", "16.1"}, b.order())
		assert.Equal(t, pollSeconds, b.polls[len(b.polls)-1].timeout)
		assert.InDelta(t, 6, b.counted("gmbot_updates_total", "settled"), 0)
		assert.InDelta(t, 1, b.counted("gmbot_updates_total", "skipped"), 0, "what nobody needs is looked at once, too")
		assert.Empty(t, b.src.open)
	})
}

// However long the first of them takes, not more than a batch is taken behind it.
func TestSource_OvertakingIsBounded(t *testing.T) {
	t.Parallel()
	inBox(t, nil, func(b *box) {
		var ids []int64
		for id := range int64(3 * batchSize) {
			b.queue = append(b.queue, write(id+1, -id-1))
			ids = append(ids, id+1)
		}
		b.arrive(write(1000, -1000))
		b.settle(ids[1:batchSize]...)
		b.pass(3 * time.Second)
		assert.Len(t, b.handed, batchSize)
		b.settle(1)
		assert.Equal(t, int64(batchSize+1), b.offset())
		assert.Len(t, b.handed, 2*batchSize)
	})
}

// A program that stops confirms what stands before the late update, and waits for that one a little.
func TestSource_StopsWhileSomethingIsLate(t *testing.T) {
	t.Parallel()
	inBox(t, nil, func(b *box) {
		b.arrive(write(10, -1), write(11, -2))
		b.settle(10)
		b.pass(overtakeAfter)
		b.arrive(write(12, -3))
		b.pass(overtakeAfter)
		b.settle(12)
		time.AfterFunc(time.Second, func() { b.src.Settled(b.latest(11)) })
		took, polls := b.stopAt()
		assert.Equal(t, time.Second, took)
		require.Len(t, polls, 1)
		assert.Equal(t, int64(13), polls[0].offset)
	})
}

func TestSource_SettledWhileHandedOut(t *testing.T) {
	t.Parallel()
	inBox(t, func(b *box) {
		b.onDeliver = func(e *protos.Event) { b.src.Settled(e.GetDelivery()) }
	}, func(b *box) {
		b.arrive(write(10, -1), write(11, -1))
		assert.Equal(t, int64(12), b.offset())
	})
}

func TestSource_GivenUp(t *testing.T) {
	t.Parallel()
	inBox(t, nil, func(b *box) {
		b.arrive(write(10, -1))
		b.give(10)
		b.give(10)
		assert.Equal(t, []string{"10.1", "10.2", "10.3"}, b.order(), "twice again")
		assert.Empty(t, b.asides)
		long := "token: " + aToken + strings.Repeat("é", maxReason)
		b.src.NotDone(b.latest(10), long)
		b.pass(0)
		require.Len(t, b.asides, 1)
		assert.Equal(t, string(write(10, -1)), b.asides[0].raw)
		assert.Contains(t, b.asides[0].reason, "token: [redacted]é")
		assert.LessOrEqual(t, len(b.asides[0].reason), maxReason+len("…"))
		assert.True(t, utf8.ValidString(b.asides[0].reason), "no letter is cut in two")
		assert.Equal(t, int64(11), b.offset(), "and the offset moves")
		assert.NotContains(t, b.log.String(), secret)
		assert.InDelta(t, 1, b.counted("gmbot_updates_total", "deferred"), 0)
		assert.InDelta(t, 2, b.counted("gmbot_updates_total", "redelivered"), 0)
		assert.Zero(t, b.counted("gmbot_updates_total", "settled"))
		first, last := b.handed[0].event, b.handed[2].event
		assert.NotSame(t, first, last)
		assert.Equal(t, uint32(1), first.GetAttempt(), "what was handed out does not change")
	})
}

func TestSource_GivenUpWithoutWords(t *testing.T) {
	t.Parallel()
	inBox(t, nil, func(b *box) {
		b.arrive(write(10, -1))
		b.src.NotDone(b.latest(10), "")
		b.pass(0)
		assert.Equal(t, []string{"10.1", "10.2"}, b.order())
	})
}

func TestSource_NotSettledInTime(t *testing.T) {
	t.Parallel()
	inBox(t, nil, func(b *box) {
		b.arrive(write(10, -1), write(11, -2))
		b.settle(11)
		b.pass(5*time.Second - time.Millisecond)
		assert.Equal(t, []string{"10.1", "11.1"}, b.order())
		b.pass(time.Millisecond)
		assert.Equal(t, []string{"10.1", "11.1", "10.2"}, b.order())
		b.pass(5 * time.Second)
		assert.Equal(t, []string{"10.1", "11.1", "10.2", "10.3"}, b.order())
		b.pass(5 * time.Second)
		assert.Equal(t, []aside{{15 * time.Second, 10, "not settled in time", string(write(10, -1)), 30 * time.Second}}, b.asides)
		assert.Equal(t, int64(12), b.offset())
	})
}

// However many are stuck, and wherever, a batch is through after 15 s.
func TestSource_ABatchTakesAtMostFifteenSeconds(t *testing.T) {
	t.Parallel()
	for _, chats := range []int64{1, 3, 50} {
		inBox(t, nil, func(b *box) {
			var raws []json.RawMessage
			for id := range int64(50) {
				raws = append(raws, write(10+id, -1-id%chats))
			}
			b.arrive(raws...)
			b.pass(15 * time.Second)
			assert.Len(t, b.asides, 50, "%d chats", chats)
			assert.Equal(t, int64(60), b.offset())
		})
	}
}

func TestSource_LaterEventsOfAChatWait(t *testing.T) {
	t.Parallel()
	inBox(t, nil, func(b *box) {
		b.arrive(write(10, -1), write(11, -1), write(12, -2), write(13, -1))
		b.give(10)
		b.give(13)
		b.give(11)
		assert.Equal(t, []string{"10.1", "11.1", "12.1", "13.1", "10.2"}, b.order(), "10 comes first in its chat")
		b.give(12)
		assert.Equal(t, "12.2", b.order()[5], "another chat goes on")
		b.settle(12)
		b.settle(10)
		assert.Equal(t, []string{"11.2"}, b.order()[6:], "then 11, and 13 still waits")
		b.settle(11)
		assert.Equal(t, []string{"11.2", "13.2"}, b.order()[6:])
		b.settle(13)
		assert.Equal(t, int64(14), b.offset())
	})
}

// Events that wait for another of their chat wake nobody up.
func TestSource_WaitingCostsNothing(t *testing.T) {
	t.Parallel()
	inBox(t, nil, func(b *box) {
		b.arrive(write(10, -1), write(11, -1))
		b.pass(4 * time.Second)
		b.give(10)
		b.give(11)
		now := time.Now()
		items := []*item{b.src.open[b.latest(10)], b.src.open[b.latest(11)]}
		assert.Equal(t, uint32(1), items[1].attempt, "it waits")
		time.Sleep(2 * time.Second)
		assert.Equal(t, time.Until(now.Add(settleWithin)), b.src.untilDeadline(items))
	})
}

func TestSource_OldDeliveries(t *testing.T) {
	t.Parallel()
	inBox(t, nil, func(b *box) {
		b.arrive(write(10, -1), write(11, -2))
		b.give(10)
		b.give(11)
		b.src.NotDone(b.delivery(10, 1), "too late")
		b.pass(0)
		assert.Equal(t, []string{"10.1", "11.1", "10.2", "11.2"}, b.order(), "giving an old one up changes nothing")
		b.src.Settled(b.delivery(10, 1))
		b.src.Settled(b.delivery(10, 1))
		b.src.NotDone(b.latest(10), "after it was settled")
		b.src.Settled(4711)
		b.src.NotDone(4711, "never handed out")
		b.pass(0)
		b.settle(11)
		assert.Equal(t, int64(12), b.offset(), "settling an old one counts")
		b.pass(time.Minute)
		assert.Len(t, b.handed, 4)
		assert.Empty(t, b.asides)
	})
}

func TestSource_SettingAsideIsTriedAgain(t *testing.T) {
	t.Parallel()
	inBox(t, func(b *box) {
		b.store = func(_ context.Context, n int) error {
			if n < 4 {
				return errStore
			}
			return nil
		}
	}, func(b *box) {
		b.arrive(write(10, -1), write(11, -2))
		for range deliveries {
			b.give(10)
		}
		before := len(b.polls)
		assert.Equal(t, 1, b.tries)
		b.pass(2 * time.Second)
		b.settle(11)
		b.pass(3*time.Second - time.Millisecond)
		assert.Equal(t, 1, b.tries)
		b.pass(time.Millisecond)
		assert.Equal(t, 2, b.tries)
		assert.Len(t, b.polls, before, "nothing new is taken meanwhile")
		b.pass(10 * time.Second)
		require.Len(t, b.asides, 1)
		assert.Equal(t, 15*time.Second, b.asides[0].at)
		assert.Equal(t, int64(12), b.offset())
		assert.Equal(t, 3, b.said("can neither be finished nor set aside"))
		assert.NotContains(t, b.log.String(), "hunter2")
	})
}

// A store that hangs is left after 5 s; a late settling still counts.
func TestSource_AHangingStore(t *testing.T) {
	t.Parallel()
	inBox(t, func(b *box) {
		b.store = func(ctx context.Context, _ int) error { <-ctx.Done(); return ctx.Err() }
	}, func(b *box) {
		b.arrive(write(10, -1))
		b.pass(20 * time.Second)
		b.settle(10)
		assert.Equal(t, int64(11), b.offset())
		assert.Empty(t, b.asides)
	})
}

func TestSource_AMalformedUpdateHarmsOnlyItself(t *testing.T) {
	t.Parallel()
	inBox(t, nil, func(b *box) {
		b.arrive(json.RawMessage(`{"message":{}}`), json.RawMessage(`{"update_id":10,"message":"`+aToken+`"}`), write(11, -1),
			json.RawMessage(`{"update_id":12,"poll":{}}`), json.RawMessage(`{"update_id":13,"chat_member":{}}`))
		assert.Equal(t, []string{"11.1"}, b.order())
		b.settle(11)
		assert.Equal(t, int64(14), b.offset(), "what is past it is confirmed too")
		assert.InDelta(t, 3, b.counted("gmbot_updates_total", "malformed"), 0)
		assert.InDelta(t, 1, b.counted("gmbot_updates_total", "skipped"), 0)
		assert.NotContains(t, b.log.String(), secret)
	})
}
