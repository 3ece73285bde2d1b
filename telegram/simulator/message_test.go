package simulator_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/telegram/simulator"
)

// present lists the ids of a chat's messages that are still there.
func (b *box) present(chat int64) []int64 {
	ids := []int64{}
	for _, m := range b.Messages(chat) {
		ids = append(ids, m.ID)
	}
	return ids
}

func (b *box) write(chat, user int64, what string, options ...simulator.WriteOption) int64 {
	b.t.Helper()
	id, err := b.Write(chat, user, what, options...)
	require.NoError(b.t, err)
	return id
}

// A text has 1 to 4096 characters after parsing. Source: Bot API, sendMessage, editMessageText.
func TestS5_TextLength(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{})
	group := b.group()
	first := b.send(group, "first")
	for _, method := range []string{"sendMessage", "editMessageText"} {
		for _, c := range []struct{ text, mode, want string }{
			{strings.Repeat("x", 4096), "", ""},
			{strings.Repeat("x", 4097), "", "Bad Request: message is too long"},
			{"<b>" + strings.Repeat("&amp;", 4096) + "</b>", "HTML", ""},
			{"<b>" + strings.Repeat("&amp;", 4097) + "</b>", "HTML", "Bad Request: message is too long"},
			{"", "", "Bad Request: message text is empty"},
			{" \n ", "", "Bad Request: message text is empty"},
			{"<b> </b>", "HTML", "Bad Request: message text is empty"},
		} {
			p := object{"chat_id": group, "text": c.text}
			if c.mode != "" {
				p["parse_mode"] = c.mode
			}
			if method == "editMessageText" {
				p["message_id"] = first
			}
			if c.want != "" {
				b.fails(c.want, method, p)
				continue
			}
			b.good(method, p)
		}
	}
	assert.Equal(t, 501, b.call("sendMessage", object{"chat_id": group, "text": "*x*", "parse_mode": "MarkdownV2"}).status, "not modelled")
}

// Where a bot may not write. Source: TDLib, can_send_message; Bot API server, Client.cpp.
func TestS5_SendErrors(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{})
	other := b.NewBot("other_bot")
	group := b.NewSupergroup("Talk", "", b.olga)
	require.NoError(t, b.Add(group, b.olga, b.bot.ID))
	b.send(group, "as a member")
	require.NoError(t, b.Restrict(group, b.olga, b.bot.ID, allBut("can_send_messages"), 0))
	public := b.NewSupergroup("Open", "open_talk", b.olga)
	channel := b.NewChannel("News", "", b.olga)
	require.NoError(t, b.Promote(channel, b.olga, b.bot.ID, simulator.Rights("can_invite_users")))
	for _, c := range []struct {
		chat any
		code int
		want string
	}{
		{group, 400, "Bad Request: not enough rights to send text messages to the chat"},
		{public, 403, "Forbidden: bot is not a member of the supergroup chat"},
		{channel, 400, "Bad Request: need administrator rights in the channel chat"},
		{b.anna, 403, "Forbidden: bot can't initiate conversation with a user"},
		{other.ID, 403, "Forbidden: the bot can't send messages to the bot"},
		{-42, 400, "Bad Request: chat not found"},
		{"", 400, "Bad Request: chat_id is empty"},
	} {
		assert.Equal(t, c.code, b.fails(c.want, "sendMessage", object{"chat_id": c.chat, "text": "x"}).status)
	}
	require.NoError(t, b.Start(b.anna, b.bot.ID))
	b.send(b.anna, "started")
	require.NoError(t, b.Promote(channel, b.olga, b.bot.ID, simulator.Rights("can_post_messages")))
	post := b.good("sendMessage", object{"chat_id": channel, "text": "x"}).object()
	assert.Nil(t, post["from"])
	assert.InDelta(t, channel, at(post, "sender_chat", "id"), 0)
}

// What of the bot's can be edited. Source: TDLib, edit_message_text.
func TestS5_EditErrors(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{})
	group := b.group()
	mine, theirs := b.send(group, "mine"), b.write(group, b.olga, "theirs")
	const same = "Bad Request: message is not modified: specified new message content and reply markup are exactly the same as a current content and reply markup of the message"
	edit := func(id int64, text string) object { return object{"chat_id": group, "message_id": id, "text": text} }
	b.fails("Bad Request: message to edit not found", "editMessageText", edit(999, "x"))
	b.fails("Bad Request: message can't be edited", "editMessageText", edit(theirs, "x"))
	b.fails(same, "editMessageText", edit(mine, "mine"))
	b.advance(time.Minute)
	m := b.good("editMessageText", edit(mine, "changed")).object()
	assert.Equal(t, "changed", m["text"])
	assert.InDelta(t, b.clock().Unix(), m["edit_date"], 0)
	b.fails(same, "editMessageText", edit(mine, "changed"))

	keyboard := object{"inline_keyboard": [][]object{{{"text": "Go", "callback_data": "go"}}}}
	p := object{"chat_id": group, "message_id": mine, "reply_markup": keyboard}
	b.good("editMessageReplyMarkup", p)
	b.fails(same, "editMessageReplyMarkup", p)
	assert.Nil(t, b.good("editMessageText", edit(mine, "changed")).object()["reply_markup"], "an edit without a keyboard takes it away")
	b.good("deleteMessage", object{"chat_id": group, "message_id": mine})
	b.fails("Bad Request: message to edit not found", "editMessageText", edit(mine, "x"))
}

// Bots delete their own messages, with the right those of others, and nothing that is two days old.
// Source: TDLib, can_delete_channel_message.
func TestS5_Delete(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{})
	const refused = "Bad Request: message can't be deleted"
	group, weak := b.group("can_delete_messages"), b.group("can_restrict_members")
	p := func(chat, id int64) object { return object{"chat_id": chat, "message_id": id} }
	for chat, may := range map[int64]bool{group: true, weak: false} {
		mine, theirs := b.send(chat, "mine"), b.write(chat, b.olga, "theirs")
		b.good("deleteMessage", p(chat, mine))
		b.fails("Bad Request: message to delete not found", "deleteMessage", p(chat, mine))
		if may {
			b.good("deleteMessage", p(chat, theirs))
		} else {
			b.fails(refused, "deleteMessage", p(chat, theirs))
		}
	}
	young, old := b.write(group, b.olga, "young"), b.write(group, b.olga, "old")
	mine := b.send(group, "mine")
	b.advance(48*time.Hour - time.Second)
	b.good("deleteMessage", p(group, young))
	b.advance(time.Second)
	b.fails(refused, "deleteMessage", p(group, old))
	b.fails(refused, "deleteMessage", p(group, mine))
	assert.Equal(t, []int64{old, mine}, b.present(group))
}

// Several are deleted together: 1 to 100, what is gone is skipped, one that may not be deleted spoils all.
// Source: TDLib, delete_messages.
func TestS5_DeleteSeveral(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{})
	group := b.group("can_delete_messages")
	several := func(ids ...int64) object { return object{"chat_id": group, "message_ids": ids} }
	old := b.write(group, b.olga, "old")
	b.advance(48 * time.Hour)
	one, two, three := b.write(group, b.olga, "1"), b.write(group, b.olga, "2"), b.send(group, "3")

	b.fails("Bad Request: message identifiers are not specified", "deleteMessages", several([]int64{}...))
	b.fails("Bad Request: message identifiers are not specified", "deleteMessages", object{"chat_id": group})
	many := make([]int64, 101)
	for i := range many {
		many[i] = one
	}
	b.fails("Bad Request: too many message identifiers specified", "deleteMessages", several(many...))
	b.fails("Bad Request: message can't be deleted", "deleteMessages", several(one, two, old, three))
	assert.Equal(t, []int64{old, one, two, three}, b.present(group), "nothing went")
	b.good("deleteMessages", several(777, one, 778, three))
	assert.Equal(t, []int64{old, two}, b.present(group))
	b.good("deleteMessages", several(777, 778))
	b.good("deleteMessages", several(append(many[:99], two)...))
	assert.Equal(t, []int64{old}, b.present(group))
}

// A thread is ignored where there are no topics, and must exist where there are; General has none.
// Source: Bot API server, Client.cpp (check_message_topic).
func TestS5_Threads(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{})
	group := b.group()
	to := func(thread int64) object {
		return object{"chat_id": group, "text": "x", "message_thread_id": thread}
	}
	assert.Nil(t, b.good("sendMessage", to(77)).object()["message_thread_id"])
	b.MakeForum(group)
	topic := b.CreateTopic(group, "Topic")
	m := b.good("sendMessage", to(topic)).object()
	assert.InDelta(t, topic, m["message_thread_id"], 0)
	assert.Equal(t, true, m["is_topic_message"])
	b.fails("Bad Request: message thread not found", "sendMessage", to(77))
	b.fails("Bad Request: message thread not found", "sendMessage", to(1))
	assert.Nil(t, b.good("sendMessage", object{"chat_id": group, "text": "x"}).object()["message_thread_id"])
}

// A reply needs its message, unless it may do without. Source: Bot API, ReplyParameters.
func TestS5_Replies(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{})
	group := b.group("can_delete_messages")
	theirs := b.write(group, b.olga, "theirs")
	reply := func(without bool) object {
		return object{"chat_id": group, "text": "x", "reply_parameters": object{"message_id": theirs, "allow_sending_without_reply": without}}
	}
	assert.Equal(t, "theirs", at(b.good("sendMessage", reply(false)).object(), "reply_to_message", "text"))
	b.good("deleteMessage", object{"chat_id": group, "message_id": theirs})
	b.fails("Bad Request: message to be replied not found", "sendMessage", reply(false))
	assert.Nil(t, b.good("sendMessage", reply(true)).object()["reply_to_message"])
}
