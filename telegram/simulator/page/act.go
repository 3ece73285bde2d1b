package page

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gmbot/gmbot/telegram/simulator"
)

// order is what a browser asks for, in the name of a person: me.
type order struct {
	Act     string   `json:"act"`
	Me      int64    `json:"me"`
	Chat    int64    `json:"chat"`
	User    int64    `json:"user"`
	Message int64    `json:"message"`
	Row     int      `json:"row"`
	Column  int      `json:"column"`
	Text    string   `json:"text"`
	Topic   int64    `json:"topic"`
	Reply   int64    `json:"reply"`
	As      string   `json:"as"` // "", "group" (anonymously)
	Request int      `json:"request"`
	Rights  []string `json:"rights"`
	Kind    string   `json:"kind"`
	Count   int      `json:"count"`
}

// result is what became of it.
type result struct {
	ID    int64    `json:"id,omitempty"`    // what was made
	Text  string   `json:"text,omitempty"`  // the bot's answer to a press
	Alert bool     `json:"alert,omitempty"` // it wants to be confirmed
	Chat  int64    `json:"chat,omitempty"`  // where a link leads
	Add   bool     `json:"add,omitempty"`   // a link that adds the bot to a group or channel, with Rights
	Kind  string   `json:"kind,omitempty"`
	Right []string `json:"rights,omitempty"`
}

var (
	errNoAct   = errors.New("no such act")
	errNobody  = errors.New("choose who you are first")
	errNoTask  = errors.New("that button is gone")
	errNowhere = errors.New("that link leads nowhere in this world")
	errMayNot  = fmt.Errorf("only administrators may do that: %w", simulator.ErrMayNot)
)

const (
	maxName    = 64 // characters of a name or title
	maxWords   = 4096
	answerTime = 16 * time.Second // Telegram waits about as long for the answer to a press
)

// act carries an order out.
func (p *Page) act(ctx context.Context, o order) (result, error) {
	sim := p.o.Sim
	if sim.Name(o.Me) == "" && o.Act != "person" {
		return result{}, errNobody
	}
	switch o.Act {
	case "write":
		return result{}, p.write(o)
	case "join":
		return result{}, sim.Join(o.Chat, o.Me)
	case "leave":
		return result{}, sim.Leave(o.Chat, o.Me)
	case "press":
		return p.press(ctx, o)
	case "share":
		return result{}, sim.ShareChat(o.Me, p.o.Bot.ID, o.Chat, o.Request)
	case "start":
		return result{Chat: o.Me}, p.start(o.Me, o.Text)
	case "person":
		return p.newPerson(o)
	case "place":
		return p.newPlace(o)
	case "promote", "demote", "mute", "unmute", "ban", "unban", "remove", "raid":
		return result{}, p.rule(o)
	}
	return result{}, errNoAct
}

func (p *Page) write(o order) error {
	words := strings.TrimSpace(clip(o.Text, maxWords))
	if words == "" {
		return errors.New("write something first")
	}
	var how []simulator.WriteOption
	switch {
	case o.Chat == o.Me:
		how = append(how, simulator.To(p.o.Bot.ID))
	case o.As == "group":
		if !admin(p.o.Sim.Member(o.Chat, o.Me)) {
			return errMayNot
		}
		how = append(how, simulator.Anonymously())
	}
	if o.Topic != 0 {
		how = append(how, simulator.InThread(o.Topic))
	}
	if o.Reply != 0 {
		how = append(how, simulator.ReplyTo(o.Reply))
	}
	_, err := p.o.Sim.Write(o.Chat, o.Me, words, how...)
	return err
}

func (p *Page) start(me int64, payload string) error {
	_, err := p.o.Sim.Write(me, me, strings.TrimSpace("/start "+payload), simulator.To(p.o.Bot.ID))
	return err
}

// press presses a button of a message: it asks the bot, or follows a link.
func (p *Page) press(ctx context.Context, o order) (result, error) {
	posts := p.o.Sim.Messages(o.Chat)
	at := slices.IndexFunc(posts, func(m simulator.Message) bool { return m.ID == o.Message })
	if at < 0 {
		return result{}, simulator.ErrNoMessage
	}
	rows := inline(posts[at].ReplyMarkup)
	if o.Row < 0 || o.Row >= len(rows) || o.Column < 0 || o.Column >= len(rows[o.Row]) {
		return result{}, errNoTask
	}
	b := rows[o.Row][o.Column]
	if b.URL != "" {
		return p.follow(o.Me, b.URL)
	}
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	a, err := p.o.Sim.Press(ctx, o.Chat, o.Message, o.Me, b.Data)
	if err != nil {
		return result{}, err
	}
	if a.URL != "" {
		return p.follow(o.Me, a.URL)
	}
	return result{Text: a.Text, Alert: a.ShowAlert}, nil
}

func (p *Page) follow(me int64, link string) (result, error) {
	way, ok := p.o.Sim.Follow(link)
	switch {
	case !ok:
		return result{}, errNowhere
	case way.Group || way.Channel:
		kind := "group"
		if way.Channel {
			kind = "channel"
		}
		return result{Add: true, Kind: kind, Right: way.Rights}, nil
	case way.Bot == p.o.Bot.ID:
		return result{Chat: me}, p.start(me, way.Start)
	case way.Bot != 0:
		return result{}, errNowhere
	}
	return result{Chat: way.Chat}, nil
}

func (p *Page) newPerson(o order) (result, error) {
	name := strings.TrimSpace(clip(o.Text, maxName))
	if name == "" {
		return result{}, errors.New("a name, please")
	}
	return result{ID: p.o.Sim.NewUser(name, "")}, nil
}

func (p *Page) newPlace(o order) (result, error) {
	title := strings.TrimSpace(clip(o.Text, maxName))
	if title == "" {
		return result{}, errors.New("a title, please")
	}
	if o.Kind == "channel" {
		return result{ID: p.o.Sim.NewChannel(title, "", o.Me)}, nil
	}
	return result{ID: p.o.Sim.NewSupergroup(title, "", o.Me)}, nil
}

// rule is what administrators do to others.
func (p *Page) rule(o order) error {
	sim := p.o.Sim
	if !admin(sim.Member(o.Chat, o.Me)) && o.Act != "raid" {
		return errMayNot
	}
	switch o.Act {
	case "promote":
		rights := o.Rights
		if len(rights) == 0 {
			rights = []string{"can_restrict_members", "can_delete_messages", "can_invite_users"}
		}
		user := o.User
		if user == 0 {
			user = p.o.Bot.ID
		}
		return sim.Promote(o.Chat, o.Me, user, simulator.Rights(rights...))
	case "demote":
		return sim.Demote(o.Chat, o.Me, o.User)
	case "mute":
		return sim.Restrict(o.Chat, o.Me, o.User, simulator.Permissions{}, 0)
	case "unmute":
		return sim.Restrict(o.Chat, o.Me, o.User, simulator.AllPermissions(), 0)
	case "ban":
		return sim.Ban(o.Chat, o.Me, o.User)
	case "unban":
		return sim.Unban(o.Chat, o.Me, o.User)
	case "remove":
		sim.DeleteAsModerator(o.Chat, o.Message)
		return nil
	}
	return p.startRaid(o.Chat, o.Count)
}
