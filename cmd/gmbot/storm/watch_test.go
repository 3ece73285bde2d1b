package storm

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/telegram/simulator"
)

// pairKey is a person in a group; for calls also a person in a channel, or nobody (0).
type pairKey struct{ chat, user int64 }

// pair is what is true of a person in a group.
type pair struct {
	g    *place
	user int64

	offended bool          // did what is judged, and has not been in the channels since
	at       time.Duration // when that was last done
	left     bool          // it was leaving a channel
	theirs   bool          // a moderator has muted the person, and nobody has lifted that
	admin    bool
	acted    time.Duration // when the person, or a moderator, last did something that matters here
	mutedAt  time.Duration // when the bot last muted the person
	decided  time.Duration // when it last stored that it was about to
	erased   time.Duration // when it first asked to delete something of the person's since the row was last closed
	pardoned time.Duration // when a moderator last unmuted the person
	raised   time.Duration // when the person was last made an administrator, which ends a mute
	unheard  bool          // left a channel, and Telegram never told it
	undone   *place        // the channel that the person has just left
	owed     bool          // offended, before that
	blurred  bool          // has joined or left twice, Telegram's clock was moved between, and told the first late
	changed  int           // how often the person has joined or left a required channel

	// As it stands in the store.
	state  persistence.FlowState
	until  int64
	seen   bool
	exempt bool
	booked string // what the last call that restricts or frees was for
	was    bool   // ever exempt

	first   time.Time  // when the bot was handed what began the flow; zero: not known
	judged  []*written // messages that this life has been handed since the row was last closed, and that nobody vouched for then
	written int        // messages, handed to the bot
}

// written is a message that somebody wrote.
type written struct {
	by      pairKey
	at      time.Duration
	outside bool
	changed int
	// known: when it was handed over, Telegram's last word to this life was that its author satisfies the group, or is
	// an administrator of it, a short while ago. Such a message passes without a question or a commit; that its author
	// had left, or was none any more, nobody could know, for the update that says so was late. Handed to the same life
	// again, it is a copy, which is judged no more. The same goes for a message whose author is still being looked at when
	// word of a join comes, which may be late itself, and none until the end that they have left: memory answers the look.
	known bool
	ended time.Time // when word came last that it is not so any more
	life  int       // that it was handed to last
}

// word is what Telegram told this life about somebody in a channel.
type word struct {
	inside bool
	of     time.Time // when it was so
	at     time.Time // when it was told
}

// move is when somebody joined or left a channel, and whether Telegram holds that up.
type move struct {
	at   time.Duration
	late bool
}

// author is whether somebody is an administrator, and Telegram has told this life so.
type author struct{ admin, told bool }

type floodKey struct {
	chat  int64
	class string
}

// breach is an invariant that did not hold.
type breach struct {
	Kind string
	Text string
	At   time.Duration
}

// cause is what counts once among the faults.
type cause struct {
	kind, method, state string
	user                int64
}

// watch sees all that happens and says what must not.
type watch struct {
	world   *world
	mu      sync.Mutex
	log     tail
	lines   []string
	enough  atomic.Bool // no more trouble
	refused atomic.Int64

	words    map[pairKey]word // by channel and person: the last
	outside  map[pairKey]time.Time
	admins   map[pairKey]time.Time     // by group and person: when Telegram has told this life so, and nothing else since
	authors  map[pairKey]int64         // by chat and message: who wrote it, or whom a message of the bot's names
	delayed  map[pairKey]time.Duration // by chat and person: when Telegram last began to hold up what it tells
	moved    map[pairKey]move          // by channel and person: the last
	named    map[int64]int64           // by chat: whom the bot's last notice names, or the first that it has stored
	messages map[pairKey]*written
	lastID   map[int64]int64 // by chat: what a person wrote last
	presses  map[string]pairKey
	queues   map[int64]pressQueue // by person
	times    map[string]int
	floods   map[floodKey]time.Time
	toldAt   map[floodKey]time.Time
	toldTo   map[floodKey]int    // the life that was told; what one is told that dies meanwhile, the next cannot know
	paused   map[int64]time.Time // by chat: the end of the last flood
	lately   []time.Time         // floods
	allPause time.Time
	talk     map[int64][]time.Time
	disabled map[int64]bool
	hindered time.Time // the last that hinders answers
	dice     *rand.Rand

	erased    map[pairKey]time.Time // by chat and message: when Telegram has told this life that it is deleted
	sent      map[pairKey]author    // by chat and message: what was so when its deletion left last, which may act much later
	life      int                   // who lives
	unstored  time.Time             // when a commit last failed
	wishes    []wish                // still to come
	ahead     time.Duration         // Telegram's clock is
	jumped    time.Time             // when it last was moved
	awayUntil time.Time             // the store is
	back      time.Time             // when the bot came back after more than a day
	breaches  []breach
	causes    map[cause]struct{}
	used      []string // ids of faults and deaths that happened
	faults    int
	deferred  int // updates that could not be finished in time, and were tried again
	died      int
	calls     int
}

// tail keeps the end of a log.
type tail struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.buf.Len() > 1<<16 {
		t.buf.Reset()
	}
	return t.buf.Write(p)
}

func (w *watch) init(world *world) {
	w.world, w.wishes = world, slices.Clone(world.plan.Wishes)
	w.words, w.outside = map[pairKey]word{}, map[pairKey]time.Time{}
	w.admins = map[pairKey]time.Time{}
	w.authors, w.messages = map[pairKey]int64{}, map[pairKey]*written{}
	w.lastID, w.named = map[int64]int64{}, map[int64]int64{}
	w.presses, w.times, w.queues = map[string]pairKey{}, map[string]int{}, map[int64]pressQueue{}
	w.floods, w.toldAt, w.paused = map[floodKey]time.Time{}, map[floodKey]time.Time{}, map[int64]time.Time{}
	w.toldTo = map[floodKey]int{}
	w.talk, w.disabled, w.causes = map[int64][]time.Time{}, map[int64]bool{}, map[cause]struct{}{}
	w.erased, w.sent = map[pairKey]time.Time{}, map[pairKey]author{}
	w.delayed, w.moved = map[pairKey]time.Duration{}, map[pairKey]move{}
	w.dice = rand.New(rand.NewPCG(world.plan.Seed, 2))
}

func (w *watch) random(n int64) int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dice.Int64N(n)
}

func (w *watch) breach(kind, format string, a ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.breachLocked(kind, format, a...)
}

func (w *watch) broken() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.breaches) > 0
}

func (w *watch) breachLocked(kind, format string, a ...any) {
	text := fmt.Sprintf(format, a...)
	w.sayLocked("BREACH %s: %s", kind, text)
	if len(w.breaches) < 20 {
		w.breaches = append(w.breaches, breach{kind, text, w.world.now()})
	}
}

func (w *watch) sayLocked(format string, a ...any) {
	if len(w.lines) > 50_000 && os.Getenv("STORM_SEED")+os.Getenv("STORM_KEEP") == "" { // who replays a day wants to read all of it
		w.lines = append(w.lines[:0:0], w.lines[25_000:]...)
	}
	w.lines = append(w.lines, fmt.Sprintf("%12s  %s", w.world.now().Round(time.Millisecond), fmt.Sprintf(format, a...)))
}

func (w *watch) say(format string, a ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sayLocked(format, a...)
}

// name says who a chat or person is, in the words of the plan.
func (w *watch) name(id int64) string {
	for i, c := range w.world.cells {
		for n, g := range c.groups {
			if g.id == id {
				return fmt.Sprintf("%d.G%d", i, n)
			}
		}
		for n, ch := range c.channels {
			if ch.id == id {
				return fmt.Sprintf("%d.C%d", i, n)
			}
		}
		for n, p := range c.people {
			if p == id {
				return fmt.Sprintf("%d.P%d", i, n)
			}
		}
	}
	return fmt.Sprint(id)
}

// state is how far the flow is that a call or update concerns.
func (w *watch) state(who pairKey) string {
	if who.user == 0 || who.user == w.world.olga {
		return "-"
	}
	if p := w.world.pairs[who]; p != nil {
		return stateName(p.state)
	}
	at := w.world.group[who.chat]
	if at == nil {
		return "-"
	}
	for _, g := range at.cell.groups {
		if p := w.world.pairs[pairKey{g.id, who.user}]; p != nil && p.state != "" && requires(g, at) {
			return stateName(p.state)
		}
	}
	return "none"
}

func (w *watch) stateOf(who pairKey) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.state(who)
}

func stateName(s persistence.FlowState) string {
	if s == "" {
		return "none"
	}
	return string(s)
}

func requires(g, channel *place) bool {
	for _, ch := range wishes[g.n].channels {
		if g.cell.channels[ch] == channel {
			return true
		}
	}
	return false
}

// fault notes one that happens.
func (w *watch) fault(kind, method string, who pairKey, chat int64, id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faultLocked(kind, method, who)
	if method == "commit" {
		w.unstored = time.Now()
	}
	w.sayLocked("FAULT %s of %s %s %s", kind, method, w.name(chat), w.name(who.user))
	if id != "" {
		w.used = append(w.used, id)
	}
	if method == "getUpdates" || method == "answerCallbackQuery" || method == "getMe" {
		w.hindered = time.Now()
	}
}

func (w *watch) faultLocked(kind, method string, who pairKey) {
	w.faults++
	state := w.state(who)
	if p := w.world.pairs[who]; p != nil && method == "restrictChatMember" {
		state = p.booked
	}
	w.causes[cause{kind, method, state, who.user}] = struct{}{}
}

func (w *watch) dies(d death, what string, who pairKey) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.died++
	w.faultLocked("death "+d.How, what, who)
	w.used = append(w.used, d.ID)
	w.sayLocked("DEATH %s %s %s %s, down %v", d.How, what, w.name(who.chat), w.name(who.user), d.Down)
	w.hindered = time.Now()
}

// onMishap is told of faults of updates. The simulated world is locked.
func (w *watch) onMishap(i simulator.Injected) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faultLocked(string(i.Kind), "update "+i.Update, pairKey{i.ChatID, i.UserID})
	if i.Kind == simulator.FaultDelay {
		w.delayed[pairKey{i.ChatID, i.UserID}] = w.world.now()
	}
	w.sayLocked("FAULT %s update %s %s %s", i.Kind, i.Update, w.name(i.ChatID), w.name(i.UserID))
}

// onHand is told of each update when it is first sent. The simulated world is locked.
func (w *watch) onHand(h simulator.Handed) {
	if h.CallbackID == "" {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.presses[h.CallbackID] = pairKey{h.ChatID, h.UserID}
}

func (w *watch) presser(id string) (chat, user int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.presses[id]
	return p.chat, p.user
}

// concerns says whom a message concerns that the bot sends or edits: whom a notice names last. Looking for a lost
// notice concerns whom that names.
func (w *watch) concerns(chat, message int64, text string) int64 {
	user := mentioned(text)
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case user != 0 && message == 0:
		w.named[chat] = user
	case user != 0:
		w.authors[pairKey{chat, message}] = user
	case text == "":
		user = w.named[chat]
	}
	return user
}

func (w *watch) author(chat, message int64) int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.authors[pairKey{chat, message}]
}

// onEvent is told what the bot does. The simulated world is locked.
func (w *watch) onEvent(e simulator.Event) {
	if e.UserID != w.world.bot.ID {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sayLocked("  bot %ss %s in %s %.40q #%d", e.Kind, w.name(e.Target), w.name(e.ChatID), e.Text, e.MessageID)
	if e.Kind == "send" && strings.Contains(e.Text, noticeWords) {
		w.authors[pairKey{e.ChatID, e.MessageID}] = w.named[e.ChatID]
	}
	p := w.world.pairs[pairKey{e.ChatID, e.Target}]
	if e.Kind == "restrict" && p != nil {
		p.mutedAt = w.world.now()
	}
	// What is written within two seconds of a mute, or of the decision to give it where the call waits, which dates of
	// whole seconds make three, is held to be written before it, unless Telegram has told this life of the promotion that
	// ended it. What is written within that time of a deletion goes with it.
	sent := w.sent[pairKey{e.ChatID, e.MessageID}]
	at := w.world.now() // when it was written is what counts: Telegram may hand it over much later
	if m := w.messages[pairKey{e.ChatID, e.MessageID}]; m != nil {
		at = m.at
	}
	last := time.Duration(0)
	if p != nil {
		last = max(p.mutedAt, p.decided)
	}
	justMuted := last != 0 && at-last < 3*time.Second
	if p != nil && p.erased != 0 && at > p.erased-time.Second && at-p.erased < 3*time.Second {
		justMuted = true
	}
	if e.Kind == "delete" && p != nil && sent.admin && e.Text == adminWords && (sent.told || !justMuted) {
		w.breachLocked(ruleAdmin, "%s's words in %s were deleted", w.name(e.Target), w.name(e.ChatID))
	}
}

// born resets what a new life cannot know.
func (w *watch) born(l *life) {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.words)
	clear(w.outside)
	clear(w.admins)
	w.life = l.n
	clear(w.erased)
	for _, p := range w.world.pairs {
		p.first, p.erased = time.Time{}, 0
		for _, m := range p.judged { // what has not come to an end is judged by what this life is told
			m.known = false
		}
		p.judged = nil
	}
	w.sayLocked("BIRTH %d", l.n)
	if l.after > time.Hour {
		w.returns()
	}
	w.hindered = time.Now()
}

// begins: a process takes updates from now on. What came before waits for it, all at once.
func (w *watch) begins() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hindered = time.Now()
}

// rowIs notes what is stored of a person; without a state, that nothing is any more.
func (w *watch) rowIs(f persistence.Flow) {
	group, user, state := f.GroupID, f.UserID, f.State
	p := w.world.pairs[pairKey{group, user}]
	if p == nil {
		return
	}
	if p.state != state {
		w.sayLocked("  row %s %s: %s", w.name(group), w.name(user), stateName(state))
	}
	if state == persistence.Muting {
		p.decided = w.world.now()
	}
	p.state, p.until = state, f.UntilDate
	if state == "" || state == persistence.Muted && len(f.Messages) == 0 { // else there is something to look at
		for _, m := range p.judged { // decided a moment ago, when nobody had told yet that its author had left
			m.known = m.known || time.Since(m.ended) < 100*time.Millisecond
		}
		p.first, p.judged = time.Time{}, nil
	}
	if state == "" {
		p.erased = 0
	}
}

func (w *watch) allFreeing(group int64) {
	for key, p := range w.world.pairs {
		if key.chat == group && p.state == persistence.Muted {
			p.state = persistence.Freeing
		}
	}
}

func (w *watch) seenIs(group, user int64, seen bool) {
	if p := w.world.pairs[pairKey{group, user}]; p != nil {
		p.seen = seen
	}
}

func (w *watch) exemptIs(group, user int64, exempt bool) {
	if p := w.world.pairs[pairKey{group, user}]; p != nil {
		p.exempt, p.was = exempt, p.was || exempt
	}
}

func (w *watch) enabledIs(group int64, on bool) {
	w.disabled[group] = !on
	if g := w.world.group[group]; g != nil {
		g.row.Enabled = on
		w.newRules(g)
	}
}

func (w *watch) committed(_ *life, t *seenTx) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range t.rows {
		f(w)
	}
}

// about is the end of the history of whom a breach names.
func (w *watch) about(b breach) string {
	var names []string
	for _, m := range inCell.FindAllString(b.Text, -1) {
		if strings.Contains(m, ".P") {
			names = append(names, m+" ", "BREACH")
		}
	}
	lines := strings.Split(w.history(names...), "\n")
	return strings.Join(lines[max(0, len(lines)-linesShown):], "\n")
}

// linesShown of a history that could not be shrunk.
const linesShown = 150

// history is what is worth reading about some ids; none: all.
func (w *watch) history(only ...string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var b strings.Builder
	for _, line := range w.lines {
		keep := len(only) == 0
		for _, word := range only {
			keep = keep || strings.Contains(line, word)
		}
		if keep {
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}
