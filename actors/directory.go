package actors

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// Directory resolves an identity to whoever serves it at this moment. Actors ask it for each message
// and keep no PID of another shard, so that a shard may move between nodes.
type Directory interface {
	// Shard is the router that owns a chat: a group, a channel or a private chat.
	Shard(chatID int64) *actor.PID
	// Membership is the actor that answers for a person in a channel.
	Membership(channelID, userID int64) *actor.PID
	// Sender is the only way out to Telegram.
	Sender() *actor.PID
}

// Settler is told what became of an event; telegram.Source implements it. Both methods are safe for
// concurrent use, never block, and ignore a delivery they do not know (any more).
type Settler interface {
	// Settled reports that nothing about the event can be lost any more.
	Settled(delivery uint64)
	// NotDone reports that an event was given up (panic, overflow, stop), so that it comes again.
	NotDone(delivery uint64, reason string)
}

// Clock tells the time; tests put their own in.
type Clock func() time.Time

func (c Clock) ms() int64 { return c().UnixMilli() }
