package persistence

import (
	"context"
	"errors"
	"time"
)

// Errors that callers tell apart.
var (
	// ErrNotFound: no such row.
	ErrNotFound = errors.New("not found")
	// ErrBusy: the writer's queue is full; nothing was done.
	ErrBusy = errors.New("store is busy")
	// ErrClosed: the store or its writer was closed; nothing was done.
	ErrClosed = errors.New("store is closed")
	// ErrUnavailable: the database failed (locked, disk, damaged, context ended). What was asked is
	// not to blame and may be tried again.
	ErrUnavailable = errors.New("database unavailable")
	// ErrSchemaNewer: the database was migrated by a newer program.
	ErrSchemaNewer = errors.New("database schema is newer than this program")
)

// Settings are a group's wishes, stored as JSON. The zero value means the defaults, so that a new
// setting needs no migration.
type Settings struct {
	// NoticeSeconds is how long a notice stays at most; 0 = 300.
	NoticeSeconds int `json:"notice_seconds,omitempty"`
	// JoinCheckOff lets people who join the group write until their first message is judged.
	JoinCheckOff bool `json:"join_check_off,omitempty"`
	// Language is the IETF tag of the group's texts; empty = English.
	Language string `json:"language,omitempty"`
}

// Channel is a channel that some group requires.
type Channel struct {
	ID         int64
	Title      string
	Username   string // without @; empty for a private channel
	InviteLink string // own named link of a private channel; a secret
}

// Group is one protected supergroup with its required channels in the order they were added.
type Group struct {
	ID       int64
	OwnerID  int64
	Title    string
	Enabled  bool
	Settings Settings
	Version  int64 // grows with every change
	Channels []Channel
}

// Owner is the person who protects groups.
type Owner struct {
	ID       int64
	Username string
}

// FlowState says how far a flow has come. There is no state for "free": its row is gone.
type FlowState string

// The states of a flow.
const (
	Checking FlowState = "checking" // asked, nothing done yet
	Muting   FlowState = "muting"   // decided, restrictChatMember not confirmed
	Muted    FlowState = "muted"    // restricted by us; sleeps without an actor
	Freeing  FlowState = "freeing"  // to be freed, not confirmed
)

// Cause says what began a flow.
type Cause string

// The causes of a flow.
const (
	CauseMessage Cause = "message"
	CauseJoin    Cause = "join"
	CauseLeave   Cause = "leave"
	CauseSweep   Cause = "sweep"
)

// Rights are the rights a person had before a mute of ours; nil on a flow means a plain member.
type Rights struct {
	Permissions uint32 `json:"permissions"`          // bits of protos.Permission
	UntilDate   int64  `json:"until_date,omitempty"` // Unix seconds, 0 = for ever
}

// Flow is one person's open business in one group: at most one row for the pair.
type Flow struct {
	GroupID     int64
	UserID      int64
	Name        string // the person's name when the flow began, for notices after a restart
	State       FlowState
	Cause       Cause
	Since       time.Time
	Before      *Rights
	UntilDate   int64   // Unix seconds: our mark on the mute; 0 = none given yet
	Messages    []int64 // messages still to delete
	ThreadID    int64   // topic of the last violation
	Attempts    int
	NextAttempt time.Time // zero = now
}

// Notice is the one living notice of a group and topic.
type Notice struct {
	GroupID   int64
	ThreadID  int64
	MessageID int64 // 0 = an intent: about to be sent, or sent with its answer lost
	Seen      int64 // highest message id seen in the chat when the intent was stored
	People    []int64
	ExpiresAt time.Time
}

// Due is an act that waits for its time: delete a message.
type Due struct {
	ID        int64
	ChatID    int64
	MessageID int64
	At        time.Time
}

// SetAside is an update nobody could finish, kept for a person to look at.
type SetAside struct {
	UpdateID int64
	Raw      []byte // protos.Event, encoded
	Reason   string // error and stack, redacted
	At       time.Time
}

// AuditEntry is one line of the audit trail; see Tx.Audit.
type AuditEntry struct {
	At      time.Time
	GroupID int64
	ActorID int64
	UserID  int64
	Action  string
	Detail  string
}

// Tx is what one change may do; it is valid only inside the function that was given it, and on that
// function's goroutine. Every method returns an error that says what was tried. After an error of the
// database every further method fails and the change is undone, even if it returns nil.
type Tx interface {
	// MarkSeen notes that an update changed rows. It reports false when that was noted before: then
	// the change must do nothing, for it was done in an earlier life.
	MarkSeen(updateID int64) (fresh bool, err error)

	// SaveGroup inserts or replaces a group, its owner, channels and links, and returns the new version:
	// 1, or one more than the stored one, whatever g.Version says. o must be the owner that g names. The
	// links become exactly g.Channels in their order. An empty username of the owner and an empty invite
	// link of a channel leave what is stored.
	SaveGroup(g Group, o Owner) (version int64, err error)
	// SetGroupEnabled turns protection on or off; ErrNotFound.
	SetGroupEnabled(groupID int64, enabled bool) error
	// RemoveChannel takes a channel from a group's requirements; a missing one is no error.
	RemoveChannel(groupID, channelID int64) error
	// MoveGroup renames a group's id in every table (upgrade of a basic group). Message ids do not carry
	// over to the new chat: the old one's notices and delayed deletions are dropped, and its flows have no
	// messages left to delete. Where both ids have a row, that of to stays; counters are added up. An
	// unknown group is no error.
	MoveGroup(from, to int64) error

	// SaveFlow inserts or replaces the row of (GroupID, UserID).
	SaveFlow(f Flow) error
	// CloseFlow deletes the row; a missing one is no error.
	CloseFlow(groupID, userID int64) error
	// FreeAll turns every flow of a group into freeing, to be tried at once, and returns how many there
	// were.
	FreeAll(groupID int64) (n int, err error)
	// SawMember notes that a person is in a group (feeds leave handling); an older time than the stored
	// one changes nothing.
	SawMember(groupID, userID int64, at time.Time) error
	// ForgetMember is the opposite of SawMember.
	ForgetMember(groupID, userID int64) error

	// SaveNotice inserts or replaces the notice of (GroupID, ThreadID).
	SaveNotice(n Notice) error
	// DropNotice deletes it; a missing one is no error.
	DropNotice(groupID, threadID int64) error

	// AddDue stores a delayed deletion; d.ID is ignored. A message has one: the earliest time counts.
	AddDue(d Due) error
	// DropDue forgets the delayed deletions of the given messages; missing ones are no error.
	DropDue(chatID int64, messageIDs []int64) error

	// PutAside stores an update nobody could finish, in place of an earlier one with its id.
	PutAside(s SetAside) error
	// SetMeta stores a small value of the program's own (last update seen, allowed updates).
	SetMeta(key, value string) error
	// Audit appends to the audit trail. Action is a short word such as "protect" or "mute";
	// detail holds no secret.
	Audit(at time.Time, groupID, actorID, userID int64, action, detail string) error
	// CountDay adds to the counters of a group on a day (UTC, 2006-01-02): column is one of Counters.
	CountDay(day string, groupID int64, column string, by int64) error
}

// Counters are the columns of daily_stats that CountDay knows.
var Counters = []string{"checked", "muted", "verified", "left_again"}

// Reader is what may be asked of a store. Every method is safe for concurrent use and honours ctx.
type Reader interface {
	// ProtectedGroups calls yield with the id of every enabled group until it returns false. One of the
	// store's connections is held meanwhile.
	ProtectedGroups(ctx context.Context, yield func(id int64) bool) error
	// RequiredChannels calls yield once with the id of every channel that an enabled group requires, until
	// it returns false.
	RequiredChannels(ctx context.Context, yield func(id int64) bool) error
	// Group returns a group, enabled or not; ErrNotFound.
	Group(ctx context.Context, id int64) (Group, error)
	// GroupsRequiring lists the enabled groups that require a channel, by id.
	GroupsRequiring(ctx context.Context, channelID int64) ([]int64, error)
	// SeenIn lists which of the enabled groups requiring channelID the person was seen in, by id.
	SeenIn(ctx context.Context, channelID, userID int64) ([]int64, error)
	// Flow returns the row of a person in a group; ErrNotFound.
	Flow(ctx context.Context, groupID, userID int64) (Flow, error)
	// FlowsOfUser lists a person's flows by group id.
	FlowsOfUser(ctx context.Context, userID int64) ([]Flow, error)
	// FlowsOfGroup lists at most limit of a group's flows by user id, from the one after afterUser.
	FlowsOfGroup(ctx context.Context, groupID, afterUser int64, limit int) ([]Flow, error)
	// OpenFlowsOfGroup lists a group's flows that have something to do: every state but muted, and
	// muted ones with messages left to delete; oldest first.
	OpenFlowsOfGroup(ctx context.Context, groupID int64, limit int) ([]Flow, error)
	// OpenGroups lists groups, enabled or not, that have work to take up after a start: open flows (see
	// OpenFlowsOfGroup), a notice, or any flow although protection is off; oldest first (flows by Since, notices by ExpiresAt).
	OpenGroups(ctx context.Context) ([]int64, error)
	// CountFlows counts a group's flows by state; a state that nobody is in has no entry.
	CountFlows(ctx context.Context, groupID int64) (map[FlowState]int, error)
	// Notices lists a group's notices by topic.
	Notices(ctx context.Context, groupID int64) ([]Notice, error)
	// DueBefore lists at most limit delayed acts whose time is at or before at, oldest first.
	DueBefore(ctx context.Context, at time.Time, limit int) ([]Due, error)
	// Seen reports whether an update was marked by MarkSeen.
	Seen(ctx context.Context, updateID int64) (bool, error)
	// Meta returns a value of SetMeta; "" if there is none.
	Meta(ctx context.Context, key string) (string, error)
	// Day returns a group's counters of one day (UTC, 2006-01-02), with all of Counters.
	Day(ctx context.Context, groupID int64, day string) (map[string]int64, error)
	// AuditTrail lists at most limit entries of a group's audit trail, the last written first.
	AuditTrail(ctx context.Context, groupID int64, limit int) ([]AuditEntry, error)
	// SetAsides lists at most limit updates nobody could finish, latest first.
	SetAsides(ctx context.Context, limit int) ([]SetAside, error)
	// Ping reports whether the store answers.
	Ping(ctx context.Context) error
}

// Store is a database. Its methods are safe for concurrent use.
type Store interface {
	Reader
	// Update runs change in one transaction that is durable when Update returns nil. When change
	// returns an error everything is rolled back and that error returned. When change panics everything
	// is rolled back and the panic goes on. When ctx ends before the commit, everything is rolled back.
	// change must not call Update: there is one transaction at a time.
	Update(ctx context.Context, change func(Tx) error) error
	// Prune deletes what is past its retention: KeepSeenUpdates, KeepAudit, KeepDailyStats,
	// KeepSeenMembers, KeepSetAside. It works in small transactions and lets changes through between them.
	Prune(ctx context.Context, now time.Time) error
	// Close waits for the calls under way and ends it; later calls return ErrClosed. It tolerates being
	// called twice.
	Close() error
}
