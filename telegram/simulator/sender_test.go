package simulator_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/telegram/simulator"
)

// lastHeard is the newest message that came.
func (b *box) lastHeard() object {
	b.t.Helper()
	list := b.drain("message")
	require.NotEmpty(b.t, list)
	return list[len(list)-1]
}

// Whom a message seems to be from. Source: Bot API server, Client.cpp (create_message); Bot API, Message.
func TestS7_Senders(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{})
	inline := b.NewBot("inline_bot")
	group, channel, other := b.group("can_delete_messages"), b.NewChannel("News", "news", b.olga), b.NewChannel("Ads", "ads", b.anna)
	b.Link(channel, group)
	require.NoError(t, b.Join(group, b.anna))
	b.drain("")
	for name, c := range map[string]struct {
		user   int64
		option simulator.WriteOption
		from   any
		chat   any
		check  func(m object)
	}{
		"anonymous administrator": {b.olga, simulator.Anonymously(), 1087968824.0, float64(group), func(m object) {
			assert.Equal(t, "GroupAnonymousBot", at(m, "from", "username"))
		}},
		"as a channel": {b.anna, simulator.AsChat(other), 136817688.0, float64(other), func(m object) {
			assert.Equal(t, "channel", at(m, "sender_chat", "type"))
			assert.Nil(t, m["is_automatic_forward"])
		}},
		"post of the linked channel": {b.olga, simulator.AutomaticForward(channel), 777000.0, float64(channel), func(m object) {
			assert.Equal(t, true, m["is_automatic_forward"])
			assert.Equal(t, "channel", at(m, "forward_origin", "type"))
		}},
		"by an inline bot": {b.anna, simulator.Via(inline.ID), float64(b.anna), nil, func(m object) {
			assert.InDelta(t, inline.ID, at(m, "via_bot", "id"), 0)
		}},
		"forwarded": {b.anna, simulator.ForwardedFrom(channel), float64(b.anna), nil, func(m object) {
			assert.InDelta(t, channel, at(m, "forward_origin", "chat", "id"), 0)
			assert.Nil(t, m["is_automatic_forward"])
		}},
	} {
		b.write(group, c.user, "words", c.option)
		m := b.lastHeard()
		assert.Equal(t, c.from, at(m, "from", "id"), name)
		assert.Equal(t, c.chat, at(m, "sender_chat", "id"), name)
		c.check(m)
	}
}

// A comment of somebody who is not in the group is from them, in a thread that is no topic; they have left,
// and can be restricted. Source: TDLib, DialogParticipantStatus; Bot API, Message.
func TestS7_CommentsFromOutside(t *testing.T) {
	t.Parallel()
	b, group := guarded(t, simulator.Switches{})
	boris := b.NewUser("Boris", "")
	post := b.write(group, b.olga, "post", simulator.AutomaticForward(b.NewChannel("News", "", b.olga)))
	_, err := b.Write(group, boris, "no comment")
	require.ErrorIs(t, err, simulator.ErrMayNot)
	b.write(group, boris, "comment", simulator.AsComment(), simulator.InThread(post), simulator.ReplyTo(post))
	m := b.lastHeard()
	assert.InDelta(t, boris, at(m, "from", "id"), 0)
	assert.InDelta(t, post, m["message_thread_id"], 0)
	assert.Nil(t, m["is_topic_message"])
	assert.Equal(t, "post", at(m, "reply_to_message", "text"))
	assert.Equal(t, "left", standing(b.member(group, boris)))
	b.restrict(group, boris, object{})
	_, err = b.Write(group, boris, "comment", simulator.AsComment())
	require.ErrorIs(t, err, simulator.ErrMayNot)
}

// In a forum a message names its topic, and one in General none. Source: Bot API, Message.
func TestS7_Topics(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{})
	group := b.group()
	b.MakeForum(group)
	topic := b.CreateTopic(group, "Topic")
	b.write(group, b.olga, "there", simulator.InThread(topic))
	m := b.lastHeard()
	assert.Equal(t, []any{float64(topic), true, true}, []any{m["message_thread_id"], m["is_topic_message"], at(m, "chat", "is_forum")})
	b.write(group, b.olga, "in General")
	m = b.lastHeard()
	assert.Nil(t, m["message_thread_id"])
	assert.Nil(t, m["is_topic_message"])
}

// An edit may come from somebody who has left since; a channel's posts come as such. Source: Bot API, Update.
func TestS7_EditsAndPosts(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{})
	group, channel := b.group(), b.NewChannel("News", "", b.olga)
	require.NoError(t, b.Promote(channel, b.olga, b.bot.ID, simulator.Rights()))
	require.NoError(t, b.Join(group, b.anna))
	id := b.write(group, b.anna, "hello")
	require.NoError(t, b.Leave(group, b.anna))
	b.drain("")
	require.NoError(t, b.EditMessage(group, id, "buy"))
	list := b.drain("edited_message")
	require.Len(t, list, 1)
	assert.Equal(t, []any{"buy", float64(b.anna)}, []any{list[0]["text"], at(list[0], "from", "id")})
	assert.NotNil(t, list[0]["edit_date"])
	post := b.write(channel, b.olga, "post")
	require.NoError(t, b.EditMessage(channel, post, "better"))
	all := b.drain("")
	require.Len(t, all, 2)
	assert.Equal(t, "post", at(all[0], "channel_post", "text"))
	assert.Equal(t, "better", at(all[1], "edited_channel_post", "text"))
	assert.InDelta(t, channel, at(all[0], "channel_post", "sender_chat", "id"), 0)
}

// A press of an anonymous administrator shows who it is. Source: from memory, so there is a switch.
func TestS7_AnonymousPresses(t *testing.T) {
	t.Parallel()
	for _, hidden := range []bool{false, true} {
		b := open(t, simulator.Switches{AnonymousPresses: hidden})
		group := b.group()
		require.NoError(t, b.Promote(group, b.olga, b.anna, simulator.Rights("is_anonymous")))
		assert.Equal(t, true, b.member(group, b.anna)["is_anonymous"])
		m := b.send(group, "press")
		b.drain("")
		q, _ := b.pressed(group, m)
		want := float64(b.anna)
		if hidden {
			want = 1087968824
		}
		assert.InDelta(t, want, at(q, "from", "id"), 0)
		b.good("answerCallbackQuery", object{"callback_query_id": q["id"]})
	}
}
