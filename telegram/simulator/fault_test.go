package simulator_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/telegram/simulator"
)

// ill is a box in virtual time with a group, and a note of each fault that happened.
type ill struct {
	*box

	group int64
	met   []simulator.Injected
}

func illness(t *testing.T, f func(t *testing.T, b *ill)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &ill{box: &box{t: t, url: "http://simulator"}}
		b.fill(simulator.Options{Seed: 7, OnFault: func(i simulator.Injected) { b.met = append(b.met, i) }})
		b.client = &http.Client{Transport: b.Transport(), Timeout: 15 * time.Second}
		b.group = b.box.group("can_delete_messages", "can_restrict_members")
		require.NoError(t, b.Join(b.group, b.anna))
		f(t, b)
	})
}

// try calls a method; a broken connection or a client that gave up is an error.
func (b *ill) try(method string, p object) (a answer, took time.Duration, err error) {
	b.t.Helper()
	began := time.Now()
	body, err := json.Marshal(p)
	require.NoError(b.t, err)
	resp, err := b.client.Do(b.request("/bot"+b.bot.Token+"/"+method, "application/json", string(body)))
	took = time.Since(began)
	if err != nil {
		return a, took, err
	}
	defer resp.Body.Close()
	a.status, a.header = resp.StatusCode, resp.Header
	if err := json.NewDecoder(resp.Body).Decode(&a); err != nil {
		a.Description = "no JSON"
	}
	return a, took, nil
}

func (b *ill) say(text string) (answer, time.Duration, error) {
	b.t.Helper()
	return b.try("sendMessage", object{"chat_id": b.group, "text": text})
}

// said lists what the bot said in the group.
func (b *ill) said() (list []string) {
	for _, m := range b.Messages(b.group) {
		if m.From == b.bot.ID {
			list = append(list, m.Text)
		}
	}
	return list
}

func TestFaults_Latency(t *testing.T) {
	t.Parallel()
	illness(t, func(t *testing.T, b *ill) {
		end := b.Fail(simulator.Fault{Kind: simulator.FaultLatency, Method: "sendMessage", For: simulator.Between(time.Second, 3*time.Second)})
		lengths := map[time.Duration]bool{}
		for range 20 {
			_, took, err := b.say("slow")
			require.NoError(t, err)
			assert.GreaterOrEqual(t, took, time.Second)
			assert.LessOrEqual(t, took, 3*time.Second)
			lengths[took] = true
		}
		assert.Len(t, lengths, 20, "drawn anew for each call")
		end()
		_, took, err := b.say("fast")
		require.NoError(t, err)
		assert.Zero(t, took)
	})
}

// Telegram acts also for a client that gave up.
func TestFaults_LatencyOutlastsTheClient(t *testing.T) {
	t.Parallel()
	illness(t, func(t *testing.T, b *ill) {
		b.Fail(simulator.Fault{Kind: simulator.FaultLatency, For: simulator.For(20 * time.Second)})
		_, took, err := b.say("hello")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, 15*time.Second, took)
		assert.Empty(t, b.said())
		time.Sleep(5 * time.Second)
		synctest.Wait()
		assert.Equal(t, []string{"hello"}, b.said())
	})
}

func TestFaults_BrokenAndLost(t *testing.T) {
	t.Parallel()
	illness(t, func(t *testing.T, b *ill) {
		for kind, want := range map[simulator.FaultKind]int{simulator.FaultBroken: 0, simulator.FaultLost: 1} {
			before := len(b.said())
			b.Fail(simulator.Fault{Kind: kind, Method: "sendMessage", Times: 1})
			_, _, err := b.say("x")
			require.Error(t, err)
			assert.NotErrorIs(t, err, context.DeadlineExceeded)
			assert.Len(t, b.said(), before+want, kind)
		}
		_, _, err := b.say("well again")
		require.NoError(t, err)
	})
}

func TestFaults_LateAndSilent(t *testing.T) {
	t.Parallel()
	for kind, gaveUp := range map[simulator.FaultKind]time.Duration{simulator.FaultLate: 0, simulator.FaultSilent: 15 * time.Second} {
		illness(t, func(t *testing.T, b *ill) {
			b.Fail(simulator.Fault{Kind: kind, Times: 1, For: simulator.For(20 * time.Second)})
			_, took, err := b.say("late")
			require.Error(t, err)
			assert.Equal(t, gaveUp, took, kind)
			time.Sleep(20*time.Second - 1)
			synctest.Wait()
			assert.Empty(t, b.said(), kind)
			time.Sleep(time.Nanosecond)
			synctest.Wait()
			assert.Equal(t, []string{"late"}, b.said(), kind)
		})
	}
}

func TestFaults_Errors(t *testing.T) {
	t.Parallel()
	illness(t, func(t *testing.T, b *ill) {
		b.Fail(simulator.Fault{Kind: simulator.FaultError, Times: 1})
		a, _, err := b.say("x")
		require.NoError(t, err)
		assert.Equal(t, []any{502, "Bad Gateway"}, []any{a.status, a.Description})
		b.Fail(simulator.Fault{Kind: simulator.FaultError, Times: 1, Status: 500, Description: "Internal Server Error: wrong", Method: "sendMessage"})
		a, _, err = b.say("x")
		require.NoError(t, err)
		assert.Equal(t, []any{500, "Internal Server Error: wrong"}, []any{a.Code, a.Description})
		b.Fail(simulator.Fault{Kind: simulator.FaultError, Times: 1, Status: 504, Body: "<html>gateway</html>"})
		a, _, err = b.say("x")
		require.NoError(t, err)
		assert.Equal(t, []any{504, "no JSON"}, []any{a.status, a.Description})
		assert.Empty(t, b.said())
	})
}

// A flood holds up what its scope says, until its time is over, and tells the same end to whoever asks again.
func TestFaults_Floods(t *testing.T) {
	t.Parallel()
	for scope, want := range map[string][4]bool{ // held up: the same, another class, another chat, another class there
		simulator.ScopeCall:  {false, false, false, false},
		simulator.ScopeChat:  {true, false, false, false},
		simulator.ScopeClass: {true, false, true, false},
		simulator.ScopeBot:   {true, true, true, true},
	} {
		illness(t, func(t *testing.T, b *ill) {
			other := b.box.group()
			calls := []func() (answer, time.Duration, error){
				func() (answer, time.Duration, error) { return b.say("again") },
				func() (answer, time.Duration, error) {
					return b.try("getChat", object{"chat_id": b.group})
				},
				func() (answer, time.Duration, error) {
					return b.try("sendMessage", object{"chat_id": other, "text": "x"})
				},
				func() (answer, time.Duration, error) { return b.try("getChat", object{"chat_id": other}) },
			}
			b.Fail(simulator.Fault{Kind: simulator.FaultFlood, Times: 1, Scope: scope, For: simulator.For(2 * time.Hour)})
			a, _, err := b.say("first")
			require.NoError(t, err)
			assert.Equal(t, object{"retry_after": 7200.0}, a.Parameters)
			time.Sleep(time.Hour)
			for i, held := range want {
				a, _, err := calls[i]()
				require.NoError(t, err)
				assert.Equal(t, held, a.status == 429, "%s, call %d", scope, i)
				if held {
					assert.Equal(t, "3600", a.header.Get("Retry-After"))
				}
			}
			assert.Len(t, b.met, 1, "one flood is one fault")
			time.Sleep(time.Hour)
			for _, call := range calls {
				a, _, err := call()
				require.NoError(t, err)
				assert.Equal(t, 200, a.status, scope)
			}
		})
	}
}

// Calls that leave before the time Telegram asked for are counted, by chat and class.
func TestFaults_IgnoredFloodsAreCounted(t *testing.T) {
	t.Parallel()
	illness(t, func(t *testing.T, b *ill) {
		b.Fail(simulator.Fault{Kind: simulator.FaultFlood, Times: 1, For: simulator.For(30 * time.Second)})
		b.Fail(simulator.Fault{Kind: simulator.FaultLatency, Times: 1, For: simulator.For(7 * time.Second)})
		go func() { _, _, _ = b.say("told, seven seconds later") }()
		time.Sleep(6 * time.Second)
		_, _, _ = b.say("knows nothing yet")
		time.Sleep(time.Second)
		synctest.Wait()
		_, _, _ = b.say("in the air")
		assert.Zero(t, b.IgnoredFloods())
		time.Sleep(29 * time.Second)
		_, _, _ = b.try("getChat", object{"chat_id": b.group})
		assert.Zero(t, b.IgnoredFloods(), "another class")
		_, _, _ = b.say("too soon")
		assert.Equal(t, 1, b.IgnoredFloods())
		time.Sleep(time.Second)
		_, _, _ = b.say("in time")
		assert.Equal(t, 1, b.IgnoredFloods())
	})
}

// In a slow chat calls wait behind each other, and after eight seconds each the server may give up on them.
func TestFaults_SlowChat(t *testing.T) {
	t.Parallel()
	illness(t, func(t *testing.T, b *ill) {
		other := b.box.group()
		end := b.Fail(simulator.Fault{Kind: simulator.FaultSlow, ChatID: b.group, For: simulator.For(6 * time.Second)})
		took := make(chan time.Duration, 2)
		for range 2 {
			go func() {
				_, d, _ := b.say("slow")
				took <- d
			}()
			synctest.Wait()
		}
		_, d, err := b.try("sendMessage", object{"chat_id": other, "text": "x"})
		require.NoError(t, err)
		assert.Zero(t, d, "elsewhere")
		assert.Equal(t, 6*time.Second, <-took)
		assert.Equal(t, 12*time.Second, <-took)
		assert.Len(t, b.said(), 2)
		end()
		b.Fail(simulator.Fault{Kind: simulator.FaultSlow, For: simulator.For(time.Minute), Then: simulator.For(40 * time.Second)})
		a, d, err := b.say("flooded")
		require.NoError(t, err)
		assert.Equal(t, 8*time.Second, d, "it never sleeps longer")
		assert.Equal(t, object{"retry_after": 40.0}, a.Parameters)
		assert.Len(t, b.said(), 2)
		_, _, _ = b.say("in the air")
		assert.Zero(t, b.IgnoredFloods(), "what is asked for begins when it is told")
		time.Sleep(time.Second)
		_, _, _ = b.say("too soon")
		assert.Equal(t, 1, b.IgnoredFloods())
	})
}

// arrivals lists the kinds of what is pending, and when each event happened.
func (b *ill) arrivals() (list []string) {
	b.t.Helper()
	for b.Pending(b.bot.ID) > 0 {
		for _, u := range b.updates(object{"offset": b.next}) {
			id, _ := u["update_id"].(float64)
			b.next = int64(id) + 1
			switch {
			case u["chat_member"] != nil:
				date, _ := at(u, "chat_member", "date").(float64)
				list = append(list, fmt.Sprintf("%v→%v after %v", standing(at(u, "chat_member", "old_chat_member")),
					standing(at(u, "chat_member", "new_chat_member")), time.Since(time.Unix(int64(date), 0)).Truncate(time.Second)))
			case u["message"] != nil:
				list = append(list, "message")
			}
		}
		b.updates(object{"offset": b.next})
		time.Sleep(time.Millisecond)
	}
	return list
}

func TestFaults_Updates(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		f           simulator.Fault
		soon, later []string
	}{
		{simulator.Fault{Kind: simulator.FaultDuplicate}, []string{"member→left after 0s", "member→left after 0s", "message", "message"}, nil},
		{
			simulator.Fault{Kind: simulator.FaultDuplicate, Update: "chat_member", For: simulator.For(40 * time.Second)},
			[]string{"member→left after 0s", "message"},
			[]string{"member→left after 40s"},
		},
		{
			simulator.Fault{Kind: simulator.FaultDelay, Update: "chat_member", For: simulator.For(40 * time.Second)},
			[]string{"message"},
			[]string{"member→left after 40s"},
		},
		{simulator.Fault{Kind: simulator.FaultMissing, Update: simulator.Service}, []string{"member→left after 0s"}, nil},
		{simulator.Fault{Kind: simulator.FaultMissing, Update: "chat_member"}, []string{"message"}, nil},
		{simulator.Fault{Kind: simulator.FaultMissing, ChatID: -5}, []string{"member→left after 0s", "message"}, nil},
	} {
		illness(t, func(t *testing.T, b *ill) {
			b.good("getUpdates", object{"allowed_updates": []string{"chat_member", "message"}})
			b.arrivals()
			c.f.Times = 2
			b.Fail(c.f)
			require.NoError(t, b.Leave(b.group, b.anna))
			assert.Equal(t, c.soon, b.arrivals(), "%+v", c.f)
			time.Sleep(40 * time.Second)
			assert.Equal(t, c.later, b.arrivals(), "%+v", c.f)
		})
	}
}

// A restart breaks what is open and refuses what comes; queues and what a bot asked for outlive it.
func TestFaults_Restart(t *testing.T) {
	t.Parallel()
	illness(t, func(t *testing.T, b *ill) {
		b.good("getUpdates", object{"allowed_updates": []string{"chat_member"}})
		b.arrivals()
		b.Fail(simulator.Fault{Kind: simulator.FaultLatency, Method: "sendMessage", For: simulator.For(10 * time.Second)})
		b.Fail(simulator.Fault{Kind: simulator.FaultRestart, From: 5 * time.Second, For: simulator.For(20 * time.Second), Every: time.Hour, Times: 2})
		broken := make(chan time.Duration, 2)
		for method, p := range map[string]object{"getUpdates": {"timeout": 50, "offset": b.next}, "sendMessage": {"chat_id": b.group, "text": "x"}} {
			go func() {
				_, took, err := b.try(method, p)
				if assert.Error(t, err, method) {
					broken <- took
				}
			}()
		}
		assert.Equal(t, 5*time.Second, <-broken)
		assert.Equal(t, 5*time.Second, <-broken)
		require.NoError(t, b.Leave(b.group, b.anna))
		time.Sleep(20*time.Second - 1)
		_, _, err := b.try("getMe", nil)
		require.Error(t, err, "away")
		time.Sleep(time.Nanosecond)
		assert.Equal(t, []string{"member→left after 20s"}, b.arrivals())
		assert.Empty(t, b.said(), "what was not carried out is forgotten")
		time.Sleep(time.Hour)
		assert.Equal(t, 2, b.Injected()[simulator.FaultRestart])
		time.Sleep(5 * time.Hour)
		assert.Equal(t, 2, b.Injected()[simulator.FaultRestart])
	})
}

func TestFaults_Clock(t *testing.T) {
	t.Parallel()
	illness(t, func(t *testing.T, b *ill) {
		date := func() int64 {
			n, _ := b.good("sendMessage", object{"chat_id": b.group, "text": "x"}).object()["date"].(float64)
			return int64(n)
		}
		b.Fail(simulator.Fault{Kind: simulator.FaultClock, For: simulator.For(time.Hour)})
		synctest.Wait()
		assert.Equal(t, time.Now().Add(time.Hour).Unix(), date())
		b.JumpClock(-3 * time.Hour)
		assert.Equal(t, time.Now().Add(-2*time.Hour).Unix(), date())
	})
}

// A fault befalls what it names, within its time, so often.
func TestFaults_Match(t *testing.T) {
	t.Parallel()
	illness(t, func(t *testing.T, b *ill) {
		other, boris := b.box.group("can_restrict_members"), b.NewUser("Boris", "")
		ask := func(chat, user int64) bool {
			_, _, err := b.try("getChatMember", object{"chat_id": chat, "user_id": user})
			return err == nil
		}
		f := simulator.Fault{Kind: simulator.FaultBroken, Class: simulator.ClassLook, ChatID: b.group, UserID: b.anna, From: time.Minute, Until: time.Hour, Times: 2}
		b.Fail(f)
		assert.True(t, ask(b.group, b.anna), "too soon")
		time.Sleep(time.Minute)
		assert.True(t, ask(other, b.anna))
		assert.True(t, ask(b.group, boris))
		assert.False(t, ask(b.group, b.anna))
		assert.False(t, ask(b.group, b.anna))
		assert.True(t, ask(b.group, b.anna), "twice is enough")
		b.Fail(f)
		time.Sleep(time.Hour)
		assert.True(t, ask(b.group, b.anna), "over")
		require.Len(t, b.met, 2)
		want := simulator.Injected{
			Kind: simulator.FaultBroken, Method: "getChatMember", ChatID: b.group, UserID: b.anna, BotID: b.bot.ID, At: b.met[0].At,
		}
		assert.Equal(t, want, b.met[0])
		assert.Equal(t, map[simulator.FaultKind]int{simulator.FaultBroken: 2}, b.Injected())
		calls := b.CallsOf("getChatMember")
		assert.Equal(t, simulator.FaultBroken, calls[3].Fault)
	})
}

// A fault knows whom a deletion and an answer to a press concern.
func TestFaults_WhomItConcerns(t *testing.T) {
	t.Parallel()
	illness(t, func(t *testing.T, b *ill) {
		m := b.send(b.group, "press")
		hers := b.write(b.group, b.anna, "hers")
		b.drain("")
		go func() { _, _ = b.Press(t.Context(), b.group, m, b.anna, "go") }()
		synctest.Wait()
		q := b.drain("callback_query")[0]
		b.Fail(simulator.Fault{Kind: simulator.FaultLost, Probability: 1})
		_, _, _ = b.try("answerCallbackQuery", object{"callback_query_id": q["id"]})
		_, _, _ = b.try("deleteMessage", object{"chat_id": b.group, "message_id": hers})
		_, _, _ = b.try("getMe", nil)
		require.Len(t, b.met, 3)
		for i, want := range [][2]int64{{b.group, b.anna}, {b.group, b.anna}, {0, 0}} {
			assert.Equal(t, want, [2]int64{b.met[i].ChatID, b.met[i].UserID})
		}
	})
}

// Luck depends on the seed, and for each person on nobody else's calls.
func TestFaults_LuckRepeats(t *testing.T) {
	t.Parallel()
	run := func(seed uint64, between int) (luck string) {
		synctest.Test(t, func(t *testing.T) {
			b := &ill{box: &box{t: t, url: "http://simulator"}}
			b.fill(simulator.Options{Seed: seed})
			b.client = &http.Client{Transport: b.Transport()}
			b.group = b.box.group()
			boris := b.NewUser("Boris", "")
			b.Fail(simulator.Fault{Kind: simulator.FaultError, Method: "getChatMember", Probability: 0.3})
			for range 100 {
				for range between {
					_, _, _ = b.try("getChatMember", object{"chat_id": b.group, "user_id": boris})
				}
				a, _, err := b.try("getChatMember", object{"chat_id": b.group, "user_id": b.anna})
				require.NoError(t, err)
				luck += map[bool]string{true: "+", false: "-"}[a.OK]
			}
		})
		return luck
	}
	first := run(1, 0)
	assert.Equal(t, first, run(1, 0))
	assert.Equal(t, first, run(1, 3), "Boris changes nothing for Anna")
	assert.NotEqual(t, first, run(2, 0))
	assert.InDelta(t, 30, strings.Count(first, "-"), 15)
}
