package actors

import (
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/protos"
	"github.com/gmbot/gmbot/telegram"
)

// callbackBrake begins the data of the buttons under the question whether people really left: group,
// channel and decision follow.
const callbackBrake = "v1:brake:"

// The two decisions.
const (
	brakeGo   = "go"
	brakeWait = "wait"
)

// releasedFor is how long a channel is believed after the owner said that its people really left: the
// others of the same exodus follow.
const releasedFor = time.Hour

// braked tells the group that unusually many of a channel's members turned outside. A verification sends it.
type braked struct{ channel int64 }

func (g *group) onBraked(c actor.Context, m *braked) {
	if g.requires(m.channel) && !g.isReleased(m.channel) {
		g.setPause(c, place{m.channel, persistence.Braked}, true)
	}
}

func (g *group) isReleased(channel int64) bool { return g.d.clock().Before(g.released[channel]) }

// brakes are the channels for which nobody is muted now, and those whose people really left.
func (g *group) brakes() (on, released map[int64]bool) {
	if len(g.pauses)+len(g.released) == 0 {
		return nil, nil
	}
	on, released = map[int64]bool{}, map[int64]bool{}
	for at := range g.pauses {
		if at.kind == persistence.Braked {
			on[at.chat] = true
		}
	}
	for channel := range g.released {
		released[channel] = g.isReleased(channel)
	}
	return on, released
}

// easeBrake ends a brake that holds nobody any more: they were found to be in the channel after all, or
// have left the group.
func (g *group) easeBrake(c actor.Context, at place, p *pause) {
	if len(g.kids)+len(g.crowd.people) == 0 && g.d.clock().Sub(p.since) > brakeWindow {
		g.setPause(c, at, false)
	}
}

// onBrakePressed takes a decision. It counts only from who is an administrator here at this moment, and
// only while the question stands.
func (g *group) onBrakePressed(c actor.Context, e *protos.Event) {
	group, channel, decision, ok := parseBrake(e.GetCallbackData())
	at := place{channel, persistence.Braked}
	if !ok || group != g.id || g.pauses[at] == nil {
		g.answerBrake(c, e, "press.brake_over", false)
		return
	}
	g.request(c, &protos.Job{
		Lane: protos.Lane_LOOKUP, ChatId: g.id, UpdateId: e.GetUpdateId(),
		Do: &protos.Job_GetMember{GetMember: &protos.GetMember{ChatId: g.id, UserId: e.GetFrom().GetId()}},
	}, func(c actor.Context, m *protos.JobDone) {
		switch {
		case m.GetOutcome() != protos.Outcome_DONE:
			g.answerBrake(c, e, "press.later", false)
		case !telegram.IsAdmin(m.GetMember()):
			g.answerBrake(c, e, "press.admins", false)
		case g.pauses[at] == nil:
			g.answerBrake(c, e, "press.brake_over", false)
		case decision == brakeWait:
			g.answerBrake(c, e, "press.brake_wait", false)
		default:
			g.release(c, at, e)
		}
	})
}

// release believes Telegram again and looks at everybody held. The decision is on record before it acts.
func (g *group) release(c actor.Context, at place, e *protos.Event) {
	now, id, by := g.d.clock(), g.id, e.GetFrom().GetId()
	for channel, until := range g.released {
		if now.After(until) {
			delete(g.released, channel)
		}
	}
	put(&g.released, at.chat, now.Add(releasedFor))
	g.d.writer.Do(func(tx persistence.Tx) error {
		return tx.Audit(now, id, by, 0, "brake", "people really left "+itoa(at.chat))
	}, g.logLost("decision about a brake"))
	g.setPause(c, at, false)
	g.answerBrake(c, e, "press.brake_go", true)
}

func (g *group) answerBrake(c actor.Context, e *protos.Event, id string, over bool) {
	lang := e.GetFrom().GetLanguageCode()
	c.Send(g.d.dir.Sender(), answerJob(e, g.d.words.Plain(lang, id, nil), false))
	if over {
		c.Send(g.d.dir.Sender(), &protos.Job{
			Lane: protos.Lane_TALK, ChatId: e.GetChat().GetId(),
			Do: &protos.Job_Edit{Edit: &protos.EditText{MessageId: e.GetMessageId(), Html: g.d.words.Say(lang, "brake.gone", nil)}},
		})
	}
	g.done(e)
}

// brakeKeyboard are the two decisions.
func (g *group) brakeKeyboard(channel int64) []*protos.ButtonRow {
	lang, data := g.g.Settings.Language, callbackBrake+itoa(g.id)+":"+itoa(channel)+":"
	return []*protos.ButtonRow{
		{Buttons: []*protos.Button{{Text: g.d.words.Plain(lang, "button.brake_go", nil), Data: data + brakeGo, Style: "danger"}}},
		{Buttons: []*protos.Button{{Text: g.d.words.Plain(lang, "button.brake_wait", nil), Data: data + brakeWait}}},
	}
}

// parseBrake reads the data of such a button. Who may press is not its matter.
func parseBrake(data string) (group, channel int64, decision string, ok bool) {
	rest, ok := strings.CutPrefix(data, callbackBrake)
	parts := strings.Split(rest, ":")
	if !ok || len(parts) != 3 || parts[2] != brakeGo && parts[2] != brakeWait {
		return 0, 0, "", false
	}
	group, okGroup := atoi(parts[0])
	channel, okChannel := atoi(parts[1])
	return group, channel, parts[2], okGroup && okChannel
}
