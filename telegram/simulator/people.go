package simulator

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
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

// NewBotToken makes a bot account with a given token, whose number is the bot's id; empty: one is made up.
func (s *Server) NewBotToken(username, token string) Bot {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := s.freeID()
	number, _, _ := strings.Cut(token, ":")
	if n, err := strconv.ParseInt(number, 10, 64); err == nil && n > 0 && s.users[n] == nil {
		id = n
	}
	s.addUser(id, "Bot "+username, username)
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
	id := s.freeID()
	s.addUser(id, first, username)
	return id
}

// freeID is the next one that nobody has.
func (s *Server) freeID() int64 {
	s.nextID++
	for s.users[s.nextID] != nil {
		s.nextID++
	}
	return s.nextID
}

func (s *Server) addUser(id int64, first, username string) {
	s.users[id] = &user{id: id, first: first, username: username, started: map[int64]bool{}, open: map[int64]time.Time{}, blocked: map[int64]bool{}}
	if username != "" {
		s.names[strings.ToLower(username)] = id
	}
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
		requests: map[int64]*inviteLink{}, banned: map[int64]bool{}, closed: map[int64]bool{}, asked: map[int64]bool{},
		declined: map[int64]bool{}, primary: map[int64]*inviteLink{}, gone: map[int64]int64{}, firstAsk: map[int64]time.Time{},
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

// Join lets a person join a chat by themselves; where one has to ask, that is what it does.
func (s *Server) Join(chatID, userID int64) error {
	s.mu.Lock()
	c, err := s.both(chatID, userID)
	asks := err == nil && c.byAsking && !s.users[userID].bot && !s.ended(c, userID).Present()
	s.mu.Unlock()
	if asks {
		return s.RequestJoin(chatID, userID)
	}
	return s.Add(chatID, userID, userID)
}

// Add lets somebody add a person, who may be a bot, to a chat.
func (s *Server) Add(chatID, by, userID int64) error { return s.AddAll(chatID, by, userID) }

// AddAll lets somebody add people to a chat. One service message tells of all of them.
func (s *Server) AddAll(chatID, by int64, users ...int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var added []int64
	for _, id := range users {
		c, err := s.both(chatID, id)
		if err != nil {
			return err
		}
		joined, err := s.enter(c, by, id, 0, nil)
		if err != nil {
			return err
		}
		if joined {
			added = append(added, id)
		}
	}
	s.welcome(s.chats[chatID], by, added)
	return nil
}

// JoinPaid lets a person join a channel by a subscription that ends at a time, in Unix seconds. Source: Bot
// API, ChatMemberMember.
func (s *Server) JoinPaid(chatID, userID, until int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.both(chatID, userID)
	if err != nil {
		return err
	}
	_, err = s.enter(c, userID, userID, until, nil)
	return err
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
	switch old.Status {
	case Restricted:
		next = old
		next.IsMember = false
	case Creator: // stays the owner. Source: Bot API server, Client.cpp
		next = old
		next.Away = true
	}
	s.expel(c, userID, userID, next)
	s.tell(Event{Kind: "leave", ChatID: chatID, UserID: userID, Target: userID})
	return nil
}

// Promote makes somebody an administrator; a bot that is not there is added. With the right "is_anonymous"
// they act in the group's name.
func (s *Server) Promote(chatID, by, userID int64, rights AdminRights) error {
	s.mu.Lock()
	upgrades := s.o.Switches.UpgradeOnPromotion && s.chats[chatID] != nil && s.chats[chatID].kind == "group"
	s.mu.Unlock()
	if upgrades {
		chatID = s.Migrate(chatID)
	}
	return s.change(chatID, by, userID, "promote", Member{
		Status: Administrator, Rights: rights, Anonymous: rights["is_anonymous"], promotedBy: by,
	})
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
		s.setMember(c, by, userID, next, nil)
	} else {
		s.expel(c, by, userID, next)
	}
	s.tell(Event{Kind: kind, ChatID: chatID, UserID: by, Target: userID})
	return nil
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
