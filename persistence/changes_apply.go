package persistence

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/gmbot/gmbot/protos"
)

func applyAll(tx Tx, list []*protos.KeptChange) error {
	for _, kept := range list {
		if err := apply(tx, kept); err != nil {
			return err
		}
	}
	return nil
}

// apply does what was kept, once. Rows are set to what was promised even when the updates behind them were
// marked before; what is counted is then counted already.
func apply(tx Tx, kept *protos.KeptChange) error {
	if fresh, err := tx.MarkSeen(kept.GetId()); err != nil || !fresh {
		return err
	}
	marks, fresh := 0, false
	for _, step := range kept.GetSteps() {
		if step.GetOp() == protos.KeptOp_KEPT_MARK_SEEN {
			var id int64
			if err := arguments(step, &id); err != nil {
				return err
			}
			ok, err := tx.MarkSeen(id)
			if err != nil {
				return err
			}
			marks++
			fresh = fresh || ok
			continue
		}
		counts := step.GetOp() == protos.KeptOp_KEPT_COUNT_DAY || step.GetOp() == protos.KeptOp_KEPT_WARN
		if counts && marks > 0 && !fresh {
			continue
		}
		if err := applyStep(tx, step); err != nil {
			return err
		}
	}
	return nil
}

// arguments decodes what a call was given.
func arguments(step *protos.KeptStep, to ...any) error {
	if err := json.Unmarshal(step.GetArguments(), &to); err != nil {
		return fmt.Errorf("decode %s: %w", step.GetOp(), err)
	}
	return nil
}

// applied decodes a call's only argument and makes the call.
func applied[T any](step *protos.KeptStep, call func(T) error) error {
	var one T
	if err := arguments(step, &one); err != nil {
		return err
	}
	return call(one)
}

// appliedPair does the same for calls with two arguments.
func appliedPair[A, B any](step *protos.KeptStep, call func(A, B) error) error {
	var a A
	var b B
	if err := arguments(step, &a, &b); err != nil {
		return err
	}
	return call(a, b)
}

func applyStep(tx Tx, step *protos.KeptStep) error {
	switch step.GetOp() {
	case protos.KeptOp_KEPT_SAVE_FLOW:
		return applied(step, tx.SaveFlow)
	case protos.KeptOp_KEPT_CLOSE_FLOW:
		return appliedPair(step, tx.CloseFlow)
	case protos.KeptOp_KEPT_FORGET_MEMBER:
		return appliedPair(step, tx.ForgetMember)
	case protos.KeptOp_KEPT_EXEMPT:
		return applied(step, tx.Exempt)
	case protos.KeptOp_KEPT_CLEAR_WARNINGS:
		return appliedPair(step, tx.ClearWarnings)
	case protos.KeptOp_KEPT_SAVE_REMOVAL:
		return applied(step, tx.SaveRemoval)
	case protos.KeptOp_KEPT_DROP_REMOVAL:
		return appliedPair(step, tx.DropRemoval)
	case protos.KeptOp_KEPT_SAVE_JOIN_REQUEST:
		return applied(step, tx.SaveJoinRequest)
	case protos.KeptOp_KEPT_DROP_JOIN_REQUEST:
		return appliedPair(step, tx.DropJoinRequest)
	case protos.KeptOp_KEPT_SAVE_PAUSE:
		return applied(step, tx.SavePause)
	case protos.KeptOp_KEPT_SET_CHANNEL:
		return applied(step, tx.SetChannel)
	case protos.KeptOp_KEPT_SAVE_NOTICE:
		return applied(step, tx.SaveNotice)
	case protos.KeptOp_KEPT_DROP_NOTICE:
		return appliedPair(step, tx.DropNotice)
	case protos.KeptOp_KEPT_ADD_DUE:
		return applied(step, tx.AddDue)
	case protos.KeptOp_KEPT_DROP_DUE:
		return appliedPair(step, tx.DropDue)
	case protos.KeptOp_KEPT_SET_META:
		return appliedPair(step, tx.SetMeta)
	default:
		return applyLong(tx, step)
	}
}

// applyLong makes the calls with more arguments.
func applyLong(tx Tx, step *protos.KeptStep) error {
	var group, user, actor, by int64
	var at time.Time
	var word, detail string
	var kind PauseKind
	var err error
	switch step.GetOp() {
	case protos.KeptOp_KEPT_SAW_MEMBER:
		if err = arguments(step, &group, &user, &at); err == nil {
			err = tx.SawMember(group, user, at)
		}
	case protos.KeptOp_KEPT_WARN:
		if err = arguments(step, &group, &user, &at); err == nil {
			_, err = tx.Warn(group, user, at)
		}
	case protos.KeptOp_KEPT_DROP_PAUSE:
		if err = arguments(step, &group, &user, &kind); err == nil {
			err = tx.DropPause(group, user, kind)
		}
	case protos.KeptOp_KEPT_AUDIT:
		if err = arguments(step, &at, &group, &actor, &user, &word, &detail); err == nil {
			err = tx.Audit(at, group, actor, user, word, detail)
		}
	case protos.KeptOp_KEPT_COUNT_DAY:
		if err = arguments(step, &word, &group, &detail, &by); err == nil {
			err = tx.CountDay(word, group, detail, by)
		}
	default:
		err = fmt.Errorf("unknown call %s", step.GetOp())
	}
	return err
}
