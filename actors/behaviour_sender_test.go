package actors

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/telegram/simulator"
)

func TestSenders_AnonymousAdministrators(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.says(w.group, w.olga, "/protect @news_here", simulator.Anonymously())
		w.pass(10 * time.Second)
		require.True(t, w.has(w.group, "This group is protected"), "their commands work")
		g, err := w.store.Group(t.Context(), w.group)
		require.NoError(t, err)
		assert.Equal(t, w.olga, g.OwnerID, "the owner on record is the chat's creator")
		id := w.says(w.group, w.olga, "good morning", simulator.Anonymously())
		w.pass(time.Minute)
		assert.True(t, w.there(w.group, id))
		assert.Zero(t, w.calls("restrictChatMember", 0))
	})
}

func TestSenders_ChannelsThatBelongHere(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		home := w.NewChannel("Home", "home_here", w.olga)
		w.Link(home, w.group)
		w.protect()
		post := w.says(w.group, w.olga, "a post", simulator.AutomaticForward(home))
		linked := w.says(w.group, w.olga, "as the linked channel", simulator.AsChat(home))
		required := w.says(w.group, w.olga, "as the required channel", simulator.AsChat(w.channel))
		w.pass(time.Minute)
		for _, id := range []int64{post, linked, required} {
			assert.True(t, w.there(w.group, id))
		}
		assert.Zero(t, w.calls("restrictChatMember", 0))
	})
}

func TestSenders_ForeignChannels(t *testing.T) {
	t.Parallel()
	for wish, want := range map[persistence.ChannelPosts]struct{ there, banned bool }{
		persistence.PostsDelete: {false, false}, persistence.PostsAllow: {true, false}, persistence.PostsBan: {false, true},
	} {
		t.Run("wish "+string(wish), func(t *testing.T) {
			t.Parallel()
			runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
				foreign := w.NewChannel("Coins", "coins_here", w.anna)
				w.protect()
				w.wish(func(s *persistence.Settings) { s.ChannelPosts = wish })
				id := w.says(w.group, w.anna, "buy", simulator.AsChat(foreign))
				w.pass(5 * time.Second)
				assert.Equal(t, want.there, w.there(w.group, id))
				_, err := w.Write(w.group, w.anna, "buy more", simulator.AsChat(foreign))
				assert.Equal(t, want.banned, err != nil, "banned from writing here")
				assert.False(t, w.muted(w.anna), "a post says nothing about the person behind it")
			})
		})
	}
}

func TestSenders_ForeignChannelWhileTelegramIsSilent(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		foreign := w.NewChannel("Coins", "coins_here", w.anna)
		w.protect()
		up := w.Fail(simulator.Fault{Kind: simulator.FaultError, Method: "getChat", Status: 500, Description: "Internal Server Error"})
		id := w.says(w.group, w.anna, "as a channel", simulator.AsChat(foreign))
		w.pass(10 * time.Second)
		assert.True(t, w.there(w.group, id), "it might be the group's own channel")
		up()
	})
}

func TestSenders_BotsAndInlineBots(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		helper := w.NewBot("helper_bot")
		require.NoError(t, w.Add(w.group, w.olga, helper.ID))
		id := w.says(w.group, helper.ID, "I am a bot")
		via := w.says(w.group, w.anna, "a picture", simulator.Via(helper.ID))
		w.pass(5 * time.Second)
		assert.True(t, w.there(w.group, id), "other bots are let be")
		assert.False(t, w.there(w.group, via), "who writes by way of a bot is judged like anybody")
		assert.True(t, w.muted(w.anna))
	})
}

func TestSenders_EditedMessages(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		require.NoError(t, w.Join(w.channel, w.anna))
		id := w.says(w.group, w.anna, "hello")
		var others []int64
		for range 5 {
			others = append(others, w.says(w.group, w.anna, "hello again"))
		}
		w.pass(time.Minute)
		w.ResetCalls()
		require.NoError(t, w.EditMessage(w.group, id, "hello there"))
		w.pass(time.Second)
		assert.Empty(t, w.Calls(), "an edit of a known member costs nothing")
		require.NoError(t, w.Leave(w.channel, w.anna))
		w.pass(5 * time.Second)
		require.True(t, w.muted(w.anna))
		shown := w.calls("sendMessage", 0) + w.calls("editMessageText", 0)
		for _, id := range others {
			require.NoError(t, w.EditMessage(w.group, id, "buy coins"))
			w.pass(5 * time.Second)
			assert.False(t, w.there(w.group, id), "what somebody outside edits goes")
		}
		assert.Equal(t, shown, w.calls("sendMessage", 0)+w.calls("editMessageText", 0), "no storm of notices")
	})
}

func TestSenders_Albums(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		var parts []int64
		for range 10 {
			parts = append(parts, w.says(w.group, w.anna, "picture", simulator.InAlbum("77")))
		}
		w.pass(5 * time.Second)
		for _, id := range parts {
			assert.False(t, w.there(w.group, id), "all parts go")
		}
		assert.Len(t, w.notices(), 1)
	})
}

func TestSenders_Topics(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.MakeForum(w.group)
		plants := w.CreateTopic(w.group, "Plants")
		w.protect()
		w.says(w.group, w.anna, "in a topic", simulator.InThread(plants))
		w.says(w.group, w.boris, "in General")
		w.pass(15 * time.Second)
		threads := map[int64]int{}
		for _, n := range w.notices() {
			threads[n.ThreadID]++
		}
		assert.Equal(t, map[int64]int{plants: 1, 0: 1}, threads, "each where the message was; General has no thread id")
	})
}

func TestSenders_CommentsFromOutside(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		passer := w.NewUser("Passer", "")
		id := w.says(w.group, passer, "first!", simulator.AsComment())
		w.pass(5 * time.Second)
		assert.False(t, w.there(w.group, id))
		m := w.Member(w.group, passer)
		assert.Equal(t, simulator.Restricted, m.Status)
		assert.False(t, m.IsMember, "the bot adds nobody")
		require.NoError(t, w.Join(w.channel, passer))
		w.pass(5 * time.Second)
		assert.Equal(t, simulator.Left, w.Member(w.group, passer).Status, "free again, and still outside")
	})
}

func TestSenders_ServiceMessages(t *testing.T) {
	t.Parallel()
	for _, wish := range []bool{false, true} {
		runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
			w.protect()
			w.wish(func(s *persistence.Settings) { s.DeleteService = wish })
			before := len(w.Messages(w.group))
			member := w.NewUser("Member", "")
			require.NoError(t, w.Join(w.channel, member))
			require.NoError(t, w.Join(w.group, member))
			require.NoError(t, w.Leave(w.group, member))
			w.pass(10 * time.Second)
			assert.Len(t, w.Messages(w.group), map[bool]int{false: before + 2, true: before}[wish])
			assert.Zero(t, w.calls("restrictChatMember", member))
		})
	}
}

func TestSenders_BasicGroupsAreToldToUpgrade(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		basic := w.NewGroup("Small", w.olga)
		w.admit(basic, "can_restrict_members", "can_delete_messages")
		w.says(basic, w.olga, "/protect @news_here")
		w.pass(5 * time.Second)
		assert.True(t, w.has(basic, "basic group"))
		next := w.Migrate(basic)
		w.pass(time.Second)
		w.says(next, w.olga, "/protect @news_here")
		w.pass(5 * time.Second)
		assert.True(t, w.has(next, "This group is protected"))
	})
}

func TestSenders_AnUpgradeMovesProtectionAndFlows(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		// A basic group cannot be protected, but an imported one may stand in the store with flows open.
		basic := w.NewGroup("Small", w.olga)
		w.admit(basic, "can_restrict_members", "can_delete_messages")
		require.NoError(t, w.Join(basic, w.anna))
		require.NoError(t, w.Join(basic, w.boris))
		w.protect()
		require.NoError(t, w.store.Update(t.Context(), func(tx persistence.Tx) error {
			if err := tx.MoveGroup(w.group, basic); err != nil {
				return err
			}
			return tx.SaveFlow(persistence.Flow{
				GroupID: basic, UserID: w.anna, Name: "Anna", State: persistence.Checking, Cause: persistence.CauseMessage, Since: time.Now(), ThreadID: 0,
				Messages: []int64{1},
			})
		}))
		up := w.Fail(simulator.Fault{Kind: simulator.FaultError, Method: "getChatMember", Status: 502, Description: "Bad Gateway"})
		w.restart()
		w.pass(time.Second)
		up()
		next := w.Migrate(basic)
		w.pass(time.Minute)
		g, err := w.store.Group(t.Context(), next)
		require.NoError(t, err)
		assert.True(t, g.Enabled)
		w.group = next
		assert.True(t, w.muted(w.anna), "what was open goes on under the new id")
		id := w.says(next, w.boris, "hello")
		w.pass(5 * time.Second)
		assert.False(t, w.there(next, id))
		assert.True(t, w.muted(w.boris))
	})
}
