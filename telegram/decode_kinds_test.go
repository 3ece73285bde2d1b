package telegram

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/go-faster/jx"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gmbot/gmbot/protos"
)

func changed(kind, chat, before, after string) json.RawMessage {
	return update(`"` + kind + `":{"chat":` + chat + `,"from":` + ann + `,"date":5,"old_chat_member":` + before + `,"new_chat_member":` + after + `}`)
}

func TestDecode_Members(t *testing.T) {
	t.Parallel()
	is := func(user, status, more string) string {
		return `{"user":` + user + `,"status":"` + status + `"` + more + `}`
	}
	change := func(kind protos.EventKind, chat *protos.Chat, before, after *protos.Member) *protos.Event {
		return &protos.Event{Kind: kind, Chat: chat, From: pAnn, Date: 5, Before: before, After: after}
	}
	const member, mine = protos.EventKind_CHAT_MEMBER, protos.EventKind_MY_CHAT_MEMBER
	muted := `,"until_date":60,"can_send_messages":false,"can_send_media_messages":true,"can_send_polls":true,"can_manage_topics":true,"is_member":`
	mutedBits := uint32(1)<<protos.Permission_SEND_POLLS | 1<<protos.Permission_MANAGE_TOPICS
	checkAll(t, []decodeCase{
		{
			"leaves a channel", changed("chat_member", channel, is(ann, "member", ""), is(ann, "left", "")),
			change(member, pChannel, &protos.Member{User: pAnn, Status: "member"}, &protos.Member{User: pAnn, Status: "left"}),
		},
		{
			"restricted and gone", changed("chat_member", group, is(bob, "restricted", muted+"true"), is(bob, "restricted", muted+"false")),
			change(member, pGroup, &protos.Member{User: pBob, Status: "restricted", IsMember: true, UntilDate: 60, Permissions: mutedBits},
				&protos.Member{User: pBob, Status: "restricted", UntilDate: 60, Permissions: mutedBits}),
		},
		{
			"bot promoted", changed("my_chat_member", group, is(robot, "left", ""),
				is(robot, "administrator", `,"can_be_edited":false,"can_manage_chat":true,"can_restrict_members":true,"is_anonymous":true,"can_manage_voice_chats":true`)),
			change(mine, pGroup, &protos.Member{User: pRobot, Status: "left"}, &protos.Member{
				User: pRobot, Status: "administrator", IsAnonymous: true,
				Rights: 1<<protos.Right_MANAGE_CHAT | 1<<protos.Right_CAN_RESTRICT_MEMBERS,
			}),
		},
		{
			"owner", changed("chat_member", group, is(bob, "member", ""), is(bob, "creator", "")),
			change(member, pGroup, &protos.Member{User: pBob, Status: "member"}, &protos.Member{User: pBob, Status: "creator", Rights: 1<<6 - 1}),
		},
		{
			"flags of a plain member say nothing", changed("chat_member", group, is(bob, "kicked", ""), is(bob, "member", `,"can_invite_users":true`)),
			change(member, pGroup, &protos.Member{User: pBob, Status: "kicked"}, &protos.Member{User: pBob, Status: "member"}),
		},
		{
			"a status of the future", changed("chat_member", group, is(bob, "member", ""), is(bob, "guest", "")),
			change(member, pGroup, &protos.Member{User: pBob, Status: "member"}, &protos.Member{User: pBob, Status: "guest"}),
		},
	})
}

func TestDecode_PressesAndRequests(t *testing.T) {
	t.Parallel()
	press := func(more string) json.RawMessage {
		return update(`"callback_query":{"id":"4382","from":` + ann + `,"chat_instance":"-31","data":"v:1"` + more + `}`)
	}
	event := func(change func(*protos.Event)) *protos.Event {
		e := &protos.Event{Kind: protos.EventKind_CALLBACK, From: pAnn, CallbackId: "4382", CallbackData: "v:1"}
		change(e)
		return e
	}
	request := func(more string) json.RawMessage {
		return update(`"chat_join_request":{"chat":` + group + `,"from":` + ann + `,"user_chat_id":70,"date":5,"bio":"x"` + more + `}`)
	}
	asked := func(link string) *protos.Event {
		return &protos.Event{Kind: protos.EventKind_JOIN_REQUEST, Chat: pGroup, From: pAnn, UserChatId: 70, Date: 5, InviteLinkName: link}
	}
	checkAll(t, []decodeCase{
		{
			"press", press(`,"message":{"message_id":42,"date":3,"from":` + robot + `,"chat":` + group + `,"text":"x"}`),
			event(func(e *protos.Event) { e.Chat, e.MessageId, e.CallbackDate = pGroup, 42, 3 }),
		},
		{
			"press in a topic", press(`,"message":{"message_id":42,"message_thread_id":5,"is_topic_message":true,"chat":` + group + `}`),
			event(func(e *protos.Event) { e.Chat, e.MessageId, e.ThreadId = pGroup, 42, 5 }),
		},
		{
			"press on a comment", press(`,"message":{"message_id":42,"message_thread_id":5,"chat":` + group + `}`),
			event(func(e *protos.Event) { e.Chat, e.MessageId = pGroup, 42 }),
		},
		{
			"press on what is gone", press(`,"message":{"message_id":42,"date":0,"chat":` + group + `}`),
			event(func(e *protos.Event) { e.Chat, e.MessageId = pGroup, 42 }),
		},
		{
			"inline press", press(`,"inline_message_id":"zz"`),
			event(func(e *protos.Event) { e.Chat = &protos.Chat{Id: 7, Type: "private"} }),
		},
		{"request by link", request(`,"invite_link":{"invite_link":"https://t.me/+Ab","name":"gate","creates_join_request":true}`), asked("gate")},
		{"request without link", request(""), asked("")},
	})
}

func TestDecode_OtherKinds(t *testing.T) {
	t.Parallel()
	other := &protos.Event{}
	for kind := range strings.FieldsSeq(`channel_post edited_channel_post business_message guest_message poll poll_answer message_reaction
		inline_query chat_boost a_kind_of_the_future`) {
		c := decodeCase{kind, update(`"` + kind + `":{"message_id":1,"chat":` + group + `}`), other}
		c.check(t)
	}
	checkAll(t, []decodeCase{{"nothing", json.RawMessage(`{"update_id":9}`), other}, {"null", update(`"message":null`), other}})
}

func TestDecode_Malformed(t *testing.T) {
	t.Parallel()
	member := func(before, after string) string { return string(changed("chat_member", group, before, after)) }
	whole := `{"user":` + ann + `,"status":"member"}`
	cases := []struct {
		raw string
		id  int64 // 0: not even a number
	}{
		{``, 0},
		{`null`, 0},
		{`[]`, 0},
		{`7`, 0},
		{`"x"`, 0},
		{`{`, 0},
		{`{}`, 0},
		{`{"message":{}}`, 0},
		{`{"update_id":null}`, 0},
		{`{"update_id":"9"}`, 0},
		{`{"update_id":9.5}`, 0},
		{`{"update_id":99999999999999999999}`, 0},
		{`{"update_id":9,"message":[]}`, 9},
		{`{"update_id":9,"message":"x"}`, 9},
		{`{"update_id":9,"message":{}}`, 9},
		{`{"update_id":9,"message":{"message_id":1}}`, 9},
		{`{"update_id":9,"message":{"message_id":1,"chat":{}}}`, 9},
		{`{"update_id":9,"message":{"chat":{"id":-1}}}`, 9},
		{`{"update_id":9,"message":{"message_id":"1","chat":{"id":-1}}}`, 9},
		{`{"update_id":9,"message":{"message_id":1,"chat":{"id":"-1"}}}`, 9},
		{`{"update_id":9,"message":{"message_id":1,"chat":{"id":-1},"from":5}}`, 9},
		{`{"update_id":9,"message":{"message_id":1,"chat":{"id":-1},"text":{}}}`, 9},
		{`{"update_id":9,"message":{"message_id":1,"chat":{"id":-1},"entities":{}}}`, 9},
		{`{"update_id":9,"message":{"message_id":1,"chat":{"id":-1},"new_chat_members":{}}}`, 9},
		{`{"update_id":9,"edited_message":{"chat":{"id":-1}}}`, 9},
		{`{"update_id":9,"chat_member":{}}`, 9},
		{`{"update_id":9,"my_chat_member":{}}`, 9},
		{member(`null`, whole), 9},
		{member(whole, `null`), 9},
		{member(whole, `{"status":"left"}`), 9},
		{member(whole, `{"user":`+ann+`}`), 9},
		{member(whole, `{"user":{},"status":"left"}`), 9},
		{member(whole, `{"user":`+ann+`,"status":1}`), 9},
		{member(whole, `{"user":`+ann+`,"status":"left","is_member":1}`), 9},
		{member(`{}`, whole), 9},
		{`{"update_id":9,"chat_member":{"chat":{},"old_chat_member":` + whole + `,"new_chat_member":` + whole + `}}`, 9},
		{`{"update_id":9,"callback_query":{}}`, 9},
		{`{"update_id":9,"callback_query":{"id":"1"}}`, 9},
		{`{"update_id":9,"callback_query":{"from":` + ann + `}}`, 9},
		{`{"update_id":9,"callback_query":{"id":"1","from":{}}}`, 9},
		{`{"update_id":9,"callback_query":{"id":1,"from":` + ann + `}}`, 9},
		{`{"update_id":9,"callback_query":{"id":"1","from":` + ann + `,"message":{"message_id":1,"chat":{}}}}`, 9},
		{`{"update_id":9,"chat_join_request":{}}`, 9},
		{`{"update_id":9,"chat_join_request":{"chat":` + group + `}}`, 9},
		{`{"update_id":9,"chat_join_request":{"from":` + ann + `}}`, 9},
		{`{"update_id":9,"chat_join_request":{"chat":{},"from":` + ann + `}}`, 9},
		{`{"update_id":9,"chat_join_request":{"chat":` + group + `,"from":{}}}`, 9},
	}
	for _, c := range cases {
		_, err := Decode(json.RawMessage(c.raw), 1)
		require.Error(t, err, c.raw)
		id, err := UpdateID(json.RawMessage(c.raw))
		assert.Equal(t, c.id, id, c.raw)
		assert.Equal(t, c.id == 0, err != nil, c.raw)
	}
}

// readMember reads a ChatMember as answers and updates carry it.
func readMember(t require.TestingT, raw []byte) (m *protos.Member) {
	require.NoError(t, walk(raw, func(w *walker) (err error) {
		m, err = w.member()
		return err
	}))
	return m
}

// What is said of somebody's flags is read back bit for bit.
func TestFlags_RoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		set := rapid.Uint32Range(0, AllPermissions).Draw(t, "set")
		said := map[string]any{"status": StatusRestricted}
		for name, flag := range saidFlags(t, set) {
			said[name] = flag
		}
		raw, err := json.Marshal(said)
		require.NoError(t, err)
		m := readMember(t, raw)
		assert.Equal(t, set, m.GetPermissions())
		assert.Zero(t, m.GetRights())
		for bit := range protos.Permission_name {
			p := protos.Permission(bit)
			assert.Equal(t, set&(1<<uint(bit)) != 0, May(m, p), p)
		}
	})
}

// A bit has the place of its name in protos.Permission and protos.Right.
func TestFlags_BitOrder(t *testing.T) {
	t.Parallel()
	require.Len(t, protos.Permission_name, len(permissionNames))
	for bit, name := range protos.Permission_name {
		field := "can_" + strings.ToLower(name)
		assert.Equal(t, field, permissionNames[bit])
		m := readMember(t, []byte(`{"status":"restricted","`+field+`":true}`))
		assert.Equal(t, uint32(1)<<uint(bit), m.GetPermissions(), field)
		assert.Equal(t, map[bool]int{true: 1, false: 15}, count(saidFlags(t, 1<<uint(bit))), "every flag is said")
	}
	for bit, name := range protos.Right_name {
		field := "can_" + strings.TrimPrefix(strings.ToLower(name), "can_")
		m := readMember(t, []byte(`{"status":"administrator","`+field+`":true}`))
		assert.Equal(t, uint32(1)<<uint(bit), m.GetRights(), field)
		assert.True(t, HasRight(m, protos.Right(bit)))
		assert.Zero(t, m.GetPermissions())
	}
	assert.Equal(t, AllPermissions, uint32(1)<<len(protos.Permission_name)-1)
}

// saidFlags is what chatPermissions says.
func saidFlags(t require.TestingT, set uint32) (flags map[string]bool) {
	var e jx.Encoder
	chatPermissions(&e, set)
	require.NoError(t, json.Unmarshal(e.Bytes(), &flags))
	require.Len(t, flags, len(permissionNames))
	return flags
}

func count(flags map[string]bool) map[bool]int {
	n := map[bool]int{}
	for _, f := range flags {
		n[f]++
	}
	return n
}

func TestMember_Standing(t *testing.T) {
	t.Parallel()
	for status, want := range map[string]struct{ present, admin bool }{
		StatusCreator: {true, true}, StatusAdministrator: {true, true}, StatusMember: {true, false},
		StatusRestricted: {false, false}, StatusLeft: {}, StatusKicked: {}, "": {}, "guest": {},
	} {
		m := &protos.Member{Status: status}
		assert.Equal(t, want.present, Present(m), status)
		assert.Equal(t, want.present, May(m, protos.Permission_SEND_MESSAGES), status)
		assert.Equal(t, want.admin, IsAdmin(m), status)
		assert.Equal(t, status == StatusCreator, HasRight(m, protos.Right_CAN_INVITE_USERS), status)
	}
	inside := &protos.Member{Status: StatusRestricted, IsMember: true, Rights: 1<<6 - 1}
	assert.True(t, Present(inside))
	assert.False(t, May(inside, protos.Permission_SEND_MESSAGES))
	assert.False(t, HasRight(inside, protos.Right_MANAGE_CHAT), "only administrators have rights")
	assert.False(t, Present(nil))
}
