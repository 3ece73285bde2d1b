package actors

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/telegram/simulator"
)

// second makes one more channel that the bot administers.
func (w *town) second(title, name string) int64 {
	w.t.Helper()
	id := w.NewChannel(title, name, w.olga)
	w.admit(id, "can_invite_users")
	return id
}

func TestChannels_AllAnyAndAtLeast(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ need, joined, want int }{
		{0, 2, 0}, {0, 3, 1}, {1, 0, 0}, {1, 1, 1}, {2, 1, 0}, {2, 2, 1}, {3, 2, 0},
	} {
		runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
			all := []int64{w.channel, w.second("Two", "news_two"), w.second("Three", "news_three")}
			w.protect("@news_here", "@news_two", "@news_three")
			w.wish(func(s *persistence.Settings) { s.Need = c.need })
			for _, ch := range all[:c.joined] {
				require.NoError(t, w.Join(ch, w.anna))
			}
			id := w.says(w.group, w.anna, "hello")
			w.pass(5 * time.Second)
			assert.Equal(t, c.want == 1, w.there(w.group, id), "%+v", c)
			if c.want == 1 {
				return
			}
			n := w.notices()[0]
			assert.Len(t, buttons(n), 3-c.joined+1, "a button for each that is missing, and the one to press")
			for _, ch := range all[c.joined:] {
				require.NoError(t, w.Join(ch, w.anna))
			}
			w.pass(5 * time.Second)
			assert.True(t, w.free(w.anna))
			assert.Empty(t, w.notices())
		})
	}
}

func TestChannels_UnknownNeverMutesUnderAny(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		two := w.second("Two", "news_two")
		w.protect("@news_here", "@news_two")
		w.wish(func(s *persistence.Settings) { s.Need = 1 })
		require.NoError(t, w.Demote(two, w.olga, w.bot.ID))
		id := w.says(w.group, w.anna, "hello")
		w.pass(time.Minute)
		assert.True(t, w.there(w.group, id), "she may be in the other one")
		require.NoError(t, w.Leave(two, w.bot.ID))
		assert.False(t, w.muted(w.anna))
	})
}

// Who leaves one channel while the bot cannot see who leaves, and then the other, is not let be on what was known of the
// first: it is asked about when it can be.
func TestChannels_NothingKnownIsBelievedOfOneThatIsNotSeenAnyMore(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		two := w.second("Two", "news_two")
		w.protect("@news_here", "@news_two")
		w.wish(func(s *persistence.Settings) { s.Need = 1 })
		require.NoError(t, w.Join(w.channel, w.anna))
		require.NoError(t, w.Join(two, w.anna))
		w.says(w.group, w.anna, "hello")
		w.pass(10 * time.Second)
		require.NoError(t, w.Demote(two, w.olga, w.bot.ID))
		w.pass(time.Minute)
		require.NoError(t, w.Leave(two, w.anna))
		require.NoError(t, w.Leave(w.channel, w.anna))
		w.pass(10 * time.Second)
		require.True(t, w.free(w.anna), "nobody can say")
		w.admit(two, "can_invite_users")
		w.pass(time.Minute)
		require.True(t, w.muted(w.anna))
	})
}

func TestChannels_PrivateOnes(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		secret := w.second("Secret", "")
		w.protect(itoa(secret))
		w.protect(itoa(secret))
		w.protect("https://t.me/c/" + itoa(-secret-1_000_000_000_000) + "/5")
		assert.Equal(t, 1, w.calls("createChatInviteLink", 0), "made once, and kept")
		assert.Zero(t, w.calls("exportChatInviteLink", 0))
		w.says(w.group, w.anna, "hello")
		w.pass(5 * time.Second)
		require.Len(t, w.notices(), 1)
		link := buttons(w.notices()[0])[0].URL
		assert.True(t, w.LinkWorks(secret, link))
		g, err := w.store.Group(t.Context(), w.group)
		require.NoError(t, err)
		assert.Equal(t, link, g.Channels[0].InviteLink)

		w.RevokeLinks(secret)
		w.pass(2 * time.Minute)
		a := w.presses(w.group, w.notices()[0].ID, w.anna, callbackCheck)
		assert.Contains(t, a.Text, "Secret")
		w.pass(15 * time.Second)
		require.Len(t, w.notices(), 1)
		renewed := buttons(w.notices()[0])[0].URL
		assert.NotEqual(t, link, renewed)
		assert.True(t, w.LinkWorks(secret, renewed), "a revoked link is renewed where it is shown")
	})
}

func TestChannels_AreFollowedByID(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.Rename(w.channel, "Latest")
		w.SetUsername(w.channel, "latest_here")
		require.NoError(t, w.Join(w.channel, w.boris))
		w.pass(time.Second)
		require.NoError(t, w.Leave(w.channel, w.boris))
		w.pass(time.Second)
		w.says(w.group, w.anna, "hello")
		w.pass(10 * time.Second)
		require.Len(t, w.notices(), 1)
		b := buttons(w.notices()[0])[0]
		assert.Equal(t, "Latest", b.Text)
		assert.Equal(t, "https://t.me/latest_here", b.URL)
		require.NoError(t, w.Join(w.channel, w.anna))
		w.pass(5 * time.Second)
		assert.True(t, w.free(w.anna))
	})
}

func TestChannels_RenamedWhileNobodyMoved(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.SetUsername(w.channel, "latest_here")
		w.says(w.group, w.anna, "hello")
		w.pass(2 * time.Minute)
		require.Len(t, w.notices(), 1)
		w.presses(w.group, w.notices()[0].ID, w.anna, callbackCheck)
		w.pass(10 * time.Second)
		assert.Equal(t, "https://t.me/latest_here", buttons(w.notices()[0])[0].URL)
	})
}

func TestChannels_ByAForwardedPost(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		post := w.says(w.group, w.olga, "news!", simulator.ForwardedFrom(w.channel))
		w.says(w.group, w.olga, "/protect", simulator.ReplyTo(post))
		w.pass(10 * time.Second)
		assert.True(t, w.has(w.group, "This group is protected"))
	})
}

func TestChannels_APendingRequestMayCount(t *testing.T) {
	t.Parallel()
	for _, counts := range []bool{false, true} {
		runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
			w.protect()
			w.wish(func(s *persistence.Settings) { s.PendingCounts = counts })
			w.says(w.group, w.anna, "hello")
			w.pass(5 * time.Second)
			require.True(t, w.muted(w.anna))
			require.NoError(t, w.RequestJoin(w.channel, w.anna))
			w.pass(5 * time.Second)
			assert.Equal(t, counts, w.free(w.anna))
			if !counts {
				require.NoError(t, w.ApproveRequest(w.channel, w.olga, w.anna))
				w.pass(5 * time.Second)
				assert.True(t, w.free(w.anna), "let in, and free")
				return
			}
			w.restart()
			w.pass(time.Minute)
			id := w.says(w.group, w.anna, "hello")
			w.pass(5 * time.Second)
			assert.True(t, w.there(w.group, id), "remembered over a restart")
		})
	}
}

// Somebody muted whose look is under way when all rows are opened, since the bot sees a channel again, is left no open row.
func TestChannels_ARowOpenedDuringALookIsClosed(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		two := w.second("Two", "news_two")
		w.protect("@news_here", "@news_two")
		w.mutes(w.anna)
		require.NoError(t, w.Demote(w.channel, w.olga, w.bot.ID))
		w.pass(2 * time.Minute)
		w.Fail(simulator.Fault{
			Kind: simulator.FaultSlow, Method: "getChatMember", ChatID: two, UserID: w.anna, Times: 1, For: simulator.For(5 * time.Second),
		})
		w.presses(w.group, w.notices()[0].ID, w.anna, callbackCheck)
		w.pass(time.Second)
		w.admit(w.channel, "can_invite_users")
		w.pass(time.Minute)
		require.True(t, w.muted(w.anna))
		row, err := w.store.Flow(t.Context(), w.group, w.anna)
		require.NoError(t, err)
		require.Equal(t, persistence.Muted, row.State)
	})
}
