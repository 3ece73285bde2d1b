package actors

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/protos"
	"github.com/gmbot/gmbot/telegram"
)

const (
	cleanGroups = 50
	cleanPeople = 1000
	cleanBatch  = 100
)

// cleanLoad is Telegram for a bot that hears nothing but messages of known members: each poll answers a
// full batch at once, with fresh update ids. It is an http.RoundTripper, so that everything but the socket
// is the program's own.
type cleanLoad struct {
	next  atomic.Int64 // update id
	polls atomic.Int64
	other atomic.Int64 // calls that are no polls
	quota atomic.Int64 // batches that may still be handed out
	dry   chan struct{}
	ready [][]byte // messages, each with room for an update id
	body  bytes.Buffer
}

func newCleanLoad() *cleanLoad {
	l := &cleanLoad{dry: make(chan struct{}, 1)}
	l.next.Store(1_000_000_000)
	for n := range int64(cleanPeople) {
		l.ready = append(l.ready, cleanMessage(n))
	}
	return l
}

// RoundTrip implements http.RoundTripper.
func (l *cleanLoad) RoundTrip(r *http.Request) (*http.Response, error) {
	if !bytes.HasSuffix([]byte(r.URL.Path), []byte("/getUpdates")) {
		l.other.Add(1)
		return answered([]byte(`{"ok":true,"result":true}`)), nil
	}
	for l.quota.Add(-1) < 0 {
		l.quota.Store(0)
		select {
		case l.dry <- struct{}{}:
		default:
		}
		select {
		case <-r.Context().Done():
			return nil, r.Context().Err()
		case <-time.After(100 * time.Microsecond):
		}
	}
	l.polls.Add(1)
	l.body.Reset()
	l.body.WriteString(`{"ok":true,"result":[`)
	for i := range cleanBatch {
		if i > 0 {
			l.body.WriteByte(',')
		}
		id := l.next.Add(1)
		l.body.WriteString(`{"update_id":`)
		l.body.Write(strconv.AppendInt(l.body.AvailableBuffer(), id, 10))
		l.body.Write(l.ready[id%cleanPeople])
	}
	l.body.WriteString(`]}`)
	return answered(l.body.Bytes()), nil
}

func answered(body []byte) *http.Response {
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
	}
}

func cleanGroup(n int64) int64 { return -1_001_000_000_000 - n%cleanGroups }

// cleanMessage is what a member of middling talkativeness writes: a text with a link and an answer to
// somebody, about 900 bytes, as Telegram sends it; the
// update id is still to be put before it.
func cleanMessage(n int64) []byte {
	user, group := 10_000+n%cleanPeople, cleanGroup(n)
	chat := fmt.Sprintf(`{"id":%d,"title":"Garden talk %d","type":"supergroup","is_forum":false}`, group, n%cleanGroups)
	return fmt.Appendf(nil, `,"message":{"message_id":%d,"from":{"id":%d,"is_bot":false,"first_name":"Anna \"the\" gardener",`+
		`"last_name":"Müller","username":"anna_%d","language_code":"de"},"chat":%s,"date":%d,"reply_to_message":{"message_id":%d,`+
		`"from":{"id":%d,"is_bot":false,"first_name":"Boris"},"chat":%s,"date":%d,"text":"Does anybody know when the plums are ripe this year?"},`+
		`"text":"Look at https://example.org/plums, they say mid August.\nMine are early \ud83c\udf51, though.",`+
		`"entities":[{"offset":8,"length":25,"type":"url"}],"link_preview_options":{"url":"https://example.org/plums"}}}`,
		n, user, user, chat, time.Now().Unix(), n-1, user+1, chat, time.Now().Unix()-60)
}

// cleanGate is the whole bot, from the poll's answer on, where everybody who writes is known to be in the
// required channel.
type cleanGate struct {
	load  *cleanLoad
	store *counted
	s     *System
	held  atomic.Int64 // Unix ns at which the bot's clock stands; 0 = it goes
}

func newCleanGate(tb testing.TB) *cleanGate {
	tb.Helper()
	store, err := persistence.Open(tb.Context(), "sqlite://"+filepath.Join(tb.TempDir(), "gate.db"), persistence.Options{})
	require.NoError(tb, err)
	g := &cleanGate{load: newCleanLoad(), store: &counted{Store: store}}
	require.NoError(tb, store.Update(tb.Context(), func(tx persistence.Tx) error {
		for n := range int64(cleanGroups) {
			_, err := tx.SaveGroup(persistence.Group{
				ID: cleanGroup(n), OwnerID: theOwner, Title: "Garden talk " + strconv.FormatInt(n, 10), Enabled: true,
				Channels: []persistence.Channel{{ID: theChannel, Title: "News"}},
			}, persistence.Owner{ID: theOwner})
			if err != nil {
				return err
			}
		}
		return nil
	}))
	reg := prometheus.NewRegistry()
	client, err := telegram.NewClient("900:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "http://telegram", telegram.NewMetrics(reg))
	require.NoError(tb, err)
	client.Over(g.load)
	g.s, err = Start(tb.Context(), Options{
		Clock: g.clock, API: client, Store: g.store, Bot: &protos.User{Id: theBot, IsBot: true, Username: "gate_bot"}, Log: zerolog.Nop(), Registry: reg,
	})
	require.NoError(tb, err)
	for user := range int64(cleanPeople) {
		g.s.d.cache.put(membershipKey{theChannel, 10_000 + user}, MembershipEntry{
			Verdict: protos.Verdict_INSIDE, LearnedMs: time.Now().UnixMilli(), UntilMs: time.Now().Add(24 * time.Hour).UnixMilli(), Pushed: true,
		}, 0)
	}
	source := telegram.NewSource(telegram.SourceOptions{
		Client: client, Deliver: g.s.Deliver, Asides: g.s, Log: zerolog.Nop(), Metrics: client.Metrics(),
	})
	g.s.UseSettler(source)
	life, end := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = source.Run(life)
	}()
	tb.Cleanup(func() {
		end()
		<-ended
		ctx, cancel := context.WithTimeout(context.Background(), 6*time.Second)
		defer cancel()
		_ = g.s.Stop(ctx)
		_ = store.Close()
	})
	<-g.load.dry
	return g
}

func (g *cleanGate) clock() time.Time {
	if at := g.held.Load(); at != 0 {
		return time.Unix(0, at)
	}
	return time.Now()
}

// run has n batches judged and settled.
func (g *cleanGate) run(n int) {
	select {
	case <-g.load.dry:
	default:
	}
	g.load.quota.Store(int64(n))
	<-g.load.dry
}

// BenchmarkCleanMessage is the whole way of a message that concerns nobody: the poll's answer, decoding,
// Source, router, group, cache, settled.
func BenchmarkCleanMessage(b *testing.B) {
	g := newCleanGate(b)
	g.run(20) // the groups wake, and the store hears of everybody
	b.ReportAllocs()
	b.ResetTimer()
	g.run(max(b.N/cleanBatch, 1))
}
