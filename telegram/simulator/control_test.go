package simulator_test

import (
	"encoding/json"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/telegram/simulator"
)

// control has the control API do something, and returns the answer.
func (b *box) control(act string, p object) object {
	b.t.Helper()
	status, out := b.order(act, p)
	require.Equal(b.t, http.StatusOK, status, "%s: %v", act, out)
	return out
}

func (b *box) order(act string, p object) (status int, out object) {
	b.t.Helper()
	body, err := json.Marshal(p)
	require.NoError(b.t, err)
	resp, err := b.client.Do(b.request("/control/"+act, "application/json", string(body)))
	require.NoError(b.t, err)
	defer resp.Body.Close()
	require.NoError(b.t, json.NewDecoder(resp.Body).Decode(&out))
	return resp.StatusCode, out
}

// A world can be played from outside: everything the control API does, does what it says.
func TestControl(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{})
	id := func(o object) int64 { n, _ := o["id"].(float64); return int64(n) }
	bot := b.control("bot", object{"username": "new_bot", "token": "123456:AAbbCCddEEffGGhhIIjjKKllMMnnOOppQQ"})
	assert.Equal(t, "123456:AAbbCCddEEffGGhhIIjjKKllMMnnOOppQQ", bot["token"])
	carl, dora := id(b.control("user", object{"first_name": "Carl"})), id(b.control("user", object{"first_name": "Dora"}))
	group := id(b.control("supergroup", object{"title": "Garden", "owner": b.olga}))
	channel := id(b.control("channel", object{"title": "News", "username": "garden_news", "owner": b.olga}))
	basic := id(b.control("group", object{"title": "Basic", "owner": b.olga}))
	me := object{"chat": group, "user": b.bot.ID, "by": b.olga, "rights": []string{"can_restrict_members", "can_invite_users", "can_delete_messages"}}
	b.control("promote", me)
	status := func(user int64) string { return b.Member(group, user).Status }

	b.control("join", object{"chat": group, "user": b.anna})
	b.control("add", object{"chat": group, "by": b.olga, "users": []int64{carl, dora}})
	assert.Equal(t, []string{"member", "member", "member"}, []string{status(b.anna), status(carl), status(dora)})
	b.control("leave", object{"chat": group, "user": carl})
	b.control("ban", object{"chat": group, "by": b.olga, "user": dora})
	assert.Equal(t, []string{"left", "kicked"}, []string{status(carl), status(dora)})
	b.control("unban", object{"chat": group, "by": b.olga, "user": dora})
	b.control("request", object{"chat": group, "user": dora})
	b.control("approve", object{"chat": group, "by": b.olga, "user": dora})
	assert.Equal(t, "member", status(dora))
	link, _ := b.good("createChatInviteLink", object{"chat_id": group}).object()["invite_link"].(string)
	b.control("link", object{"chat": group, "user": carl, "link": link})
	assert.Equal(t, "member", status(carl))
	b.control("revoke", object{"chat": group})
	assert.False(t, b.LinkWorks(group, link))
	b.control("restrict", object{"chat": group, "by": b.olga, "user": carl, "permissions": object{"can_send_polls": true}})
	assert.Equal(t, "restricted", status(carl))
	b.control("promote", object{"chat": group, "by": b.olga, "user": dora, "rights": []string{"can_delete_messages"}})
	b.control("demote", object{"chat": group, "by": b.olga, "user": dora})
	assert.Equal(t, "member", status(dora))

	b.control("start", object{"user": b.anna, "bot": b.bot.ID})
	b.control("block", object{"user": b.anna, "bot": b.bot.ID})
	b.fails("Forbidden: bot was blocked by the user", "sendMessage", object{"chat_id": b.anna, "text": "x"})
	b.control("unblock", object{"user": b.anna, "bot": b.bot.ID})
	b.send(b.anna, "x")
	b.control("privacy", object{"bot": b.bot.ID, "on": false})
	assert.Equal(t, true, b.good("getMe", nil).object()["can_read_all_group_messages"])

	message := func() int64 {
		n, _ := b.control("write", object{"chat": group, "user": b.anna, "text": "hello"})["message_id"].(float64)
		return int64(n)
	}
	m := message()
	b.control("edit", object{"chat": group, "message": m, "text": "better"})
	assert.Equal(t, "better", b.Messages(group)[len(b.Messages(group))-1].Text)
	b.control("delete", object{"chat": group, "message": m})
	assert.NotContains(t, b.present(group), m)

	b.control("forum", object{"chat": group})
	topic := id(b.control("topic", object{"chat": group, "title": "Topic"}))
	b.good("sendMessage", object{"chat_id": group, "text": "x", "message_thread_id": topic})
	b.control("close", object{"chat": group, "thread": topic})
	b.control("discuss", object{"chat": group, "channel": channel})
	b.control("rename", object{"chat": group, "title": "Park"})
	b.control("name", object{"chat": group, "username": "the_park"})
	b.control("allow", object{"chat": group, "permissions": object{"can_send_messages": true}})
	b.control("hide", object{"chat": group})
	b.control("asking", object{"chat": group, "on": true})
	full := b.good("getChat", object{"chat_id": "@the_park"}).object()
	assert.Equal(t, []any{"Park", true, true, float64(channel), true}, []any{full["title"], full["has_hidden_members"], full["join_by_request"], full["linked_chat_id"], full["is_forum"]})
	assert.Equal(t, object{"can_send_messages": true}, full["permissions"])
	super := id(b.control("migrate", object{"chat": basic}))
	assert.Less(t, super, int64(-1_000_000_000_000))

	b.drain("")
	answered := make(chan object, 1)
	keyboard := object{"inline_keyboard": [][]object{{{"text": "Go", "callback_data": "go"}}}}
	n := b.good("sendMessage", object{"chat_id": group, "text": "press", "reply_markup": keyboard}).object()["message_id"]
	go func() {
		answered <- b.control("press", object{"chat": group, "message": n, "user": b.anna, "data": "go"})
	}()
	require.NoError(t, b.WaitFor(t.Context(), func() bool { return b.Pending(b.bot.ID) > 0 }))
	q := b.drain("callback_query")[0]
	b.good("answerCallbackQuery", object{"callback_query_id": q["id"], "text": "gone"})
	assert.Equal(t, "gone", (<-answered)["text"])
}

// What makes no sense is refused, and breaks nothing.
func TestControl_Refuses(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{})
	code, _ := b.order("nonsense", object{})
	assert.Equal(t, http.StatusNotFound, code)
	for _, act := range simulator.Acts() {
		if slices.Contains([]string{"bot", "user", "supergroup", "channel", "group", "privacy", "mend"}, act) {
			continue
		}
		code, out := b.order(act, object{"chat": -42, "user": 42})
		assert.Equal(t, http.StatusBadRequest, code, act)
		assert.NotEmpty(t, out["error"], act)
	}
	b.good("getMe", nil)
}

// docs/simulator.md lists what the control API does.
func TestControl_IsDocumented(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../docs/simulator.md")
	require.NoError(t, err)
	var listed []string
	for _, line := range regexp.MustCompile("(?m)^\\| ((?:`\\w+`(?:, )?)+) \\| .* \\| .* \\|$").FindAllStringSubmatch(section(string(raw), "Acts"), -1) {
		for _, name := range regexp.MustCompile(`\w+`).FindAllString(line[1], -1) {
			if name != "fault" { // it reads a body of its own
				listed = append(listed, name)
			}
		}
	}
	assert.ElementsMatch(t, simulator.Acts(), listed)
}

// section is what stands under a heading.
func section(doc, heading string) string {
	_, rest, _ := strings.Cut(doc, "# "+heading+"\n")
	part, _, _ := strings.Cut(rest, "\n#")
	return part
}
