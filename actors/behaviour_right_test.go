package actors

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/telegram/simulator"
)

// told counts what the bot said in a chat with these words.
func (w *town) told(chat int64, words string) (n int) {
	for _, m := range w.Messages(chat) {
		if m.From == w.bot.ID && strings.Contains(m.Text, words) {
			n++
		}
	}
	return n
}

func TestRights_CannotJudge(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		require.NoError(t, w.Start(w.olga, w.bot.ID))
		w.protect()
		require.NoError(t, w.Demote(w.channel, w.olga, w.bot.ID))
		id := w.says(w.group, w.anna, "hello")
		w.pass(time.Minute)
		assert.False(t, w.muted(w.anna), "nobody is muted while it cannot judge")
		assert.True(t, w.there(w.group, id))
		assert.Equal(t, 1, w.told(w.olga, "I can no longer see who has joined News"))
		w.orders("/status")
		assert.True(t, w.has(w.group, "I cannot see who has joined"), "with the cure")
		w.restart()
		w.pass(10 * time.Minute)
		assert.Equal(t, 1, w.told(w.olga, "I can no longer see"), "told once")
		w.admit(w.channel, "can_invite_users")
		w.pass(30 * time.Second)
		assert.True(t, w.muted(w.anna), "it resumes by itself")
		assert.False(t, w.there(w.group, id))
		p, err := w.store.Pauses(t.Context(), w.group)
		require.NoError(t, err)
		assert.Empty(t, p)
	})
}

func TestRights_ToldInTheGroupWherePrivateIsClosed(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.admit(w.group, "can_delete_messages")
		w.pass(time.Minute)
		assert.Equal(t, 1, w.told(w.group, "I can no longer mute"))
	})
}

func TestRights_CannotMute(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		require.NoError(t, w.Start(w.olga, w.bot.ID))
		w.protect()
		// The push about it is lost, so that an error tells.
		w.admitQuietly(w.group, "can_delete_messages")
		id := w.says(w.group, w.anna, "hello")
		w.pass(30 * time.Second)
		assert.False(t, w.there(w.group, id), "what it can do it does")
		assert.Equal(t, 1, w.told(w.olga, "I can no longer mute"))
		w.admitQuietly(w.group, "can_delete_messages", "can_restrict_members")
		w.pass(3 * time.Minute)
		assert.True(t, w.muted(w.anna), "found out by itself")
		assert.Equal(t, 1, w.told(w.olga, "I can no longer mute"))
	})
}

func TestRights_CannotDelete(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		require.NoError(t, w.Start(w.olga, w.bot.ID))
		w.protect()
		w.admit(w.group, "can_restrict_members")
		w.says(w.group, w.anna, "hello")
		w.pass(30 * time.Second)
		assert.True(t, w.muted(w.anna))
		assert.Equal(t, 1, w.told(w.olga, "I can no longer delete messages"))
	})
}

func TestRights_RemovedAndBroughtBack(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		require.NoError(t, w.Start(w.olga, w.bot.ID))
		w.protect()
		w.mutes(w.anna)
		require.NoError(t, w.Ban(w.group, w.olga, w.bot.ID))
		w.pass(time.Minute)
		assert.NotZero(t, w.told(w.olga, "I can no longer mute"))
		require.NoError(t, w.Join(w.channel, w.anna))
		w.pass(time.Minute)
		assert.True(t, w.muted(w.anna), "out of reach")
		require.NoError(t, w.Unban(w.group, w.olga, w.bot.ID))
		w.admit(w.group, "can_restrict_members", "can_delete_messages")
		w.pass(6 * time.Minute)
		assert.True(t, w.free(w.anna), "what she earned meanwhile is given")
		id := w.says(w.group, w.boris, "hello")
		w.pass(5 * time.Second)
		assert.False(t, w.there(w.group, id), "protection goes on")
	})
}

func TestRequests(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.wish(func(s *persistence.Settings) { s.JoinRequests, s.DeclineHours = true, 6 })
		ask := func(name string) int64 {
			id := w.NewUser(name, "")
			require.NoError(t, w.RequestJoin(w.group, id))
			w.pass(3 * time.Second)
			return id
		}
		known := w.NewUser("Known", "")
		require.NoError(t, w.Join(w.channel, known))
		require.NoError(t, w.RequestJoin(w.group, known))
		w.pass(3 * time.Second)
		assert.Equal(t, simulator.MemberStatus, w.Member(w.group, known).Status, "who is in the channel is let in at once")

		joins := ask("Joins")
		m := w.last(joins)
		assert.Contains(t, m.Text, "You asked to join Talk")
		assert.Equal(t, "https://t.me/news_here", buttons(m)[0].URL)
		w.restart()
		require.NoError(t, w.Join(w.channel, joins))
		w.pass(3 * time.Second)
		assert.True(t, w.Member(w.group, joins).Present(), "let in by joining the channel")
		assert.False(t, w.there(joins, m.ID), "and the message is gone")

		presses := ask("Presses")
		m = w.last(presses)
		a := w.presses(presses, m.ID, presses, buttons(m)[1].Data)
		assert.Contains(t, a.Text, "Still missing: News")
		w.pass(4 * time.Second)
		raw := w.Fail(simulator.Fault{Kind: simulator.FaultError, Method: "getChatMember", Status: 500, Description: "Internal Server Error"})
		a = w.presses(presses, m.ID, presses, buttons(m)[1].Data)
		assert.Contains(t, a.Text, "Still checking")
		raw()
		w.pass(time.Minute)
		require.NoError(t, w.Join(w.channel, presses))
		w.pass(3 * time.Second)
		assert.True(t, w.Member(w.group, presses).Present())

		never := ask("Never")
		w.away(5*time.Hour + 55*time.Minute)
		assert.Contains(t, w.Requests(w.group), never, "not before")
		w.pass(7 * time.Minute)
		assert.NotContains(t, w.Requests(w.group), never, "declined after its time")
		assert.False(t, w.Member(w.group, never).Present())
		stranger := w.NewUser("Forger", "")
		m = w.last(w.group)
		a = w.presses(w.group, m.ID, stranger, callbackRequest+itoa(w.group))
		assert.NotEmpty(t, a.Text, "a forged press is answered, and changes nothing")
	})
}

// Nothing that Telegram or this program does in the first minutes loses a request.
func TestRequests_OverTroubleAndCrashes(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.wish(func(s *persistence.Settings) { s.JoinRequests = true })
		inside, outside := w.NewUser("Inside", ""), w.NewUser("Outside", "")
		require.NoError(t, w.Join(w.channel, inside))
		w.pass(time.Second)
		w.restart() // so that memory knows nothing
		silent := w.Fail(simulator.Fault{Kind: simulator.FaultError, Method: "getChatMember", Status: 500, Description: "Internal Server Error"})
		require.NoError(t, w.RequestJoin(w.group, inside))
		require.NoError(t, w.RequestJoin(w.group, outside))
		w.pass(500 * time.Millisecond)
		w.stop() // the requests are stored, and nothing was done about them
		silent()
		w.pass(time.Second)
		assert.Contains(t, w.Requests(w.group), inside)
		w.start()
		w.pass(30 * time.Second)
		assert.Equal(t, simulator.MemberStatus, w.Member(w.group, inside).Status)
		assert.Contains(t, w.last(outside).Text, "You asked to join Talk")
		assert.Equal(t, 1, w.told(outside, "You asked to join Talk"))

		silent = w.Fail(simulator.Fault{Kind: simulator.FaultError, Method: "getChatMember", Status: 500, Description: "Internal Server Error"})
		later := w.NewUser("Later", "")
		require.NoError(t, w.RequestJoin(w.group, later))
		w.pass(20 * time.Second)
		silent()
		w.pass(3 * time.Minute)
		assert.Equal(t, 1, w.told(later, "You asked to join Talk"), "asked again, while Telegram still lets the bot write")
	})
}

func TestRequests_OffByDefault(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		id := w.NewUser("Asks", "")
		require.NoError(t, w.Join(w.channel, id))
		require.NoError(t, w.RequestJoin(w.group, id))
		w.pass(time.Minute)
		assert.Contains(t, w.Requests(w.group), id, "the group's administrators decide")
		w.orders("/settings")
		m, _ := w.find(w.group, "Settings")
		w.presses(w.group, m.ID, w.olga, callbackSet+"requests:on")
		w.pass(3 * time.Second)
		next := w.NewUser("Asks too", "")
		require.NoError(t, w.Join(w.channel, next))
		require.NoError(t, w.RequestJoin(w.group, next))
		w.pass(3 * time.Second)
		assert.True(t, w.Member(w.group, next).Present(), "one tap turns it on")
	})
}
