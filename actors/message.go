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
	trigger trigger
	user    *protos.User
	event   *protos.Event // nil when no update stands behind it
	rules   *rules        // shared by all wants of a group: nobody changes it
	exempt  bool          // nothing is asked of the person
	seq     uint64        // counts the wants sent to this child
	ackTo   *actor.PID    // gets GroupSettled{tag}
	ackTag  uint64
	date    int64          // Unix seconds: when Telegram says it happened
	at      int64          // Unix milliseconds: when it was read here
	lang    string         // language of the person's client
	pending int64          // a channel the person has asked to join; 0 = none
	before  *protos.Member // the standing that our own mute replaced, as Telegram tells it
	own     *protos.Member // what an act of ours made of the person, as Telegram tells it
	told    bool           // who pressed was given an interim answer
	noted   bool           // the row says already what this is about
	kept    bool           // the store says already that there is more to look at: nothing is to be settled any more
}

// rules are a group's wishes at one moment.
type rules struct {
	channels []persistence.Channel // none when protection is off
	wishes   persistence.Settings
	braked   map[int64]bool // channels whose "outside" is not believed now
	released map[int64]bool // channels whose people really left, as an administrator said
}

// gentle: who has not joined is not muted at once.
func (r *rules) gentle() bool {
	return len(r.channels) > 0 && r.wishes.Action != persistence.ActionMute
}

func (w *want) events() []*protos.Event {
	if w.event == nil {
		return nil
	}
	return []*protos.Event{w.event}
}

// retryLoad is the time to read a row again.
type retryLoad struct{}

// rowLoaded brings a verification what is known of its person. The store's reader goroutine sends it.
type rowLoaded struct {
	known persistence.Person
	err   error
}

// committed reports a change of a verification's row. The store's writer sends it.
type committed struct {
	run  uint64
	then func(c actor.Context) // what waits for it
	copy func(c actor.Context) // instead of that, where old; nil: the row is read again
	old  bool                  // all its events were done in an earlier life, nothing was changed
	done []int64               // messages of those of its events that were
	err  error
}

// tick wakes a verification: a retry, or a run that hangs.
type tick struct{ run uint64 }

// pressLate is the moment a person who pressed gets an interim answer.
type pressLate struct{ run uint64 }

// keepTick is the moment what waits for the end of a run is made durable. The verification sends it to itself.
type keepTick struct{}

// flowDone tells the group that a verification has nothing to do; handled is the last want it saw.
type flowDone struct {
	user    int64
	handled uint64
	row     persistence.Flow // that is left; its state is empty without one
	gone    []int64          // messages that have been dealt with, the last of them
	blind   bool             // whether the store has a row is not known
}

// noticeAdd asks the group to show a person the way.
type noticeAdd struct {
	user    int64
	name    string
	thread  int64
	missing []int64 // channel ids
	reason  noticeReason
	count   int // of warnings, this one included
}

// noticeReason is why somebody is shown the way; it ends the id of the notice's words.
type noticeReason string

const (
	noticeMute   noticeReason = "mute"
	noticeDelete noticeReason = "delete"
	noticeWarn   noticeReason = "warn"
	noticeGrace  noticeReason = "grace"
	noticeMixed  noticeReason = "mixed" // several reasons, or one from before a restart
)

// noticeRemove: nobody needs to show this person the way any more.
type noticeRemove struct{ user int64 }

// excused tells the group that a person is an administrator, so that the next messages cost nothing; or, with no set,
// that one is none any more. What was sent to the verification after the want seen may say otherwise.
type excused struct {
	user int64
	no   bool
	seen uint64
}

// trouble tells the group that the bot could not do something in a place: the group or a channel.
type trouble struct {
	place int64
	kind  persistence.PauseKind
}

// movedTo tells the group that Telegram knows it by another id now.
type movedTo struct{ id int64 }

// exempted tells the group that a moderator has decided for a person.
type exempted struct{ user int64 }

// membershipNews is news of a channel with who waits for its acknowledgement, which may be given later.
type membershipNews struct {
	m    *protos.MembershipChanged
	from *actor.PID
}

// timeNews is a time that came with who waits for its acknowledgement; nil = nobody.
type timeNews struct {
	m    *protos.TimeCame
	from *actor.PID
}

// groupLoaded brings a group its rows. The store's reader goroutine sends it.
type groupLoaded struct {
	group   persistence.Group
	found   bool
	notices []persistence.Notice
	names   map[int64]string
	open    []persistence.Flow
	exempt  []int64
	pauses  []persistence.Pause
	err     error
}

// reload makes a group read its rows again, after a command changed them.
type reload struct {
	recheck bool  // look at everybody the bot muted
	user    int64 // look at this person
}

// noticeEnded tells what became of the end of a notice; one that could not be stored is brought back some time later. The
// group sends it to itself.
type noticeEnded struct {
	n   *notice
	err error
}

// lookAtUser has one person looked at once the rows are read.
type lookAtUser struct{ user int64 }

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
