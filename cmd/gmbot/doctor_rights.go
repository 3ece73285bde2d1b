package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/protos"
	"github.com/gmbot/gmbot/telegram"
)

// rightsCheck looks at the bot's standing in places, at a pace.
type rightsCheck struct {
	d        *doctor
	ticker   *time.Ticker
	groups   int
	channels map[int64]bool // those looked at
	faults   int
}

// rights looks at every protected group and its channels.
func (d *doctor) rights(ctx context.Context, store persistence.Reader) {
	const about = "rights"
	var ids []int64
	more := false
	err := store.ProtectedGroups(ctx, func(id int64) bool {
		if more = len(ids) == d.o.Groups; more {
			return false
		}
		ids = append(ids, id)
		return true
	})
	r := &rightsCheck{d: d, channels: map[int64]bool{}, ticker: time.NewTicker(time.Duration(float64(time.Second) / d.o.PerSecond))}
	defer r.ticker.Stop()
	for _, id := range ids {
		if err == nil && ctx.Err() == nil {
			err = r.group(ctx, store, id)
		}
	}
	if err != nil {
		d.ill(about, "the groups cannot be read: "+telegram.Redact(err.Error()), "run this again")
		return
	}
	counted := fmt.Sprintf("%d groups and %d channels", r.groups, len(r.channels))
	if more {
		counted += fmt.Sprintf(" (the first %d groups; --groups looks at more)", d.o.Groups)
	}
	switch {
	case r.groups == 0:
		d.well(about, "no group is protected yet: send /protect in one")
	case r.faults == 0:
		d.well(about, "all that is needed in "+counted)
	default:
		d.ill(about, fmt.Sprintf("%d of %s lack something", r.faults, counted), "see above, or /status in the group")
	}
}

func (r *rightsCheck) group(ctx context.Context, store persistence.Reader, id int64) error {
	g, err := store.Group(ctx, id)
	if errors.Is(err, persistence.ErrNotFound) {
		return nil // gone meanwhile
	}
	if err != nil {
		return err
	}
	r.groups++
	place := fmt.Sprintf("group %q (%d)", g.Title, g.ID)
	switch me, err := r.standing(ctx, g.ID); {
	case err != nil:
		r.fault(place+": "+telegram.Redact(err.Error()), "add the bot, or send /unprotect where the group is gone")
	case !telegram.HasRight(me, protos.Right_CAN_RESTRICT_MEMBERS):
		r.fault(place+": the bot may not restrict members", "make it an administrator with the right to ban users")
	case !telegram.HasRight(me, protos.Right_CAN_DELETE_MESSAGES):
		r.fault(place+": the bot may not delete messages", "give it that right")
	}
	for _, ch := range g.Channels {
		if r.channels[ch.ID] {
			continue
		}
		r.channels[ch.ID] = true
		place := fmt.Sprintf("channel %q (%d)", ch.Title, ch.ID)
		switch me, err := r.standing(ctx, ch.ID); {
		case err != nil:
			r.fault(place+": "+telegram.Redact(err.Error()), "make the bot an administrator there, or send /unprotect with the channel's name")
		case !telegram.IsAdmin(me):
			r.fault(place+": the bot is no administrator", "make it one; any right will do")
		}
	}
	return nil
}

func (r *rightsCheck) fault(what, cure string) {
	r.faults++
	if r.faults <= illShown {
		r.d.ill("rights", what, cure)
	}
}

// standing asks what the bot is in a place, and waits once where Telegram asks for it.
func (r *rightsCheck) standing(ctx context.Context, place int64) (*protos.Member, error) {
	for again := false; ; again = true {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-r.ticker.C:
		}
		done := r.d.client.Do(ctx, &protos.Job{
			Lane: protos.Lane_LOOKUP, ChatId: place, Do: &protos.Job_GetMember{GetMember: &protos.GetMember{ChatId: place, UserId: r.d.me.ID}},
		})
		switch {
		case done.GetOutcome() == protos.Outcome_DONE:
			return done.GetMember(), nil
		case done.GetOutcome() != protos.Outcome_FLOOD || again:
			return nil, errors.New(done.GetDescription())
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(time.Duration(done.GetRetryAfterS()) * time.Second):
		}
	}
}
