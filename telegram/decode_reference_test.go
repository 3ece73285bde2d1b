package telegram

import (
	"encoding/json"
	"fmt"

	"github.com/gmbot/gmbot/protos"
)

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
			File   *slimFile   `json:"document"`
		} `json:"reply_to_message"`
		File   *slimFile `json:"document"`
		Shared *struct {
			Request uint32 `json:"request_id"`
			Chat    int64  `json:"chat_id"`
		} `json:"chat_shared"`
		slimService
	}
	slimFile struct {
		ID   string `json:"file_id"`
		Name string `json:"file_name"`
		Size int64  `json:"file_size"`
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

// reference is Decode by the standard library and tags, which is slower and plain to see. It reads what gating needs of one update. A kind of no concern is OTHER; what lacks the fields
// its kind must have, or has them in the wrong type, is an error.
func reference(raw json.RawMessage, receivedMs int64) (*protos.Event, error) {
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
		e.ReplyDocument = r.File.proto()
	}
	e.Document = m.File.proto()
	if m.Shared != nil {
		e.SharedRequestId, e.SharedChatId = m.Shared.Request, m.Shared.Chat
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
	e.Chat, e.MessageId, e.CallbackDate = c.Message.Chat.proto(), c.Message.ID, c.Message.Date
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

func (f *slimFile) proto() *protos.Document {
	if f == nil {
		return nil
	}
	return &protos.Document{FileId: f.ID, Name: f.Name, Size: f.Size}
}

// slimService are service messages: presence is all that matters. A chat that was shared is none of them:
// it is an answer in private that is read. Source: Bot API, Message.
type slimService struct {
	A  json.RawMessage `json:"new_chat_title"`
	B  json.RawMessage `json:"new_chat_photo"`
	C  json.RawMessage `json:"delete_chat_photo"`
	D  json.RawMessage `json:"group_chat_created"`
	E  json.RawMessage `json:"supergroup_chat_created"`
	F  json.RawMessage `json:"pinned_message"`
	G  json.RawMessage `json:"message_auto_delete_timer_changed"`
	H  json.RawMessage `json:"forum_topic_created"`
	I  json.RawMessage `json:"forum_topic_edited"`
	J  json.RawMessage `json:"forum_topic_closed"`
	K  json.RawMessage `json:"forum_topic_reopened"`
	L  json.RawMessage `json:"video_chat_started"`
	M  json.RawMessage `json:"video_chat_ended"`
	N  json.RawMessage `json:"video_chat_scheduled"`
	O  json.RawMessage `json:"video_chat_participants_invited"`
	P  json.RawMessage `json:"boost_added"`
	Q  json.RawMessage `json:"chat_background_set"`
	R  json.RawMessage `json:"general_forum_topic_hidden"`
	S  json.RawMessage `json:"general_forum_topic_unhidden"`
	T  json.RawMessage `json:"users_shared"`
	U  json.RawMessage `json:"web_app_data"`
	V  json.RawMessage `json:"channel_chat_created"`
	W  json.RawMessage `json:"chat_owner_left"`
	X  json.RawMessage `json:"chat_owner_changed"`
	Y  json.RawMessage `json:"successful_payment"`
	Z  json.RawMessage `json:"refunded_payment"`
	AA json.RawMessage `json:"gift"`
	AB json.RawMessage `json:"unique_gift"`
	AC json.RawMessage `json:"gift_upgrade_sent"`
	AD json.RawMessage `json:"write_access_allowed"`
	AE json.RawMessage `json:"proximity_alert_triggered"`
	AF json.RawMessage `json:"checklist_tasks_done"`
	AG json.RawMessage `json:"checklist_tasks_added"`
	AH json.RawMessage `json:"direct_message_price_changed"`
	AI json.RawMessage `json:"giveaway_created"`
	AJ json.RawMessage `json:"giveaway_completed"`
	AK json.RawMessage `json:"managed_bot_created"`
	AL json.RawMessage `json:"paid_message_price_changed"`
	AM json.RawMessage `json:"poll_option_added"`
	AN json.RawMessage `json:"poll_option_deleted"`
	AO json.RawMessage `json:"suggested_post_approved"`
	AP json.RawMessage `json:"suggested_post_approval_failed"`
	AQ json.RawMessage `json:"suggested_post_declined"`
	AR json.RawMessage `json:"suggested_post_paid"`
	AS json.RawMessage `json:"suggested_post_refunded"`
}

func (s *slimService) any() bool {
	for _, f := range []json.RawMessage{
		s.A, s.B, s.C, s.D, s.E, s.F, s.G, s.H, s.I, s.J, s.K, s.L, s.M, s.N, s.O, s.P, s.Q, s.R, s.S, s.T,
		s.U, s.V, s.W, s.X, s.Y, s.Z, s.AA, s.AB, s.AC, s.AD, s.AE, s.AF, s.AG, s.AH, s.AI, s.AJ, s.AK, s.AL, s.AM, s.AN,
		s.AO, s.AP, s.AQ, s.AR, s.AS,
	} {
		if f != nil {
			return true
		}
	}
	return false
}

// slimFlags are what a restricted person may do and what an administrator may; the two sets share
// names. A flag that is missing counts as not given. Source: Bot API, ChatMemberRestricted and
// ChatMemberAdministrator.
type slimFlags struct {
	SendMessages   bool `json:"can_send_messages"`
	SendAudios     bool `json:"can_send_audios"`
	SendDocuments  bool `json:"can_send_documents"`
	SendPhotos     bool `json:"can_send_photos"`
	SendVideos     bool `json:"can_send_videos"`
	SendVideoNotes bool `json:"can_send_video_notes"`
	SendVoiceNotes bool `json:"can_send_voice_notes"`
	SendPolls      bool `json:"can_send_polls"`
	SendOther      bool `json:"can_send_other_messages"`
	WebPreviews    bool `json:"can_add_web_page_previews"`
	React          bool `json:"can_react_to_messages"`
	EditTag        bool `json:"can_edit_tag"`
	ChangeInfo     bool `json:"can_change_info"`
	InviteUsers    bool `json:"can_invite_users"`
	PinMessages    bool `json:"can_pin_messages"`
	ManageTopics   bool `json:"can_manage_topics"`

	ManageChat      bool `json:"can_manage_chat"`
	DeleteMessages  bool `json:"can_delete_messages"`
	RestrictMembers bool `json:"can_restrict_members"`
	PromoteMembers  bool `json:"can_promote_members"`
	PostMessages    bool `json:"can_post_messages"`
}

func (f *slimFlags) permissions() uint32 {
	return bits(
		f.SendMessages, f.SendAudios, f.SendDocuments, f.SendPhotos, f.SendVideos, f.SendVideoNotes, f.SendVoiceNotes,
		f.SendPolls, f.SendOther, f.WebPreviews, f.React, f.EditTag, f.ChangeInfo, f.InviteUsers, f.PinMessages, f.ManageTopics,
	)
}

func (f *slimFlags) rights() uint32 {
	return bits(f.ManageChat, f.DeleteMessages, f.RestrictMembers, f.InviteUsers, f.PromoteMembers, f.PostMessages)
}

func bits(flags ...bool) uint32 {
	var set uint32
	for i, f := range flags {
		if f {
			set |= 1 << uint(i)
		}
	}
	return set
}

func (m *slimMember) proto() *protos.Member {
	p := &protos.Member{User: m.User.proto(), Status: m.Status, IsMember: m.IsMember, UntilDate: m.Until, IsAnonymous: m.Anonymous}
	switch m.Status {
	case StatusRestricted:
		p.Permissions = m.permissions()
	case StatusAdministrator:
		p.Rights = m.rights()
	case StatusCreator:
		p.Rights = bits(true, true, true, true, true, true)
	}
	return p
}
