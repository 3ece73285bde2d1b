package simulator_test

import (
	"bytes"
	"encoding/json"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/telegram/simulator"
)

// Success and failure have one envelope each, and the HTTP status is the error code. Source: Bot API
// server, Query.cpp.
func TestS0_Envelope(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{})
	a := b.good("getMe", nil)
	assert.Equal(t, http.StatusOK, a.status)
	assert.Equal(t, "application/json", a.header.Get("Content-Type"))
	var whole object
	require.NoError(t, json.Unmarshal(a.raw, &whole))
	assert.Len(t, whole, 2, "ok and result")
	assert.InDelta(t, b.bot.ID, a.object()["id"], 0)

	a = b.fails("Bad Request: chat not found", "getChat", object{"chat_id": -77})
	assert.Equal(t, 400, a.status)
	whole = nil
	require.NoError(t, json.Unmarshal(a.raw, &whole))
	assert.Equal(t, object{"ok": false, "error_code": 400.0, "description": "Bad Request: chat not found"}, whole)
}

// A flood error says how long to wait in the body and in a header. Source: Bot API server, Query.cpp.
func TestS0_RetryAfterIsAlsoAHeader(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{})
	b.Fail(simulator.Fault{Kind: simulator.FaultFlood, Method: "getMe", Times: 1, For: simulator.For(7 * time.Second)})
	a := b.fails("Too Many Requests: retry after 7", "getMe", nil)
	assert.Equal(t, 429, a.status)
	assert.Equal(t, "7", a.header.Get("Retry-After"))
	assert.Equal(t, object{"retry_after": 7.0}, a.Parameters)
	b.good("getMe", nil)
}

// The code has its prefix, and the detail a small first letter unless the second is a capital or an
// underscore. Source: Bot API server, Client.cpp (fail_query_with_error).
func TestS0_PrefixesAndLowerCase(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{})
	group := b.group()
	for _, c := range []struct {
		method string
		p      object
		code   int
		want   string
	}{
		{"getChatMember", object{"chat_id": group, "user_id": 42}, 400, "Bad Request: PARTICIPANT_ID_INVALID"},
		{"getChatMember", object{"chat_id": group, "user_id": 0}, 400, "Bad Request: invalid user_id specified"},
		{"sendMessage", object{"chat_id": b.anna, "text": "x"}, 403, "Forbidden: bot can't initiate conversation with a user"},
		{"sendMessage", object{"chat_id": group, "text": "<b", "parse_mode": "HTML"}, 400, "Bad Request: can't parse entities: Unclosed start tag at byte offset 0"},
	} {
		assert.Equal(t, c.code, b.fails(c.want, c.method, c.p).status, c.want)
	}
}

// Names of methods have no case; one that does not exist is not found, and one that exists but is not
// modelled says so. Source: Bot API server, Client.cpp (on_cmd).
func TestS0_MethodNames(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{})
	for _, name := range []string{"getMe", "getme", "GETME", "GetMe"} {
		assert.InDelta(t, b.bot.ID, b.good(name, nil).object()["id"], 0, name)
	}
	for _, name := range []string{"getMee", "x", "get_me"} {
		assert.Equal(t, 404, b.fails("Not Found: method not found", name, nil).status, name)
	}
	for _, name := range []string{"sendDice", "SENDDICE", "sendPhoto"} {
		a := b.call(name, nil)
		assert.Equal(t, 501, a.status, name)
		assert.Contains(t, a.Description, name)
	}
}

// Source: Bot API server, ClientManager.cpp.
func TestS0_Tokens(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{})
	secret := strings.SplitN(b.bot.Token, ":", 2)[1]
	for token, want := range map[string]string{
		"nonsense":          "Unauthorized: invalid token specified",
		"1:short":           "Unauthorized: invalid token specified",
		":" + secret:        "Unauthorized: invalid token specified",
		"x1:" + secret:      "Unauthorized: invalid token specified",
		"123456:" + secret:  "Unauthorized",
		b.bot.Token + "aaa": "Unauthorized",
	} {
		a := b.as(token, "getMe", nil)
		assert.Equal(t, 401, a.status, token)
		assert.Equal(t, want, a.Description, token)
	}
	assert.Empty(t, b.Calls(), "no bot made these calls")
}

// Only true, yes and 1 are true, in whatever case. Source: Bot API server, Client.cpp (to_bool).
func TestS0_Booleans(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{})
	group := b.group("can_invite_users")
	b.rude.Store(true)
	for value, want := range map[string]bool{
		"true": true, "True": true, "yes": true, "1": true,
		"false": false, "0": false, "on": false, "y": false, "2": false, "": false,
	} {
		a := b.do(b.request("/bot"+b.bot.Token+"/createChatInviteLink", "application/x-www-form-urlencoded",
			query("chat_id", text(group), "creates_join_request", value)))
		assert.Equal(t, want, a.object()["creates_join_request"], value)
	}
	a := b.call("createChatInviteLink", object{"chat_id": group, "creates_join_request": true})
	assert.Equal(t, true, a.object()["creates_join_request"], "a JSON boolean")
}

// Numbers out of range are moved into it, never refused. Source: Bot API server, Client.cpp
// (get_integer_arg).
func TestS0_IntegersAreClamped(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{})
	for range 120 {
		b.PushRaw(b.bot.ID, json.RawMessage(`{}`))
	}
	for limit, want := range map[any]int{500: 100, 0: 1, -3: 1, 7: 7, "8": 8} {
		b.advance(time.Minute)
		var list []object
		require.NoError(t, json.Unmarshal(b.raw("getUpdates", object{"limit": limit}).Result, &list))
		assert.Len(t, list, want, "limit %v", limit)
	}
}

// Parameters may come in four ways. Source: Bot API, Making requests.
func TestS0_WaysOfParameters(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{})
	group := b.group()
	path := "/bot" + b.bot.Token + "/sendMessage"
	keyboard := `{"inline_keyboard":[[{"text":"Go","callback_data":"go"}]]}`

	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	for k, v := range map[string]string{"chat_id": text(group), "text": "hi", "reply_markup": keyboard} {
		require.NoError(t, w.WriteField(k, v))
	}
	require.NoError(t, w.Close())
	values := query("chat_id", text(group), "text", "hi", "reply_markup", keyboard)
	get, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.url+path+"?"+values, http.NoBody)
	require.NoError(t, err)

	for way, r := range map[string]*http.Request{
		"json":        b.request(path, "application/json", `{"chat_id":`+text(group)+`,"text":"hi","reply_markup":`+keyboard+`}`),
		"json string": b.request(path, "application/json; charset=utf-8", `{"chat_id":"`+text(group)+`","text":"hi","reply_markup":`+string(quoted(t, keyboard))+`}`),
		"form":        b.request(path, "application/x-www-form-urlencoded", values),
		"multipart":   b.request(path, w.FormDataContentType(), form.String()),
		"query":       get,
		"both":        b.request(path+"?"+query("chat_id", text(group)), "application/json", `{"text":"hi","reply_markup":`+keyboard+`}`),
	} {
		a := b.do(r)
		require.True(t, a.OK, "%s: %s", way, a.raw)
		assert.Equal(t, "hi", a.object()["text"], way)
		assert.Equal(t, "go", at(a.object(), "reply_markup", "inline_keyboard", 0, 0, "callback_data"), way)
	}
	assert.Len(t, b.CallsOf("sendMessage"), 6)
}

// A body that is no JSON does nothing. Source: Bot API server, Query.cpp.
func TestS0_BrokenBodies(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{})
	group := b.group()
	for _, body := range []string{`{"chat_id":`, `[1]`, `"text"`, `nonsense`} {
		a := b.do(b.request("/bot"+b.bot.Token+"/sendMessage?"+query("chat_id", text(group), "text", "x"), "application/json", body))
		assert.Equal(t, 400, a.status, body)
		assert.Equal(t, "Bad Request: can't parse JSON object", a.Description, body)
	}
	a := b.do(b.request("/bot"+b.bot.Token+"/sendMessage", "multipart/form-data; boundary=x", "nonsense"))
	assert.Equal(t, 400, a.status)
	assert.Empty(t, b.Messages(group))
	assert.True(t, b.do(b.request("/bot"+b.bot.Token+"/getMe", "application/json", "")).OK, "an empty body is none")
}

func quoted(t *testing.T, s string) []byte {
	t.Helper()
	raw, err := json.Marshal(s)
	require.NoError(t, err)
	return raw
}
