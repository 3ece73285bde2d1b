package actors

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/protos"
	"github.com/gmbot/gmbot/telegram"
)

const raiders = int64(300) // several times as many as are looked at at once

// raidWith is a raid in which somebody in particular writes last, and returns that one's delivery.
func raidWith(g *gate, last *protos.Event) uint64 {
	raid(g, raiders)
	return g.send(last)
}

// looked is how many flows of the group are alive, and how many people wait for a turn.
func looked(t *testing.T, g *gate) (flows, waiting int) {
	t.Helper()
	var find func(list []ActorInfo)
	find = func(list []ActorInfo) {
		for _, i := range list {
			if i.Kind == "group" {
				flows, waiting = i.Children, i.State["crowd"]
			}
			find(i.Shown)
		}
	}
	find(g.s.Actors(t.Context()))
	return flows, waiting
}

func TestCrowd_AFewAreLookedAtAtATimeAndNobodyIsForgotten(t *testing.T) {
	t.Parallel()
	runGate(t, func(t *testing.T, g *gate) {
		first := uint64(g.id + 1)
		raid(g, raiders)
		g.pass(10 * time.Millisecond)
		for d := first; d <= uint64(g.id); d++ {
			require.True(t, g.isSettled(d), "whoever comes next does not wait for those before")
		}
		most := 0
		for range 100 {
			flows, waiting := looked(t, g)
			most = max(most, flows)
			if flows+waiting == 0 {
				break
			}
			g.pass(20 * time.Millisecond)
		}
		assert.Equal(t, maxLooked, most)
		assert.Equal(t, int(raiders), g.w.count(isMute))
		for n := range raiders {
			require.True(t, g.w.deleted[30_000+n])
			f, err := g.store.Flow(t.Context(), theGroup, 20_000+n)
			require.NoError(t, err)
			require.Equal(t, persistence.Muted, f.State)
			require.Empty(t, f.Messages)
		}
	})
}

func TestCrowd_AReadThatHoldsNotAllIsFollowedByAnother(t *testing.T) {
	t.Parallel()
	runGate(t, func(t *testing.T, g *gate) {
		const many = int64(maxOpen) + 200
		require.NoError(t, g.store.Update(t.Context(), func(tx persistence.Tx) error {
			for n := range many {
				err := tx.SaveFlow(persistence.Flow{
					GroupID: theGroup, UserID: 20_000 + n, State: persistence.Checking, Cause: persistence.CauseMessage,
					Since: time.Now(), Messages: []int64{30_000 + n},
				})
				if err != nil {
					return err
				}
			}
			return nil
		}))
		for n := range many {
			g.w.group[20_000+n] = standing(telegram.StatusMember)
		}
		g.restart()
		g.pass(time.Minute)
		assert.Equal(t, int(many), g.w.count(isMute))
	})
}

func TestCrowd_OutlivesTheProgram(t *testing.T) {
	t.Parallel()
	runGate(t, func(t *testing.T, g *gate) {
		raid(g, raiders)
		g.pass(40 * time.Millisecond)
		_, waiting := looked(t, g)
		require.NotZero(t, waiting)
		g.restart()
		g.pass(time.Minute)
		for n := range raiders {
			require.Equal(t, telegram.StatusRestricted, g.w.standingOf(20_000+n).GetStatus())
			require.True(t, g.w.deleted[30_000+n])
		}
	})
}

// Whoever waits is not done without, and need not wait for long once it is known that they must not.
func TestCrowd_WhoWaitsMayAct(t *testing.T) {
	t.Parallel()
	for what, then := range map[string]func(t *testing.T, g *gate){
		"joins the channel": func(t *testing.T, g *gate) {
			t.Helper()
			g.w.set(func() { g.w.channel[anna] = true })
			d := g.send(joinsChannel(anna))
			g.pass(100 * time.Millisecond)
			assert.True(t, g.isSettled(d))
			_, err := g.store.Flow(t.Context(), theGroup, anna)
			require.ErrorIs(t, err, persistence.ErrNotFound)
			g.pass(time.Minute)
			assert.Equal(t, telegram.StatusMember, g.w.standingOf(anna).GetStatus())
			assert.False(t, g.w.deleted[10])
		},
		"writes again": func(t *testing.T, g *gate) {
			t.Helper()
			d := g.send(message(anna, 11, "hello?"))
			g.pass(time.Millisecond)
			assert.True(t, g.isSettled(d))
			g.restart()
			g.pass(time.Minute)
			assert.True(t, g.w.deleted[10] && g.w.deleted[11])
			assert.Equal(t, telegram.StatusRestricted, g.w.standingOf(anna).GetStatus())
		},
		"presses": func(t *testing.T, g *gate) {
			t.Helper()
			calls, start := watchCalls(g), time.Now()
			g.send(press(anna, 10, callbackCheck))
			g.pass(time.Minute)
			answered := calls.of("*protos.Job_Answer", 0)
			require.Len(t, answered, 1)
			assert.Less(t, answered[0].Sub(start), pressLimit, "before others who wait")
			assert.Equal(t, telegram.StatusRestricted, g.w.standingOf(anna).GetStatus())
		},
		"is exempted": func(t *testing.T, g *gate) {
			t.Helper()
			exempt := message(theOwner, 12, "/exempt 501")
			g.send(exempt)
			g.pass(time.Minute)
			assert.Equal(t, telegram.StatusMember, g.w.standingOf(anna).GetStatus())
			assert.False(t, g.w.deleted[10])
		},
		"leaves the group": func(t *testing.T, g *gate) {
			t.Helper()
			g.w.set(func() { g.w.group[anna] = standing(telegram.StatusLeft) })
			d := g.send(chatMember(groupChat(), anna, anna, standing(telegram.StatusMember), standing(telegram.StatusLeft)))
			g.pass(time.Minute)
			assert.True(t, g.isSettled(d))
			assert.True(t, g.w.deleted[10], "what was written goes all the same")
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			runGate(t, func(t *testing.T, g *gate) {
				raidWith(g, message(anna, 10, "hello"))
				g.pass(10 * time.Millisecond)
				_, waiting := looked(t, g)
				require.NotZero(t, waiting)
				f, err := g.store.Flow(t.Context(), theGroup, anna)
				require.NoError(t, err)
				require.Equal(t, persistence.Checking, f.State)
				then(t, g)
			})
		})
	}
}

// Messages that come before the first is stored are not lost, nor does the second overtake the first.
func TestCrowd_SeveralMessagesAtOnce(t *testing.T) {
	t.Parallel()
	runGate(t, func(t *testing.T, g *gate) {
		sent := []uint64{raidWith(g, message(anna, 10, "a"))}
		for id := range int64(4) {
			sent = append(sent, g.send(message(anna, 11+id, "b")))
		}
		g.pass(5 * time.Millisecond)
		for _, d := range sent {
			assert.True(t, g.isSettled(d), "stored, though nobody has looked yet")
		}
		flows, _ := looked(t, g)
		assert.LessOrEqual(t, flows, maxLooked)
		g.pass(time.Minute)
		for id := range int64(5) {
			assert.True(t, g.w.deleted[10+id], fmt.Sprint(id))
		}
		assert.Equal(t, 1, g.w.count(func(j *protos.Job) bool { return isMute(j) && j.GetRestrict().GetUserId() == anna }))
	})
}

// The mark of a mute that stands is in its row: nothing else could free the person.
func TestCrowd_ARowThatStandsIsNotOverwritten(t *testing.T) {
	t.Parallel()
	runGate(t, func(t *testing.T, g *gate) {
		g.send(message(anna, 10, "hello"))
		g.pass(10 * time.Second)
		before, err := g.store.Flow(t.Context(), theGroup, anna)
		require.NoError(t, err)
		d := raidWith(g, message(anna, 11, "still here"))
		g.pass(time.Minute)
		assert.True(t, g.isSettled(d) && g.w.deleted[11])
		after, err := g.store.Flow(t.Context(), theGroup, anna)
		require.NoError(t, err)
		assert.Equal(t, before, after)
		g.w.set(func() { g.w.channel[anna] = true })
		g.send(joinsChannel(anna))
		g.pass(time.Second)
		assert.Equal(t, telegram.StatusMember, g.w.standingOf(anna).GetStatus())
	})
}

func TestCrowd_TheSameUpdateTwice(t *testing.T) {
	t.Parallel()
	runGate(t, func(t *testing.T, g *gate) {
		e := message(anna, 10, "hello")
		raidWith(g, e)
		g.pass(time.Minute)
		g.w.set(func() { g.w.channel[anna] = true })
		g.send(joinsChannel(anna))
		g.pass(2 * time.Second)
		g.w.set(func() {
			g.w.channel[anna] = false
			for n := range raiders {
				g.w.group[20_000+raiders+n] = standing(telegram.StatusMember)
			}
		})
		g.restart()
		for n := range raiders {
			g.send(message(20_000+raiders+n, 40_000+n, "buy"))
		}
		again := message(anna, 10, "hello")
		again.UpdateId, again.Delivery, again.Attempt, again.Date = e.GetUpdateId(), 9999, 1, e.GetDate()
		g.s.Deliver(again)
		g.pass(time.Minute)
		assert.True(t, g.isSettled(9999))
		assert.Equal(t, telegram.StatusMember, g.w.standingOf(anna).GetStatus(), "done in an earlier life")
		_, err := g.store.Flow(t.Context(), theGroup, anna)
		assert.ErrorIs(t, err, persistence.ErrNotFound)
	})
}

// Newcomers who were given time sleep for minutes: nobody waits for them.
func TestCrowd_WhoHasTimeLeftTakesNoTurnFromOthers(t *testing.T) {
	t.Parallel()
	runGate(t, func(t *testing.T, g *gate) {
		require.NoError(t, g.store.Update(t.Context(), func(tx persistence.Tx) error {
			stored, err := g.store.Group(t.Context(), theGroup)
			if err != nil {
				return err
			}
			stored.Settings.GraceMinutes = 60
			_, err = tx.SaveGroup(stored, persistence.Owner{ID: theOwner})
			return err
		}))
		g.restart()
		for n := range raiders {
			g.w.set(func() { g.w.group[20_000+n] = standing(telegram.StatusMember) })
			g.send(chatMember(groupChat(), 20_000+n, 20_000+n, standing(telegram.StatusLeft), standing(telegram.StatusMember)))
		}
		g.pass(30 * time.Second)
		flows, waiting := looked(t, g)
		require.Equal(t, int(raiders), flows)
		require.Zero(t, waiting)
		g.send(message(anna, 10, "hello"))
		g.pass(time.Second)
		assert.Equal(t, telegram.StatusRestricted, g.w.standingOf(anna).GetStatus())
		g.pass(61 * time.Minute)
		assert.Equal(t, int(raiders)+1, g.w.count(isMute))
	})
}
