package simulator_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/telegram/simulator"
)

// long is an update of so many bytes and a few.
func long(bytes int) json.RawMessage {
	return json.RawMessage(`{"message":{"message_id":1,"date":1,"chat":{"id":1,"type":"private"},"text":"` + strings.Repeat("x", bytes) + `"}}`)
}

// An offset far below the head brings what there is. Source: TDLib, TQueue.
func TestS1_OffsetFarBelowTheHead(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{})
	n := b.pushed(2)
	for _, offset := range []int64{n - 99_999, n - 100_001, 1} {
		assert.Equal(t, []int64{n, n + 1}, b.ids(object{"offset": max(offset, 1)}), "offset %d", offset)
	}
	assert.Equal(t, 2, b.Pending(b.bot.ID))
}

// An answer holds about four mebibytes, so fewer updates than the limit do not mean that there are no more.
// Source: Bot API server, Client.cpp (do_get_updates).
func TestS1_AnswersAreCapped(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{})
	assert.Equal(t, 4<<20, simulator.MaxAnswer)
	b.BoundQueue(100_000, 4096)
	for range 6 {
		b.PushRaw(b.bot.ID, long(1024))
	}
	first := b.ids(object{})
	assert.Len(t, first, 3)
	assert.Len(t, b.ids(object{"offset": first[2] + 1}), 3)
	b.PushRaw(b.bot.ID, long(5000))
	assert.Len(t, b.ids(object{"offset": first[0] + 6}), 1, "one that is larger comes alone")
}

// The queue is bounded in bytes, too. Source: TDLib, TQueue.
func TestS1_QueueIsBoundedInBytes(t *testing.T) {
	t.Parallel()
	assert.Equal(t, 128<<20, simulator.MaxQueueBytes)
	b := open(t, simulator.Switches{})
	b.BoundQueue(1000, 4000)
	for range 20 {
		b.PushRaw(b.bot.ID, long(100))
	}
	full := b.Pending(b.bot.ID)
	assert.Less(t, full, 10)
	ids := b.ids(object{})
	b.ids(object{"offset": ids[1] + 1})
	b.PushRaw(b.bot.ID, json.RawMessage(`{}`))
	assert.Equal(t, full-1, b.Pending(b.bot.ID), "what is confirmed makes room")
}

// Ids begin anew after a week without updates; less does not do it. Source: Bot API, Update.
func TestS1_IDsBeginAnewAfterAnIdleWeek(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{})
	n := b.pushed(1)
	assert.Positive(t, n)
	b.advance(7*24*time.Hour - 2*time.Minute)
	b.PushRaw(b.bot.ID, json.RawMessage(`{}`))
	assert.Equal(t, []int64{n + 1}, b.ids(object{}))
	b.advance(7*24*time.Hour + time.Second)
	b.PushRaw(b.bot.ID, json.RawMessage(`{}`))
	got := b.ids(object{})
	require.Len(t, got, 1)
	assert.NotEqual(t, n+2, got[0])
}

// What was not confirmed comes again under the same id, also after a restart of the server; and what the bot
// asked for is still known. Source: Bot API server, Client.cpp; TDLib, TQueue.
func TestS1_UnconfirmedComesAgain(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{NoServiceMessages: true})
	group := b.group()
	b.wants("chat_member")
	require.NoError(t, b.Join(group, b.anna))
	first := b.ids(object{})
	require.Len(t, first, 1)
	b.Restart(0)
	http.DefaultClient.CloseIdleConnections()
	assert.Equal(t, first, b.ids(object{}))
	require.NoError(t, b.Leave(group, b.anna))
	assert.Equal(t, []int64{first[0], first[0] + 1}, b.ids(object{}))
}

// The same call twice acts twice: there is no key by which Telegram could tell. Source: tdlib/telegram-bot-api
// issue 126.
func TestS1_CallsAreNotIdempotent(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{})
	group := b.group()
	first := b.send(group, "once")
	assert.Greater(t, b.send(group, "once"), first)
	assert.Len(t, b.Messages(group), 2)
}

// Updates come in the order in which they were queued. Source: TDLib, TQueue.
func TestS1_OrderOfTheQueue(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{})
	group := b.group()
	b.wants("chat_member", "message")
	require.NoError(t, b.Join(group, b.anna))
	b.write(group, b.anna, "1")
	b.write(group, b.anna, "2")
	require.NoError(t, b.Leave(group, b.anna))
	var order []string
	for _, u := range b.drain("") {
		switch m := u["message"].(type) {
		case object:
			order = append(order, text(m["text"]))
		default:
			order = append(order, "chat_member")
		}
	}
	assert.Equal(t, []string{"chat_member", "<nil>", "1", "2", "chat_member", "<nil>"}, order)
}
