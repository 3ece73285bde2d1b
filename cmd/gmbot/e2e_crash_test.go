package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/telegram/simulator"
)

const (
	crashGroups   = 20
	crashChannels = 3
	crashPeople   = 60
	// crashKills is how often the program is killed on each database; CRASH_KILLS changes it.
	crashKills = 15
)

// storm is a mixed load on many groups, and what must be true of it in the end.
type storm struct {
	*town
	t        *testing.T
	rnd      *rand.Rand
	groups   []int64
	required []int64 // of the group with the same index
	channels []int64
	people   []int64
	held     []int64 // people whom moderators mute, and the bot must leave alone
	p        *program
	heal     []func() // takes back the faults that have met no call yet
}

func newStorm(t *testing.T, seed uint64) *storm {
	t.Helper()
	s := &storm{town: startTown(t, simulator.Options{Latency: func(method string) time.Duration {
		if method == "getUpdates" {
			return 0
		}
		return 10 * time.Millisecond
	}}), t: t, rnd: rand.New(rand.NewPCG(seed, 1))}
	for i := range crashChannels {
		c := s.NewChannel(fmt.Sprint("Channel ", i), fmt.Sprint("storm_channel_", i), s.olga)
		require.NoError(t, s.Promote(c, s.olga, s.bot.ID, simulator.Rights("can_invite_users")))
		s.channels = append(s.channels, c)
	}
	for i := range crashGroups {
		g := s.NewSupergroup(fmt.Sprint("Group ", i), "", s.olga)
		require.NoError(t, s.Promote(g, s.olga, s.bot.ID, simulator.Rights("can_restrict_members", "can_delete_messages")))
		s.groups = append(s.groups, g)
		s.required = append(s.required, s.channels[i%crashChannels])
	}
	for i := range crashPeople {
		who := s.NewUser(fmt.Sprint("Person ", i), "")
		if i < 6 {
			s.held = append(s.held, who)
		} else {
			s.people = append(s.people, who)
		}
		for _, g := range s.groups {
			require.NoError(t, s.Join(g, who))
		}
	}
	return s
}

func any1[T any](s *storm, list []T) T { return list[s.rnd.IntN(len(list))] }

// step lets something happen.
func (s *storm) step() {
	g, who := any1(s, s.groups), any1(s, s.people)
	switch s.rnd.IntN(12) {
	case 0, 1:
		_ = s.Join(any1(s, s.channels), who)
	case 2:
		_ = s.Leave(any1(s, s.channels), who)
	case 3:
		_ = s.Leave(g, who)
	case 4:
		_ = s.Join(g, who)
	case 5:
		s.press(g, who)
	case 6:
		_ = s.Restrict(g, s.olga, any1(s, s.held), simulator.Permissions{}, 0)
	case 7:
		late := time.Duration(1+s.rnd.IntN(20)) * time.Second
		s.heal = append(s.heal, s.Fail(simulator.Fault{
			Kind: simulator.FaultLate, Method: "restrictChatMember", ChatID: g, Times: 1, For: simulator.For(late),
		}))
	default:
		_, _ = s.Write(g, who, "hello") // who may not write does not
	}
}

// press presses the button of a group's notice, if there is one, and does not wait for the answer.
func (s *storm) press(group, who int64) {
	for _, m := range s.Messages(group) {
		if data := buttonData(m.ReplyMarkup); m.From == s.bot.ID && len(data) > 0 {
			ctx, cancel := context.WithTimeout(s.t.Context(), time.Millisecond)
			_, _ = s.Press(ctx, group, m.ID, who, data[len(data)-1])
			cancel()
			return
		}
	}
}

// live has the load go on for a while.
func (s *storm) live(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		s.step()
	}
}

// open counts the rows that have something to do.
func (s *storm) open(store persistence.Reader) (n int) {
	for _, g := range s.groups {
		flows, err := store.OpenFlowsOfGroup(s.t.Context(), g, 1000)
		require.NoError(s.t, err)
		n += len(flows)
	}
	return n
}

func (s *storm) in(chat, who int64) bool {
	return slices.Contains([]string{simulator.MemberStatus, simulator.Restricted}, s.Member(chat, who).Status) && s.Member(chat, who).Present()
}

// wrong lists who is not as they should be.
func (s *storm) wrong() (list []string) {
	for i, g := range s.groups {
		for _, who := range s.people {
			m, inside := s.Member(g, who), s.in(s.required[i], who)
			if !m.Present() {
				continue
			}
			if muted := m.Status == simulator.Restricted; muted == inside {
				list = append(list, fmt.Sprintf("%s in %s: in the channel %t, muted %t", s.Name(who), s.Name(g), inside, muted))
			}
		}
	}
	return list
}

// journals are how much waits in them: on a busy machine the database may not answer in time.
var journals = regexp.MustCompile(`(?m)^gmbot_journal_(?:changes|updates) .*$`)

// calm waits until all is as it should be, or says what is not when nothing has changed for a minute.
func (s *storm) calm(store persistence.Reader) {
	s.t.Helper()
	last, since := "", time.Now()
	for ; ; time.Sleep(50 * time.Millisecond) {
		pending, open, wrong := s.Pending(s.bot.ID), s.open(store), s.wrong()
		if pending+open+len(wrong) == 0 {
			return
		}
		_, metrics := s.p.get("/metrics")
		left := fmt.Sprintf("%d updates not taken, %d rows with something to do, journals %v, %d people not as they should be:\n%s",
			pending, open, journals.FindAllString(metrics, -1), len(wrong), strings.Join(wrong, "\n"))
		if left != last {
			last, since = left, time.Now()
		}
		if time.Since(since) > time.Minute {
			s.explain(store)
			s.t.Fatalf("for a minute: %s", left)
		}
	}
}

// explain tells what was done about whoever is not as they should be.
func (s *storm) explain(store persistence.Reader) {
	s.t.Helper()
	for i, g := range s.groups {
		rows, _ := store.OpenFlowsOfGroup(s.t.Context(), g, 10)
		for _, row := range rows {
			s.t.Logf("open in %s: %+v", s.Name(g), row)
		}
		for _, who := range s.people {
			m, inside := s.Member(g, who), s.in(s.required[i], who)
			if !m.Present() || (m.Status == simulator.Restricted) != inside {
				continue
			}
			s.t.Logf("%s in %s: %+v", s.Name(who), s.Name(g), m)
			for _, c := range s.Calls() {
				if fmt.Sprint(c.Params["user_id"]) == fmt.Sprint(who) && (fmt.Sprint(c.Params["chat_id"]) == fmt.Sprint(g) || fmt.Sprint(c.Params["chat_id"]) == fmt.Sprint(s.required[i])) {
					s.t.Logf("%s %s %v: %d %.200s", c.At.Format("05.000"), c.Method, c.Params, c.Status, string(c.Result)+c.Error)
				}
			}
			trail, _ := store.AuditOf(s.t.Context(), g, who, 20)
			for _, a := range trail {
				s.t.Logf("audit %s %s %s by %d", a.At.Format("05.000"), a.Action, a.Detail, a.ActorID)
			}
			for _, m := range s.Messages(g) {
				if m.From == who {
					s.t.Logf("message %d %q", m.ID, m.Text)
				}
			}
			exempt, err := store.IsExempt(s.t.Context(), g, who)
			s.t.Logf("exempt %t %v", exempt, err)
			f, err := store.Flow(s.t.Context(), g, who)
			s.t.Logf("row %+v %v", f, err)
		}
	}
}

func (s *storm) twoNotices() (list []string) {
	for _, g := range s.groups {
		n := 0
		for _, m := range s.Messages(g) {
			if m.From == s.bot.ID && strings.Contains(m.Text, notice) {
				n++
			}
		}
		if n > 1 {
			list = append(list, fmt.Sprintf("%s has %d", s.Name(g), n))
		}
	}
	return list
}

// intent is a notice of which the store knows that it was to be sent, and not that it was.
type intent struct{ group, thread, seen int64 }

// intents adds those that the store holds: after a kill, the sends whose answer was lost, or not stored.
func (s *storm) intents(store persistence.Reader, cut map[intent]bool) {
	s.t.Helper()
	for _, g := range s.groups {
		rows, err := store.Notices(s.t.Context(), g)
		require.NoError(s.t, err)
		for _, n := range rows {
			if n.MessageID == 0 {
				cut[intent{g, n.ThreadID, n.Seen}] = true
			}
		}
	}
}

func TestE2E_KilledAtRandomInstants(t *testing.T) {
	t.Parallel()
	kills := crashKills
	if n, err := strconv.Atoi(os.Getenv("CRASH_KILLS")); err == nil {
		kills = n
	}
	for name, db := range map[string]func(*testing.T) string{
		"SQLite":     func(t *testing.T) string { t.Helper(); return "sqlite://" + newDB(t) },
		"PostgreSQL": newPostgres,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			s, url := newStorm(t, seed), db(t)
			s.p = runOn(t, s.town, url)
			for i, g := range s.groups {
				_, err := s.Write(g, s.olga, "/protect "+itoa(s.required[i]))
				require.NoError(t, err)
			}
			s.until(t, "all groups are protected", func() bool {
				n := 0
				for _, g := range s.groups {
					if s.has(g, "This group is protected")() {
						n++
					}
				}
				return n == len(s.groups)
			})
			store, err := persistence.Open(t.Context(), url, persistence.Options{Readers: 2})
			require.NoError(t, err)
			defer func() { _ = store.Close() }()
			var open []int
			cut, resumed := map[intent]bool{}, 0
			for range kills {
				s.live(time.Duration(100+s.rnd.IntN(900)) * time.Millisecond)
				s.p.kill()
				s.intents(store, cut)
				open = append(open, s.open(store))
				resumed += open[len(open)-1]
				s.live(50 * time.Millisecond) // the world goes on without it
				s.p = runOn(t, s.town, url)
			}
			s.live(time.Second)
			// The trouble is over, so that a pause that doubles with each call it met says nothing about being
			// forgotten. What it has sent on its way late arrives still.
			for _, heal := range s.heal {
				heal()
			}
			// Everybody who is outside writes once more, so that it is known who must be muted.
			for i, g := range s.groups {
				for _, who := range s.people {
					if !s.in(s.required[i], who) {
						_, _ = s.Write(g, who, "and now?")
					}
				}
			}
			began := time.Now()
			s.calm(store)
			settled := time.Since(began)
			assert.Empty(t, s.wrong())
			for _, g := range s.groups {
				for _, who := range s.held {
					if m := s.Member(g, who); m.Status == simulator.Restricted {
						assert.False(t, m.Permissions["can_send_messages"], "a moderator's mute stands")
						assert.Zero(t, m.Until, "with the end the moderator gave it: %s", s.Name(who))
					}
				}
			}
			// Whoever the bot holds is known to it: joining frees everybody.
			for _, who := range s.people {
				for _, c := range s.channels {
					_ = s.Join(c, who)
				}
			}
			s.calm(store)
			two := s.twoNotices()
			t.Logf("%s: %d kills, flows open at each %v, resumed %d, lost %d, doubled %d (expected 0; %d notices were cut while they were sent) %v, settled after %s",
				name, kills, open, resumed, len(s.wrong()), len(two), len(cut), two, settled.Round(time.Millisecond))
			assert.LessOrEqual(t, len(two), len(cut), "no second notice but for sends that were cut")
			assert.Zero(t, s.p.terminate())
		})
	}
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
