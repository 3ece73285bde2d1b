package actors

import (
	"github.com/asynkron/protoactor-go/actor"

	"github.com/gmbot/gmbot/protos"
	"github.com/gmbot/gmbot/telegram"
)

// onEvent judges one update of this chat. Every path settles it or hands it to who will.
func (g *group) onEvent(c actor.Context, e *protos.Event) {
	switch e.GetKind() {
	case protos.EventKind_MESSAGE:
		g.onMessage(c, e)
	case protos.EventKind_EDITED_MESSAGE:
		g.judge(c, e)
	case protos.EventKind_MEMBERS_JOINED:
		g.onJoined(c, e)
	case protos.EventKind_CHAT_MEMBER:
		g.onChatMember(c, e)
	case protos.EventKind_CALLBACK:
		g.onCallback(c, e)
	case protos.EventKind_MY_CHAT_MEMBER:
		g.onMyChatMember(c, e)
	case protos.EventKind_OTHER, protos.EventKind_MEMBER_LEFT, protos.EventKind_JOIN_REQUEST,
		protos.EventKind_MIGRATED, protos.EventKind_SERVICE:
		g.done(e)
	}
}

func (g *group) done(e *protos.Event) { g.d.settler.Settled(e.GetDelivery()) }

func (g *group) onMessage(c actor.Context, e *protos.Event) {
	if cmd, ok := parseCommand(e, g.d.bot.GetUsername()); ok {
		g.command(c, e, cmd)
		return
	}
	g.judge(c, e)
}

// judge lets a message pass, or has its author looked at.
func (g *group) judge(c actor.Context, e *protos.Event) {
	if !g.g.Enabled || len(g.g.Channels) == 0 {
		g.done(e)
		return
	}
	if exemptSender(e) || g.isExcused(e.GetFrom().GetId()) {
		g.d.metrics.passed("exempt")
		g.done(e)
		return
	}
	if g.known(e.GetFrom().GetId()) {
		g.d.metrics.passed("known")
		g.done(e)
		return
	}
	g.give(c, &want{trigger: byMessage, user: e.GetFrom(), event: e, at: e.GetReceivedMs()})
}

// Ids that Telegram uses for senders that are no persons. Source: the Bot API's documentation of
// Message.from for anonymous administrators, channel posts and automatic forwards.
const (
	anonymousAdmin = 1087968824
	channelBot     = 136817688
	telegramItself = 777000
)

// exemptSender: nobody who could be a member stands behind the message.
func exemptSender(e *protos.Event) bool {
	from := e.GetFrom()
	switch {
	case from == nil, from.GetIsBot(), e.GetAutomaticForward(), e.GetSenderChat() != nil:
		return true
	}
	switch from.GetId() {
	case anonymousAdmin, channelBot, telegramItself, 0:
		return true
	}
	return false
}

func (g *group) isExcused(user int64) bool {
	until, ok := g.excused[user]
	return ok && g.d.clock().Before(until)
}

// known: memory vouches for the person in every required channel.
func (g *group) known(user int64) bool {
	now := g.d.clock()
	for _, ch := range g.g.Channels {
		e, ok := g.d.cache.Look(ch.ID, user, now)
		if !ok || e.Verdict != protos.Verdict_INSIDE {
			return false
		}
	}
	return true
}

// onJoined looks at everybody a service message says has joined. All of them settle the update.
func (g *group) onJoined(c actor.Context, e *protos.Event) {
	var people []*protos.User
	for _, u := range e.GetUsers() {
		if !u.GetIsBot() {
			people = append(people, u)
		}
	}
	if !g.g.Enabled || g.g.Settings.JoinCheckOff || len(people) != 1 {
		// Several at once come with a chat_member update each, and those are dependable.
		g.done(e)
		return
	}
	g.give(c, &want{trigger: byJoin, user: people[0], event: e, at: e.GetReceivedMs()})
}

// onChatMember follows people who join, and moderators who change somebody's rights.
func (g *group) onChatMember(c actor.Context, e *protos.Event) {
	u := e.GetAfter().GetUser()
	delete(g.excused, u.GetId())
	if u.GetId() == 0 || u.GetIsBot() || u.GetId() == g.d.bot.GetId() || e.GetFrom().GetId() == g.d.bot.GetId() {
		g.done(e)
		return
	}
	before, after := telegram.Present(e.GetBefore()), telegram.Present(e.GetAfter())
	switch {
	case !before && after:
		if !g.g.Enabled || g.g.Settings.JoinCheckOff {
			g.give(c, &want{trigger: byHint, user: u, event: e, at: e.GetReceivedMs()})
			return
		}
		g.give(c, &want{trigger: byJoin, user: u, event: e, at: e.GetReceivedMs()})
	case before && !after:
		// Left or was removed: nobody needs to be shown the way; a mute of ours stays with the person.
		g.onNoticeRemove(c, &noticeRemove{user: u.GetId()})
		g.give(c, &want{trigger: byModerator, user: u, event: e, at: e.GetReceivedMs()})
	default:
		g.give(c, &want{trigger: byModerator, user: u, event: e, at: e.GetReceivedMs()})
	}
}

// onMyChatMember notes that the bot's own standing changed. What it may do is learned by doing; a
// right that came back takes up what had to wait.
func (g *group) onMyChatMember(c actor.Context, e *protos.Event) {
	if telegram.IsAdmin(e.GetAfter()) {
		c.Send(c.Self(), &reload{})
		for _, k := range g.kids {
			g.give(c, &want{trigger: byResume, user: &protos.User{Id: k.user}})
		}
		if !g.g.Enabled && !telegram.IsAdmin(e.GetBefore()) {
			g.say(c, e, "group.welcome", nil)
		}
	}
	g.done(e)
}

// onMembershipChanged takes news of a required channel.
func (g *group) onMembershipChanged(c actor.Context, m *protos.MembershipChanged) {
	w := &want{user: m.GetUser(), ackTo: c.Sender(), ackTag: m.GetTag(), date: m.GetDate(), trigger: byHint}
	if m.GetVerdict() == protos.Verdict_OUTSIDE {
		w.trigger = byLeave
	}
	if !g.g.Enabled || !g.requires(m.GetChannelId()) {
		g.d.settle(w, g.id, "")
		return
	}
	g.give(c, w)
}

func (g *group) requires(channel int64) bool {
	for _, ch := range g.g.Channels {
		if ch.ID == channel {
			return true
		}
	}
	return false
}

func (g *group) onCallback(c actor.Context, e *protos.Event) {
	switch parseCallback(e.GetCallbackData()) {
	case callbackCheck:
		g.give(c, &want{
			trigger: byPress, user: e.GetFrom(), event: e, at: e.GetReceivedMs(), lang: e.GetFrom().GetLanguageCode(),
		})
	case callbackUnprotect, callbackKeep:
		g.command(c, e, command{name: parseCallback(e.GetCallbackData())})
	default:
		g.answer(c, e, "press.old")
	}
}

// answer ends the waiting circle on somebody's button.
func (g *group) answer(c actor.Context, e *protos.Event, id string) {
	c.Send(g.d.dir.Sender(), answerJob(e, g.d.words.Press(e.GetFrom().GetLanguageCode(), id, nil), true))
	g.done(e)
}

func answerJob(e *protos.Event, words string, alert bool) *protos.Job {
	return &protos.Job{Lane: protos.Lane_ANSWER, Do: &protos.Job_Answer{
		Answer: &protos.AnswerCallback{CallbackId: e.GetCallbackId(), Text: words, Alert: alert},
	}}
}

// say sends one line to the chat an event came from, once and without remembering it.
func (g *group) say(c actor.Context, e *protos.Event, id string, data map[string]any) {
	c.Send(g.d.dir.Sender(), &protos.Job{Lane: protos.Lane_TALK, ChatId: g.id, Do: &protos.Job_Send{
		Send: &protos.SendText{Html: g.d.words.Say(g.g.Settings.Language, id, data), ThreadId: e.GetThreadId()},
	}})
}
