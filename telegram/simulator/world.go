package simulator

import (
	"encoding/json"
	"net/http"
	"sync"
	"time"
)

// Options are what a Server is made of; the zero value is useful.
type Options struct {
	// Clock tells the time that dates and expiries are made of; nil: time.Now.
	Clock func() time.Time
	// Switches choose between positions where Telegram's behaviour is not established.
	Switches Switches
	// Latency is how long a method takes before its effect; nil: no time.
	Latency func(method string) time.Duration
	// Validate is called with every request, response and update, when set.
	Validate func(kind, name string, raw []byte) error
	// OnCall is told of each call after it was answered.
	OnCall func(Call)
	// OnEvent is told, in plain words, of what happens in the world. It must not call the server.
	OnEvent func(Event)
	// Seed is what faults draw from: the same seed and the same calls meet the same faults. Ids of updates
	// begin by chance, and with it where it is not 0.
	Seed uint64
	// OnFault is told of each fault that happened. It must not call the server.
	OnFault func(Injected)
	// OnHand is told of each update at the moment it is first sent to its bot. The world is locked meanwhile.
	OnHand func(Handed)
	// LocalWebhooks takes webhooks as a server that is run with --local does: http and any port, too.
	LocalWebhooks bool
	// Webhooks carries updates to webhooks; nil: the network.
	Webhooks http.RoundTripper
	// ForgetCalls keeps no calls for Calls and WaitCall; OnCall hears of them all the same.
	ForgetCalls bool
}

// Handed is an update that was sent to its bot for the first time.
type Handed struct {
	BotID      int64
	UpdateID   int64
	Kind       string // message, chat_member, callback_query …
	ChatID     int64
	UserID     int64  // who wrote, pressed, or acted
	MessageID  int64  // 0 unless it is about a message
	CallbackID string // of a press
}

// Switches are facts that are inferred or from memory; the zero value is what is believed.
type Switches struct {
	// NoServiceMessages: joins and leaves send no service message, as in large groups.
	NoServiceMessages bool
	// QuietBotRestrictions: the bot's own restrictions send it no chat_member.
	QuietBotRestrictions bool
	// CallbackWindow is how long a press can be answered; 0 = 15 s.
	CallbackWindow time.Duration
	// NoLimitOne turns off that a poll repeating its offset within half a second gets one update.
	NoLimitOne bool
	// NoRepeatWait turns off that a poll repeating its offset within three seconds waits for at least three.
	NoRepeatWait bool
	// NoConflictWait turns off that a conflict within three seconds of another is told three seconds late.
	NoConflictWait bool
	// MessageLimits applies Telegram's limits on messages and edits: 20 a minute in one group, one a second
	// in a chat with bursts of five, 30 a second in all.
	MessageLimits bool
	// PrivacyForAdmins: a bot in privacy mode sees only what is meant for it also where it is an administrator.
	PrivacyForAdmins bool
	// LeaveMessagesUpTo: above so many members no service message tells of a leave; 0 = any number.
	LeaveMessagesUpTo int
	// ExpiryTells: the end of a restriction or ban by its time sends chat_member.
	ExpiryTells bool
	// UnknownAtFirst: so long after the first question about somebody who never was in a chat, the answer is
	// that the id is invalid.
	UnknownAtFirst time.Duration
	// UnlockFrees: opening a chat for everybody ends the restrictions of single people.
	UnlockFrees bool
	// MutedCannotPress: who may not write cannot press buttons either.
	MutedCannotPress bool
	// AnonymousPresses: a press of an anonymous administrator comes from the account that stands for them.
	AnonymousPresses bool
	// DeclinedForGood: who was declined cannot ask to join again.
	DeclinedForGood bool
	// UpgradeOnPromotion: an administrator with rights of its own makes a basic group a supergroup.
	UpgradeOnPromotion bool
	// OtherTexts: error texts that are only remembered read otherwise.
	OtherTexts bool
	// IgnoresEphemeral: messages for one person are sent to all, as by a server that does not know them.
	IgnoresEphemeral bool
}

// Event is something that happened in the world.
type Event struct {
	Kind   string // join, leave, write, press, restrict, delete, send, edit, answer, promote …
	ChatID int64
	UserID int64 // who did it
	Target int64 // whom it befell
	Text   string
	// MessageID is the message that was sent, edited, written or deleted.
	MessageID int64
}

// Call is one call a bot made, with its answer.
type Call struct {
	Seq    uint64
	At     time.Time
	BotID  int64
	Method string
	Params map[string]any
	Status int // HTTP status
	Error  string
	Result json.RawMessage
	Took   time.Duration
	Fault  FaultKind // what befell it on purpose; "" = nothing
}

// Bot is an account that programs use.
type Bot struct {
	ID       int64
	Username string
	Token    string
}

// The statuses of a member. Source: Bot API, ChatMember.
const (
	Creator       = "creator"
	Administrator = "administrator"
	MemberStatus  = "member"
	Restricted    = "restricted"
	Left          = "left"
	Kicked        = "kicked"
)

// Member is somebody's standing in a chat.
type Member struct {
	Status      string
	IsMember    bool // only for Restricted: present
	Until       int64
	Permissions Permissions
	Rights      AdminRights
	Anonymous   bool
	Away        bool // only for Creator: has left
	promotedBy  int64
}

// Present reports whether the person is in the chat.
func (m Member) Present() bool {
	switch m.Status {
	case Creator:
		return !m.Away
	case Administrator, MemberStatus:
		return true
	case Restricted:
		return m.IsMember
	}
	return false
}

func (m Member) admin() bool { return m.Status == Creator || m.Status == Administrator }

// Permissions are the 16 flags of ChatPermissions, by field name. Source: Bot API, ChatPermissions.
type Permissions map[string]bool

// PermissionNames are the fields of ChatPermissions.
var PermissionNames = []string{
	"can_send_messages", "can_send_audios", "can_send_documents", "can_send_photos", "can_send_videos",
	"can_send_video_notes", "can_send_voice_notes", "can_send_polls", "can_send_other_messages",
	"can_add_web_page_previews", "can_react_to_messages", "can_edit_tag", "can_change_info", "can_invite_users",
	"can_pin_messages", "can_manage_topics",
}

// AllPermissions grants everything.
func AllPermissions() Permissions {
	p := make(Permissions, len(PermissionNames))
	for _, name := range PermissionNames {
		p[name] = true
	}
	return p
}

func (p Permissions) all() bool {
	for _, name := range PermissionNames {
		if !p[name] {
			return false
		}
	}
	return true
}

func (p Permissions) equal(q Permissions) bool {
	for _, name := range PermissionNames {
		if p[name] != q[name] {
			return false
		}
	}
	return true
}

// AdminRights are an administrator's rights, by field name. Source: Bot API, ChatAdministratorRights.
type AdminRights map[string]bool

// rightNames are the rights that an answer always lists; the second group only fits channels, the
// third only groups.
var (
	rightNames = []string{
		"can_manage_chat", "can_delete_messages", "can_manage_video_chats", "can_restrict_members", "can_promote_members",
		"can_change_info", "can_invite_users", "can_post_stories", "can_edit_stories", "can_delete_stories",
	}
	channelRights = []string{"can_post_messages", "can_edit_messages"}
	groupRights   = []string{"can_pin_messages", "can_manage_topics"}
)

// Rights names rights to promote with, for example Rights("can_delete_messages").
func Rights(names ...string) AdminRights {
	r := AdminRights{"can_manage_chat": true}
	for _, n := range names {
		r[n] = true
	}
	return r
}

type user struct {
	id       int64
	bot      bool
	first    string
	last     string
	username string
	language string
	started  map[int64]bool      // bots this person may be written to by
	open     map[int64]time.Time // bots that may write for a while, since the person asked to join
	blocked  map[int64]bool
	deleted  bool // the account
}

type chat struct {
	id       int64
	kind     string // private, group, supergroup, channel
	title    string
	username string
	forum    bool
	linked   int64
	members  map[int64]*Member
	known    map[int64]bool // who was ever in it
	messages []*message
	lastID   int64
	defaults Permissions
	links    map[string]*inviteLink
	movedTo  int64
	topics   map[int64]string
	requests map[int64]*inviteLink // who asked to join, and by which link
	banned   map[int64]bool        // chats that may not be written as
	sends    pace                  // of bots, for the limits
	line     line
	hidden   bool           // members are shown to administrators only
	byAsking bool           // who wants to join has to ask
	closed   map[int64]bool // topics
	asked    map[int64]bool // who ever asked to join
	declined map[int64]bool
	primary  map[int64]*inviteLink // of each administrator
	gone     map[int64]int64       // deleted messages of bots, and whose they were
	firstAsk map[int64]time.Time   // when a bot first asked about a stranger

	whispers    map[int64]*message // for one person each
	lastWhisper int64
}

type inviteLink struct {
	link    string
	name    string
	creator int64
	request bool
	revoked bool
	primary bool
	expires int64
	most    int64 // people, 0 = any number
	used    int64
}

type message struct {
	id         int64
	from       int64
	senderChat int64
	date       int64
	edited     int64
	text       string
	entities   []entity
	markup     json.RawMessage
	thread     int64
	replyTo    int64
	viaBot     int64
	album      string
	origin     int64 // channel it was forwarded from
	auto       bool
	service    map[string]any
	file       *file
	author     int64 // the bot that posted in a channel
	whisper    int64 // its id among the messages for one person, receiver
	receiver   int64
}

// Server is the simulated Telegram. All its methods are safe for concurrent use.
type Server struct {
	o         Options
	mu        sync.Mutex
	changed   chan struct{} // closed and replaced at each change that somebody waits for
	watched   bool          // somebody waits for changed
	users     map[int64]*user
	chats     map[int64]*chat
	names     map[string]int64 // lower-case username → chat or user
	bots      map[string]*account
	nextID    int64
	seq       uint64
	calls     []Call
	faults    []*running
	presses   map[string]*press
	files     map[string]*file       // by id
	queueMax  int                    // bytes of updates kept for a bot
	answerMax int                    // bytes of updates in one answer
	floods    map[floodKey]time.Time // until when calls get a 429
	told      map[floodKey]notice    // which 429 a bot has got
	lines     map[floodKey]time.Time // until when calls of a slow chat wait
	happened  map[FaultKind]int
	ignored   int // calls made although Telegram had asked to wait

	jumped    time.Duration // how far the clock has jumped
	restarted chan struct{} // closed and replaced at each restart
	back      time.Time     // when the server is there again
}

// account is a bot with its queue of updates.
type account struct {
	Bot
	queue    []queued
	queued   int // bytes
	sends    pace
	expiry   time.Time // no update of the queue expires before it
	lastID   int64
	allowed  map[string]bool
	poll     *poll
	hook     *webhook
	hookSet  time.Time // when it was set last
	lastPoll struct {
		offset int64
		at     time.Time
	}
	// nextConflict is when a conflict is told at once again.
	nextConflict time.Time
	commands     map[string]json.RawMessage // by scope and language
	lastUpdate   time.Time
	readsAll     bool // privacy mode is off
}

// New makes an empty world.
func New(o Options) *Server {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	return &Server{
		o: o, changed: make(chan struct{}), users: map[int64]*user{}, chats: map[int64]*chat{}, names: map[string]int64{},
		bots: map[string]*account{}, nextID: 500_000_000, presses: map[string]*press{},
		files: map[string]*file{}, floods: map[floodKey]time.Time{}, told: map[floodKey]notice{},
		lines: map[floodKey]time.Time{}, happened: map[FaultKind]int{}, restarted: make(chan struct{}), queueMax: maxQueueBytes, answerMax: maxAnswer,
	}
}

// Handler serves /bot<token>/<method> and /control/….
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/control/", s.serveControl)
	mux.HandleFunc("/file/", s.serveFile)
	mux.HandleFunc("/", s.serveAPI)
	return mux
}

// touch wakes whoever waits for a change. The world is locked.
func (s *Server) touch() {
	if s.watched {
		close(s.changed)
		s.changed, s.watched = make(chan struct{}), false
	}
}

// watch is closed at the next change. The world is locked.
func (s *Server) watch() <-chan struct{} {
	s.watched = true
	return s.changed
}

// clock is the time as the server has it; the world is locked.
func (s *Server) clock() time.Time { return s.o.Clock().Add(s.jumped) }

func (s *Server) now() int64 { return s.clock().Unix() }

func (s *Server) tell(e Event) {
	if s.o.OnEvent != nil {
		s.o.OnEvent(e)
	}
}
