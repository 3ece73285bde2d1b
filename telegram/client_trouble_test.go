package telegram

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/gmbot/gmbot/protos"
	"github.com/gmbot/gmbot/telegram/simulator"
)

// sendX is the job of sending x to a chat.
func sendX(chat int64) *protos.Job {
	return &protos.Job{ChatId: chat, Do: &protos.Job_Send{Send: &protos.SendText{Html: "x"}}}
}

func TestClient_Moved(t *testing.T) {
	t.Parallel()
	_, c := record(t, http.StatusBadRequest, `{"ok":false,"error_code":400,
		"description":"Bad Request: group chat was upgraded to a supergroup chat","parameters":{"migrate_to_chat_id":-1009}}`)
	done := c.Do(t.Context(), sendX(-55))
	assert.Equal(t, protos.Outcome_MOVED, done.GetOutcome())
	assert.Equal(t, int64(-1009), done.GetMovedTo())
}

func TestClient_Flood(t *testing.T) {
	t.Parallel()
	w := inWorld(t)
	w.Fail(simulator.Fault{Kind: simulator.FaultFlood, Method: "sendMessage", Times: 1, For: simulator.For(7 * time.Second)})
	done := w.do(sendX(w.group))
	assert.Equal(t, protos.Outcome_FLOOD, done.GetOutcome())
	assert.Equal(t, int64(7), done.GetRetryAfterS())
	assert.Equal(t, "Too Many Requests: retry after 7", done.GetDescription())
	assert.Empty(t, w.texts())
	w.good(sendX(w.group))
}

func TestClient_Deadline(t *testing.T) {
	t.Parallel()
	w := inWorld(t)
	job := sendX(w.group)
	job.Tag, job.DeadlineMs = 5, time.Now().Add(-time.Second).UnixMilli()
	done := w.c.Do(t.Context(), job)
	assert.Equal(t, protos.Outcome_EXPIRED, done.GetOutcome())
	assert.Equal(t, uint64(5), done.GetTag())
	assert.Zero(t, w.asked.Load(), "it was not sent")
	job.DeadlineMs = time.Now().Add(time.Minute).UnixMilli()
	w.good(job)
}

// A lost answer may be that of something done: it is neither success nor failure, and not repeated.
func TestClient_LostAnswer(t *testing.T) {
	t.Parallel()
	w := inWorld(t)
	w.good(sendX(w.group))
	w.Fail(simulator.Fault{Kind: simulator.FaultLost, Method: "sendMessage", Times: 1})
	done := w.do(sendX(w.group)) // on the connection that is open already
	assert.Equal(t, protos.Outcome_UNCLEAR, done.GetOutcome())
	assert.Zero(t, done.GetMessageId())
	assert.Len(t, w.texts(), 2, "it was done, once")
	w.Fail(simulator.Fault{Kind: simulator.FaultBroken, Method: "sendMessage", Times: 1})
	assert.Equal(t, protos.Outcome_UNCLEAR, w.do(sendX(w.group)).GetOutcome())
	assert.Len(t, w.texts(), 2)
}

func TestClient_Refused(t *testing.T) {
	t.Parallel()
	c, err := NewClient(aToken, "http://"+closedPort(t), nil)
	require.NoError(t, err)
	done := c.Do(t.Context(), sendX(-5))
	assert.Equal(t, protos.Outcome_FAILED, done.GetOutcome())
	assert.NotContains(t, done.GetDescription(), secret)
	assert.Contains(t, done.GetDescription(), "[redacted]/sendMessage", "what was tried is still told")
}

func TestClient_NothingToDo(t *testing.T) {
	t.Parallel()
	rec, c := record(t, http.StatusOK, `{"ok":true,"result":true}`)
	for _, job := range []*protos.Job{nil, {}, {Tag: 3, ChatId: -5}} {
		done := c.Do(t.Context(), job)
		assert.Equal(t, protos.Outcome_OUR_MISTAKE, done.GetOutcome())
		assert.Equal(t, job.GetTag(), done.GetTag())
	}
	assert.Empty(t, rec.calls)
}

// Results that lack what was asked for are no success.
func TestClient_EmptyResults(t *testing.T) {
	t.Parallel()
	_, c := record(t, http.StatusOK, `{"ok":true,"result":{}}`)
	for want, job := range map[protos.Outcome]*protos.Job{
		protos.Outcome_CANNOT_SAY: {Do: &protos.Job_GetMember{GetMember: &protos.GetMember{}}},
		protos.Outcome_UNCLEAR:    {Do: &protos.Job_CreateInviteLink{CreateInviteLink: &protos.CreateInviteLink{}}},
	} {
		done := c.Do(t.Context(), job)
		assert.Equal(t, want, done.GetOutcome())
		assert.NotEmpty(t, done.GetDescription())
	}
	_, c = record(t, http.StatusOK, `{"ok":true,"result":[]}`)
	for _, job := range []*protos.Job{sendX(-5), {Do: &protos.Job_GetChat{GetChat: &protos.GetChat{}}}, {Do: &protos.Job_GetMember{GetMember: &protos.GetMember{}}}} {
		assert.Equal(t, protos.Outcome_UNCLEAR, c.Do(t.Context(), job).GetOutcome())
	}
}

func TestClient_FollowsNoRedirect(t *testing.T) {
	t.Parallel()
	var elsewhere atomic.Int64
	other := serve(t, func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) })
	for _, status := range []int{301, 302, 303, 307, 308} {
		c, err := NewClient(aToken, serve(t, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other+r.URL.Path, status)
		}), nil)
		require.NoError(t, err)
		done := c.Do(t.Context(), sendX(-5))
		assert.Equal(t, protos.Outcome_OUR_MISTAKE, done.GetOutcome(), status)
	}
	assert.Zero(t, elsewhere.Load(), "the token goes nowhere else")
}

// Whatever a server says, the token is in no answer.
func TestClient_TheTokenStaysSecret(t *testing.T) {
	t.Parallel()
	for _, status := range []int{200, 400, 401, 403, 404, 409, 429, 500} {
		_, c := record(t, status, `{"ok":false,"description":"no /bot`+aToken+`/sendMessage"}`)
		done := c.Do(t.Context(), sendX(-5))
		assert.NotContains(t, done.String(), secret)
		assert.NotEqual(t, protos.Outcome_DONE, done.GetOutcome())
		_, err := c.GetMe(t.Context())
		require.Error(t, err)
		assert.NotContains(t, err.Error(), secret)
	}
	for _, cancelled := range []bool{true, false} {
		c, err := NewClient(aToken, "http://"+closedPort(t), nil)
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		if cancelled {
			cancel()
		}
		_, err = c.GetUpdates(ctx, 0, 1, 0, nil)
		cancel()
		require.Error(t, err)
		assert.NotContains(t, err.Error(), secret)
	}
}

// Calls one after another share a connection, also after errors.
func TestClient_ReusesConnections(t *testing.T) {
	t.Parallel()
	w := inWorld(t)
	for range 20 {
		w.good(sendX(w.group))
		w.do(sendX(-4711))
	}
	assert.Equal(t, int64(1), w.conns.Load())
}

func TestClient_ReusesConnectionsOfMany(t *testing.T) {
	t.Parallel()
	const many, rounds = 32, 20
	w := inWorld(t)
	var all sync.WaitGroup
	for range many {
		all.Go(func() {
			for range rounds {
				assert.Equal(t, protos.Outcome_DONE, w.c.Do(t.Context(), sendX(w.group)).GetOutcome())
			}
		})
	}
	all.Wait()
	assert.LessOrEqual(t, w.conns.Load(), int64(2*many), "of %d calls", many*rounds)
	assert.Len(t, w.texts(), many*rounds)
	assert.Equal(t, int64(many*rounds), w.asked.Load())
}

// silence is a server that never answers.
type silence struct{ calls int }

func (s *silence) RoundTrip(r *http.Request) (*http.Response, error) {
	s.calls++
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// A call ends after 15 s, a long poll 15 s after its own time.
func TestClient_Timeouts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, err := NewClient(aToken, "http://silent", nil)
		require.NoError(t, err)
		s := &silence{}
		tr, ok := c.bot.BotClient.(*transport)
		require.True(t, ok)
		tr.over = s
		began := time.Now()
		done := c.Do(t.Context(), sendX(-5))
		assert.Equal(t, protos.Outcome_UNCLEAR, done.GetOutcome())
		assert.Equal(t, "no answer in time", done.GetDescription())
		assert.Equal(t, 15*time.Second, time.Since(began))
		began = time.Now()
		_, err = c.GetUpdates(t.Context(), 0, 100, 50, AllowedUpdates())
		assert.Equal(t, protos.Outcome_UNCLEAR, Classify(err))
		assert.Equal(t, 65*time.Second, time.Since(began))
		assert.Equal(t, 2, s.calls)
	})
}

// Do leaves the job it was given as it was, and counts the call.
func TestClient_JobAndMetrics(t *testing.T) {
	t.Parallel()
	w := inWorld(t)
	reg := prometheus.NewRegistry()
	c, err := NewClient(w.bot.Token, w.url, NewMetrics(reg))
	require.NoError(t, err)
	job := sendX(w.group)
	before := proto.CloneOf(job)
	c.Do(t.Context(), job)
	assert.True(t, proto.Equal(before, job))
	c.Do(t.Context(), sendX(-4711))
	counts := map[string]float64{}
	families, err := reg.Gather()
	require.NoError(t, err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetValue())
			}
			// Methods of every day are there from the start, at 0.
			if f.GetName() == "gmbot_api_calls_total" && m.GetCounter().GetValue() > 0 {
				counts[strings.Join(labels, " ")] = m.GetCounter().GetValue()
			}
		}
	}
	assert.Equal(t, map[string]float64{"sendMessage DONE": 1, "sendMessage GONE": 1}, counts)
}
