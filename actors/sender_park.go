package actors

import (
	"container/heap"
	"time"
)

// parking holds chats that only time lets go, the first to go first, so that however many wait for their
// budget nobody has to look at all of them.
type parking struct {
	chats []*chatLane
	last  uint64
}

// enter parks a chat until a moment.
func (p *parking) enter(ch *chatLane, until time.Time) {
	p.last++
	ch.parked, ch.order = until, p.last
	heap.Push(p, ch)
}

// leave takes a chat out, if it is there.
func (p *parking) leave(ch *chatLane) {
	if !ch.parked.IsZero() {
		heap.Remove(p, ch.place)
	}
}

// ripe takes out a chat whose time has come, or returns nil.
func (p *parking) ripe(now time.Time) *chatLane {
	if len(p.chats) == 0 || p.chats[0].parked.After(now) {
		return nil
	}
	return p.pop()
}

// pop takes out the chat that may go first, or returns nil.
func (p *parking) pop() *chatLane {
	if len(p.chats) == 0 {
		return nil
	}
	ch := p.chats[0]
	heap.Pop(p)
	return ch
}

// first is when the next may go.
func (p *parking) first() (time.Time, bool) {
	if len(p.chats) == 0 {
		return time.Time{}, false
	}
	return p.chats[0].parked, true
}

// Len implements heap.Interface.
func (p *parking) Len() int { return len(p.chats) }

// Less implements heap.Interface.
func (p *parking) Less(i, j int) bool {
	a, b := p.chats[i], p.chats[j]
	if a.parked.Equal(b.parked) {
		return a.order < b.order
	}
	return a.parked.Before(b.parked)
}

// Swap implements heap.Interface.
func (p *parking) Swap(i, j int) {
	p.chats[i], p.chats[j] = p.chats[j], p.chats[i]
	p.chats[i].place, p.chats[j].place = i, j
}

// Push implements heap.Interface.
func (p *parking) Push(x any) {
	ch := x.(*chatLane) //nolint:errcheck,forcetypeassert // only enter pushes
	ch.place = len(p.chats)
	p.chats = append(p.chats, ch)
}

// Pop implements heap.Interface.
func (p *parking) Pop() any {
	n := len(p.chats) - 1
	ch := p.chats[n]
	p.chats[n] = nil
	p.chats = p.chats[:n]
	ch.parked = time.Time{}
	return ch
}
