package simulator_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/telegram/simulator"
)

// What a call costs the simulator in allocations, the test's own request and recorder among them: times are measured, not
// checked.
func TestWeight_Serve(t *testing.T) { //nolint:paralleltest // it counts what the process allocates
	const most = 80
	s := simulator.New(simulator.Options{ForgetCalls: true})
	bot, owner := s.NewBot("gate_bot"), s.NewUser("Olga", "")
	group := s.NewSupergroup("Talk", "", owner)
	require.NoError(t, s.Promote(group, owner, bot.ID, simulator.Rights("can_restrict_members")))
	anna := s.NewUser("Anna", "")
	require.NoError(t, s.Join(group, anna))
	handler, calls := s.Handler(), 0
	call := func(method, body string) float64 {
		return testing.AllocsPerRun(200, func() {
			calls++
			body := strings.Replace(body, "$", fmt.Sprint(calls%2 == 0), 1)
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/bot"+bot.Token+"/"+method, strings.NewReader(body))
			r.Header.Set("Content-Type", "application/json")
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			require.Equal(t, http.StatusOK, w.Code, w.Body)
		})
	}
	who := fmt.Sprintf(`"chat_id":%d,"user_id":%d`, group, anna)
	for method, body := range map[string]string{
		"getChatMember":      `{` + who + `}`,
		"restrictChatMember": `{` + who + `,"permissions":{"can_send_messages":$}}`,
	} {
		each := call(method, body)
		t.Logf("%s: %.0f allocations", method, each)
		assert.LessOrEqual(t, each, float64(most), method)
	}
}

// BenchmarkServe measures what a call costs the simulator, without the network: 50 µs a call would be
// 20,000 calls a second on one core.
func BenchmarkServe(b *testing.B) {
	s := simulator.New(simulator.Options{})
	bot := s.NewBot("gate_bot")
	owner := s.NewUser("Olga", "")
	group, channel := s.NewSupergroup("Talk", "", owner), s.NewChannel("News", "news", owner)
	for _, chat := range []int64{group, channel} {
		if err := s.Promote(chat, owner, bot.ID, simulator.Rights("can_restrict_members", "can_delete_messages")); err != nil {
			b.Fatal(err)
		}
	}
	people := make([]int64, 1000)
	for i := range people {
		people[i] = s.NewUser("Anna", "")
		if err := s.Join(group, people[i]); err != nil {
			b.Fatal(err)
		}
	}
	handler := s.Handler()
	call := func(b *testing.B, method, body string) {
		b.Helper()
		r := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/bot"+bot.Token+"/"+method, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			b.Fatal(w.Body.String())
		}
	}
	write := func(b *testing.B, i int) int64 {
		b.Helper()
		id, err := s.Write(group, owner, fmt.Sprint("Hello, this is message ", i))
		if err != nil {
			b.Fatal(err)
		}
		return id
	}
	b.Run("getChatMember", func(b *testing.B) {
		b.ReportAllocs()
		for i := range b.N {
			call(b, "getChatMember", fmt.Sprintf(`{"chat_id":%d,"user_id":%d}`, channel, people[i%len(people)]))
		}
	})
	b.Run("restrictChatMember", func(b *testing.B) {
		b.ReportAllocs()
		for i := range b.N {
			call(b, "restrictChatMember", fmt.Sprintf(`{"chat_id":%d,"user_id":%d,"permissions":{"can_send_messages":%t}}`,
				group, people[i%len(people)], i/len(people)%2 == 1))
		}
	})
	b.Run("sendMessage", func(b *testing.B) {
		b.ReportAllocs()
		for range b.N {
			call(b, "sendMessage", fmt.Sprintf(`{"chat_id":%d,"text":"Hello","parse_mode":"HTML"}`, group))
		}
	})
	b.Run("write, deleteMessage", func(b *testing.B) {
		b.ReportAllocs()
		for i := range b.N {
			call(b, "deleteMessage", fmt.Sprintf(`{"chat_id":%d,"message_id":%d}`, group, write(b, i)))
		}
	})
	b.Run("write", func(b *testing.B) {
		b.ReportAllocs()
		for i := range b.N {
			write(b, i)
		}
	})
	b.Run("getUpdates of 100", func(b *testing.B) {
		call(b, "getUpdates", `{"offset":-1,"limit":1}`)
		for i := range 100 {
			write(b, i)
		}
		b.ReportAllocs()
		for i := range b.N {
			call(b, "getUpdates", fmt.Sprintf(`{"offset":%d,"limit":100,"timeout":0}`, i%2))
		}
	})
}
