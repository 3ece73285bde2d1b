package actors

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/telegram/simulator"
)

// tells writes to the bot in private and lets the answer come.
func (w *town) tells(user int64, words string) {
	w.t.Helper()
	w.says(user, user, words, simulator.To(w.bot.ID))
	w.pass(3 * time.Second)
}

// last is what the bot last said in a chat.
func (w *town) last(chat int64) (last simulator.Message) {
	for _, m := range w.Messages(chat) {
		if m.From == w.bot.ID {
			last = m
		}
	}
	return last
}

// pickers are the request ids of the last reply keyboard: for the group and for the channel.
func (w *town) pickers(user int64) (group, channel int) {
	var k struct {
		Rows [][]struct {
			Ask struct {
				ID      int  `json:"request_id"`
				Channel bool `json:"chat_is_channel"`
			} `json:"request_chat"`
		} `json:"keyboard"`
	}
	for _, m := range w.Messages(user) {
		if m.From != w.bot.ID || json.Unmarshal(m.ReplyMarkup, &k) != nil {
			continue
		}
		for _, row := range k.Rows {
			for _, b := range row {
				if b.Ask.Channel {
					channel = b.Ask.ID
				} else {
					group = b.Ask.ID
				}
			}
		}
	}
	return group, channel
}

func TestWizard(t *testing.T) {
	t.Parallel()
	for _, begin := range []string{"/protect", "/start protect"} {
		runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
			group, channel := w.NewSupergroup("My <group>", "", w.anna), w.NewChannel("My & channel", "", w.anna)
			w.tells(w.anna, begin)
			pickGroup, pickChannel := w.pickers(w.anna)
			require.NoError(t, w.ShareChat(w.anna, w.bot.ID, channel, pickChannel))
			w.pass(3 * time.Second)
			assert.Contains(t, w.last(w.anna).Text, "pick the group")
			w.restart()
			require.NoError(t, w.ShareChat(w.anna, w.bot.ID, group, pickGroup))
			w.pass(3 * time.Second)
			m := w.last(w.anna)
			assert.Contains(t, m.Text, "To write in My <group>, members must have joined My & channel")
			w.presses(w.anna, m.ID, w.anna, buttons(m)[0].Data)
			w.pass(5 * time.Second)
			assert.Contains(t, w.last(w.anna).Text, "This group is protected")
			assert.JSONEq(t, `{"remove_keyboard":true}`, string(w.last(w.anna).ReplyMarkup), "the pickers go")
			a := w.presses(w.anna, m.ID, w.anna, buttons(m)[0].Data)
			assert.Contains(t, a.Text, "too old", "it is over")
			require.NoError(t, w.Join(group, w.boris))
			w.says(group, w.boris, "hello")
			w.pass(5 * time.Second)
			assert.Equal(t, simulator.Restricted, w.Member(group, w.boris).Status)
			g, err := w.store.Group(t.Context(), group)
			require.NoError(t, err)
			assert.Equal(t, w.anna, g.OwnerID)
		})
	}
}

func TestWizard_OnlyForOnesOwnChats(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.tells(w.anna, "/protect")
		group, channel := w.pickers(w.anna)
		// A client may claim to have picked what the picker would not have offered.
		for _, claim := range []struct {
			request int
			chat    int64
		}{{group, w.group}, {channel, w.channel}} {
			raw, err := json.Marshal(map[string]any{"message": map[string]any{
				"message_id": 900, "date": time.Now().Unix(), "chat": map[string]any{"id": w.anna, "type": "private", "first_name": "Anna"},
				"from":        map[string]any{"id": w.anna, "is_bot": false, "first_name": "Anna"},
				"chat_shared": map[string]any{"request_id": claim.request, "chat_id": claim.chat},
			}})
			require.NoError(t, err)
			w.PushRaw(w.bot.ID, raw)
			w.pass(3 * time.Second)
			assert.Contains(t, w.last(w.anna).Text, "You must be an administrator")
		}
		wiz, err := w.store.Wizard(t.Context(), w.anna)
		require.NoError(t, err)
		assert.Zero(t, wiz.GroupID+wiz.ChannelID)
	})
}

func TestWizard_RightsLostBeforeTheConfirmation(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		require.NoError(t, w.Promote(w.group, w.olga, w.anna, simulator.Rights("can_delete_messages", "can_restrict_members", "can_invite_users", "can_promote_members")))
		require.NoError(t, w.Promote(w.channel, w.olga, w.anna, simulator.Rights("can_invite_users", "can_promote_members")))
		w.tells(w.anna, "/protect")
		group, channel := w.pickers(w.anna)
		require.NoError(t, w.ShareChat(w.anna, w.bot.ID, w.group, group))
		require.NoError(t, w.ShareChat(w.anna, w.bot.ID, w.channel, channel))
		w.pass(3 * time.Second)
		m := w.last(w.anna)
		require.NoError(t, w.Demote(w.group, w.olga, w.anna))
		w.presses(w.anna, m.ID, w.anna, buttons(m)[0].Data)
		w.pass(3 * time.Second)
		assert.Contains(t, w.last(w.anna).Text, "You must be an administrator")
		_, err := w.store.Group(t.Context(), w.group)
		require.ErrorIs(t, err, persistence.ErrNotFound)
	})
}

func TestWizard_TwoAtOnceAndAbandonedOnes(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		groups := map[int64]int64{w.anna: w.NewSupergroup("Anna's", "", w.anna), w.boris: w.NewSupergroup("Boris's", "", w.boris)}
		channels := map[int64]int64{w.anna: w.NewChannel("Anna's", "annas", w.anna), w.boris: w.NewChannel("Boris's", "boriss", w.boris)}
		w.tells(w.anna, "/protect")
		oldGroup, _ := w.pickers(w.anna)
		w.tells(w.boris, "/protect")
		w.tells(w.anna, "/protect") // a second round
		require.NoError(t, w.ShareChat(w.anna, w.bot.ID, groups[w.anna], oldGroup))
		w.pass(3 * time.Second)
		assert.Contains(t, w.last(w.anna).Text, "an earlier round")
		for _, user := range []int64{w.anna, w.boris} {
			g, c := w.pickers(user)
			require.NoError(t, w.ShareChat(user, w.bot.ID, groups[user], g))
			require.NoError(t, w.ShareChat(user, w.bot.ID, channels[user], c))
		}
		w.pass(3 * time.Second)
		m := w.last(w.boris)
		w.presses(w.boris, m.ID, w.boris, buttons(m)[0].Data)
		w.pass(5 * time.Second)
		g, err := w.store.Group(t.Context(), groups[w.boris])
		require.NoError(t, err)
		assert.Equal(t, channels[w.boris], g.Channels[0].ID)
		// Anna walks away.
		w.pass(time.Minute)
		w.away(wizardFor)
		m = w.last(w.anna)
		a := w.presses(w.anna, m.ID, w.anna, buttons(m)[0].Data)
		assert.Contains(t, a.Text, "too old")
		_, err = w.store.Group(t.Context(), groups[w.anna])
		require.ErrorIs(t, err, persistence.ErrNotFound)
	})
}

func TestWizard_Cancel(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.tells(w.olga, "/start")
		m := w.last(w.olga)
		w.presses(w.olga, m.ID, w.olga, buttons(m)[1].Data)
		w.pass(3 * time.Second)
		group, channel := w.pickers(w.olga)
		require.NoError(t, w.ShareChat(w.olga, w.bot.ID, w.group, group))
		require.NoError(t, w.ShareChat(w.olga, w.bot.ID, w.channel, channel))
		w.pass(3 * time.Second)
		m = w.last(w.olga)
		w.presses(w.olga, m.ID, w.olga, buttons(m)[1].Data)
		w.pass(3 * time.Second)
		assert.Contains(t, w.last(w.olga).Text, "Nothing was changed")
		_, err := w.store.Group(t.Context(), w.group)
		require.ErrorIs(t, err, persistence.ErrNotFound)
	})
}

func TestPrivate_MyGroupsAndForgetMe(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.tells(w.olga, "/mygroups")
		assert.Contains(t, w.last(w.olga).Text, "You protect no group yet")
		w.protect()
		w.tells(w.olga, "/mygroups")
		assert.Contains(t, w.last(w.olga).Text, "Talk – protected")
		w.tells(w.olga, "/forgetme")
		assert.Contains(t, w.last(w.olga).Text, "I cannot forget you while you own protected groups")

		w.says(w.group, w.anna, "hello")
		w.pass(5 * time.Second)
		w.tells(w.anna, "/forgetme")
		assert.Regexp(t, `Done: \d+ entries about you were deleted\. Mutes that stand: 1`, w.last(w.anna).Text)
		trail, err := w.store.AuditOf(t.Context(), w.group, w.anna, 5)
		require.NoError(t, err)
		assert.Empty(t, trail)
		require.NoError(t, w.Join(w.channel, w.anna))
		w.pass(5 * time.Second)
		assert.True(t, w.free(w.anna), "a freeing that was earned is not forgotten")
	})
}
