package simulator

import (
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// Person is an account as others see it.
type Person struct {
	ID       int64
	Name     string
	Username string
	Bot      bool
}

// Room is a chat as one person's client lists it.
type Room struct {
	ID       int64
	Kind     string // private, group, supergroup, channel
	Title    string
	Username string
	Forum    bool
	Members  int // who is in it
	Mine     Member
	Last     string // words of the newest message
	LastID   int64
}

// Topic is a topic of a forum.
type Topic struct {
	ID   int64
	Name string
}

// Changed returns a channel that is closed at the world's next change.
func (s *Server) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.watch()
}

// Accounts lists people and bots, oldest first.
func (s *Server) Accounts() []Person {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Person, 0, len(s.users))
	for _, u := range s.users {
		list = append(list, u.view())
	}
	slices.SortFunc(list, func(a, b Person) int { return int(a.ID - b.ID) })
	return list
}

func (u *user) view() Person {
	return Person{ID: u.id, Name: strings.TrimSpace(u.first + " " + u.last), Username: u.username, Bot: u.bot}
}

// Rooms lists the chats that a person's client could show, oldest first: public ones, those the person
// was ever in, and the private chat with bots where it was begun.
func (s *Server) Rooms(userID int64) []Room {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []Room
	for _, c := range s.chats {
		if c.movedTo != 0 || c.kind == "private" && c.id != userID {
			continue
		}
		if c.kind != "private" && c.username == "" && !c.known[userID] && c.members[userID] == nil {
			continue
		}
		list = append(list, s.room(c, userID))
	}
	slices.SortFunc(list, func(a, b Room) int { return int(b.ID - a.ID) })
	return list
}

// RoomOf is one chat as a person's client shows it; ok is false when there is none.
func (s *Server) RoomOf(chatID, userID int64) (r Room, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.chats[chatID]
	if c == nil {
		return Room{}, false
	}
	return s.room(c, userID), true
}

func (s *Server) room(c *chat, userID int64) Room {
	r := Room{ID: c.id, Kind: c.kind, Title: c.title, Username: c.username, Forum: c.forum, Mine: s.ended(c, userID), LastID: c.lastID}
	for _, m := range c.members {
		if m.Present() {
			r.Members++
		}
	}
	if n := len(c.messages); n > 0 {
		r.Last = c.messages[n-1].text
	}
	return r
}

// Topics lists a forum's topics, oldest first; the first, with id 0, is General.
func (s *Server) Topics(chatID int64) []Topic {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.chats[chatID]
	if c == nil || !c.forum {
		return nil
	}
	list := []Topic{{Name: "General"}}
	for _, id := range slices.Sorted(maps.Keys(c.topics)) {
		list = append(list, Topic{ID: id, Name: c.topics[id]})
	}
	return list
}

// Standing is a person with a standing in a chat.
type Standing struct {
	Person
	Member Member
}

// Standings lists everybody with a standing in a chat, administrators and restricted ones first, at most n.
func (s *Server) Standings(chatID int64, n int) []Standing {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.chats[chatID]
	if c == nil {
		return nil
	}
	var list []Standing
	for id := range c.members {
		if u := s.users[id]; u != nil {
			list = append(list, Standing{Person: u.view(), Member: s.ended(c, id)})
		}
	}
	rank := map[string]int{Creator: 0, Administrator: 1, Restricted: 2, MemberStatus: 3, Left: 4, Kicked: 4}
	slices.SortFunc(list, func(a, b Standing) int {
		if d := rank[a.Member.Status] - rank[b.Member.Status]; d != 0 {
			return d
		}
		return int(a.ID - b.ID)
	})
	return list[:min(n, len(list))]
}

// Post is a message as a client shows it.
type Post struct {
	Message
	Date   int64 // Unix seconds
	Sender string
	// Chat is whom the message is written in the name of, 0 for a person's own.
	Chat int64
	Via  int64
	File string
	// Joined: a service message that tells of somebody's coming.
	Joined bool
}

// Tail lists the newest messages of a chat that are still there, oldest first, at most n; in a forum those of
// one topic.
func (s *Server) Tail(chatID, thread int64, n int) []Post {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.chats[chatID]
	if c == nil {
		return nil
	}
	var list []Post
	for _, m := range slices.Backward(c.messages) {
		if len(list) == n {
			break
		}
		if !c.forum || m.thread == thread && (thread == 0 || m.service == nil) {
			list = append(list, s.post(c, m))
		}
	}
	slices.Reverse(list)
	return list
}

func (s *Server) post(c *chat, m *message) Post {
	p := Post{
		Message: Message{
			ID: m.id, From: m.from, Text: m.text, Entities: mustJSON(m.entities), ReplyMarkup: m.markup, ThreadID: m.thread,
			ReplyTo: m.replyTo, Service: m.service != nil, Edited: m.edited != 0,
		},
		Date: m.date, Chat: m.senderChat, Via: m.viaBot, Joined: m.service["new_chat_member"] != nil,
	}
	if sender := s.chats[m.senderChat]; sender != nil {
		p.Sender = sender.title
	} else if u := s.users[m.from]; u != nil {
		p.Sender = u.view().Name
	}
	if m.service != nil {
		p.Text = s.tale(c, m)
	}
	if m.file != nil {
		p.File = m.file.name
	}
	return p
}

// tale puts a service message into words.
func (s *Server) tale(c *chat, m *message) string {
	name := func(fields any) string {
		u, _ := fields.(map[string]any)
		words, _ := u["first_name"].(string)
		return words
	}
	who := name(s.userJSON(m.from))
	switch {
	case m.service["new_chat_member"] != nil:
		if whom := name(m.service["new_chat_member"]); whom != who {
			return who + " added " + whom
		}
		return who + " joined"
	case m.service["left_chat_member"] != nil:
		if whom := name(m.service["left_chat_member"]); whom != who {
			return who + " removed " + whom
		}
		return who + " left"
	case m.service["forum_topic_created"] != nil:
		return "Topic " + c.topics[m.id] + " created"
	case m.service["chat_shared"] != nil:
		return "You shared a chat"
	case m.service["migrate_from_chat_id"] != nil:
		return "The group became a supergroup"
	}
	return "Something happened"
}

// Keyboard is the reply keyboard that stands in a person's private chat with a bot, nil for none: that of
// the bot's newest message which brings or removes one. Source: Bot API, ReplyKeyboardMarkup.
func (s *Server) Keyboard(userID int64) (bot int64, rows json.RawMessage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.chats[userID]
	if c == nil {
		return 0, nil
	}
	for _, m := range slices.Backward(c.messages) {
		var k struct {
			Rows   json.RawMessage `json:"keyboard"`
			Remove bool            `json:"remove_keyboard"`
		}
		if m.markup == nil || json.Unmarshal(m.markup, &k) != nil || k.Rows == nil && !k.Remove {
			continue
		}
		return m.from, k.Rows
	}
	return 0, nil
}

// CallsAfter lists at most n of the newest calls after one, oldest first, and how many older ones were left out.
func (s *Server) CallsAfter(seq uint64, n int) (list []Call, skipped int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := len(s.calls)
	for at > 0 && s.calls[at-1].Seq > seq {
		at--
	}
	if left := len(s.calls) - at; left > n {
		skipped = left - n
		at += skipped
	}
	return slices.Clone(s.calls[at:]), skipped
}

// Way is where a t.me link leads: a chat, or a bot with what it is started with.
type Way struct {
	Chat    int64
	Bot     int64
	Start   string // start parameter, in private
	Group   bool   // the bot is to be added to a group, with Rights
	Channel bool   // or to a channel
	Rights  []string
}

// Follow says where a link leads, as a client does when it is pressed; false: nowhere in this world.
func (s *Server) Follow(link string) (Way, bool) {
	u, err := url.Parse(link)
	if err != nil || u.Host != "t.me" {
		return Way{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	path := strings.Trim(u.Path, "/")
	for _, c := range s.chats {
		if l := c.links[link]; l != nil && !l.revoked {
			return Way{Chat: c.id}, true
		}
	}
	name, _, _ := strings.Cut(path, "/")
	id := s.names[strings.ToLower(name)]
	if id == 0 {
		return Way{}, false
	}
	if user := s.users[id]; user != nil && user.bot {
		q := u.Query()
		w := Way{Bot: id, Start: q.Get("start"), Group: q.Has("startgroup"), Channel: q.Has("startchannel")}
		for _, right := range strings.FieldsFunc(q.Get("admin"), func(r rune) bool { return r == '+' || r == ' ' }) {
			w.Rights = append(w.Rights, "can_"+right)
		}
		return w, true
	}
	return Way{Chat: id}, s.chats[id] != nil
}
