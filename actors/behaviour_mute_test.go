package actors

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/telegram/simulator"
)

func without(names ...string) simulator.Permissions {
	p := simulator.AllPermissions()
	for _, n := range names {
		p[n] = false
	}
	return p
}

func TestMutes_WhatAPersonHadBeforeComesBack(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		until := time.Now().Add(48 * time.Hour).Unix()
		require.NoError(t, w.Restrict(w.group, w.olga, w.anna, without("can_send_photos", "can_send_polls"), until))
		w.says(w.group, w.anna, "hello")
		w.pass(5 * time.Second)
		require.True(t, w.muted(w.anna))
		require.NoError(t, w.Join(w.channel, w.anna))
		w.pass(5 * time.Second)
		m := w.Member(w.group, w.anna)
		assert.Equal(t, simulator.Restricted, m.Status)
		assert.Equal(t, until, m.Until)
		assert.Equal(t, without("can_send_photos", "can_send_polls"), m.Permissions, "as it was")
	})
}

func TestMutes_ARestrictionThatEndedMeanwhileDoesNotComeBack(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		require.NoError(t, w.Restrict(w.group, w.olga, w.anna, without("can_send_photos"), time.Now().Add(time.Hour).Unix()))
		w.says(w.group, w.anna, "hello")
		w.pass(5 * time.Second)
		w.away(2 * time.Hour)
		require.NoError(t, w.Join(w.channel, w.anna))
		w.pass(5 * time.Second)
		assert.True(t, w.free(w.anna))
	})
}

func TestMutes_AModeratorActsBetweenOurLookAndOurMute(t *testing.T) {
	t.Parallel()
	o := simulator.Options{Latency: func(method string) time.Duration {
		return map[string]time.Duration{"restrictChatMember": 2 * time.Second}[method]
	}}
	runTown(t, o, func(t *testing.T, w *town) {
		w.protect()
		w.says(w.group, w.anna, "hello")
		w.pass(time.Second)
		until := time.Now().Add(48 * time.Hour).Unix()
		require.NoError(t, w.Restrict(w.group, w.olga, w.anna, simulator.Permissions{}, until))
		w.pass(10 * time.Second)
		require.NoError(t, w.Join(w.channel, w.anna))
		w.pass(10 * time.Second)
		m := w.Member(w.group, w.anna)
		assert.True(t, w.muted(w.anna), "the moderator's mute is put back")
		assert.Equal(t, until, m.Until, "neither shortened nor prolonged")
	})
}

func TestMutes_AModeratorTakesOver(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.says(w.group, w.anna, "hello")
		w.pass(5 * time.Second)
		require.NoError(t, w.Restrict(w.group, w.olga, w.anna, simulator.Permissions{}, 0))
		w.pass(5 * time.Second)
		require.NoError(t, w.Join(w.channel, w.anna))
		w.pass(time.Minute)
		assert.True(t, w.muted(w.anna))
		assert.Empty(t, w.notices(), "joining would not help, so nobody is told to")
		a, err := w.store.FlowsOfUser(t.Context(), w.anna)
		require.NoError(t, err)
		assert.Empty(t, a)
	})
}

func TestMutes_UnmutedByHandIsExempt(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.says(w.group, w.anna, "hello")
		w.pass(5 * time.Second)
		require.True(t, w.muted(w.anna))
		require.NoError(t, w.Restrict(w.group, w.olga, w.anna, simulator.AllPermissions(), 0))
		// She writes in the same moment: her message may overtake the news of the unmute.
		id := w.says(w.group, w.anna, "thank you")
		w.pass(time.Minute)
		assert.True(t, w.there(w.group, id))
		assert.True(t, w.free(w.anna))
		assert.Empty(t, w.notices())
		w.restart()
		id = w.says(w.group, w.anna, "still here")
		w.pass(5 * time.Second)
		assert.True(t, w.there(w.group, id), "exempt, also after a restart")
		assert.Equal(t, 1, w.calls("restrictChatMember", w.anna))
	})
}

func TestMutes_AdministratorsAreNeverSentToRestrict(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.admit(w.group, "can_restrict_members", "can_delete_messages", "can_promote_members")
		w.protect()
		w.says(w.group, w.anna, "hello")
		w.pass(5 * time.Second)
		require.True(t, w.muted(w.anna))
		w.ResetCalls()
		require.NoError(t, w.Promote(w.group, w.olga, w.anna, simulator.Rights("can_pin_messages")))
		require.NoError(t, w.Join(w.channel, w.anna))
		w.pass(time.Minute)
		assert.Zero(t, w.calls("restrictChatMember", w.anna), "all flags true would demote her")
		assert.Equal(t, simulator.Administrator, w.Member(w.group, w.anna).Status)
		require.NoError(t, w.Leave(w.channel, w.anna))
		id := w.says(w.group, w.anna, "hello")
		w.pass(5 * time.Second)
		assert.True(t, w.there(w.group, id))
		require.NoError(t, w.Leave(w.channel, w.olga))
		id = w.says(w.group, w.olga, "I own this")
		w.pass(5 * time.Second)
		assert.True(t, w.there(w.group, id))
	})
}

func TestMutes_LeavingTheGroupAndComingBackFree(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.says(w.group, w.anna, "hello")
		w.pass(5 * time.Second)
		require.NoError(t, w.Leave(w.group, w.anna))
		w.pass(5 * time.Second)
		assert.Empty(t, w.notices(), "who left needs no notice")
		require.NoError(t, w.Join(w.channel, w.anna))
		w.pass(5 * time.Second)
		require.NoError(t, w.Join(w.group, w.anna))
		w.pass(5 * time.Second)
		assert.True(t, w.free(w.anna))
		assert.Empty(t, w.notices())
	})
}

func TestMutes_WhoIsNotInTheGroupIsNotAnnouncedThere(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		require.NoError(t, w.Join(w.channel, w.anna))
		w.says(w.group, w.anna, "hello")
		w.pass(time.Minute)
		require.NoError(t, w.Leave(w.group, w.anna))
		w.pass(5 * time.Second)
		require.NoError(t, w.Leave(w.channel, w.anna))
		w.pass(10 * time.Second)
		assert.Empty(t, w.notices())
		assert.Zero(t, w.calls("restrictChatMember", 0))
	})
}

func TestMutes_LeavingAChannelMutesEverywhere(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		other := w.NewSupergroup("Other", "", w.olga)
		w.admit(other, "can_restrict_members", "can_delete_messages")
		require.NoError(t, w.Join(other, w.anna))
		w.says(other, w.olga, "/protect @news_here")
		require.NoError(t, w.Join(w.channel, w.anna))
		w.pass(10 * time.Second)
		w.says(w.group, w.anna, "hello")
		w.says(other, w.anna, "hello")
		w.pass(time.Minute)
		require.NoError(t, w.Leave(w.channel, w.anna))
		w.pass(5 * time.Second)
		assert.True(t, w.muted(w.anna))
		assert.Equal(t, simulator.Restricted, w.Member(other, w.anna).Status)
		require.NoError(t, w.Join(w.channel, w.anna))
		w.pass(5 * time.Second)
		assert.True(t, w.free(w.anna))
		assert.Equal(t, simulator.MemberStatus, w.Member(other, w.anna).Status)
	})
}

func TestMutes_DeleteOnly(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.wish(func(s *persistence.Settings) { s.Action = persistence.ActionDelete })
		for range 3 {
			id := w.says(w.group, w.anna, "hello")
			w.pass(5 * time.Second)
			assert.False(t, w.there(w.group, id))
		}
		assert.Zero(t, w.calls("restrictChatMember", 0))
		require.Len(t, w.notices(), 1)
		require.NoError(t, w.Join(w.channel, w.anna))
		w.pass(5 * time.Second)
		assert.Empty(t, w.notices(), "she needs it no more")
		id := w.says(w.group, w.anna, "hello")
		w.pass(5 * time.Second)
		assert.True(t, w.there(w.group, id))
	})
}

func TestMutes_WarnFirst(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.wish(func(s *persistence.Settings) { s.Action, s.Warnings = persistence.ActionWarn, 2 })
		for i := range 3 {
			for range 2 { // what follows at once is deleted, and is no further warning
				id := w.says(w.group, w.anna, "hello")
				w.pass(8 * time.Second)
				assert.False(t, w.there(w.group, id))
				assert.Equal(t, i == 2, w.muted(w.anna), "warned twice, then muted")
				if i == 2 {
					break
				}
				require.Len(t, w.notices(), 1)
				assert.Contains(t, w.notices()[0].Text, fmt.Sprintf("(warning %d of 2)", i+1))
				if i == 0 {
					w.restart()
				}
			}
			w.pass(warnAgain)
		}
		require.Len(t, w.notices(), 1)
		assert.Contains(t, w.notices()[0].Text, "You are freed the moment you join", "no warning any more")
	})
}

func TestMutes_PressedWhereNobodyIsMuted(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.wish(func(s *persistence.Settings) { s.Action = persistence.ActionDelete })
		w.says(w.group, w.anna, "hello")
		w.pass(5 * time.Second)
		m := w.notices()[0]
		a := w.presses(w.group, m.ID, w.anna, callbackCheck)
		assert.Contains(t, a.Text, "Still missing: News", "what she writes is deleted all the same")
		require.NoError(t, w.Join(w.channel, w.anna))
		w.pass(5 * time.Second)
		assert.Empty(t, w.notices())
	})
}

func TestMutes_NewcomersHaveTime(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.wish(func(s *persistence.Settings) { s.GraceMinutes = 15 })
		eva, carl := w.NewUser("Eva", ""), w.NewUser("Carl", "")
		require.NoError(t, w.Join(w.group, eva))
		require.NoError(t, w.Join(w.group, carl))
		w.pass(10 * time.Second)
		m, ok := w.find(w.group, "To go on writing here, please join the channel below within 15 minutes.")
		require.True(t, ok)
		assert.Contains(t, m.Text, "Eva")
		assert.Contains(t, m.Text, "Carl")
		assert.Equal(t, "https://t.me/news_here", buttons(m)[0].URL)
		words := w.says(w.group, eva, "hello")
		a := w.presses(w.group, m.ID, eva, callbackCheck)
		assert.Contains(t, a.Text, "Still missing: News")
		w.restart()
		w.pass(5 * time.Minute)
		assert.False(t, w.muted(eva))
		assert.True(t, w.there(w.group, words), "what newcomers write in their time stays")
		require.NoError(t, w.Join(w.channel, carl))
		late := w.says(w.group, w.anna, "hello")
		w.pass(5 * time.Second)
		assert.True(t, w.muted(w.anna), "who is here for long has none")
		assert.False(t, w.there(w.group, late))
		w.pass(10 * time.Minute)
		assert.True(t, w.muted(eva), "the time is over")
		assert.True(t, w.there(w.group, words))
		assert.True(t, w.free(carl), "joined in time")
		assert.Zero(t, w.calls("restrictChatMember", carl))
		require.Len(t, w.notices(), 1)
		require.NoError(t, w.Join(w.channel, eva))
		w.pass(5 * time.Second)
		assert.True(t, w.free(eva))
	})
}

func TestMutes_RemovedAfterSomeHours(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.wish(func(s *persistence.Settings) { s.RemoveHours = 6 })
		w.says(w.group, w.anna, "hello")
		w.says(w.group, w.boris, "hello")
		w.pass(5 * time.Second)
		w.away(5*time.Hour + 50*time.Minute)
		require.NoError(t, w.Join(w.channel, w.boris))
		w.pass(8 * time.Minute)
		assert.True(t, w.Member(w.group, w.anna).Present())
		w.pass(3 * time.Minute)
		assert.False(t, w.Member(w.group, w.anna).Present(), "did not join in time")
		assert.True(t, w.free(w.boris))
		w.pass(10 * time.Minute)
		require.NoError(t, w.Join(w.group, w.anna), "and may come back")
	})
}

func TestMutes_AFreeingIsTriedSoonAgainInANewLife(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.says(w.group, w.anna, "hello")
		w.pass(5 * time.Second)
		require.True(t, w.muted(w.anna))
		broken := simulator.Fault{Kind: simulator.FaultBroken, Method: "restrictChatMember", ChatID: w.group}
		heal := w.Fail(broken)
		require.NoError(t, w.Join(w.channel, w.anna))
		w.pass(15 * time.Minute)
		require.True(t, w.muted(w.anna), "for long nothing could be done, and the pauses have become long")
		heal()
		broken.Times = 1
		w.Fail(broken)
		w.restart()
		w.pass(30 * time.Second)
		assert.True(t, w.free(w.anna), "one more call that fails is the first of this life")
	})
}

func TestMutes_DryRun(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.says(w.group, w.olga, "/dryrun on")
		w.pass(5 * time.Second)
		id := w.says(w.group, w.anna, "hello")
		w.pass(10 * time.Second)
		assert.True(t, w.there(w.group, id))
		assert.Zero(t, w.calls("restrictChatMember", 0))
		assert.Empty(t, w.notices())
		trail, err := w.store.AuditOf(t.Context(), w.group, w.anna, 5)
		require.NoError(t, err)
		require.NotEmpty(t, trail)
		assert.Contains(t, trail[0].Detail, "would be muted")
		w.says(w.group, w.olga, "/dryrun off")
		w.pass(5 * time.Second)
		w.says(w.group, w.anna, "hello")
		w.pass(5 * time.Second)
		assert.True(t, w.muted(w.anna))
	})
}

func TestMutes_CommitsAreGatheredInABurst(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.counts = prometheus.NewRegistry()
		w.restart()
		w.says(w.group, w.boris, "hello") // the group is read
		w.pass(5 * time.Second)
		const crowd = 200
		asked, looked := w.store.reads(t), w.looks(t)
		var people []int64
		for i := range crowd {
			who := w.NewUser("Stranger "+itoa(int64(i)), "")
			people = append(people, who)
			require.NoError(t, w.Join(w.group, who))
		}
		w.store.slow.Store(int64(2 * time.Millisecond)) // as a disk is
		defer w.store.slow.Store(0)
		before := w.store.commits.Load()
		w.pass(10 * time.Second)
		for _, who := range people {
			require.True(t, w.muted(who))
		}
		each := float64(w.store.commits.Load()-before) / crowd
		t.Logf("%.3f transactions for each of %d violations at once", each, crowd)
		assert.Less(t, each, 0.2)
		reads, others := 0, 0
		for name, n := range w.store.reads(t) {
			if name == "person" {
				reads = n - asked[name]
			} else if !slices.Contains([]string{"due_before", "removals_before", "join_requests_before", "muted_flows"}, name) { // by the clock
				others += n - asked[name]
			}
		}
		t.Logf("%d questions to the store about a person, %d others", reads, others)
		// Whether Telegram tells of the bot's own mute while the look goes on or just after it, which is another look, is open.
		looks := w.looks(t) - looked
		assert.Equal(t, looks, reads, "one for each look at a person")
		assert.LessOrEqual(t, looks, 2*crowd, "at the newcomer, and at the mute")
		assert.Less(t, others, 10, "and a few for all of them together")
	})
}

func TestMutes_FewCommitsAFlow(t *testing.T) {
	t.Parallel()
	var w *town
	var atMute atomic.Int64
	o := simulator.Options{OnCall: func(c simulator.Call) {
		if c.Method == "restrictChatMember" && atMute.Load() == 0 {
			atMute.Store(w.store.commits.Load())
		}
	}}
	runTown(t, o, func(t *testing.T, here *town) {
		w = here
		w.protect()
		w.pass(10 * time.Second)
		before := w.store.commits.Load()
		w.says(w.group, w.anna, "hello")
		w.pass(5 * time.Second)
		require.True(t, w.muted(w.anna))
		assert.LessOrEqual(t, atMute.Load()-before, int64(2), "before the mute")
		notice := int64(2) // its intent, and its id
		joined := w.store.commits.Load()
		assert.LessOrEqual(t, joined-before, 3+notice)
		require.NoError(t, w.Join(w.channel, w.anna))
		w.pass(5 * time.Second)
		require.True(t, w.free(w.anna))
		t.Logf("%d commits before the mute, %d until muted and told, %d in all", atMute.Load()-before, joined-before, w.store.commits.Load()-before)
		assert.LessOrEqual(t, w.store.commits.Load()-before, int64(5+3+1), "five of the flow, three of the notice, and perhaps the minute's note")
	})
}

// looks counts the verifications that began.
func (w *town) looks(t *testing.T) int {
	t.Helper()
	return int(testutil.ToFloat64(w.s.d.metrics.spawns.WithLabelValues("verification")))
}
