package telegram

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/gmbot/gmbot/protos"
)

// AllowedUpdates are the kinds of updates the bot asks for; Telegram sends chat_member only to those
// who ask. Source: Bot API, getUpdates.
func AllowedUpdates() []string {
	return []string{"message", "edited_message", "callback_query", "chat_member", "my_chat_member", "chat_join_request"}
}

// ErrNoUpdateID marks an update that does not even say its number.
var ErrNoUpdateID = errors.New("update has no update_id")

// UpdateID reads an update's number, also from one that is malformed otherwise.
func UpdateID(raw json.RawMessage) (int64, error) {
	var u struct {
		ID *int64 `json:"update_id"`
	}
	if err := json.Unmarshal(raw, &u); err != nil || u.ID == nil {
		return 0, ErrNoUpdateID
	}
	return *u.ID, nil
}

// The slim shapes of what gating needs of an update. Source: Bot API, Update and what hangs on it.
type (
	slimUpdate struct {
		ID       *int64        `json:"update_id"`
		Message  *slimMessage  `json:"message"`
		Edited   *slimMessage  `json:"edited_message"`
		Member   *slimChange   `json:"chat_member"`
		MyMember *slimChange   `json:"my_chat_member"`
		Callback *slimCallback `json:"callback_query"`
		Request  *slimRequest  `json:"chat_join_request"`
	}
	slimUser struct {
		ID        int64  `json:"id"`
		IsBot     bool   `json:"is_bot"`
		FirstName string `json:"first_name"`
		LastName  string `json:"last_name"`
		Username  string `json:"username"`
		Language  string `json:"language_code"`
	}
	slimChat struct {
		ID       int64  `json:"id"`
		Type     string `json:"type"`
		Title    string `json:"title"`
		Username string `json:"username"`
		IsForum  bool   `json:"is_forum"`
	}
	slimEntity struct {
		Type   string `json:"type"`
		Offset int    `json:"offset"`
	}
	slimOrigin struct {
		Chat *slimChat `json:"chat"`
	}
	slimMessage struct {
		ID              int64        `json:"message_id"`
		Thread          int64        `json:"message_thread_id"`
		IsTopic         bool         `json:"is_topic_message"`
		Date            int64        `json:"date"`
		EditDate        int64        `json:"edit_date"`
		From            *slimUser    `json:"from"`
		SenderChat      *slimChat    `json:"sender_chat"`
		Chat            *slimChat    `json:"chat"`
		Text            string       `json:"text"`
		Caption         string       `json:"caption"`
		Entities        []slimEntity `json:"entities"`
		CaptionEntities []slimEntity `json:"caption_entities"`
		MediaGroup      string       `json:"media_group_id"`
		AutoForward     bool         `json:"is_automatic_forward"`
		Joined          []slimUser   `json:"new_chat_members"`
		Left            *slimUser    `json:"left_chat_member"`
		MigrateTo       int64        `json:"migrate_to_chat_id"`
		MigrateFrom     int64        `json:"migrate_from_chat_id"`
		ReplyTo         *struct {
			ID     int64       `json:"message_id"`
			From   *slimUser   `json:"from"`
			Origin *slimOrigin `json:"forward_origin"`
		} `json:"reply_to_message"`
		slimService
	}
	slimMember struct {
		User      *slimUser `json:"user"`
		Status    string    `json:"status"`
		IsMember  bool      `json:"is_member"`
		Until     int64     `json:"until_date"`
		Anonymous bool      `json:"is_anonymous"`
		slimFlags
	}
	slimChange struct {
		Chat *slimChat   `json:"chat"`
		From *slimUser   `json:"from"`
		Date int64       `json:"date"`
		Old  *slimMember `json:"old_chat_member"`
		New  *slimMember `json:"new_chat_member"`
	}
	slimCallback struct {
		ID      string       `json:"id"`
		From    *slimUser    `json:"from"`
		Message *slimMessage `json:"message"`
		Data    string       `json:"data"`
	}
	slimRequest struct {
		Chat       *slimChat `json:"chat"`
		From       *slimUser `json:"from"`
		UserChatID int64     `json:"user_chat_id"`
		Date       int64     `json:"date"`
		Link       *struct {
			Name string `json:"name"`
		} `json:"invite_link"`
	}
)

// Decode reads what gating needs of one update. A kind of no concern is OTHER; what lacks the fields
// its kind must have, or has them in the wrong type, is an error.
func Decode(raw json.RawMessage, receivedMs int64) (*protos.Event, error) {
	var u slimUpdate
	if err := json.Unmarshal(raw, &u); err != nil {
		return nil, fmt.Errorf("decode an update: %w", err)
	}
	if u.ID == nil {
		return nil, ErrNoUpdateID
	}
	e := &protos.Event{UpdateId: *u.ID, ReceivedMs: receivedMs}
	switch {
	case u.Message != nil:
		return e, u.Message.fill(e, protos.EventKind_MESSAGE)
	case u.Edited != nil:
		return e, u.Edited.fill(e, protos.EventKind_EDITED_MESSAGE)
	case u.Member != nil:
		return e, u.Member.fill(e, protos.EventKind_CHAT_MEMBER)
	case u.MyMember != nil:
		return e, u.MyMember.fill(e, protos.EventKind_MY_CHAT_MEMBER)
	case u.Callback != nil:
		return e, u.Callback.fill(e)
	case u.Request != nil:
		return e, u.Request.fill(e)
	}
	return e, nil
}

var errIncomplete = errors.New("update lacks a field that its kind must have")

func (m *slimMessage) fill(e *protos.Event, kind protos.EventKind) error {
	if !m.Chat.is() || m.ID == 0 {
		return fmt.Errorf("message: %w", errIncomplete)
	}
	e.Kind, e.Chat, e.From, e.SenderChat = kind, m.Chat.proto(), m.From.proto(), m.SenderChat.proto()
	e.Date, e.MessageId, e.Text, e.MediaGroupId = max(m.Date, m.EditDate), m.ID, m.Text, m.MediaGroup
	e.AutomaticForward = m.AutoForward
	entities := m.Entities
	if e.GetText() == "" {
		e.Text, entities = m.Caption, m.CaptionEntities
	}
	for _, entity := range entities {
		e.IsCommand = e.GetIsCommand() || entity.Type == "bot_command" && entity.Offset == 0
	}
	if m.IsTopic {
		e.ThreadId = m.Thread
	}
	if r := m.ReplyTo; r != nil {
		e.ReplyMessageId, e.ReplyUser = r.ID, r.From.proto()
		if r.Origin != nil {
			e.ReplyOriginChat = r.Origin.Chat.proto()
		}
	}
	switch {
	case len(m.Joined) > 0:
		e.Kind = protos.EventKind_MEMBERS_JOINED
		for i := range m.Joined {
			e.Users = append(e.Users, m.Joined[i].proto())
		}
	case m.Left != nil:
		e.Kind, e.Users = protos.EventKind_MEMBER_LEFT, []*protos.User{m.Left.proto()}
	case m.MigrateTo != 0 || m.MigrateFrom != 0:
		e.Kind, e.MigrateTo, e.MigrateFrom = protos.EventKind_MIGRATED, m.MigrateTo, m.MigrateFrom
	case m.any():
		e.Kind = protos.EventKind_SERVICE
	}
	return nil
}

func (c *slimChange) fill(e *protos.Event, kind protos.EventKind) error {
	if !c.Chat.is() || c.Old == nil || c.Old.Status == "" || c.New == nil || c.New.Status == "" || !c.New.User.is() {
		return fmt.Errorf("chat_member: %w", errIncomplete)
	}
	e.Kind, e.Chat, e.From, e.Date = kind, c.Chat.proto(), c.From.proto(), c.Date
	e.Before, e.After = c.Old.proto(), c.New.proto()
	return nil
}

func (c *slimCallback) fill(e *protos.Event) error {
	if c.ID == "" || !c.From.is() || c.Message != nil && c.Message.Chat != nil && c.Message.Chat.ID == 0 {
		return fmt.Errorf("callback_query: %w", errIncomplete)
	}
	e.Kind, e.From, e.CallbackId, e.CallbackData = protos.EventKind_CALLBACK, c.From.proto(), c.ID, c.Data
	if c.Message == nil || c.Message.Chat == nil {
		// Pressed on an inline message: it belongs to no chat of ours, but is answered in private's stead.
		e.Chat = &protos.Chat{Id: c.From.ID, Type: "private"}
		return nil
	}
	e.Chat, e.MessageId = c.Message.Chat.proto(), c.Message.ID
	if c.Message.IsTopic {
		e.ThreadId = c.Message.Thread
	}
	return nil
}

func (r *slimRequest) fill(e *protos.Event) error {
	if !r.Chat.is() || !r.From.is() {
		return fmt.Errorf("chat_join_request: %w", errIncomplete)
	}
	e.Kind, e.Chat, e.From, e.Date = protos.EventKind_JOIN_REQUEST, r.Chat.proto(), r.From.proto(), r.Date
	e.UserChatId = r.UserChatID
	if r.Link != nil {
		e.InviteLinkName = r.Link.Name
	}
	return nil
}

// is reports whether it says at least who it is.
func (u *slimUser) is() bool { return u != nil && u.ID != 0 }

func (u *slimUser) proto() *protos.User {
	if u == nil {
		return nil
	}
	return &protos.User{
		Id: u.ID, IsBot: u.IsBot, FirstName: u.FirstName, LastName: u.LastName, Username: u.Username, LanguageCode: u.Language,
	}
}

// is reports whether it says at least which it is.
func (c *slimChat) is() bool { return c != nil && c.ID != 0 }

func (c *slimChat) proto() *protos.Chat {
	if c == nil {
		return nil
	}
	return &protos.Chat{Id: c.ID, Type: c.Type, Title: c.Title, Username: c.Username, IsForum: c.IsForum}
}
