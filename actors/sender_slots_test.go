package actors

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/gmbot/gmbot/protos"
)

// One quick call among slow ones is the API's own time, and it counts for one to two seconds.
func TestSlots_FollowTheQuickestCall(t *testing.T) {
	t.Parallel()
	var g slotGauge
	at := noon
	after := func(pause, took time.Duration) int {
		at = at.Add(pause)
		return g.took(took, at)
	}
	assert.Equal(t, defaultSlots, after(0, time.Millisecond), "quick")
	assert.Equal(t, defaultSlots, after(0, time.Minute), "one is slow, the API is not")
	assert.Equal(t, defaultSlots, after(time.Second, 30*time.Millisecond), "the quick one still counts")
	assert.Equal(t, slotsSlow, after(time.Second, 30*time.Millisecond), "none was quick for a while")
	assert.Equal(t, defaultSlots, after(0, 0), "quick again")
}

// Where calls take long, more of them are in the air.
func TestSender_OpensSlotsForASlowAPI(t *testing.T) {
	t.Parallel()
	for call, want := range map[time.Duration]int{time.Millisecond: defaultSlots, 30 * time.Millisecond: slotsSlow} {
		onStage(t, func(t *testing.T, s *stage) {
			var mu sync.Mutex
			most, now := 0, 0
			count := func(by int) {
				mu.Lock()
				defer mu.Unlock()
				now += by
				most = max(most, now)
			}
			to := s.sender(SenderOptions{}, func(ctx context.Context, job *protos.Job) *protos.JobDone {
				count(1)
				defer count(-1)
				return takes(call)(ctx, job)
			})
			for i := range uint64(2000) {
				s.ask(to, tagged(lookupJob(-1-int64(i)), i))
			}
			time.Sleep(time.Minute)
			assert.Len(t, s.done(t), 2000)
			assert.Equal(t, want, most, "%s a call", call)
		})
	}
}
