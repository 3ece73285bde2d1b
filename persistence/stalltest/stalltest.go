// Package stalltest tells tests how long something takes on a machine that has other things to do, too.
package stalltest

import "time"

// tick is how often Took looks at the clock.
const tick = 5 * time.Millisecond

// Took is how long do takes, without the time in which the machine kept this process from running. A promise about
// time is no promise about the machine: what is left holds of the code.
func Took(do func()) time.Duration {
	done, took := make(chan struct{}), make(chan time.Duration)
	go func() {
		var sum time.Duration
		for last, ended := time.Now(), false; !ended; {
			select {
			case <-done:
				ended = true
			case <-time.After(tick):
			}
			now := time.Now()
			sum, last = sum+min(now.Sub(last), 2*tick), now
		}
		took <- sum
	}()
	do()
	close(done)
	return <-took
}
