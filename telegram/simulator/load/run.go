package load

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gmbot/gmbot/telegram/simulator"
)

// Load is a load in its own simulated Telegram.
type Load struct {
	Town

	spec   Spec
	sim    *simulator.Server
	watch  *watch
	random *rand.Rand
	gate   sync.RWMutex // held while updates are being prepared: then no poll is answered
	polled chan struct{}
	once   sync.Once

	members   [][]int64 // of each group
	strangers []*victim
	raiders   []*victim
	warmers   []*victim
	sent      int       // messages the bot gets
	confirmed time.Time // when the bot had taken all of them
	acts      sync.WaitGroup
}

// New builds a load's world. Nothing happens in it yet.
func New(spec Spec) *Load {
	l := &Load{
		spec: spec, watch: newWatch(), polled: make(chan struct{}),
		random: rand.New(rand.NewPCG(spec.Seed, 1)),
	}
	l.sim = simulator.New(simulator.Options{
		Switches: simulator.Switches{NoServiceMessages: true}, Latency: l.latency, ForgetCalls: true,
		OnHand: l.watch.onHand, OnCall: l.watch.onCall,
	})
	l.build()
	return l
}

// Handler serves the Bot API of this world. A poll waits while updates are being prepared.
func (l *Load) Handler() http.Handler {
	api := l.sim.Handler()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/getUpdates") {
			l.once.Do(func() { close(l.polled) })
			<-l.prepared()
		}
		api.ServeHTTP(w, r)
	})
}

// prepared is closed when no updates are being prepared.
func (l *Load) prepared() <-chan struct{} {
	done := make(chan struct{})
	l.gate.RLock()
	defer l.gate.RUnlock()
	close(done)
	return done
}

// latency is what the API takes for a call.
func (l *Load) latency(method string) time.Duration {
	if method == "getUpdates" {
		return 0
	}
	return l.spec.Latency
}

const channelName = "bench_news"

func (l *Load) build() {
	s := l.sim
	bot := s.NewBot("bench_bot")
	owner := s.NewUser("Olga", "olga")
	l.Town = Town{
		BotID: bot.ID, Token: bot.Token, OwnerID: owner,
		ChannelID: s.NewChannel("News", channelName, owner), ChannelTitle: "News", ChannelUsername: channelName,
	}
	l.watch.channel = l.ChannelID
	l.must(s.Promote(l.ChannelID, owner, bot.ID, simulator.Rights("can_invite_users")))
	for i := range l.spec.Groups {
		group := s.NewSupergroup(fmt.Sprintf("Group %d", i+1), "", owner)
		l.must(s.Promote(group, owner, bot.ID, simulator.Rights("can_restrict_members", "can_delete_messages")))
		l.Groups = append(l.Groups, group)
		var members []int64
		for range l.spec.Members {
			id := s.NewUser("Anna", "")
			l.must(s.Join(l.ChannelID, id))
			l.must(s.Join(group, id))
			members = append(members, id)
		}
		l.members = append(l.members, members)
	}
	l.warmers = l.people(min(l.spec.Groups, 50), 0)
	from := 0
	if l.spec.Kind == Raid {
		from = min(1, len(l.Groups)-1) // the raid has a group for itself
	}
	l.strangers = l.people(l.spec.Strangers, from)
	defer l.forgetPast()
	for range l.spec.Raiders {
		v := l.stranger(l.Groups[0])
		v.raider = true
		l.raiders = append(l.raiders, v)
	}
}

// forgetPast drops the updates of how all this came to be: the bot has been here for long.
func (l *Load) forgetPast() {
	body := strings.NewReader(`{"drop_pending_updates":true}`)
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://simulator/bot"+l.Token+"/deleteWebhook", body)
	l.must(err)
	r.Header.Set("Content-Type", "application/json")
	resp, err := l.sim.Transport().RoundTrip(r)
	l.must(err)
	l.must(resp.Body.Close())
}

// people makes strangers, in turn in the groups from a given one on.
func (l *Load) people(n, from int) []*victim {
	groups := l.Groups[from:]
	list := make([]*victim, 0, n)
	for i := range n {
		list = append(list, l.stranger(groups[i%len(groups)]))
	}
	return list
}

func (l *Load) stranger(group int64) *victim {
	v := &victim{chat: group, user: l.sim.NewUser("Boris", "")}
	l.must(l.sim.Join(group, v.user))
	return v
}

// must is for acts that this world cannot refuse.
func (l *Load) must(err error) {
	if err != nil {
		panic(err)
	}
}

// Warm lets every known member write once, and some strangers, and returns when the bot is quiet again.
func (l *Load) Warm(ctx context.Context) error {
	select {
	case <-l.polled:
	case <-ctx.Done():
		return fmt.Errorf("the bot does not poll: %w", ctx.Err())
	}
	for i, members := range l.members {
		for _, user := range members {
			l.write(l.Groups[i], user)
		}
	}
	for _, v := range l.warmers {
		l.strike(v)
	}
	_, err := l.finish(ctx, nil)
	if err != nil {
		return err
	}
	return l.quiet(ctx)
}

// quietFor is how long a bot that has nothing to do calls nobody.
const quietFor = 300 * time.Millisecond

// quiet waits until the bot calls nobody any more.
func (l *Load) quiet(ctx context.Context) error {
	for {
		l.watch.mu.Lock()
		left := quietFor - time.Since(l.watch.lastCall)
		l.watch.mu.Unlock()
		if left <= 0 {
			return nil
		}
		if err := wait(ctx, left); err != nil {
			return err
		}
	}
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// write lets somebody write; whoever may not any more writes nothing.
func (l *Load) write(group, user int64) {
	if _, err := l.sim.Write(group, user, "Good morning everybody, has anyone seen my umbrella?"); err == nil {
		l.sent++
	}
}

func (l *Load) strike(v *victim) {
	l.watch.expect(v)
	l.write(v.chat, v.user)
}

// Run carries the load out and says what was measured. progress is told the share that is done.
func (l *Load) Run(ctx context.Context, progress func(float64)) (Result, error) {
	l.watch.begin()
	l.sent = 0
	began := time.Now()
	var err error
	switch l.spec.Kind {
	case Clean, Burst, Many:
		began = l.atOnce()
	case Raid:
		err = l.raid(ctx, progress)
	case Paced, Mixed:
		err = l.pace(ctx, l.day(), progress)
	}
	if err != nil {
		return Result{}, err
	}
	if _, err = l.finish(ctx, progress); err != nil {
		return Result{}, err
	}
	// Whoever was muted last is still reading the notice.
	l.acts.Wait()
	lost, err := l.finish(ctx, progress)
	if err == nil {
		err = l.quiet(ctx) // what is still said about it belongs to it
	}
	if err != nil {
		return Result{}, err
	}
	r := l.watch.result(l.spec, began, l.confirmed)
	r.Messages, r.Lost = l.sent, lost
	return r, nil
}

// atOnce prepares everything while no poll is answered, so that the bot is the one who is measured.
func (l *Load) atOnce() time.Time {
	l.gate.Lock()
	defer l.gate.Unlock()
	every := 0
	if len(l.strangers) > 0 {
		every = l.spec.Messages / len(l.strangers)
	}
	for i, v := range l.strangers {
		for n := range every {
			l.clean(i*every + n)
		}
		l.strike(v)
	}
	for i := len(l.strangers) * every; i < l.spec.Messages; i++ {
		l.clean(i)
	}
	return time.Now()
}

// clean lets a known member write; every member has a turn.
func (l *Load) clean(i int) {
	group := i % len(l.Groups)
	members := l.members[group]
	l.write(l.Groups[group], members[i/len(l.Groups)%len(members)])
}

// patience is how long nothing may happen before what is missing counts as lost.
const patience = 20 * time.Second

// finish waits until every update was taken and every effect has come; lost is what did not.
func (l *Load) finish(ctx context.Context, progress func(float64)) (lost int, err error) {
	var before state
	moved := time.Now()
	for {
		now := l.look()
		switch {
		case now.pending == 0 && now.open <= 0:
			return 0, nil
		case now != before:
			before, moved = now, time.Now()
		case time.Since(moved) > patience:
			return now.open + now.pending, nil
		}
		report(progress, 1-min(float64(now.open+now.pending)/float64(max(l.sent+now.open+now.done, 1)), 1))
		if now.pending > 0 {
			l.awaitConfirmed(ctx)
		} else if err := l.watch.await(ctx, lookEvery); err != nil {
			return 0, err
		}
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
	}
}

// state is how far things are.
type state struct{ pending, open, done int }

func (l *Load) look() state {
	pending := l.sim.Pending(l.BotID)
	l.watch.mu.Lock()
	defer l.watch.mu.Unlock()
	return state{pending, l.watch.open, l.watch.done}
}

// lookEvery is how often it is looked how far things are, for who watches.
const lookEvery = 100 * time.Millisecond

// awaitConfirmed waits a little for the bot to have taken every update, and notes when it had.
func (l *Load) awaitConfirmed(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lookEvery)
	defer cancel()
	if l.sim.WaitFor(ctx, func() bool { return l.sim.Pending(l.BotID) == 0 }) == nil {
		l.confirmed = time.Now()
	}
}
