package simulator_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/telegram/simulator"
)

// allBut is every permission but those named.
func allBut(names ...string) simulator.Permissions {
	p := simulator.AllPermissions()
	for _, n := range names {
		p[n] = false
	}
	return p
}

// member asks the Bot API for somebody's standing.
func (b *box) member(chat, user int64) object {
	b.t.Helper()
	return b.good("getChatMember", object{"chat_id": chat, "user_id": user}).object()
}

// changed drains, and lists the chat_member updates as "status→status".
func (b *box) changed() []string {
	b.t.Helper()
	list := []string{}
	for _, u := range b.drain("chat_member") {
		list = append(list, standing(u["old_chat_member"])+"→"+standing(u["new_chat_member"]))
	}
	return list
}

// standing is a status; whether a restricted one is inside is part of it.
func standing(member any) string {
	s := text(at(member, "status"))
	if s == "restricted" && at(member, "is_member") == true {
		return "restricted inside"
	}
	return s
}

// The statuses a member can have; strangers have left. Source: Bot API, ChatMember; TDLib,
// GetChannelParticipantQuery.
func TestS3_Statuses(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{})
	group := b.group()
	user := func(name string, act func(int64) error) int64 {
		id := b.NewUser(name, "")
		require.NoError(t, act(id), name)
		return id
	}
	join := func(id int64) error { return b.Join(group, id) }
	nothing := func(int64) error { return nil }
	restrict := func(id int64) error { return b.Restrict(group, b.olga, id, allBut("can_send_polls"), 0) }
	until := b.clock().Add(time.Hour).Unix()

	assert.Equal(t, "creator", b.member(group, b.olga)["status"])
	assert.Equal(t, "administrator", b.member(group, b.bot.ID)["status"])
	assert.Equal(t, "member", b.member(group, user("Member", join))["status"])
	assert.Equal(t, "left", b.member(group, user("Stranger", nothing))["status"])
	assert.Equal(t, "kicked", b.member(group, user("Banned", func(id int64) error { return b.Ban(group, b.olga, id) }))["status"])

	m := b.member(group, user("Outside", restrict))
	assert.Equal(t, []any{"restricted", false, 0.0}, []any{m["status"], m["is_member"], m["until_date"]})
	inside := user("Inside", join)
	require.NoError(t, b.Restrict(group, b.olga, inside, allBut("can_send_polls"), until))
	m = b.member(group, inside)
	assert.Equal(t, []any{"restricted", true, float64(until)}, []any{m["status"], m["is_member"], m["until_date"]})
	for _, name := range simulator.PermissionNames {
		assert.Equal(t, name != "can_send_polls", m[name], name)
	}
	assert.Equal(t, true, m["can_send_media_messages"], "the legacy flag")
	require.NoError(t, b.Leave(group, inside))
	m = b.member(group, inside)
	assert.Equal(t, []any{"restricted", false}, []any{m["status"], m["is_member"]})
}

// The 16 flags are those of the Bot API.
func TestS3_PermissionsAreSixteen(t *testing.T) {
	t.Parallel()
	assert.Len(t, simulator.AllPermissions(), 16)
}

// Why a look-up fails. Source: Bot API server, Client.cpp (check_chat_access, get_user_id); TDLib,
// get_channel_participant.
func TestS3_LookUpErrors(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{})
	group := b.group()
	chat := func(found func(title, name string, owner int64) int64, name string, acts ...func(chat, by, user int64) error) int64 {
		id := found("Somewhere", name, b.olga)
		for _, act := range acts {
			require.NoError(t, act(id, b.olga, b.bot.ID))
		}
		return id
	}
	basic := func(title, _ string, owner int64) int64 { return b.NewGroup(title, owner) }
	add, ban, unban := b.Add, b.Ban, b.Unban
	for name, c := range map[string]struct {
		chat, user any
		code       int
		want       string
	}{
		"public channel, no administrator":  {chat(b.NewChannel, "open_news"), b.anna, 400, "Bad Request: member list is inaccessible"},
		"public channel by name":            {"@OPEN_news", b.anna, 400, "Bad Request: member list is inaccessible"},
		"private channel, plain member":     {chat(b.NewChannel, "", add), b.anna, 400, "Bad Request: member list is inaccessible"},
		"private channel never seen":        {chat(b.NewChannel, ""), b.anna, 400, "Bad Request: chat not found"},
		"private group never seen":          {chat(b.NewSupergroup, ""), b.anna, 400, "Bad Request: chat not found"},
		"no such id":                        {-1000000000042, b.anna, 400, "Bad Request: chat not found"},
		"no such name":                      {"@nobody_here", b.anna, 400, "Bad Request: chat not found"},
		"no id":                             {"nonsense", b.anna, 400, "Bad Request: chat not found"},
		"kicked from a channel":             {chat(b.NewChannel, "", add, ban), b.anna, 403, "Forbidden: bot was kicked from the channel chat"},
		"kicked from a supergroup":          {chat(b.NewSupergroup, "", add, ban), b.anna, 403, "Forbidden: bot was kicked from the supergroup chat"},
		"kicked from a public supergroup":   {chat(b.NewSupergroup, "kicked_here", ban), b.anna, 403, "Forbidden: bot was kicked from the supergroup chat"},
		"kicked from a basic group":         {chat(basic, "", add, ban), b.anna, 403, "Forbidden: bot was kicked from the group chat"},
		"no longer in a private channel":    {chat(b.NewChannel, "", add, ban, unban), b.anna, 403, "Forbidden: bot is not a member of the channel chat"},
		"no longer in a private supergroup": {chat(b.NewSupergroup, "", add, ban, unban), b.anna, 403, "Forbidden: bot is not a member of the supergroup chat"},
		"unknown person":                    {group, 42, 400, "Bad Request: PARTICIPANT_ID_INVALID"},
		"person 0":                          {group, 0, 400, "Bad Request: invalid user_id specified"},
		"negative person":                   {group, -5, 400, "Bad Request: invalid user_id specified"},
		"no person's id":                    {group, "anna", 400, "Bad Request: invalid user_id specified"},
	} {
		a := b.fails(c.want, "getChatMember", object{"chat_id": c.chat, "user_id": c.user})
		assert.Equal(t, c.code, a.status, name)
	}
	public := b.NewSupergroup("Open", "open_talk", b.olga)
	assert.Equal(t, "left", b.member(public, b.anna)["status"], "the members of a public group are open to all")
}

// Joining and leaving send chat_member; for restricted people only is_member changes. Source: Bot API,
// ChatMemberUpdated; TDLib, DialogParticipantStatus.
func TestS2_MemberUpdates(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{})
	group := b.group("can_restrict_members")
	channel := b.NewChannel("News", "", b.olga)
	require.NoError(t, b.Promote(channel, b.olga, b.bot.ID, simulator.Rights()))
	b.wants("chat_member", "message")
	for _, chat := range []int64{group, channel} {
		require.NoError(t, b.Join(chat, b.anna))
		require.NoError(t, b.Join(chat, b.anna)) // is there already
		require.NoError(t, b.Leave(chat, b.anna))
		require.NoError(t, b.Leave(chat, b.anna)) // is gone already
		require.NoError(t, b.Add(chat, b.olga, b.anna))
		list := b.drain("chat_member")
		require.Len(t, list, 3)
		for i, want := range [][3]any{{"left", "member", b.anna}, {"member", "left", b.anna}, {"left", "member", b.olga}} {
			u := list[i]
			assert.Equal(t, want[0], standing(u["old_chat_member"]))
			assert.Equal(t, want[1], standing(u["new_chat_member"]))
			assert.InDelta(t, want[2], at(u, "from", "id"), 0, "who did it")
			assert.InDelta(t, b.anna, at(u, "new_chat_member", "user", "id"), 0)
			assert.InDelta(t, chat, at(u, "chat", "id"), 0)
		}
	}
	require.NoError(t, b.Restrict(group, b.olga, b.anna, allBut("can_send_polls"), 0))
	require.NoError(t, b.Leave(group, b.anna))
	require.NoError(t, b.Join(group, b.anna))
	require.NoError(t, b.Restrict(group, b.olga, b.anna, allBut(), 0))
	require.NoError(t, b.Ban(group, b.olga, b.anna))
	require.ErrorIs(t, b.Join(group, b.anna), simulator.ErrMayNot)
	require.NoError(t, b.Unban(group, b.olga, b.anna))
	assert.Equal(t, []string{
		"member→restricted inside", "restricted inside→restricted", "restricted→restricted inside",
		"restricted inside→member", "member→kicked", "kicked→left",
	}, b.changed())
}

// Only an administrator gets chat_member. Source: Bot API, Update.
func TestS2_MemberUpdatesAreForAdministrators(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{})
	group := b.NewSupergroup("Talk", "", b.olga)
	require.NoError(t, b.Add(group, b.olga, b.bot.ID))
	b.wants("chat_member", "message")
	require.NoError(t, b.Join(group, b.anna))
	assert.Empty(t, b.changed())
}

// my_chat_member needs no asking: promotions, demotions, removals, and blocks in private. Source: Bot API,
// Update; TDLib, on_update_bot_stopped.
func TestS2_OwnMemberUpdates(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{})
	group := b.NewSupergroup("Talk", "", b.olga)
	require.NoError(t, b.Promote(group, b.olga, b.bot.ID, simulator.Rights("can_delete_messages")))
	require.NoError(t, b.Demote(group, b.olga, b.bot.ID))
	require.NoError(t, b.Ban(group, b.olga, b.bot.ID))
	require.NoError(t, b.Start(b.anna, b.bot.ID))
	for range 2 { // blocking twice is blocking once
		require.NoError(t, b.Block(b.anna, b.bot.ID))
	}
	b.fails("Forbidden: bot was blocked by the user", "sendMessage", object{"chat_id": b.anna, "text": "x"})
	require.NoError(t, b.Unblock(b.anna, b.bot.ID))
	b.send(b.anna, "hi")
	list := b.drain("my_chat_member")
	require.Len(t, list, 5)
	for i, want := range [][4]any{
		{"left", "administrator", b.olga, "supergroup"},
		{"administrator", "member", b.olga, "supergroup"},
		{"member", "kicked", b.olga, "supergroup"},
		{"member", "kicked", b.anna, "private"},
		{"kicked", "member", b.anna, "private"},
	} {
		u := list[i]
		assert.Equal(t, want[0], standing(u["old_chat_member"]))
		assert.Equal(t, want[1], standing(u["new_chat_member"]))
		assert.InDelta(t, want[2], at(u, "from", "id"), 0)
		assert.Equal(t, want[3], at(u, "chat", "type"))
		assert.InDelta(t, b.bot.ID, at(u, "new_chat_member", "user", "id"), 0)
	}
	rights := at(list[0], "new_chat_member")
	assert.Equal(t, true, at(rights, "can_delete_messages"))
	assert.Equal(t, false, at(rights, "can_restrict_members"), "a right not given is listed as false")
	assert.Equal(t, false, at(rights, "can_manage_voice_chats"), "the legacy name")
}

// Joins and leaves leave service messages where the group is not large; chat_member comes either way.
// Source: Bot API server, Client.cpp (JsonMessage, need_skip_update_message).
func TestS2_ServiceMessages(t *testing.T) {
	t.Parallel()
	for _, quiet := range []bool{false, true} {
		b := open(t, simulator.Switches{NoServiceMessages: quiet})
		group := b.group("can_restrict_members")
		channel := b.NewChannel("News", "", b.olga)
		require.NoError(t, b.Promote(channel, b.olga, b.bot.ID, simulator.Rights()))
		b.wants("chat_member", "message", "channel_post")
		for _, chat := range []int64{group, channel} {
			require.NoError(t, b.Join(chat, b.anna))
			require.NoError(t, b.Leave(chat, b.anna))
			require.NoError(t, b.Add(chat, b.olga, b.anna))
		}
		b.good("banChatMember", object{"chat_id": group, "user_id": b.anna})
		require.NoError(t, b.Leave(channel, b.anna))
		var members, posts int
		var service []object
		for _, u := range b.drain("") {
			switch {
			case u["chat_member"] != nil:
				members++
			case u["channel_post"] != nil:
				posts++
			default:
				m, _ := u["message"].(object)
				service = append(service, m)
			}
		}
		assert.Equal(t, 8, members)
		assert.Zero(t, posts, "channels have no such messages")
		if quiet {
			assert.Empty(t, service)
			assert.Empty(t, b.Messages(group))
			continue
		}
		require.Len(t, service, 4)
		for i, from := range []int64{b.anna, b.anna, b.olga, b.bot.ID} {
			assert.InDelta(t, from, at(service[i], "from", "id"), 0, "message %d", i)
			if i%2 == 0 {
				assert.InDelta(t, b.anna, at(service[i], "new_chat_members", 0, "id"), 0)
				assert.InDelta(t, b.anna, at(service[i], "new_chat_participant", "id"), 0, "the legacy name")
				continue
			}
			assert.InDelta(t, b.anna, at(service[i], "left_chat_member", "id"), 0)
			assert.InDelta(t, b.anna, at(service[i], "left_chat_participant", "id"), 0, "the legacy name")
		}
		assert.Len(t, b.Messages(group), 4)
		assert.Nil(t, service[0]["text"])
	}
}

// A token begins with its bot's id, and nobody else gets that id.
func TestBot_HasTheIDOfItsToken(t *testing.T) {
	t.Parallel()
	s := simulator.New(simulator.Options{})
	first := s.NewUser("Anna", "")
	given := s.NewBotToken("given_bot", fmt.Sprintf("%d:AAbbCCddEEffGGhhIIjjKKllMMnnOOppQQr", first+2))
	assert.Equal(t, first+2, given.ID)
	seen := map[int64]bool{first: true, given.ID: true}
	for range 3 {
		id := s.NewUser("Boris", "")
		assert.False(t, seen[id])
		seen[id] = true
	}
	made := s.NewBot("made_bot")
	assert.True(t, strings.HasPrefix(made.Token, fmt.Sprintf("%d:", made.ID)), "%d", made.ID)
	taken := s.NewBotToken("taken_bot", fmt.Sprintf("%d:x", first))
	assert.NotEqual(t, first, taken.ID, "a person's id is no bot's")
}
