package actors

import (
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/telegram/simulator"
)

// orders sends a command of Olga's and lets its answer come.
func (w *town) orders(words string, options ...simulator.WriteOption) {
	w.t.Helper()
	w.says(w.group, w.olga, words, options...)
	w.pass(8 * time.Second)
}

func TestSettings_ThePanel(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.orders("/settings")
		m, ok := w.find(w.group, "Settings")
		require.True(t, ok)
		data := map[string]string{}
		for _, b := range buttons(m) {
			data[b.Text] = b.Data
		}
		a := w.presses(w.group, m.ID, w.anna, data["Show notices: yes"])
		assert.Contains(t, a.Text, "Only administrators", "rights are checked at each press")
		w.presses(w.group, m.ID, w.olga, data["Show notices: yes"])
		w.presses(w.group, m.ID, w.olga, data["Who has not joined: mute and delete"])
		w.pass(8 * time.Second)
		g, err := w.store.Group(t.Context(), w.group)
		require.NoError(t, err)
		assert.True(t, g.Settings.Quiet)
		assert.Equal(t, persistence.ActionDelete, g.Settings.Action)
		m, _ = w.find(w.group, "Settings")
		assert.True(t, m.Edited, "edited in place")
		var said []string
		for _, b := range buttons(m) {
			said = append(said, b.Text)
		}
		assert.Contains(t, said, "Show notices: no")
		w.says(w.group, w.anna, "hello")
		w.pass(5 * time.Second)
		assert.Empty(t, w.notices(), "effective at once")
		assert.False(t, w.muted(w.anna))
		trail, err := w.store.AuditTrail(t.Context(), w.group, 5)
		require.NoError(t, err)
		found := false
		for _, e := range trail {
			found = found || e.Action == "set quiet" && e.Detail == "off → on" && e.ActorID == w.olga
		}
		assert.True(t, found, "who, what, from, to")
		w.pass(45 * time.Second)
		_, ok = w.find(w.group, "Settings")
		assert.True(t, ok, "it stays while it is used")
		w.pass(time.Minute)
		_, ok = w.find(w.group, "Settings")
		assert.False(t, ok)
	})
}

func TestSettings_AnOldPanel(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.orders("/settings")
		m, _ := w.find(w.group, "Settings")
		w.restart()
		w.presses(w.group, m.ID, w.olga, callbackSet+"quiet:on")
		w.pass(2 * time.Second)
		g, err := w.store.Group(t.Context(), w.group)
		require.NoError(t, err)
		assert.True(t, g.Settings.Quiet, "a button does what it says, however old")
		for _, data := range []string{"v1:set:gone:on", "v1:set:quiet:perhaps", "v0:anything", "v1:off:1", strings.Repeat("x", 64), "v1:set::", "\x00"} {
			a := w.presses(w.group, m.ID, w.olga, data)
			assert.Contains(t, a.Text, "too old", "%q is answered, never obeyed", data)
		}
		after, err := w.store.Group(t.Context(), w.group)
		require.NoError(t, err)
		assert.Equal(t, g, after)
	})
}

func TestSettings_ForgedPresses(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.orders("/settings")
		m, _ := w.find(w.group, "Settings")
		before, err := w.store.Group(t.Context(), w.group)
		require.NoError(t, err)
		for _, data := range []string{"v1:set:quiet:on", callbackUnprotect, callbackPage + "0", "v1:set:action:delete"} {
			a := w.presses(w.group, m.ID, w.anna, data)
			assert.Contains(t, a.Text, "Only administrators")
		}
		after, err := w.store.Group(t.Context(), w.group)
		require.NoError(t, err)
		assert.Equal(t, before, after)
		foreign := []string{
			"", "hello", "v9:check", "v1:", "v1:set:", "v1:set:quiet", "v1:set:quiet:maybe", "v1:set:nothing:on", "v1:set:need:99",
			"v1:ex:-1", "v1:ex:x", "v1:wiz:1:go", "v1:wiz:new", callbackRequest + "x", callbackRequest + itoa(w.group),
			callbackBrake + itoa(w.group) + ":1:go", callbackBrake + "1:2:go", callbackBrake + "::", strings.Repeat("🦊", 1000),
		}
		empty := w.NewSupergroup("Not protected", "", w.anna)
		w.admit(empty, "can_delete_messages")
		w.pass(5 * time.Second)
		welcome := w.last(empty)
		require.NotZero(t, welcome.ID)
		require.NoError(t, w.Start(w.anna, w.bot.ID))
		w.tells(w.anna, "/start")
		private := w.last(w.anna)
		for _, data := range foreign {
			for place, message := range map[int64]int64{w.group: m.ID, empty: welcome.ID, w.anna: private.ID} {
				w.presses(place, message, w.anna, data) // which fails when there is no answer
			}
			w.presses(w.group, m.ID, w.olga, data)
			w.pass(time.Second)
		}
		after, err = w.store.Group(t.Context(), w.group)
		require.NoError(t, err)
		assert.Equal(t, before, after)
	})
}

// Somebody plays with the buttons: every press is answered, and nobody else waits.
func TestSettings_AFloodOfPresses(t *testing.T) {
	t.Parallel()
	o := simulator.Options{Latency: func(method string) time.Duration {
		return map[string]time.Duration{"getChatMember": time.Second}[method]
	}}
	runTown(t, o, func(t *testing.T, w *town) {
		w.protect()
		w.orders("/settings")
		m, _ := w.find(w.group, "Settings")
		require.NoError(t, w.Start(w.anna, w.bot.ID))
		w.tells(w.anna, "/start")
		private := w.last(w.anna)
		var all sync.WaitGroup
		for range 2 * commandQueue {
			all.Go(func() {
				w.presses(w.group, m.ID, w.anna, callbackSet+"quiet:on")
			})
			all.Go(func() {
				w.presses(w.anna, private.ID, w.anna, "v1:wiz:1:go")
			})
		}
		id := w.says(w.group, w.boris, "hello")
		w.pass(5 * time.Second)
		assert.False(t, w.there(w.group, id))
		assert.True(t, w.muted(w.boris))
		w.pass(2 * time.Minute)
		all.Wait()
	})
}

func TestExempt(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.says(w.group, w.anna, "hello")
		w.pass(5 * time.Second)
		require.True(t, w.muted(w.anna))
		w.orders("/exempt @anna")
		assert.True(t, w.free(w.anna), "a @name seen here lately; freed at once")
		id := w.says(w.group, w.boris, "hi")
		w.pass(time.Second)
		w.orders("/exempt " + itoa(w.boris))
		w.pass(5 * time.Second)
		assert.True(t, w.free(w.boris))
		_ = id
		w.orders("/exempt")
		list, ok := w.find(w.group, "Exempt here")
		require.True(t, ok)
		assert.Contains(t, list.Text, itoa(w.anna))
		w.orders("/exempt @nobody_here")
		assert.True(t, w.has(w.group, "Telegram lets bots find nobody else by name"))
		hello := w.says(w.group, w.anna, "hello")
		w.pass(5 * time.Second)
		assert.True(t, w.there(w.group, hello))
		w.orders("/unexempt", simulator.ReplyTo(hello))
		assert.True(t, w.has(w.group, "no longer exempt"))
		w.says(w.group, w.anna, "hello again")
		w.pass(5 * time.Second)
		assert.True(t, w.muted(w.anna))
	})
}

func TestExempt_ListsPageByPage(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		require.NoError(t, w.store.Update(t.Context(), func(tx persistence.Tx) error {
			for i := range 5000 {
				name := strings.Repeat("🦊", 60)
				if err := tx.Exempt(persistence.Exemption{GroupID: w.group, UserID: int64(1_000_000_000 + i), Name: name}); err != nil {
					return err
				}
			}
			return nil
		}))
		w.orders("/exempt")
		m, ok := w.find(w.group, "Exempt here")
		require.True(t, ok, "it fits")
		assert.Contains(t, m.Text, "1000000029")
		w.presses(w.group, m.ID, w.olga, buttons(m)[0].Data)
		w.pass(8 * time.Second)
		m, _ = w.find(w.group, "Exempt here")
		assert.Contains(t, m.Text, "1000000030")
		w.orders("/exempt 77")
		assert.True(t, w.has(w.group, "which is the most"))
	})
}

func TestWhy(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.says(w.group, w.anna, "hello")
		w.pass(5 * time.Second)
		w.orders("/why @anna")
		m, ok := w.find(w.group, "About @anna")
		require.True(t, ok)
		for _, part := range []string{"not in News, as Telegram said at ", "muted by me since ", ": wrote without having joined News; muted"} {
			assert.Contains(t, m.Text, part)
		}
		require.NoError(t, w.Join(w.channel, w.anna))
		w.pass(time.Minute)
		w.orders("/why " + itoa(w.anna))
		m, ok = w.find(w.group, "About "+itoa(w.anna))
		require.True(t, ok)
		for _, part := range []string{"in News, as Telegram said at ", "not muted by me", ": has joined what is required, and is free"} {
			assert.Contains(t, m.Text, part)
		}
		w.orders("/why")
		assert.True(t, w.has(w.group, "About whom?"))
	})
}

func TestPreview(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		two := w.second("Two", "news_two")
		w.protect()
		for i := range 20 {
			id := w.NewUser(fmt.Sprintf("Person %d", i), "")
			require.NoError(t, w.Join(w.group, id))
			require.NoError(t, w.Join(w.channel, id))
			if i < 5 {
				require.NoError(t, w.Join(two, id))
			}
			w.says(w.group, id, "hello")
		}
		w.says(w.group, w.olga, "hello") // an administrator
		require.NoError(t, w.Join(w.channel, w.boris))
		w.pass(time.Second)
		boris := w.says(w.group, w.boris, "hello")
		w.pass(time.Second)
		w.orders("/exempt", simulator.ReplyTo(boris))
		w.pass(time.Minute)
		w.orders("/preview @news_two")
		m, ok := w.find(w.group, "Nobody was touched")
		require.True(t, ok)
		assert.Contains(t, m.Text, "people I saw here lately, 15 would be muted for Two")
		assert.Zero(t, w.calls("restrictChatMember", 0))
		w.orders("/preview")
		assert.True(t, w.has(w.group, "Which channel?"))
	})
}

func TestExportAndImport(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.second("Two", "news_two")
		w.protect("@news_here", "@news_two")
		w.wish(func(s *persistence.Settings) { s.Need, s.Quiet, s.RemoveHours = 1, true, 6 })
		w.orders("/export")
		var name string
		var data []byte
		for _, m := range w.Messages(w.group) {
			if n, d := w.Document(w.group, m.ID); n != "" {
				name, data = n, d
			}
		}
		require.Equal(t, fileName, name)
		assert.NotContains(t, string(data), "t.me/+", "an invite link is a secret")
		from, err := w.store.Group(t.Context(), w.group)
		require.NoError(t, err)

		next := w.NewSupergroup("Next", "", w.olga)
		w.admit(next, "can_restrict_members", "can_delete_messages")
		say := func(raw []byte) string {
			w.says(next, w.olga, "/import", w.WithDocument("settings.json", raw))
			w.pass(8 * time.Second)
			last := ""
			for _, m := range w.Messages(next) {
				if m.From == w.bot.ID {
					last = m.Text
				}
			}
			return last
		}
		for _, broken := range []string{"{", `{"hello":1}`, strings.Replace(string(data), `"gmbot_settings": 1`, `"gmbot_settings": 9`, 1)} {
			assert.Regexp(t, `Nothing was changed\. Line \d+:`, say([]byte(broken)))
			_, err := w.store.Group(t.Context(), next)
			require.ErrorIs(t, err, persistence.ErrNotFound)
		}
		foreign := w.NewChannel("Foreign", "", w.anna)
		assert.Contains(t, say([]byte(strings.Replace(string(data), itoa(w.channel), itoa(foreign), 1))), "Nothing was changed yet")
		assert.Contains(t, say(data), "The settings were taken over")
		to, err := w.store.Group(t.Context(), next)
		require.NoError(t, err)
		assert.Equal(t, from.Settings, to.Settings)
		assert.Len(t, to.Channels, 2)
		var f settingsFile
		require.NoError(t, json.Unmarshal(data, &f))
	})
}

func TestProtect_FortyChannelsStillFit(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		g := persistence.Group{ID: w.group, OwnerID: w.olga, Title: "Talk", Enabled: true}
		for range maxChannels {
			title := strings.Repeat("<&>🦊", 30)
			id := w.second(title, "")
			g.Channels = append(g.Channels, persistence.Channel{ID: id, Title: title, InviteLink: "https://t.me/+abcdefghijk"})
		}
		require.NoError(t, w.store.Update(t.Context(), func(tx persistence.Tx) error {
			_, err := tx.SaveGroup(g, persistence.Owner{ID: w.olga})
			return err
		}))
		w.restart()
		for _, command := range []string{"/settings", "/unprotect @nonsense", "/why " + itoa(w.anna), "/status"} {
			before := w.calls("sendMessage", 0)
			w.orders(command)
			assert.Greater(t, w.calls("sendMessage", 0), before, command)
		}
		w.says(w.group, w.anna, "hello")
		w.pass(15 * time.Second)
		assert.Len(t, w.notices(), 1)
		for _, c := range w.CallsOf("sendMessage") {
			assert.Empty(t, c.Error, "every list is bounded")
		}
	})
}

func TestStrangersCommandsAreMessages(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		id := w.says(w.group, w.anna, "/help buy my coins")
		w.pass(5 * time.Second)
		assert.False(t, w.there(w.group, id))
		assert.True(t, w.muted(w.anna))
		other := w.says(w.group, w.olga, "/status@other_bot")
		w.pass(5 * time.Second)
		assert.True(t, w.there(w.group, other))
		assert.False(t, w.has(w.group, "Protection is"), "a command for another bot is not ours")
	})
}

func TestAnswersGoAfterAMinute(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		id := w.says(w.group, w.olga, "/status")
		w.pass(30 * time.Second)
		require.True(t, w.has(w.group, "Protection is"))
		w.restart()
		w.pass(40 * time.Second)
		assert.False(t, w.has(w.group, "Protection is"), "also across a restart")
		assert.False(t, w.there(w.group, id), "together with the command")
	})
}

// What a group may be sent in a minute is used up, so that answers wait longer than a command may take.
func TestAnswersGoAfterAMinute_LateOnesToo(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		var ids []int64
		for range 8 {
			ids = append(ids, w.says(w.group, w.olga, "/status"))
		}
		w.pass(15 * time.Second)
		stranger := w.says(w.group, w.anna, "hello")
		w.pass(time.Second)
		assert.False(t, w.there(w.group, stranger), "nobody else waits for them")
		w.pass(30 * time.Second)
		answers := 0
		for _, c := range w.CallsOf("sendMessage") {
			if strings.Contains(fmt.Sprint(c.Params["text"]), "Protection is") {
				answers++
			}
		}
		assert.Equal(t, len(ids), answers, "each is answered once")
		w.pass(90 * time.Second)
		assert.False(t, w.has(w.group, "Protection is"))
		for _, id := range ids {
			assert.False(t, w.there(w.group, id))
		}
	})
}

// Each press shows what became of it at once; the panel follows as fast as a group's messages may.
func TestSettings_FastPresses(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.orders("/settings")
		m, _ := w.find(w.group, "Settings")
		for i := range 20 {
			began := time.Now()
			w.presses(w.group, m.ID, w.olga, callbackSet+"quiet:"+map[bool]string{true: "on", false: "off"}[i%2 == 0])
			assert.Less(t, time.Since(began), time.Second)
		}
		w.presses(w.group, m.ID, w.olga, callbackSet+"quiet:on")
		w.pass(15 * time.Second)
		m, _ = w.find(w.group, "Settings")
		assert.Contains(t, string(m.ReplyMarkup), "Show notices: no", "the last press counts")
		assert.Less(t, len(w.CallsOf("editMessageText")), 10, "edits that nobody would have seen are left out")
	})
}

func TestProtect_WithoutAChannelLeadsToTheWizard(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.orders("/protect")
		said := w.last(w.group)
		require.Contains(t, said.Text, "Which channel?")
		found := regexp.MustCompile(`"url":"([^"]+)"`).FindSubmatch(said.ReplyMarkup)
		require.NotNil(t, found)
		link, err := url.Parse(string(found[1]))
		require.NoError(t, err)
		assert.Equal(t, "/"+w.bot.Username, link.Path)
		require.NoError(t, w.Start(w.olga, w.bot.ID))
		w.tells(w.olga, "/start "+link.Query().Get("start"))
		assert.Contains(t, w.last(w.olga).Text, "Let us protect a group")
	})
}
