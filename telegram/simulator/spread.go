package simulator

import (
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"time"
)

// Spread is a length of time, or what such lengths are drawn from.
type Spread struct {
	// Low is the time itself where High is 0.
	Low, High time.Duration
	// Tail: half of all are shorter than Low, and one of a hundred is longer than High. Otherwise all
	// between Low and High are equally likely.
	Tail bool
}

// For is a length of time that does not vary.
func For(d time.Duration) Spread { return Spread{Low: d} }

// Between draws from two lengths and all between.
func Between(low, high time.Duration) Spread { return Spread{Low: low, High: high} }

// Tail draws from a log-normal distribution, as latencies are: median says which half are shorter than,
// rare which one of a hundred is longer than. None is longer than four times rare.
func Tail(median, rare time.Duration) Spread { return Spread{Low: median, High: rare, Tail: true} }

func (s Spread) zero() bool { return s == Spread{} }

func (s Spread) least() time.Duration {
	if s.High == 0 {
		return s.Low
	}
	return min(s.Low, s.High)
}

// rarely is how many standard deviations above the middle one of a hundred lies.
const rarely = 2.326

func (s Spread) draw(dice *rand.Rand) time.Duration {
	switch {
	case s.High == 0 || s.High == s.Low:
		return s.Low
	case s.Tail:
		sigma := math.Log(float64(s.High)/float64(s.Low)) / rarely
		return min(time.Duration(float64(s.Low)*math.Exp(sigma*dice.NormFloat64())), 4*s.High)
	}
	return s.least() + time.Duration(dice.Int64N(int64((s.High-s.Low).Abs())+1))
}

var errSpread = errors.New(`a time is written "90s", "1s..8s" (any between) or "80ms~3s" (half below the first, one of a hundred above the second)`)

// ParseSpread reads "90s", "1s..8s" or "80ms~3s".
func ParseSpread(text string) (s Spread, err error) {
	low, high, ranged := strings.Cut(text, "..")
	if !ranged {
		low, high, s.Tail = strings.Cut(text, "~")
	}
	if s.Low, err = time.ParseDuration(low); err != nil {
		return Spread{}, errSpread
	}
	if !ranged && !s.Tail {
		return s, nil
	}
	if s.High, err = time.ParseDuration(high); err != nil || s.High <= s.Low || s.Tail && s.Low <= 0 {
		return Spread{}, errSpread
	}
	return s, nil
}
