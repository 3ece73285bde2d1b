package simulator

import "encoding/json"

// receiver reads whom a message is for alone: a parameter of its own in Bot API 10.2, a part of an object
// since 10.3. Source: Bot API 10.2 and 10.3, as clients generated from them have it.
func (p params) receiver() (int64, bool) {
	if id := p.integer("receiver_user_id", 0); id != 0 {
		return id, true
	}
	var o struct {
		Receiver int64 `json:"receiver_user_id"`
	}
	if raw := p.raw("ephemeral_message_parameters"); raw == nil || json.Unmarshal(raw, &o) != nil {
		return 0, false
	}
	return o.Receiver, o.Receiver != 0
}

// whisper sends a message that one member of a group sees and that is no part of its history. Only
// administrators may at any time. Source: Bot API 10.2; tdesktop issue 31196.
func (s *Server) whisper(b *account, c *chat, to int64, m *message) (any, error) {
	u := s.users[to]
	switch {
	case c.kind != "supergroup" && c.kind != "group":
		return nil, bad("ephemeral messages can be sent to groups only")
	case u == nil || u.bot || !s.ended(c, to).Present():
		return nil, bad("PARTICIPANT_ID_INVALID")
	case !c.standing(b.ID).admin():
		return nil, bad("CHAT_ADMIN_REQUIRED")
	}
	c.lastWhisper++
	m.whisper, m.receiver = c.lastWhisper, to
	if c.whispers == nil {
		c.whispers = map[int64]*message{}
	}
	c.whispers[m.whisper] = m
	s.tell(Event{Kind: "whisper", ChatID: c.id, UserID: b.ID, Target: to, Text: m.text})
	return s.messageJSON(c, m), nil
}

// whispered finds a message for one person that a bot sent.
func (s *Server) whispered(b *account, p params, what string) (*chat, *message, error) {
	c, err := s.reach(b, p)
	if err != nil {
		return nil, nil, err
	}
	m := c.whispers[p.integer("ephemeral_message_id", 0)]
	if m == nil || m.from != b.ID || m.receiver != p.integer("receiver_user_id", 0) {
		return nil, nil, bad("message to " + what + " not found")
	}
	return c, m, nil
}

func deleteEphemeralMessage(s *Server, b *account, p params) (any, error) {
	c, m, err := s.whispered(b, p, "delete")
	if err != nil {
		return nil, err
	}
	delete(c.whispers, m.whisper)
	return true, nil
}

func editEphemeralMessageText(s *Server, b *account, p params) (any, error) {
	c, m, err := s.whispered(b, p, "edit")
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
	if err := s.limited(b, c); err != nil {
		return nil, err
	}
	m.text, m.entities, m.markup = text, entities, keyboard
	return true, nil
}

// Whispers lists what one person alone sees in a chat, oldest first.
func (s *Server) Whispers(chatID, userID int64) (list []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.chats[chatID]; c != nil {
		for id := int64(1); id <= c.lastWhisper; id++ {
			if m := c.whispers[id]; m != nil && m.receiver == userID {
				list = append(list, m.text)
			}
		}
	}
	return list
}
