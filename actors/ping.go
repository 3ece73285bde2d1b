package actors

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// ping asks a root actor whether it turns. System.Ping sends it; the routers and the sender answer pong.
type ping struct{}

// pong answers ping.
type pong struct{}

// ErrStuck says that an actor does not turn any more.
var ErrStuck = errors.New("an actor does not answer")

// pingPatience is how long an answer may take when nothing else is said: an actor under load has up to its whole
// mailbox before it.
const pingPatience = 5 * time.Second

// Ping returns nil when every router and the sender answer, within ctx's deadline or five seconds, and ErrStuck
// otherwise. It may be called from any goroutine.
func (s *System) Ping(ctx context.Context) error {
	patience := pingPatience
	if at, ok := ctx.Deadline(); ok {
		patience = max(time.Until(at), time.Millisecond)
	}
	asked := map[string]*actor.Future{"sender": s.actors.Root.RequestFuture(s.Sender(), &ping{}, patience)}
	for i := range s.routers {
		asked[fmt.Sprint("router ", i)] = s.actors.Root.RequestFuture(s.routers[i].pid.Load(), &ping{}, patience)
	}
	var err error
	for name, f := range asked {
		if _, wrong := f.Result(); wrong != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", name, ErrStuck))
		}
	}
	return err
}
