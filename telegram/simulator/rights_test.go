package simulator_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/telegram/simulator"
)

// A member by subscription has an end, after which they have left. Source: Bot API, ChatMemberMember.
func TestS3_PaidMembers(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{})
	channel := b.NewChannel("News", "", b.olga)
	require.NoError(t, b.Promote(channel, b.olga, b.bot.ID, simulator.Rights()))
	until := b.clock().Add(30 * 24 * time.Hour).Unix()
	require.NoError(t, b.JoinPaid(channel, b.anna, until))
	m := b.member(channel, b.anna)
	assert.Equal(t, "member", m["status"])
	assert.InDelta(t, until, m["until_date"], 0)
	b.advance(30*24*time.Hour + time.Second)
	assert.Equal(t, "left", b.member(channel, b.anna)["status"])
}

// An owner who left is the owner still. Source: Bot API server, Client.cpp.
func TestS3_OwnersWhoLeft(t *testing.T) {
	t.Parallel()
	b, group := guarded(t, simulator.Switches{})
	require.NoError(t, b.Leave(group, b.olga))
	assert.Equal(t, "creator", b.member(group, b.olga)["status"])
	assert.Equal(t, []string{"creator→creator"}, b.changed())
	assert.False(t, b.Member(group, b.olga).Present())
	require.NoError(t, b.Join(group, b.olga))
	assert.True(t, b.Member(group, b.olga).Present())
}

// Hidden members are shown to administrators only. Source: teloxide issue 1451.
func TestS3_HiddenMembers(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{})
	group := b.NewSupergroup("Talk", "", b.olga)
	require.NoError(t, b.Add(group, b.olga, b.bot.ID))
	require.NoError(t, b.Join(group, b.anna))
	b.HideMembers(group)
	b.fails("Bad Request: CHAT_ADMIN_REQUIRED", "getChatMember", object{"chat_id": group, "user_id": b.anna})
	assert.Equal(t, true, b.good("getChat", object{"chat_id": group}).object()["has_hidden_members"])
	require.NoError(t, b.Promote(group, b.olga, b.bot.ID, simulator.Rights()))
	assert.Equal(t, "member", b.member(group, b.anna)["status"])
}

// Somebody who never was there may be unknown at first, and be known minutes later. Source:
// tdlib/telegram-bot-api issue 802; when is a switch.
func TestS3_UnknownAtFirst(t *testing.T) {
	t.Parallel()
	for _, while := range []time.Duration{0, 3 * time.Minute} {
		b := open(t, simulator.Switches{UnknownAtFirst: while})
		group := b.group("can_restrict_members")
		ask := object{"chat_id": group, "user_id": b.anna}
		if while > 0 {
			b.fails("Bad Request: PARTICIPANT_ID_INVALID", "getChatMember", ask)
			b.fails("Bad Request: PARTICIPANT_ID_INVALID", "restrictChatMember", object{"chat_id": group, "user_id": b.anna, "permissions": object{}})
			b.advance(while)
		}
		assert.Equal(t, "left", b.member(group, b.anna)["status"])
		require.NoError(t, b.Join(group, b.olga))
		assert.Equal(t, "creator", b.member(group, b.olga)["status"], "who is there is known")
	}
}

// Restrictions are shown to administrators only. Source: tdlib/td issue 241.
func TestS3_RestrictionsAreForAdministrators(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{})
	group, boris := b.NewSupergroup("Talk", "", b.olga), b.NewUser("Boris", "")
	require.NoError(t, b.Add(group, b.olga, b.bot.ID))
	require.NoError(t, b.Join(group, b.anna))
	for _, id := range []int64{b.anna, boris} {
		require.NoError(t, b.Restrict(group, b.olga, id, simulator.Permissions{}, 0))
	}
	assert.Equal(t, "member", b.member(group, b.anna)["status"])
	assert.Equal(t, "left", b.member(group, boris)["status"])
	require.NoError(t, b.Promote(group, b.olga, b.bot.ID, simulator.Rights()))
	assert.Equal(t, "restricted inside", standing(b.member(group, b.anna)))
}

// What changes nothing asks for no right. Source: TDLib, set_channel_participant_status_impl.
func TestS4_SameStateNeedsNoRight(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{})
	group := b.group("can_delete_messages")
	require.NoError(t, b.Join(group, b.anna))
	b.restrict(group, b.anna, simulator.AllPermissions())
	b.fails("Bad Request: not enough rights to restrict/unrestrict chat member", "restrictChatMember",
		object{"chat_id": group, "user_id": b.anna, "permissions": object{}})
}

// What a chat allows nobody, nobody may, whatever is their own; and its permissions given to one person are a
// restriction. Source: TDLib, apply_restrictions, DialogParticipantStatus.
func TestS4_DefaultsApplyOnTop(t *testing.T) {
	t.Parallel()
	b, group := guarded(t, simulator.Switches{})
	b.SetDefaults(group, allBut("can_send_messages"))
	_, err := b.Write(group, b.anna, "hello")
	require.ErrorIs(t, err, simulator.ErrMayNot)
	assert.Equal(t, "member", standing(b.member(group, b.anna)), "it is no restriction of hers")
	b.restrict(group, b.anna, object{})
	b.restrict(group, b.anna, simulator.AllPermissions())
	assert.Equal(t, "member", standing(b.member(group, b.anna)))
	_, err = b.Write(group, b.anna, "hello")
	require.ErrorIs(t, err, simulator.ErrMayNot)

	b.SetDefaults(group, allBut("can_change_info"))
	given, _ := b.good("getChat", object{"chat_id": group}).object()["permissions"].(object)
	assert.Equal(t, false, given["can_change_info"])
	b.restrict(group, b.anna, given)
	assert.Equal(t, "restricted inside", standing(b.member(group, b.anna)), "a copy of the chat's permissions frees nobody")
	b.SetDefaults(group, simulator.AllPermissions())
	assert.Equal(t, "restricted inside", standing(b.member(group, b.anna)), "nor does opening the chat")
}

// All true takes away what a moderator had given. Source: TDLib, DialogParticipantStatus.
func TestS4_AllTrueErasesAModeratorsRestriction(t *testing.T) {
	t.Parallel()
	b, group := guarded(t, simulator.Switches{})
	require.NoError(t, b.Restrict(group, b.olga, b.anna, allBut("can_send_polls"), b.clock().Add(time.Hour).Unix()))
	b.restrict(group, b.anna, object{})
	b.restrict(group, b.anna, simulator.AllPermissions())
	assert.Equal(t, "member", standing(b.member(group, b.anna)))
}

// Opening a chat for all leaves the restrictions of single people. Source: inferred, so there is a switch.
func TestS4_UnlockKeepsRestrictions(t *testing.T) {
	t.Parallel()
	for _, frees := range []bool{false, true} {
		b, group := guarded(t, simulator.Switches{UnlockFrees: frees})
		b.restrict(group, b.anna, object{})
		b.good("setChatPermissions", object{"chat_id": group, "permissions": object{}})
		assert.Equal(t, "restricted inside", standing(b.member(group, b.anna)))
		b.good("setChatPermissions", object{"chat_id": group, "permissions": simulator.AllPermissions()})
		assert.Equal(t, map[bool]string{false: "restricted inside", true: "member"}[frees], standing(b.member(group, b.anna)))
	}
	weak := open(t, simulator.Switches{})
	group := weak.group("can_delete_messages")
	weak.fails("Bad Request: not enough rights to change chat permissions", "setChatPermissions", object{"chat_id": group, "permissions": object{}})
}

// Only people are restricted: a channel that writes is banned as such. Source: Bot API, banChatSenderChat.
func TestS4_ChannelsAreBanned(t *testing.T) {
	t.Parallel()
	b, group := guarded(t, simulator.Switches{})
	channel := b.NewChannel("Ads", "ads", b.anna)
	b.write(group, b.anna, "ad", simulator.AsChat(channel))
	b.fails("Bad Request: invalid user_id specified", "restrictChatMember", object{"chat_id": group, "user_id": channel, "permissions": object{}})
	b.fails("Bad Request: PARTICIPANT_ID_INVALID", "restrictChatMember", object{"chat_id": group, "user_id": 136817688, "permissions": object{}})
	b.good("banChatSenderChat", object{"chat_id": group, "sender_chat_id": channel})
	_, err := b.Write(group, b.anna, "ad", simulator.AsChat(channel))
	require.ErrorIs(t, err, simulator.ErrMayNot)
	b.write(group, b.anna, "as herself")
	b.good("unbanChatSenderChat", object{"chat_id": group, "sender_chat_id": channel})
	b.write(group, b.anna, "ad", simulator.AsChat(channel))
}

// Ids: a group's is the negative of its number, that of a supergroup or channel is ten to the twelfth below.
// Source: Bot API server, Client.cpp (get_supergroup_chat_id).
func TestS8_Ids(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{})
	assert.Greater(t, b.NewGroup("Basic", b.olga), int64(-1_000_000_000_000))
	assert.True(t, strings.HasPrefix(text(b.NewSupergroup("Talk", "", b.olga)), "-100"))
	assert.Less(t, b.NewChannel("News", "", b.olga), int64(-1_000_000_000_000))
	assert.Positive(t, b.anna)
}

// A channel and its discussion group name each other. Source: Bot API, ChatFullInfo.
func TestS8_LinkedChats(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{})
	group, channel := b.group(), b.NewChannel("News", "news", b.olga)
	b.Link(channel, group)
	assert.InDelta(t, channel, b.good("getChat", object{"chat_id": group}).object()["linked_chat_id"], 0)
	assert.InDelta(t, group, b.good("getChat", object{"chat_id": "@news"}).object()["linked_chat_id"], 0)
}

// A bot's primary link is its own, and a new one revokes the one before. Source: Bot API,
// exportChatInviteLink.
func TestS8_PrimaryLinks(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{})
	weak, channel := b.group(), b.NewChannel("News", "", b.olga)
	require.NoError(t, b.Promote(channel, b.olga, b.bot.ID, simulator.Rights("can_invite_users")))
	b.fails("Bad Request: not enough rights to manage chat invite link", "exportChatInviteLink", object{"chat_id": weak})
	shown := func() any { return b.good("getChat", object{"chat_id": channel}).object()["invite_link"] }
	assert.Nil(t, shown())
	export := func() string {
		return strings.Trim(string(b.good("exportChatInviteLink", object{"chat_id": channel}).Result), `"`)
	}
	first := export()
	assert.Equal(t, first, shown())
	second := export()
	assert.Equal(t, second, shown())
	assert.False(t, b.LinkWorks(channel, first))
	require.ErrorIs(t, b.JoinByLink(channel, b.anna, first), simulator.ErrMayNot)
	require.NoError(t, b.JoinByLink(channel, b.anna, second))
}

// A link ends with its time, its number of people, or when it is revoked. Source: Bot API,
// createChatInviteLink, revokeChatInviteLink.
func TestS8_LinksEnd(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{})
	channel := b.NewChannel("News", "", b.olga)
	require.NoError(t, b.Promote(channel, b.olga, b.bot.ID, simulator.Rights("can_invite_users")))
	make1 := func(p object) string {
		p["chat_id"] = channel
		link, _ := b.good("createChatInviteLink", p).object()["invite_link"].(string)
		return link
	}
	boris, carl := b.NewUser("Boris", ""), b.NewUser("Carl", "")
	one := make1(object{"member_limit": 1})
	require.NoError(t, b.JoinByLink(channel, b.anna, one))
	require.ErrorIs(t, b.JoinByLink(channel, boris, one), simulator.ErrMayNot)
	short := make1(object{"expire_date": b.clock().Add(time.Hour).Unix()})
	require.NoError(t, b.JoinByLink(channel, boris, short))
	b.advance(time.Hour)
	require.ErrorIs(t, b.JoinByLink(channel, carl, short), simulator.ErrMayNot)
	gone := make1(object{})
	assert.Equal(t, true, b.good("revokeChatInviteLink", object{"chat_id": channel, "invite_link": gone}).object()["is_revoked"])
	require.ErrorIs(t, b.JoinByLink(channel, carl, gone), simulator.ErrMayNot)
	b.fails("Bad Request: INVITE_HASH_EXPIRED", "editChatInviteLink", object{"chat_id": channel, "invite_link": gone})
}

// A bot may edit the administrators it made, while it may promote. Source: Bot API, ChatMemberAdministrator.
func TestS8_CanBeEdited(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{})
	group, boris := b.group("can_promote_members", "can_delete_messages"), b.NewUser("Boris", "")
	require.NoError(t, b.Promote(group, b.olga, boris, simulator.Rights()))
	b.good("promoteChatMember", object{"chat_id": group, "user_id": b.anna, "can_delete_messages": true})
	for id, may := range map[int64]bool{b.anna: true, boris: false, b.bot.ID: false} {
		assert.Equal(t, may, b.member(group, id)["can_be_edited"])
	}
	assert.Nil(t, b.member(group, b.olga)["can_be_edited"])
}

// Any right of an administrator opens a channel's member list; a right that is not given is listed as false.
// Source: TDLib, get_channel_participant; Bot API, ChatMemberAdministrator.
func TestS8_AnyRightOpensTheMemberList(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{})
	channel := b.NewChannel("News", "news", b.olga)
	b.fails("Bad Request: member list is inaccessible", "getChatMember", object{"chat_id": channel, "user_id": b.anna})
	require.NoError(t, b.Promote(channel, b.olga, b.bot.ID, simulator.Rights("can_change_info")))
	assert.Equal(t, "left", b.member(channel, b.anna)["status"])
	me := b.member(channel, b.bot.ID)
	assert.Equal(t, []any{true, true, false, false}, []any{me["can_manage_chat"], me["can_change_info"], me["can_invite_users"], me["can_post_messages"]})
	require.NoError(t, b.Join(channel, b.anna))
	assert.Empty(t, b.changed(), "it did not ask for the kind")
}

// Who shares a chat by a button gives the bot the rights the button names, if they may. Source: Bot API,
// KeyboardButtonRequestChat.
func TestS8_SharedChats(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{})
	group, channel := b.NewSupergroup("Talk", "", b.olga), b.NewChannel("News", "", b.olga)
	require.NoError(t, b.Start(b.olga, b.bot.ID))
	rights := func(more ...string) object {
		o := object{
			"is_anonymous": false, "can_manage_chat": false, "can_delete_messages": true, "can_manage_video_chats": false, "can_restrict_members": true,
			"can_promote_members": false, "can_change_info": false, "can_invite_users": false, "can_post_stories": false, "can_edit_stories": false, "can_delete_stories": false,
		}
		for _, m := range more {
			o[m] = true
		}
		return o
	}
	b.good("sendMessage", object{"chat_id": b.olga, "text": "pick", "reply_markup": object{"keyboard": [][]object{{{
		"text": "Group", "request_chat": object{"request_id": 7, "chat_is_channel": false, "user_administrator_rights": rights("can_promote_members"), "bot_administrator_rights": rights()},
	}}}}})
	b.fails("Bad Request: chat can be requested in private chats only", "sendMessage", object{
		"chat_id": b.group(), "text": "pick", "reply_markup": object{"keyboard": [][]object{{{"text": "x", "request_chat": object{"request_id": 1, "chat_is_channel": false}}}}},
	})
	b.drain("")
	require.ErrorIs(t, b.ShareChat(b.olga, b.bot.ID, channel, 7), simulator.ErrMayNot)
	require.ErrorIs(t, b.ShareChat(b.olga, b.bot.ID, group, 8), simulator.ErrNoMessage)
	require.NoError(t, b.ShareChat(b.olga, b.bot.ID, group, 7))
	list := b.drain("")
	require.Len(t, list, 2)
	assert.Equal(t, true, at(list[0], "my_chat_member", "new_chat_member", "can_restrict_members"))
	assert.Equal(t, object{"request_id": 7.0, "chat_id": float64(group)}, at(list[1], "message", "chat_shared"))
}

// Lists of commands are kept apart by scope and language; names and descriptions have bounds. Source: Bot
// API, setMyCommands.
func TestS8_Commands(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{})
	list := func(name, about string) []object { return []object{{"command": name, "description": about}} }
	b.good("setMyCommands", object{"commands": list("help", "For all")})
	b.good("setMyCommands", object{"commands": list("status", "For some"), "scope": object{"type": "all_chat_administrators"}, "language_code": "de"})
	get := func(p object) string { return string(b.good("getMyCommands", p).Result) }
	assert.JSONEq(t, `[{"command":"help","description":"For all"}]`, get(object{}))
	assert.JSONEq(t, `[]`, get(object{"scope": object{"type": "all_chat_administrators"}}))
	assert.JSONEq(t, `[{"command":"status","description":"For some"}]`, get(object{"scope": object{"type": "all_chat_administrators"}, "language_code": "de"}))
	for _, c := range []struct {
		commands []object
		want     string
	}{
		{list(strings.Repeat("x", 33), "x"), "Bad Request: BOT_COMMAND_INVALID"},
		{list("x", strings.Repeat("x", 257)), "Bad Request: BOT_COMMAND_INVALID"},
		{make([]object, 101), "Bad Request: BOT_COMMANDS_TOO_MUCH"},
	} {
		b.fails(c.want, "setMyCommands", object{"commands": c.commands})
	}
}
