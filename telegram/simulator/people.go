package simulator

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
)

// Errors of people's acts.
var (
	ErrNoChat    = errors.New("no such chat")
	ErrNoUser    = errors.New("no such user")
	ErrMayNot    = errors.New("may not")
	ErrNoMessage = errors.New("no such message")
)

// firstChannelID is where ids of supergroups and channels begin: −10^12 minus a bare id.
const firstChannelID = -1_000_000_000_000

// NewBot makes a bot account with a token.
func (s *Server) NewBot(username string) Bot { return s.NewBotToken(username, "") }

// NewBotToken makes a bot account with a given token; empty: one is made up.
func (s *Server) NewBotToken(username, token string) Bot {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := s.newUser("Bot "+username, username)
	s.users[id].bot = true
	if token == "" {
		const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
		secret := make([]byte, 35)
		for i := range secret {
			secret[i] = letters[rand.IntN(len(letters))]
		}
		token = fmt.Sprintf("%d:%s", id, secret)
	}
	s.bots[token] = &account{Bot: Bot{ID: id, Username: username, Token: token}}
	return s.bots[token].Bot
}

// NewUser makes a person and returns the id. username may be empty.
func (s *Server) NewUser(first, username string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.newUser(first, username)
}

func (s *Server) newUser(first, username string) int64 {
	s.nextID++
	id := s.nextID
	s.users[id] = &user{id: id, first: first, username: username, started: map[int64]bool{}, blocked: map[int64]bool{}}
	if username != "" {
		s.names[strings.ToLower(username)] = id
	}
	return id
}

// NewSupergroup makes a supergroup owned by a person. username may be empty: then it is private.
func (s *Server) NewSupergroup(title, username string, owner int64) int64 {
	return s.newChat("supergroup", title, username, owner)
}

// NewChannel makes a channel owned by a person. username may be empty: then it is private.
func (s *Server) NewChannel(title, username string, owner int64) int64 {
	return s.newChat("channel", title, username, owner)
}

// NewGroup makes a basic group owned by a person.
func (s *Server) NewGroup(title string, owner int64) int64 {
	return s.newChat("group", title, "", owner)
}

func (s *Server) newChat(kind, title, username string, owner int64) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nextID++
	id := firstChannelID - s.nextID
	if kind == "group" {
		id = -s.nextID
	}
	s.chats[id] = &chat{
		id: id, kind: kind, title: title, username: username, defaults: AllPermissions(), links: map[string]*inviteLink{},
		topics: map[int64]string{}, members: map[int64]*Member{owner: {Status: Creator}}, known: map[int64]bool{},
	}
	if username != "" {
		s.names[strings.ToLower(username)] = id
	}
	return id
}

// MakeForum turns topics on; CreateTopic makes one and returns its thread id.
func (s *Server) MakeForum(chatID int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.chats[chatID].forum = true
}

// CreateTopic makes a topic of a forum and returns its thread id.
func (s *Server) CreateTopic(chatID int64, name string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.chats[chatID]
	m := s.service(c, 0, map[string]any{"forum_topic_created": map[string]any{"name": name, "icon_color": 7322096}})
	c.topics[m.id] = name
	return m.id
}

// both finds a chat and a person.
func (s *Server) both(chatID, userID int64) (*chat, error) {
	c := s.chats[chatID]
	if c == nil {
		return nil, ErrNoChat
	}
	if s.users[userID] == nil {
		return nil, ErrNoUser
	}
	return c, nil
}

// Join lets a person join a chat by themselves.
func (s *Server) Join(chatID, userID int64) error { return s.Add(chatID, userID, userID) }

// Add lets somebody add a person, who may be a bot, to a chat.
func (s *Server) Add(chatID, by, userID int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.both(chatID, userID)
	if err != nil {
		return err
	}
	old := s.ended(c, userID)
	if old.Present() {
		return nil
	}
	next := Member{Status: MemberStatus}
	switch old.Status {
	case Kicked:
		return fmt.Errorf("%w: banned", ErrMayNot)
	case Restricted:
		next = old
		next.IsMember = true
	}
	s.setMember(c, by, userID, next)
	if c.kind != "channel" && !s.o.Switches.NoServiceMessages {
		u := s.userJSON(userID)
		s.service(c, by, map[string]any{"new_chat_participant": u, "new_chat_member": u, "new_chat_members": []any{u}})
	}
	s.tell(Event{Kind: "join", ChatID: chatID, UserID: by, Target: userID})
	return nil
}

// Leave lets a person leave a chat.
func (s *Server) Leave(chatID, userID int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.both(chatID, userID)
	if err != nil {
		return err
	}
	old := s.ended(c, userID)
	if !old.Present() {
		return nil
	}
	next := Member{Status: Left}
	if old.Status == Restricted {
		next = old
		next.IsMember = false
	}
	s.expel(c, userID, userID, next)
	s.tell(Event{Kind: "leave", ChatID: chatID, UserID: userID, Target: userID})
	return nil
}

// expel sets the standing of somebody who is outside after it, and leaves the service message that tells
// of a present member's going. The world is locked.
func (s *Server) expel(c *chat, by, userID int64, next Member) {
	present := s.ended(c, userID).Present()
	s.setMember(c, by, userID, next)
	if present && c.kind != "channel" && !s.o.Switches.NoServiceMessages {
		u := s.userJSON(userID)
		s.service(c, by, map[string]any{"left_chat_participant": u, "left_chat_member": u})
	}
}

// Promote makes somebody an administrator; a bot that is not there is added.
func (s *Server) Promote(chatID, by, userID int64, rights AdminRights) error {
	return s.change(chatID, by, userID, "promote", Member{Status: Administrator, Rights: rights, promotedBy: by})
}

// Demote makes an administrator a plain member.
func (s *Server) Demote(chatID, by, userID int64) error {
	return s.change(chatID, by, userID, "demote", Member{Status: MemberStatus})
}

// Ban removes somebody for good.
func (s *Server) Ban(chatID, by, userID int64) error {
	return s.change(chatID, by, userID, "ban", Member{Status: Kicked})
}

// Unban lets somebody come back.
func (s *Server) Unban(chatID, by, userID int64) error {
	return s.change(chatID, by, userID, "unban", Member{Status: Left})
}

// Restrict lets a moderator restrict somebody; all permissions make a plain member of them. until is in
// Unix seconds, 0 for ever.
func (s *Server) Restrict(chatID, by, userID int64, p Permissions, until int64) error {
	s.mu.Lock()
	c, err := s.both(chatID, userID)
	s.mu.Unlock()
	if err != nil {
		return err
	}
	s.mu.Lock()
	present := c.standing(userID).Present()
	s.mu.Unlock()
	return s.change(chatID, by, userID, "restrict", restrictTo(p, until, present))
}

func restrictTo(p Permissions, until int64, present bool) Member {
	if !p.all() {
		return Member{Status: Restricted, IsMember: present, Permissions: p, Until: until}
	}
	if present {
		return Member{Status: MemberStatus}
	}
	return Member{Status: Left}
}

func (s *Server) change(chatID, by, userID int64, kind string, next Member) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.both(chatID, userID)
	if err != nil {
		return err
	}
	if c.standing(userID).Status == Creator {
		return fmt.Errorf("%w: the owner", ErrMayNot)
	}
	if next.Present() || next.Status == Restricted {
		s.setMember(c, by, userID, next)
	} else {
		s.expel(c, by, userID, next)
	}
	s.tell(Event{Kind: kind, ChatID: chatID, UserID: by, Target: userID})
	return nil
}

// standing is somebody's standing now: a restriction whose time is over is none.
func (c *chat) standing(userID int64) Member {
	if m := c.members[userID]; m != nil {
		return *m
	}
	return Member{Status: Left}
}

// ended turns restrictions and bans whose time is over into what they become. No update tells of it.
func (s *Server) ended(c *chat, userID int64) Member {
	m := c.standing(userID)
	if m.Until == 0 || m.Until > s.now() {
		return m
	}
	switch {
	case m.Status == Restricted && m.IsMember:
		m = Member{Status: MemberStatus}
	case m.Status == Restricted, m.Status == Kicked:
		m = Member{Status: Left}
	}
	c.members[userID] = &m
	return m
}

// setMember changes a standing and sends the updates that the change sends: my_chat_member to the bot
// it befalls, chat_member to bots that administer the chat. The world is locked.
func (s *Server) setMember(c *chat, by, userID int64, next Member) {
	old := s.ended(c, userID)
	c.members[userID] = &next
	c.known[userID] = true
	if next.Status == Left {
		delete(c.members, userID)
	}
	body := map[string]any{
		"chat": s.chatJSON(c), "from": s.userJSON(by), "date": s.now(),
		"old_chat_member": s.memberJSON(c, userID, old), "new_chat_member": s.memberJSON(c, userID, next),
	}
	for _, b := range s.bots {
		switch {
		case b.ID == userID:
			s.push(b, "my_chat_member", body)
		case by == b.ID && s.o.Switches.QuietBotRestrictions:
		case c.standing(b.ID).admin():
			s.push(b, "chat_member", body)
		}
	}
	s.touch()
}

// service writes a service message and sends it to the bots that see it: those that are there, of their
// own acts only the removals. Source: Bot API server, Client.cpp (need_skip_update_message). The world is
// locked.
func (s *Server) service(c *chat, from int64, fields map[string]any) *message {
	c.lastID++
	m := &message{id: c.lastID, from: from, date: s.now(), service: fields}
	c.messages = append(c.messages, m)
	for _, b := range s.bots {
		if _, removal := fields["left_chat_member"]; c.standing(b.ID).Present() && (b.ID != from || removal) {
			s.push(b, "message", s.messageJSON(c, m))
		}
	}
	s.touch()
	return m
}

// Start lets a person open a private chat with a bot, as by pressing Start.
func (s *Server) Start(userID, botID int64) error {
	_, err := s.Write(userID, userID, "/start", To(botID))
	return err
}

// Block lets a person block a bot.
func (s *Server) Block(userID, botID int64) error { return s.block(userID, botID, true) }

// Unblock is the opposite of Block.
func (s *Server) Unblock(userID, botID int64) error { return s.block(userID, botID, false) }

func (s *Server) block(userID, botID int64, on bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.users[userID]
	if u == nil {
		return ErrNoUser
	}
	if u.blocked[botID] == on {
		return nil
	}
	u.blocked[botID] = on
	c := &chat{id: userID, kind: "private"}
	before, after := Member{Status: MemberStatus}, Member{Status: Kicked}
	if !on {
		before, after = after, before
	}
	for _, b := range s.bots {
		if b.ID == botID {
			s.push(b, "my_chat_member", map[string]any{
				"chat": s.chatJSON(c), "from": s.userJSON(userID), "date": s.now(),
				"old_chat_member": s.memberJSON(c, botID, before), "new_chat_member": s.memberJSON(c, botID, after),
			})
		}
	}
	return nil
}
