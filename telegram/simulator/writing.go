package simulator

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode/utf16"
)

// writing is how a message is written; see the functions that return a WriteOption.
type writing struct {
	thread  int64
	reply   int64
	via     int64
	album   string
	origin  int64
	asChat  int64
	auto    bool
	anon    bool
	comment bool
	to      int64
	file    *file
}

// WriteOption says something more about a message that a person writes.
type WriteOption func(*writing)

// InThread writes into a topic.
func InThread(id int64) WriteOption { return func(w *writing) { w.thread = id } }

// ReplyTo answers a message.
func ReplyTo(id int64) WriteOption { return func(w *writing) { w.reply = id } }

// Via writes with the help of an inline bot.
func Via(botID int64) WriteOption { return func(w *writing) { w.via = botID } }

// InAlbum makes the message part of an album.
func InAlbum(id string) WriteOption { return func(w *writing) { w.album = id } }

// ForwardedFrom makes it a forwarded post of a channel.
func ForwardedFrom(channel int64) WriteOption { return func(w *writing) { w.origin = channel } }

// AsChat writes in the name of a channel.
func AsChat(id int64) WriteOption { return func(w *writing) { w.asChat = id } }

// AutomaticForward makes it the post of the linked channel that Telegram itself forwards.
func AutomaticForward(channel int64) WriteOption {
	return func(w *writing) { w.auto, w.asChat, w.origin = true, channel, channel }
}

// Anonymously writes as the group itself, which administrators may.
func Anonymously() WriteOption { return func(w *writing) { w.anon = true } }

// AsComment writes under a channel's post without being in the group.
func AsComment() WriteOption { return func(w *writing) { w.comment = true } }

// To names the bot a private message is for.
func To(botID int64) WriteOption { return func(w *writing) { w.to = botID } }

// Write lets a person write in a chat, or to a bot in private (chatID is the person's own id). It
// returns the message's id; ErrMayNot when the person may not write there.
func (s *Server) Write(chatID, userID int64, text string, options ...WriteOption) (int64, error) {
	var w writing
	for _, o := range options {
		o(&w)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if chatID > 0 {
		return s.writePrivate(chatID, text, w)
	}
	c, err := s.both(chatID, userID)
	if err != nil {
		return 0, err
	}
	if err := s.mayWrite(c, userID, w); err != nil {
		return 0, err
	}
	m := s.compose(c, userID, text, w)
	for _, b := range s.bots {
		if b.ID != userID && s.sees(c, b, m) {
			kind := "message"
			if c.kind == "channel" {
				kind = "channel_post"
			}
			s.push(b, kind, s.messageJSON(c, m))
		}
	}
	s.tell(Event{Kind: "write", ChatID: chatID, UserID: userID, Text: text, MessageID: m.id})
	s.touch()
	return m.id, nil
}

// mayWrite applies a person's own restrictions and the chat's defaults.
func (s *Server) mayWrite(c *chat, userID int64, w writing) error {
	m := s.ended(c, userID)
	switch {
	case w.auto:
		return nil
	case w.asChat != 0 && c.banned[w.asChat]:
		return fmt.Errorf("%w: this chat is banned here", ErrMayNot)
	case m.admin():
		return nil
	case c.kind == "channel":
		return fmt.Errorf("%w: only administrators post in a channel", ErrMayNot)
	case m.Status == Kicked:
		return fmt.Errorf("%w: banned", ErrMayNot)
	case m.Status == Restricted && !m.Permissions["can_send_messages"]:
		return fmt.Errorf("%w: restricted", ErrMayNot)
	case !m.Present() && !w.comment:
		return fmt.Errorf("%w: not in the group", ErrMayNot)
	case !c.defaults["can_send_messages"]:
		return fmt.Errorf("%w: the group is closed", ErrMayNot)
	}
	return nil
}

func (s *Server) compose(c *chat, userID int64, text string, w writing) *message {
	c.lastID++
	m := &message{
		id: c.lastID, from: userID, date: s.now(), text: text, thread: w.thread, replyTo: w.reply, viaBot: w.via,
		album: w.album, origin: w.origin, auto: w.auto, entities: commands(text), file: w.file,
	}
	switch {
	case w.anon:
		m.from, m.senderChat = anonymousAdmin, c.id
	case w.auto:
		m.from, m.senderChat = telegramItself, w.asChat
	case w.asChat != 0:
		m.from, m.senderChat = channelBot, w.asChat
	case c.kind == "channel":
		m.from, m.senderChat = 0, c.id
	}
	c.messages = append(c.messages, m)
	return m
}

// sees: bots see everything where they are administrators or privacy mode is off, else only what is meant
// for them. Source: from memory.
func (s *Server) sees(c *chat, b *account, m *message) bool {
	mem := c.standing(b.ID)
	switch {
	case c.kind == "channel":
		return mem.admin()
	case !mem.Present():
		return false
	case b.readsAll, mem.admin() && !s.o.Switches.PrivacyForAdmins:
		return true
	}
	reply := c.find(m.replyTo)
	return strings.HasPrefix(m.text, "/") || strings.Contains(m.text, "@"+b.Username) || reply != nil && reply.from == b.ID
}

func (s *Server) writePrivate(userID int64, text string, w writing) (int64, error) {
	u := s.users[userID]
	if u == nil {
		return 0, ErrNoUser
	}
	c := s.private(userID)
	for _, b := range s.bots {
		if b.ID != w.to && (w.to != 0 || len(s.bots) != 1) {
			continue
		}
		u.started[b.ID] = true
		m := s.compose(c, userID, text, w)
		s.push(b, "message", s.messageJSON(c, m))
		s.tell(Event{Kind: "write", ChatID: userID, UserID: userID, Text: text})
		s.touch()
		return m.id, nil
	}
	return 0, fmt.Errorf("%w: which bot?", ErrNoUser)
}

// private is a person's chat with bots; one for all of them.
func (s *Server) private(userID int64) *chat {
	c := s.chats[userID]
	if c == nil {
		c = &chat{id: userID, kind: "private", members: map[int64]*Member{}, known: map[int64]bool{}, defaults: AllPermissions()}
		s.chats[userID] = c
	}
	return c
}

// EditMessage lets a person edit what they wrote.
func (s *Server) EditMessage(chatID, messageID int64, text string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.chats[chatID]
	if c == nil {
		return ErrNoChat
	}
	m := c.find(messageID)
	if m == nil {
		return ErrNoMessage
	}
	m.text, m.edited, m.entities = text, s.now(), commands(text)
	kind := "edited_message"
	if c.kind == "channel" {
		kind = "edited_channel_post"
	}
	for _, b := range s.bots {
		if s.sees(c, b, m) {
			s.push(b, kind, s.messageJSON(c, m))
		}
	}
	s.touch()
	return nil
}

// entity marks a part of a text, in UTF-16 units. Source: Bot API, MessageEntity.
type entity struct {
	Type   string         `json:"type"`
	Offset int            `json:"offset"`
	Length int            `json:"length"`
	URL    string         `json:"url,omitempty"`
	User   map[string]any `json:"user,omitempty"`
}

var commandShape = regexp.MustCompile(`(?:^|\s)(/[A-Za-z0-9_]{1,64}(?:@[A-Za-z0-9_]+)?)`)

// commands finds the commands in a text, as clients mark them.
func commands(text string) (found []entity) {
	if !strings.Contains(text, "/") {
		return nil
	}
	for _, at := range commandShape.FindAllStringSubmatchIndex(text, -1) {
		found = append(found, entity{Type: "bot_command", Offset: units(text[:at[2]]), Length: units(text[at[2]:at[3]])})
	}
	return found
}

func units(s string) int { return len(utf16.Encode([]rune(s))) }

// Answer is what a person sees after a press.
type Answer struct {
	Text      string
	ShowAlert bool
	URL       string
}

type press struct {
	bot    int64
	chat   int64
	user   int64
	at     time.Time
	answer chan Answer
	done   bool
}

// Press lets a person press a button with data on a message, and waits until the bot answers it.
func (s *Server) Press(ctx context.Context, chatID, messageID, userID int64, data string) (Answer, error) {
	s.mu.Lock()
	c, err := s.both(chatID, userID)
	if err != nil {
		s.mu.Unlock()
		return Answer{}, err
	}
	p, err := s.press(c, messageID, userID, data)
	s.mu.Unlock()
	if err != nil {
		return Answer{}, err
	}
	select {
	case a := <-p.answer:
		return a, nil
	case <-ctx.Done():
		return Answer{}, fmt.Errorf("the bot did not answer: %w", ctx.Err())
	}
}

// press tells the bot of a press. A message that is gone meanwhile is one that cannot be accessed. The world
// is locked.
func (s *Server) press(c *chat, messageID, userID int64, data string) (*press, error) {
	m, who := c.find(messageID), s.ended(c, userID)
	var bot int64
	var shown map[string]any
	var label string
	switch owner, gone := c.gone[messageID]; {
	case s.o.Switches.MutedCannotPress && who.Status == Restricted && !who.Permissions["can_send_messages"]:
		return nil, fmt.Errorf("%w: restricted", ErrMayNot)
	case m != nil:
		bot, shown, label = m.from, s.messageJSON(c, m), buttonText(m.markup, data)
		if m.senderChat == c.id { // a channel's post is of whoever posted it
			bot = m.author
		}
	case gone:
		bot, shown, label = owner, map[string]any{"message_id": messageID, "chat": s.chatJSON(c), "date": 0}, data
	default:
		return nil, ErrNoMessage
	}
	s.seq++
	id := fmt.Sprint(4_000_000_000 + s.seq)
	p := &press{bot: bot, chat: c.id, user: userID, at: s.clock(), answer: make(chan Answer, 1)}
	s.presses[id] = p
	from := userID // also of anonymous administrators. Source: from memory
	if who.Anonymous && s.o.Switches.AnonymousPresses {
		from = anonymousAdmin
	}
	for _, b := range s.bots {
		if b.ID == bot {
			s.push(b, "callback_query", map[string]any{
				"id": id, "from": s.userJSON(from), "message": shown, "chat_instance": fmt.Sprint(c.id), "data": data,
			})
		}
	}
	s.tell(Event{Kind: "press", ChatID: c.id, UserID: userID, Text: label})
	return p, nil
}

// buttonText finds what a button says by its data.
func buttonText(markup json.RawMessage, data string) string {
	var k struct {
		Rows [][]struct {
			Text string `json:"text"`
			Data string `json:"callback_data"`
		} `json:"inline_keyboard"`
	}
	if json.Unmarshal(markup, &k) != nil {
		return data
	}
	for _, row := range k.Rows {
		for _, b := range row {
			if b.Data == data {
				return b.Text
			}
		}
	}
	return data
}
