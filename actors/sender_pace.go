package actors

import "time"

// pace bounds mutes, frees and deletions, for which Telegram names no figure. Where a 429 has shown that it
// minds, half as many leave as before, then one a second more with each second, until twice as many may
// leave as when it came: then it is forgotten.
type pace struct {
	limit  float64 // a second, the operator's; 0 = none
	rate   float64 // a second, now; 0 = as fast as Telegram answers
	bucket bucket
	top    float64 // a second, when the last 429 came; 0 = none came lately
	grown  time.Time
	began  time.Time // of the second that is counted
	count  int       // left in it
	before int       // left in the one before
}

// paceFloor is the slowest that a 429 makes, a second.
const paceFloor = 1

func newPace(limit float64, now time.Time) *pace {
	p := &pace{limit: limit, began: now, bucket: newBucket(0, 1, now)}
	p.set(limit)
	return p
}

// set changes the rate; 0 is as fast as Telegram answers. Room for two is kept where it can be, so that a
// mute and its deletion leave together; it comes out of the rate, so that no second has more.
func (p *pace) set(rate float64) {
	p.rate = rate
	p.bucket.burst = 1
	if rate >= 4 {
		p.bucket.burst = 2
	}
	p.bucket.rate = max(rate-p.bucket.burst+1, 0)
}

func (p *pace) wait(now time.Time) time.Duration {
	p.grow(now)
	return p.bucket.wait(now)
}

func (p *pace) take(now time.Time) {
	p.roll(now)
	p.count++
	p.bucket.take()
}

func (p *pace) roll(now time.Time) {
	switch gone := now.Sub(p.began); {
	case gone >= 2*time.Second:
		p.began, p.before, p.count = now, 0, 0
	case gone >= time.Second:
		p.began, p.before, p.count = p.began.Add(time.Second), p.count, 0
	}
}

// slow takes a 429.
func (p *pace) slow(now time.Time) {
	p.roll(now)
	had := p.rate
	if had == 0 {
		had = max(float64(p.count), float64(p.before), 2*paceFloor)
	}
	p.bucket.fill(now)
	p.bucket.have = 0
	p.top, p.grown = max(p.top, had), now
	p.set(max(had/2, min(paceFloor, had)))
}

// grow raises what a 429 has lowered.
func (p *pace) grow(now time.Time) {
	if p.top == 0 || now.Sub(p.grown) < time.Second {
		return
	}
	p.bucket.fill(now)
	rate, end := p.rate+now.Sub(p.grown).Seconds(), 2*p.top
	p.grown = now
	if p.limit > 0 {
		end = p.limit
	}
	if rate >= end {
		p.top, rate = 0, p.limit
	}
	p.set(rate)
}

const (
	holdFirst   = 500 * time.Millisecond
	holdLongest = 30 * time.Second
	// probeLimit is longer than any call takes: after it a probe's end is not waited for.
	probeLimit = 20 * time.Second
)

// holdback holds calls back where they get no answer, again and again: 5xx, timeouts, broken connections.
// After a while that doubles each time, one call leaves to find out.
type holdback struct {
	times int       // it has been closed in a row; 0 = calls may leave
	until time.Time // none leaves before; while a probe is in the air, none before its end
}

// wait is how long no call may leave; 0 = one may.
func (h *holdback) wait(now time.Time) time.Duration {
	if h.times == 0 {
		return 0
	}
	return max(h.until.Sub(now), 0)
}

// probe lets one call leave, and reports whether that is to find out whether calls are answered again.
func (h *holdback) probe(now time.Time) bool {
	if h.times == 0 {
		return false
	}
	h.until = now.Add(probeLimit)
	return true
}

// shut holds calls back for longer than the last time.
func (h *holdback) shut(now time.Time, jitter func(time.Duration) time.Duration) {
	wait := min(holdFirst<<min(h.times, 10), holdLongest)
	h.times++
	h.until = now.Add(wait + jitter(wait/4))
}
