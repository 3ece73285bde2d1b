package actors

import (
	"github.com/asynkron/protoactor-go/actor"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/protos"
)

// Messages between a parent and its own child, and from an actor to itself. What enters a shard from
// outside is in package protos.

// want asks a verification to look at its person. A group sends it; it is answered by settling.
type want struct {
	trigger  trigger
	user     *protos.User
	event    *protos.Event         // nil when no update stands behind it
	channels []persistence.Channel // the group's requirements now; none when protection is off
	seq      uint64                // counts the wants sent to this child
	ackTo    *actor.PID            // gets GroupSettled{tag}
	ackTag   uint64
	date     int64  // Unix seconds: when Telegram says it happened
	at       int64  // Unix milliseconds: when it was read here
	lang     string // language of the person's client
}

func (w *want) events() []*protos.Event {
	if w.event == nil {
		return nil
	}
	return []*protos.Event{w.event}
}

// retryLoad is the time to read a row again.
type retryLoad struct{}

// rowLoaded brings a verification its row. The store's reader goroutine sends it.
type rowLoaded struct {
	row persistence.Flow
	has bool
	err error
}

// committed reports a change of a verification's row. The store's writer sends it.
type committed struct {
	run  uint64
	then func(c actor.Context) // what waits for it
	old  bool                  // all its events were done in an earlier life, nothing was changed
	err  error
}

// tick wakes a verification: a retry, or a run that hangs.
type tick struct{ run uint64 }

// pressLate is the moment a person who pressed gets an interim answer.
type pressLate struct{ run uint64 }

// flowDone tells the group that a verification has nothing to do; handled is the last want it saw.
type flowDone struct {
	user    int64
	handled uint64
}

// noticeAdd asks the group to show a person the way.
type noticeAdd struct {
	user    *protos.User
	thread  int64
	missing []int64 // channel ids
}

// noticeRemove: nobody needs to show this person the way any more.
type noticeRemove struct{ user int64 }

// excused tells the group that a person is an administrator, so that the next messages cost nothing.
type excused struct{ user int64 }

// groupLoaded brings a group its rows. The store's reader goroutine sends it.
type groupLoaded struct {
	group   persistence.Group
	found   bool
	notices []persistence.Notice
	names   map[int64]string
	open    []persistence.Flow
	err     error
}

// reload makes a group read its rows again, after a command changed them.
type reload struct{ recheck bool }

// recheckPage brings the next page of a group's muted people to look at.
type recheckPage struct {
	flows []persistence.Flow
	err   error
}

// commandDone ends a command's run in its group.
type commandDone struct {
	updateID int64
	judge    *protos.Event // not a command after all, but somebody's message
}

// noticeStored reports that a notice's intent is durable.
type noticeStored struct {
	thread int64
	err    error
}

// noticeTick is the time to look at a group's notices.
type noticeTick struct{}

// mayStop asks a child of a router whether it has work; it answers idle if it has none.
type mayStop struct{}

// idle answers mayStop.
type idle struct{ id int64 }

// sweepKids is the router's time to look for sleepy children.
type sweepKids struct{}

// drain asks a router to stop its children and then itself; it answers drained.
type drain struct{}

// drained answers drain.
type drained struct{}
