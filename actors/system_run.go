package actors

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gmbot/gmbot/actors/text"
	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/protos"
	"github.com/gmbot/gmbot/telegram"
)

// readShards spreads the ids of protected groups and required channels over the shards.
func readShards(ctx context.Context, store persistence.Reader) (groups, channels [shards]map[int64]struct{}, err error) {
	for i := range shards {
		groups[i], channels[i] = map[int64]struct{}{}, map[int64]struct{}{}
	}
	err = store.ProtectedGroups(ctx, func(id int64) bool {
		groups[spread(id, 0)%shards][id] = struct{}{}
		return true
	})
	if err != nil {
		return groups, channels, fmt.Errorf("read protected groups: %w", err)
	}
	err = store.RequiredChannels(ctx, func(id int64) bool {
		channels[spread(id, 0)%shards][id] = struct{}{}
		return true
	})
	if err != nil {
		return groups, channels, fmt.Errorf("read required channels: %w", err)
	}
	return groups, channels, nil
}

// build makes the actor system with everything that the routers need.
func (s *System) build(o Options, words *text.Catalogue, pauses *pauseBook) {
	log := o.Log
	s.actors = actor.NewActorSystem(actor.WithLoggerFactory(slogOf(log)))
	metrics, store := NewMetrics(o.Registry), persistence.NewMetrics(o.Registry)
	s.d = &deps{
		dir: s, settler: s, store: o.Store, root: s.actors.Root, clock: o.Clock, log: log,
		random: o.Random, inject: o.inject, metrics: metrics, report: o.Report, bot: o.Bot, words: words,
		writer:   persistence.NewWriter(o.Store, persistence.WriterOptions{Metrics: store, Log: log, Changes: o.Changes}),
		cache:    NewMembershipCache(o.CacheEntries),
		pool:     newWorkPool(readers, readQueue),
		commands: newWorkPool(commandsAtOnce, commandsMayWait),
		keeps:    o.Changes != nil,
		looked:   cmp.Or(o.FlowsAtOnce, maxLooked),
		shards:   s.allShards,
		sweeper:  func() *actor.PID { return s.sweeper.pid.Load() },
	}
	if o.Shared != nil {
		s.shared = newWorkPool(sharedLooks, readQueue)
	}
	pauses.keep = func(text string) {
		s.d.writer.Do(func(tx persistence.Tx) error { return tx.SetMeta(pausesKey, text) }, func(err error) {
			if err != nil {
				log.Warn().Err(err).Msg("a pause that Telegram asked for is not stored; a restart would not know of it")
			}
		})
	}
	s.d.super = s.d.supervision()
	s.d.super.crew = &crew{}
	metrics.watch(s.actors, s.d.supervision())
	s.sender.produce = func() actor.Actor {
		return newSender(o.API, SenderOptions{
			MessagesPerSecond: o.MessagesPerSecond, MessagesPerGroupMinute: o.MessagesPerGroupMinute,
			ActionsPerSecond: o.ActionsPerSecond, Clock: o.Clock, Log: log, Metrics: metrics, Report: o.Report, Pauses: pauses,
			Random: o.Random,
		})
	}
	for i := range s.members {
		s.members[i].name = strconv.Itoa(i)
		s.members[i].produce = func() actor.Actor {
			return newMembership(MembershipOptions{Directory: s, Cache: s.d.cache, Clock: o.Clock, Log: log, Metrics: metrics, Shared: o.Shared, Pool: s.shared, Random: o.Random})
		}
	}
	s.clerk.produce = func() actor.Actor { return &clerk{d: s.d} }
	s.sweeper.produce = func() actor.Actor {
		sw := &sweeper{d: s.d, taking: s.taking}
		if o.SweepCallsPerMinute > 0 {
			sw.rounds.pace = time.Minute / time.Duration(o.SweepCallsPerMinute)
		}
		return sw
	}
}

// raise starts the root actors, and the one that keeps them alive.
func (s *System) raise() {
	var all []*slot
	add := func(kind string, mailbox int, slots ...*slot) {
		for _, one := range slots {
			one.kind, one.mailbox = kind, mailbox
			one.start(s.d)
		}
		all = append(all, slots...)
	}
	add("sender", senderMailbox, &s.sender)
	for i := range s.members {
		add("membership", membershipMailbox, &s.members[i])
	}
	for i := range s.routers {
		add("router", routerMailbox, &s.routers[i])
	}
	add("clerk", clerkMailbox, &s.clerk)
	add("sweeper", clerkMailbox, &s.sweeper)
	props := rootProps("overseer", func() actor.Actor { return &overseer{d: s.d, slots: all} }, clerkMailbox, s.d.supervision())
	s.over = s.actors.Root.SpawnPrefix(props, "overseer")
}

// wake takes up groups with open work, oldest first, without crowding out what comes in.
func (s *System) wake(ctx context.Context, open []int64) {
	for _, id := range open {
		s.actors.Root.Send(s.Shard(id), &protos.Wake{GroupId: id})
		select {
		case <-ctx.Done():
			return
		case <-time.After(wakePause):
		}
	}
}

// sweep lets each router look for sleepy children now and then, a few at a time.
func (s *System) sweep(ctx context.Context) {
	tick := time.NewTicker(sweepEvery / shards)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.actors.Root.Send(s.routers[i%shards].pid.Load(), &sweepKids{})
		}
	}
}

// Deliver hands an event to the shard that owns its chat. It never blocks.
func (s *System) Deliver(e *protos.Event) {
	if push := pushOf(e); push != nil {
		// Messages that follow go another way, and must not be faster.
		s.d.cache.doubt(push.GetChannelId(), push.GetUserId(), push.GetUpdateId(), s.d.clock())
	}
	s.actors.Root.Send(s.Shard(e.GetChat().GetId()), e)
}

// BeliefChanged tells that another program has learned something about a membership. It never blocks.
func (s *System) BeliefChanged(channelID, userID int64) {
	s.d.root.Send(s.Membership(channelID, userID), &protos.BeliefChanged{ChannelId: channelID, UserId: userID})
}

// taking reports whether updates are being taken, as far as the source tells.
func (s *System) taking() bool {
	to := s.settler.Load()
	if to == nil {
		return false
	}
	source, ok := (*to).(interface{ Taking() (bool, string) })
	if !ok {
		return true
	}
	taking, _ := source.Taking()
	return taking
}

// Away reports whether the database does not answer now.
func (s *System) Away() bool { return s.d.writer.Away() }

// HoldCalls keeps calls that wait from leaving while another program may be acting, or lets them go on.
func (s *System) HoldCalls(on bool) { s.d.root.Send(s.Sender(), &holdSender{on: on}) }

// Superseded reports that another program has acted while the database could not be reached: this one must end.
func (s *System) Superseded() bool { return s.d.writer.Superseded() }

// Suspect takes an error of the database that was met elsewhere.
func (s *System) Suspect(err error) { s.d.writer.Suspect(err) }

// SetAside implements telegram.Asides.
func (s *System) SetAside(ctx context.Context, a telegram.Aside) error {
	err := s.store.Update(ctx, func(tx persistence.Tx) error {
		return tx.PutAside(persistence.SetAside{UpdateID: a.ID, Raw: a.Raw, Reason: a.Reason, At: a.At, Again: a.Again, Tries: a.Tries})
	})
	if err != nil {
		return fmt.Errorf("set an update aside: %w", err)
	}
	return nil
}

// Deferred implements telegram.Asides.
func (s *System) Deferred(ctx context.Context, limit int) ([]telegram.Aside, error) {
	list, err := s.store.Deferred(ctx, limit)
	if err != nil {
		return nil, fmt.Errorf("read what was set aside: %w", err)
	}
	var found []telegram.Aside
	for _, a := range list {
		found = append(found, telegram.Aside{ID: a.UpdateID, Raw: a.Raw, Reason: a.Reason, At: a.At, Again: a.Again, Tries: a.Tries})
	}
	return found, nil
}

// Finished implements telegram.Asides.
func (s *System) Finished(ctx context.Context, id int64) error {
	if err := s.store.Update(ctx, func(tx persistence.Tx) error { return tx.DropAside(id) }); err != nil {
		return fmt.Errorf("forget an update that was set aside: %w", err)
	}
	return nil
}

// Stop ends the tree in order: routers and what hangs on them, then what is in the air to Telegram,
// then the store's writer. It gives up waiting when ctx ends; what was not done stands in the store.
// The store stays open.
func (s *System) Stop(ctx context.Context) error {
	s.stop()
	left := func() time.Duration {
		if at, ok := ctx.Deadline(); ok {
			return max(time.Until(at), time.Millisecond)
		}
		return 5 * time.Second
	}
	if _, err := s.actors.Root.RequestFuture(s.over, &stopOverseer{}, left()).Result(); err != nil {
		s.d.log.Warn().Err(err).Msg("the overseer did not stop in time")
	}
	var waiting []*actor.Future
	for i := range s.routers {
		waiting = append(waiting, s.actors.Root.RequestFuture(s.routers[i].pid.Load(), &drain{}, left()))
	}
	for _, f := range waiting {
		if _, err := f.Result(); err != nil {
			s.d.log.Warn().Err(err).Msg("a shard did not stop in time")
		}
	}
	s.actors.Root.Stop(s.clerk.pid.Load())
	s.actors.Root.Stop(s.sweeper.pid.Load())
	grace := max(left()-time.Second, time.Millisecond)
	if _, err := s.actors.Root.RequestFuture(s.Sender(), &stopSender{grace: grace}, left()).Result(); err != nil {
		s.d.log.Warn().Err(err).Msg("the sender did not stop in time")
	}
	for i := range s.members {
		s.actors.Root.Stop(s.members[i].pid.Load())
	}
	s.d.pool.Close(ctx)
	if s.shared != nil {
		s.shared.Close(ctx)
	}
	s.d.commands.Close(ctx)
	err := s.d.writer.Close(ctx)
	s.actors.Shutdown()
	s.d.super.crew.close()
	if err != nil {
		return fmt.Errorf("stop the store's writer: %w", err)
	}
	return nil
}
