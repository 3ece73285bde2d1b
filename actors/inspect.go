package actors

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// ActorInfo is what an actor says of itself and of at most some of its children.
type ActorInfo struct {
	Name          string         `json:"name"`
	Kind          string         `json:"kind"`
	Answers       bool           `json:"answers"` // false: it did not within the time, and the rest is not known
	AgeSeconds    float64        `json:"age_seconds"`
	Mailbox       int            `json:"mailbox"` // messages that wait
	Restarts      int            `json:"restarts"`
	LastFailure   string         `json:"last_failure,omitempty"` // words of its last panic, redacted
	LastFailureAt *time.Time     `json:"last_failure_at,omitempty"`
	State         map[string]int `json:"state,omitempty"` // how much it holds of what
	Children      int            `json:"children"`        // in all
	Shown         []ActorInfo    `json:"shown,omitempty"` // the children that are shown
	kids          []*actor.PID
}

// life is what is known of one actor from its start to its end, over restarts. Only the actor's own turn
// touches it, except that the library hands it the mailbox when it spawns the actor.
type life struct {
	s        *supervision
	kind     string
	produce  actor.Producer
	bound    int // of its mailbox
	born     time.Time
	box      *boundedMailbox
	restarts int
	last     *failure // nil: none yet
}

// failure is a panic.
type failure struct {
	words string
	at    time.Time
}

// inspect asks an actor what it is doing; it answers ActorInfo. System.Actors sends it.
type inspect struct{ kids int }

// inspector is an actor that has something of its own to say.
type inspector interface {
	inspect(i *ActorInfo, kids int)
}

// answer tells what is asked.
func (l *life) answer(c actor.Context, who actor.Actor, m *inspect) {
	i := &ActorInfo{
		Name: c.Self().GetId(), Kind: l.kind, Answers: true, AgeSeconds: since(time.Since(l.born)), Restarts: l.restarts,
	}
	if l.box != nil {
		i.Mailbox = l.box.UserMessageCount()
	}
	if l.last != nil {
		at := l.last.at.UTC()
		i.LastFailure, i.LastFailureAt = l.last.words, &at
	}
	if who, ok := who.(inspector); ok {
		who.inspect(i, m.kids)
	}
	c.Respond(i)
}

// show names children that are to be asked, too.
func (i *ActorInfo) show(pid *actor.PID, kids int) {
	if pid != nil && len(i.kids) < kids {
		i.kids = append(i.kids, pid)
	}
}

func (r *router) inspect(i *ActorInfo, kids int) {
	i.State = map[string]int{"protected": len(r.groups), "required": len(r.channels), "groups": 0, "channels": 0, "persons": 0, "stopped for failing": 0}
	i.Children = len(r.kids)
	for el := r.lru.Front(); el != nil; el = el.Next() {
		k, ok := el.Value.(*entry)
		if !ok {
			continue
		}
		i.State[k.kind+"s"]++
		if k.pid == nil {
			i.State["stopped for failing"]++
		}
		i.show(k.pid, kids)
	}
}

func (g *group) inspect(i *ActorInfo, kids int) {
	i.State = map[string]int{
		"held": len(g.held), "notices": len(g.notices), "pauses": len(g.pauses), "commands": len(g.running), "requests": len(g.requests),
		"calls": len(g.asked), "crowd": len(g.crowd.people),
	}
	i.Children = len(g.kids)
	for _, k := range g.kids {
		i.show(k.pid, kids)
	}
}

func (s *sender) inspect(i *ActorInfo, _ int) {
	i.State = map[string]int{"waiting": s.lanes.work, "in the air": s.lanes.inAir, "chats": len(s.lanes.chats)}
}

func (m *membership) inspect(i *ActorInfo, _ int) {
	open := 0
	for _, b := range m.breakers {
		if b.open() {
			open++
		}
	}
	i.State = map[string]int{"questions": len(m.asking), "waiting": m.waiters, "open breakers": open}
}

func (v *verification) inspect(i *ActorInfo, _ int) {
	i.State = map[string]int{"queued": len(v.queue), "attempts": v.row.Attempts}
}

func (ch *channel) inspect(i *ActorInfo, _ int) { i.State = map[string]int{"news": len(ch.open)} }

// maxShown bounds the actors in one answer.
const maxShown = 500

// Actors asks every root actor, and some of what hangs on them, what they are doing. It returns within ctx's
// deadline or a second; who has not answered by then is listed as such.
func (s *System) Actors(ctx context.Context) []ActorInfo {
	until := time.Now().Add(time.Second)
	if at, ok := ctx.Deadline(); ok {
		until = at
	}
	roots := []*actor.PID{s.sender.pid.Load(), s.clerk.pid.Load(), s.sweeper.pid.Load(), s.over}
	for i := range s.members {
		roots = append(roots, s.members[i].pid.Load())
	}
	for i := range s.routers {
		roots = append(roots, s.routers[i].pid.Load())
	}
	left := maxShown
	return s.ask(roots, until, &left)
}

// ask asks actors, and then their children, as long as there is room to show them.
func (s *System) ask(pids []*actor.PID, until time.Time, left *int) []ActorInfo {
	futures := make([]*actor.Future, len(pids))
	kids := max(min(*left/max(len(pids), 1), 50), 1)
	for i, pid := range pids {
		futures[i] = s.actors.Root.RequestFuture(pid, &inspect{kids: kids}, max(time.Until(until), time.Millisecond))
	}
	list := make([]ActorInfo, len(pids))
	for i, f := range futures {
		list[i] = ActorInfo{Name: pids[i].GetId(), Kind: kindOfName(pids[i].GetId())}
		if got, err := f.Result(); err == nil {
			if info, ok := got.(*ActorInfo); ok {
				list[i] = *info
			}
		}
	}
	for i := range list {
		if n := min(len(list[i].kids), *left); n > 0 {
			*left -= n
			list[i].Shown = s.ask(list[i].kids[:n], until, left)
		}
	}
	return list
}

// kindOfName reads the kind from the name of an actor that does not answer.
func kindOfName(name string) string {
	name = name[strings.LastIndex(name, "/")+1:]
	for _, kind := range slices.Backward(kinds()) {
		if strings.HasPrefix(name, kind) {
			return kind
		}
	}
	return "verification" // whose name begins with v and the person
}
