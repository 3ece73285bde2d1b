package telegram

import "github.com/go-faster/jx"

// permissionNames are the fields of ChatPermissions in the order of protos.Permission.
var permissionNames = [16]string{
	"can_send_messages", "can_send_audios", "can_send_documents", "can_send_photos", "can_send_videos",
	"can_send_video_notes", "can_send_voice_notes", "can_send_polls", "can_send_other_messages",
	"can_add_web_page_previews", "can_react_to_messages", "can_edit_tag", "can_change_info", "can_invite_users",
	"can_pin_messages", "can_manage_topics",
}

// chatPermissions writes every flag: one left out may be implied by another. Source: Bot API,
// ChatPermissions.
func chatPermissions(e *jx.Encoder, set uint32) {
	e.ObjStart()
	for i, name := range permissionNames {
		e.FieldStart(name)
		e.Bool(set&(1<<uint(i)) != 0)
	}
	e.ObjEnd()
}

// bitOf is the bit of a flag's name in protos.Permission or protos.Right; 0 if it is none of them.
func bitOf[names [16]string | [6]string](of *names, key []byte) uint32 {
	for i := range len(*of) {
		if (*of)[i] == string(key) {
			return 1 << uint(i)
		}
	}
	return 0
}
