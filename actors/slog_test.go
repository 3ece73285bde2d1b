package actors

import (
	"bytes"
	"strings"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
)

// Letters to flows that have ended come by the dozen on an ordinary day.
func TestSlog_DeadLettersAreForWhoLooksForThem(t *testing.T) {
	t.Parallel()
	for level, want := range map[zerolog.Level]int{zerolog.InfoLevel: 0, zerolog.DebugLevel: 1} {
		var out bytes.Buffer
		system := actor.NewActorSystem(actor.WithLoggerFactory(slogOf(zerolog.New(&out).Level(level))))
		system.EventStream.Publish(&actor.DeadLetterEvent{PID: system.NewLocalPID("gone"), Message: "hello"})
		assert.Equal(t, want, strings.Count(out.String(), "[DeadLetter]"), "%s: %s", level, &out)
	}
}
