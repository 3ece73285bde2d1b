package simulator_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/telegram/simulator"
)

// A 403 that is only a code is a 400. Source: Bot API server, Client.cpp (fail_query_with_error).
func TestS0_ForbiddenCodesAreBadRequests(t *testing.T) {
	t.Parallel()
	code, words := simulator.Refused("CHAT_WRITE_FORBIDDEN")
	assert.Equal(t, []any{400, "Bad Request: CHAT_WRITE_FORBIDDEN"}, []any{code, words})
	code, words = simulator.Refused("Bot was blocked by the user")
	assert.Equal(t, []any{403, "Forbidden: bot was blocked by the user"}, []any{code, words})
}

// A topic that is closed takes no messages but of administrators, and one that is gone none. Source: Telegram's
// back end; TDLib, DraftMessageManager.
func TestS5_ClosedTopics(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{})
	group := b.NewSupergroup("Talk", "", b.olga)
	require.NoError(t, b.Add(group, b.olga, b.bot.ID))
	b.MakeForum(group)
	topic := b.CreateTopic(group, "Topic")
	p := object{"chat_id": group, "text": "x", "message_thread_id": topic}
	b.good("sendMessage", p)
	b.CloseTopic(group, topic)
	b.fails("Bad Request: TOPIC_CLOSED", "sendMessage", p)
	require.NoError(t, b.Promote(group, b.olga, b.bot.ID, simulator.Rights()))
	b.good("sendMessage", p)
	b.DeleteTopic(group, topic)
	b.fails("Bad Request: message thread not found", "sendMessage", p)
	for _, m := range b.Messages(group) {
		assert.True(t, m.Service, "what was in it is gone")
	}
}

// Accounts end, and nobody can write to them. Source: Telegram's back end.
func TestS5_DeactivatedPeople(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{})
	require.NoError(t, b.Start(b.anna, b.bot.ID))
	b.send(b.anna, "x")
	b.DeleteAccount(b.anna)
	a := b.fails("Forbidden: user is deactivated", "sendMessage", object{"chat_id": b.anna, "text": "x"})
	assert.Equal(t, 403, a.status)
}

// Nobody deletes the message of a group's creation; in a basic group only administrators delete what is not
// theirs. Source: TDLib, can_delete_message.
func TestS5_WhatCannotBeDeleted(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{})
	group, basic := b.group("can_delete_messages"), b.NewGroup("Basic", b.olga)
	first := b.NoteCreation(group)
	b.fails("Bad Request: message can't be deleted", "deleteMessage", object{"chat_id": group, "message_id": first})
	require.NoError(t, b.Add(basic, b.olga, b.bot.ID))
	m := b.write(basic, b.olga, "x")
	b.fails("Bad Request: message can't be deleted for everyone", "deleteMessage", object{"chat_id": basic, "message_id": m})
	b.good("deleteMessage", object{"chat_id": basic, "message_id": b.send(basic, "mine")})
}

// An album is so many messages that name it. Source: Bot API, Message.
func TestS5_Albums(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{})
	group := b.group("can_delete_messages")
	var ids []int64
	for range 3 {
		ids = append(ids, b.write(group, b.olga, "", simulator.InAlbum("777"), b.WithDocument("a.pdf", []byte("x"))))
	}
	for i, m := range b.drain("message") {
		assert.Equal(t, []any{float64(ids[i]), "777"}, []any{m["message_id"], m["media_group_id"]})
	}
	b.good("deleteMessages", object{"chat_id": group, "message_ids": ids})
	assert.Empty(t, b.present(group))
}

// A press can be answered for about fifteen seconds, and a button opens nothing but the bot. Source: Bot API,
// answerCallbackQuery; the time is from memory, so there is a switch.
func TestS5_AnswersToPresses(t *testing.T) {
	t.Parallel()
	for _, window := range []time.Duration{0, 40 * time.Second} {
		b := open(t, simulator.Switches{CallbackWindow: window})
		group := b.group()
		m := b.send(group, "press")
		b.drain("")
		last := window
		if window == 0 {
			last = 15 * time.Second
		}
		q, shown := b.pressed(group, m)
		b.fails("Bad Request: URL_INVALID", "answerCallbackQuery", object{"callback_query_id": q["id"], "url": "https://example.org"})
		b.advance(last - 8*time.Second) // draining took eight
		b.good("answerCallbackQuery", object{"callback_query_id": q["id"], "url": "https://t.me/box_bot?start=x"})
		assert.Equal(t, "https://t.me/box_bot?start=x", (<-shown).URL)
		q, _ = b.pressed(group, m)
		b.advance(last - 8*time.Second + 1)
		b.fails(tooLate, "answerCallbackQuery", object{"callback_query_id": q["id"]})
	}
}

// A bot edits and deletes what it posted in a channel.
func TestS5_OwnPostsInAChannel(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{})
	channel := b.NewChannel("News", "", b.olga)
	require.NoError(t, b.Promote(channel, b.olga, b.bot.ID, simulator.Rights("can_post_messages")))
	m := b.send(channel, "post")
	b.good("editMessageText", object{"chat_id": channel, "message_id": m, "text": "better"})
	b.good("deleteMessage", object{"chat_id": channel, "message_id": b.send(channel, "another")})
	b.drain("")
	q, _ := b.pressed(channel, m)
	b.good("answerCallbackQuery", object{"callback_query_id": q["id"]})
}

// A message for one person has an id of its own kind, is seen by nobody else, and is no part of the history. A
// server that does not know the parameter posts it for all to see. Source: Bot API 10.2 and 10.3; tdesktop
// issue 31196; for the last, inferred, so there is a switch.
func TestS10_MessagesForOnePerson(t *testing.T) {
	t.Parallel()
	for _, p := range []object{{"receiver_user_id": 0}, {"ephemeral_message_parameters": object{"receiver_user_id": 0}}} {
		for _, ignores := range []bool{false, true} {
			b := open(t, simulator.Switches{IgnoresEphemeral: ignores})
			group := b.group()
			require.NoError(t, b.Join(group, b.anna))
			before := len(b.Messages(group))
			p["chat_id"], p["text"] = group, "for you"
			if inner, ok := p["ephemeral_message_parameters"].(object); ok {
				inner["receiver_user_id"] = b.anna
			} else {
				p["receiver_user_id"] = b.anna
			}
			m := b.good("sendMessage", p).object()
			if ignores {
				assert.Positive(t, m["message_id"])
				assert.Nil(t, m["ephemeral_message_id"])
				assert.Len(t, b.Messages(group), before+1)
				continue
			}
			assert.InDelta(t, 0, m["message_id"], 0)
			assert.InDelta(t, b.anna, at(m, "receiver_user", "id"), 0)
			assert.Len(t, b.Messages(group), before)
			assert.Equal(t, []string{"for you"}, b.Whispers(group, b.anna))
			assert.Empty(t, b.Whispers(group, b.olga))
			which := object{"chat_id": group, "receiver_user_id": b.anna, "ephemeral_message_id": m["ephemeral_message_id"]}
			b.fails("Bad Request: message to delete not found", "deleteMessage", object{"chat_id": group, "message_id": 0})
			b.good("editEphemeralMessageText", object{"chat_id": group, "receiver_user_id": b.anna, "ephemeral_message_id": m["ephemeral_message_id"], "text": "better"})
			assert.Equal(t, []string{"better"}, b.Whispers(group, b.anna))
			b.good("deleteEphemeralMessage", which)
			b.fails("Bad Request: message to delete not found", "deleteEphemeralMessage", which)
			p["chat_id"] = b.group()
			b.fails("Bad Request: PARTICIPANT_ID_INVALID", "sendMessage", p)
		}
	}
}
