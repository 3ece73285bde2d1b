package simulator_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/telegram/simulator"
)

// heard lists the texts of messages that came.
func (b *box) heard() []string {
	b.t.Helper()
	list := []string{}
	for _, m := range b.drain("message") {
		if m["text"] != nil {
			list = append(list, text(m["text"]))
		}
	}
	return list
}

// In privacy mode a bot that is no administrator gets commands, mentions and answers; an administrator, and
// a bot without that mode, everything. Source: from memory, so there is a switch.
func TestS2_Privacy(t *testing.T) {
	t.Parallel()
	meant, all := []string{"/go", "hi @box_bot", "an answer"}, []string{"hello", "/go", "hi @box_bot", "an answer"}
	for _, c := range []struct {
		admin, off, strict bool
		want               []string
	}{
		{false, false, false, meant},
		{true, false, false, all},
		{true, false, true, meant},
		{false, true, false, all},
		{true, true, true, all},
	} {
		b := open(t, simulator.Switches{PrivacyForAdmins: c.strict})
		group := b.NewSupergroup("Talk", "", b.olga)
		if c.admin {
			require.NoError(t, b.Promote(group, b.olga, b.bot.ID, simulator.Rights()))
		} else {
			require.NoError(t, b.Add(group, b.olga, b.bot.ID))
		}
		b.SetPrivacy(b.bot.ID, !c.off)
		mine := b.send(group, "mine")
		b.drain("")
		b.write(group, b.olga, "hello")
		b.write(group, b.olga, "/go")
		b.write(group, b.olga, "hi @box_bot")
		b.write(group, b.olga, "an answer", simulator.ReplyTo(mine))
		assert.Equal(t, c.want, b.heard(), "%+v", c)
		require.NoError(t, b.Join(group, b.anna))
		assert.Len(t, b.drain("message"), 1, "service messages come in any case")
		assert.Equal(t, c.off, b.good("getMe", nil).object()["can_read_all_group_messages"])
	}
}

// Bots do not get their own messages, nor the service messages of their own acts but removals. Source: Bot
// API server, Client.cpp (need_skip_update_message).
func TestS2_BotsDoNotHearThemselves(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{})
	group := b.group("can_restrict_members", "can_invite_users")
	require.NoError(t, b.Join(group, b.anna))
	b.drain("")
	b.send(group, "mine")
	assert.Empty(t, b.drain("message"))
	b.good("banChatMember", object{"chat_id": group, "user_id": b.anna})
	list := b.drain("message")
	require.Len(t, list, 1)
	assert.InDelta(t, b.anna, at(list[0], "left_chat_member", "id"), 0)
}

// What befalls a chat as a participant sends no update. Source: Bot API server, Client.cpp
// (add_update_chat_member).
func TestS2_ChatsAsParticipantsAreNotTold(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{})
	group, other := b.group("can_restrict_members"), b.NewChannel("Ads", "ads", b.anna)
	b.wants("chat_member", "message")
	b.good("banChatSenderChat", object{"chat_id": group, "sender_chat_id": other})
	b.good("unbanChatSenderChat", object{"chat_id": group, "sender_chat_id": other})
	assert.Empty(t, b.drain(""))
}

// A press on a message that is gone comes all the same, with what cannot be accessed. Source: Bot API,
// CallbackQuery, InaccessibleMessage.
func TestS2_PressOnADeletedMessage(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{})
	group := b.group()
	keyboard := object{"inline_keyboard": [][]object{{{"text": "Go", "callback_data": "go"}}}}
	m, _ := b.good("sendMessage", object{"chat_id": group, "text": "x", "reply_markup": keyboard}).object()["message_id"].(float64)
	b.good("deleteMessage", object{"chat_id": group, "message_id": m})
	b.drain("")
	q, _ := b.pressed(group, int64(m))
	assert.Equal(t, object{"message_id": m, "date": 0.0, "chat": object{"id": float64(group), "title": "Talk", "type": "supergroup"}}, q["message"])
	b.good("answerCallbackQuery", object{"callback_query_id": q["id"]})
}

// An upgrade writes into both chats, and the old id says where to go. Source: Bot API server, Client.cpp
// (check_chat_access).
func TestS2_Upgrade(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{})
	group := b.NewGroup("Basic", b.olga)
	require.NoError(t, b.Promote(group, b.olga, b.bot.ID, simulator.Rights("can_restrict_members")))
	require.NoError(t, b.Join(group, b.anna))
	b.drain("")
	id := b.Migrate(group)
	list := b.drain("message")
	require.Len(t, list, 2)
	assert.Equal(t, []any{float64(group), "group", float64(id)}, []any{at(list[0], "chat", "id"), at(list[0], "chat", "type"), list[0]["migrate_to_chat_id"]})
	assert.Equal(t, []any{float64(id), "supergroup", float64(group)}, []any{at(list[1], "chat", "id"), at(list[1], "chat", "type"), list[1]["migrate_from_chat_id"]})
	for _, method := range []string{"sendMessage", "getChat"} {
		a := b.fails("Bad Request: group chat was upgraded to a supergroup chat", method, object{"chat_id": group, "text": "x"})
		assert.Equal(t, object{"migrate_to_chat_id": float64(id)}, a.Parameters)
	}
	assert.Equal(t, "member", b.member(id, b.anna)["status"], "members keep their standing")
	assert.Equal(t, "administrator", b.member(id, b.bot.ID)["status"])
}

// An administrator with rights of its own makes a basic group a supergroup, so that this comes while a bot is
// being added. Source: TDLib, internalLinkTypeBotStartInGroup; a switch, since clients may do it or not.
func TestS2_UpgradeByPromotion(t *testing.T) {
	t.Parallel()
	for _, on := range []bool{false, true} {
		b := open(t, simulator.Switches{UpgradeOnPromotion: on})
		group := b.NewGroup("Basic", b.olga)
		require.NoError(t, b.Add(group, b.olga, b.bot.ID))
		b.drain("")
		require.NoError(t, b.Promote(group, b.olga, b.bot.ID, simulator.Rights("can_restrict_members")))
		moved := 0
		own := b.drain("")
		for _, u := range own {
			if at(u, "message", "migrate_to_chat_id") != nil {
				moved++
			}
		}
		want := map[bool]string{false: "group", true: "supergroup"}[on]
		assert.Equal(t, want, at(own[len(own)-1], "my_chat_member", "chat", "type"))
		assert.Equal(t, on, moved == 1)
	}
}

// Requests to join come to administrators who may invite; posts of a channel to its administrators. Source:
// Bot API, Update.
func TestS2_RequestsAndPostsNeedRights(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{})
	weak, strong := b.group("can_restrict_members"), b.group("can_invite_users")
	reader, writer := b.NewChannel("One", "", b.olga), b.NewChannel("Two", "", b.olga)
	require.NoError(t, b.Add(reader, b.olga, b.bot.ID))
	require.NoError(t, b.Promote(writer, b.olga, b.bot.ID, simulator.Rights()))
	b.drain("")
	for _, group := range []int64{weak, strong} {
		require.NoError(t, b.RequestJoin(group, b.anna))
	}
	for _, channel := range []int64{reader, writer} {
		b.write(channel, b.olga, "post")
	}
	list := b.drain("")
	require.Len(t, list, 2)
	assert.InDelta(t, strong, at(list[0], "chat_join_request", "chat", "id"), 0)
	assert.InDelta(t, writer, at(list[1], "channel_post", "chat", "id"), 0)
	assert.Nil(t, at(list[1], "channel_post", "from"))
}

// One message tells of several who were added, from whoever added them. Source: Bot API server, Client.cpp
// (JsonMessage).
func TestS2_OneMessageForSeveral(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{})
	group, boris := b.group(), b.NewUser("Boris", "")
	b.wants("chat_member", "message")
	require.NoError(t, b.AddAll(group, b.olga, b.anna, boris))
	messages, members := 0, 0
	for _, u := range b.drain("") {
		if u["chat_member"] != nil {
			members++
			continue
		}
		messages++
		assert.InDelta(t, b.olga, at(u, "message", "from", "id"), 0)
		assert.InDelta(t, b.anna, at(u, "message", "new_chat_members", 0, "id"), 0)
		assert.InDelta(t, boris, at(u, "message", "new_chat_members", 1, "id"), 0)
	}
	assert.Equal(t, [2]int{1, 2}, [2]int{messages, members})
}

// How somebody came is told: by which link, and that it was by a request. Links of others are shown by half.
// Joins by a link or a request are from the one who joins. Source: Bot API, ChatMemberUpdated, ChatInviteLink;
// Bot API server, Client.cpp.
func TestS2_HowSomebodyCame(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{})
	group := b.group("can_invite_users")
	boris, carl := b.NewUser("Boris", ""), b.NewUser("Carl", "")
	b.wants("chat_member", "message", "chat_join_request")
	link, _ := b.good("createChatInviteLink", object{"chat_id": group}).object()["invite_link"].(string)
	require.NoError(t, b.JoinByLink(group, b.anna, link))
	require.NoError(t, b.RequestJoin(group, boris))
	require.NoError(t, b.ApproveRequest(group, b.olga, boris))
	require.NoError(t, b.Join(group, carl))
	var members, messages []object
	for _, u := range b.drain("") {
		if m, ok := u["chat_member"].(object); ok {
			members = append(members, m)
		}
		if m, ok := u["message"].(object); ok {
			messages = append(messages, m)
		}
	}
	require.Len(t, members, 3)
	require.Len(t, messages, 3)
	assert.Equal(t, link, at(members[0], "invite_link", "invite_link"))
	assert.Nil(t, members[0]["via_join_request"])
	assert.Equal(t, true, members[1]["via_join_request"])
	assert.Regexp(t, `^https://t\.me/\+\w+…$`, at(members[1], "invite_link", "invite_link"))
	assert.InDelta(t, b.olga, at(members[1], "from", "id"), 0, "who approved")
	assert.Nil(t, members[2]["invite_link"])
	for i, from := range []int64{b.anna, boris, carl} {
		assert.InDelta(t, from, at(messages[i], "from", "id"), 0)
	}
}

// Large groups, and those that hide their members, do not tell of leaves by messages; chat_member comes.
// Source: tdlib/td issue 2249, tdesktop issue 26201; where it begins is a switch.
func TestS2_LargeGroupsAreSilent(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		most   int
		hidden bool
		want   int
	}{{0, false, 2}, {3, false, 2}, {2, false, 1}, {0, true, 0}} {
		b := open(t, simulator.Switches{LeaveMessagesUpTo: c.most})
		group := b.group()
		if c.hidden {
			b.HideMembers(group)
		}
		b.wants("chat_member", "message")
		require.NoError(t, b.Join(group, b.anna)) // with Olga and the bot that makes three
		require.NoError(t, b.Leave(group, b.anna))
		messages := 0
		list := b.drain("")
		for _, u := range list {
			if u["message"] != nil {
				messages++
			}
		}
		assert.Equal(t, c.want, messages, "%+v", c)
		assert.Equal(t, 2, len(list)-messages)
	}
}

// The end of a restriction sends no update. Source: from memory, so there is a switch.
func TestS2_ExpirySendsNothing(t *testing.T) {
	t.Parallel()
	for _, tells := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			b := inBubble(t, simulator.Switches{ExpiryTells: tells})
			group := b.group("can_restrict_members")
			require.NoError(t, b.Join(group, b.anna))
			b.good("restrictChatMember", object{"chat_id": group, "user_id": b.anna, "permissions": object{}, "until_date": time.Now().Add(time.Minute).Unix()})
			b.good("getUpdates", object{"allowed_updates": []string{"chat_member"}})
			before := b.Pending(b.bot.ID)
			time.Sleep(61 * time.Second)
			synctest.Wait()
			assert.Equal(t, tells, b.Pending(b.bot.ID) > before)
			assert.Equal(t, "member", standing(b.member(group, b.anna)))
			time.Sleep(10 * time.Second)
			assert.LessOrEqual(t, b.Pending(b.bot.ID), before+1, "once")
		})
	}
}

// Telegram's server still sends some old names beside the new. Source: Bot API server, Client.cpp (JsonChat,
// JsonChatMember, JsonMessage).
func TestS2_LegacyNames(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{})
	group := b.NewGroup("Basic", b.olga)
	require.NoError(t, b.Promote(group, b.olga, b.bot.ID, simulator.Rights("can_manage_video_chats")))
	u := b.drain("my_chat_member")[0]
	assert.Equal(t, false, at(u, "chat", "all_members_are_administrators"))
	assert.Equal(t, true, at(u, "new_chat_member", "can_manage_voice_chats"))
	super := b.group("can_restrict_members")
	b.restrict(super, b.anna, object{"can_send_photos": true})
	assert.Equal(t, true, b.member(super, b.anna)["can_send_media_messages"])
}

// Muted people can still press. Source: from memory, so there is a switch.
func TestS4_MutedPeoplePress(t *testing.T) {
	t.Parallel()
	for _, cannot := range []bool{false, true} {
		b := open(t, simulator.Switches{MutedCannotPress: cannot})
		group := b.group("can_restrict_members")
		require.NoError(t, b.Join(group, b.anna))
		m := b.send(group, "press")
		b.restrict(group, b.anna, object{})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := b.Press(ctx, group, m, b.anna, "go")
		if cannot {
			require.ErrorIs(t, err, simulator.ErrMayNot)
		} else {
			require.ErrorIs(t, err, context.Canceled, "it waits for an answer")
		}
		assert.Equal(t, !cannot, len(b.drain("callback_query")) == 1)
	}
}
