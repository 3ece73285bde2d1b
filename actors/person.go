package actors

import (
	"strings"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gmbot/gmbot/protos"
)

// personChat answers one private chat. A router spawns it by need.
type personChat struct {
	d       *deps
	id      int64
	lastTag uint64
	open    map[uint64]*protos.Event
}

// maxAnswers bounds the answers under way in one private chat.
const maxAnswers = 16

func newPerson(d *deps, id int64) actor.Actor {
	return &personChat{d: d, id: id, open: map[uint64]*protos.Event{}}
}

// Receive handles what somebody writes or presses in private.
func (p *personChat) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Restarting, *actor.Stopping:
		for _, e := range p.open {
			p.d.settler.NotDone(e.GetDelivery(), "private chat stopped")
		}
		clear(p.open)
	case *protos.Event:
		p.onEvent(c, m)
	case *protos.JobDone:
		if e := p.open[m.GetTag()]; e != nil {
			delete(p.open, m.GetTag())
			p.d.settler.Settled(e.GetDelivery())
		}
	case *mayStop:
		if len(p.open) == 0 {
			c.Respond(&idle{id: p.id})
		}
	}
}

func (p *personChat) onEvent(c actor.Context, e *protos.Event) {
	lang := e.GetFrom().GetLanguageCode()
	switch e.GetKind() {
	case protos.EventKind_CALLBACK:
		p.request(c, e, answerJob(e, p.d.words.Press(lang, "press.old", nil), true))
		return
	case protos.EventKind_MESSAGE:
	default:
		p.d.settler.Settled(e.GetDelivery())
		return
	}
	send := &protos.SendText{Html: p.d.words.Say(lang, "private.help", nil)}
	if word, _, _ := strings.Cut(e.GetText(), " "); strings.EqualFold(word, "/start") {
		send.Html = p.d.words.Say(lang, "private.start", nil)
	}
	send.Keyboard = []*protos.ButtonRow{{Buttons: []*protos.Button{{
		Text: p.d.words.Say(lang, "button.add_to_group", nil), Url: addToGroup(p.d.bot.GetUsername()), Style: "primary",
	}}}}
	p.request(c, e, &protos.Job{Lane: protos.Lane_TALK, ChatId: p.id, Do: &protos.Job_Send{Send: send}})
}

// addToGroup opens Telegram's own dialogue to add the bot with the rights it needs there.
func addToGroup(bot string) string {
	return "https://t.me/" + bot + "?startgroup=new&admin=delete_messages+restrict_members+invite_users"
}

func (p *personChat) request(c actor.Context, e *protos.Event, job *protos.Job) {
	if len(p.open) >= maxAnswers {
		p.d.settler.Settled(e.GetDelivery()) // somebody is playing; what waits already answers enough
		return
	}
	p.lastTag++
	job.Tag = p.lastTag
	p.open[job.GetTag()] = e
	c.Request(p.d.dir.Sender(), job)
}
