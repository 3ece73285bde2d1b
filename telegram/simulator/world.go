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
	// OnEvent is told, in plain words, of what happens in the world.
	OnEvent func(Event)
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
	// MessageLimits applies Telegram's limits on messages and edits: 20 a minute in one group.
	MessageLimits bool
}

// Event is something that happened in the world.
type Event struct {
	Kind   string // join, leave, write, press, restrict, delete, send, edit, answer, promote …
	ChatID int64
	UserID int64 // who did it
	Target int64 // whom it befell
	Text   string
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
	promotedBy  int64
}

// Present reports whether the person is in the chat.
func (m Member) Present() bool {
	switch m.Status {
	case Creator, Administrator, MemberStatus:
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
	p := Permissions{}
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
	started  map[int64]bool // bots this person may be written to by
	blocked  map[int64]bool
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
	sends    []time.Time // of bots, for the limits
}

type inviteLink struct {
	link    string
	name    string
	creator int64
	request bool
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
}

// Server is the simulated Telegram. All its methods are safe for concurrent use.
type Server struct {
	o       Options
	mu      sync.Mutex
	changed chan struct{} // closed and replaced at each change
	users   map[int64]*user
	chats   map[int64]*chat
	names   map[string]int64 // lower-case username → chat or user
	bots    map[string]*account
	nextID  int64
	seq     uint64
	calls   []Call
	faults  []*Fault
	presses map[string]*press
}

// account is a bot with its queue of updates.
type account struct {
	Bot
	queue    []queued
	lastID   int64
	allowed  map[string]bool
	poll     *poll
	webhook  string
	lastPoll struct {
		offset int64
		at     time.Time
	}
	// nextConflict is when a conflict is told at once again.
	nextConflict time.Time
	commands     json.RawMessage
}

// New makes an empty world.
func New(o Options) *Server {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	return &Server{
		o: o, changed: make(chan struct{}), users: map[int64]*user{}, chats: map[int64]*chat{}, names: map[string]int64{},
		bots: map[string]*account{}, nextID: 500_000_000, presses: map[string]*press{},
	}
}

// Handler serves /bot<token>/<method> and /control/….
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/control/", s.serveControl)
	mux.HandleFunc("/", s.serveAPI)
	return mux
}

// touch wakes whoever waits for a change. The world is locked.
func (s *Server) touch() {
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *Server) now() int64 { return s.o.Clock().Unix() }

func (s *Server) tell(e Event) {
	if s.o.OnEvent != nil {
		s.o.OnEvent(e)
	}
}
