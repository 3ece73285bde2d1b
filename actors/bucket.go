package actors

import "time"

// bucket is a token bucket. A rate of 0 is no limit.
type bucket struct {
	rate  float64 // tokens a second
	burst float64
	have  float64
	at    time.Time
}

// newBucket starts with one token, so that a program that starts often sends no burst each time.
func newBucket(rate, burst float64, now time.Time) bucket {
	return bucket{rate: rate, burst: max(burst, 1), have: 1, at: now}
}

func (b *bucket) fill(now time.Time) {
	if d := now.Sub(b.at); d > 0 {
		b.have = min(b.burst, b.have+d.Seconds()*b.rate)
		b.at = now
	}
}

// wait is how long until a token is there; 0 = now.
func (b *bucket) wait(now time.Time) time.Duration {
	if b.rate <= 0 {
		return 0
	}
	b.fill(now)
	if b.have >= 1 {
		return 0
	}
	return time.Duration((1-b.have)/b.rate*float64(time.Second)) + time.Microsecond
}

// take takes a token that wait has promised.
func (b *bucket) take() {
	if b.rate > 0 {
		b.have--
	}
}
