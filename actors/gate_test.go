package actors

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/protos"
	"github.com/gmbot/gmbot/telegram"
)

func TestGate_ThreeMessagesAtOnce(t *testing.T) {
	t.Parallel()
	runGate(t, func(t *testing.T, g *gate) {
		var sent []uint64
		for id := range int64(3) {
			sent = append(sent, g.send(message(anna, 10+id, "buy my coins")))
		}
		g.pass(2 * time.Second)
		for _, d := range sent {
			assert.True(t, g.isSettled(d))
		}
		assert.True(t, g.w.deleted[10] && g.w.deleted[11] && g.w.deleted[12], "all three are gone")
		assert.Equal(t, 1, g.w.count(isMute), "one mute")
		assert.Equal(t, 1, g.w.count(isSend), "one notice")
		assert.Len(t, g.w.messages, 1)
		assert.Equal(t, telegram.StatusRestricted, g.w.standingOf(anna).GetStatus())
	})
}

func TestGate_TheNoticeNamesWhoCameLater(t *testing.T) {
	t.Parallel()
	runGate(t, func(t *testing.T, g *gate) {
		g.send(message(anna, 10, "hello"))
		g.pass(100 * time.Millisecond)
		g.send(message(boris, 11, "hello"))
		g.pass(10 * time.Second)
		assert.Equal(t, 1, g.w.count(isSend), "one notice, edited")
		require.Len(t, g.w.messages, 1)
		for _, words := range g.w.messages {
			assert.Contains(t, words, "Anna")
			assert.Contains(t, words, "Boris")
		}
		g.pass(6 * time.Minute)
		assert.Empty(t, g.w.messages, "it goes after its time; the mutes stay")
		assert.Zero(t, g.w.count(isFree))
	})
}

func TestGate_AtMostFiveCallsForAFirstViolation(t *testing.T) {
	t.Parallel()
	runGate(t, func(t *testing.T, g *gate) {
		g.send(message(anna, 10, "hello"))
		g.pass(time.Second)
		assert.Equal(t, 5, g.w.count(func(*protos.Job) bool { return true }), "two questions, mute, delete, notice")
		g.send(message(anna, 11, "hello again"))
		g.pass(time.Second)
		assert.True(t, g.w.deleted[11])
		assert.Equal(t, 1, g.w.count(isMute))
	})
}

func TestGate_AJoinReportedTwice(t *testing.T) {
	t.Parallel()
	runGate(t, func(t *testing.T, g *gate) {
		a := g.send(&protos.Event{Kind: protos.EventKind_MEMBERS_JOINED, Chat: groupChat(), From: user(anna), Users: []*protos.User{user(anna)}, MessageId: 9})
		b := g.send(chatMember(groupChat(), anna, anna, standing(telegram.StatusLeft), standing(telegram.StatusMember)))
		g.pass(2 * time.Second)
		assert.True(t, g.isSettled(a) && g.isSettled(b))
		assert.Equal(t, 1, g.w.count(isMute))
		assert.Equal(t, 1, g.w.count(isSend))
	})
}

func TestGate_KnownMemberCostsNothing(t *testing.T) {
	t.Parallel()
	runGate(t, func(t *testing.T, g *gate) {
		g.w.set(func() { g.w.channel[anna] = true })
		g.send(message(anna, 10, "hello"))
		g.pass(time.Second)
		before := g.w.count(func(*protos.Job) bool { return true })
		for id := range int64(30) {
			d := g.send(message(anna, 11+id, "hello again"))
			g.pass(time.Millisecond)
			require.True(t, g.isSettled(d))
		}
		assert.Equal(t, before, g.w.count(func(*protos.Job) bool { return true }))
		assert.Zero(t, g.w.count(isMute))
		assert.Empty(t, g.w.deleted)
	})
}

func TestGate_JoiningFreesAtOnceAndTheNoticeGoes(t *testing.T) {
	t.Parallel()
	runGate(t, func(t *testing.T, g *gate) {
		g.send(message(anna, 10, "hello"))
		g.pass(2 * time.Second)
		require.Len(t, g.w.messages, 1)
		g.w.set(func() { g.w.channel[anna] = true })
		d := g.send(joinsChannel(anna))
		g.pass(200 * time.Millisecond)
		assert.True(t, g.isSettled(d))
		assert.Equal(t, telegram.StatusMember, g.w.standingOf(anna).GetStatus(), "plain member again")
		g.pass(5 * time.Second)
		assert.Empty(t, g.w.messages, "nobody needs the notice")
		assert.Equal(t, 1, g.w.count(isFree))
	})
}

func TestGate_PressingFrees(t *testing.T) {
	t.Parallel()
	runGate(t, func(t *testing.T, g *gate) {
		g.send(message(anna, 10, "hello"))
		g.pass(2 * time.Second)
		answers := func(words string) int {
			return g.w.count(func(j *protos.Job) bool { return j.GetAnswer().GetText() == words })
		}
		g.pass(5 * time.Second)
		g.send(press(anna, 1001, callbackCheck))
		g.pass(time.Second)
		assert.Equal(t, 1, g.w.count(func(j *protos.Job) bool { return j.GetAnswer().GetAlert() }), "an alert names what is missing")
		g.pass(5 * time.Second)
		g.w.set(func() { g.w.channel[anna] = true })
		d := g.send(press(anna, 1001, callbackCheck))
		g.pass(time.Second)
		assert.True(t, g.isSettled(d))
		assert.Equal(t, 1, answers("Welcome! You can write now."))
		assert.Equal(t, telegram.StatusMember, g.w.standingOf(anna).GetStatus())
		g.send(press(boris, 1001, callbackCheck))
		g.pass(time.Second)
		assert.Equal(t, 1, answers("You are not muted. Go ahead and write."))
	})
}

func TestGate_LeavingTheChannelMutes(t *testing.T) {
	t.Parallel()
	runGate(t, func(t *testing.T, g *gate) {
		g.w.set(func() { g.w.channel[anna] = true })
		g.send(message(anna, 10, "hello"))
		g.pass(time.Minute)
		g.w.set(func() { g.w.channel[anna] = false })
		d := g.send(leavesChannel(anna))
		g.pass(time.Second)
		assert.True(t, g.isSettled(d))
		assert.Equal(t, telegram.StatusRestricted, g.w.standingOf(anna).GetStatus())
		assert.Empty(t, g.w.deleted, "what was written as a member stays")
		// Somebody never seen in the group is not announced there.
		g.send(leavesChannel(777))
		g.pass(time.Second)
		assert.Equal(t, 1, g.w.count(isMute))
	})
}

func TestGate_NobodyIsMutedOnAGuess(t *testing.T) {
	t.Parallel()
	runGate(t, func(t *testing.T, g *gate) {
		g.w.set(func() {
			g.w.fail = func(j *protos.Job) *protos.JobDone {
				if j.GetGetMember().GetChatId() == theChannel {
					return &protos.JobDone{Outcome: protos.Outcome_CANNOT_SAY}
				}
				return nil
			}
		})
		d := g.send(message(anna, 10, "hello"))
		g.pass(time.Minute)
		assert.True(t, g.isSettled(d), "what is open stands in the store")
		assert.Zero(t, g.w.count(isMute))
		assert.Empty(t, g.w.deleted)
		g.w.set(func() { g.w.fail = nil })
		g.pass(6 * time.Minute)
		assert.Equal(t, 1, g.w.count(isMute), "the gate closes by itself when Telegram can say")
		assert.True(t, g.w.deleted[10])
	})
}

func TestGate_AdministratorsAreNeverTouched(t *testing.T) {
	t.Parallel()
	runGate(t, func(t *testing.T, g *gate) {
		for id := range int64(5) {
			d := g.send(message(theOwner, 10+id, "hello"))
			g.pass(time.Second)
			assert.True(t, g.isSettled(d))
		}
		assert.Zero(t, g.w.count(func(j *protos.Job) bool { return j.GetRestrict() != nil }))
		assert.Empty(t, g.w.deleted)
		assert.LessOrEqual(t, g.w.count(func(*protos.Job) bool { return true }), 2, "asked once")
	})
}

func TestGate_AModeratorsMuteIsNeverLifted(t *testing.T) {
	t.Parallel()
	runGate(t, func(t *testing.T, g *gate) {
		g.send(message(anna, 10, "hello"))
		g.pass(2 * time.Second)
		theirs := restricted(telegram.NoPermissions, 0, true)
		g.w.set(func() { g.w.group[anna] = theirs })
		g.send(chatMember(groupChat(), theOwner, anna, restricted(telegram.NoPermissions, ourMark, true), theirs))
		g.pass(2 * time.Second)
		g.w.set(func() { g.w.channel[anna] = true })
		g.send(joinsChannel(anna))
		g.pass(time.Minute)
		assert.Zero(t, g.w.count(isFree))
		assert.Equal(t, telegram.StatusRestricted, g.w.standingOf(anna).GetStatus())
	})
}

func TestGate_ARestartForgetsNobody(t *testing.T) {
	t.Parallel()
	runGate(t, func(t *testing.T, g *gate) {
		g.send(message(anna, 10, "hello"))
		g.pass(2 * time.Second)
		g.restart()
		g.pass(time.Second)
		g.w.set(func() { g.w.channel[anna] = true })
		g.send(joinsChannel(anna))
		g.pass(6 * time.Second)
		assert.Equal(t, telegram.StatusMember, g.w.standingOf(anna).GetStatus())
		assert.Empty(t, g.w.messages, "the notice of the earlier life goes too")
	})
}

func TestGate_StoppedInTheMiddleOfAMute(t *testing.T) {
	t.Parallel()
	runGate(t, func(t *testing.T, g *gate) {
		g.w.set(func() {
			g.w.fail = func(j *protos.Job) *protos.JobDone {
				if isMute(j) {
					return &protos.JobDone{Outcome: protos.Outcome_FAILED}
				}
				return nil
			}
		})
		g.send(message(anna, 10, "hello"))
		g.pass(2 * time.Second)
		f, err := g.store.Flow(t.Context(), theGroup, anna)
		require.NoError(t, err)
		assert.Equal(t, persistence.Muting, f.State)
		g.w.set(func() { g.w.fail = nil })
		g.restart()
		g.pass(time.Minute)
		assert.Equal(t, telegram.StatusRestricted, g.w.standingOf(anna).GetStatus())
		assert.Len(t, g.w.messages, 1)
	})
}

func TestGate_AnAnswerLostTwice(t *testing.T) {
	t.Parallel()
	runGate(t, func(t *testing.T, g *gate) {
		lost := 0
		g.w.set(func() {
			g.w.fail = func(j *protos.Job) *protos.JobDone {
				if j.GetRestrict() == nil || lost >= 2 {
					return nil
				}
				lost++
				g.w.restrict(j.GetRestrict()) // the effect happens, its answer is lost
				return &protos.JobDone{Outcome: protos.Outcome_UNCLEAR}
			}
		})
		g.send(message(anna, 10, "hello"))
		g.pass(time.Minute)
		assert.Equal(t, 1, g.w.count(isMute), "it looks before it acts again")
		g.w.set(func() { g.w.channel[anna] = true })
		g.send(joinsChannel(anna))
		g.pass(time.Minute)
		assert.Equal(t, telegram.StatusMember, g.w.standingOf(anna).GetStatus())
		_, err := g.store.Flow(t.Context(), theGroup, anna)
		assert.ErrorIs(t, err, persistence.ErrNotFound)
	})
}

func TestGate_TheSameUpdateTwice(t *testing.T) {
	t.Parallel()
	runGate(t, func(t *testing.T, g *gate) {
		e := message(anna, 10, "hello")
		g.send(e)
		g.pass(2 * time.Second)
		g.w.set(func() { g.w.channel[anna] = true })
		g.send(joinsChannel(anna))
		g.pass(2 * time.Second)
		g.restart()
		again := message(anna, 10, "hello")
		again.UpdateId, again.Delivery, again.Attempt, again.Date = e.GetUpdateId(), 9999, 1, e.GetDate()
		g.s.Deliver(again)
		g.pass(2 * time.Second)
		assert.True(t, g.isSettled(9999))
		assert.Equal(t, 1, g.w.count(isMute), "done in an earlier life")
	})
}

func TestGate_UnprotectFreesEverybody(t *testing.T) {
	t.Parallel()
	runGate(t, func(t *testing.T, g *gate) {
		g.send(message(anna, 10, "hello"))
		g.send(message(boris, 11, "hello"))
		g.pass(2 * time.Second)
		require.Equal(t, 2, g.w.count(isMute))
		g.send(message(theOwner, 12, "/unprotect"))
		g.pass(2 * time.Second)
		g.send(press(anna, 1003, callbackUnprotect))
		g.pass(2 * time.Second)
		assert.Zero(t, g.w.count(isFree), "only administrators turn it off")
		g.send(press(theOwner, 1003, callbackUnprotect))
		g.pass(5 * time.Second)
		assert.Equal(t, telegram.StatusMember, g.w.standingOf(anna).GetStatus())
		assert.Equal(t, telegram.StatusMember, g.w.standingOf(boris).GetStatus())
		g.send(message(anna, 13, "hello"))
		g.pass(time.Second)
		assert.False(t, g.w.deleted[13])
	})
}

func TestGate_AStrangersCommandIsAStrangersMessage(t *testing.T) {
	t.Parallel()
	runGate(t, func(t *testing.T, g *gate) {
		for i, words := range []string{"/help buy my coins", "/status@other_bot", "/protect @mine"} {
			g.send(message([]int64{anna, boris, anna}[i], int64(10+i), words))
		}
		g.pass(3 * time.Second)
		assert.True(t, g.w.deleted[10] && g.w.deleted[11] && g.w.deleted[12])
		assert.Equal(t, 2, g.w.count(isMute))
	})
}

// What a channel said before a message is not what the person is muted for after it: joining may not have been told.
func TestGate_AMessageThatJoinsALookHasTheChannelAskedAgain(t *testing.T) {
	t.Parallel()
	runGate(t, func(t *testing.T, g *gate) {
		flooded := false
		g.w.set(func() {
			g.w.fail = func(j *protos.Job) *protos.JobDone {
				if j.GetGetMember().GetChatId() != theGroup || flooded {
					return nil
				}
				flooded = true
				return &protos.JobDone{Outcome: protos.Outcome_FLOOD, RetryAfterS: 3}
			}
		})
		g.send(message(anna, 10, "hello"))
		g.pass(time.Second)
		g.w.set(func() { g.w.channel[anna] = true })
		d := g.send(message(anna, 11, "I have joined"))
		g.pass(time.Minute)
		assert.True(t, g.isSettled(d))
		assert.Zero(t, g.w.count(isMute))
		assert.False(t, g.w.deleted[11])
	})
}
