// Package actors is the gate itself: who is looked at, what is decided, and what is done about it.
//
// # Who calls it
//
// The program (cmd/gmbot) starts a System with a Telegram client and a store, and hands it events;
// telegram.Source hears from it, by Settler, what became of each.
//
// # What it must never do
//
// It never mutes on a guess, touches an administrator, or lifts a mute that is not its own. Nothing
// in a Receive blocks: reads go to a pool, writes to the store's writer, calls to the sender, and all
// of them come back as messages. State belongs to one actor; the one value that is shared is
// MembershipCache, which groups read and only membership actors write; what may have changed is put in
// doubt where updates are still in their order (Deliver).
//
// # The supervision tree
//
//	system
//	├── sender                        one: the only way out to Telegram
//	├── clerk                         one: delayed deletions, pruning
//	├── membership 0…15               is this person in that channel? hash(channel, person)
//	└── router 0…63                   shards, hash(chat)
//	    ├── group -100…               one protected chat
//	    │   └── verification          one person's open flow there
//	    ├── channel -100…             joins and leaves of one required channel
//	    └── person                    one private chat
//
// A child that panics is restarted with its state read from the store; what it had in hand is
// reported as not done, and its source hands it out again. One that fails too often is stopped, and
// its parent brings it back after a pause.
//
// # The messages that cross a shard
//
//	message            from                     to            answered by
//	Event              telegram.Source          router        Settler.Settled or NotDone
//	AskMembership      verification, channel    membership    MembershipAnswer
//	MembershipPush     channel                  membership    –
//	MembershipChanged  channel                  router→group  GroupSettled
//	ProtectionChanged  command                  router        –
//	Wake               system                   router→group  –
//	Job                all                      sender        JobDone
//
// Messages between a parent and its own child are in message.go, each with who sends it.
//
// # A flow
//
// checking → muting → muted → freeing → no row. Each state is stored before what follows it is done,
// and a muted person is a row without an actor. decide says what comes next and is pure; everything
// else here carries it out.
package actors
