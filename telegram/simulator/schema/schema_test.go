package schema_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/telegram/simulator/schema"
)

func TestValidate(t *testing.T) {
	t.Parallel()
	path, ok := schema.Find()
	if !ok {
		t.Skip("the machine-readable Bot API is not present")
	}
	api, err := schema.Load(path)
	require.NoError(t, err)
	for _, c := range []struct{ what, name, raw, fault string }{
		{"request", "getChatMember", `{"chat_id":-1001,"user_id":7}`, ""},
		{"request", "getChatMember", `{"chat_id":"@name","user_id":"7"}`, ""},
		{"request", "getChatMember", `{"chat_id":-1001}`, "missing field user_id"},
		{"request", "getChatMember", `{"chat_id":-1001,"user_id":7,"oops":1}`, "unknown field oops"},
		{"request", "getChatMember", `{"chat_id":-1001,"user_id":true}`, "is no Integer"},
		{"request", "deleteMessages", `{"chat_id":1,"message_ids":"[1,2]"}`, ""},
		{"request", "getOops", `{}`, "no such method"},
		{"response", "getChatMember", `{"status":"left","user":{"id":7,"is_bot":false,"first_name":"A"}}`, ""},
		{"response", "getChatMember", `{"status":"restricted","user":{"id":7,"is_bot":false,"first_name":"A"}}`, "missing field"},
		{"response", "getChatMember", `{"status":"sleeping","user":{"id":7,"is_bot":false,"first_name":"A"}}`, "fits none"},
		{"response", "deleteMessage", `true`, ""},
		{"response", "deleteMessage", `1`, "is no"},
		{"response", "deleteMessage", `null`, "is no"},
		{"response", "getChatMember", `{"status":"left","user":{"id":7,"is_bot":false,"first_name":"A","oops":1}}`, "unknown field oops"},
		{"response", "getChatMember", `{"status":"left","user":{"id":7,"is_bot":"no","first_name":"A"}}`, "is no Boolean"},
		{"response", "getChatMember", `{"status":"left","user":{"id":7,"is_bot":false}}`, "missing field first_name"},
		{"response", "getChatMember", `{"status":"left","user":null}`, "is no object"},
		{"response", "getChatMember", `{"status":"left","can_send_media_messages":true,"user":{"id":7,"is_bot":false,"first_name":"A"}}`, "unknown field can_send_media_messages"},
		{"response", "getUpdates", `[{"update_id":1},{"update_id":1.5}]`, "is no Integer"},
		{"request", "sendMessage", `{"chat_id":1,"text":"x","reply_markup":{"inline_keyboard":[[{"text":"x","oops":1}]]}}`, "oops"},
		{"request", "sendMessage", `{"chat_id":1,"text":"x","reply_markup":"{\"inline_keyboard\":[[{\"text\":\"x\",\"callback_data\":1}]]}"}`, "is no String"},
		{"request", "sendMessage", `{"chat_id":1,"text":"x","ephemeral_message_parameters":{"receiver_user_id":"x"}}`, "is no Integer"},
		{"request", "sendMessage", `{"chat_id":1,"text":"x","receiver_user_id":7}`, ""},
		{"request", "getMe", `null`, ""},
		{"request", "getMe", `[1]`, "is no object"},
		{"request", "getMe", `{`, "is no JSON"},
		{"update", "message", `{"update_id":1,"message":{"message_id":1,"date":1,"chat":{"id":1,"type":"private"}}}`, ""},
		{"update", "message", `{"update_id":1,"message":{"message_id":"1","date":1,"chat":{"id":1,"type":"private"}}}`, "is no Integer"},
		{"update", "message", `{"update_id":1,"message":{"message_id":1,"date":1,"chat":{"id":1,"type":"private"},"left_chat_participant":{"id":1}}}`, "missing field"},
		{"update", "oops", `{"update_id":1,"oops":{}}`, "unknown field oops"},
		{"update", "message", `{"message":{"message_id":1,"date":1,"chat":{"id":1,"type":"private"}}}`, "missing field update_id"},
	} {
		err := api.Validate(c.what, c.name, []byte(c.raw))
		if c.fault == "" {
			assert.NoError(t, err, c.raw)
			continue
		}
		assert.ErrorContains(t, err, c.fault, c.raw)
	}
}
