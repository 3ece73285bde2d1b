package actors

import "time"

const (
	// slotsSlow are open where calls take long: 32 in the air would be a thousand calls a second at 30 ms.
	slotsSlow = 128
	// slowCall is how long the quickest call takes where calls take long. Where they do not, more in the air
	// would do no more, and fewer deletions would wait to go together.
	slowCall = 10 * time.Millisecond
	// quickestFor is how long the quickest call counts at least, and at most twice as long.
	quickestFor = time.Second
)

// slotGauge tells by the quickest calls of late how many may be in the air: the API's own time shows in
// those, whatever others wait for here.
type slotGauge struct {
	began     time.Time
	now, last time.Duration // the quickest of this while and of the one before; 0 = none
}

// took notes how long a call took, and returns how many may be in the air.
func (g *slotGauge) took(d time.Duration, at time.Time) int {
	if at.Sub(g.began) >= quickestFor {
		g.began, g.last, g.now = at, g.now, 0
	}
	d = max(d, 1)
	if g.now == 0 || d < g.now {
		g.now = d
	}
	quickest := g.now
	if g.last != 0 {
		quickest = min(quickest, g.last)
	}
	if quickest >= slowCall {
		return slotsSlow
	}
	return defaultSlots
}
