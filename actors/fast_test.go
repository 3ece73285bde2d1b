package actors

import (
	"fmt"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/protos"
	"github.com/gmbot/gmbot/telegram"
)

// What nobody may feel, in virtual time: Telegram takes 30 ms a call, and everything else takes none.

// nextDoor is a second protected group of the gate's world.
const nextDoor = int64(-1001000000009)

// left notes when each call left.
type left struct {
	mu sync.Mutex
	at map[string][]time.Time
}

// watchCalls notes calls by kind and chat from now on.
func watchCalls(g *gate) *left {
	l := &left{at: map[string][]time.Time{}}
	g.w.set(func() {
		g.w.fail = func(job *protos.Job) *protos.JobDone {
			kind := fmt.Sprintf("%T", job.GetDo())
			if isMute(job) {
				kind = "mute"
			}
			l.mu.Lock()
			defer l.mu.Unlock()
			key := fmt.Sprint(kind, job.GetChatId())
			l.at[key] = append(l.at[key], time.Now().Add(-g.w.latency))
			return nil
		}
	})
	return l
}

func (l *left) of(kind string, chat int64) []time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.at[fmt.Sprint(kind, chat)]
}

// protectNextDoor protects the second group and lets the program take it up.
func protectNextDoor(t *testing.T, g *gate) {
	t.Helper()
	require.NoError(t, g.store.Update(t.Context(), func(tx persistence.Tx) error {
		_, err := tx.SaveGroup(persistence.Group{
			ID: nextDoor, OwnerID: theOwner, Title: "Next door", Enabled: true,
			Channels: []persistence.Channel{{ID: theChannel, Title: "News", Username: "news"}},
		}, persistence.Owner{ID: theOwner})
		return err
	}))
	g.restart()
}

func messageNextDoor(from, id int64) *protos.Event {
	e := message(from, id, "hello")
	e.Chat = &protos.Chat{Id: nextDoor, Type: "supergroup", Title: "Next door"}
	return e
}

func TestFast_MuteAndDeletionLeaveTogetherWhenTheLookUpsEnd(t *testing.T) {
	t.Parallel()
	runGate(t, func(t *testing.T, g *gate) {
		calls, start := watchCalls(g), time.Now()
		g.send(message(anna, 10, "hello"))
		g.pass(time.Second)
		asked := calls.of("*protos.Job_GetMember", theGroup)
		require.Len(t, asked, 2)
		for _, at := range asked {
			assert.Equal(t, start, at, "both questions leave at once")
		}
		answered := start.Add(g.w.latency)
		assert.Equal(t, []time.Time{answered}, calls.of("mute", theGroup))
		assert.Equal(t, []time.Time{answered}, calls.of("*protos.Job_Delete", theGroup))
	})
}

// How many calls a violation costs, by the number of channels, and how many the next one of somebody muted.
func TestFast_CallsOfAViolation(t *testing.T) {
	t.Parallel()
	for channels := 1; channels <= 4; channels++ {
		t.Run(fmt.Sprint(channels), func(t *testing.T) {
			t.Parallel()
			runGate(t, func(t *testing.T, g *gate) {
				list := []persistence.Channel{{ID: theChannel, Title: "News", Username: "news"}}
				for n := 1; n < channels; n++ {
					list = append(list, persistence.Channel{ID: theChannel - int64(n), Title: "More", Username: fmt.Sprintf("more%d", n)})
				}
				require.NoError(t, g.store.Update(t.Context(), func(tx persistence.Tx) error {
					stored, err := g.store.Group(t.Context(), theGroup)
					if err != nil {
						return err
					}
					stored.Channels = list
					_, err = tx.SaveGroup(stored, persistence.Owner{ID: theOwner})
					return err
				}))
				g.restart()
				all := func(*protos.Job) bool { return true }
				g.send(message(anna, 10, "hello"))
				g.pass(time.Second)
				assert.Equal(t, 1, g.w.count(isMute))
				assert.LessOrEqual(t, g.w.count(all), 4+channels)
				before := g.w.count(all)
				g.send(message(anna, 11, "hello again"))
				g.pass(time.Second)
				assert.True(t, g.w.deleted[11])
				assert.LessOrEqual(t, g.w.count(all)-before, 1)
			})
		})
	}
}

// raid has strangers write at once.
func raid(g *gate, people int64) {
	g.w.set(func() {
		for n := range people {
			g.w.group[20_000+n] = standing(telegram.StatusMember)
		}
	})
	for n := range people {
		g.send(message(20_000+n, 30_000+n, "buy"))
	}
}

func TestFast_ARaidIsNotFeltNextDoor(t *testing.T) {
	t.Parallel()
	times := map[string]time.Duration{}
	for _, raided := range []bool{false, true} {
		runGate(t, func(t *testing.T, g *gate) {
			protectNextDoor(t, g)
			calls := watchCalls(g)
			if raided {
				raid(g, 500)
			}
			time.Sleep(45 * time.Millisecond)
			start := time.Now()
			g.send(messageNextDoor(anna, 10))
			g.pass(time.Minute)
			for _, kind := range []string{"mute", "*protos.Job_Delete"} {
				at := calls.of(kind, nextDoor)
				require.Len(t, at, 1, kind)
				if !raided {
					times[kind] = at[0].Sub(start)
				} else {
					assert.Equal(t, times[kind], at[0].Sub(start), "%s, not one millisecond later", kind)
				}
			}
			if raided {
				assert.Len(t, calls.of("mute", theGroup), 500, "and nobody of the raid was forgotten")
			}
		})
	}
}

func TestFast_APressIsAnsweredWhenTheLookUpEnds(t *testing.T) {
	t.Parallel()
	for _, raided := range []bool{false, true} {
		runGate(t, func(t *testing.T, g *gate) {
			protectNextDoor(t, g)
			g.send(messageNextDoor(anna, 10))
			g.pass(10 * time.Second)
			calls := watchCalls(g)
			g.w.set(func() { g.w.channel[anna] = true })
			if raided {
				raid(g, 300)
				time.Sleep(20 * time.Millisecond)
			}
			pressed := press(anna, 10, callbackCheck)
			pressed.Chat = messageNextDoor(anna, 10).GetChat()
			start := time.Now()
			g.send(pressed)
			g.pass(time.Second)
			answered := calls.of("*protos.Job_Answer", 0)
			require.Len(t, answered, 1)
			assert.Equal(t, g.w.latency, answered[0].Sub(start), "raided: %v", raided)
		})
	}
}

// An outage costs a call now and then, and not a call for each that waits.
func TestFast_AnOutageIsAskedAboutNowAndThen(t *testing.T) {
	t.Parallel()
	runGate(t, func(t *testing.T, g *gate) {
		protectNextDoor(t, g)
		out, tried := true, 0
		g.w.set(func() {
			g.w.fail = func(*protos.Job) *protos.JobDone {
				if !out {
					return nil
				}
				tried++
				return &protos.JobDone{Outcome: protos.Outcome_FAILED}
			}
		})
		raid(g, 50)
		g.send(messageNextDoor(anna, 10))
		g.pass(10 * time.Minute)
		assert.Less(t, tried, 400, "some 100 at first, and then a probe in each chat at most twice a minute")
		g.w.set(func() { out = false })
		g.pass(retryLongest + time.Minute)
		assert.Equal(t, 51, g.w.count(isMute), "everybody in the end")
	})
}

// After a restart a pause goes on, and who presses meanwhile is told how long.
func TestFast_APauseOutlivesTheProgram(t *testing.T) {
	t.Parallel()
	runGate(t, func(t *testing.T, g *gate) {
		g.send(message(anna, 10, "hello"))
		g.pass(10 * time.Second)
		require.Equal(t, 1, g.w.count(isMute))
		var told []string
		var toldAt []time.Time
		var floodedAt time.Time
		var restricts atomic.Int64
		g.w.set(func() {
			g.w.channel[anna] = true
			g.w.fail = func(job *protos.Job) *protos.JobDone {
				if a := job.GetAnswer(); a != nil {
					told, toldAt = append(told, a.GetText()), append(toldAt, time.Now().Add(-g.w.latency))
				}
				if job.GetRestrict() == nil {
					return nil
				}
				restricts.Add(1)
				if floodedAt.IsZero() {
					floodedAt = time.Now()
					return &protos.JobDone{Outcome: protos.Outcome_FLOOD, RetryAfterS: 100}
				}
				return nil
			}
		})
		g.send(joinsChannel(anna))
		g.pass(time.Second)
		require.EqualValues(t, 1, restricts.Load())
		g.restart()
		g.send(press(anna, 11, callbackCheck))
		g.pass(20 * time.Second)
		g.send(press(anna, 12, callbackCheck))
		g.pass(60 * time.Second)
		require.EqualValues(t, 1, restricts.Load(), "not one call early")
		g.w.set(func() {
			require.Len(t, told, 2)
			for i := range told {
				// The pause is what Telegram said and up to half a second that is drawn; whole seconds are told, rounded up.
				least := 100*time.Second - toldAt[i].Sub(floodedAt)
				most := least + 500*time.Millisecond
				var seconds float64
				_, after, _ := strings.Cut(told[i], "in about ")
				_, err := fmt.Sscanf(after, "%f s;", &seconds)
				require.NoError(t, err, told[i])
				assert.GreaterOrEqual(t, seconds, math.Ceil(least.Seconds()), "press %d, after %s", i, toldAt[i].Sub(floodedAt))
				assert.LessOrEqual(t, seconds, math.Ceil(most.Seconds()), "press %d, after %s", i, toldAt[i].Sub(floodedAt))
			}
		})
		g.pass(time.Minute)
		assert.EqualValues(t, 2, restricts.Load())
		assert.Equal(t, telegram.StatusMember, g.w.standingOf(anna).GetStatus(), "and free at last")
	})
}
