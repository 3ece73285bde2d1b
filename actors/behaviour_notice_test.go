package actors

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/telegram/simulator"
)

func TestNotices_SayWhoWhyAndHow(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		two := w.second("Two & <more>", "news_two")
		w.protect("@news_here", "@news_two")
		require.NoError(t, w.Join(two, w.anna))
		w.says(w.group, w.anna, "hello")
		w.says(w.group, w.boris, "hello")
		w.pass(15 * time.Second)
		require.Len(t, w.notices(), 1)
		n := w.notices()[0]
		assert.Contains(t, n.Text, "Anna")
		assert.Contains(t, n.Text, "Boris")
		assert.Contains(t, string(n.Entities), "text_mention", "a mention that works without a username")
		b := buttons(n)
		require.Len(t, b, 3, "the union of what they miss, and the one to press")
		assert.Equal(t, button{Text: "News", URL: "https://t.me/news_here", Style: "primary"}, b[0])
		assert.Equal(t, "Two & <more>", b[1].Text)
		assert.Equal(t, button{Text: "I have joined", Data: callbackCheck, Style: "success"}, b[2])
	})
}

func TestNotices_ThePressSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.second("Two", "news_two")
		w.protect("@news_here", "@news_two")
		require.NoError(t, w.Join(w.channel, w.anna))
		w.says(w.group, w.anna, "hello")
		w.pass(15 * time.Second)
		n := w.notices()[0]
		a := w.presses(w.group, n.ID, w.anna, callbackCheck)
		assert.True(t, a.ShowAlert)
		assert.Contains(t, a.Text, "Two")
		assert.NotContains(t, a.Text, "News")
		a = w.presses(w.group, n.ID, w.boris, callbackCheck)
		assert.Contains(t, a.Text, "not muted", "it only concerns who presses")
		up := w.Fail(simulator.Fault{Kind: simulator.FaultLatency, Method: "getChatMember", For: simulator.For(5 * time.Second)})
		w.pass(5 * time.Second)
		began := time.Now()
		a = w.presses(w.group, n.ID, w.anna, callbackCheck)
		assert.Contains(t, a.Text, "Still checking")
		assert.Less(t, time.Since(began), time.Second)
		up()
	})
}

func TestNotices_ImpatientPressesCostOneLookUp(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.says(w.group, w.anna, "hello")
		w.pass(30 * time.Second)
		w.ResetCalls()
		n := w.notices()[0]
		for range 10 {
			w.presses(w.group, n.ID, w.anna, callbackCheck)
			w.pass(250 * time.Millisecond)
		}
		asked := 0
		for _, c := range w.CallsOf("getChatMember") {
			if fmt.Sprint(c.Params["chat_id"]) == itoa(w.channel) {
				asked++
			}
		}
		assert.Equal(t, 1, asked, "afresh, past every cache, and not more often")
		assert.Equal(t, 10, w.calls("answerCallbackQuery", 0), "and every press is answered")
	})
}

func TestNotices_EndWithTheirTime(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.wish(func(s *persistence.Settings) { s.NoticeSeconds = 60 })
		w.says(w.group, w.anna, "hello")
		w.pass(30 * time.Second)
		require.Len(t, w.notices(), 1)
		w.restart()
		w.pass(35 * time.Second)
		assert.Empty(t, w.notices(), "also after a restart")
		assert.True(t, w.muted(w.anna), "the mute stays")
	})
}

func TestNotices_GoneWhenNobodyNeedsThem(t *testing.T) {
	t.Parallel()
	for name, act := range map[string]func(w *town){
		"banned":  func(w *town) { _ = w.Ban(w.group, w.olga, w.anna) },
		"left":    func(w *town) { _ = w.Leave(w.group, w.anna) },
		"joined":  func(w *town) { _ = w.Join(w.channel, w.anna) },
		"unmuted": func(w *town) { _ = w.Restrict(w.group, w.olga, w.anna, simulator.AllPermissions(), 0) },
		"off": func(w *town) {
			w.says(w.group, w.olga, "/unprotect")
			w.pass(5 * time.Second)
			m, _ := w.find(w.group, "Turn protection off?")
			w.presses(w.group, m.ID, w.olga, callbackUnprotect)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
				w.protect()
				w.says(w.group, w.anna, "hello")
				w.pass(10 * time.Second)
				require.Len(t, w.notices(), 1)
				act(w)
				w.pass(5 * time.Second)
				assert.Empty(t, w.notices())
			})
		})
	}
}

func TestNotices_AModeratorsDeletionIsNotFoughtOver(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.says(w.group, w.anna, "hello")
		w.pass(10 * time.Second)
		w.DeleteAsModerator(w.group, w.notices()[0].ID)
		w.pass(2 * time.Minute)
		assert.Empty(t, w.notices(), "not sent again")
		w.says(w.group, w.boris, "hello")
		w.pass(15 * time.Second)
		require.Len(t, w.notices(), 1, "a new one for new people")
		assert.Contains(t, w.notices()[0].Text, "Boris")
	})
}

func TestNotices_OneWhoseAnswerWasLostIsLookedFor(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		for range 3 {
			w.says(w.group, w.olga, "chatter")
		}
		w.Fail(simulator.Fault{Kind: simulator.FaultLost, Method: "sendMessage", Times: 1})
		w.says(w.group, w.anna, "hello")
		w.pass(30 * time.Second)
		require.Len(t, w.notices(), 1, "no second one")
		w.says(w.group, w.boris, "hello")
		w.pass(15 * time.Second)
		require.Len(t, w.notices(), 1)
		assert.Contains(t, w.notices()[0].Text, "Boris", "it was found, and is edited")
		require.NoError(t, w.Join(w.channel, w.anna))
		require.NoError(t, w.Join(w.channel, w.boris))
		w.pass(10 * time.Second)
		assert.Empty(t, w.notices())
	})
}

func TestNotices_OneThatWasNeverSentIsSent(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.Fail(simulator.Fault{Kind: simulator.FaultBroken, Method: "sendMessage", Times: 1})
		w.says(w.group, w.anna, "hello")
		w.pass(30 * time.Second)
		assert.Len(t, w.notices(), 1)
	})
}

func TestNotices_Quiet(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.wish(func(s *persistence.Settings) { s.Quiet = true })
		w.says(w.group, w.anna, "hello")
		w.pass(10 * time.Second)
		assert.True(t, w.muted(w.anna))
		assert.Empty(t, w.notices())
	})
}

func TestNotices_HostileNames(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		title := `</b><a href="https://evil.example">News & _more_ *now* "x"`
		w.Rename(w.channel, title)
		w.protect()
		names := []string{
			`<b>bold</b>`, `a & b`, `_under_*star*`, `"quotes" 'too'`, "\u202eright to left", "שלום עולם", strings.Repeat("🦊", 64), " ", "\u200f",
			`<a href="tg://user?id=1">x</a>`, "``code``", "[link](https://evil.example)",
		}
		for _, name := range names {
			id := w.NewUser(name, "")
			require.NoError(t, w.Join(w.group, id))
			w.pass(10 * time.Second)
			assert.True(t, w.muted(id), "%q", name)
			require.Len(t, w.notices(), 1, "%q: every text arrives", name)
		}
		for _, c := range w.Calls() {
			assert.NotContains(t, c.Error, "can't parse entities")
		}
		assert.Equal(t, title, buttons(w.notices()[0])[0].Text)
	})
}

// 300 people join one group within a second, with Telegram's real limits on messages.
func TestRaid(t *testing.T) {
	t.Parallel()
	o := simulator.Options{
		Switches: simulator.Switches{MessageLimits: true},
		Latency: func(method string) time.Duration {
			if method == "getUpdates" {
				return 0
			}
			return 50 * time.Millisecond
		},
	}
	runTown(t, o, func(t *testing.T, w *town) {
		w.protect()
		other := w.NewSupergroup("Other", "", w.olga)
		w.admit(other, "can_restrict_members", "can_delete_messages")
		require.NoError(t, w.Join(other, w.boris))
		w.says(other, w.olga, "/protect @news_here")
		w.pass(2 * time.Minute)
		began := time.Now()
		var raiders []int64
		for i := range 300 {
			id := w.NewUser(fmt.Sprintf("Raider %d", i), "")
			raiders = append(raiders, id)
			require.NoError(t, w.Join(w.group, id))
			w.pass(3 * time.Millisecond)
		}
		left := func() (n int) {
			for _, id := range raiders {
				if !w.muted(id) {
					n++
				}
			}
			return n
		}
		require.NotZero(t, left(), "the neighbour writes in the middle of it")
		wrote := time.Now()
		w.says(other, w.boris, "hello from next door")
		for w.Member(other, w.boris).Status != simulator.Restricted {
			w.pass(10 * time.Millisecond)
			require.Less(t, time.Since(wrote), 500*time.Millisecond, "the group next door feels nothing")
		}
		t.Logf("next door muted after %s", time.Since(wrote))
		for left() > 0 {
			w.pass(100 * time.Millisecond)
			require.Less(t, time.Since(began), 40*time.Second, "%d are not muted yet", left())
		}
		t.Logf("300 muted after %s", time.Since(began))
		w.pass(10 * time.Second)
		require.Len(t, w.notices(), 1)
		assert.Contains(t, w.notices()[0].Text, "and 295 others", "all are named or counted within 10 s of the last mute")
		assert.Zero(t, w.IgnoredFloods(), "what Telegram asks for is respected")
		assert.Less(t, w.calls("sendMessage", 0)+w.calls("editMessageText", 0), 40)
		w.pass(6 * time.Minute)
		assert.Empty(t, w.notices())
	})
}

// A command waits for Telegram's answers, and nobody else waits for the command.
func TestNextDoor_ASlowCommandKeepsNobodyWaiting(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		other := w.NewSupergroup("Other", "", w.olga)
		w.admit(other, "can_restrict_members", "can_delete_messages")
		healed := w.Fail(simulator.Fault{Kind: simulator.FaultLatency, Method: "getChat", For: simulator.Spread{Low: 4 * time.Second}})
		w.says(other, w.olga, "/protect @news_here")
		w.pass(300 * time.Millisecond)
		w.says(w.group, w.anna, "hello from next door")
		w.pass(700 * time.Millisecond)
		assert.True(t, w.muted(w.anna), "within a second")
		assert.False(t, w.has(other, "is protected"), "while the command still waits")
		healed()
		w.pass(10 * time.Second)
		assert.True(t, w.has(other, "is protected"))
	})
}
