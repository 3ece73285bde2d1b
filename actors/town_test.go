package actors

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/telegram"
	"github.com/gmbot/gmbot/telegram/simulator"
	"github.com/gmbot/gmbot/telegram/simulator/schema"
)

// town is the whole gate on a simulated Telegram in virtual time: source, actors, client and store, with
// no network between. Everything that would go over the wire is checked against the Bot API's description.
type town struct {
	*simulator.Server
	t      *testing.T
	bot    simulator.Bot
	store  *counted
	s      *System
	dir    string
	kept   [2]*persistence.Journal
	end    context.CancelFunc
	sweeps int                   // questions a minute about known members
	counts prometheus.Registerer // of the system; nil: nothing is counted
	ended  chan struct{}

	olga, anna, boris int64
	group, channel    int64
}

// counted is a store that counts its commits, and whose database may be taken away.
type counted struct {
	persistence.Store

	commits atomic.Int64
	gone    atomic.Bool
	fails   atomic.Bool  // no transaction is kept
	asleep  atomic.Bool  // no group can read its rows
	slow    atomic.Int64 // what a transaction takes, ns
	keeps   atomic.Bool  // no notice's row can be deleted
	metrics *prometheus.Registry
}

// reads is how often each question was asked.
func (s *counted) reads(t *testing.T) map[string]int {
	t.Helper()
	families, err := s.metrics.Gather()
	require.NoError(t, err)
	n := map[string]int{}
	for _, f := range families {
		if f.GetName() == "gmbot_store_query_seconds" {
			for _, m := range f.GetMetric() {
				n[m.GetLabel()[0].GetValue()] = int(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return n
}

// Update implements persistence.Store.
func (s *counted) Update(ctx context.Context, change func(persistence.Tx) error) error {
	s.commits.Add(1)
	if s.gone.Load() {
		return fmt.Errorf("taken away: %w", persistence.ErrUnavailable)
	}
	if s.fails.Load() {
		return errors.New("it fails")
	}
	if d := s.slow.Load(); d > 0 {
		time.Sleep(time.Duration(d))
	}
	if s.keeps.Load() {
		return s.Store.Update(ctx, func(tx persistence.Tx) error { return change(keeper{tx}) })
	}
	return s.Store.Update(ctx, change)
}

// keeper is a transaction that deletes no notice's row.
type keeper struct{ persistence.Tx }

// DropNotice implements persistence.Tx.
func (keeper) DropNotice(int64, int64) error { return errors.New("it is kept") }

// Group implements persistence.Store.
func (s *counted) Group(ctx context.Context, id int64) (persistence.Group, error) {
	if s.asleep.Load() {
		return persistence.Group{}, fmt.Errorf("taken away: %w", persistence.ErrUnavailable)
	}
	return s.Store.Group(ctx, id)
}

// runTown runs test in a bubble of virtual time. Olga owns a group and a channel, which the bot
// administers; Anna and Boris are in the group.
func runTown(t *testing.T, o simulator.Options, test func(t *testing.T, w *town)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		if o.Validate == nil {
			o.Validate = schema.Checker(t)
		}
		w := &town{Server: simulator.New(o), t: t, dir: t.TempDir()}
		w.bot = w.NewBot("gate_bot")
		w.olga, w.anna, w.boris = w.NewUser("Olga", "olga"), w.NewUser("Anna", "anna"), w.NewUser("Boris", "")
		w.channel, w.group = w.NewChannel("News", "news_here", w.olga), w.NewSupergroup("Talk", "", w.olga)
		w.admit(w.channel, "can_invite_users")
		w.admit(w.group, "can_restrict_members", "can_delete_messages", "can_invite_users")
		require.NoError(t, w.Join(w.group, w.anna))
		require.NoError(t, w.Join(w.group, w.boris))
		w.start()
		defer func() { // also when a test gives up: a bubble ends when all in it has ended
			w.stop()
			time.Sleep(10 * time.Minute) // timers that were set fire into the void, and the actor library's dead letter throttle ends by itself
		}()
		test(t, w)
	})
}

// admit makes the bot an administrator with these rights.
func (w *town) admit(chat int64, rights ...string) {
	w.t.Helper()
	require.NoError(w.t, w.Promote(chat, w.olga, w.bot.ID, simulator.Rights(rights...)))
}

func (w *town) start() {
	w.t.Helper()
	w.open()
	w.begin()
}

func (w *town) open() {
	w.t.Helper()
	reg := prometheus.NewRegistry()
	store, err := persistence.Open(w.t.Context(), "sqlite://"+filepath.Join(w.dir, "gate.db"), persistence.Options{Metrics: persistence.NewMetrics(reg)})
	require.NoError(w.t, err)
	w.store = &counted{Store: store, metrics: reg}
}

func (w *town) begin() {
	w.t.Helper()
	client, err := telegram.NewClient(w.bot.Token, "http://telegram", nil)
	require.NoError(w.t, err)
	client.Over(w.Transport())
	me, err := client.GetMe(w.t.Context())
	require.NoError(w.t, err)
	log := zerolog.New(zerolog.NewTestWriter(w.t)).Level(zerolog.ErrorLevel)
	for i, name := range []string{"updates", "changes"} {
		w.kept[i], err = persistence.OpenJournal(filepath.Join(w.dir, name), 1<<20, nil)
		require.NoError(w.t, err)
	}
	changes, err := persistence.TakeUp(w.t.Context(), w.store, w.kept[1], log)
	require.NoError(w.t, err)
	w.s, err = Start(w.t.Context(), Options{API: client, Store: w.store, Bot: me, Log: log, Changes: changes, SweepCallsPerMinute: w.sweeps, Registry: w.counts})
	require.NoError(w.t, err)
	source := telegram.NewSource(telegram.SourceOptions{
		Client: client, Deliver: w.s.Deliver, Asides: w.s, Keeper: w.kept[0], Away: w.s.Away, Log: log,
	})
	w.s.UseSettler(source)
	life, end := context.WithCancel(context.Background())
	w.end, w.ended = end, make(chan struct{})
	go func() {
		defer close(w.ended)
		_ = source.Run(life)
	}()
	synctest.Wait()
}

func (w *town) stop() {
	w.t.Helper()
	w.end()
	<-w.ended
	ctx, cancel := context.WithTimeout(context.Background(), 6*time.Second)
	defer cancel()
	assert.NoError(w.t, w.s.Stop(ctx))
	assert.NoError(w.t, w.store.Close())
	for _, j := range w.kept {
		assert.NoError(w.t, j.Close())
	}
}

func (w *town) restart() {
	w.t.Helper()
	w.stop()
	w.start()
}

// pass lets everything happen that happens within d.
func (w *town) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// says writes as somebody who may.
func (w *town) says(chat, user int64, words string, options ...simulator.WriteOption) int64 {
	w.t.Helper()
	id, err := w.Write(chat, user, words, options...)
	require.NoError(w.t, err)
	return id
}

// mutes has somebody who is outside write, and sees that they are muted.
func (w *town) mutes(user int64) {
	w.t.Helper()
	w.says(w.group, user, "hello")
	w.pass(10 * time.Second)
	require.True(w.t, w.muted(user))
}

// protect sets the group up, and lets the answer pass.
func (w *town) protect(channels ...string) {
	w.t.Helper()
	if len(channels) == 0 {
		channels = []string{"@news_here"}
	}
	w.says(w.group, w.olga, "/protect "+strings.Join(channels, " "))
	w.pass(10 * time.Second)
	require.True(w.t, w.has(w.group, "This group is protected"), "protected")
}

// wish changes a group's settings the way the panel does.
func (w *town) wish(change func(s *persistence.Settings)) {
	w.t.Helper()
	require.NoError(w.t, w.store.Update(w.t.Context(), func(tx persistence.Tx) error {
		g, err := w.store.Group(w.t.Context(), w.group)
		if err != nil {
			return err
		}
		change(&g.Settings)
		_, err = tx.SaveGroup(g, persistence.Owner{ID: g.OwnerID})
		return err
	}))
	r := &commandRun{d: w.s.d, group: w.group}
	r.changed(true)
	w.pass(100 * time.Millisecond)
}

func (w *town) muted(user int64) bool {
	m := w.Member(w.group, user)
	return m.Status == simulator.Restricted && !m.Permissions["can_send_messages"]
}

func (w *town) free(user int64) bool { return w.Member(w.group, user).Status == simulator.MemberStatus }

// freesLate has somebody muted join, and the free that follows from it act ten seconds after it was asked for.
func (w *town) freesLate(user int64) {
	w.t.Helper()
	w.Fail(simulator.Fault{Kind: simulator.FaultLate, Method: "restrictChatMember", Times: 1, For: simulator.For(10 * time.Second)})
	require.NoError(w.t, w.Join(w.channel, user))
	w.pass(500 * time.Millisecond)
}

// there reports whether a message still stands.
func (w *town) there(chat, id int64) bool {
	for _, m := range w.Messages(chat) {
		if m.ID == id {
			return true
		}
	}
	return false
}

// find returns the bot's last message with these words.
func (w *town) find(chat int64, words string) (found simulator.Message, ok bool) {
	for _, m := range w.Messages(chat) {
		if m.From == w.bot.ID && strings.Contains(m.Text, words) {
			found, ok = m, true
		}
	}
	return found, ok
}

func (w *town) has(chat int64, words string) bool {
	_, ok := w.find(chat, words)
	return ok
}

const noticeWords = "to write here please join"

// notices lists the notices that stand in the group.
func (w *town) notices() []simulator.Message { return w.noticesIn(w.group) }

func (w *town) noticesIn(group int64) (list []simulator.Message) {
	for _, m := range w.Messages(group) {
		if m.From == w.bot.ID && strings.Contains(m.Text, noticeWords) {
			list = append(list, m)
		}
	}
	return list
}

// calls counts the calls of a method about a person; 0 is about anybody.
func (w *town) calls(method string, user int64) (n int) {
	for _, c := range w.CallsOf(method) {
		if user == 0 || fmt.Sprint(c.Params["user_id"]) == itoa(user) {
			n++
		}
	}
	return n
}

// button is an inline button of a message.
type button struct {
	Text, URL, Style string
	Data             string `json:"callback_data"`
}

func buttons(m simulator.Message) (all []button) {
	var k struct {
		Rows [][]button `json:"inline_keyboard"`
	}
	_ = json.Unmarshal(m.ReplyMarkup, &k)
	for _, row := range k.Rows {
		all = append(all, row...)
	}
	return all
}

// presses presses and returns what the person sees.
func (w *town) presses(chat, message, user int64, data string) simulator.Answer {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 10*time.Second)
	defer cancel()
	a, err := w.Press(ctx, chat, message, user, data)
	require.NoError(w.t, err, "every press is answered")
	return a
}

// admitQuietly changes the bot's rights, and the update about it is lost.
func (w *town) admitQuietly(chat int64, rights ...string) {
	w.ChangeRightsQuietly(chat, w.bot.ID, simulator.Rights(rights...))
}
