package simulator_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/telegram/simulator"
)

func TestSwitches(t *testing.T) {
	t.Parallel()
	var s simulator.Switches
	require.NoError(t, s.Turn("MessageLimits", "CallbackWindow=40s", "LeaveMessagesUpTo=50", "NoLimitOne=true", "OtherTexts=false"))
	assert.Equal(t, simulator.Switches{MessageLimits: true, CallbackWindow: 40 * time.Second, LeaveMessagesUpTo: 50, NoLimitOne: true}, s)
	for written, want := range map[string]string{
		"Nonsense": `there is no switch "Nonsense"`, "": `there is no switch ""`, "CallbackWindow": `switch CallbackWindow: "true" is no time like "40s"`,
		"MessageLimits=maybe": `switch MessageLimits: "maybe" is not true or false`, "LeaveMessagesUpTo=-1": `switch LeaveMessagesUpTo: "-1" is no number`,
	} {
		assert.EqualError(t, new(simulator.Switches).Turn(written), want)
	}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[simulator.Switches]()) {
		value := map[reflect.Kind]string{reflect.Bool: "true", reflect.Int: "1", reflect.Int64: "1s"}[field.Type.Kind()]
		require.NoError(t, s.Turn(field.Name+"="+value))
		assert.False(t, reflect.ValueOf(s).FieldByIndex(field.Index).IsZero(), field.Name)
	}
}
