package actors

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/protos"
	"github.com/gmbot/gmbot/telegram"
)

// place is one thing the bot cannot do in one chat: the group itself, or a required channel.
type place struct {
	chat int64
	kind persistence.PauseKind
}

// pause is one state of "cannot": it begins when Telegram says that a right is missing, is told to the
// owner once, and ends by itself when the right is back.
type pause struct {
	since   time.Time
	told    bool
	telling bool
	unsure  bool // the answer to telling the owner was lost once
}

const (
	// lookEvery is how often a place that is paused is looked at.
	lookEvery = time.Minute
	// tellAfter is how long a pause lasts before the owner hears of it: rights are often given in steps.
	tellAfter = 5 * time.Second
)

// pauseTick is the time to look at a group's pauses.
type pauseTick struct{}

func (g *group) takeUpPauses(c actor.Context, rows []persistence.Pause) {
	for _, p := range rows {
		put(&g.pauses, place{p.PlaceID, p.Kind}, &pause{since: p.Since, told: p.Told})
	}
	if len(rows) > 0 {
		g.lookAtPauses(c)
	}
}

// onTrouble looks at the bot's standing where a call failed: the call may have failed for other reasons.
func (g *group) onTrouble(c actor.Context, m *trouble) {
	if g.pauses[place{m.place, m.kind}] == nil {
		g.lookAt(c, m.place)
	}
}

// lookAt asks Telegram what the bot may do in a place; one question at a time for each.
func (g *group) lookAt(c actor.Context, chat int64) {
	if !g.g.Enabled || chat != g.id && !g.requires(chat) || g.looking[chat] {
		return
	}
	put(&g.looking, chat, true)
	g.request(c, &protos.Job{
		Lane: protos.Lane_LOOKUP, ChatId: g.id,
		Do: &protos.Job_GetMember{GetMember: &protos.GetMember{ChatId: chat, UserId: g.d.bot.GetId()}},
	}, func(c actor.Context, m *protos.JobDone) {
		delete(g.looking, chat)
		switch m.GetOutcome() {
		case protos.Outcome_DONE:
			g.judgePlace(c, chat, m.GetMember())
		case protos.Outcome_GONE, protos.Outcome_NO_RIGHTS, protos.Outcome_CANNOT_SAY:
			g.judgePlace(c, chat, nil)
		default: // Telegram does not answer: nothing is known, and nothing changes
		}
	})
}

// judgePlace compares what the bot may do in a place with what the group needs of it.
func (g *group) judgePlace(c actor.Context, chat int64, me *protos.Member) {
	if chat != g.id {
		g.setPause(c, place{chat, persistence.CannotJudge}, !telegram.IsAdmin(me))
		return
	}
	may := func(r protos.Right) bool { return telegram.IsAdmin(me) && telegram.HasRight(me, r) }
	g.setPause(c, place{chat, persistence.CannotMute}, !may(protos.Right_CAN_RESTRICT_MEMBERS))
	g.setPause(c, place{chat, persistence.CannotDelete}, !may(protos.Right_CAN_DELETE_MESSAGES))
}

func (g *group) setPause(c actor.Context, at place, cannot bool) {
	p := g.pauses[at]
	id, d := g.id, g.d
	switch {
	case cannot && p == nil:
		put(&g.pauses, at, &pause{since: d.clock()})
		row := persistence.Pause{GroupID: id, PlaceID: at.chat, Kind: at.kind, Since: d.clock()}
		d.writer.Do(func(tx persistence.Tx) error { return tx.SavePause(row) }, g.logLost("pause"))
		d.metrics.lostRight(at.kind)
		d.log.Warn().Int64("chat", id).Int64("place", at.chat).Str("cannot", string(at.kind)).Msg("a right is missing, what needs it waits")
		g.tickPauses(c, tellAfter)
	case !cannot && p != nil:
		delete(g.pauses, at)
		d.writer.Do(func(tx persistence.Tx) error { return tx.DropPause(id, at.chat, at.kind) }, g.logLost("pause"))
		d.log.Info().Int64("chat", id).Int64("place", at.chat).Str("cannot", string(at.kind)).Msg("a right is back")
		g.resume(c)
	}
}

func (g *group) tickPauses(c actor.Context, after time.Duration) {
	self, root := c.Self(), g.d.root
	time.AfterFunc(after, func() { root.Send(self, &pauseTick{}) })
}

// lookAtPauses asks again about every place that is paused, and tells the owner of those that last.
func (g *group) lookAtPauses(c actor.Context) {
	if len(g.pauses) == 0 || !g.g.Enabled {
		clear(g.pauses)
		return
	}
	for at, p := range g.pauses {
		if at.chat != g.id && !g.requires(at.chat) {
			g.setPause(c, at, false) // the channel is not required any more
			continue
		}
		if !p.told && !p.telling && g.d.clock().Sub(p.since) >= tellAfter {
			g.tellOwner(c, at, p)
		}
		if at.kind == persistence.Braked {
			g.easeBrake(c, at, p)
			continue
		}
		g.lookAt(c, at.chat)
	}
	g.tickPauses(c, lookEvery)
}

// tellOwner says once what is missing and how to mend it: in private, or in the group where private is
// closed to the bot.
func (g *group) tellOwner(c actor.Context, at place, p *pause) {
	p.telling = true
	words := g.d.words.Say(g.g.Settings.Language, "pause."+string(at.kind), map[string]any{
		"Group": g.g.Title, "Channel": g.channelTitle(at.chat),
	})
	told := func() {
		p.told, p.telling = true, false
		row := persistence.Pause{GroupID: g.id, PlaceID: at.chat, Kind: at.kind, Since: p.since, Told: true}
		g.d.writer.Do(func(tx persistence.Tx) error { return tx.SavePause(row) }, g.logLost("pause"))
	}
	say := &protos.SendText{Html: words}
	if at.kind == persistence.Braked {
		say.Keyboard = g.brakeKeyboard(at.chat)
	}
	here := func(c actor.Context) {
		g.sayHere(c, say, func(_ actor.Context, m *protos.JobDone) {
			if p.telling = false; m.GetOutcome() != protos.Outcome_FAILED && m.GetOutcome() != protos.Outcome_EXPIRED {
				told()
			}
		})
	}
	if g.g.OwnerID == 0 || g.g.OwnerID == anonymousAdmin {
		here(c)
		return
	}
	g.request(c, &protos.Job{
		Lane: protos.Lane_TALK, ChatId: g.g.OwnerID, Do: &protos.Job_Send{Send: say},
	}, func(c actor.Context, m *protos.JobDone) {
		switch m.GetOutcome() {
		case protos.Outcome_DONE:
			told()
		case protos.Outcome_UNCLEAR:
			if p.unsure { // perhaps twice, but hardly never
				told()
				return
			}
			p.unsure, p.telling = true, false
		case protos.Outcome_FAILED, protos.Outcome_EXPIRED, protos.Outcome_FLOOD:
			p.telling = false // tried again at the next look
		default:
			here(c)
		}
	})
}

func (g *group) sayHere(c actor.Context, say *protos.SendText, then func(actor.Context, *protos.JobDone)) {
	g.speaking++
	g.request(c, &protos.Job{Lane: protos.Lane_TALK, ChatId: g.id, Do: &protos.Job_Send{Send: say}}, func(c actor.Context, m *protos.JobDone) {
		g.speaking--
		g.spoke(m.GetMessageId())
		then(c, m)
	})
}

func (g *group) channelTitle(id int64) string {
	for _, ch := range g.g.Channels {
		if ch.ID == id {
			return ch.Title
		}
	}
	return itoa(id)
}
