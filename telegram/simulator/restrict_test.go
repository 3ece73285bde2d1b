package simulator_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/telegram/simulator"
)

// guarded is a group with Anna in it, where the bot may restrict and gets chat_member.
func guarded(t *testing.T, switches simulator.Switches) (b *box, group int64) {
	t.Helper()
	switches.NoServiceMessages = true
	b = open(t, switches)
	group = b.group("can_restrict_members")
	require.NoError(t, b.Join(group, b.anna))
	b.wants("chat_member", "message")
	return b, group
}

func (b *box) restrict(chat, user int64, permissions any) answer {
	b.t.Helper()
	return b.good("restrictChatMember", object{"chat_id": chat, "user_id": user, "permissions": permissions})
}

// granted lists the flags somebody has.
func (b *box) granted(chat, user int64) []string {
	b.t.Helper()
	var list []string
	m := b.member(chat, user)
	require.Equal(b.t, "restricted", m["status"])
	for _, name := range simulator.PermissionNames {
		if m[name] == true {
			list = append(list, name)
		}
	}
	return list
}

// A missing flag is false, but for three that follow another; some imply others, unless each is meant on
// its own. Source: Bot API server, Client.cpp (get_chat_permissions).
func TestS4_Flags(t *testing.T) {
	t.Parallel()
	b, group := guarded(t, simulator.Switches{})
	media := simulator.PermissionNames[1:7]
	messages := []string{"can_send_messages"}
	reactions := []string{"can_react_to_messages"}
	for _, c := range []struct {
		given       object
		independent bool
		want        [][]string
	}{
		{object{}, false, nil},
		{object{"can_send_messages": true}, false, [][]string{messages, reactions}},
		{object{"can_send_messages": true, "can_react_to_messages": false}, false, [][]string{messages}},
		{object{"can_react_to_messages": true}, false, [][]string{reactions}},
		{object{"can_pin_messages": true}, false, [][]string{{"can_edit_tag", "can_pin_messages", "can_manage_topics"}}},
		{object{"can_pin_messages": true, "can_edit_tag": false, "can_manage_topics": false}, false, [][]string{{"can_pin_messages"}}},
		{object{"can_send_polls": true}, false, [][]string{messages, {"can_send_polls"}, reactions}},
		{object{"can_send_polls": true}, true, [][]string{{"can_send_polls"}}},
		{object{"can_send_other_messages": true}, false, [][]string{messages, media, {"can_send_other_messages"}, reactions}},
		{object{"can_send_other_messages": true}, true, [][]string{{"can_send_other_messages"}}},
		{object{"can_add_web_page_previews": true}, false, [][]string{messages, media, {"can_add_web_page_previews"}, reactions}},
		{object{"can_add_web_page_previews": true}, true, [][]string{{"can_add_web_page_previews"}}},
		{object{"can_send_photos": true, "can_change_info": true, "can_invite_users": true}, true, [][]string{{"can_send_photos", "can_change_info", "can_invite_users"}}},
	} {
		p := object{"chat_id": group, "user_id": b.anna, "permissions": c.given}
		if c.independent {
			p["use_independent_chat_permissions"] = true
		}
		b.good("restrictChatMember", p)
		assert.Equal(t, slices.Concat(c.want...), b.granted(group, b.anna), "%v", p)
	}
	b.fails("Bad Request: can't parse permissions JSON object", "restrictChatMember", object{"chat_id": group, "user_id": b.anna, "permissions": "{"})
}

// Times nearer than half a minute or farther than 366 days are for ever. Source: TDLib, fix_until_date.
func TestS4_UntilDate(t *testing.T) {
	t.Parallel()
	b, group := guarded(t, simulator.Switches{})
	const day = 24 * 3600
	for method, p := range map[string]object{"restrictChatMember": {"permissions": object{}}, "banChatMember": {}} {
		for after, kept := range map[int64]bool{-5: false, 0: false, 29: false, 30: true, 3600: true, 366 * day: true, 366*day + 1: false} {
			until := b.clock().Unix() + after
			p["chat_id"], p["user_id"], p["until_date"] = group, b.anna, until
			b.good(method, p)
			if !kept {
				until = 0
			}
			assert.InDelta(t, until, b.member(group, b.anna)["until_date"], 0, "%s %d s", method, after)
		}
	}
}

// All flags true make a plain member, or somebody who has left. Source: TDLib,
// DialogParticipantStatus::Restricted.
func TestS4_AllTrueFrees(t *testing.T) {
	t.Parallel()
	b, group := guarded(t, simulator.Switches{})
	b.restrict(group, b.anna, object{})
	_, err := b.Write(group, b.anna, "hello")
	require.ErrorIs(t, err, simulator.ErrMayNot)
	b.restrict(group, b.anna, allBut("can_change_info"))
	assert.Equal(t, "restricted inside", standing(b.member(group, b.anna)), "one flag short is restricted")
	b.restrict(group, b.anna, simulator.AllPermissions())
	assert.Equal(t, "member", standing(b.member(group, b.anna)))
	_, err = b.Write(group, b.anna, "hello")
	require.NoError(t, err)

	boris := b.NewUser("Boris", "")
	b.restrict(group, boris, object{})
	assert.Equal(t, "restricted", standing(b.member(group, boris)), "a stranger stays outside")
	require.NoError(t, b.Join(group, boris))
	assert.Equal(t, "restricted inside", standing(b.member(group, boris)), "and finds the restriction when joining")
	require.NoError(t, b.Leave(group, boris))
	b.restrict(group, boris, simulator.AllPermissions())
	assert.Equal(t, "left", standing(b.member(group, boris)))
}

// What changes nothing is true and sends nothing. Source: TDLib, set_channel_participant_status_impl.
func TestS4_SameStateIsSilent(t *testing.T) {
	t.Parallel()
	b, group := guarded(t, simulator.Switches{})
	boris := b.NewUser("Boris", "")
	for _, c := range []struct {
		user        int64
		permissions any
		want        []string
	}{
		{b.anna, simulator.AllPermissions(), []string{}},
		{boris, simulator.AllPermissions(), []string{}},
		{b.anna, object{}, []string{"member→restricted inside"}},
		{b.anna, object{}, []string{}},
		{b.anna, object{"can_send_messages": true}, []string{"restricted inside→restricted inside"}},
		{b.anna, object{"can_send_messages": true, "can_react_to_messages": true}, []string{}},
		{b.anna, simulator.AllPermissions(), []string{"restricted inside→member"}},
		{boris, object{}, []string{"left→restricted"}},
		{boris, object{}, []string{}},
	} {
		assert.JSONEq(t, `true`, string(b.restrict(group, c.user, c.permissions).Result))
		assert.Equal(t, c.want, b.changed(), "%v", c.permissions)
	}
	until := b.clock().Unix() + 3600
	b.good("restrictChatMember", object{"chat_id": group, "user_id": boris, "permissions": object{}, "until_date": until})
	assert.Equal(t, []string{"restricted→restricted"}, b.changed(), "another end is another state")
}

// The bot's own restrictions come back to it, from itself; the switch says otherwise.
func TestS2_OwnRestrictionsAreTold(t *testing.T) {
	t.Parallel()
	for _, quiet := range []bool{false, true} {
		b, group := guarded(t, simulator.Switches{QuietBotRestrictions: quiet})
		b.restrict(group, b.anna, object{})
		list := b.drain("chat_member")
		require.NoError(t, b.Restrict(group, b.olga, b.anna, allBut("can_send_polls"), 0))
		assert.Len(t, b.changed(), 1, "those of others are always told")
		if quiet {
			assert.Empty(t, list)
			continue
		}
		require.Len(t, list, 1)
		assert.InDelta(t, b.bot.ID, at(list[0], "from", "id"), 0)
		assert.Equal(t, false, at(list[0], "new_chat_member", "can_react_to_messages"))
		assert.Equal(t, true, at(list[0], "new_chat_member", "is_member"))
	}
}

// A restriction ends without an update. Source: Bot API, restrictChatMember.
func TestS4_RestrictionEnds(t *testing.T) {
	t.Parallel()
	b, group := guarded(t, simulator.Switches{})
	boris, carl, dora := b.NewUser("Boris", ""), b.NewUser("Carl", ""), b.NewUser("Dora", "")
	require.NoError(t, b.Join(group, dora))
	until := b.clock().Add(time.Hour).Unix()
	for _, id := range []int64{b.anna, boris, dora} {
		b.good("restrictChatMember", object{"chat_id": group, "user_id": id, "permissions": object{}, "until_date": until})
	}
	b.good("banChatMember", object{"chat_id": group, "user_id": carl, "until_date": until})
	b.drain("")
	b.advance(time.Unix(until-1, 0).Sub(b.clock()))
	assert.Equal(t, "restricted inside", standing(b.member(group, b.anna)))
	_, err := b.Write(group, b.anna, "hello")
	require.ErrorIs(t, err, simulator.ErrMayNot)
	require.ErrorIs(t, b.Join(group, carl), simulator.ErrMayNot)
	b.advance(2 * time.Second)
	require.NoError(t, b.Join(group, carl), "a ban that is over keeps nobody out")
	_, err = b.Write(group, b.anna, "hello")
	require.NoError(t, err)
	assert.Equal(t, "member", standing(b.member(group, b.anna)))
	assert.Equal(t, "left", standing(b.member(group, boris)))
	require.NoError(t, b.Leave(group, dora))
	assert.Equal(t, "left", standing(b.member(group, dora)))
	assert.Equal(t, []string{"left→member", "member→left"}, b.changed(), "Carl's joining and Dora's leaving alone")
}

// Whom and where a bot may not restrict. Source: TDLib, set_channel_participant_status_impl; Bot API
// server, Client.cpp.
func TestS4_RestrictErrors(t *testing.T) {
	t.Parallel()
	b, group := guarded(t, simulator.Switches{})
	admin := b.NewUser("Admin", "")
	require.NoError(t, b.Promote(group, b.olga, admin, simulator.Rights("can_delete_messages")))
	weak := b.group("can_delete_messages")
	plain := b.NewSupergroup("Plain", "", b.olga)
	require.NoError(t, b.Add(plain, b.olga, b.bot.ID))
	out := b.NewSupergroup("Out", "", b.olga)
	require.NoError(t, b.Ban(out, b.olga, b.bot.ID))
	basic := b.NewGroup("Basic", b.olga)
	require.NoError(t, b.Promote(basic, b.olga, b.bot.ID, simulator.Rights("can_restrict_members")))
	b.drain("")
	for _, c := range []struct {
		chat, user int64
		p          any
		want       string
	}{
		{basic, b.anna, object{}, "Bad Request: method is available only for supergroups"},
		{group, b.olga, object{}, "Bad Request: can't remove chat owner"},
		{group, b.bot.ID, object{}, "Bad Request: can't restrict self"},
		{group, admin, object{}, "Bad Request: user is an administrator of the chat"},
		{group, admin, simulator.AllPermissions(), "Bad Request: not enough rights"},
		{group, 42, object{}, "Bad Request: PARTICIPANT_ID_INVALID"},
		{group, 0, object{}, "Bad Request: invalid user_id specified"},
		{weak, b.anna, object{}, "Bad Request: not enough rights to restrict/unrestrict chat member"},
		{plain, b.anna, object{}, "Bad Request: not enough rights to restrict/unrestrict chat member"},
		{out, b.anna, object{}, "Forbidden: bot was kicked from the supergroup chat"},
	} {
		b.fails(c.want, "restrictChatMember", object{"chat_id": c.chat, "user_id": c.user, "permissions": c.p})
	}
	assert.Empty(t, b.changed())
	assert.Equal(t, "administrator", standing(b.member(group, admin)))
}

// All true on an administrator is a demotion, for which the right to promote is all it takes. Source:
// TDLib, set_channel_participant_status_impl.
func TestS4_AllTrueDemotes(t *testing.T) {
	t.Parallel()
	b, group := guarded(t, simulator.Switches{})
	admin := b.NewUser("Admin", "")
	require.NoError(t, b.Promote(group, b.olga, b.bot.ID, simulator.Rights("can_promote_members")))
	require.NoError(t, b.Promote(group, b.olga, admin, simulator.Rights("can_delete_messages")))
	b.drain("")
	b.restrict(group, admin, simulator.AllPermissions())
	assert.Equal(t, []string{"administrator→member"}, b.changed())
}

// Unbanning somebody who is present removes them, unless only the banned are meant. Source: Bot API,
// unbanChatMember.
func TestS4_Unban(t *testing.T) {
	t.Parallel()
	b, group := guarded(t, simulator.Switches{})
	unban := func(only bool) []string {
		b.good("unbanChatMember", object{"chat_id": group, "user_id": b.anna, "only_if_banned": only})
		return b.changed()
	}
	assert.Empty(t, unban(true), "a member")
	assert.Equal(t, []string{"member→left"}, unban(false))
	assert.Empty(t, unban(false), "somebody who has left")
	for _, only := range []bool{true, false} {
		b.good("banChatMember", object{"chat_id": group, "user_id": b.anna})
		assert.Equal(t, []string{"left→kicked"}, b.changed())
		assert.Equal(t, []string{"kicked→left"}, unban(only))
	}
	require.NoError(t, b.Join(group, b.anna))
	b.restrict(group, b.anna, object{})
	b.drain("")
	assert.Empty(t, unban(true), "a restricted member")
	assert.Equal(t, []string{"restricted inside→left"}, unban(false))
	b.fails("Bad Request: can't remove chat owner", "unbanChatMember", object{"chat_id": group, "user_id": b.olga})
}
