package actors

import (
	"log/slog" //nolint:depguard // the actor library wants a slog.Logger
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/protos"
	"github.com/gmbot/gmbot/telegram"
)

func BenchmarkDecide(b *testing.B) {
	f := facts{
		Trigger: byMessage, HasRow: true, Row: persistence.Flow{State: persistence.Checking, Messages: []int64{5}},
		Verdict: protos.Verdict_OUTSIDE, Member: &protos.Member{Status: telegram.StatusMember}, Now: noon, Until: noon.Add(markFor).Unix(),
	}
	b.ReportAllocs()
	for b.Loop() {
		if decide(f).Act != actMute {
			b.Fatal("not muted")
		}
	}
}

// settledAll is a Settler that counts down.
type settledAll struct {
	left int
	done chan struct{}
}

func (s *settledAll) Settled(uint64) {
	s.left--
	if s.left == 0 {
		close(s.done)
	}
}

func (s *settledAll) NotDone(uint64, string) {}

// BenchmarkRouterHop is the way of an event to a router, which drops it: its chat is not protected.
func BenchmarkRouterHop(b *testing.B) {
	system := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }))
	defer system.Shutdown()
	settled := &settledAll{left: b.N, done: make(chan struct{})}
	d := &deps{settler: settled, clock: time.Now, root: system.Root, bot: &protos.User{}}
	router := system.Root.Spawn(rootProps("router", func() actor.Actor {
		return newRouter(d, map[int64]struct{}{}, map[int64]struct{}{})
	}, b.N+1, d.supervision()))
	events := make([]*protos.Event, b.N)
	for i := range events {
		events[i] = &protos.Event{UpdateId: int64(i + 1), Kind: protos.EventKind_MESSAGE, Chat: groupChat()}
	}
	b.ReportAllocs()
	b.ResetTimer()
	for _, e := range events {
		system.Root.Send(router, e)
	}
	<-settled.done
}

// BenchmarkSenderEnqueue is a job's way through the lanes: queued, picked, left, done. A thousand chats take turns.
func BenchmarkSenderEnqueue(b *testing.B) {
	l := newLanes(limits{slots: defaultSlots, perSecond: defaultPerSecond, perGroup: defaultPerGroup}, noon)
	job, done := lookupJob(0), outcome(protos.Outcome_DONE)
	chat := int64(0)
	b.ReportAllocs()
	for b.Loop() {
		chat = chat%1000 + 1
		job.ChatId = -chat
		l.add(&task{job: job, since: noon})
		t, _, _ := l.next(noon)
		l.done(t, done, noon)
	}
}

// BenchmarkSenderCrowd is the same while ten thousand chats wait for their budget of messages.
func BenchmarkSenderCrowd(b *testing.B) {
	l := newLanes(limits{slots: defaultSlots, perSecond: defaultPerSecond, perGroup: defaultPerGroup}, noon)
	for chat := range int64(10_000) {
		l.add(&task{job: talkJob(-10_000 - chat), since: noon})
	}
	for t, _, _ := l.next(noon); t != nil; t, _, _ = l.next(noon) {
		l.done(t, outcome(protos.Outcome_DONE), noon)
	}
	job, done := lookupJob(-1), outcome(protos.Outcome_DONE)
	b.ReportAllocs()
	for b.Loop() {
		l.add(&task{job: job, since: noon})
		t, _, _ := l.next(noon)
		l.done(t, done, noon)
	}
}
