package actors

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/telegram/simulator"
)

// What the storm has found about presses, and about updates that wait.

// A press that was answered while it waited is not answered again when its turn comes to nothing.
func TestStorm_APressIsAnsweredOnce(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.says(w.group, w.boris, "hello")
		w.pass(10 * time.Second)
		require.Len(t, w.notices(), 1)
		require.NoError(t, w.Join(w.channel, w.anna))
		w.Fail(simulator.Fault{Kind: simulator.FaultSlow, Method: "getChatMember", ChatID: w.group, Times: 1, For: simulator.For(3 * time.Second)})
		require.NoError(t, w.Restrict(w.group, w.olga, w.anna, simulator.AllPermissions(), 0))
		require.NoError(t, w.Leave(w.channel, w.anna))
		w.says(w.group, w.anna, "hello")
		require.NoError(t, w.Join(w.channel, w.anna))
		w.pass(time.Second)
		w.presses(w.group, w.notices()[0].ID, w.anna, callbackCheck)
		w.pass(10 * time.Second)
		for _, c := range w.CallsOf("answerCallbackQuery") {
			require.NotEmpty(t, c.Params["callback_query_id"])
		}
		require.Len(t, w.CallsOf("answerCallbackQuery"), 1)
	})
}
