package actors

import (
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/gmbot/gmbot/protos"
)

// pauseBook keeps the long pauses that Telegram asked for over the end of a sender, and, where keep is given,
// over that of the program. Only the sender that lives uses it. Its nil pointer keeps nothing.
type pauseBook struct {
	until map[pauseKey]time.Time
	keep  func(text string) // stores the book; it must not block
}

// pausesKey is where the store has the book.
const pausesKey = "sender_pauses"

// readPauses reads a stored book; what it cannot read is no pause.
func readPauses(text string) *pauseBook {
	b := &pauseBook{until: map[pauseKey]time.Time{}}
	for line := range strings.Lines(text) {
		var chat, ms int64
		var lane protos.Lane
		if _, err := fmt.Sscan(line, &chat, &lane, &ms); err == nil && lane >= 0 && int(lane) < laneCount {
			b.until[pauseKey{chat, lane}] = time.UnixMilli(ms)
		}
	}
	return b
}

// note takes a pause and drops those that are over.
func (b *pauseBook) note(k pauseKey, until, now time.Time) {
	if b == nil {
		return
	}
	b.until[k] = later(b.until[k], until)
	if b.keep == nil {
		return
	}
	var text strings.Builder
	for k, until := range b.standing(now) {
		fmt.Fprintln(&text, k.chat, int32(k.lane), until.UnixMilli())
	}
	b.keep(text.String())
}

// standing are the pauses that are not over.
func (b *pauseBook) standing(now time.Time) map[pauseKey]time.Time {
	if b == nil {
		return nil
	}
	maps.DeleteFunc(b.until, func(_ pauseKey, until time.Time) bool { return !until.After(now) })
	return b.until
}
