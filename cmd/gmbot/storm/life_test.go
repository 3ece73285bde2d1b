package storm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/actors"
	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/telegram"
)

var errDead = errors.New("this life is over")

// life is one process of the bot, from its start to its death.
type life struct {
	w     *world
	n     int
	dead  atomic.Bool
	takes atomic.Bool // it has begun to take updates
	died  chan struct{}
	once  sync.Once
	down  time.Duration // until the next begins
	after time.Duration // how long nobody lived before
	store *mortal
	dir   string
	kept  []*persistence.Journal // of updates and of changes
	left  map[string][]byte      // what stood in the journals' files when it died
	hooks *telegram.Webhook      // where webhooks go

	ctx    context.Context //nolint:containedctx // it is the life
	end    context.CancelFunc
	system *actors.System
	source chan struct{} // closed when it has ended
}

// die cuts the wire and the store. What stands in the journals at this moment is what the next life finds: the old
// process, which goes on for a while, would strike out what it cannot apply any more.
func (l *life) die(down time.Duration) {
	l.once.Do(func() {
		l.down = down
		l.dead.Store(true)
		l.left = map[string][]byte{}
		for _, name := range journals {
			if raw, err := os.ReadFile(filepath.Join(l.dir, name)); err == nil {
				l.left[name] = raw
			}
		}
		close(l.died)
	})
}

// asleep: nobody lives, or not for long after more than a day.
func (w *world) asleep() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.life.dead.Load()
}

// awake: somebody lives who takes updates. A process that waits for the database, or for Telegram, at its start does
// not: whether it may act, what is protected, and what the life before has left, stands in the database alone.
func (w *world) awake() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.life.takes.Load() && !w.life.dead.Load()
}

// live lets one life follow another until the world is over.
func (w *world) live() {
	defer close(w.ended)
	down := time.Duration(0)
	for n := 1; ; n++ {
		l := w.birth(n, down)
		select {
		case <-l.died:
			w.bury(l)
			down = l.down
			time.Sleep(down)
		case <-w.over:
			w.farewell(l)
			return
		}
	}
}

// birth starts a process on what the last one left.
func (w *world) birth(n int, after time.Duration) *life {
	dir := filepath.Join(w.dir, strconv.Itoa(n-1))
	l := &life{w: w, n: n, after: after, died: make(chan struct{}), dir: dir, source: make(chan struct{})}
	l.ctx, l.end = context.WithCancel(context.Background())
	w.mu.Lock()
	w.life, w.lives = l, n
	w.mu.Unlock()
	w.w.born(l)
	file, err := persistence.Open(l.ctx, "sqlite://"+filepath.Join(dir, "gate.db"), persistence.Options{Readers: 2})
	require.NoError(w.t, err)
	l.store = &mortal{Store: file, l: l}
	if err := l.start(); err != nil {
		close(l.source)
		if !l.dead.Load() {
			w.w.breach(ruleLife, "life %d does not start: %v", n, err)
			l.die(time.Second)
		}
	}
	return l
}

func (l *life) start() error {
	client, err := telegram.NewClient(l.w.bot.Token, "http://telegram", nil)
	if err != nil {
		return err
	}
	client.Over(&wire{l: l, to: l.w.Transport()})
	me, err := client.GetMe(l.ctx)
	for ; err != nil; me, err = client.GetMe(l.ctx) {
		if l.dead.Load() {
			return errDead
		}
		time.Sleep(500 * time.Millisecond)
	}
	log := zerolog.New(&l.w.w.log).Level(zerolog.WarnLevel)
	o := actors.Options{
		API: client, Store: l.store, Bot: me, Log: log, CacheEntries: 10_000, Random: l.w.w.random,
		FlowsAtOnce: 2, // so that newcomers wait for their turn in worlds as small as these, too
	}
	if l.w.plan.Scale.long() {
		o.SweepCallsPerMinute = sweepCalls
	}
	so := telegram.SourceOptions{Client: client, Log: log, Random: l.w.w.random}
	if l.w.plan.Traits.Kept {
		if err := l.keep(&o, &so, log); err != nil {
			return err
		}
	}
	if l.system, err = actors.Start(l.ctx, o); err != nil {
		return err
	}
	so.Deliver, so.Asides, so.Away = l.system.Deliver, l.system, l.system.Away
	source := telegram.NewSource(so)
	l.system.UseSettler(source)
	l.takes.Store(true)
	l.w.w.begins()
	go func() {
		defer close(l.source)
		if l.w.plan.Traits.Hooks {
			l.takeHooks(client, source)
			return
		}
		_ = source.Run(l.ctx)
	}()
	return nil
}

// journalBytes is the room of a journal.
const journalBytes = 1 << 20

// keep opens the journals, and takes up what the life before has kept.
func (l *life) keep(o *actors.Options, so *telegram.SourceOptions, log zerolog.Logger) error {
	for _, name := range journals {
		j, err := persistence.OpenJournal(filepath.Join(l.dir, name), journalBytes, nil)
		if err != nil {
			return err
		}
		l.kept = append(l.kept, j)
	}
	for {
		changes, err := persistence.TakeUp(l.ctx, l.store, l.kept[1], log)
		if err == nil {
			o.Changes, so.Keeper = changes, l.kept[0]
			return nil
		}
		if l.dead.Load() || !errors.Is(err, persistence.ErrUnavailable) {
			return err
		}
		time.Sleep(500 * time.Millisecond)
	}
}

// journals are the files of the journals: of updates, and of changes.
var journals = []string{"journal", "journal.rows"}

// bury takes what a dead process leaves on the disk to where the next one finds it, and ends what still
// moves. The old one goes on for a while with its wire and its store cut: what it tries is counted.
func (w *world) bury(l *life) {
	next := filepath.Join(w.dir, strconv.Itoa(l.n))
	require.NoError(w.t, os.MkdirAll(next, 0o700))
	l.store.mu.Lock() // a transaction under way ends first, undone
	for _, name := range []string{"gate.db", "gate.db-wal"} {
		raw, err := os.ReadFile(filepath.Join(l.dir, name))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		require.NoError(w.t, err)
		require.NoError(w.t, os.WriteFile(filepath.Join(next, name), raw, 0o600))
	}
	l.store.mu.Unlock()
	for name, raw := range l.left {
		require.NoError(w.t, os.WriteFile(filepath.Join(next, name), raw, 0o600))
	}
	w.burial.Go(func() {
		_ = l.stop()
		_ = os.RemoveAll(l.dir)
	})
}

// farewell ends the last life in good order.
func (w *world) farewell(l *life) {
	if err := l.stop(); err != nil {
		w.w.breach(ruleLife, "the last life does not end well: %v", err)
	}
}

func (l *life) stop() error {
	l.end()
	<-l.source
	ctx, cancel := context.WithTimeout(context.Background(), 6*time.Second)
	defer cancel()
	var err error
	if l.system != nil {
		err = l.system.Stop(ctx)
	}
	err = errors.Join(err, l.store.Store.Close())
	for _, j := range l.kept {
		err = errors.Join(err, j.Close())
	}
	return err
}

// mortal is a store that its process may die in.
type mortal struct {
	persistence.Store

	l  *life
	mu sync.Mutex
}

// Update implements persistence.Store.
func (s *mortal) Update(ctx context.Context, change func(persistence.Tx) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.l.dead.Load() {
		s.l.w.w.refused.Add(1)
		return errDead
	}
	if s.l.w.w.storeAway() {
		return fmt.Errorf("%w: away", persistence.ErrUnavailable)
	}
	var seen *seenTx
	var d *death
	err := s.Store.Update(ctx, func(tx persistence.Tx) error {
		seen = &seenTx{Tx: tx}
		if err := change(seen); err != nil {
			return err
		}
		if d = s.l.w.fate(s.l, "commit", seen.who); d != nil && d.How == "before" {
			s.l.die(d.Down)
		}
		if s.l.dead.Load() {
			return errDead
		}
		if s.l.w.w.diskFails(seen.who) {
			return fmt.Errorf("%w: no luck", persistence.ErrUnavailable)
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.l.w.w.committed(s.l, seen)
	if d != nil {
		s.l.die(d.Down)
		return errDead
	}
	return nil
}

// Prune implements persistence.Store.
func (s *mortal) Prune(ctx context.Context, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.l.dead.Load() {
		return errDead
	}
	return s.Store.Prune(ctx, now)
}

// seenTx notes what a transaction says about people.
type seenTx struct {
	persistence.Tx

	who  pairKey
	rows []func(*watch)
}

func (t *seenTx) note(f func(*watch)) { t.rows = append(t.rows, f) }

// SaveFlow implements persistence.Tx.
func (t *seenTx) SaveFlow(f persistence.Flow) error {
	t.who = pairKey{f.GroupID, f.UserID}
	t.note(func(w *watch) { w.rowIs(f) })
	return t.Tx.SaveFlow(f)
}

// NewFlow implements persistence.Tx.
func (t *seenTx) NewFlow(f persistence.Flow) (bool, error) {
	made, err := t.Tx.NewFlow(f)
	if made {
		t.who = pairKey{f.GroupID, f.UserID}
		t.note(func(w *watch) { w.rowIs(f) })
	}
	return made, err
}

// CloseFlow implements persistence.Tx.
func (t *seenTx) CloseFlow(group, user int64) error {
	t.who = pairKey{group, user}
	t.note(func(w *watch) { w.rowIs(persistence.Flow{GroupID: group, UserID: user}) })
	return t.Tx.CloseFlow(group, user)
}

// SaveGroup implements persistence.Tx.
func (t *seenTx) SaveGroup(g persistence.Group, o persistence.Owner) (int64, error) {
	t.note(func(w *watch) { w.rulesAre(g) })
	return t.Tx.SaveGroup(g, o)
}

// SawMember implements persistence.Tx.
func (t *seenTx) SawMember(group, user int64, at time.Time) error {
	t.note(func(w *watch) { w.seenIs(group, user, true) })
	return t.Tx.SawMember(group, user, at)
}

// ForgetMember implements persistence.Tx.
func (t *seenTx) ForgetMember(group, user int64) error {
	t.note(func(w *watch) { w.seenIs(group, user, false) })
	return t.Tx.ForgetMember(group, user)
}

// Exempt implements persistence.Tx.
func (t *seenTx) Exempt(e persistence.Exemption) error {
	t.note(func(w *watch) { w.exemptIs(e.GroupID, e.UserID, true) })
	return t.Tx.Exempt(e)
}

// Unexempt implements persistence.Tx.
func (t *seenTx) Unexempt(group, user int64) (bool, error) {
	t.note(func(w *watch) { w.exemptIs(group, user, false) })
	return t.Tx.Unexempt(group, user)
}

// FreeAll implements persistence.Tx.
func (t *seenTx) FreeAll(group int64) (int, error) {
	t.note(func(w *watch) { w.allFreeing(group) })
	return t.Tx.FreeAll(group)
}

// SetGroupEnabled implements persistence.Tx.
func (t *seenTx) SetGroupEnabled(group int64, on bool) error {
	t.note(func(w *watch) { w.enabledIs(group, on) })
	return t.Tx.SetGroupEnabled(group, on)
}

// SaveNotice implements persistence.Tx.
func (t *seenTx) SaveNotice(n persistence.Notice) error {
	t.note(func(w *watch) {
		w.sayLocked("  row of a notice in %s, topic %d: #%d, after #%d", w.name(n.GroupID), n.ThreadID, n.MessageID, n.Seen)
		if w.named[n.GroupID] == 0 && len(n.People) > 0 { // one that was never sent may be looked for, too
			w.named[n.GroupID] = n.People[len(n.People)-1]
		}
	})
	return t.Tx.SaveNotice(n)
}

// DropNotice implements persistence.Tx.
func (t *seenTx) DropNotice(group, thread int64) error {
	t.note(func(w *watch) { w.sayLocked("  row of a notice in %s, topic %d: none", w.name(group), thread) })
	return t.Tx.DropNotice(group, thread)
}

// PutAside implements persistence.Tx.
func (t *seenTx) PutAside(a persistence.SetAside) error {
	t.note(func(w *watch) {
		if a.Again.IsZero() {
			w.breachLocked(ruleLost, "update %d, %s, was set aside: %s", a.UpdateID, w.tells(a.Raw), a.Reason)
			return
		}
		w.deferred++
		w.sayLocked("  update %d, %s, is tried again in %s: %s", a.UpdateID, w.tells(a.Raw), time.Until(a.Again), a.Reason)
	})
	return t.Tx.PutAside(a)
}

// DropAside implements persistence.Tx.
func (t *seenTx) DropAside(id int64) error {
	t.note(func(w *watch) { w.sayLocked("  update %d is finished after all", id) })
	return t.Tx.DropAside(id)
}

// fate says whether a life ends at this call.
func (w *world) fate(l *life, what string, who pairKey) *death {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.life != l || l.dead.Load() {
		return nil
	}
	now := w.now()
	for i := range w.deaths {
		d := &w.deaths[i]
		if d.At > now {
			return nil
		}
		if !w.only.happens(d.ID) || !stormy(now) && d.Down < time.Hour || w.w.enough.Load() {
			continue
		}
		if d.What != "" && d.What != what || d.State != "" && d.State != w.w.stateOf(who) {
			continue
		}
		d.N--
		if d.N >= 0 {
			continue
		}
		one := *d
		w.deaths = append(append([]death{}, w.deaths[:i]...), w.deaths[i+1:]...)
		w.w.dies(one, what, who)
		return &one
	}
	return nil
}
