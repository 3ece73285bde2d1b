package actors

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/protos"
	"github.com/gmbot/gmbot/telegram"
)

// queue is Telegram's side of long polling: what was not confirmed by an offset comes again.
type queue struct {
	mu      sync.Mutex
	updates []json.RawMessage
	ids     []int64
	moved   map[int64]time.Time // update id → when the offset went past it
	wake    chan struct{}
}

func (q *queue) GetUpdates(ctx context.Context, offset int64, _, timeout int, _ []string) ([]json.RawMessage, error) {
	deadline := time.After(time.Duration(timeout) * time.Second)
	for {
		q.mu.Lock()
		for len(q.ids) > 0 && q.ids[0] < offset {
			q.moved[q.ids[0]] = time.Now()
			q.ids, q.updates = q.ids[1:], q.updates[1:]
		}
		got := append([]json.RawMessage(nil), q.updates...)
		q.mu.Unlock()
		if len(got) > 0 || timeout == 0 {
			return got, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-q.wake:
		case <-deadline:
			return nil, nil
		}
	}
}

func (q *queue) push(id int64, body string) {
	q.mu.Lock()
	q.ids = append(q.ids, id)
	q.updates = append(q.updates, json.RawMessage(fmt.Sprintf(`{"update_id":%d,%s}`, id, body)))
	q.mu.Unlock()
	q.wake <- struct{}{}
}

const (
	annaJSON    = `{"id":501,"is_bot":false,"first_name":"Anna"}`
	olgaJSON    = `{"id":500,"is_bot":false,"first_name":"Olga"}`
	groupJSON   = `{"id":-1001000000001,"type":"supergroup","title":"Group"}`
	channelJSON = `{"id":-1001000000002,"type":"channel","title":"News","username":"news"}`
	inJSON      = `{"status":"member","user":` + annaJSON + `}`
	outJSON     = `{"status":"left","user":` + annaJSON + `}`
)

// eventKinds are the updates that every actor is hit with, as Telegram writes them.
func eventKinds(now time.Time) map[string]string {
	date := now.Unix()
	return map[string]string{
		"message": fmt.Sprintf(`"message":{"message_id":41,"date":%d,"from":%s,"chat":%s,"text":"hi"}`, date, annaJSON, groupJSON),
		"edited":  fmt.Sprintf(`"edited_message":{"message_id":41,"date":%d,"edit_date":%d,"from":%s,"chat":%s,"text":"hi"}`, date, date, annaJSON, groupJSON),
		"service join": fmt.Sprintf(`"message":{"message_id":42,"date":%d,"from":%s,"chat":%s,"new_chat_members":[%s]}`,
			date, annaJSON, groupJSON, annaJSON),
		"group join": fmt.Sprintf(`"chat_member":{"chat":%s,"from":%s,"date":%d,"old_chat_member":%s,"new_chat_member":%s}`,
			groupJSON, annaJSON, date, outJSON, inJSON),
		"channel join": fmt.Sprintf(`"chat_member":{"chat":%s,"from":%s,"date":%d,"old_chat_member":%s,"new_chat_member":%s}`,
			channelJSON, annaJSON, date, outJSON, inJSON),
		"channel leave": fmt.Sprintf(`"chat_member":{"chat":%s,"from":%s,"date":%d,"old_chat_member":%s,"new_chat_member":%s}`,
			channelJSON, annaJSON, date, inJSON, outJSON),
		"press": fmt.Sprintf(`"callback_query":{"id":"7","from":%s,"chat_instance":"1","data":"v1:check","message":{"message_id":40,"date":%d,"chat":%s}}`,
			annaJSON, date, groupJSON),
		"command": fmt.Sprintf(`"message":{"message_id":43,"date":%d,"from":%s,"chat":%s,"text":"/status","entities":[{"type":"bot_command","offset":0,"length":7}]}`,
			date, olgaJSON, groupJSON),
		"private": fmt.Sprintf(`"message":{"message_id":44,"date":%d,"from":%s,"chat":{"id":501,"type":"private","first_name":"Anna"},"text":"/start","entities":[{"type":"bot_command","offset":0,"length":6}]}`,
			date, annaJSON),
	}
}

// hit makes an actor of one kind fail in one way, at its first messages or at all of them.
type hit struct {
	kind  string
	fault fault
	times int
}

// Whatever fails, and however often, the offset moves on within 15 s: by success, or set aside.
func TestFault_TheOffsetAlwaysMovesOn(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"router", "group", "verification", "channel", "person", "membership", "sender"} {
		for _, f := range []fault{faultPanic, faultDrop, faultStop} {
			for _, times := range []int{1, 1 << 30} {
				t.Run(fmt.Sprintf("%s %s %d", kind, f, min(times, 2)), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) { underFault(t, hit{kind: kind, fault: f, times: times}) })
				})
			}
		}
	}
}

func underFault(t *testing.T, h hit) {
	store, err := persistence.Open(t.Context(), "sqlite://"+t.TempDir()+"/gate.db", persistence.Options{})
	require.NoError(t, err)
	require.NoError(t, store.Update(t.Context(), func(tx persistence.Tx) error {
		_, err := tx.SaveGroup(persistence.Group{
			ID: theGroup, OwnerID: theOwner, Enabled: true, Channels: []persistence.Channel{{ID: theChannel, Title: "News", Username: "news"}},
		}, persistence.Owner{ID: theOwner})
		if err != nil {
			return err
		}
		return tx.SawMember(theGroup, anna, time.Now())
	}))
	w := newWorld()
	w.group[anna], w.group[theOwner] = standing(telegram.StatusMember), standing(telegram.StatusCreator)
	var mu sync.Mutex
	left := 0
	s, err := Start(t.Context(), Options{
		API: w, Store: store, Log: zerolog.Nop(), Bot: &protos.User{Id: theBot, IsBot: true, Username: "gate_bot"},
		inject: func(kind string, _ any) fault {
			mu.Lock()
			defer mu.Unlock()
			if kind != h.kind || left == 0 {
				return faultNone
			}
			left--
			return h.fault
		},
	})
	require.NoError(t, err)
	q := &queue{moved: map[int64]time.Time{}, wake: make(chan struct{}, 100)}
	src := telegram.NewSource(telegram.SourceOptions{Client: q, Deliver: s.Deliver, Asides: s, Log: zerolog.Nop()})
	s.UseSettler(src)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- src.Run(ctx) }()
	id := int64(0)
	for name, body := range eventKinds(time.Now()) {
		id++
		mu.Lock()
		left = h.times
		mu.Unlock()
		pushed := time.Now()
		q.push(id, body)
		time.Sleep(16 * time.Second)
		synctest.Wait()
		q.mu.Lock()
		at, ok := q.moved[id]
		q.mu.Unlock()
		if assert.True(t, ok, "%s: the offset is stuck", name) {
			assert.LessOrEqual(t, at.Sub(pushed), 15*time.Second+100*time.Millisecond, name)
		}
		mu.Lock()
		left = 0
		mu.Unlock()
		time.Sleep(time.Minute)
	}
	stop()
	require.NoError(t, <-ended)
	bye, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := s.Stop(bye); err != nil {
		t.Log(err) // an actor that was made to stop cannot be stopped again
	}
	require.NoError(t, store.Close())
	time.Sleep(3 * time.Second)
}
