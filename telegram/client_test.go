package telegram

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/protos"
	"github.com/gmbot/gmbot/telegram/simulator"
)

func TestNewClient(t *testing.T) {
	t.Parallel()
	for _, token := range []string{"", "12:" + secret, "123456", "123456:short", "123456:" + secret + "/x", "a123456:" + secret, "\n" + aToken} {
		_, err := NewClient(token, "http://localhost", nil)
		require.ErrorIs(t, err, ErrToken)
	}
	for _, api := range []string{"", "localhost:80", "ftp://host", "http://", "://"} {
		_, err := NewClient(aToken, api, nil)
		require.Error(t, err, api)
		assert.NotContains(t, err.Error(), secret)
	}
	_, err := NewClient(aToken, "https://api.telegram.org", nil)
	require.NoError(t, err)
}

func TestClient_Restrict(t *testing.T) {
	t.Parallel()
	w := inWorld(t)
	restrict := func(set uint32, until int64) *protos.Job {
		return &protos.Job{ChatId: w.group, Do: &protos.Job_Restrict{Restrict: &protos.Restrict{UserId: w.ann, Permissions: set, UntilDate: until}}}
	}
	w.good(restrict(NoPermissions, 0))
	m := w.Member(w.group, w.ann)
	assert.Equal(t, StatusRestricted, m.Status)
	assert.True(t, m.IsMember)
	assert.Zero(t, m.Until)
	for _, name := range simulator.PermissionNames {
		assert.False(t, m.Permissions[name], name)
	}
	until := time.Now().Add(time.Hour).Unix()
	some := uint32(1)<<protos.Permission_SEND_OTHER_MESSAGES | 1<<protos.Permission_PIN_MESSAGES
	w.good(restrict(some, until))
	m = w.Member(w.group, w.ann)
	assert.Equal(t, until, m.Until)
	for bit, name := range permissionNames {
		assert.Equal(t, some&(1<<uint(bit)) != 0, m.Permissions[name], "%s stands on its own", name)
	}
	w.good(restrict(AllPermissions, 0))
	assert.Equal(t, StatusMember, w.Member(w.group, w.ann).Status)

	require.NoError(t, w.Promote(w.group, w.olga, w.ann, simulator.Rights()))
	assert.Equal(t, protos.Outcome_IS_ADMINISTRATOR, w.do(restrict(NoPermissions, 0)).GetOutcome())
	require.NoError(t, w.Demote(w.group, w.olga, w.ann))
	require.NoError(t, w.Demote(w.group, w.olga, w.bot.ID))
	done := w.do(restrict(NoPermissions, 0))
	assert.Equal(t, protos.Outcome_NO_RIGHTS, done.GetOutcome())
	assert.Equal(t, "Bad Request: not enough rights to restrict/unrestrict chat member", done.GetDescription())
}

func TestClient_Delete(t *testing.T) {
	t.Parallel()
	w := inWorld(t)
	remove := func(ids ...int64) *protos.Job {
		return &protos.Job{ChatId: w.group, Do: &protos.Job_Delete{Delete: &protos.DeleteMessages{MessageIds: ids}}}
	}
	one, two, three := w.post("one"), w.post("two"), w.post("three")
	w.good(remove(one))
	assert.Equal(t, []string{"two", "three"}, w.texts())
	w.good(remove(two, three, 999))
	assert.Empty(t, w.texts())
	assert.Len(t, w.CallsOf("deleteMessage"), 1)
	assert.Len(t, w.CallsOf("deleteMessages"), 1)
	assert.Equal(t, protos.Outcome_DONE, w.do(remove(one)).GetOutcome(), "what is gone counts as deleted")
	mine := w.post("four")
	require.NoError(t, w.Demote(w.group, w.olga, w.bot.ID))
	assert.Equal(t, protos.Outcome_NO_RIGHTS, w.do(remove(mine)).GetOutcome())
	assert.Equal(t, []string{"four"}, w.texts())
}

func TestClient_SendAndEdit(t *testing.T) {
	t.Parallel()
	w := inWorld(t)
	w.MakeForum(w.group)
	thread, post := w.CreateTopic(w.group, "Talk"), w.post("hello")
	rows := []*protos.ButtonRow{
		{Buttons: []*protos.Button{{Text: "Join", Url: "https://t.me/news", Style: "primary"}}},
		{Buttons: []*protos.Button{{Text: "Check", Data: "v:1"}, {Text: "Help", Data: "h"}}},
	}
	send := &protos.SendText{ThreadId: thread, Html: "<b>Join</b> &lt;first&gt;", Keyboard: rows, ReplyTo: post, Quiet: true}
	done := w.good(&protos.Job{ChatId: w.group, Do: &protos.Job_Send{Send: send}})
	all := w.Messages(w.group)
	m := all[len(all)-1]
	assert.Equal(t, m.ID, done.GetMessageId())
	assert.Equal(t, "Join <first>", m.Text)
	assert.Equal(t, thread, m.ThreadID)
	assert.Equal(t, post, m.ReplyTo)
	assert.JSONEq(t, `[{"type":"bold","offset":0,"length":4}]`, string(m.Entities))
	assert.JSONEq(t, `{"inline_keyboard":[[{"text":"Join","url":"https://t.me/news","style":"primary"}],
		[{"text":"Check","callback_data":"v:1"},{"text":"Help","callback_data":"h"}]]}`, string(m.ReplyMarkup))
	params := w.CallsOf("sendMessage")[0].Params
	assert.Equal(t, true, params["disable_notification"])
	assert.Equal(t, map[string]any{"is_disabled": true}, params["link_preview_options"])

	plain := w.good(&protos.Job{ChatId: w.group, Do: &protos.Job_Send{Send: &protos.SendText{Html: "x", ReplyTo: 999}}})
	assert.NotZero(t, plain.GetMessageId(), "an answer to what is gone is sent all the same")
	for _, name := range []string{"disable_notification", "reply_markup", "message_thread_id"} {
		assert.NotContains(t, w.CallsOf("sendMessage")[1].Params, name)
	}

	edit := &protos.Job{ChatId: w.group, Do: &protos.Job_Edit{Edit: &protos.EditText{MessageId: done.GetMessageId(), Html: "<i>Joined</i>"}}}
	w.good(edit)
	i := len(w.Messages(w.group)) - 2
	assert.Equal(t, "Joined", w.Messages(w.group)[i].Text)
	assert.Empty(t, w.Messages(w.group)[i].ReplyMarkup)
	again := w.do(edit)
	assert.Equal(t, protos.Outcome_DONE, again.GetOutcome())
	assert.Contains(t, again.GetDescription(), "not modified")

	markup := &protos.Job{ChatId: w.group, Do: &protos.Job_EditMarkup{EditMarkup: &protos.EditMarkup{MessageId: m.ID, Keyboard: rows}}}
	stands := w.good(markup).GetStands()
	assert.Equal(t, thread, stands.GetThreadId())
	assert.Equal(t, "Joined", stands.GetText())
	assert.InDelta(t, time.Now().Unix(), stands.GetDate(), 5)
	assert.Nil(t, w.do(markup).GetStands(), "nothing was changed")
	markup.GetEditMarkup().MessageId = plain.GetMessageId()
	assert.Zero(t, w.good(markup).GetStands().GetThreadId())
	markup.GetEditMarkup().MessageId = post
	assert.Equal(t, protos.Outcome_GONE, w.do(markup).GetOutcome())

	for html, want := range map[string]protos.Outcome{"<b>": protos.Outcome_OUR_MISTAKE, "": protos.Outcome_OUR_MISTAKE} {
		assert.Equal(t, want, w.do(&protos.Job{ChatId: w.group, Do: &protos.Job_Send{Send: &protos.SendText{Html: html}}}).GetOutcome())
	}
	gone := &protos.Job{ChatId: w.group, Do: &protos.Job_Send{Send: &protos.SendText{Html: "x", ThreadId: 998}}}
	assert.Equal(t, protos.Outcome_GONE, w.do(gone).GetOutcome())
	stranger := &protos.Job{ChatId: w.ann, Do: &protos.Job_Send{Send: &protos.SendText{Html: "x"}}}
	assert.Equal(t, protos.Outcome_GONE, w.do(stranger).GetOutcome(), "she never started the bot")
}

func TestClient_Answer(t *testing.T) {
	t.Parallel()
	w := inWorld(t)
	sent := w.good(&protos.Job{ChatId: w.group, Do: &protos.Job_Send{Send: &protos.SendText{
		Html: "x", Keyboard: []*protos.ButtonRow{{Buttons: []*protos.Button{{Text: "Check", Data: "v:1"}}}},
	}}})
	type pressed struct {
		answer simulator.Answer
		err    error
	}
	got := make(chan pressed, 1)
	go func() {
		a, err := w.Press(t.Context(), w.group, sent.GetMessageId(), w.ann, "v:1")
		got <- pressed{a, err}
	}()
	raws, err := w.c.GetUpdates(t.Context(), -1, 1, 50, AllowedUpdates())
	require.NoError(t, err)
	require.Len(t, raws, 1)
	e, err := Decode(raws[0], 1)
	require.NoError(t, err)
	for e.GetKind() != protos.EventKind_CALLBACK {
		raws, err = w.c.GetUpdates(t.Context(), e.GetUpdateId()+1, 1, 50, AllowedUpdates())
		require.NoError(t, err)
		require.Len(t, raws, 1)
		e, err = Decode(raws[0], 1)
		require.NoError(t, err)
	}
	assert.Equal(t, "v:1", e.GetCallbackData())
	answer := &protos.Job{Do: &protos.Job_Answer{Answer: &protos.AnswerCallback{CallbackId: e.GetCallbackId(), Text: "Not yet", Alert: true}}}
	w.good(answer)
	p := <-got
	require.NoError(t, p.err)
	assert.Equal(t, simulator.Answer{Text: "Not yet", ShowAlert: true}, p.answer)
	assert.Equal(t, protos.Outcome_LATE, w.do(answer).GetOutcome(), "a press is answered once")
}

func TestClient_Look(t *testing.T) {
	t.Parallel()
	w := inWorld(t)
	member := func(chat, user int64) *protos.Job {
		return &protos.Job{ChatId: w.group, Do: &protos.Job_GetMember{GetMember: &protos.GetMember{ChatId: chat, UserId: user}}}
	}
	m := w.good(member(w.group, w.bot.ID)).GetMember()
	assert.True(t, IsAdmin(m))
	assert.True(t, HasRight(m, protos.Right_CAN_RESTRICT_MEMBERS))
	assert.False(t, HasRight(m, protos.Right_CAN_PROMOTE_MEMBERS))
	assert.Equal(t, w.ann, w.good(member(w.group, w.ann)).GetMember().GetUser().GetId())
	assert.Equal(t, StatusLeft, w.good(member(w.channel, w.ann)).GetMember().GetStatus(), "a stranger is outside")
	assert.Equal(t, protos.Outcome_CANNOT_SAY, w.do(member(w.channel, 4711)).GetOutcome())
	assert.Equal(t, protos.Outcome_CANNOT_SAY, w.do(member(w.channel, 0)).GetOutcome())
	assert.Equal(t, protos.Outcome_GONE, w.do(member(-4711, w.ann)).GetOutcome())

	byID := w.good(&protos.Job{Do: &protos.Job_GetChat{GetChat: &protos.GetChat{ChatId: w.channel}}}).GetChat().GetChat()
	byName := w.good(&protos.Job{Do: &protos.Job_GetChat{GetChat: &protos.GetChat{Username: "News"}}}).GetChat().GetChat()
	for _, c := range []*protos.Chat{byID, byName} {
		assert.Equal(t, w.channel, c.GetId())
		assert.Equal(t, "channel/News/news", c.GetType()+"/"+c.GetTitle()+"/"+c.GetUsername())
	}
	assert.Equal(t, protos.Outcome_GONE, w.do(&protos.Job{Do: &protos.Job_GetChat{GetChat: &protos.GetChat{Username: "nobody"}}}).GetOutcome())

	list := w.good(&protos.Job{Do: &protos.Job_GetAdministrators{GetAdministrators: &protos.GetAdministrators{ChatId: w.group}}}).GetAdministrators()
	var ids []int64
	for _, a := range list {
		assert.True(t, IsAdmin(a))
		ids = append(ids, a.GetUser().GetId())
	}
	assert.ElementsMatch(t, []int64{w.olga, w.bot.ID}, ids)
	require.NoError(t, w.Demote(w.channel, w.olga, w.bot.ID))
	assert.Equal(t, protos.Outcome_CANNOT_SAY, w.do(member(w.channel, w.ann)).GetOutcome(), "a channel tells administrators only")
}

func TestClient_LinksAndBans(t *testing.T) {
	t.Parallel()
	w := inWorld(t)
	link := &protos.Job{Do: &protos.Job_CreateInviteLink{CreateInviteLink: &protos.CreateInviteLink{ChatId: w.channel, Name: "gate"}}}
	assert.Contains(t, w.good(link).GetInviteLink(), "https://t.me/+")
	assert.Equal(t, "gate", w.CallsOf("createChatInviteLink")[0].Params["name"])
	ban := &protos.Job{ChatId: w.group, Do: &protos.Job_Ban{Ban: &protos.BanMember{UserId: w.ann}}}
	unban := &protos.Job{ChatId: w.group, Do: &protos.Job_Unban{Unban: &protos.UnbanMember{UserId: w.ann}}}
	w.good(unban)
	assert.Equal(t, StatusMember, w.Member(w.group, w.ann).Status, "who is not banned is not thrown out")
	w.good(ban)
	assert.Equal(t, StatusKicked, w.Member(w.group, w.ann).Status)
	w.good(unban)
	assert.Equal(t, StatusLeft, w.Member(w.group, w.ann).Status)
	require.NoError(t, w.Demote(w.channel, w.olga, w.bot.ID))
	assert.Equal(t, protos.Outcome_NO_RIGHTS, w.do(link).GetOutcome())
}

func TestClient_JoinRequests(t *testing.T) {
	t.Parallel()
	rec, c := record(t, http.StatusOK, `{"ok":true,"result":true}`)
	for approve, method := range map[bool]string{true: "approveChatJoinRequest", false: "declineChatJoinRequest"} {
		done := c.Do(t.Context(), &protos.Job{ChatId: -5, Do: &protos.Job_JoinRequest{JoinRequest: &protos.JoinRequestVerdict{UserId: 7, Approve: approve}}})
		assert.Equal(t, protos.Outcome_DONE, done.GetOutcome())
		assert.Equal(t, recorded{method, map[string]any{"chat_id": -5.0, "user_id": 7.0}}, rec.last())
	}
}

func TestClient_OtherCalls(t *testing.T) {
	t.Parallel()
	w := inWorld(t)
	me, err := w.c.GetMe(t.Context())
	require.NoError(t, err)
	assert.Equal(t, w.bot.ID, me.GetId())
	assert.True(t, me.GetIsBot())
	set, err := w.c.WebhookInfo(t.Context())
	require.NoError(t, err)
	assert.Empty(t, set.URL)
	require.NoError(t, w.c.DeleteWebhook(t.Context()))
	assert.Equal(t, false, w.CallsOf("deleteWebhook")[0].Params["drop_pending_updates"], "what waits is kept")
	require.NoError(t, w.c.SetMyCommands(t.Context(), "all_chat_administrators", []Command{{Name: "check", Description: "Look again"}}))
	assert.Equal(t, map[string]any{"type": "all_chat_administrators"}, w.CallsOf("setMyCommands")[0].Params["scope"])
	require.Error(t, w.c.SetMyCommands(t.Context(), "default", []Command{{Name: "", Description: "x"}}))
	assert.Nil(t, w.c.Metrics())
	rec, c := record(t, http.StatusOK, `{"ok":true,"result":{"url":"https://hook.example"}}`)
	set, err = c.WebhookInfo(context.Background())
	require.NoError(t, err)
	assert.Equal(t, "https://hook.example", set.URL)
	assert.Equal(t, "getWebhookInfo", rec.last().method)
}
