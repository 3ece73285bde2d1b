package telegram

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/gmbot/gmbot/protos"
)

// Pieces of updates.
const (
	ann     = `{"id":7,"is_bot":false,"first_name":"Ann","last_name":"Lee","username":"annlee","language_code":"fa"}`
	bob     = `{"id":8,"is_bot":false,"first_name":"Bob"}`
	robot   = `{"id":99,"is_bot":true,"first_name":"Gate","username":"gatebot"}`
	group   = `{"id":-1001,"title":"Club","username":"club","type":"supergroup"}`
	channel = `{"id":-1002,"title":"News","type":"channel"}`
	posted  = `"message_id":41,"date":1795000000,"from":` + ann + `,"chat":` + group
)

var (
	pAnn     = &protos.User{Id: 7, FirstName: "Ann", LastName: "Lee", Username: "annlee", LanguageCode: "fa"}
	pBob     = &protos.User{Id: 8, FirstName: "Bob"}
	pRobot   = &protos.User{Id: 99, IsBot: true, FirstName: "Gate", Username: "gatebot"}
	pGroup   = &protos.Chat{Id: -1001, Type: "supergroup", Title: "Club", Username: "club"}
	pChannel = &protos.Chat{Id: -1002, Type: "channel", Title: "News"}
)

// update wraps a body as update number 9.
func update(body string) json.RawMessage { return json.RawMessage(`{"update_id":9,` + body + `}`) }

// message is an update with a message of Ann's in the group, and more fields.
func message(more string) json.RawMessage { return update(`"message":{` + posted + more + `}`) }

// post is the event of such a message, changed.
func post(change func(*protos.Event)) *protos.Event {
	e := &protos.Event{Kind: protos.EventKind_MESSAGE, Chat: pGroup, From: pAnn, Date: 1795000000, MessageId: 41}
	if change != nil {
		change(e)
	}
	return e
}

type decodeCase struct {
	name string
	raw  json.RawMessage
	want *protos.Event
}

func (c *decodeCase) check(t *testing.T) {
	t.Helper()
	want := proto.CloneOf(c.want)
	want.UpdateId, want.ReceivedMs = 9, 1234
	got, err := Decode(c.raw, 1234)
	require.NoError(t, err, c.name)
	assert.True(t, proto.Equal(want, got), "%s\nwant %s\ngot  %s", c.name, protojson.Format(want), protojson.Format(got))
}

func checkAll(t *testing.T, cases []decodeCase) {
	t.Helper()
	for i := range cases {
		cases[i].check(t)
	}
}

func TestDecode_Messages(t *testing.T) {
	t.Parallel()
	checkAll(t, []decodeCase{
		{"text", message(`,"text":"hi"`), post(func(e *protos.Event) { e.Text = "hi" })},
		{"sticker", message(`,"sticker":{"file_id":"x"}`), post(nil)},
		{"command", message(`,"text":"/check now","entities":[{"type":"bot_command","offset":0,"length":6}]`), post(func(e *protos.Event) {
			e.Text, e.IsCommand = "/check now", true
		})},
		{
			"command among others", message(`,"text":"/a","entities":[{"type":"bold","offset":0,"length":2},{"type":"bot_command","offset":0,"length":2},{"type":"bold","offset":1,"length":1}]`),
			post(func(e *protos.Event) { e.Text, e.IsCommand = "/a", true }),
		},
		{"command further on", message(`,"text":"a /b","entities":[{"type":"bot_command","offset":2,"length":2}]`), post(func(e *protos.Event) {
			e.Text = "a /b"
		})},
		{"slash without entity", message(`,"text":"/b"`), post(func(e *protos.Event) { e.Text = "/b" })},
		{"other entity at 0", message(`,"text":"@x","entities":[{"type":"mention","offset":0,"length":2}]`), post(func(e *protos.Event) { e.Text = "@x" })},
		{"caption in album", message(`,"caption":"look","media_group_id":"77","photo":[]`), post(func(e *protos.Event) {
			e.Text, e.MediaGroupId = "look", "77"
		})},
		{"caption command", message(`,"caption":"/a","caption_entities":[{"type":"bot_command","offset":0,"length":2}]`), post(func(e *protos.Event) {
			e.Text, e.IsCommand = "/a", true
		})},
		{
			"caption entities do not count for text", message(`,"text":"x","caption_entities":[{"type":"bot_command","offset":0,"length":2}]`),
			post(func(e *protos.Event) { e.Text = "x" }),
		},
		{"topic", message(`,"message_thread_id":5,"is_topic_message":true`), post(func(e *protos.Event) { e.ThreadId = 5 })},
		{"comment is no topic", message(`,"message_thread_id":5`), post(nil)},
		{
			"forum", update(`"message":{"message_id":41,"date":1,"chat":{"id":-1,"type":"supergroup","is_forum":true}}`),
			&protos.Event{Kind: protos.EventKind_MESSAGE, Chat: &protos.Chat{Id: -1, Type: "supergroup", IsForum: true}, Date: 1, MessageId: 41},
		},
		{"edited", update(`"edited_message":{` + posted + `,"edit_date":1795000050,"text":"ho"}`), post(func(e *protos.Event) {
			e.Kind, e.Date, e.Text = protos.EventKind_EDITED_MESSAGE, 1795000050, "ho"
		})},
		{"reply", message(`,"reply_to_message":{"message_id":40,"from":` + bob + `}`), post(func(e *protos.Event) {
			e.ReplyMessageId, e.ReplyUser = 40, pBob
		})},
		{
			"reply to a forwarded post", message(`,"reply_to_message":{"message_id":40,"forward_origin":{"type":"channel","chat":` + channel + `}}`),
			post(func(e *protos.Event) { e.ReplyMessageId, e.ReplyOriginChat = 40, pChannel }),
		},
		{
			"reply to a forward of a person", message(`,"reply_to_message":{"message_id":40,"forward_origin":{"type":"user"}}`),
			post(func(e *protos.Event) { e.ReplyMessageId = 40 }),
		},
		{
			"private", update(`"message":{"message_id":1,"date":2,"from":` + bob + `,"chat":{"id":8,"type":"private","first_name":"Bob"},"text":"x"}`),
			&protos.Event{Kind: protos.EventKind_MESSAGE, Chat: &protos.Chat{Id: 8, Type: "private"}, From: pBob, Date: 2, MessageId: 1, Text: "x"},
		},
		{"unknown fields and surrogates", message(`,"text":"\ud83d\udc4b","future":{"a":[1]}`), post(func(e *protos.Event) { e.Text = "👋" })},
	})
}

// Who a message seems to come from: administrators without a name, channels, the linked channel, bots.
func TestDecode_Senders(t *testing.T) {
	t.Parallel()
	from := func(id string) string { return `{"id":` + id + `,"is_bot":true,"first_name":"x"}` }
	as := func(sender, chat string, more string) json.RawMessage {
		return update(`"message":{"message_id":41,"date":1,"from":` + sender + `,"sender_chat":` + chat + `,"chat":` + group + more + `}`)
	}
	event := func(id int64, sender *protos.Chat) *protos.Event {
		return &protos.Event{
			Kind: protos.EventKind_MESSAGE, Chat: pGroup, SenderChat: sender, Date: 1, MessageId: 41,
			From: &protos.User{Id: id, IsBot: true, FirstName: "x"},
		}
	}
	linked := event(777000, pChannel)
	linked.AutomaticForward = true
	checkAll(t, []decodeCase{
		{"anonymous administrator", as(from("1087968824"), group, ""), event(1087968824, pGroup)},
		{"as a channel", as(from("136817688"), channel, ""), event(136817688, pChannel)},
		{"linked channel", as(from("777000"), channel, `,"is_automatic_forward":true`), linked},
		{
			"another bot", update(`"message":{"message_id":41,"date":1,"from":` + robot + `,"chat":` + group + `}`),
			&protos.Event{Kind: protos.EventKind_MESSAGE, Chat: pGroup, From: pRobot, Date: 1, MessageId: 41},
		},
		{"by way of a bot", message(`,"via_bot":` + robot), post(nil)},
		{
			"nobody", update(`"message":{"message_id":41,"date":1,"chat":` + group + `}`),
			&protos.Event{Kind: protos.EventKind_MESSAGE, Chat: pGroup, Date: 1, MessageId: 41},
		},
	})
}

func TestDecode_ServiceMessages(t *testing.T) {
	t.Parallel()
	checkAll(t, []decodeCase{
		{
			"joined", message(`,"new_chat_participant":` + bob + `,"new_chat_member":` + bob + `,"new_chat_members":[` + bob + `,` + robot + `]`),
			post(func(e *protos.Event) { e.Kind, e.Users = protos.EventKind_MEMBERS_JOINED, []*protos.User{pBob, pRobot} }),
		},
		{
			"left", message(`,"left_chat_participant":` + ann + `,"left_chat_member":` + ann),
			post(func(e *protos.Event) { e.Kind, e.Users = protos.EventKind_MEMBER_LEFT, []*protos.User{pAnn} }),
		},
		{"moves to", message(`,"migrate_to_chat_id":-1009`), post(func(e *protos.Event) {
			e.Kind, e.MigrateTo = protos.EventKind_MIGRATED, -1009
		})},
		{"comes from", message(`,"migrate_from_chat_id":-55`), post(func(e *protos.Event) {
			e.Kind, e.MigrateFrom = protos.EventKind_MIGRATED, -55
		})},
	})
	// Source: Bot API, Message.
	for name := range strings.FieldsSeq(`new_chat_title new_chat_photo delete_chat_photo group_chat_created supergroup_chat_created
		channel_chat_created pinned_message message_auto_delete_timer_changed forum_topic_created forum_topic_edited forum_topic_closed
		forum_topic_reopened general_forum_topic_hidden general_forum_topic_unhidden video_chat_scheduled video_chat_started video_chat_ended
		video_chat_participants_invited boost_added chat_background_set users_shared chat_owner_left chat_owner_changed
		successful_payment refunded_payment gift unique_gift gift_upgrade_sent write_access_allowed proximity_alert_triggered
		checklist_tasks_done checklist_tasks_added direct_message_price_changed giveaway_created giveaway_completed managed_bot_created
		paid_message_price_changed poll_option_added poll_option_deleted suggested_post_approved suggested_post_approval_failed
		suggested_post_declined suggested_post_paid suggested_post_refunded web_app_data`) {
		c := decodeCase{name, message(`,"` + name + `":{}`), post(func(e *protos.Event) { e.Kind = protos.EventKind_SERVICE })}
		c.check(t)
	}
	shared := decodeCase{"chat_shared", message(`,"chat_shared":{"request_id":4,"chat_id":-1005}`), post(func(e *protos.Event) {
		e.SharedRequestId, e.SharedChatId = 4, -1005
	})}
	shared.check(t)
	for name := range strings.FieldsSeq(`giveaway giveaway_winners poll checklist story dice venue`) {
		c := decodeCase{name, message(`,"` + name + `":{}`), post(nil)}
		c.check(t)
	}
}
