package simulator_test

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/telegram/simulator"
)

// flooded runs a test in virtual time with Telegram's limits.
func flooded(t *testing.T, f func(t *testing.T, b *ill)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &ill{box: &box{t: t, url: "http://simulator"}}
		b.fill(simulator.Options{Switches: simulator.Switches{MessageLimits: true}})
		b.client = &http.Client{Transport: b.Transport(), Timeout: 15 * time.Second}
		b.group = b.box.group("can_delete_messages", "can_restrict_members")
		require.NoError(t, b.Join(b.group, b.anna))
		f(t, b)
	})
}

// sends sends so many messages, as fast as they are answered, and says which came to which end when.
func (b *ill) sends(chat int64, n int) (ends []string) {
	b.t.Helper()
	began := time.Now()
	for i := range n {
		a, _, err := b.try("sendMessage", object{"chat_id": chat, "text": fmt.Sprint("message ", i)})
		require.NoError(b.t, err)
		ends = append(ends, fmt.Sprint(a.status, " after ", time.Since(began)))
		if a.status != 200 {
			break
		}
	}
	return ends
}

// One message a second goes into a chat, and a short burst passes. Source: the bot FAQ.
func TestS6_OneASecond(t *testing.T) {
	t.Parallel()
	flooded(t, func(t *testing.T, b *ill) {
		require.NoError(t, b.Start(b.anna, b.bot.ID))
		ends := b.sends(b.anna, 12)
		assert.Equal(t, "200 after 0s", ends[4], "a burst of five")
		assert.Equal(t, "200 after 5s", ends[5])
		assert.Equal(t, "200 after 10s", ends[11])
		assert.Empty(t, b.said())
	})
}

// Twenty messages a minute go into a group, however they are spread; another chat has its own. Source: the
// bot FAQ.
func TestS6_TwentyAMinuteInAGroup(t *testing.T) {
	t.Parallel()
	flooded(t, func(t *testing.T, b *ill) {
		for range 20 {
			_, took, err := b.say("x")
			require.NoError(t, err)
			assert.Zero(t, took)
			time.Sleep(2 * time.Second)
		}
		a, took, err := b.say("too much")
		require.NoError(t, err)
		assert.Equal(t, object{"retry_after": 20.0}, a.Parameters, "40 of 60 s are over")
		assert.Zero(t, took, "longer than the server sleeps")
		assert.Equal(t, "200 after 0s", b.sends(b.box.group(), 1)[0])
		time.Sleep(20 * time.Second)
		a, _, err = b.say("after the pause")
		require.NoError(t, err)
		assert.True(t, a.OK)
		assert.Zero(t, b.IgnoredFloods())
	})
}

// Edits share the limit of messages; answers to presses, deletions and mutes do not. Source: TDLib's author
// (tdlib/td issues 2592 and 3034, tdlib/telegram-bot-api issues 648 and 572).
func TestS6_EditsShareTheLimit(t *testing.T) {
	t.Parallel()
	flooded(t, func(t *testing.T, b *ill) {
		m := b.send(b.group, "x")
		keyboard := object{"inline_keyboard": [][]object{{{"text": "Go", "callback_data": "go"}}}}
		for i := range 19 {
			time.Sleep(2 * time.Second)
			b.good("editMessageText", object{"chat_id": b.group, "message_id": m, "text": fmt.Sprint(i), "reply_markup": keyboard})
		}
		a, _, err := b.try("editMessageReplyMarkup", object{"chat_id": b.group, "message_id": m})
		require.NoError(t, err)
		assert.Equal(t, 429, a.status)
		b.drain("")
		go func() { _, _ = b.Press(t.Context(), b.group, m, b.anna, "go") }()
		synctest.Wait()
		q := b.drain("callback_query")[0]
		b.good("answerCallbackQuery", object{"callback_query_id": q["id"]})
		for i := range 30 {
			b.restrict(b.group, b.anna, object{"can_send_messages": i%2 == 0})
			b.good("deleteMessage", object{"chat_id": b.group, "message_id": b.write(b.group, b.olga, "x")})
		}
	})
}

// Some thirty messages a second go out in all. Source: the bot FAQ.
func TestS6_ThirtyASecondInAll(t *testing.T) {
	t.Parallel()
	flooded(t, func(t *testing.T, b *ill) {
		chats := make([]int64, 31)
		for i := range chats {
			chats[i] = b.box.group()
		}
		for i, c := range chats {
			_, took, err := b.try("sendMessage", object{"chat_id": c, "text": "x"})
			require.NoError(t, err)
			assert.Equal(t, i == 30, took == time.Second, "message %d took %v", i, took)
		}
	})
}

// The server sleeps through floods that last eight seconds in all, and acts also when the client has given up
// meanwhile. Source: TDLib, NetQueryCreator, NetQueryDelayer.
func TestS6_ShortFloodsAreSleptThrough(t *testing.T) {
	t.Parallel()
	flooded(t, func(t *testing.T, b *ill) {
		for range 20 {
			_, _, _ = b.say("x")
			time.Sleep(2600 * time.Millisecond)
		}
		b.client.Timeout = 5 * time.Second
		_, took, err := b.say("slept")
		require.Error(t, err)
		assert.Equal(t, 5*time.Second, took)
		assert.Len(t, b.said(), 20)
		time.Sleep(3*time.Second - time.Millisecond)
		assert.Len(t, b.said(), 20)
		time.Sleep(time.Millisecond)
		synctest.Wait()
		assert.Len(t, b.said(), 21)
	})
}

// Messages of one chat are sent one after the other: one that sleeps holds up the next, in their order.
// Source: TDLib, SendMessageQuery.
func TestS6_MessagesOfAChatAreChained(t *testing.T) {
	t.Parallel()
	flooded(t, func(t *testing.T, b *ill) {
		b.sends(b.group, 5)
		for i := range 4 {
			go func() { _, _, _ = b.say(fmt.Sprint(i)) }()
			synctest.Wait()
		}
		assert.Len(t, b.said(), 5)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		time.Sleep(10 * time.Millisecond)
		assert.Equal(t, []string{"0", "1", "2", "3"}, b.said()[5:])
	})
}

// More than 310 unfinished messages in a chat are refused, after three seconds. Source: Bot API server,
// Client.cpp.
func TestS6_TooManyUnfinished(t *testing.T) {
	t.Parallel()
	flooded(t, func(t *testing.T, b *ill) {
		b.client.Timeout = time.Hour
		b.sends(b.group, 5)
		for range 311 {
			go func() { _, _, _ = b.say("waits") }()
		}
		synctest.Wait()
		a, took, err := b.say("too many")
		require.NoError(t, err)
		assert.Equal(t, object{"retry_after": 60.0}, a.Parameters)
		assert.Equal(t, 3*time.Second, took)
		time.Sleep(time.Hour)
	})
}

// A pause that is ignored grows, and may come to hours. Source: tdlib/td issue 1331, tdlib/telegram-bot-api
// issue 535.
func TestS6_IgnoredPausesGrow(t *testing.T) {
	t.Parallel()
	flooded(t, func(t *testing.T, b *ill) {
		for range 4 {
			b.sends(b.group, 5)
			time.Sleep(5 * time.Second)
		}
		wait := 0.0
		for range 8 {
			a, _, err := b.say("again and again")
			require.NoError(t, err)
			require.Equal(t, 429, a.status)
			next, _ := a.Parameters["retry_after"].(float64)
			assert.Greater(t, next, wait)
			wait = next
			time.Sleep(time.Second)
		}
		assert.Greater(t, wait, 3600.0)
		assert.Equal(t, 7, b.IgnoredFloods())
		time.Sleep(time.Duration(wait) * time.Second)
		_, _, err := b.say("after all")
		require.NoError(t, err)
		assert.Len(t, b.said(), 21)
	})
}

// Without the switch nothing is limited.
func TestS6_NoLimitsWithoutTheSwitch(t *testing.T) {
	t.Parallel()
	illness(t, func(t *testing.T, b *ill) {
		assert.Equal(t, "200 after 0s", b.sends(b.group, 40)[39])
	})
}

// A 429 is for one chat and class of methods; others go on. Source: tdlib/td issue 3034.
func TestS6_FloodsAreOfOneChat(t *testing.T) {
	t.Parallel()
	flooded(t, func(t *testing.T, b *ill) {
		for range 4 {
			b.sends(b.group, 5)
			time.Sleep(5 * time.Second)
		}
		a, _, err := b.say("x")
		require.NoError(t, err)
		require.Equal(t, 429, a.status)
		b.good("getChatMember", object{"chat_id": b.group, "user_id": b.anna})
		b.restrict(b.group, b.anna, object{})
		b.send(b.box.group(), "elsewhere")
		assert.Zero(t, b.IgnoredFloods())
	})
}
