package telegram

import "github.com/gmbot/gmbot/protos"

// The statuses of a chat member. Source: Bot API, ChatMember.
const (
	StatusCreator       = "creator"
	StatusAdministrator = "administrator"
	StatusMember        = "member"
	StatusRestricted    = "restricted"
	StatusLeft          = "left"
	StatusKicked        = "kicked"
)

// AllPermissions has every bit of protos.Permission set: who is given all of them is a plain member
// again. Source: Bot API, restrictChatMember.
const AllPermissions uint32 = 1<<16 - 1

// NoPermissions is a full mute.
const NoPermissions uint32 = 0

// Present reports whether somebody is in the chat. A restricted person may be outside.
func Present(m *protos.Member) bool {
	switch m.GetStatus() {
	case StatusCreator, StatusAdministrator, StatusMember:
		return true
	case StatusRestricted:
		return m.GetIsMember()
	}
	return false
}

// IsAdmin reports whether somebody is the chat's owner or an administrator.
func IsAdmin(m *protos.Member) bool {
	return m.GetStatus() == StatusCreator || m.GetStatus() == StatusAdministrator
}

// HasRight reports whether an administrator has a right; the owner has all.
func HasRight(m *protos.Member, r protos.Right) bool {
	return m.GetStatus() == StatusCreator || m.GetStatus() == StatusAdministrator && m.GetRights()&(1<<uint(r)) != 0
}

// May reports whether a restricted person may do something; members may do everything.
func May(m *protos.Member, p protos.Permission) bool {
	if m.GetStatus() == StatusRestricted {
		return m.GetPermissions()&(1<<uint(p)) != 0
	}
	return Present(m)
}
