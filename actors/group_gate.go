package actors

import (
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/protos"
	"github.com/gmbot/gmbot/telegram"
)

// onEvent judges one update of this chat. Every path settles it or hands it to who will.
func (g *group) onEvent(c actor.Context, e *protos.Event) {
	if e.GetKind() != protos.EventKind_CALLBACK { // which may be on an old message
		g.sees(e.GetMessageId())
	}
	switch e.GetKind() {
	case protos.EventKind_MESSAGE:
		g.onMessage(c, e)
	case protos.EventKind_EDITED_MESSAGE:
		g.judge(c, e)
	case protos.EventKind_MEMBERS_JOINED:
		g.onJoined(c, e)
	case protos.EventKind_MEMBER_LEFT:
		g.tidy(e)
	case protos.EventKind_CHAT_MEMBER:
		g.onChatMember(c, e)
	case protos.EventKind_CALLBACK:
		g.onCallback(c, e)
	case protos.EventKind_MY_CHAT_MEMBER:
		g.onMyChatMember(c, e)
	case protos.EventKind_JOIN_REQUEST:
		g.onJoinRequest(c, e)
	case protos.EventKind_MIGRATED:
		g.onMigrated(c, e)
	case protos.EventKind_OTHER, protos.EventKind_SERVICE:
		g.done(e)
	}
}

func (g *group) done(e *protos.Event) { g.d.settler.Settled(e.GetDelivery()) }

func (g *group) onMessage(c actor.Context, e *protos.Event) {
	g.remember(e.GetFrom())
	if cmd, ok := parseCommand(e, g.d.bot.GetUsername()); ok {
		g.command(c, e, cmd)
		return
	}
	g.judge(c, e)
}

// remember notes whose @name is whose, since Telegram lets bots find nobody by name.
func (g *group) remember(u *protos.User) {
	if u.GetUsername() == "" || u.GetIsBot() {
		return
	}
	if len(g.names) >= maxNamesHere {
		clear(g.names)
	}
	put(&g.names, strings.ToLower(u.GetUsername()), u.GetId())
}

// judge lets a message pass, or has its author looked at.
func (g *group) judge(c actor.Context, e *protos.Event) {
	if !g.g.Enabled || len(g.g.Channels) == 0 {
		g.done(e)
		return
	}
	if e.GetSenderChat() != nil {
		g.judgeChat(c, e)
		return
	}
	user := e.GetFrom().GetId()
	switch {
	case isNobody(e.GetFrom()), g.exempt[user] && g.kids[user] == nil, g.isExcused(user):
		g.d.metrics.passed("exempt")
		g.done(e)
	case g.known(user):
		g.d.metrics.knew()
		g.note(user)
		g.done(e)
	default:
		g.give(c, &want{trigger: byMessage, user: e.GetFrom(), event: e, date: e.GetDate(), at: e.GetReceivedMs()})
	}
}

// noteEvery is how often the store hears that somebody known still writes here.
const noteEvery = 24 * time.Hour

// note has the store remember that a person is in the group, so that a leave of the channel finds them
// here. Nothing waits for it.
func (g *group) note(user int64) {
	now := g.d.clock()
	if at, ok := g.noted[user]; ok && now.Sub(at) < noteEvery {
		return
	}
	if len(g.noted) >= maxNoted {
		clear(g.noted)
	}
	put(&g.noted, user, now)
	id, proof := g.id, g.d.proof(protos.Verdict_INSIDE, g.g.Channels, user)
	g.d.writer.Do(func(tx persistence.Tx) error {
		if err := tx.SawMember(id, user, now); err != nil {
			return err
		}
		return tx.Proved(id, user, proof)
	}, g.logLost("seen member"))
}

// Ids that Telegram uses for senders that are no persons. Source: the Bot API's documentation of
// Message.from for anonymous administrators, channel posts and automatic forwards.
const (
	anonymousAdmin = 1087968824
	channelBot     = 136817688
	telegramItself = 777000
)

// isNobody: no person who could be a member stands behind the message.
func isNobody(from *protos.User) bool {
	switch from.GetId() {
	case 0, anonymousAdmin, channelBot, telegramItself:
		return true
	}
	return from.GetIsBot()
}

// judgeChat judges a message in the name of a chat. Administrators write as the group itself, and the
// channels of this group have a right to speak in it; a foreign channel is dealt with as the group wishes.
func (g *group) judgeChat(c actor.Context, e *protos.Event) {
	as := e.GetSenderChat().GetId()
	wish := g.g.Settings.ChannelPosts
	switch {
	case as == g.id, e.GetAutomaticForward(), g.requires(as), wish == persistence.PostsAllow,
		e.GetSenderChat().GetType() != "channel", g.g.Settings.DryRun:
		g.d.metrics.passed("exempt")
		g.done(e)
	case g.linkedAt.IsZero() || g.d.clock().Sub(g.linkedAt) > linkedFor:
		g.askLinked(c, e)
	case as == g.linked:
		g.d.metrics.passed("exempt")
		g.done(e)
	default:
		g.removePost(c, e, wish == persistence.PostsBan)
	}
}

// linkedFor is how long Telegram's word on the linked channel is believed.
const linkedFor = 10 * time.Minute

// askLinked learns which channel this group belongs to, for its posts must not be touched. Until
// Telegram says, posts stay.
func (g *group) askLinked(c actor.Context, e *protos.Event) {
	g.request(c, &protos.Job{
		Lane: protos.Lane_LOOKUP, ChatId: g.id, UpdateId: e.GetUpdateId(), Do: &protos.Job_GetChat{GetChat: &protos.GetChat{ChatId: g.id}},
	}, func(c actor.Context, m *protos.JobDone) {
		if m.GetOutcome() != protos.Outcome_DONE {
			g.done(e)
			return
		}
		g.linked, g.linkedAt = m.GetChat().GetLinkedChatId(), g.d.clock()
		g.judgeChat(c, e)
	})
}

// removePost deletes a foreign channel's post; the deletion stands in the store before the update settles.
func (g *group) removePost(c actor.Context, e *protos.Event, ban bool) {
	g.d.metrics.passed("channel_post")
	if ban {
		c.Send(g.d.dir.Sender(), &protos.Job{
			Lane: protos.Lane_MUTE, ChatId: g.id, UpdateId: e.GetUpdateId(),
			Do: &protos.Job_BanSenderChat{BanSenderChat: &protos.BanSenderChat{SenderChatId: e.GetSenderChat().GetId()}},
		})
	}
	g.deleteSoon(e, "a channel's post could not be noted")
}

// deleteSoon leaves a message to the clerk, and settles its update by that.
func (g *group) deleteSoon(e *protos.Event, why string) {
	d, delivery := g.d, e.GetDelivery()
	row := persistence.Due{ChatID: g.id, MessageID: e.GetMessageId(), At: d.clock()}
	d.writer.Do(func(tx persistence.Tx) error { return tx.AddDue(row) }, func(err error) {
		if err != nil {
			d.settler.NotDone(delivery, why)
			return
		}
		d.settler.Settled(delivery)
	})
}

// tidy deletes a service message about somebody who joined or left, if the group wishes so.
func (g *group) tidy(e *protos.Event) {
	if !g.g.Enabled || !g.g.Settings.DeleteService || g.g.Settings.DryRun {
		g.done(e)
		return
	}
	g.deleteSoon(e, "a service message could not be noted")
}

func (g *group) isExcused(user int64) bool {
	until, ok := g.excused[user]
	return ok && g.d.clock().Before(until)
}

// known: memory vouches for the person in as many required channels as the group asks for.
func (g *group) known(user int64) bool {
	now := g.d.clock()
	inside, need := 0, g.g.Settings.Need
	if need <= 0 || need > len(g.g.Channels) {
		need = len(g.g.Channels)
	}
	for _, ch := range g.g.Channels {
		if e, ok := g.d.cache.Look(ch.ID, user, now); ok && e.Verdict == protos.Verdict_INSIDE {
			inside++
		}
	}
	return inside >= need
}

// onJoined looks at everybody a service message says has joined. All of them settle the update.
func (g *group) onJoined(c actor.Context, e *protos.Event) {
	var people []*protos.User
	for _, u := range e.GetUsers() {
		if !u.GetIsBot() {
			people = append(people, u)
		}
	}
	if g.g.Enabled && g.g.Settings.DeleteService && !g.g.Settings.DryRun {
		// chat_member tells of the same people, and dependably.
		g.tidy(e)
		return
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
	g.remember(u)
	delete(g.excused, u.GetId())
	if u.GetId() == 0 || u.GetIsBot() || u.GetId() == g.d.bot.GetId() {
		g.done(e)
		return
	}
	if e.GetFrom().GetId() == g.d.bot.GetId() {
		g.onOwnAct(c, e)
		return
	}
	delete(g.covered, u.GetId())          // somebody has decided since
	if e.GetFrom().GetId() != u.GetId() { // who comes or goes by themselves decides nothing
		bounded(&g.decided, u.GetId(), e.GetDate())
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
	case g.g.Enabled && telegram.IsAdmin(e.GetBefore()) && !telegram.IsAdmin(e.GetAfter()):
		// Judged as who leaves a channel: what somebody wrote as no administrator any more may have been let pass, for
		// this word of it may come after that.
		g.give(c, &want{trigger: byLeave, user: u, event: e, date: e.GetDate(), at: e.GetReceivedMs()})
	default:
		g.give(c, &want{trigger: byModerator, user: u, event: e, at: e.GetReceivedMs()})
	}
}

// onMyChatMember follows the bot's own standing in the group.
func (g *group) onMyChatMember(c actor.Context, e *protos.Event) {
	admin := telegram.IsAdmin(e.GetAfter())
	switch {
	case !g.g.Enabled && admin && !telegram.IsAdmin(e.GetBefore()):
		g.say(c, e, "group.welcome", nil)
	case g.g.Enabled:
		g.judgePlace(c, g.id, e.GetAfter())
	}
	if admin {
		// Who is no administrator is not told what becomes of people's standing here.
		c.Send(c.Self(), &reload{recheck: !telegram.IsAdmin(e.GetBefore())})
		g.resume(c)
	}
	g.done(e)
}

// resume has every open flow looked at, for something that stood in the way may be gone.
func (g *group) resume(c actor.Context) {
	for _, k := range g.kids {
		g.give(c, &want{trigger: byResume, user: &protos.User{Id: k.user}})
	}
}

// onMigrated follows a basic group that became a supergroup: the message comes in both chats.
func (g *group) onMigrated(c actor.Context, e *protos.Event) {
	if from := e.GetMigrateFrom(); from != 0 {
		g.move(c, from, g.id, e)
		return
	}
	g.move(c, g.id, e.GetMigrateTo(), e)
}

// move gives everything stored under one id to another; doing it twice is harmless.
func (g *group) move(c actor.Context, from, to int64, e *protos.Event) {
	if from == 0 || to == 0 || from == to {
		if e != nil {
			g.done(e)
		}
		return
	}
	self, d := c.Self(), g.d
	d.writer.Do(func(tx persistence.Tx) error { return tx.MoveGroup(from, to) }, func(err error) {
		if err != nil {
			d.log.Error().Err(err).Int64("from", from).Int64("to", to).Msg("a group's new id cannot be stored")
			if e != nil {
				d.settler.NotDone(e.GetDelivery(), "new id not stored")
			}
			return
		}
		d.announceMove(from, to)
		d.root.Send(self, &reload{})
		if e != nil {
			d.settler.Settled(e.GetDelivery())
		}
	})
}

// announceMove tells the shards; the new id's group reads its rows and takes up the open flows.
func (d *deps) announceMove(from, to int64) {
	d.announce(&protos.ProtectionChanged{ChatId: from})
	d.announce(&protos.ProtectionChanged{ChatId: to, Active: true})
	d.root.Send(d.dir.Shard(to), &protos.Wake{GroupId: to})
}

// onMembershipChanged takes news of a required channel.
func (g *group) onMembershipChanged(c actor.Context, m *protos.MembershipChanged, from *actor.PID) {
	w := &want{user: m.GetUser(), ackTo: from, ackTag: m.GetTag(), date: m.GetDate(), trigger: byHint}
	if m.GetVerdict() == protos.Verdict_OUTSIDE {
		w.trigger = byLeave
	}
	if m.GetPending() {
		w.pending = m.GetChannelId()
	}
	if !g.g.Enabled || !g.requires(m.GetChannelId()) {
		g.d.settle(w, g.id, "")
		return
	}
	if w.trigger == byHint {
		g.takeUpRequest(c, m.GetUser().GetId())
		g.showNoMore(c, m.GetUser().GetId())
	}
	g.give(c, w)
}

// showNoMore takes somebody from the notices who is not muted and was shown the way all the same.
func (g *group) showNoMore(c actor.Context, user int64) {
	if g.kids[user] == nil && g.known(user) {
		g.onNoticeRemove(c, &noticeRemove{user: user})
	}
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
	g.adopt(e)
	cmd, ok := parseCallback(e.GetCallbackData())
	_, _, _, brake := parseBrake(e.GetCallbackData())
	switch {
	case brake:
		g.onBrakePressed(c, e)
	case !ok:
		g.answer(c, e, "press.old")
	case cmd.name == callbackCheck:
		g.d.metrics.step(stepPressed, 1)
		g.freshen(c, freshForPress)
		g.give(c, &want{
			trigger: byPress, user: e.GetFrom(), event: e, at: e.GetReceivedMs(), lang: e.GetFrom().GetLanguageCode(),
		})
	default:
		g.command(c, e, cmd)
	}
}

// onTimeCame takes up what was stored for later.
func (g *group) onTimeCame(c actor.Context, m *protos.TimeCame, from *actor.PID) {
	if m.GetRequest() {
		g.dueRequest(c, m.GetUserId())
		return
	}
	user := m.GetUserId()
	if m.GetMuted() {
		g.give(c, &want{trigger: byHint, user: &protos.User{Id: user}, ackTo: from, ackTag: m.GetTag()})
		return
	}
	if g.g.Enabled && g.g.Settings.RemoveHours > 0 {
		g.give(c, &want{trigger: byTime, user: &protos.User{Id: user}})
		return
	}
	g.d.writer.Do(func(tx persistence.Tx) error { return tx.DropRemoval(g.id, user) }, g.logLost("removal"))
}

// answer ends the waiting circle on somebody's button.
func (g *group) answer(c actor.Context, e *protos.Event, id string) {
	c.Send(g.d.dir.Sender(), answerJob(e, g.d.words.Press(e.GetFrom().GetLanguageCode(), id, nil), true))
	g.done(e)
}

func answerJob(e *protos.Event, words string, alert bool) *protos.Job {
	return &protos.Job{Lane: protos.Lane_ANSWER, UpdateId: e.GetUpdateId(), Do: &protos.Job_Answer{
		Answer: &protos.AnswerCallback{CallbackId: e.GetCallbackId(), Text: words, Alert: alert},
	}}
}

// say sends one line to the chat an event came from, once and without remembering it.
func (g *group) say(c actor.Context, e *protos.Event, id string, data map[string]any) {
	c.Send(g.d.dir.Sender(), &protos.Job{Lane: protos.Lane_TALK, ChatId: g.id, UpdateId: e.GetUpdateId(), Do: &protos.Job_Send{
		Send: &protos.SendText{Html: g.d.words.Say(g.g.Settings.Language, id, data), ThreadId: e.GetThreadId()},
	}})
}
