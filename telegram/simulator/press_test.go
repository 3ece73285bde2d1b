package simulator_test

import (
	"html"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/telegram/simulator"
)

const tooLate = "Bad Request: query is too old and response timeout expired or query ID is invalid"

// pressed lets Anna press a button and returns the query, and what she is shown.
func (b *box) pressed(chat, message int64) (query object, shown <-chan simulator.Answer) {
	b.t.Helper()
	c := make(chan simulator.Answer, 1)
	ctx := b.t.Context()
	go func() {
		if a, err := b.Press(ctx, chat, message, b.anna, "go"); err == nil {
			c <- a
		}
	}()
	require.NoError(b.t, b.WaitFor(ctx, func() bool { return b.Pending(b.bot.ID) > 0 }))
	list := b.drain("callback_query")
	require.Len(b.t, list, 1)
	return list[0], c
}

// A press brings the whole message, and is answered once, soon, by the bot it is for. Source: Bot API,
// CallbackQuery, answerCallbackQuery.
func TestS5_Presses(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{CallbackWindow: 20 * time.Second})
	other := b.NewBot("other_bot")
	group := b.group()
	require.NoError(t, b.Join(group, b.anna))
	keyboard := object{"inline_keyboard": [][]object{{{"text": "Go", "callback_data": "go", "style": "primary"}}}}
	m, _ := b.good("sendMessage", object{"chat_id": group, "text": "press", "reply_markup": keyboard}).object()["message_id"].(float64)
	b.drain("")

	q, shown := b.pressed(group, int64(m))
	assert.Equal(t, "go", q["data"])
	assert.InDelta(t, b.anna, at(q, "from", "id"), 0)
	assert.Equal(t, "press", at(q, "message", "text"))
	assert.Equal(t, "primary", at(q, "message", "reply_markup", "inline_keyboard", 0, 0, "style"))
	id := q["id"]
	assert.Equal(t, tooLate, b.as(other.Token, "answerCallbackQuery", object{"callback_query_id": id}).Description, "not its own")
	b.fails("Bad Request: MESSAGE_TOO_LONG", "answerCallbackQuery", object{"callback_query_id": id, "text": strings.Repeat("x", 201)})
	b.good("answerCallbackQuery", object{"callback_query_id": id, "text": strings.Repeat("x", 200), "show_alert": true})
	a := <-shown
	assert.Len(t, a.Text, 200)
	assert.True(t, a.ShowAlert)
	b.fails(tooLate, "answerCallbackQuery", object{"callback_query_id": id})
	b.fails(tooLate, "answerCallbackQuery", object{"callback_query_id": "12345"})
	b.fails(tooLate, "answerCallbackQuery", object{})

	for after, late := range map[time.Duration]bool{20 * time.Second: false, 20*time.Second + 1: true} {
		q, shown = b.pressed(group, int64(m))
		b.advance(after - 8*time.Second) // drain took eight
		if late {
			b.fails(tooLate, "answerCallbackQuery", object{"callback_query_id": q["id"]})
			assert.Empty(t, shown)
			continue
		}
		b.good("answerCallbackQuery", object{"callback_query_id": q["id"]})
		<-shown
	}
	_, err := b.Press(t.Context(), group, 999, b.anna, "go")
	require.ErrorIs(t, err, simulator.ErrNoMessage)
}

// What a keyboard may hold. Source: Bot API, InlineKeyboardButton.
func TestS5_Keyboards(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{})
	group := b.group()
	const noAction = "Bad Request: can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard"
	for _, c := range []struct {
		button object
		want   string
	}{
		{object{"text": "x", "callback_data": "1"}, ""},
		{object{"text": "x", "callback_data": strings.Repeat("1", 64)}, ""},
		{object{"text": "x", "callback_data": strings.Repeat("1", 65)}, "Bad Request: BUTTON_DATA_INVALID"},
		{object{"text": "x", "callback_data": strings.Repeat("é", 32)}, ""},
		{object{"text": "x", "callback_data": strings.Repeat("é", 33)}, "Bad Request: BUTTON_DATA_INVALID"}, // bytes
		{object{"text": "x", "callback_data": ""}, "Bad Request: BUTTON_DATA_INVALID"},
		{object{"text": "x"}, noAction},
		{object{"callback_data": "1"}, noAction},
		{object{"text": "x", "url": "https://t.me/news"}, ""},
		{object{"text": "x", "url": "tg://user?id=1"}, ""},
		{object{"text": "x", "url": "nonsense"}, "Bad Request: BUTTON_URL_INVALID"},
		{object{"text": "x", "callback_data": "1", "style": "danger"}, ""},
		{object{"text": "x", "callback_data": "1", "style": "success"}, ""},
		{object{"text": "x", "callback_data": "1", "style": "primary"}, ""},
		{object{"text": "x", "callback_data": "1", "style": "pink"}, "Bad Request: BUTTON_STYLE_INVALID"},
	} {
		p := object{"chat_id": group, "text": "x", "reply_markup": object{"inline_keyboard": [][]object{{c.button}}}}
		if c.want != "" {
			b.fails(c.want, "sendMessage", p)
			continue
		}
		m := b.good("sendMessage", p).object()
		assert.Equal(t, c.button, at(m, "reply_markup", "inline_keyboard", 0, 0))
	}
	b.fails("Bad Request: object expected as reply markup", "sendMessage", object{"chat_id": group, "text": "x", "reply_markup": "["})
}

// Names are whatever people like: escaped they are harmless, raw they break the message. Source: Bot API,
// HTML style.
func TestS5_HostileNames(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{})
	group := b.group()
	for _, name := range []string{
		`<b>Bob`, `</a>`, `&amp;`, `&lt;i&gt;`, `"><a href="tg://user?id=1">`, `&copy;`, `🤖 <3`, `A & B`, `مریم`, `<!--`, `'`,
	} {
		id := b.NewUser(name, "")
		mention := `Hi <a href="tg://user?id=` + text(id) + `">` + html.EscapeString(name) + `</a>!`
		m := b.good("sendMessage", object{"chat_id": group, "parse_mode": "HTML", "text": mention}).object()
		assert.Equal(t, "Hi "+name+"!", m["text"])
		assert.Equal(t, "text_mention", at(m, "entities", 0, "type"))
		assert.Equal(t, name, at(m, "entities", 0, "user", "first_name"))
		assert.InDelta(t, 3, at(m, "entities", 0, "offset"), 0)
		assert.InDelta(t, len([]rune(name))+strings.Count(name, "🤖"), at(m, "entities", 0, "length"), 0, "UTF-16 units")
	}
	for text, want := range map[string]string{
		"<3":              "Unclosed start tag at byte offset 0",
		"x <script>y":     `Unsupported start tag "script" at byte offset 2`,
		"</a>":            "Unexpected end tag at byte offset 0",
		"<b><i>x</b></i>": `Unmatched end tag at byte offset 7, expected "</i>", found "</b>"`,
		"<b>x":            `Can't find end tag corresponding to start tag "b"`,
	} {
		b.fails("Bad Request: can't parse entities: "+want, "sendMessage", object{"chat_id": group, "parse_mode": "HTML", "text": text})
	}
}

// Only four references have names, and blanks around a text go, which moves what is marked.
func TestS5_HTMLText(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{})
	group := b.group()
	for in, want := range map[string]string{
		"&lt;&gt;&amp;&quot;": `<>&"`, "&#65;&#x42;": "AB", "&copy; &nbsp; &": "&copy; &nbsp; &", "AT&T": "AT&T", "&ltx;": "&ltx;", "&lt 3": "< 3", "&#00000065;": "&#00000065;",
	} {
		assert.Equal(t, want, b.good("sendMessage", object{"chat_id": group, "parse_mode": "HTML", "text": in}).object()["text"], in)
	}
	m := b.good("sendMessage", object{"chat_id": group, "parse_mode": "HTML", "text": "  <b>bold </b> <i> </i>"}).object()
	assert.Equal(t, "bold", m["text"])
	assert.Equal(t, []any{object{"type": "bold", "offset": 0.0, "length": 4.0}}, m["entities"])
}

// Invite links are made with the right to invite. Source: Bot API, createChatInviteLink; TDLib,
// DialogInviteLinkManager.
func TestS8_InviteLinks(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{})
	weak := b.group()
	channel := b.NewChannel("News", "", b.olga)
	require.NoError(t, b.Promote(channel, b.olga, b.bot.ID, simulator.Rights("can_invite_users")))
	b.fails("Bad Request: not enough rights to manage chat invite link", "createChatInviteLink", object{"chat_id": weak})
	b.fails("Bad Request: member limit can't be specified for links requiring administrator approval", "createChatInviteLink",
		object{"chat_id": channel, "member_limit": 3, "creates_join_request": true})
	expires := b.clock().Add(time.Hour).Unix()
	one := b.good("createChatInviteLink", object{
		"chat_id": channel, "name": strings.Repeat("é", 40), "member_limit": 100_000, "expire_date": expires,
	}).object()
	two := b.good("createChatInviteLink", object{"chat_id": channel, "creates_join_request": true}).object()
	assert.Regexp(t, `^https://t\.me/\+\w+$`, one["invite_link"])
	assert.NotEqual(t, one["invite_link"], two["invite_link"])
	assert.Equal(t, strings.Repeat("é", 32), one["name"], "what is longer is cut")
	assert.InDelta(t, 99_999, one["member_limit"], 0)
	assert.InDelta(t, expires, one["expire_date"], 0)
	assert.InDelta(t, b.bot.ID, at(one, "creator", "id"), 0)
	assert.Equal(t, []any{false, false, false}, []any{one["is_primary"], one["is_revoked"], one["creates_join_request"]})
	assert.Equal(t, true, two["creates_join_request"])
	assert.Nil(t, two["name"])
}
