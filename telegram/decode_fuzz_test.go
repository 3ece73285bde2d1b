package telegram

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/gmbot/gmbot/protos"
)

func decodeSeeds() []json.RawMessage {
	return []json.RawMessage{
		message(`,"text":"/a","entities":[{"type":"bot_command","offset":0}]`), message(`,"new_chat_members":[` + bob + `]`),
		message(`,"left_chat_member":` + bob), message(`,"migrate_to_chat_id":-5`), message(`,"pinned_message":{}`),
		update(`"edited_message":{` + posted + `}`), update(`"channel_post":{}`), json.RawMessage(`{"update_id":1}`),
		changed("chat_member", group, `{"user":`+bob+`,"status":"left"}`, `{"user":`+bob+`,"status":"member"}`),
		changed("my_chat_member", group, `{"user":`+robot+`,"status":"left"}`, `{"user":`+robot+`,"status":"kicked"}`),
		update(`"callback_query":{"id":"1","from":` + ann + `}`), update(`"callback_query":{"id":"1","from":` + ann + `,"message":{"chat":{}}}`),
		update(`"chat_join_request":{"chat":` + group + `,"from":` + ann + `}`), update(`"chat_join_request":{"chat":{},"from":{}}`),
		update(`"chat_member":{"chat":` + group + `,"old_chat_member":{},"new_chat_member":{"user":{},"status":"left"}}`),
		json.RawMessage(`null`), json.RawMessage(``), json.RawMessage(`{"update_id":9,"message":{"reply_to_message":null}}`),
		message(`,"text":"\ud83d \ud83d\udc4b \u0041\/","from":null,"sender_chat":null,"edit_date":null,"is_topic_message":null`),
		message(`,"caption":"/a","caption_entities":[null,{"type":null,"offset":null},{"type":"bot_command","offset":-0}]`),
		message(`,"reply_to_message":{"message_id":1,"from":null,"forward_origin":{"chat":` + channel + `},"document":{"file_id":"f","file_size":7}}`),
		message(`,"document":{"file_name":"x"},"chat_shared":{"request_id":4294967295,"chat_id":-1}`),
		message(`,"new_chat_members":[null],"left_chat_member":null,"gift":null,"message_thread_id":4,"is_topic_message":true`),
		message(`,"date":1e3`), message(`,"date":1.0`), message(`,"date":-0`), message(`,"date":01`), message(`,"date":9223372036854775808`),
		json.RawMessage(" \n{ \"update_id\" : 9 } "), json.RawMessage(`{"update_id":9}}`), json.RawMessage(`{"update_id":9},`),
	}
}

func FuzzDecode(f *testing.F) {
	for _, seed := range decodeSeeds() {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		id, idErr := UpdateID(raw)
		e, err := Decode(raw, 1)
		if err != nil {
			return
		}
		require.NoError(t, idErr, "what can be decoded has a number")
		assert.Equal(t, id, e.GetUpdateId())
		if e.GetKind() == protos.EventKind_OTHER {
			return
		}
		assert.NotZero(t, e.GetChat().GetId())
		switch e.GetKind() {
		case protos.EventKind_CHAT_MEMBER, protos.EventKind_MY_CHAT_MEMBER:
			assert.NotZero(t, e.GetAfter().GetUser().GetId())
			assert.NotEmpty(t, e.GetAfter().GetStatus())
			assert.NotEmpty(t, e.GetBefore().GetStatus())
		case protos.EventKind_CALLBACK:
			assert.NotEmpty(t, e.GetCallbackId())
			assert.NotZero(t, e.GetFrom().GetId())
		case protos.EventKind_JOIN_REQUEST:
			assert.NotZero(t, e.GetFrom().GetId())
		case protos.EventKind_MEMBERS_JOINED, protos.EventKind_MEMBER_LEFT:
			assert.NotEmpty(t, e.GetUsers())
		case protos.EventKind_MIGRATED:
			assert.NotZero(t, e.GetMigrateTo()|e.GetMigrateFrom())
		default:
			assert.NotZero(t, e.GetMessageId())
		}
	})
}

// plain is raw without what Telegram never sends and encoding/json treats in its own way: a field twice,
// a field's name in other letters, several kinds in one update. It is nil for what is no object.
func plain(raw []byte) []byte {
	var fields map[string]any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if d.Decode(&fields) != nil || d.More() {
		return nil
	}
	kinds := []string{"message", "edited_message", "chat_member", "my_chat_member", "callback_query", "chat_join_request"}
	found := false
	for _, kind := range kinds {
		if _, has := fields[kind]; has && found {
			delete(fields, kind)
		} else {
			found = found || has
		}
	}
	lower(fields)
	out, err := json.Marshal(fields)
	if err != nil {
		return nil
	}
	return out
}

func lower(v any) {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			if key != strings.ToLower(key) || strings.ContainsFunc(key, func(r rune) bool { return r >= utf8.RuneSelf }) {
				delete(v, key)
				continue
			}
			lower(value)
		}
	case []any:
		for _, value := range v {
			lower(value)
		}
	}
}

// What Decode reads is what the standard library reads by tags.
func sameAsReference(t *testing.T, raw []byte) {
	t.Helper()
	want, wantErr := reference(raw, 1)
	got, err := Decode(raw, 1)
	require.Equal(t, wantErr == nil, err == nil, "%s\nreference: %v\ngot: %v", raw, wantErr, err)
	if err == nil && !proto.Equal(want, got) {
		assert.Fail(t, "differs", "%s\nwant %s\ngot  %s", raw, protojson.Format(want), protojson.Format(got))
	}
}

func FuzzDecodeAsReference(f *testing.F) {
	for _, seed := range decodeSeeds() {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if raw = plain(raw); raw != nil {
			sameAsReference(t, raw)
		}
	})
}

// Every place of every seed is spoilt in turn: cut off there, and something else put there.
func TestDecode_AsReferenceWhenSpoilt(t *testing.T) {
	t.Parallel()
	for _, seed := range decodeSeeds() {
		sameAsReference(t, seed)
		for i := range seed {
			sameAsReference(t, seed[:i])
			for _, c := range []byte(`"{}[],:0n`) {
				spoilt := slices.Clone([]byte(seed))
				spoilt[i] = c
				if other := plain(spoilt); other != nil {
					sameAsReference(t, other)
				} else {
					_, err := Decode(spoilt, 1)
					require.Error(t, err, "%s", spoilt)
				}
			}
		}
	}
}

func TestDecode_TextIsAlwaysUTF8(t *testing.T) {
	t.Parallel()
	e, err := Decode(message(`,"text":"a`+"\xff\xfe"+`b"`), 1)
	require.NoError(t, err)
	assert.Equal(t, "a\uFFFDb", e.GetText())
	_, err = proto.Marshal(e)
	assert.NoError(t, err)
}
