package simulator_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/telegram/simulator"
)

// Whoever watches is told of an update once, when it is first sent, and not when it is written or sent again.
func TestOnHandTellsOfTheFirstSending(t *testing.T) {
	t.Parallel()
	var told []simulator.Handed
	b := &box{t: t, url: "http://simulator"}
	b.fill(simulator.Options{
		Switches:    simulator.Switches{NoLimitOne: true, NoRepeatWait: true},
		ForgetCalls: true, OnHand: func(h simulator.Handed) { told = append(told, h) },
	})
	b.client = &http.Client{Transport: b.Transport()}
	group := b.group("can_delete_messages")
	_ = b.updates(object{"offset": -1})
	told = nil
	person := b.NewUser("Anna", "")
	require.NoError(t, b.Join(group, person))
	id, err := b.Write(group, person, "Hello")
	require.NoError(t, err)
	require.Empty(t, told, "nothing was sent yet")

	sent := b.updates(object{"offset": 0})
	last := sent[len(sent)-1]
	number, _ := last["update_id"].(float64)
	require.Equal(t, simulator.Handed{
		BotID: b.bot.ID, UpdateID: int64(number), Kind: "message", ChatID: group, UserID: person, MessageID: id,
	}, told[len(told)-1])

	before := len(told)
	_ = b.updates(object{"offset": 0})
	require.Len(t, told, before, "sent again is not sent first")
	require.Empty(t, b.Calls(), "no calls are kept when they are to be forgotten")
}

// A press is told with the chat in which the message with the button stands.
func TestOnHandTellsWhereAButtonWasPressed(t *testing.T) {
	t.Parallel()
	var told []simulator.Handed
	b := &box{t: t, url: "http://simulator"}
	b.fill(simulator.Options{
		Switches: simulator.Switches{NoLimitOne: true, NoRepeatWait: true},
		OnHand:   func(h simulator.Handed) { told = append(told, h) },
	})
	b.client = &http.Client{Transport: b.Transport()}
	group := b.group("can_delete_messages")
	b.drain("")
	b.anna = b.NewUser("Anna", "")
	require.NoError(t, b.Join(group, b.anna))
	b.drain("")
	keyboard := object{"inline_keyboard": [][]object{{{"text": "Go", "callback_data": "go"}}}}
	number, _ := b.good("sendMessage", object{"chat_id": group, "text": "press", "reply_markup": keyboard}).object()["message_id"].(float64)
	_, _ = b.pressed(group, int64(number))
	last := told[len(told)-1]
	require.Equal(t, []int64{group, b.anna, int64(number)}, []int64{last.ChatID, last.UserID, last.MessageID})
	require.NotEmpty(t, last.CallbackID)
}
