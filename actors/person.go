package actors

import (
	"context"
	"strings"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gmbot/gmbot/protos"
)

// personChat answers one private chat, one thing after the other. A router spawns it by need.
type personChat struct {
	d       *deps
	id      int64
	waiting []*protos.Event // the first one is being answered
}

// maxAnswers bounds what waits in one private chat.
const maxAnswers = 16

func newPerson(d *deps, id int64) actor.Actor {
	return &personChat{d: d, id: id}
}

// privateDone ends one answer. The goroutine that gave it sends it.
type privateDone struct{}

// Receive handles what somebody writes, presses or shares in private.
func (p *personChat) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Restarting, *actor.Stopping:
		for _, e := range p.waiting {
			p.d.settler.NotDone(e.GetDelivery(), "private chat stopped")
		}
		p.waiting = nil
	case *protos.Event:
		p.onEvent(c, m)
	case *privateDone:
		if len(p.waiting) > 0 {
			p.waiting = p.waiting[1:]
		}
		p.next(c)
	case *mayStop:
		if len(p.waiting) == 0 {
			c.Respond(&idle{id: p.id})
		}
	}
}

func (p *personChat) onEvent(c actor.Context, e *protos.Event) {
	if e.GetKind() == protos.EventKind_CALLBACK {
		if group, ok := requestGroup(e.GetCallbackData()); ok {
			c.Send(p.d.dir.Shard(group), &protos.RequestPressed{GroupId: group, Event: e})
			return
		}
		if group, _, _, ok := parseBrake(e.GetCallbackData()); ok {
			c.Send(p.d.dir.Shard(group), &protos.BrakePressed{GroupId: group, Event: e})
			return
		}
	} else if e.GetKind() != protos.EventKind_MESSAGE {
		p.d.settler.Settled(e.GetDelivery())
		return
	}
	if len(p.waiting) >= maxAnswers {
		// Somebody is playing; what waits already answers enough. Only a button must not be left turning.
		if e.GetKind() == protos.EventKind_CALLBACK {
			c.Send(p.d.dir.Sender(), answerJob(e, p.d.words.Press(e.GetFrom().GetLanguageCode(), "press.later", nil), true))
		}
		p.d.settler.Settled(e.GetDelivery())
		return
	}
	p.waiting = append(p.waiting, e)
	if len(p.waiting) == 1 {
		p.next(c)
	}
}

// next answers what waits longest, in a goroutine: it may wait for the store and for Telegram.
func (p *personChat) next(c actor.Context) {
	if len(p.waiting) == 0 {
		return
	}
	e, d, id, self, root := p.waiting[0], p.d, p.id, c.Self(), p.d.root
	ok := d.commands.Go(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, commandTime)
		defer cancel()
		defer func() { root.Send(self, &privateDone{}) }()
		defer recoverCommand(d, e)
		r := &privateRun{commandRun: commandRun{
			d: d, place: id, e: e, lang: e.GetFrom().GetLanguageCode(), ctx: ctx,
		}}
		r.run()
	})
	if !ok {
		d.settler.NotDone(e.GetDelivery(), "too many commands at once")
		root.Send(self, &privateDone{})
	}
}

// privateRun is one answer in private, on its way in a goroutine of its own.
type privateRun struct {
	commandRun
}

func (r *privateRun) run() {
	if r.e.GetKind() == protos.EventKind_CALLBACK {
		r.pressedInPrivate()
		return
	}
	if r.e.GetSharedRequestId() != 0 {
		r.shared()
		return
	}
	words := strings.Fields(r.e.GetText())
	name := ""
	if len(words) > 0 && r.e.GetIsCommand() {
		name, _, _ = strings.Cut(strings.ToLower(words[0]), "@")
	}
	switch {
	case name == "/protect", name == "/start" && len(words) > 1 && words[1] == startProtect:
		r.beginWizard()
	case name == "/start":
		r.tell("private.start", r.startKeyboard())
	case name == "/mygroups":
		r.myGroups()
	case name == "/forgetme":
		r.forgetMe()
	default:
		r.tell("private.help", r.startKeyboard())
	}
}

// tell answers with a message of the catalogue, and settles.
func (r *privateRun) tell(id string, keyboard []*protos.ButtonRow) {
	r.tellHTML(r.d.words.Say(r.lang, id, nil), keyboard)
}

func (r *privateRun) tellHTML(html string, keyboard []*protos.ButtonRow) {
	r.do(&protos.Job{Lane: protos.Lane_TALK, Do: &protos.Job_Send{Send: &protos.SendText{Html: html, Keyboard: keyboard}}})
	r.d.settler.Settled(r.e.GetDelivery())
}

func (r *privateRun) startKeyboard() []*protos.ButtonRow {
	return []*protos.ButtonRow{
		{Buttons: []*protos.Button{{
			Text: r.d.words.Plain(r.lang, "button.add_to_group", nil), Url: addToGroup(r.d.bot.GetUsername()), Style: "primary",
		}}},
		{Buttons: []*protos.Button{{Text: r.d.words.Plain(r.lang, "button.set_up", nil), Data: callbackWizard + "new"}}},
	}
}

// startProtect is the payload of a link from a group that leads to the wizard.
const startProtect = "protect"

// setUp opens the private chat with the bot and begins the wizard there.
func setUp(bot string) string { return "https://t.me/" + bot + "?start=" + startProtect }

// addToGroup opens Telegram's own dialogue to add the bot with the rights it needs there.
func addToGroup(bot string) string {
	return "https://t.me/" + bot + "?startgroup=new&admin=delete_messages+restrict_members+invite_users"
}
