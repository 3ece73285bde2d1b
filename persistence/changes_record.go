package persistence

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/gmbot/gmbot/protos"
)

// recorder is a transaction that notes what it is asked for, to be done when the database is back.
type recorder struct {
	kept *protos.KeptChange
	err  error
}

var _ Tx = (*recorder)(nil)

func (r *recorder) note(op protos.KeptOp, arguments ...any) error {
	if r.err != nil {
		return r.err
	}
	b, err := json.Marshal(arguments)
	if err != nil {
		r.err = fmt.Errorf("keep %s: %w", op, err)
		return r.err
	}
	r.kept.Steps = append(r.kept.Steps, &protos.KeptStep{Op: op, Arguments: b})
	return nil
}

// refuse is for calls whose effect depends on rows.
func (r *recorder) refuse(what string) error {
	if r.err == nil {
		r.err = fmt.Errorf("%s: %w", what, ErrUnavailable)
	}
	return r.err
}

// MarkSeen implements Tx: it cannot know; what is applied later does not count anything twice.
func (r *recorder) MarkSeen(updateID int64) (bool, error) {
	return true, r.note(protos.KeptOp_KEPT_MARK_SEEN, updateID)
}

// SaveFlow implements Tx.
func (r *recorder) SaveFlow(f Flow) error { return r.note(protos.KeptOp_KEPT_SAVE_FLOW, f) }

// CloseFlow implements Tx.
func (r *recorder) CloseFlow(groupID, userID int64) error {
	return r.note(protos.KeptOp_KEPT_CLOSE_FLOW, groupID, userID)
}

// SawMember implements Tx.
func (r *recorder) SawMember(groupID, userID int64, at time.Time) error {
	return r.note(protos.KeptOp_KEPT_SAW_MEMBER, groupID, userID, at)
}

// Proved implements Tx: nobody misses it.
func (r *recorder) Proved(int64, int64, time.Time) error { return r.err }

// ForgetMember implements Tx.
func (r *recorder) ForgetMember(groupID, userID int64) error {
	return r.note(protos.KeptOp_KEPT_FORGET_MEMBER, groupID, userID)
}

// Exempt implements Tx.
func (r *recorder) Exempt(e Exemption) error { return r.note(protos.KeptOp_KEPT_EXEMPT, e) }

// Warn implements Tx; it does not know the count.
func (r *recorder) Warn(groupID, userID int64, at time.Time) (int, error) {
	return 0, r.note(protos.KeptOp_KEPT_WARN, groupID, userID, at)
}

// ClearWarnings implements Tx.
func (r *recorder) ClearWarnings(groupID, userID int64) error {
	return r.note(protos.KeptOp_KEPT_CLEAR_WARNINGS, groupID, userID)
}

// SaveRemoval implements Tx.
func (r *recorder) SaveRemoval(x Removal) error { return r.note(protos.KeptOp_KEPT_SAVE_REMOVAL, x) }

// DropRemoval implements Tx.
func (r *recorder) DropRemoval(groupID, userID int64) error {
	return r.note(protos.KeptOp_KEPT_DROP_REMOVAL, groupID, userID)
}

// SaveJoinRequest implements Tx.
func (r *recorder) SaveJoinRequest(x JoinRequest) error {
	return r.note(protos.KeptOp_KEPT_SAVE_JOIN_REQUEST, x)
}

// DropJoinRequest implements Tx.
func (r *recorder) DropJoinRequest(chatID, userID int64) error {
	return r.note(protos.KeptOp_KEPT_DROP_JOIN_REQUEST, chatID, userID)
}

// SavePause implements Tx.
func (r *recorder) SavePause(p Pause) error { return r.note(protos.KeptOp_KEPT_SAVE_PAUSE, p) }

// DropPause implements Tx.
func (r *recorder) DropPause(groupID, placeID int64, kind PauseKind) error {
	return r.note(protos.KeptOp_KEPT_DROP_PAUSE, groupID, placeID, kind)
}

// SetChannel implements Tx.
func (r *recorder) SetChannel(c Channel) error { return r.note(protos.KeptOp_KEPT_SET_CHANNEL, c) }

// SaveNotice implements Tx.
func (r *recorder) SaveNotice(n Notice) error { return r.note(protos.KeptOp_KEPT_SAVE_NOTICE, n) }

// DropNotice implements Tx.
func (r *recorder) DropNotice(groupID, threadID int64) error {
	return r.note(protos.KeptOp_KEPT_DROP_NOTICE, groupID, threadID)
}

// AddDue implements Tx.
func (r *recorder) AddDue(d Due) error { return r.note(protos.KeptOp_KEPT_ADD_DUE, d) }

// DropDue implements Tx.
func (r *recorder) DropDue(chatID int64, messageIDs []int64) error {
	return r.note(protos.KeptOp_KEPT_DROP_DUE, chatID, messageIDs)
}

// SetMeta implements Tx.
func (r *recorder) SetMeta(key, value string) error {
	return r.note(protos.KeptOp_KEPT_SET_META, key, value)
}

// Audit implements Tx.
func (r *recorder) Audit(at time.Time, groupID, actorID, userID int64, action, detail string) error {
	return r.note(protos.KeptOp_KEPT_AUDIT, at, groupID, actorID, userID, action, detail)
}

// CountDay implements Tx.
func (r *recorder) CountDay(day string, groupID int64, column string, by int64) error {
	return r.note(protos.KeptOp_KEPT_COUNT_DAY, day, groupID, column, by)
}

// NewFlow implements Tx.
func (r *recorder) NewFlow(Flow) (bool, error) { return false, r.refuse("insert flow") }

// SaveGroup implements Tx.
func (r *recorder) SaveGroup(Group, Owner) (int64, error) { return 0, r.refuse("save group") }

// SetGroupEnabled implements Tx.
func (r *recorder) SetGroupEnabled(int64, bool) error { return r.refuse("enable group") }

// RemoveChannel implements Tx.
func (r *recorder) RemoveChannel(int64, int64) error { return r.refuse("remove channel") }

// MoveGroup implements Tx.
func (r *recorder) MoveGroup(int64, int64) error { return r.refuse("move group") }

// FreeAll implements Tx.
func (r *recorder) FreeAll(int64) (int, error) { return 0, r.refuse("free all") }

// Unexempt implements Tx.
func (r *recorder) Unexempt(int64, int64) (bool, error) { return false, r.refuse("end exemption") }

// SaveWizard implements Tx.
func (r *recorder) SaveWizard(Wizard) error { return r.refuse("save wizard") }

// DropWizard implements Tx.
func (r *recorder) DropWizard(int64) error { return r.refuse("drop wizard") }

// ForgetPerson implements Tx.
func (r *recorder) ForgetPerson(int64) (int, error) { return 0, r.refuse("forget person") }

// PutAside implements Tx.
func (r *recorder) PutAside(SetAside) error { return r.refuse("put update aside") }

// DropAside implements Tx.
func (r *recorder) DropAside(int64) error { return r.refuse("drop update put aside") }
