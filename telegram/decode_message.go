package telegram

import (
	"fmt"

	"github.com/gmbot/gmbot/protos"
)

// rest is what of a message stands for something only together with the rest of it.
type rest struct {
	edited         int64
	caption        string
	command        bool // the text begins with a command
	captionCommand bool
	thread         int64
	topic          bool
	joined         bool
	left           *protos.User
	service        bool
}

// message reads Message. Source: Bot API.
func (w *walker) message(p *parcel, kind protos.EventKind) error {
	var r rest
	if err := w.readMessage(p, &r); err != nil {
		return err
	}
	e := &p.e
	if e.GetChat().GetId() == 0 || e.GetMessageId() == 0 {
		return fmt.Errorf("message: %w", errIncomplete)
	}
	e.Kind, e.Date, e.IsCommand = kind, max(e.GetDate(), r.edited), r.command
	if e.GetText() == "" {
		e.Text, e.IsCommand = r.caption, r.captionCommand
	}
	switch {
	case r.joined:
		e.Kind = protos.EventKind_MEMBERS_JOINED
	case r.left != nil:
		e.Kind, e.Users = protos.EventKind_MEMBER_LEFT, []*protos.User{r.left}
	case e.GetMigrateTo() != 0 || e.GetMigrateFrom() != 0:
		e.Kind = protos.EventKind_MIGRATED
	case r.service:
		e.Kind = protos.EventKind_SERVICE
	}
	return nil
}

func (w *walker) readMessage(p *parcel, r *rest) error {
	e := &p.e
	err := w.object(func(key []byte) (err error) {
		switch string(key) {
		case "message_id":
			err = w.int64(&e.MessageId)
		case "from":
			e.From, err = w.user(&p.from)
		case "chat":
			e.Chat, err = w.chat(&p.chat)
		case "sender_chat":
			e.SenderChat, err = w.chat(nil)
		case "date":
			err = w.int64(&e.Date)
		case "edit_date":
			err = w.int64(&r.edited)
		case "text":
			err = w.string(&e.Text)
		case "entities":
			r.command, err = w.startsWithCommand()
		case "caption":
			err = w.string(&r.caption)
		case "caption_entities":
			r.captionCommand, err = w.startsWithCommand()
		case "message_thread_id":
			err = w.int64(&r.thread)
		case "is_topic_message":
			err = w.bool(&r.topic)
		case "media_group_id":
			err = w.string(&e.MediaGroupId)
		case "is_automatic_forward":
			err = w.bool(&e.AutomaticForward)
		case "reply_to_message":
			err = w.reply(e)
		case "document":
			e.Document, err = w.document()
		default:
			err = w.notice(e, r, key)
		}
		return err
	})
	if r.topic {
		e.ThreadId = r.thread
	}
	return err
}

// notice reads what tells of a change in the chat rather than of something written.
func (w *walker) notice(e *protos.Event, r *rest, key []byte) (err error) {
	switch string(key) {
	case "new_chat_members":
		err = w.list(func() error {
			u, err := w.user(nil)
			if u == nil {
				u = &protos.User{}
			}
			r.joined = true
			e.Users = append(e.Users, u)
			return err
		})
	case "left_chat_member":
		r.left, err = w.user(nil)
	case "migrate_to_chat_id":
		err = w.int64(&e.MigrateTo)
	case "migrate_from_chat_id":
		err = w.int64(&e.MigrateFrom)
	case "chat_shared":
		err = w.shared(e)
	default:
		r.service = r.service || isService(key)
		err = w.skip()
	}
	return err
}

// stands reads what tells a message of the bot's from others.
func (w *walker) stands() (*protos.Stands, error) {
	var p parcel
	if err := w.readMessage(&p, &rest{}); err != nil {
		return nil, err
	}
	return &protos.Stands{ThreadId: p.e.GetThreadId(), Date: p.e.GetDate(), Text: p.e.GetText()}, nil
}

// startsWithCommand reads entities. Source: Bot API, MessageEntity.
func (w *walker) startsWithCommand() (command bool, err error) {
	err = w.list(func() error {
		var offset int64
		var isCommand bool
		if w.null() {
			return nil
		}
		err := w.object(func(key []byte) error {
			switch string(key) {
			case "type":
				if w.null() {
					return nil
				}
				b, err := w.bytes()
				isCommand = string(b) == "bot_command"
				return err
			case "offset":
				return w.int64(&offset)
			}
			return w.skip()
		})
		command = command || isCommand && offset == 0
		return err
	})
	return command, err
}

// reply reads what is needed of the message that one answers to.
func (w *walker) reply(e *protos.Event) error {
	if w.null() {
		return nil
	}
	return w.object(func(key []byte) (err error) {
		switch string(key) {
		case "message_id":
			err = w.int64(&e.ReplyMessageId)
		case "from":
			e.ReplyUser, err = w.user(nil)
		case "forward_origin":
			err = w.field("chat", func() (err error) {
				e.ReplyOriginChat, err = w.chat(nil)
				return err
			})
		case "document":
			e.ReplyDocument, err = w.document()
		default:
			err = w.skip()
		}
		return err
	})
}

func (w *walker) shared(e *protos.Event) error {
	if w.null() {
		return nil
	}
	return w.object(func(key []byte) error {
		switch string(key) {
		case "request_id":
			if w.null() {
				return nil
			}
			n, err := w.d.UInt32()
			e.SharedRequestId = n
			return err
		case "chat_id":
			return w.int64(&e.SharedChatId)
		}
		return w.skip()
	})
}

func (w *walker) document() (*protos.Document, error) {
	if w.null() {
		return nil, nil //nolint:nilnil // none is no error
	}
	f := &protos.Document{}
	return f, w.object(func(key []byte) error {
		switch string(key) {
		case "file_id":
			return w.string(&f.FileId)
		case "file_name":
			return w.string(&f.Name)
		case "file_size":
			return w.int64(&f.Size)
		}
		return w.skip()
	})
}
