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

// parcel is the memory of one event with what nearly each has.
type parcel struct {
	e    protos.Event
	chat protos.Chat
	from protos.User
}

// Decode reads what gating needs of one update. A kind of no concern is OTHER; what lacks the fields
// its kind must have, or has them in the wrong type, is an error.
func Decode(raw json.RawMessage, receivedMs int64) (*protos.Event, error) {
	p := &parcel{}
	p.e.ReceivedMs = receivedMs
	numbered := false
	err := walk(raw, func(w *walker) error {
		return w.object(func(key []byte) error {
			switch {
			case string(key) == "update_id":
				numbered = !w.null()
				if !numbered {
					return nil
				}
				return w.int64(&p.e.UpdateId)
			case p.e.GetKind() != protos.EventKind_OTHER: // an update has one kind
				return w.skip()
			case w.null():
				return nil
			}
			return w.kind(p, key)
		})
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("decode an update: %w", err)
	case !numbered:
		return nil, ErrNoUpdateID
	}
	return &p.e, nil
}

var errIncomplete = errors.New("update lacks a field that its kind must have")

// kind reads what an update is about. Source: Bot API, Update.
func (w *walker) kind(p *parcel, key []byte) error {
	switch string(key) {
	case "message":
		return w.message(p, protos.EventKind_MESSAGE)
	case "edited_message":
		return w.message(p, protos.EventKind_EDITED_MESSAGE)
	case "chat_member":
		return w.change(p, protos.EventKind_CHAT_MEMBER)
	case "my_chat_member":
		return w.change(p, protos.EventKind_MY_CHAT_MEMBER)
	case "callback_query":
		return w.callback(p)
	case "chat_join_request":
		return w.request(p)
	}
	return w.skip()
}

// change reads ChatMemberUpdated.
func (w *walker) change(p *parcel, kind protos.EventKind) error {
	e := &p.e
	err := w.object(func(key []byte) (err error) {
		switch string(key) {
		case "chat":
			e.Chat, err = w.chat(&p.chat)
		case "from":
			e.From, err = w.user(&p.from)
		case "date":
			err = w.int64(&e.Date)
		case "old_chat_member":
			e.Before, err = w.member()
		case "new_chat_member":
			e.After, err = w.member()
		default:
			err = w.skip()
		}
		return err
	})
	if err == nil && (e.GetChat().GetId() == 0 || e.GetBefore().GetStatus() == "" || e.GetAfter().GetStatus() == "" ||
		e.GetAfter().GetUser().GetId() == 0) {
		err = fmt.Errorf("chat_member: %w", errIncomplete)
	}
	e.Kind = kind
	return err
}

// callback reads CallbackQuery.
func (w *walker) callback(p *parcel) error {
	e, on := &p.e, parcel{}
	err := w.object(func(key []byte) (err error) {
		switch string(key) {
		case "id":
			err = w.string(&e.CallbackId)
		case "from":
			e.From, err = w.user(&p.from)
		case "message":
			if !w.null() {
				err = w.readMessage(&on, &rest{})
			}
		case "data":
			err = w.string(&e.CallbackData)
		default:
			err = w.skip()
		}
		return err
	})
	if err != nil {
		return err
	}
	chat := on.e.GetChat()
	if e.GetCallbackId() == "" || e.GetFrom().GetId() == 0 || chat != nil && chat.GetId() == 0 {
		return fmt.Errorf("callback_query: %w", errIncomplete)
	}
	e.Kind, e.MessageId, e.ThreadId = protos.EventKind_CALLBACK, on.e.GetMessageId(), on.e.GetThreadId()
	e.Chat, e.CallbackDate = chat, on.e.GetDate()
	if chat == nil {
		// Pressed on an inline message: it belongs to no chat of ours, but is answered in private's stead.
		e.CallbackDate = 0
		e.Chat, e.MessageId, e.ThreadId = &protos.Chat{Id: e.GetFrom().GetId(), Type: "private"}, 0, 0
	}
	return nil
}

// request reads ChatJoinRequest.
func (w *walker) request(p *parcel) error {
	e := &p.e
	err := w.object(func(key []byte) (err error) {
		switch string(key) {
		case "chat":
			e.Chat, err = w.chat(&p.chat)
		case "from":
			e.From, err = w.user(&p.from)
		case "user_chat_id":
			err = w.int64(&e.UserChatId)
		case "date":
			err = w.int64(&e.Date)
		case "invite_link":
			err = w.field("name", func() error { return w.string(&e.InviteLinkName) })
		default:
			err = w.skip()
		}
		return err
	})
	if err == nil && (e.GetChat().GetId() == 0 || e.GetFrom().GetId() == 0) {
		err = fmt.Errorf("chat_join_request: %w", errIncomplete)
	}
	e.Kind = protos.EventKind_JOIN_REQUEST
	return err
}
