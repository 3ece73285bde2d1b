package simulator_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/telegram/simulator"
)

// Who asks to join is let in or not by administrators who may invite; what is handled already, withdrawn, or
// never was has a code each. Source: TDLib; Telegram's back end, for the codes: two are from memory, so there
// is a switch.
func TestS9_RequestsAndTheirErrors(t *testing.T) {
	t.Parallel()
	for _, other := range []bool{false, true} {
		remembered := func(code string) string {
			if other {
				return "Bad Request: WORDS_NOBODY_REMEMBERED"
			}
			return "Bad Request: " + code
		}
		b := open(t, simulator.Switches{OtherTexts: other})
		weak, group, boris := b.group(), b.group("can_invite_users"), b.NewUser("Boris", "")
		p := func(chat, user int64) object { return object{"chat_id": chat, "user_id": user} }
		for _, method := range []string{"approveChatJoinRequest", "declineChatJoinRequest"} {
			b.fails("Bad Request: not enough rights to manage chat join requests", method, p(weak, b.anna))
			b.fails("Bad Request: USER_ID_INVALID", method, p(group, boris))
			b.fails(remembered("USER_ALREADY_PARTICIPANT"), method, p(group, b.olga))
		}
		require.NoError(t, b.RequestJoin(group, b.anna))
		require.NoError(t, b.RequestJoin(group, boris))
		assert.ElementsMatch(t, []int64{b.anna, boris}, b.Requests(group))
		b.good("approveChatJoinRequest", p(group, b.anna))
		assert.Equal(t, "member", b.member(group, b.anna)["status"])
		b.fails(remembered("USER_ALREADY_PARTICIPANT"), "approveChatJoinRequest", p(group, b.anna))
		b.good("declineChatJoinRequest", p(group, boris))
		b.fails(remembered("HIDE_REQUESTER_MISSING"), "approveChatJoinRequest", p(group, boris))
		require.NoError(t, b.RequestJoin(group, boris))
		b.WithdrawRequest(group, boris)
		b.fails(remembered("HIDE_REQUESTER_MISSING"), "declineChatJoinRequest", p(group, boris))
		require.ErrorIs(t, b.RequestJoin(group, b.anna), simulator.ErrMayNot, "is in")

		keyboard := object{"inline_keyboard": [][]object{{{"text": "x", "callback_data": ""}}}}
		b.fails(remembered("BUTTON_DATA_INVALID"), "sendMessage", object{"chat_id": group, "text": "x", "reply_markup": keyboard})
	}
}

// A bot that saw the request may write for five minutes, until the request is handled, and unless another
// administrator writes first. Source: Bot API, ChatJoinRequest.
func TestS9_FiveMinutes(t *testing.T) {
	t.Parallel()
	const closed = "Forbidden: bot can't initiate conversation with a user"
	for name, end := range map[string]func(b *box, group int64, other simulator.Bot){
		"time":     func(b *box, _ int64, _ simulator.Bot) { b.advance(time.Second) },
		"approved": func(b *box, group int64, _ simulator.Bot) { _ = b.ApproveRequest(group, b.olga, b.anna) },
		"declined": func(b *box, group int64, _ simulator.Bot) {
			b.good("declineChatJoinRequest", object{"chat_id": group, "user_id": b.anna})
		},
		"another": func(b *box, _ int64, other simulator.Bot) {
			assert.True(b.t, b.as(other.Token, "sendMessage", object{"chat_id": b.anna, "text": "me first"}).OK)
		},
	} {
		b := open(t, simulator.Switches{})
		group, other := b.group("can_invite_users"), b.NewBot("other_bot")
		require.NoError(t, b.Promote(group, b.olga, other.ID, simulator.Rights("can_invite_users")))
		b.drain("")
		b.fails(closed, "sendMessage", object{"chat_id": b.anna, "text": "x"})
		require.NoError(t, b.RequestJoin(group, b.anna))
		list := b.drain("chat_join_request") // which takes eight seconds
		require.Len(t, list, 1)
		assert.InDelta(t, b.anna, list[0]["user_chat_id"], 0)
		b.advance(5*time.Minute - 9*time.Second)
		if name != "another" {
			b.send(b.anna, "Please join the channel")
		}
		end(b, group, other)
		b.fails(closed, "sendMessage", object{"chat_id": b.anna, "text": name})
	}
}

// Who was declined may ask again. Source: from memory, so there is a switch.
func TestS9_DeclinedMayAskAgain(t *testing.T) {
	t.Parallel()
	for _, forGood := range []bool{false, true} {
		b := open(t, simulator.Switches{DeclinedForGood: forGood})
		group := b.group("can_invite_users")
		require.NoError(t, b.RequestJoin(group, b.anna))
		b.good("declineChatJoinRequest", object{"chat_id": group, "user_id": b.anna})
		err := b.RequestJoin(group, b.anna)
		if forGood {
			require.ErrorIs(t, err, simulator.ErrMayNot)
			continue
		}
		require.NoError(t, err)
		assert.Equal(t, []int64{b.anna}, b.Requests(group))
	}
}

// Requests come of a link that creates them, or of a group where everybody has to ask. Source: Bot API,
// ChatJoinRequest, ChatFullInfo.
func TestS9_WhereRequestsComeFrom(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{})
	group, boris := b.group("can_invite_users"), b.NewUser("Boris", "")
	link, _ := b.good("createChatInviteLink", object{"chat_id": group, "creates_join_request": true}).object()["invite_link"].(string)
	b.drain("")
	require.NoError(t, b.JoinByLink(group, b.anna, link))
	assert.Equal(t, "left", b.member(group, b.anna)["status"])
	b.JoinByAsking(group, true)
	require.NoError(t, b.Join(group, boris))
	assert.Equal(t, true, b.good("getChat", object{"chat_id": group}).object()["join_by_request"])
	list := b.drain("chat_join_request")
	require.Len(t, list, 2)
	assert.Equal(t, link, at(list[0], "invite_link", "invite_link"), "its own link whole")
	assert.Nil(t, list[1]["invite_link"])
	b.good("approveChatJoinRequest", object{"chat_id": group, "user_id": boris})
	assert.Equal(t, "member", b.member(group, boris)["status"])
	require.NoError(t, b.AddAll(group, b.olga, b.NewUser("Carl", "")))
	assert.Len(t, b.Requests(group), 1, "who is added does not ask")
}
