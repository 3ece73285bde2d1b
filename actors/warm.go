package actors

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/protos"
)

const (
	// warmGiveUp is after how many answers in a row that say nothing a channel is left out.
	warmGiveUp = 5
	// warmPage is how many people are read at once.
	warmPage = 1000
	// warmGrace is how long a question that has left is waited for once the run is to end: who was asked about
	// need not be asked about again.
	warmGrace = 3 * time.Second
	// warmKeep is how long the place where a run ended is kept.
	warmKeep = 24 * time.Hour
)

// WarmCache is what Warm looks into and teaches; persistence.SharedCache implements it.
type WarmCache interface {
	// Look returns what is believed.
	Look(ctx context.Context, channelID, userID int64) (*protos.Belief, bool)
	// Learn notes what was asked of Telegram, unless something is known.
	Learn(ctx context.Context, channelID, userID int64, b *protos.Belief) error
	// Mark and SetMark keep a word for the next run, as long as what was learned counts; "" is none.
	Mark(ctx context.Context, name string) (string, error)
	SetMark(ctx context.Context, name, value string, keep time.Duration) error
}

// WarmOptions say what Warm does. API, Store, Shared and PerSecond are required.
type WarmOptions struct {
	API    API
	Store  persistence.Reader
	Shared WarmCache
	// PerSecond is how many memberships are asked about in a second.
	PerSecond float64
	// Group is whose people are meant, 0 = those of all groups, and SeenWithin how long ago they were last
	// seen there at most, 0 = at any time.
	Group      int64
	SeenWithin time.Duration
	// Anew: the place where an earlier run ended does not matter.
	Anew bool
	// Progress is told after each membership, and before the first; nil: nobody is.
	Progress func(Warmed)
}

// Warmed counts what Warm did, in memberships: one person in one channel.
type Warmed struct {
	Total   int // what there is to do
	Done    int // what lies behind, Before included
	Before  int // what an earlier run had done
	Known   int // what the cache knew already
	Asked   int // what Telegram was asked about
	Unknown int // of those, without an answer that says anything
	LeftOut int // not asked about, because their channel gave no answer
}

// Warm asks Telegram ahead of time which of the people seen in groups are in the channels that are required of
// them, and tells the shared cache. An answer is believed no longer than any other that was asked for. When ctx
// ends, Warm ends with its error, and the next run with the same options goes on at the place where it ended.
func Warm(ctx context.Context, o WarmOptions) (Warmed, error) {
	w := &warmer{o: o, mark: fmt.Sprintf("warm:%d:%s", o.Group, o.SeenWithin)}
	if o.SeenWithin > 0 {
		w.since = time.Now().Add(-o.SeenWithin)
	}
	channels, err := o.Store.SeenByChannel(ctx, o.Group, w.since)
	if err != nil {
		return Warmed{}, fmt.Errorf("count who was seen: %w", err)
	}
	if channels, err = w.goOn(ctx, channels); err != nil {
		return Warmed{}, err
	}
	w.tell()
	for _, ch := range channels {
		if err := w.channel(ctx, ch); err != nil {
			return w.done, err
		}
	}
	if err := o.Shared.SetMark(ctx, w.mark, "", 0); err != nil {
		return w.done, fmt.Errorf("forget the place: %w", err)
	}
	return w.done, nil
}

type warmer struct {
	o     WarmOptions
	since time.Time
	mark  string // the name of the place
	at    warmPlace
	done  Warmed
	next  time.Time // when the next question may leave
}

// warmPlace is behind whom a run is: channels go by id, and the people of each, too.
type warmPlace struct {
	channel, user int64
	passed        int // people of the channel
}

// goOn finds the place where an earlier run ended, and returns the channels that are not behind it.
func (w *warmer) goOn(ctx context.Context, channels []persistence.ChannelSeen) ([]persistence.ChannelSeen, error) {
	if w.o.Anew {
		if err := w.o.Shared.SetMark(ctx, w.mark, "", 0); err != nil {
			return nil, fmt.Errorf("forget where the last run ended: %w", err)
		}
	}
	text, err := w.o.Shared.Mark(ctx, w.mark)
	if err != nil {
		return nil, fmt.Errorf("read where the last run ended: %w", err)
	}
	if _, err := fmt.Sscan(text, &w.at.channel, &w.at.user, &w.at.passed); err != nil {
		w.at = warmPlace{}
	}
	first := 0
	for i, ch := range channels {
		w.done.Total += ch.People
		if w.at.user == 0 || ch.ChannelID > w.at.channel {
			continue
		}
		if ch.ChannelID < w.at.channel {
			first = i + 1
			w.done.Before += ch.People
			continue
		}
		w.at.passed = min(w.at.passed, ch.People)
		w.done.Before += w.at.passed
	}
	w.done.Done = w.done.Before
	return channels[first:], nil
}

func (w *warmer) tell() {
	if w.o.Progress != nil {
		w.o.Progress(w.done)
	}
}

// channel passes the people of a channel, page by page.
func (w *warmer) channel(ctx context.Context, ch persistence.ChannelSeen) error {
	if w.at.channel != ch.ChannelID {
		w.at = warmPlace{channel: ch.ChannelID}
	}
	end := w.done.Done - w.at.passed + ch.People
	silent := 0 // answers in a row that said nothing
	for {
		people, err := w.o.Store.SeenForChannel(ctx, w.o.Group, w.since, ch.ChannelID, w.at.user, warmPage)
		if err != nil {
			return fmt.Errorf("read who was seen: %w", err)
		}
		for _, user := range people {
			v, err := w.person(ctx, user)
			if err != nil {
				return err
			}
			silent++
			if v != protos.Verdict_UNKNOWN {
				silent = 0
			}
			w.done.Done = min(w.done.Done+1, end) // more people may have been seen since they were counted
			w.tell()
			if silent == warmGiveUp {
				w.done.LeftOut += end - w.done.Done
				w.done.Done = end
				return nil
			}
		}
		if len(people) < warmPage {
			w.done.Done = end
			return nil
		}
	}
}

// person passes one, and asks about them unless the cache knows.
func (w *warmer) person(ctx context.Context, user int64) (protos.Verdict, error) {
	channel := w.at.channel
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if b, ok := w.o.Shared.Look(ctx, channel, user); ok && b.GetUntilMs() > time.Now().UnixMilli() {
		w.done.Known++
		w.at.user, w.at.passed = user, w.at.passed+1
		return b.GetVerdict(), nil
	}
	done, err := w.ask(ctx, user)
	if err != nil {
		return 0, err
	}
	ctx, cancel := lasting(ctx)
	defer cancel()
	w.done.Asked++
	v := verdictOf(done)
	if v == protos.Verdict_UNKNOWN {
		w.done.Unknown++
	} else {
		err = w.o.Shared.Learn(ctx, channel, user, &protos.Belief{
			Verdict: v, LearnedMs: done.GetSentMs(), UntilMs: time.Now().Add(believeFor(v, false, rand.Float64())).UnixMilli(),
		})
		if err != nil {
			return 0, fmt.Errorf("teach the shared cache: %w", err)
		}
	}
	w.at.user, w.at.passed = user, w.at.passed+1
	if err := w.o.Shared.SetMark(ctx, w.mark, fmt.Sprint(channel, user, w.at.passed), warmKeep); err != nil {
		return 0, fmt.Errorf("note the place: %w", err)
	}
	return v, nil
}

// ask keeps to the pace, and waits as long as Telegram says.
func (w *warmer) ask(ctx context.Context, user int64) (*protos.JobDone, error) {
	lasts, cancel := lasting(ctx)
	defer cancel()
	for {
		if err := sleepUntil(ctx, w.next); err != nil {
			return nil, err
		}
		w.next = time.Now().Add(time.Duration(float64(time.Second) / w.o.PerSecond))
		done := w.o.API.Do(lasts, &protos.Job{
			Lane: protos.Lane_LOOKUP, ChatId: w.at.channel,
			Do: &protos.Job_GetMember{GetMember: &protos.GetMember{ChatId: w.at.channel, UserId: user}},
		})
		if lasts.Err() != nil {
			return nil, ctx.Err()
		}
		if done.GetOutcome() != protos.Outcome_FLOOD {
			return done, nil
		}
		w.next = time.Now().Add(time.Duration(max(done.GetRetryAfterS(), 1)) * time.Second)
	}
}

// lasting is a context that outlives ctx by warmGrace.
func lasting(ctx context.Context) (context.Context, context.CancelFunc) {
	lasts, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		timer := time.AfterFunc(warmGrace, cancel)
		context.AfterFunc(lasts, func() { timer.Stop() })
	})
	return lasts, func() { stop(); cancel() }
}

func sleepUntil(ctx context.Context, at time.Time) error {
	timer := time.NewTimer(time.Until(at))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return ctx.Err()
	}
}
