package main

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/telegram/simulator"
)

const notice = "please join"

func press(t *testing.T, w *town, user int64) simulator.Answer {
	t.Helper()
	m, ok := w.find(w.group, notice)
	require.True(t, ok, "there is a notice")
	data := buttonData(m.ReplyMarkup)
	require.NotEmpty(t, data)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		a, err := w.Press(ctx, w.group, m.ID, user, data[len(data)-1])
		require.NoError(t, err)
		if !strings.HasPrefix(a.Text, "Still checking") { // as who presses hears after 0.8 s, however busy the machine is
			return a
		}
	}
}

func TestE2E_ProtectMuteJoinFree(t *testing.T) {
	t.Parallel()
	w := startTown(t, simulator.Options{})
	runOn(t, w, newDB(t))
	w.protect(t)
	id := w.write(t, w.anna, "buy my coins")
	w.until(t, "the message goes", w.gone(id))
	w.until(t, "she is muted", w.muted(w.anna))
	w.until(t, "a notice shows the way", w.has(w.group, notice))
	_, err := w.Write(w.group, w.anna, "again")
	require.ErrorIs(t, err, simulator.ErrMayNot)
	require.NoError(t, w.Join(w.channel, w.anna))
	w.until(t, "she is a plain member again, not restricted", w.free(w.anna))
	w.until(t, "the notice goes", func() bool { return !w.has(w.group, notice)() })
	w.write(t, w.anna, "hello")
	w.once(t, "one mute", func() int { return w.mutes(w.anna) })
}

func TestE2E_ThreeMessagesAtOnce(t *testing.T) {
	t.Parallel()
	w := startTown(t, simulator.Options{Latency: func(string) time.Duration { return 30 * time.Millisecond }})
	runOn(t, w, newDB(t))
	w.protect(t)
	var ids []int64
	for range 3 {
		ids = append(ids, w.write(t, w.anna, "coins"))
	}
	w.until(t, "all three go, and she is muted", func() bool {
		return w.gone(ids[0])() && w.gone(ids[1])() && w.gone(ids[2])() && w.muted(w.anna)() && w.has(w.group, notice)()
	})
	w.once(t, "one mute", func() int { return w.mutes(w.anna) })
	w.once(t, "one notice", w.notices)
}

func TestE2E_AJoinIsReportedTwice(t *testing.T) {
	t.Parallel()
	w := startTown(t, simulator.Options{})
	runOn(t, w, newDB(t))
	w.protect(t)
	carl := w.NewUser("Carl", "")
	require.NoError(t, w.Join(w.group, carl))
	w.until(t, "he is muted and told", func() bool { return w.muted(carl)() && w.has(w.group, notice)() })
	w.once(t, "one mute", func() int { return w.mutes(carl) })
	w.once(t, "one notice", w.notices)
	a := press(t, w, carl)
	assert.True(t, a.ShowAlert)
	assert.Contains(t, a.Text, "News & <Views>", "an alert is plain text")
	require.NoError(t, w.Join(w.channel, carl))
	w.until(t, "he is free", w.free(carl))
}

func TestE2E_AKnownMemberCostsNothing(t *testing.T) {
	t.Parallel()
	w := startTown(t, simulator.Options{})
	runOn(t, w, newDB(t))
	require.NoError(t, w.Join(w.channel, w.boris))
	w.protect(t)
	w.write(t, w.boris, "good morning")
	w.until(t, "he is looked up, in the channel and in the group", func() bool {
		n := 0
		for _, c := range w.CallsOf("getChatMember") {
			if fmt.Sprint(c.Params["user_id"]) == fmt.Sprint(w.boris) {
				n++
			}
		}
		return n == 2
	})
	w.settled(t)
	before := len(w.Calls())
	for i := range 30 {
		w.write(t, w.boris, fmt.Sprintf("line %d", i))
	}
	w.settled(t)
	assert.Len(t, w.Calls(), before, "30 messages, no call")
}

func TestE2E_ManyGroupsAtOnce(t *testing.T) {
	t.Parallel()
	w := startTown(t, simulator.Options{})
	runOn(t, w, newDB(t))
	type place struct{ group, channel, stranger int64 }
	var places []place
	for i := range 25 {
		p := place{
			channel: w.NewChannel(fmt.Sprintf("Channel %d", i), fmt.Sprintf("channel_%d", i), w.olga),
			group:   w.NewSupergroup(fmt.Sprintf("Group %d", i), "", w.olga), stranger: w.NewUser("Stranger", ""),
		}
		require.NoError(t, w.Promote(p.channel, w.olga, w.bot.ID, simulator.Rights("can_invite_users")))
		require.NoError(t, w.Promote(p.group, w.olga, w.bot.ID, simulator.Rights("can_restrict_members", "can_delete_messages")))
		require.NoError(t, w.Join(p.group, p.stranger))
		places = append(places, p)
	}
	for i, p := range places {
		_, err := w.Write(p.group, w.olga, fmt.Sprintf("/protect @channel_%d", i))
		require.NoError(t, err)
	}
	for i, p := range places {
		w.until(t, "each group is protected", w.has(p.group, fmt.Sprintf("Channel %d", i)))
		_, err := w.Write(p.group, p.stranger, "hello")
		require.NoError(t, err)
	}
	for i, p := range places {
		w.until(t, "each stranger is muted", func() bool { return w.Member(p.group, p.stranger).Status == simulator.Restricted })
		other := places[(i+1)%len(places)]
		require.NoError(t, w.Join(other.channel, p.stranger))
	}
	for _, p := range places {
		require.NoError(t, w.Join(p.channel, p.stranger))
		w.until(t, "only the own channel frees", func() bool { return w.Member(p.group, p.stranger).Status == simulator.MemberStatus })
	}
}

// Somebody is muted when the program ends, in order or not; the next one owes them everything.
func TestE2E_Restart(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		db  func(*testing.T) string
		end func(*program)
	}{
		"terminated":           {newDB, func(p *program) { assert.Zero(t, p.terminate()) }},
		"killed":               {newDB, (*program).kill},
		"killed on PostgreSQL": {newPostgres, (*program).kill},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := startTown(t, simulator.Options{})
			db := c.db(t)
			p := runOn(t, w, db)
			w.protect(t)
			carl, dora, emil := w.NewUser("Carl", ""), w.NewUser("Dora", ""), w.NewUser("Emil", "")
			for _, who := range []int64{carl, dora, emil} {
				require.NoError(t, w.Join(w.group, who))
				w.until(t, "muted on arrival", w.muted(who))
			}
			w.until(t, "there is a notice", w.has(w.group, "Emil"))
			w.settled(t)
			c.end(p)
			require.NoError(t, w.Join(w.channel, carl), "joins while nobody listens")
			away := w.write(t, w.anna, "written while nobody listens")
			runOn(t, w, db)
			w.until(t, "who joined meanwhile is free", w.free(carl))
			w.until(t, "what was written meanwhile is judged", func() bool { return w.gone(away)() && w.muted(w.anna)() })
			require.NoError(t, w.Join(w.channel, dora))
			w.until(t, "joining still frees", w.free(dora))
			require.NoError(t, w.Join(w.channel, emil))
			a := press(t, w, emil)
			assert.NotEmpty(t, a.Text, "the old button still answers")
			w.until(t, "and he is free", w.free(emil))
			assert.Equal(t, 1, w.mutes(carl)+w.mutes(dora)+w.mutes(emil)-2, "nobody was muted twice")
		})
	}
}

func TestE2E_LeavingMutesAndUnprotectFrees(t *testing.T) {
	t.Parallel()
	w := startTown(t, simulator.Options{})
	runOn(t, w, newDB(t))
	require.NoError(t, w.Join(w.channel, w.boris))
	w.protect(t)
	w.write(t, w.boris, "hello")
	w.settled(t)
	require.NoError(t, w.Leave(w.channel, w.boris))
	w.until(t, "leaving mutes", w.muted(w.boris))
	w.write(t, w.olga, "/unprotect")
	w.until(t, "it asks first", w.has(w.group, "Turn protection off?"))
	m, _ := w.find(w.group, "Turn protection off?")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	a, err := w.Press(ctx, w.group, m.ID, w.anna, buttonData(m.ReplyMarkup)[0])
	require.NoError(t, err)
	assert.Contains(t, a.Text, "Only administrators")
	_, err = w.Press(ctx, w.group, m.ID, w.olga, buttonData(m.ReplyMarkup)[0])
	require.NoError(t, err)
	w.until(t, "everybody is freed", w.free(w.boris))
}

func TestE2E_ProtectSaysAllThatIsMissing(t *testing.T) {
	t.Parallel()
	w := startTown(t, simulator.Options{})
	runOn(t, w, newDB(t))
	group := w.NewSupergroup("Other", "", w.olga)
	secret := w.NewChannel("Other News", "other_news", w.olga)
	require.NoError(t, w.Promote(group, w.olga, w.bot.ID, simulator.Rights("can_pin_messages")))
	_, err := w.Write(group, w.olga, "/protect @other_news @nobody_has_this https://t.me/+abc")
	require.NoError(t, err)
	w.until(t, "one answer", w.has(group, "Nothing was changed"))
	m, _ := w.find(group, "Nothing was changed")
	for _, part := range []string{"ban users", "delete messages", "Other News", "nobody_has_this", "t.me/+abc"} {
		assert.Contains(t, m.Text, part)
	}
	// Nothing is stored unless all holds.
	stranger := w.NewUser("Stranger", "")
	require.NoError(t, w.Join(group, stranger))
	_, err = w.Write(group, stranger, "hello")
	require.NoError(t, err)
	w.settled(t)
	assert.Equal(t, simulator.MemberStatus, w.Member(group, stranger).Status)
	// Mended, and asked again: it works.
	require.NoError(t, w.Promote(group, w.olga, w.bot.ID, simulator.Rights("can_restrict_members", "can_delete_messages")))
	require.NoError(t, w.Promote(secret, w.olga, w.bot.ID, simulator.Rights()))
	_, err = w.Write(group, w.olga, "/protect t.me/other_news")
	require.NoError(t, err)
	w.until(t, "it is protected", w.has(group, "This group is protected"))
}

func TestE2E_Private(t *testing.T) {
	t.Parallel()
	w := startTown(t, simulator.Options{})
	runOn(t, w, newDB(t))
	require.NoError(t, w.Start(w.anna, w.bot.ID))
	w.until(t, "it greets", w.has(w.anna, "Hello!"))
	m, _ := w.find(w.anna, "Hello!")
	assert.Contains(t, string(m.ReplyMarkup), "admin=delete_messages+restrict_members+invite_users")
}
