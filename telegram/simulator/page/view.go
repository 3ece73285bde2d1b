package page

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"

	"github.com/gmbot/gmbot/telegram/simulator"
)

const (
	maxPosts   = 120  // newest messages a browser shows of a chat
	maxTail    = 1500 // messages they are taken from: of many who come in a row one line tells
	maxMembers = 60
	maxPeople  = 60
)

// What a browser gets, by the name of its part. The names are short, as whole lists are sent again.
type (
	person struct {
		ID   int64  `json:"id"`
		Name string `json:"name"`
		Bot  bool   `json:"bot,omitempty"`
	}
	room struct {
		ID       int64   `json:"id"`
		Kind     string  `json:"kind"`
		Title    string  `json:"title"`
		Username string  `json:"username,omitempty"`
		Members  int     `json:"members"`
		Status   string  `json:"status"`
		Muted    bool    `json:"muted,omitempty"`
		In       bool    `json:"in"`
		Admin    bool    `json:"admin,omitempty"`
		Last     string  `json:"last,omitempty"`
		LastID   int64   `json:"last_id"`
		Topics   []topic `json:"topics,omitempty"`
	}
	topic struct {
		ID   int64  `json:"id"`
		Name string `json:"name"`
	}
	member struct {
		ID     int64  `json:"id"`
		Name   string `json:"name"`
		Bot    bool   `json:"bot,omitempty"`
		Status string `json:"status"`
		Muted  bool   `json:"muted,omitempty"`
		In     bool   `json:"in"`
	}
	post struct {
		ID      int64      `json:"id"`
		From    int64      `json:"from"`
		Sender  string     `json:"sender"`
		Bot     bool       `json:"bot,omitempty"`
		Mine    bool       `json:"mine,omitempty"`
		Date    int64      `json:"date"`
		Parts   []part     `json:"parts"`
		Reply   int64      `json:"reply,omitempty"`
		Service bool       `json:"service,omitempty"`
		Edited  bool       `json:"edited,omitempty"`
		File    string     `json:"file,omitempty"`
		Buttons [][]button `json:"buttons,omitempty"`
	}
	part struct {
		Text  string   `json:"t"`
		Style []string `json:"s,omitempty"`
	}
	button struct {
		Text  string `json:"t"`
		Link  bool   `json:"link,omitempty"`
		Style string `json:"style,omitempty"`
	}
	pick struct {
		Text    string  `json:"t"`
		Request int     `json:"request,omitempty"` // it asks for a chat
		Chats   []int64 `json:"chats,omitempty"`   // that may be shared
	}
)

func (p *Page) people() []person {
	p.mu.Lock()
	defer p.mu.Unlock()
	var list []person
	for _, a := range p.o.Sim.Accounts() {
		if !a.Bot && !p.crowd[a.ID] && len(list) < maxPeople {
			list = append(list, person{ID: a.ID, Name: a.Name})
		}
	}
	return list
}

// rooms are the private chat with the bot, what else the person's client lists, and the chat that is open, which
// may have been found by a link.
func (p *Page) rooms(me, chat int64) []room {
	found := p.o.Sim.Rooms(me)
	if !slices.ContainsFunc(found, func(r simulator.Room) bool { return r.ID == chat }) && chat < 0 {
		if r, ok := p.o.Sim.RoomOf(chat, me); ok {
			found = append(found, r)
		}
	}
	list := []room{{ID: me, Kind: "private", Title: "@" + p.o.Bot.Username, Status: simulator.MemberStatus, In: true}}
	for _, r := range found {
		v := room{
			ID: r.ID, Kind: r.Kind, Title: r.Title, Username: r.Username, Members: r.Members, Status: r.Mine.Status, Muted: muted(r.Mine),
			In: r.Mine.Present(), Admin: admin(r.Mine), Last: hide(clip(r.Last, 80)), LastID: r.LastID,
		}
		for _, t := range p.o.Sim.Topics(r.ID) {
			v.Topics = append(v.Topics, topic(t))
		}
		if r.Kind == "private" {
			list[0].Last, list[0].LastID = v.Last, v.LastID
			continue
		}
		list = append(list, v)
	}
	return list
}

func muted(m simulator.Member) bool {
	return m.Status == simulator.Restricted && !m.Permissions["can_send_messages"]
}

func admin(m simulator.Member) bool {
	return m.Status == simulator.Creator || m.Status == simulator.Administrator
}

func (p *Page) members(chat int64) []member {
	var list []member
	for _, s := range p.o.Sim.Standings(chat, maxMembers) {
		list = append(list, member{
			ID: s.ID, Name: s.Name, Bot: s.Bot, Status: s.Member.Status, Muted: muted(s.Member), In: s.Member.Present(),
		})
	}
	return list
}

func (p *Page) posts(me, chat, thread int64) []post {
	var list []post
	came := 0 // in a row
	for _, m := range p.o.Sim.Tail(chat, thread, maxTail) {
		came++
		if !m.Joined {
			came = 0
		}
		if came > 2 {
			last := &list[len(list)-1]
			last.ID, last.Parts = m.ID, parts(fmt.Sprintf("%s and %d others came", strings.TrimSuffix(m.Text, " joined"), came-2), nil)
			continue
		}
		v := post{
			ID: m.ID, From: m.From, Sender: m.Sender, Bot: m.From == p.o.Bot.ID, Mine: m.From == me && m.Chat == 0, Date: m.Date,
			Parts: parts(hide(m.Text), m.Entities), Reply: m.ReplyTo, Service: m.Service, Edited: m.Edited, File: m.File,
		}
		for _, row := range inline(m.ReplyMarkup) {
			var shown []button
			for _, b := range row {
				shown = append(shown, button{Text: b.Text, Link: b.URL != "", Style: b.Style})
			}
			v.Buttons = append(v.Buttons, shown)
		}
		list = append(list, v)
	}
	return list[max(len(list)-maxPosts, 0):]
}

type inlineButton struct {
	Text  string `json:"text"`
	URL   string `json:"url"`
	Data  string `json:"callback_data"`
	Style string `json:"style"`
}

func inline(markup json.RawMessage) [][]inlineButton {
	var k struct {
		Rows [][]inlineButton `json:"inline_keyboard"`
	}
	if markup == nil || json.Unmarshal(markup, &k) != nil {
		return nil
	}
	return k.Rows
}

// keyboard is the reply keyboard in a private chat, with the chats that each button would take.
func (p *Page) keyboard(me, chat int64) [][]pick {
	if chat != me {
		return nil
	}
	_, raw := p.o.Sim.Keyboard(me)
	var rows [][]struct {
		Text string `json:"text"`
		Ask  *struct {
			ID      int  `json:"request_id"`
			Channel bool `json:"chat_is_channel"`
		} `json:"request_chat"`
	}
	if raw == nil || json.Unmarshal(raw, &rows) != nil {
		return nil
	}
	var list [][]pick
	for _, row := range rows {
		var shown []pick
		for _, b := range row {
			v := pick{Text: b.Text}
			if b.Ask != nil {
				v.Request = b.Ask.ID
				for _, r := range p.o.Sim.Rooms(me) {
					if r.Kind != "private" && b.Ask.Channel == (r.Kind == "channel") && admin(r.Mine) {
						v.Chats = append(v.Chats, r.ID)
					}
				}
			}
			shown = append(shown, v)
		}
		list = append(list, shown)
	}
	return list
}

// parts cuts a text where its marks begin and end. Marks count UTF-16 units. Source: Bot API, MessageEntity.
func parts(text string, entities json.RawMessage) []part {
	var marks []struct {
		Type   string `json:"type"`
		Offset int    `json:"offset"`
		Length int    `json:"length"`
	}
	units := utf16.Encode([]rune(text))
	cuts := []int{0, len(units)}
	if json.Unmarshal(entities, &marks) == nil {
		for _, m := range marks {
			cuts = append(cuts, min(m.Offset, len(units)), min(m.Offset+m.Length, len(units)))
		}
	}
	slices.Sort(cuts)
	cuts = slices.Compact(cuts)
	var list []part
	for i := 1; i < len(cuts); i++ {
		v := part{Text: string(utf16.Decode(units[cuts[i-1]:cuts[i]]))}
		for _, m := range marks {
			if m.Offset <= cuts[i-1] && cuts[i] <= m.Offset+m.Length {
				v.Style = append(v.Style, m.Type)
			}
		}
		list = append(list, v)
	}
	return list
}

func clip(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}
