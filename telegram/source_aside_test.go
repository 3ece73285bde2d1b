package telegram

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/protos"
)

// gaveUp lets an update fail three times.
func (b *box) gaveUp(id int64) {
	b.t.Helper()
	for range deliveries {
		b.give(id)
	}
}

// when lists the moments at which an update was handed out.
func (b *box) when(id int64) (list []time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, d := range b.handed {
		if d.id == id {
			list = append(list, d.at)
		}
	}
	return list
}

// What could not be finished in time is tried again, once at a time and ever more seldom, until it can be.
func TestAside_IsTriedAgain(t *testing.T) {
	t.Parallel()
	inBox(t, nil, func(b *box) {
		b.arrive(write(10, -1))
		b.gaveUp(10)
		require.Len(t, b.asides, 1)
		assert.Equal(t, int64(11), b.offset(), "Telegram's queue moves on")
		b.pass(15 * time.Second)
		b.give(10)
		b.pass(30 * time.Second)
		b.pass(15*time.Second - time.Millisecond) // it may take that long
		assert.Len(t, b.asides, 2)
		b.pass(time.Millisecond)
		require.Len(t, b.asides, 3)
		assert.Equal(t, "not settled in time", b.asides[2].reason)
		b.pass(time.Minute)
		assert.Equal(t, []time.Duration{0, 0, 0, 15 * time.Second, 45 * time.Second, 2 * time.Minute}, b.when(10))
		assert.Equal(t, uint32(2), b.handed[3].attempt, "it is no copy to whoever remembers its id")
		b.settle(10)
		b.pass(time.Hour)
		assert.Len(t, b.when(10), 6)
		assert.Empty(t, b.deferred)
		assert.Empty(t, b.src.open)
	})
}

// It is tried for a day, for which Telegram would have kept it, and waits for a person then.
func TestAside_ForADay(t *testing.T) {
	t.Parallel()
	inBox(t, nil, func(b *box) {
		b.onDeliver = func(e *protos.Event) { b.src.NotDone(e.GetDelivery(), "no room") }
		b.arrive(write(10, -1))
		b.pass(23 * time.Hour)
		assert.Len(t, b.deferred, 1)
		assert.Zero(t, b.counted("gmbot_updates_total", "set_aside"))
		b.pass(2 * time.Hour)
		assert.Empty(t, b.deferred)
		assert.InDelta(t, 1, b.counted("gmbot_updates_total", "set_aside"), 0)
		n := len(b.handed)
		b.pass(2 * time.Hour)
		assert.Len(t, b.handed, n)
		for i := 1; i < n; i++ {
			assert.LessOrEqual(t, b.handed[i].at-b.handed[i-1].at, asideLongest)
		}
	})
}

// What panics each time would do so for a day.
func TestAside_WhatPanicsWaitsForAPerson(t *testing.T) {
	t.Parallel()
	inBox(t, nil, func(b *box) {
		b.onDeliver = func(e *protos.Event) { b.src.NotDone(e.GetDelivery(), "group"+Panicked+"no reason") }
		b.arrive(write(10, -1))
		b.pass(time.Hour)
		assert.Len(t, b.handed, deliveries)
		require.Len(t, b.asides, 1)
		assert.Zero(t, b.asides[0].again)
		assert.InDelta(t, 1, b.counted("gmbot_updates_total", "set_aside"), 0)
	})
}

// Neither what comes of its chat meanwhile nor what Telegram has next waits for it.
func TestAside_HoldsNothingUp(t *testing.T) {
	t.Parallel()
	inBox(t, nil, func(b *box) {
		b.arrive(write(10, -1))
		b.gaveUp(10)
		b.pass(15 * time.Second)
		require.Equal(t, []string{"10.1", "10.2", "10.3", "10.2"}, b.order())
		b.arrive(write(11, -1))
		assert.Equal(t, "11.1", b.order()[4])
		b.settle(11)
		assert.Equal(t, int64(12), b.offset())
		b.arrive(write(12, -1))
		assert.Equal(t, "12.1", b.order()[5])
	})
}

// The next life finds what this one leaves, and what is settled while a program ends is not done twice.
func TestAside_OutlivesTheProgram(t *testing.T) {
	t.Parallel()
	inBox(t, nil, func(b *box) {
		b.arrive(write(10, -1), write(11, -2))
		b.gaveUp(10)
		b.gaveUp(11)
		b.pass(15 * time.Second)
		require.Len(t, b.handed, 8)
		b.step()
		b.end()
		b.settle(11)
		b.pass(stopGrace)
		<-b.done
		require.Len(t, b.deferred, 1)
		handed := make(chan *protos.Event, 9)
		next := NewSource(SourceOptions{Client: b, Asides: b, Log: zerolog.Nop(), Deliver: func(e *protos.Event) { handed <- e }})
		ctx, end := context.WithCancel(b.t.Context())
		over := make(chan struct{})
		go func() { _ = next.Run(ctx); close(over) }()
		e := <-handed
		assert.Equal(t, int64(10), e.GetUpdateId())
		next.Settled(e.GetDelivery())
		b.pass(time.Minute)
		assert.Empty(t, b.deferred)
		end()
		<-over
	})
}

// A store that fails changes neither that it is tried again nor that others are.
func TestAside_AStoreThatFails(t *testing.T) {
	t.Parallel()
	inBox(t, nil, func(b *box) {
		b.arrive(write(10, -1))
		b.gaveUp(10)
		b.mu.Lock()
		b.store = func(_ context.Context, n int) error {
			if n < 5 {
				return errors.New("no room")
			}
			return nil
		}
		b.mu.Unlock()
		b.pass(15 * time.Second)
		b.give(10)
		assert.Len(t, b.when(10), 4)
		for range 3 {
			b.pass(time.Second) // as it stands in the store it is due
			b.give(10)
		}
		assert.Len(t, b.when(10), 7)
		require.Len(t, b.asides, 2)
		assert.Equal(t, 48*time.Second, b.asides[1].again)
		assert.Equal(t, int64(11), b.offset())
		b.pass(30 * time.Second)
		b.settle(10)
		b.pass(time.Minute)
		assert.Empty(t, b.deferred)
	})
}

// What is finished only after it was set aside is not done again.
func TestAside_FinishedMeanwhile(t *testing.T) {
	t.Parallel()
	inBox(t, nil, func(b *box) {
		b.arrive(write(10, -1))
		b.pass(20 * time.Second)
		require.Len(t, b.deferred, 1)
		b.step()
		b.src.Settled(b.delivery(10, 2))
		b.pass(time.Minute)
		assert.Len(t, b.when(10), deliveries)
		assert.Empty(t, b.deferred)
		assert.Empty(t, b.src.waiting)
		assert.Empty(t, b.src.finished)
	})
}
