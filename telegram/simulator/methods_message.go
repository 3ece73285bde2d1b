package simulator

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	maxText      = 4096           // UTF-16 units after parsing. Source: Bot API, sendMessage
	deleteWithin = 48 * time.Hour // Source: Bot API, deleteMessage
	answerWithin = 15 * time.Second
)

// place finds where a message goes and whether the bot may send there.
func (s *Server) place(b *account, p params) (*chat, int64, error) {
	c, err := s.reach(b, p)
	if err != nil {
		return nil, 0, err
	}
	if c.kind == "private" {
		return c, 0, s.mayTalkTo(b, c.id)
	}
	m := c.standing(b.ID)
	switch {
	case c.kind == "channel" && (!m.admin() || !m.Rights["can_post_messages"]):
		return nil, 0, bad("need administrator rights in the channel chat")
	case !m.Present():
		return nil, 0, forbidden("bot is not a member of the " + c.kind + " chat")
	case !m.admin() && (!c.defaults["can_send_messages"] || m.Status == Restricted && !m.Permissions["can_send_messages"]):
		return nil, 0, bad("not enough rights to send text messages to the chat")
	}
	thread := p.integer("message_thread_id", 0)
	if !c.forum {
		return c, 0, nil // silently ignored. Source: Bot API server, check_message_topic
	}
	switch _, ok := c.topics[thread]; {
	case thread != 0 && !ok: // General, whose id is 1, has to be left out, too
		return nil, 0, bad("message thread not found")
	case c.closed[thread] && !m.admin():
		return nil, 0, bad("TOPIC_CLOSED")
	}
	return c, thread, nil
}

func (s *Server) mayTalkTo(b *account, id int64) error {
	u := s.users[id]
	switch {
	case u.bot:
		return forbidden("the bot can't send messages to the bot")
	case u.deleted:
		return forbidden("user is deactivated")
	case u.blocked[b.ID]:
		return forbidden("bot was blocked by the user")
	case !u.started[b.ID] && !s.clock().Before(u.open[b.ID]):
		return forbidden("bot can't initiate conversation with a user")
	}
	return nil
}

// words reads text and mark-up of sendMessage and editMessageText.
func (s *Server) words(p params) (text string, entities []entity, err error) {
	text = p.str("text")
	switch p.str("parse_mode") {
	case "HTML", "html":
		if text, entities, err = parseHTML(text); err != nil {
			return "", nil, err
		}
	case "":
		text = strings.TrimSpace(text)
		entities = commands(text)
	default:
		return "", nil, apiError{code: 501, text: "Not Implemented: the simulator does not model this parse_mode"}
	}
	switch {
	case text == "":
		return "", nil, bad("message text is empty")
	case units(text) > maxText:
		return "", nil, bad("message is too long")
	}
	for i, e := range entities {
		if e.Type == "text_mention" {
			id, _ := e.User["id"].(int64)
			if s.users[id] == nil {
				continue
			}
			entities[i].User = s.userJSON(id)
		}
	}
	return text, entities, nil
}

// markup checks a keyboard the way Telegram does.
func (s *Server) markup(p params) (json.RawMessage, error) {
	raw := p.raw("reply_markup")
	if raw == nil {
		return nil, nil
	}
	var k struct {
		Inline [][]struct {
			Text  string  `json:"text"`
			URL   *string `json:"url"`
			Data  *string `json:"callback_data"`
			Style string  `json:"style"`
		} `json:"inline_keyboard"`
		Keyboard [][]struct {
			Text        string          `json:"text"`
			RequestChat json.RawMessage `json:"request_chat"`
		} `json:"keyboard"`
	}
	if json.Unmarshal(raw, &k) != nil {
		return nil, bad("object expected as reply markup")
	}
	for _, row := range k.Keyboard {
		for _, button := range row {
			switch {
			case button.Text == "":
				return nil, bad("can't parse keyboard button: Field \"text\" must not be empty")
			case button.RequestChat != nil && p.integer("chat_id", 0) < 0:
				return nil, bad("chat can be requested in private chats only")
			}
		}
	}
	for _, row := range k.Inline {
		for _, button := range row {
			switch {
			case button.Text == "":
				return nil, bad("can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard")
			case button.URL == nil && button.Data == nil:
				return nil, bad("can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard")
			case button.Data != nil && (len(*button.Data) < 1 || len(*button.Data) > 64):
				return nil, s.remembered("BUTTON_DATA_INVALID")
			case button.URL != nil && !goodURL(*button.URL):
				return nil, bad("BUTTON_URL_INVALID")
			case !slices.Contains([]string{"", "danger", "success", "primary"}, button.Style):
				return nil, bad("BUTTON_STYLE_INVALID")
			}
		}
	}
	return raw, nil
}

func goodURL(raw string) bool {
	u, err := url.Parse(raw)
	return err == nil && (u.Host != "" || u.Scheme == "tg")
}

func mustString(n int) string { return string(mustJSON(n)) }

func sendMessage(s *Server, b *account, p params) (any, error) {
	c, thread, err := s.place(b, p)
	if err != nil {
		return nil, err
	}
	text, entities, err := s.words(p)
	if err != nil {
		return nil, err
	}
	keyboard, err := s.markup(p)
	if err != nil {
		return nil, err
	}
	var reply struct {
		ID      int64 `json:"message_id"`
		Without bool  `json:"allow_sending_without_reply"`
	}
	if raw := p.raw("reply_parameters"); raw != nil && json.Unmarshal(raw, &reply) != nil {
		return nil, bad("can't parse reply parameters JSON object")
	}
	if reply.ID != 0 && c.find(reply.ID) == nil {
		if !reply.Without {
			return nil, bad("message to be replied not found")
		}
		reply.ID = 0
	}
	if err := s.limited(b, c); err != nil {
		return nil, err
	}
	if to, ok := p.receiver(); ok && !s.o.Switches.IgnoresEphemeral {
		return s.whisper(b, c, to, &message{from: b.ID, date: s.now(), text: text, entities: entities, markup: keyboard, thread: thread})
	}
	s.contacted(b, c)
	c.lastID++
	m := &message{id: c.lastID, from: b.ID, date: s.now(), text: text, entities: entities, markup: keyboard, thread: thread, replyTo: reply.ID}
	if c.kind == "channel" {
		m.from, m.senderChat, m.author = 0, c.id, b.ID
	}
	c.messages = append(c.messages, m)
	s.tell(Event{Kind: "send", ChatID: c.id, UserID: b.ID, Text: text, MessageID: m.id})
	return s.messageJSON(c, m), nil
}

// own finds a message of the bot's.
func (s *Server) own(b *account, p params) (*chat, *message, error) {
	c, err := s.reach(b, p)
	if err != nil {
		return nil, nil, err
	}
	m := c.find(p.integer("message_id", 0))
	switch {
	case m == nil:
		return nil, nil, bad("message to edit not found")
	case m.from != b.ID && m.author != b.ID:
		return nil, nil, bad("message can't be edited")
	}
	return c, m, nil
}

const notModified = "message is not modified: specified new message content and reply markup are exactly the same as a current content and reply markup of the message"

func editMessageText(s *Server, b *account, p params) (any, error) {
	c, m, err := s.own(b, p)
	if err != nil {
		return nil, err
	}
	text, entities, err := s.words(p)
	if err != nil {
		return nil, err
	}
	keyboard, err := s.markup(p)
	if err != nil {
		return nil, err
	}
	if text == m.text && string(mustJSON(entities)) == string(mustJSON(m.entities)) && string(keyboard) == string(m.markup) {
		return nil, bad(notModified)
	}
	if err := s.limited(b, c); err != nil {
		return nil, err
	}
	m.text, m.entities, m.markup, m.edited = text, entities, keyboard, s.now()
	s.tell(Event{Kind: "edit", ChatID: c.id, UserID: b.ID, Text: text, MessageID: m.id})
	return s.messageJSON(c, m), nil
}

func editMessageReplyMarkup(s *Server, b *account, p params) (any, error) {
	c, m, err := s.own(b, p)
	if err != nil {
		return nil, err
	}
	keyboard, err := s.markup(p)
	if err != nil {
		return nil, err
	}
	if string(keyboard) == string(m.markup) {
		return nil, bad(notModified)
	}
	if err := s.limited(b, c); err != nil {
		return nil, err
	}
	m.markup, m.edited = keyboard, s.now()
	return s.messageJSON(c, m), nil
}

// contacted: once a bot has written to somebody who asked to join, no other may. Source: Bot API,
// ChatJoinRequest.
func (s *Server) contacted(b *account, c *chat) {
	if c.kind != "private" {
		return
	}
	for other := range s.users[c.id].open {
		if other != b.ID {
			delete(s.users[c.id].open, other)
		}
	}
}

// deletable says why a message may not be deleted by the bot: bots delete nothing that is two days old,
// whatever their rights, and nobody the message of a group's creation. Source: TDLib,
// can_delete_channel_message, can_delete_message.
func (s *Server) deletable(c *chat, b *account, m *message) error {
	me := c.standing(b.ID)
	switch {
	case s.clock().Sub(time.Unix(m.date, 0)) >= deleteWithin, m.service["supergroup_chat_created"] != nil:
		return bad("message can't be deleted")
	case m.from == b.ID, m.author == b.ID, c.kind == "private", me.Status == Administrator && me.Rights["can_delete_messages"]:
		return nil
	case c.kind == "group" && !me.admin():
		return bad("message can't be deleted for everyone")
	}
	return bad("message can't be deleted")
}

// maxGone bounds how many deleted messages of bots a chat remembers, for presses of people who still see them.
const maxGone = 1000

func (s *Server) remove(c *chat, b *account, m *message) {
	if i, ok := c.index(m.id); ok {
		c.messages = slices.Delete(c.messages, i, i+1)
	}
	c.forget(m)
	s.tell(Event{Kind: "delete", ChatID: c.id, UserID: b.ID, Target: m.from, Text: m.text, MessageID: m.id})
}

// forget remembers that a bot's message with buttons is gone.
func (c *chat) forget(m *message) {
	if m.markup == nil {
		return
	}
	if len(c.gone) >= maxGone || c.gone == nil {
		c.gone = map[int64]int64{}
	}
	c.gone[m.id] = m.from
}

func deleteMessage(s *Server, b *account, p params) (any, error) {
	c, err := s.reach(b, p)
	if err != nil {
		return nil, err
	}
	m := c.find(p.integer("message_id", 0))
	if m == nil {
		return nil, bad("message to delete not found")
	}
	if err := s.deletable(c, b, m); err != nil {
		return nil, err
	}
	s.remove(c, b, m)
	return true, nil
}

// deleteMessages skips what is gone, but one message it may not delete spoils all. Source: TDLib,
// delete_messages.
func deleteMessages(s *Server, b *account, p params) (any, error) {
	c, err := s.reach(b, p)
	if err != nil {
		return nil, err
	}
	var ids []int64
	if json.Unmarshal(p.raw("message_ids"), &ids) != nil || len(ids) == 0 {
		return nil, bad("message identifiers are not specified")
	}
	if len(ids) > 100 {
		return nil, bad("too many message identifiers specified")
	}
	var found []*message
	for _, id := range ids {
		m := c.find(id)
		if m == nil {
			continue
		}
		if err := s.deletable(c, b, m); err != nil {
			return nil, err
		}
		found = append(found, m)
	}
	for _, m := range found {
		s.remove(c, b, m)
	}
	return true, nil
}

func answerCallbackQuery(s *Server, b *account, p params) (any, error) {
	x := s.presses[p.str("callback_query_id")]
	window := s.o.Switches.CallbackWindow
	if window == 0 {
		window = answerWithin
	}
	if x == nil || x.done || x.bot != b.ID || s.clock().Sub(x.at) > window {
		return nil, bad("query is too old and response timeout expired or query ID is invalid")
	}
	if units(p.str("text")) > 200 {
		return nil, bad("MESSAGE_TOO_LONG")
	}
	if link := p.str("url"); link != "" && !strings.HasPrefix(link, "https://t.me/"+b.Username+"?start=") && !strings.HasPrefix(link, "t.me/"+b.Username+"?start=") {
		return nil, s.remembered("URL_INVALID")
	}
	x.done = true
	delete(s.presses, p.str("callback_query_id"))
	x.answer <- Answer{Text: p.str("text"), ShowAlert: p.boolean("show_alert"), URL: p.str("url")}
	s.tell(Event{Kind: "answer", UserID: b.ID, Text: p.str("text")})
	return true, nil
}
