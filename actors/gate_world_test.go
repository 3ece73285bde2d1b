package actors

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/protos"
	"github.com/gmbot/gmbot/telegram"
)

const (
	theGroup   = int64(-1001000000001)
	theChannel = int64(-1001000000002)
	anna       = int64(501)
	boris      = int64(502)
	theBot     = int64(900)
	theOwner   = int64(500)
)

// world is just enough Telegram for one gate in virtual time: who is where, and what was called.
type world struct {
	mu       sync.Mutex
	channel  map[int64]bool // user → in every channel asked about
	group    map[int64]*protos.Member
	messages map[int64]string // sent by the bot, still there
	deleted  map[int64]bool
	calls    []*protos.Job
	nextID   int64
	latency  time.Duration
	fail     func(*protos.Job) *protos.JobDone // nil answer: go on
}

func newWorld() *world {
	return &world{
		channel: map[int64]bool{}, group: map[int64]*protos.Member{}, messages: map[int64]string{}, deleted: map[int64]bool{},
		nextID: 1000, latency: 30 * time.Millisecond,
	}
}

// Do implements API.
func (w *world) Do(_ context.Context, job *protos.Job) *protos.JobDone {
	sent := time.Now().UnixMilli()
	time.Sleep(w.latency)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls = append(w.calls, job)
	if w.fail != nil {
		if done := w.fail(job); done != nil {
			done.Tag, done.SentMs = job.GetTag(), sent
			return done
		}
	}
	done := w.answer(job)
	done.Tag, done.SentMs = job.GetTag(), sent
	return done
}

func (w *world) answer(job *protos.Job) *protos.JobDone {
	done := &protos.JobDone{}
	switch do := job.GetDo().(type) {
	case *protos.Job_GetMember:
		done.Member = w.member(do.GetMember.GetChatId(), do.GetMember.GetUserId())
	case *protos.Job_Restrict:
		w.restrict(do.Restrict)
	case *protos.Job_Delete:
		for _, id := range do.Delete.GetMessageIds() {
			w.deleted[id] = true
			delete(w.messages, id)
		}
	case *protos.Job_Send:
		w.nextID++
		w.messages[w.nextID] = do.Send.GetHtml()
		done.MessageId = w.nextID
	case *protos.Job_Edit:
		w.messages[do.Edit.GetMessageId()] = do.Edit.GetHtml()
	}
	return done
}

func (w *world) member(chat, user int64) *protos.Member {
	if chat == theGroup {
		if m := w.group[user]; m != nil {
			return proto.CloneOf(m)
		}
		return standing(telegram.StatusLeft)
	}
	if w.channel[user] {
		return standing(telegram.StatusMember)
	}
	return standing(telegram.StatusLeft)
}

func (w *world) restrict(do *protos.Restrict) {
	m := w.group[do.GetUserId()]
	if m == nil {
		m = standing(telegram.StatusLeft)
	}
	in := telegram.Present(m)
	if do.GetPermissions() == telegram.AllPermissions {
		m = standing(map[bool]string{true: telegram.StatusMember, false: telegram.StatusLeft}[in])
	} else {
		m = restricted(do.GetPermissions(), do.GetUntilDate(), in)
	}
	w.group[do.GetUserId()] = m
}

func (w *world) set(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
}

func (w *world) count(match func(*protos.Job) bool) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, job := range w.calls {
		if match(job) {
			n++
		}
	}
	return n
}

func isMute(job *protos.Job) bool {
	return job.GetRestrict() != nil && job.GetRestrict().GetPermissions() == telegram.NoPermissions
}

func isFree(job *protos.Job) bool { return job.GetRestrict() != nil && !isMute(job) }

func isSend(job *protos.Job) bool { return job.GetSend() != nil }

func (w *world) standingOf(user int64) *protos.Member {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.member(theGroup, user)
}

// ledger is a Settler that remembers.
type ledger struct {
	mu      sync.Mutex
	settled map[uint64]bool
	notDone map[uint64]string
}

func (l *ledger) Settled(d uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.settled[d] = true
}

func (l *ledger) NotDone(d uint64, reason string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.notDone[d] = reason
}

// gate is a running System on a world, with one protected group.
type gate struct {
	t     *testing.T
	w     *world
	l     *ledger
	store persistence.Store
	dir   string
	s     *System
	id    int64
}

// runGate runs test in a bubble of virtual time.
func runGate(t *testing.T, test func(t *testing.T, g *gate)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		g := &gate{t: t, w: newWorld(), dir: t.TempDir(), id: 100}
		g.w.group[theOwner] = standing(telegram.StatusCreator)
		g.w.group[anna], g.w.group[boris] = standing(telegram.StatusMember), standing(telegram.StatusMember)
		g.open()
		require.NoError(t, g.store.Update(t.Context(), func(tx persistence.Tx) error {
			_, err := tx.SaveGroup(persistence.Group{
				ID: theGroup, OwnerID: theOwner, Title: "Group", Enabled: true,
				Channels: []persistence.Channel{{ID: theChannel, Title: "News", Username: "news"}},
			}, persistence.Owner{ID: theOwner})
			return err
		}))
		g.start()
		test(t, g)
		g.stop()
		time.Sleep(3 * time.Second) // the actor library's dead letter throttle ends by itself
	})
}

func (g *gate) open() {
	g.t.Helper()
	store, err := persistence.Open(g.t.Context(), "sqlite://"+filepath.Join(g.dir, "gate.db"), persistence.Options{})
	require.NoError(g.t, err)
	g.store = store
}

func (g *gate) start() {
	g.t.Helper()
	g.l = &ledger{settled: map[uint64]bool{}, notDone: map[uint64]string{}}
	s, err := Start(g.t.Context(), Options{
		API: g.w, Store: g.store, Settler: g.l, Log: zerolog.New(zerolog.NewTestWriter(g.t)).Level(zerolog.WarnLevel),
		Bot: &protos.User{Id: theBot, IsBot: true, FirstName: "Gate", Username: "gate_bot"},
	})
	require.NoError(g.t, err)
	g.s = s
	synctest.Wait()
}

func (g *gate) stop() {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	require.NoError(g.t, g.s.Stop(ctx))
	require.NoError(g.t, g.store.Close())
}

func (g *gate) restart() {
	g.t.Helper()
	g.stop()
	g.open()
	g.start()
}

// send delivers an event and returns its delivery.
func (g *gate) send(e *protos.Event) uint64 {
	g.id++
	e.UpdateId, e.Delivery, e.Attempt = g.id, uint64(g.id), 1
	e.ReceivedMs = time.Now().UnixMilli()
	if e.GetDate() == 0 {
		e.Date = time.Now().Unix()
	}
	g.s.Deliver(e)
	return e.GetDelivery()
}

func (g *gate) isSettled(d uint64) bool {
	g.l.mu.Lock()
	defer g.l.mu.Unlock()
	return g.l.settled[d]
}

// settle lets everything happen that happens within d.
func (g *gate) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func groupChat() *protos.Chat {
	return &protos.Chat{Id: theGroup, Type: "supergroup", Title: "Group"}
}

func user(id int64) *protos.User {
	return &protos.User{Id: id, FirstName: map[int64]string{anna: "Anna", boris: "Boris", theOwner: "Olga"}[id]}
}

func message(from, id int64, words string) *protos.Event {
	return &protos.Event{
		Kind: protos.EventKind_MESSAGE, Chat: groupChat(), From: user(from), MessageId: id, Text: words,
		IsCommand: words != "" && words[0] == '/',
	}
}

func named(m *protos.Member, id int64) *protos.Member {
	m = proto.CloneOf(m)
	m.User = user(id)
	return m
}

func chatMember(chat *protos.Chat, by, id int64, before, after *protos.Member) *protos.Event {
	return &protos.Event{
		Kind: protos.EventKind_CHAT_MEMBER, Chat: chat, From: user(by), Before: named(before, id), After: named(after, id),
	}
}

func channelChat() *protos.Chat {
	return &protos.Chat{Id: theChannel, Type: "channel", Title: "News", Username: "news"}
}

func joinsChannel(id int64) *protos.Event {
	return chatMember(channelChat(), id, id, standing(telegram.StatusLeft), standing(telegram.StatusMember))
}

func leavesChannel(id int64) *protos.Event {
	return chatMember(channelChat(), id, id, standing(telegram.StatusMember), standing(telegram.StatusLeft))
}

func press(id, messageID int64, data string) *protos.Event {
	return &protos.Event{
		Kind: protos.EventKind_CALLBACK, Chat: groupChat(), From: user(id), MessageId: messageID,
		CallbackId: "c" + itoa(messageID), CallbackData: data,
	}
}
