package actors

import (
	"context"
	"io"
	"log/slog" //nolint:depguard // the actor library wants a slog.Logger
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/protos"
)

// boom makes an actor on a stage panic.
type boom struct{}

// stage is an actor system in virtual time, with one asker that keeps what it is sent.
type stage struct {
	system *actor.ActorSystem
	asker  *actor.PID
	mu     sync.Mutex
	got    []any
}

func onStage(t *testing.T, test func(t *testing.T, s *stage)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &stage{system: actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
			return slog.New(slog.NewTextHandler(io.Discard, nil))
		}))}
		s.asker = s.system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
			switch c.Message().(type) {
			case actor.SystemMessage, actor.AutoReceiveMessage:
				return
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			s.got = append(s.got, c.Message())
		}))
		test(t, s)
		s.system.Shutdown()
		time.Sleep(3 * time.Second) // the actor library's dead letter throttle ends by itself
	})
}

// spawn starts an actor as the program does, with its supervision.
func (s *stage) spawn(kind string, produce actor.Producer) *actor.PID {
	return s.system.Root.Spawn(rootProps(kind, produce, 200_000, s.supervision()))
}

func (s *stage) supervision() *supervision {
	return &supervision{settler: &ledger{}, log: zerolog.Nop(), inject: func(_ string, m any) fault {
		if _, ok := m.(*boom); ok {
			return faultPanic
		}
		return faultNone
	}}
}

func (s *stage) ask(to *actor.PID, m any) { s.system.Root.RequestWithCustomSender(to, m, s.asker) }

// take returns what came since it was called last.
func (s *stage) take() []any {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	got := s.got
	s.got = nil
	return got
}

// done returns the answers to jobs that came, by tag; one that came twice fails.
func (s *stage) done(t *testing.T) map[uint64]*protos.JobDone {
	t.Helper()
	done := map[uint64]*protos.JobDone{}
	for _, m := range s.take() {
		if one, ok := m.(*protos.JobDone); ok {
			require.NotContains(t, done, one.GetTag())
			done[one.GetTag()] = one
		}
	}
	return done
}

func restrictJob(lane protos.Lane, chat, user int64) *protos.Job {
	return &protos.Job{Lane: lane, ChatId: chat, Do: &protos.Job_Restrict{Restrict: &protos.Restrict{UserId: user}}}
}

func deleteJob(chat int64, ids ...int64) *protos.Job {
	return &protos.Job{Lane: protos.Lane_DELETE, ChatId: chat, Do: &protos.Job_Delete{Delete: &protos.DeleteMessages{MessageIds: ids}}}
}

func lookupJob(chat int64) *protos.Job {
	return &protos.Job{Lane: protos.Lane_LOOKUP, ChatId: chat, Do: &protos.Job_GetMember{GetMember: &protos.GetMember{ChatId: chat, UserId: 1}}}
}

func talkJob(chat int64) *protos.Job {
	return &protos.Job{Lane: protos.Lane_TALK, ChatId: chat, Do: &protos.Job_Send{Send: &protos.SendText{Html: "hello"}}}
}

func pressJob() *protos.Job {
	return &protos.Job{Lane: protos.Lane_ANSWER, Do: &protos.Job_Answer{Answer: &protos.AnswerCallback{CallbackId: "c"}}}
}

func outcome(o protos.Outcome) *protos.JobDone { return &protos.JobDone{Outcome: o} }

func flood(seconds int64) *protos.JobDone {
	return &protos.JobDone{Outcome: protos.Outcome_FLOOD, RetryAfterS: seconds}
}

type apiFunc func(ctx context.Context, job *protos.Job) *protos.JobDone

func (f apiFunc) Do(ctx context.Context, job *protos.Job) *protos.JobDone { return f(ctx, job) }

func (s *stage) sender(o SenderOptions, api apiFunc) *actor.PID {
	o.Clock, o.Log = time.Now, zerolog.Nop()
	return s.spawn("sender", func() actor.Actor { return newSender(api, o) })
}

// takes answers a job after a while, or when its call is broken off.
func takes(d time.Duration) apiFunc {
	return func(ctx context.Context, job *protos.Job) *protos.JobDone {
		select {
		case <-time.After(d):
			return &protos.JobDone{Tag: job.GetTag(), SentMs: 1}
		case <-ctx.Done():
			return &protos.JobDone{Tag: job.GetTag(), Outcome: protos.Outcome_UNCLEAR}
		}
	}
}

func tagged(job *protos.Job, tag uint64) *protos.Job {
	job.Tag = tag
	return job
}

func TestSender_AnswersEachJobOnce(t *testing.T) {
	t.Parallel()
	onStage(t, func(t *testing.T, s *stage) {
		most, now := 0, 0
		var mu sync.Mutex
		count := func(by int) {
			mu.Lock()
			defer mu.Unlock()
			now += by
			most = max(most, now)
		}
		to := s.sender(SenderOptions{Slots: 8}, func(ctx context.Context, job *protos.Job) *protos.JobDone {
			count(1)
			defer count(-1)
			return takes(50*time.Millisecond)(ctx, job)
		})
		for i := range uint64(100) {
			s.ask(to, tagged(deleteJob(-1, int64(i)), i))
			s.ask(to, tagged(lookupJob(-200-int64(i)), 100+i))
			s.ask(to, tagged(talkJob(-3-int64(i)), 200+i))
		}
		s.system.Root.Send(to, lookupJob(-4)) // nobody asks for an answer
		time.Sleep(time.Minute)
		done := s.done(t)
		require.Len(t, done, 300)
		for tag, one := range done {
			assert.Equal(t, protos.Outcome_DONE, one.GetOutcome(), tag)
			assert.EqualValues(t, 1, one.GetSentMs(), tag)
		}
		assert.Equal(t, 8, most, "calls in the air at once")
	})
}

func TestSender_ACallThatPanicsIsUnclear(t *testing.T) {
	t.Parallel()
	onStage(t, func(t *testing.T, s *stage) {
		to := s.sender(SenderOptions{Slots: 1}, func(_ context.Context, job *protos.Job) *protos.JobDone {
			if job.GetRestrict() != nil {
				panic("no")
			}
			return &protos.JobDone{Tag: job.GetTag()}
		})
		s.ask(to, tagged(restrictJob(protos.Lane_MUTE, -1, 7), 1))
		s.ask(to, tagged(lookupJob(-1), 2))
		time.Sleep(time.Second)
		done := s.done(t)
		require.Len(t, done, 2)
		assert.Equal(t, protos.Outcome_UNCLEAR, done[1].GetOutcome())
		assert.Equal(t, protos.Outcome_DONE, done[2].GetOutcome(), "its slot is free again")
	})
}

func TestSender_WaitsAsLongAsTelegramSays(t *testing.T) {
	t.Parallel()
	onStage(t, func(t *testing.T, s *stage) {
		start, asked := time.Now(), 0
		to := s.sender(SenderOptions{}, func(_ context.Context, job *protos.Job) *protos.JobDone {
			asked++
			if asked == 1 {
				return flood(7)
			}
			return &protos.JobDone{Tag: job.GetTag(), SentMs: time.Now().UnixMilli()}
		})
		s.ask(to, tagged(deleteJob(-1, 5), 1))
		time.Sleep(6900 * time.Millisecond)
		require.Empty(t, s.done(t))
		time.Sleep(time.Second)
		done := s.done(t)
		require.Len(t, done, 1)
		assert.GreaterOrEqual(t, done[1].GetSentMs()-start.UnixMilli(), int64(7000))
		assert.Equal(t, 2, asked)
	})
}

func TestSender_TellsWhenSomethingCameTooLate(t *testing.T) {
	t.Parallel()
	onStage(t, func(t *testing.T, s *stage) {
		to := s.sender(SenderOptions{}, func(context.Context, *protos.Job) *protos.JobDone { return flood(60) })
		job := tagged(deleteJob(-1, 5), 1)
		job.DeadlineMs = time.Now().Add(5 * time.Second).UnixMilli()
		s.ask(to, job)
		time.Sleep(5100 * time.Millisecond)
		assert.Equal(t, protos.Outcome_EXPIRED, s.done(t)[1].GetOutcome(), "at its time, not after the pause")
	})
}

func TestSender_WhatWaitsLeavesNoMoreWhileItIsHeld(t *testing.T) {
	t.Parallel()
	onStage(t, func(t *testing.T, s *stage) {
		to := s.sender(SenderOptions{Slots: 1}, takes(time.Second))
		s.ask(to, tagged(lookupJob(-1), 1))
		s.ask(to, tagged(lookupJob(-1), 2))
		s.ask(to, &holdSender{on: true})
		s.ask(to, tagged(pressJob(), 3))
		time.Sleep(time.Minute)
		require.Len(t, s.done(t), 1, "only what was in the air")
		s.ask(to, &holdSender{})
		time.Sleep(2 * time.Second)
		require.Len(t, s.done(t), 2, "and then all of it")
	})
}

func TestSender_StopsWithGrace(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		grace time.Duration
		after time.Duration // when it has stopped
		left  int
	}{{"enough", 5 * time.Second, time.Second, 0}, {"too short", 300 * time.Millisecond, 300 * time.Millisecond, 1}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			onStage(t, func(t *testing.T, s *stage) {
				to := s.sender(SenderOptions{Slots: 1}, takes(time.Second))
				s.ask(to, tagged(lookupJob(-1), 1))
				s.ask(to, tagged(lookupJob(-1), 2))
				synctest.Wait()
				start := time.Now()
				stopped := s.system.Root.RequestFuture(to, &stopSender{grace: c.grace}, time.Minute)
				s.ask(to, tagged(lookupJob(-1), 3))
				synctest.Wait()
				done := s.done(t)
				require.Len(t, done, 2)
				assert.Equal(t, "stopping", done[2].GetDescription())
				assert.Equal(t, "stopping", done[3].GetDescription())
				answer, err := stopped.Result()
				require.NoError(t, err)
				assert.Equal(t, &senderStopped{left: c.left}, answer)
				assert.Equal(t, c.after, time.Since(start))
				done = s.done(t)
				require.Len(t, done, 1, "what was in the air is answered too")
				want := map[int]protos.Outcome{0: protos.Outcome_DONE, 1: protos.Outcome_UNCLEAR}[c.left]
				assert.Equal(t, want, done[1].GetOutcome())
			})
		})
	}
}

func TestSender_ARestartOwesAnswers(t *testing.T) {
	t.Parallel()
	onStage(t, func(t *testing.T, s *stage) {
		flying, most := 0, 0
		var mu sync.Mutex
		to := s.sender(SenderOptions{Slots: 2}, func(_ context.Context, job *protos.Job) *protos.JobDone {
			mu.Lock()
			flying++
			most = max(most, flying)
			mu.Unlock()
			time.Sleep(time.Second) // whatever the context says
			mu.Lock()
			flying--
			mu.Unlock()
			return &protos.JobDone{Tag: job.GetTag()}
		})
		for tag := range uint64(5) {
			s.ask(to, tagged(lookupJob(-1-int64(tag)), tag))
		}
		synctest.Wait()
		s.ask(to, &boom{})
		done := s.done(t)
		require.Len(t, done, 5)
		unclear := 0
		for _, one := range done {
			if one.GetOutcome() == protos.Outcome_UNCLEAR {
				unclear++
			} else {
				assert.Equal(t, protos.Outcome_EXPIRED, one.GetOutcome())
			}
		}
		assert.Equal(t, 2, unclear, "nobody knows of those in the air")
		time.Sleep(2 * time.Second)
		require.Empty(t, s.done(t), "no second answer when they end")
		most = 0
		for tag := range uint64(6) {
			s.ask(to, tagged(lookupJob(-1-int64(tag)), 10+tag))
		}
		time.Sleep(time.Minute)
		require.Len(t, s.done(t), 6, "it works again")
		assert.Equal(t, 2, most, "with as many slots as before")
	})
}

func TestSender_AStopAnswersGatheredDeletions(t *testing.T) {
	t.Parallel()
	onStage(t, func(t *testing.T, s *stage) {
		to := s.sender(SenderOptions{}, takes(time.Second))
		for tag := range uint64(3) {
			s.ask(to, tagged(deleteJob(-1, int64(tag)), tag))
		}
		time.Sleep(1500 * time.Millisecond) // the first went alone, the others together
		require.Len(t, s.done(t), 1)
		s.system.Root.Stop(to)
		done := s.done(t)
		require.Len(t, done, 2)
		assert.Equal(t, protos.Outcome_UNCLEAR, done[1].GetOutcome())
		assert.Equal(t, protos.Outcome_UNCLEAR, done[2].GetOutcome())
	})
}
