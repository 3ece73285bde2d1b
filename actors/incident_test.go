package actors

import (
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/protos"
)

type silentSettler struct{}

func (silentSettler) Settled(uint64)         {}
func (silentSettler) NotDone(uint64, string) {}

func explode() { panic("boom 123456:AAAbbbCCCdddEEEfffGGGhhh") }

// A panic is reported with its stack, the actor's path, and whom it was about; and who asks hears of it.
func TestIncident_OfAPanic(t *testing.T) {
	t.Parallel()
	reports := make(chan Incident, 1)
	sys := actor.NewActorSystem(actor.WithLoggerFactory(slogOf(zerolog.New(io.Discard))))
	s := &supervision{settler: silentSettler{}, log: zerolog.New(io.Discard), report: func(i Incident) { reports <- i }}
	pid := sys.Root.SpawnPrefix(rootProps("group", func() actor.Actor {
		return actor.ReceiveFunc(func(c actor.Context) {
			if _, ok := c.Message().(*protos.Event); ok {
				explode()
			}
		})
	}, 10, s), "group")
	sys.Root.Send(pid, &protos.Event{UpdateId: 9, Chat: &protos.Chat{Id: -5}, From: &protos.User{Id: 7}})
	var i Incident
	select {
	case i = <-reports:
	case <-time.After(10 * time.Second):
		t.Fatal("nobody was told")
	}
	assert.Equal(t, IncidentPanic, i.Kind)
	assert.Equal(t, pid.GetId(), i.Where)
	assert.Equal(t, []int64{-5, 7, 9}, []int64{i.ChatID, i.UserID, i.UpdateID})
	assert.NotContains(t, i.Words, "AAAbbb")
	var names []string
	for frames := runtime.CallersFrames(i.Stack); ; {
		f, more := frames.Next()
		names = append(names, f.Function)
		if !more {
			break
		}
	}
	assert.Contains(t, strings.Join(names, " "), "actors.explode")

	got, err := sys.Root.RequestFuture(pid, &inspect{}, 10*time.Second).Result()
	require.NoError(t, err)
	info, ok := got.(*ActorInfo)
	require.True(t, ok)
	assert.Equal(t, 1, info.Restarts)
	assert.True(t, strings.HasPrefix(info.LastFailure, "boom"), info.LastFailure)
	assert.NotNil(t, info.LastFailureAt)
}

// Only what traffic does not explain is reported of Telegram's refusals.
func TestIncident_OfCalls(t *testing.T) {
	t.Parallel()
	var reports []Incident
	s := &sender{o: SenderOptions{Clock: time.Now, Report: func(i Incident) { reports = append(reports, i) }}}
	job := &protos.Job{ChatId: -5, UpdateId: 9, Do: &protos.Job_Restrict{Restrict: &protos.Restrict{UserId: 7}}}
	for o := range protos.Outcome_name {
		s.note(&callDone{t: &task{job: job}, done: &protos.JobDone{Outcome: protos.Outcome(o), Description: "words"}})
	}
	require.Len(t, reports, 2)
	for _, i := range reports {
		assert.Equal(t, IncidentAPI, i.Kind)
		assert.Equal(t, "restrict", i.Where)
		assert.Equal(t, []int64{-5, 7, 9}, []int64{i.ChatID, i.UserID, i.UpdateID})
		assert.Regexp(t, "OUR_MISTAKE|UNAUTHORIZED", i.Words)
	}
}
