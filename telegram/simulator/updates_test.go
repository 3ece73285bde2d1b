package simulator_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/telegram/simulator"
)

// pushed puts n updates into the bot's queue and returns the id of the first.
func (b *box) pushed(n int) int64 {
	b.t.Helper()
	for range n {
		b.PushRaw(b.bot.ID, json.RawMessage(`{}`))
	}
	first := b.ids(object{})[0]
	b.advance(time.Minute)
	return first
}

// ids polls a minute after the poll before, and lists the ids of what came.
func (b *box) ids(p object) []int64 {
	b.t.Helper()
	b.advance(time.Minute)
	ids := []int64{}
	for _, u := range b.updates(p) {
		id, _ := u["update_id"].(float64)
		ids = append(ids, int64(id))
	}
	return ids
}

// An offset confirms what is below it, before the answer; none or 0 confirms nothing. Source: Bot API
// server, Client.cpp (do_get_updates).
func TestS1_OffsetConfirms(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{})
	n := b.pushed(4)
	all := []int64{n, n + 1, n + 2, n + 3}
	assert.Equal(t, all, b.ids(object{}), "absent: from the head, ids step by one")
	assert.Equal(t, all, b.ids(object{"offset": 0}))
	assert.Equal(t, all, b.ids(object{"offset": n}))
	assert.Equal(t, all[:3], b.ids(object{"limit": 3}))
	assert.Equal(t, 4, b.Pending(b.bot.ID), "what was fetched is not confirmed")
	assert.Equal(t, all[2:3], b.ids(object{"offset": n + 2, "limit": 1}))
	assert.Equal(t, 2, b.Pending(b.bot.ID))
	assert.Equal(t, all[2:], b.ids(object{"offset": n}), "an offset below the head brings nothing back")
	assert.Empty(t, b.ids(object{"offset": n + 4}))
	assert.Zero(t, b.Pending(b.bot.ID))
	b.PushRaw(b.bot.ID, json.RawMessage(`{}`))
	assert.Equal(t, []int64{n + 4}, b.ids(object{}))
}

// A negative offset keeps only the last ones. Source: Bot API, getUpdates.
func TestS1_NegativeOffset(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{})
	n := b.pushed(5)
	assert.Len(t, b.ids(object{"offset": -9}), 5)
	assert.Equal(t, []int64{n + 3, n + 4}, b.ids(object{"offset": -2}))
	assert.Equal(t, 2, b.Pending(b.bot.ID))
	assert.Equal(t, []int64{n + 4}, b.ids(object{"offset": -1}))
}

// An offset more than ten past the id that comes next counts as none. Source: TDLib, TQueue.
func TestS1_OffsetFarPastTheTail(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{})
	n := b.pushed(3)
	next := n + 3
	assert.Len(t, b.ids(object{"offset": next + 11}), 3)
	assert.Len(t, b.ids(object{"offset": next + 1_000_000}), 3)
	assert.Empty(t, b.ids(object{"offset": next + 10}), "ten past it confirms all")
}

// The queue holds so many; what comes then is lost without a trace. Source: Bot API server, Client.cpp.
func TestS1_QueueIsBounded(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{})
	for range simulator.MaxQueue + 2 {
		b.PushRaw(b.bot.ID, json.RawMessage(`{}`))
	}
	assert.Equal(t, simulator.MaxQueue, b.Pending(b.bot.ID))
	last := b.ids(object{"offset": -1})
	b.PushRaw(b.bot.ID, json.RawMessage(`{}`))
	assert.Equal(t, []int64{last[0], last[0] + 1}, b.ids(object{}), "what was lost had no id")
}

// Updates live a day, presses 150 seconds. Source: Bot API server, Client.cpp.
func TestS1_Expiry(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{NoRepeatWait: true})
	group := b.group()
	message := b.send(group, "press me")
	require.NoError(t, b.Join(group, b.anna))
	b.drain("")
	written := b.clock()
	_, err := b.Write(group, b.anna, "hello")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = b.Press(ctx, group, message, b.anna, "go")
	require.Error(t, err)

	kinds := func(after time.Duration) (found []string) {
		b.advance(written.Add(after).Sub(b.clock()))
		for _, u := range b.updates(object{"offset": b.next}) {
			for _, kind := range []string{"message", "callback_query"} {
				if u[kind] != nil {
					found = append(found, kind)
				}
			}
		}
		return found
	}
	assert.Equal(t, []string{"message", "callback_query"}, kinds(149*time.Second))
	assert.Equal(t, []string{"message"}, kinds(151*time.Second))
	assert.Equal(t, []string{"message"}, kinds(24*time.Hour-time.Second))
	assert.Empty(t, kinds(24*time.Hour+time.Second))
	assert.Zero(t, b.Pending(b.bot.ID))
}

// Which kinds come is chosen when they happen and stays chosen. Source: Bot API server, Client.cpp
// (get_allowed_update_types, add_update_impl).
func TestS1_AllowedUpdates(t *testing.T) {
	t.Parallel()
	all := []string{"chat_member", "message"}
	for name, c := range map[string]struct {
		first, then any // nil: the parameter is left out
		want        []string
	}{
		"never asked":            {nil, nil, []string{"message"}},
		"asked":                  {all, nil, all},
		"asked for one":          {[]string{"chat_member"}, nil, []string{"chat_member"}},
		"omitted keeps":          {all, nil, all},
		"unparsable keeps":       {all, "{nonsense", all},
		"no list keeps":          {all, `"message"`, all},
		"empty is the default":   {all, []string{}, []string{"message"}},
		"unknown is the default": {all, []string{"nonsense", "more"}, []string{"message"}},
		"unknown beside known":   {nil, []string{"nonsense", "chat_member"}, []string{"chat_member"}},
		"as a string":            {nil, `["chat_member"]`, []string{"chat_member"}},
		"nothing of all that":    {all, []string{"poll"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := open(t, simulator.Switches{})
			group := b.group()
			for _, kinds := range []any{c.first, c.then} {
				p := object{}
				if kinds != nil {
					p["allowed_updates"] = kinds
				}
				b.advance(time.Minute)
				require.True(t, b.raw("getUpdates", p).OK)
			}
			b.drain("")
			require.NoError(t, b.Join(group, b.anna))
			var found []string
			for _, u := range b.drain("") {
				for _, kind := range all {
					if u[kind] != nil {
						found = append(found, kind)
					}
				}
			}
			assert.Equal(t, c.want, found)
		})
	}
}

// A kind asked for late brings nothing back, and one given up does not recall what is queued. Source: Bot
// API server, Client.cpp (add_update_impl).
func TestS1_FilterIsAppliedAtTheEvent(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{NoServiceMessages: true})
	group := b.group()
	b.drain("")
	require.NoError(t, b.Join(group, b.anna))
	b.advance(time.Minute)
	assert.Empty(t, b.updates(object{"offset": b.next, "allowed_updates": []string{"chat_member"}}), "joined before")
	require.NoError(t, b.Leave(group, b.anna))
	b.advance(time.Minute)
	list := b.updates(object{"offset": b.next, "allowed_updates": []string{"message"}})
	require.Len(t, list, 1)
	assert.Equal(t, "left", at(list[0], "chat_member", "new_chat_member", "status"))
}

// Polling is refused while there is a webhook. Source: Bot API server, Client.cpp.
func TestS1_NoPollingBesideAWebhook(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{})
	b.good("setWebhook", object{"url": "https://example.invalid/"})
	const want = "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"
	assert.Equal(t, 409, b.fails(want, "getUpdates", object{}).status)
	assert.Equal(t, "https://example.invalid/", b.good("getWebhookInfo", nil).object()["url"])
	b.good("deleteWebhook", nil)
	b.good("getUpdates", object{})
}

// Updates are dropped only when that is asked for. Source: Bot API, deleteWebhook.
func TestS1_DropPendingUpdates(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{})
	b.pushed(3)
	b.good("deleteWebhook", nil)
	assert.InDelta(t, 3, b.good("getWebhookInfo", nil).object()["pending_update_count"], 0)
	b.good("deleteWebhook", object{"drop_pending_updates": true})
	assert.Empty(t, b.ids(object{}))
}
