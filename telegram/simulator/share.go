package simulator

import (
	"encoding/json"
	"fmt"
)

// ShareChat lets a person answer a button of a bot's reply keyboard that asks for a chat. The person's
// client gives the bot the rights that the button names. Source: Bot API, KeyboardButtonRequestChat.
func (s *Server) ShareChat(userID, botID, chatID int64, requestID int) error {
	s.mu.Lock()
	want, err := s.requested(userID, botID, chatID, requestID)
	s.mu.Unlock()
	if err != nil {
		return err
	}
	if want != nil {
		if err := s.Promote(chatID, userID, botID, want); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.private(userID)
	c.lastID++
	m := &message{id: c.lastID, from: userID, date: s.now(), service: map[string]any{
		"chat_shared": map[string]any{"request_id": requestID, "chat_id": chatID},
	}}
	c.messages = append(c.messages, m)
	for _, b := range s.bots {
		if b.ID == botID {
			s.push(b, "message", s.messageJSON(c, m))
		}
	}
	s.touch()
	return nil
}

// requested checks that a person may share a chat by a button, and returns the rights the bot gets by it.
func (s *Server) requested(userID, botID, chatID int64, requestID int) (AdminRights, error) {
	c, err := s.both(chatID, userID)
	if err != nil {
		return nil, err
	}
	type button struct {
		Ask *struct {
			ID      int             `json:"request_id"`
			Channel bool            `json:"chat_is_channel"`
			User    map[string]bool `json:"user_administrator_rights"`
			Bot     map[string]bool `json:"bot_administrator_rights"`
		} `json:"request_chat"`
	}
	var k struct {
		Rows [][]button `json:"keyboard"`
	}
	for _, m := range s.private(userID).messages {
		if m.from != botID || m.markup == nil || json.Unmarshal(m.markup, &k) != nil {
			continue
		}
		for _, row := range k.Rows {
			for _, one := range row {
				if one.Ask == nil || one.Ask.ID != requestID {
					continue
				}
				if one.Ask.Channel != (c.kind == "channel") {
					return nil, fmt.Errorf("%w: another kind of chat is asked for", ErrMayNot)
				}
				me := c.standing(userID)
				for right, need := range one.Ask.User {
					if need && me.Status != Creator && !me.Rights[right] {
						return nil, fmt.Errorf("%w: lacks %s", ErrMayNot, right)
					}
				}
				if one.Ask.Bot == nil || c.standing(botID).admin() {
					return nil, nil
				}
				return one.Ask.Bot, nil
			}
		}
	}
	return nil, fmt.Errorf("%w: no such button", ErrNoMessage)
}
