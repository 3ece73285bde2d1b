package actors

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/protos"
	"github.com/gmbot/gmbot/telegram/simulator"
)

// sweeping restarts the program with a budget of questions about known members.
func (w *town) sweeping(callsPerMinute int) {
	w.t.Helper()
	w.sweeps = callsPerMinute
	w.restart()
}

// unheard lets more time go by than Telegram keeps updates, and something happen in it.
func (w *town) unheard(happens func()) {
	w.t.Helper()
	w.stop()
	happens()
	w.pass(26 * time.Hour)
	w.start()
}

// askedAbout are the times of the questions about who is in a channel.
func (w *town) askedAbout(chat int64) (at []time.Time, users map[string]int) {
	users = map[string]int{}
	for _, c := range w.CallsOf("getChatMember") {
		if fmt.Sprint(c.Params["chat_id"]) == itoa(chat) && fmt.Sprint(c.Params["user_id"]) != itoa(w.bot.ID) {
			at = append(at, c.At)
			users[fmt.Sprint(c.Params["user_id"])]++
		}
	}
	return at, users
}

func TestRounds_WhoLeftUnheardIsMutedWithinTheBudgetsTime(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.sweeping(60)
		readers := w.readers(40)
		gone := readers[17:21]
		w.unheard(func() { w.leave(w.channel, gone) })
		before, _ := w.askedAbout(w.channel)
		w.pass(2 * time.Minute)
		assert.Equal(t, 4, w.countMuted(readers), "nobody else")
		assert.Equal(t, 4, w.countMuted(gone))
		after, users := w.askedAbout(w.channel)
		questions := after[len(before):]
		assert.GreaterOrEqual(t, len(questions), 40)
		for i := range questions {
			if i+60 < len(questions) {
				assert.GreaterOrEqual(t, questions[i+60].Sub(questions[i]), time.Minute)
			}
			if i > 0 {
				assert.GreaterOrEqual(t, questions[i].Sub(questions[i-1]), time.Second, "the budget is spread evenly")
			}
		}
		w.away(20 * time.Hour)
		w.pass(3 * time.Minute)
		_, later := w.askedAbout(w.channel)
		assert.Equal(t, users, later, "what was learned today is not asked again")
		require.Empty(t, w.notices(), "the notices have had their time")
		w.away(20 * time.Hour)
		w.pass(3 * time.Minute)
		_, later = w.askedAbout(w.channel)
		assert.Equal(t, users, later, "nor is what Telegram keeps telling")
	})
}

func TestRounds_NobodyIsAskedAboutWithoutABudget(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		readers := w.readers(3)
		w.unheard(func() { w.leave(w.channel, readers[:1]) })
		before, _ := w.askedAbout(w.channel)
		w.pass(time.Hour)
		after, _ := w.askedAbout(w.channel)
		assert.Len(t, after, len(before))
		assert.Zero(t, w.countMuted(readers))
	})
}

func TestRounds_WhoLeftWhileTheBotWasNoAdministratorOfTheChannel(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.sweeping(60)
		w.pass(time.Minute)
		readers := w.readers(3)
		before, _ := w.askedAbout(w.channel)
		w.away(20 * time.Hour) // Telegram keeps what happens
		w.pass(time.Minute)
		w.away(5 * time.Hour)
		w.pass(3 * time.Minute)
		after, _ := w.askedAbout(w.channel)
		require.Len(t, after, len(before), "what Telegram keeps telling is not asked")
		require.NoError(t, w.Demote(w.channel, w.olga, w.bot.ID))
		w.leave(w.channel, readers[:1])
		w.pass(10 * time.Minute)
		require.Zero(t, w.countMuted(readers), "the bot cannot know")
		w.admit(w.channel, "can_invite_users")
		w.pass(3 * time.Minute)
		assert.Equal(t, []bool{true, false, false}, []bool{w.muted(readers[0]), w.muted(readers[1]), w.muted(readers[2])})
	})
}

func TestRounds_GroupsTakeTurnsAndARestartGoesOn(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.sweeping(6)
		large := w.readers(12)
		other := w.NewSupergroup("Walk", "", w.olga)
		w.admit(other, "can_restrict_members", "can_delete_messages", "can_invite_users")
		w.says(other, w.olga, "/protect @news_here")
		w.pass(10 * time.Second)
		var small []int64
		for range 3 {
			id := w.NewUser("Walker", "")
			require.NoError(t, w.Join(w.channel, id))
			require.NoError(t, w.Join(other, id))
			w.says(other, id, "hello")
			small = append(small, id)
		}
		w.pass(time.Minute)
		before := 0
		w.unheard(func() {
			at, _ := w.askedAbout(w.channel)
			before = len(at)
			w.leave(w.channel, append(small[2:], large[11]))
		})
		w.pass(85 * time.Second)
		at, _ := w.askedAbout(w.channel)
		asked := len(at) - before
		assert.InDelta(t, 7, asked, 2)
		assert.Equal(t, simulator.Restricted, w.Member(other, small[2]).Status, "the small group does not wait for the large one")
		for range 3 {
			w.restart()
			w.pass(time.Minute)
		}
		assert.True(t, w.muted(large[11]))
		_, users := w.askedAbout(w.channel)
		for _, id := range large[:11] {
			assert.LessOrEqual(t, users[itoa(id)], 2, "once when they wrote, and once in the round")
		}
	})
}

func TestRounds_ModeratorsAndAdministratorsAreLeftAlone(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.sweeping(60)
		readers := w.readers(2)
		until := time.Now().Add(20 * day).Unix()
		w.unheard(func() {
			w.leave(w.channel, readers)
			require.NoError(t, w.Restrict(w.group, w.olga, readers[0], simulator.Permissions{}, until))
			require.NoError(t, w.Promote(w.group, w.olga, readers[1], simulator.Rights("can_delete_messages")))
		})
		w.pass(2 * time.Minute)
		assert.Equal(t, until, w.Member(w.group, readers[0]).Until)
		assert.Equal(t, simulator.Administrator, w.Member(w.group, readers[1]).Status)
		assert.Zero(t, w.calls("restrictChatMember", 0))
	})
}

func TestRounds_ManyAtOnceAreHeldByTheBrake(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.sweeping(60)
		readers := w.readers(30)
		w.unheard(func() { w.leave(w.channel, readers) })
		w.pass(5 * time.Minute)
		assert.LessOrEqual(t, w.countMuted(readers), brakeAtLeast)
		w.question(w.group)
	})
}

func TestRounds_WhatTelegramCannotSayMutesNobody(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.sweeping(60)
		readers := w.readers(3)
		stop := func() {}
		w.unheard(func() {
			w.leave(w.channel, readers[:1])
			stop = w.Fail(simulator.Fault{Kind: simulator.FaultError, Method: "getChatMember"})
		})
		w.pass(5 * time.Minute)
		assert.Zero(t, w.countMuted(readers))
		asked, _ := w.askedAbout(w.channel)
		assert.LessOrEqual(t, len(asked), 3+3*lookupTries, "and is not asked over and over")
		stop()
		w.pass(12 * time.Minute)
		assert.Equal(t, 1, w.countMuted(readers))
		assert.True(t, w.muted(readers[0]))
	})
}

func TestRounds_ALeaveIsAskedAboutWhereThePersonWasNeverSeen(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		silent := w.NewUser("Silent", "")
		other := w.NewSupergroup("Walk", "", w.olga)
		require.NoError(t, w.Join(w.channel, silent))
		require.NoError(t, w.Join(other, silent)) // before the bot
		w.admit(other, "can_restrict_members", "can_delete_messages", "can_invite_users")
		w.says(other, w.olga, "/protect @news_here")
		require.NoError(t, w.Join(w.group, silent))
		w.says(w.group, silent, "hello")
		w.pass(time.Minute)
		w.sweeping(60)
		w.pass(time.Minute)
		require.NoError(t, w.Leave(w.channel, silent))
		w.pass(2 * time.Minute)
		assert.True(t, w.muted(silent))
		assert.Equal(t, simulator.Restricted, w.Member(other, silent).Status)
		require.Len(t, w.noticesIn(other), 1)
		assert.Contains(t, w.noticesIn(other)[0].Text, "Silent")
	})
}

func TestSender_IsQuietOnlyWhileNothingWaits(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_000_000, 0)
	l := newLanes(limits{slots: 8, perSecond: 28, perGroup: 18}, now)
	assert.True(t, l.quiet(now))
	var air []*task
	leave := func() {
		got, _, _ := l.next(now)
		require.NotNil(t, got)
		air = append(air, got)
	}
	for i := range int64(3) {
		l.add(&task{since: now, job: &protos.Job{Lane: protos.Lane_LOOKUP, ChatId: -1 - i, Do: &protos.Job_GetMember{GetMember: &protos.GetMember{}}}})
		assert.False(t, l.quiet(now), "somebody waits")
		leave()
		assert.Equal(t, i < 2, l.quiet(now), "%d of 8 slots are in use", i+1)
	}
	for _, one := range air {
		l.done(one, &protos.JobDone{Outcome: protos.Outcome_DONE}, now)
	}
	assert.True(t, l.quiet(now))
	l.pause(pauseKey{}, now.Add(time.Minute))
	assert.False(t, l.quiet(now), "Telegram asks for a pause")
}

func TestRounds_YieldWhileTheSenderIsBusy(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.sweeping(60)
		readers := w.readers(3)
		before := 0
		stop := func() {}
		w.unheard(func() {
			at, _ := w.askedAbout(w.channel)
			before = len(at)
			w.leave(w.channel, readers[:1])
			stop = w.Fail(simulator.Fault{Kind: simulator.FaultLatency, Method: "getChat", For: simulator.For(10 * time.Second)})
		})
		for range 10 {
			for i := range int64(slotsSlow/4 + 1) {
				w.s.d.root.Send(w.s.Sender(), &protos.Job{
					Lane: protos.Lane_LOOKUP, ChatId: -1 - i, Do: &protos.Job_GetChat{GetChat: &protos.GetChat{ChatId: w.group}},
				})
			}
			w.pass(9 * time.Second) // before the last are answered
		}
		at, _ := w.askedAbout(w.channel)
		assert.Len(t, at, before, "more than a quarter of the slots is in use")
		assert.False(t, w.muted(readers[0]))
		w.pass(30 * time.Second)
		stop()
		assert.True(t, w.muted(readers[0]), "and it goes on when they are empty")
	})
}
