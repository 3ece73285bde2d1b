package actors

import (
	"time"

	"github.com/gmbot/gmbot/protos"
	"github.com/gmbot/gmbot/telegram"
)

// Telegram does not say who restricted somebody. What a mute of ours says of itself is its until_date, the mark: within
// each period of markEvery there is one second that only the bot gives to that person. So whose mute it is can be told
// from the mute alone, by any later life, with or without a row.
const (
	// markFor is how long a mute of ours lasts at least unless renewed. It also ends one that nobody remembers.
	markFor = 30 * 24 * time.Hour
	// markSpread is how much longer it may be: several mutes of a person have marks of their own, most of the time.
	markSpread = 6 * 24 * time.Hour
	// markEvery is in seconds, and how rare it is that a moderator's choice looks like ours: once in so many. It is a part
	// of renewal, which so leaves a mark signed.
	markEvery = renewal / 100
	// unsignedKey is where the store has the last mark from before marks were signed, Unix seconds.
	unsignedKey = "unsigned_marks"
)

// mark draws the until_date of a new mute of somebody, Unix seconds.
func (d *deps) mark(user int64) int64 {
	return d.signed(user, d.clock().Add(markFor).Unix()+d.random(int64(markSpread/time.Second)))
}

// signed is the first mark from then on, Unix seconds.
func (d *deps) signed(user, from int64) int64 {
	return from + ((d.sign(user)-from)%markEvery+markEvery)%markEvery
}

// sign is the second in each period of markEvery that is ours for that person.
func (d *deps) sign(user int64) int64 {
	return int64(spread(d.bot.GetId(), user) % uint64(markEvery))
}

// isOurs: the restriction was given by this bot.
func (d *deps) isOurs(m *protos.Member) bool {
	return isOurKind(m) && (d.signed(m.GetUser().GetId(), m.GetUntilDate()) == m.GetUntilDate() || planted("mark not compared"))
}

// mayBeOurs is isOurs for what is told of a mute whose row is gone: one that was given before marks were signed looks
// like any other.
func (d *deps) mayBeOurs(m *protos.Member) bool {
	return d.isOurs(m) || isOurKind(m) && m.GetUntilDate() <= d.unsigned
}

// isOurKind: what our mutes look like. A moderator's with an end may look the same but for that end.
func isOurKind(m *protos.Member) bool {
	return m.GetStatus() == telegram.StatusRestricted && m.GetPermissions() == telegram.NoPermissions && m.GetUntilDate() != 0
}
