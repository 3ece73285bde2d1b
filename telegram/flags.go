package telegram

import "github.com/gmbot/gmbot/protos"

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

// permissionNames are the fields of ChatPermissions in the order of protos.Permission.
var permissionNames = [16]string{
	"can_send_messages", "can_send_audios", "can_send_documents", "can_send_photos", "can_send_videos",
	"can_send_video_notes", "can_send_voice_notes", "can_send_polls", "can_send_other_messages",
	"can_add_web_page_previews", "can_react_to_messages", "can_edit_tag", "can_change_info", "can_invite_users",
	"can_pin_messages", "can_manage_topics",
}

// chatPermissions says every flag: one left out may be implied by another. Source: Bot API,
// ChatPermissions.
func chatPermissions(set uint32) map[string]bool {
	p := make(map[string]bool, len(permissionNames))
	for i, name := range permissionNames {
		p[name] = set&(1<<uint(i)) != 0
	}
	return p
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
