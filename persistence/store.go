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
	// Need is how many of the channels somebody must have joined; 0 = all of them.
	Need int `json:"need,omitempty"`
	// Action is what happens to who breaks the rule.
	Action Action `json:"action,omitempty"`
	// Warnings is how often somebody is warned before the mute, with ActionWarn; 0 = 1.
	Warnings int `json:"warnings,omitempty"`
	// GraceMinutes is how long somebody who joins the group may write before the channels are asked for; 0 = not at all.
	GraceMinutes int `json:"grace_minutes,omitempty"`
	// RemoveHours is after how many hours a muted person is removed from the group; 0 = never.
	RemoveHours int `json:"remove_hours,omitempty"`
	// ChannelPosts is what happens to posts in the name of a foreign channel.
	ChannelPosts ChannelPosts `json:"channel_posts,omitempty"`
	// DeleteService deletes service messages about who joined and left.
	DeleteService bool `json:"delete_service,omitempty"`
	// JoinRequests lets the bot approve requests to join of those who are in the channels.
	JoinRequests bool `json:"join_requests,omitempty"`
	// DeclineHours is after how many hours an open request is declined; 0 = 24.
	DeclineHours int `json:"decline_hours,omitempty"`
	// PendingCounts lets a pending request to join a required channel count as joined.
	PendingCounts bool `json:"pending_counts,omitempty"`
	// Quiet shows no notices.
	Quiet bool `json:"quiet,omitempty"`
	// DryRun decides and records, and touches nobody.
	DryRun bool `json:"dry_run,omitempty"`
}

// Action is what happens to somebody who writes without having joined.
type Action string

// The actions; the zero value mutes and deletes.
const (
	ActionMute   Action = ""
	ActionDelete Action = "delete" // delete only
	ActionWarn   Action = "warn"   // delete and warn, then mute
)

// ChannelPosts is what happens to posts in the name of a channel that is neither required nor linked.
type ChannelPosts string

// What may happen to such posts; the zero value deletes them.
const (
	PostsDelete ChannelPosts = ""
	PostsAllow  ChannelPosts = "allow"
	PostsBan    ChannelPosts = "ban" // delete, and ban the channel from writing here
)

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
	// CauseUnmuted: somebody has lifted our mute, which is to be looked at.
	CauseUnmuted Cause = "unmuted"
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
	OtherMark   int64   // the mark before, of one that is given again: a crash may keep the new one from Telegram; 0 = none
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
	// Seen is the highest message id seen in the chat when the intent was stored. Where none was known then, 0, or less than
	// that: then -Seen is one that was seen later.
	Seen      int64
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

// Person is what a look at somebody in a group begins with.
type Person struct {
	HasFlow   bool
	Flow      Flow
	Warnings  int       // given in the group
	WarnedAt  time.Time // the last
	Seen      bool      // in the group, as a member of its channels
	Requested []int64   // channels the person has asked to join, by id
}

// Exemption says that somebody is never asked for anything in a group.
type Exemption struct {
	GroupID int64
	UserID  int64
	Name    string
	By      int64 // who decided it
	At      time.Time
}

// JoinRequest is a request to join a protected group, or a required channel (Channel is true).
type JoinRequest struct {
	ChatID    int64
	UserID    int64
	Name      string
	Channel   bool
	PrivateID int64 // where the bot may write to the person
	MessageID int64 // what it wrote there; 0 = nothing
	Language  string
	At        time.Time
	ExpiresAt time.Time // then a group's is declined, and a channel's forgotten
}

// Removal is a muted person who is to be removed from a group.
type Removal struct {
	GroupID int64
	UserID  int64
	At      time.Time
}

// MutedAt is a muted row as the sweeper sees it; it also says where a page ends.
type MutedAt struct {
	UntilDate int64 // Unix seconds
	GroupID   int64
	UserID    int64
}

// Proof says when it was last learned whether somebody is in the channels that their group requires.
type Proof struct {
	GroupID int64
	UserID  int64     // 0 = nobody was seen there
	At      time.Time // zero = never
	// Since is the earliest time since when the group requires the channels it requires, and the bot has been
	// told of their joins and leaves; zero = the group requires none.
	Since  time.Time
	Open   bool // the person has a flow
	Paused bool // the group cannot judge now, or is to say whether people really left
}

// Wizard is a conversation in private in which a group and its channel are chosen.
type Wizard struct {
	UserID    int64
	Round     int64 // tells this conversation's buttons from those of an earlier one
	GroupID   int64 // 0 = not chosen yet
	ChannelID int64
	ExpiresAt time.Time
}

// PauseKind is what the bot cannot do.
type PauseKind string

// What the bot may be unable to do in a place.
const (
	CannotJudge  PauseKind = "judge"
	CannotMute   PauseKind = "mute"
	CannotDelete PauseKind = "delete"
	// Braked: unusually many known members of a channel turned outside at once; the owner is to say
	// whether they really left.
	Braked PauseKind = "brake"
)

// Pause says that the bot cannot do something that a group needs, in a place: the group or a channel.
type Pause struct {
	GroupID int64
	PlaceID int64
	Kind    PauseKind
	Since   time.Time
	Told    bool // the owner knows
}

// Counts are the sizes that an operator watches.
type Counts struct {
	Protected int                     // enabled groups
	Flows     map[FlowState]int       // a state that nobody is in has no entry
	Oldest    map[FlowState]time.Time // when the oldest flow in a state began; not for muted ones
	Pauses    map[PauseKind]int       // a kind that is nowhere has no entry
	SetAside  int                     // updates nobody could finish, and that are not tried again
	Deferred  int                     // updates that are
}

// SetAside is an update nobody could finish, kept to be tried again, or for a person to look at.
type SetAside struct {
	UpdateID int64
	Raw      []byte // as Telegram sent it
	Reason   string // error and stack, redacted
	At       time.Time
	Again    time.Time // when it is tried again; zero = never
	Tries    int       // how often it was tried again
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
	// NewFlow inserts the row of (GroupID, UserID), and reports false where there is one, which stays as it is. It is
	// refused while the database is away.
	NewFlow(f Flow) (made bool, err error)
	// CloseFlow deletes the row; a missing one is no error.
	CloseFlow(groupID, userID int64) error
	// FreeAll has every flow of a group be tried at once, and returns how many there are. One that sleeps, muted, turns
	// into freeing; the others are open already, and what they say of how far they have come stays.
	FreeAll(groupID int64) (n int, err error)
	// SawMember notes that a person is in a group (feeds leave handling); an older time than the stored
	// one changes nothing.
	SawMember(groupID, userID int64, at time.Time) error
	// Proved notes when it was learned whether somebody seen in a group is in the channels it requires; an
	// older time than the stored one changes nothing, nor does it for who was not seen. It is not kept while
	// the database is away: what is lost costs one question.
	Proved(groupID, userID int64, at time.Time) error
	// ForgetMember is the opposite of SawMember.
	ForgetMember(groupID, userID int64) error

	// Exempt inserts or replaces an exemption.
	Exempt(e Exemption) error
	// Unexempt ends one and reports whether there was one.
	Unexempt(groupID, userID int64) (was bool, err error)
	// Warn counts one more warning of a person in a group and returns how many there are now.
	Warn(groupID, userID int64, at time.Time) (count int, err error)
	// ClearWarnings forgets a person's warnings; none is no error.
	ClearWarnings(groupID, userID int64) error
	// SaveRemoval inserts or replaces the removal of (GroupID, UserID).
	SaveRemoval(r Removal) error
	// DropRemoval deletes it; a missing one is no error.
	DropRemoval(groupID, userID int64) error
	// SaveJoinRequest inserts or replaces the request of (ChatID, UserID).
	SaveJoinRequest(r JoinRequest) error
	// DropJoinRequest deletes it; a missing one is no error.
	DropJoinRequest(chatID, userID int64) error
	// SaveWizard inserts or replaces a person's wizard.
	SaveWizard(w Wizard) error
	// DropWizard deletes it; a missing one is no error.
	DropWizard(userID int64) error
	// SavePause inserts a pause; of one that stands only Told may turn true.
	SavePause(p Pause) error
	// DropPause deletes it; a missing one is no error. With CannotJudge, what was learned of the place before
	// now is not kept true by pushes any more, see Proof.Since.
	DropPause(groupID, placeID int64, kind PauseKind) error
	// SetChannel changes what is known of a channel; an empty invite link leaves the stored one. An unknown
	// channel is no error.
	SetChannel(c Channel) error
	// ForgetPerson deletes what is stored about a person, except enabled groups they own and mutes that
	// stand, of which only the name goes. It returns how many rows that were.
	ForgetPerson(userID int64) (rows int, err error)

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
	// DropAside forgets an update that was put aside and has been finished since; one that is unknown is no error.
	DropAside(updateID int64) error
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

// ChannelSeen is how many people were seen where a channel is required.
type ChannelSeen struct {
	ChannelID int64
	People    int
}

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
	// OldestProofs lists at most limit enabled groups by id, from the one after afterGroup, each with the person
	// seen there whose proof is oldest; see Tx.Proved.
	OldestProofs(ctx context.Context, afterGroup int64, limit int) ([]Proof, error)
	// CountSeen counts the people seen in the enabled groups that require a channel.
	CountSeen(ctx context.Context, channelID int64) (int64, error)
	// SeenByChannel counts, for each channel by id, the people seen since a time in the enabled groups that require
	// it, or in one group unless groupID is 0. It looks at all of them.
	SeenByChannel(ctx context.Context, groupID int64, since time.Time) ([]ChannelSeen, error)
	// SeenForChannel lists at most limit of the people that SeenByChannel counts for a channel, each once, by user
	// id, from the one after afterUser.
	SeenForChannel(ctx context.Context, groupID int64, since time.Time, channelID, afterUser int64, limit int) ([]int64, error)
	// Flow returns the row of a person in a group; ErrNotFound.
	Flow(ctx context.Context, groupID, userID int64) (Flow, error)
	// Person is what is known of a person in a group, in one question; the zero value where nothing is.
	Person(ctx context.Context, groupID, userID int64) (Person, error)
	// FlowsOfUser lists a person's flows by group id.
	FlowsOfUser(ctx context.Context, userID int64) ([]Flow, error)
	// FlowsOfGroup lists at most limit of a group's flows by user id, from the one after afterUser.
	FlowsOfGroup(ctx context.Context, groupID, afterUser int64, limit int) ([]Flow, error)
	// MutedFlows lists at most limit muted rows whose until_date is before a time (Unix seconds), the first
	// to end first, from the one after after.
	MutedFlows(ctx context.Context, before int64, after MutedAt, limit int) ([]MutedAt, error)
	// OpenFlowsOfGroup lists a group's flows that have something to do: every state but muted, and
	// muted ones with messages left to delete; oldest first.
	OpenFlowsOfGroup(ctx context.Context, groupID int64, limit int) ([]Flow, error)
	// OpenGroups lists groups, enabled or not, that have work to take up after a start: open flows (see
	// OpenFlowsOfGroup), a notice, or any flow although protection is off; oldest first (flows by Since, notices by ExpiresAt).
	OpenGroups(ctx context.Context) ([]int64, error)
	// IsExempt reports whether a person is exempt in a group.
	IsExempt(ctx context.Context, groupID, userID int64) (bool, error)
	// Exemptions lists at most limit of a group's exemptions by user id, from the one after afterUser.
	Exemptions(ctx context.Context, groupID, afterUser int64, limit int) ([]Exemption, error)
	// RemovalsBefore lists at most limit removals whose time is at or before at, oldest first.
	RemovalsBefore(ctx context.Context, at time.Time, limit int) ([]Removal, error)
	// JoinRequest returns the request of a person to join a chat; ErrNotFound.
	JoinRequest(ctx context.Context, chatID, userID int64) (JoinRequest, error)
	// JoinRequestsOf lists a person's requests by chat id.
	JoinRequestsOf(ctx context.Context, userID int64) ([]JoinRequest, error)
	// JoinRequestsBefore lists at most limit requests that expire at or before at, oldest first.
	JoinRequestsBefore(ctx context.Context, at time.Time, limit int) ([]JoinRequest, error)
	// Wizard returns a person's wizard, also one that has expired; ErrNotFound.
	Wizard(ctx context.Context, userID int64) (Wizard, error)
	// Pauses lists what the bot cannot do for a group.
	Pauses(ctx context.Context, groupID int64) ([]Pause, error)
	// LatelySeen lists at most limit people seen in a group, the last seen first.
	LatelySeen(ctx context.Context, groupID int64, limit int) ([]int64, error)
	// GroupsOfOwner lists at most limit groups of an owner, enabled ones first; without settings and channels.
	GroupsOfOwner(ctx context.Context, ownerID int64, limit int) ([]Group, error)
	// AuditOf lists at most limit entries about a person in a group, the last written first.
	AuditOf(ctx context.Context, groupID, userID int64, limit int) ([]AuditEntry, error)
	// CountFlows counts a group's flows by state; a state that nobody is in has no entry.
	CountFlows(ctx context.Context, groupID int64) (map[FlowState]int, error)
	// Counts says how much of everything there is. It looks at every open row and costs up to some tenths of a
	// second with a million of muted ones.
	Counts(ctx context.Context) (Counts, error)
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
	// SetAsides lists at most limit updates nobody could finish, latest first, without those that are tried again.
	SetAsides(ctx context.Context, limit int) ([]SetAside, error)
	// Deferred lists at most limit updates that are to be tried again, next first.
	Deferred(ctx context.Context, limit int) ([]SetAside, error)
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
	// KeepSeenMembers, KeepWarnings, KeepSetAside. It works in small transactions and lets changes through between them.
	Prune(ctx context.Context, now time.Time) error
	// Hold makes every read but Meta and Ping fail with ErrUnavailable until it is called with false: promised
	// changes stand in a journal only, and what the rows say is not true now. Changes are not held.
	Hold(on bool)
	// Close waits for the calls under way and ends it; later calls return ErrClosed. It tolerates being
	// called twice.
	Close() error
}
