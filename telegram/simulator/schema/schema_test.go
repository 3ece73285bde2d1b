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
		{"update", "message", `{"update_id":1,"message":{"message_id":1,"date":1,"chat":{"id":1,"type":"private"}}}`, ""},
		{"update", "message", `{"update_id":1,"message":{"message_id":"1","date":1,"chat":{"id":1,"type":"private"}}}`, "is no Integer"},
	} {
		err := api.Validate(c.what, c.name, []byte(c.raw))
		if c.fault == "" {
			assert.NoError(t, err, c.raw)
			continue
		}
		assert.ErrorContains(t, err, c.fault, c.raw)
	}
}
