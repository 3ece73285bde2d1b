package storm

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/telegram"
	"github.com/gmbot/gmbot/telegram/simulator"
)

// world is a simulated Telegram with its people, and one bot after another on it.
type world struct {
	*simulator.Server
	t     *testing.T
	plan  plan
	only  choice
	began time.Time
	end   time.Duration // how long it lasted
	dir   string

	bot   simulator.Bot
	olga  int64 // owns everything
	moira int64 // moderates every group
	cells []*cell
	pairs map[pairKey]*pair
	group map[int64]*place // by chat id, groups and channels

	mu     sync.Mutex
	life   *life
	lives  int
	deaths []death // still to come
	over   chan struct{}
	ended  chan struct{}
	burial sync.WaitGroup

	w watch
}

// cell is a part of the world that has nothing to do with the others but the bot.
type cell struct {
	channels [channelsInCell]*place
	groups   [groupsInCell]*place
	people   []int64
}

// place is a group or a channel.
type place struct {
	id     int64
	cell   *cell
	n      int    // which of its cell
	topic  int64  // of a forum
	name   string // of a channel
	row    persistence.Group
	lacks  bool      // the bot lacks a right there now
	ruled  time.Time // when its rules last changed
	wished *int      // how many channels the owner wants to be enough, where the bot has said yes
	healed time.Time // since when it does not
}

// newWorld fills a world. Nothing acts yet.
func newWorld(t *testing.T, p plan, only choice) *world {
	t.Helper()
	w := &world{
		t: t, plan: p, only: only, began: time.Now(), dir: scratch(t), pairs: map[pairKey]*pair{}, group: map[int64]*place{},
		deaths: p.Deaths, over: make(chan struct{}), ended: make(chan struct{}),
	}
	w.w.init(w)
	w.Server = simulator.New(simulator.Options{
		Seed: p.Seed + 1, ForgetCalls: true, OnEvent: w.w.onEvent, OnFault: w.w.onMishap, OnHand: w.w.onHand,
		Webhooks: hookRoad{w},
		Validate: func(string, string, []byte) error { return nil },
	})
	w.bot = w.NewBot("gate_bot")
	w.olga, w.moira = w.NewUser("Olga", "olga"), w.NewUser("Moira", "")
	require.NoError(t, w.Start(w.olga, w.bot.ID))
	// Telegram tells a bot of members only after a poll that asks for it.
	client, err := telegram.NewClient(w.bot.Token, "http://telegram", nil)
	require.NoError(t, err)
	client.Over(w.Transport())
	_, err = client.GetUpdates(t.Context(), 0, 1, 0, telegram.AllowedUpdates())
	require.NoError(t, err)
	for range p.Scale.Cells {
		w.newCell(p.Scale.People)
	}
	return w
}

func (w *world) newCell(people int) {
	c := &cell{}
	for i := range people {
		c.people = append(c.people, w.NewUser(fmt.Sprintf("P%d", i), ""))
	}
	for i := range c.channels {
		name := fmt.Sprintf("c%d_%d", len(w.cells), i)
		id := w.NewChannel(name, name, w.olga)
		c.channels[i] = &place{id: id, cell: c, n: i, name: name}
		w.group[id] = c.channels[i]
		w.admit(c.channels[i], true)
	}
	for i := range c.groups {
		id := w.NewSupergroup(fmt.Sprintf("G%d", i), "", w.olga)
		g := &place{id: id, cell: c, n: i}
		c.groups[i], w.group[id] = g, g
		w.admit(g, true)
		require.NoError(w.t, w.Promote(id, w.olga, w.moira, simulator.Rights("can_restrict_members")))
		if wishes[i].forum {
			w.MakeForum(id)
			g.topic = w.CreateTopic(id, "Topic")
		}
		g.row = persistence.Group{ID: id, OwnerID: w.olga, Title: "G", Enabled: true}
		g.row.Settings.Need = wishes[i].need
		if n := wishes[i].warnings; n > 0 {
			g.row.Settings.Action, g.row.Settings.Warnings = persistence.ActionWarn, n
		}
		for _, ch := range wishes[i].channels {
			g.row.Channels = append(g.row.Channels, persistence.Channel{
				ID: c.channels[ch].id, Title: "C", Username: fmt.Sprintf("c%d_%d", len(w.cells), ch),
			})
		}
		for _, p := range c.people {
			w.pairs[pairKey{id, p}] = &pair{g: g, user: p}
		}
	}
	w.cells = append(w.cells, c)
}

// admit gives the bot what it needs in a place, or takes away what it can be without.
func (w *world) admit(at *place, all bool) {
	w.t.Helper()
	rights := simulator.Rights("can_restrict_members", "can_delete_messages", "can_invite_users")
	isChannel := at.cell.channels[at.n%channelsInCell] == at
	switch {
	case !all && isChannel:
		require.NoError(w.t, w.Demote(at.id, w.olga, w.bot.ID))
		return
	case !all:
		rights = simulator.Rights("can_delete_messages")
	}
	require.NoError(w.t, w.Promote(at.id, w.olga, w.bot.ID, rights))
}

// now is how long the world has existed.
func (w *world) now() time.Duration { return time.Since(w.began) }

// run lets everything happen that is planned, and what follows.
func (w *world) run() {
	w.store()
	go w.live()
	for _, f := range []simulator.Fault{
		{Kind: simulator.FaultDelay, Update: "chat_member", Probability: w.plan.Scale.Delayed, For: simulator.Between(time.Second, 40*time.Second)},
		{Kind: simulator.FaultDuplicate, Update: "chat_member", Probability: w.plan.Scale.Delayed, For: simulator.Between(0, 20*time.Second)},
		{Kind: simulator.FaultMissing, Update: simulator.Service, Probability: 0.3},
	} {
		w.Fail(f)
	}
	w.day()
	w.end = w.now()
	close(w.over)
	<-w.ended
	w.burial.Wait()
	time.Sleep(10 * time.Minute) // timers that were set fire into the void
	synctest.Wait()
}

// day lets people do what is planned, and holds the end to the rules.
func (w *world) day() {
	checked := time.Duration(0)
	over := func() bool { return w.plan.Hasty && w.w.broken() }
	for _, s := range w.plan.Steps {
		if !w.only.happens(s.ID) {
			continue
		}
		if checked = w.until(s.At, checked); over() {
			return
		}
		w.act(s)
	}
	if checked = w.until(w.plan.Scale.Length, checked); over() {
		return
	}
	w.w.enough.Store(true)
	w.Mend()
	end := max(w.now()+calm, w.w.floodsEnd()+calm)
	w.until(end+7*time.Minute, checked)
	if over() {
		return
	}
	w.w.final()
}

// until lets time pass and checks now and then.
func (w *world) until(at, checked time.Duration) time.Duration {
	for checked+time.Minute <= at {
		checked += time.Minute
		time.Sleep(checked - w.now())
		w.w.check()
		if w.plan.Hasty && w.w.broken() {
			return checked
		}
	}
	if left := at - w.now(); left > 0 {
		time.Sleep(left)
	}
	return checked
}

// store makes the database that the first life finds.
func (w *world) store() {
	w.t.Helper()
	path := filepath.Join(w.dir, "0", "gate.db")
	require.NoError(w.t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(w.t, os.WriteFile(path, template(w.t), 0o600))
	s, err := persistence.Open(w.t.Context(), "sqlite://"+path, persistence.Options{})
	require.NoError(w.t, err)
	require.NoError(w.t, s.Update(w.t.Context(), func(tx persistence.Tx) error {
		for _, c := range w.cells {
			for _, g := range c.groups {
				if _, err := tx.SaveGroup(g.row, persistence.Owner{ID: w.olga}); err != nil {
					return err
				}
			}
		}
		return nil
	}))
	require.NoError(w.t, s.Close())
}

var made = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp(fast(), "storm")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "gate.db")
	s, err := persistence.Open(context.Background(), "sqlite://"+path, persistence.Options{})
	if err != nil {
		return nil, err
	}
	if err := s.Close(); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

// template is a new database with its tables; making one takes longer than a small world.
func template(t *testing.T) []byte {
	t.Helper()
	raw, err := made()
	require.NoError(t, err)
	return raw
}

// fast is a folder in memory, where there is one: what a commit costs on a disk says nothing here. Deaths are
// of the process, not of the machine.
func fast() string {
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		return "/dev/shm"
	}
	return os.TempDir()
}

func scratch(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp(fast(), "storm") //nolint:usetesting // in memory
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
