package load

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/gmbot/gmbot/telegram/simulator"
)

// act is something that happens in a paced load.
type act func()

// day is the acts of a paced load, in their order.
func (l *Load) day() []act {
	var acts []act
	for i := range l.spec.Messages {
		acts = append(acts, func() { l.clean(i) })
	}
	for _, v := range l.strangers {
		acts = append(acts, func() { l.strike(v) })
	}
	if l.spec.Kind != Mixed {
		return l.braid(acts)
	}
	for i := range l.spec.Messages / 50 {
		acts = append(acts, func() { l.edit(i) })
	}
	l.watch.onMute = l.later(l.followUp)
	l.random.Shuffle(len(acts), func(i, j int) { acts[i], acts[j] = acts[j], acts[i] })
	return acts
}

// braid lets the acts of strangers stand evenly among those of members.
func (l *Load) braid(acts []act) []act {
	clean, bad := acts[:l.spec.Messages], acts[l.spec.Messages:]
	var all []act
	for len(clean)+len(bad) > 0 {
		if len(clean)*l.spec.Strangers >= len(bad)*l.spec.Messages && len(clean) > 0 {
			all, clean = append(all, clean[0]), clean[1:]
			continue
		}
		all, bad = append(all, bad[0]), bad[1:]
	}
	return all
}

// pace carries acts out at the load's rate.
func (l *Load) pace(ctx context.Context, acts []act, progress func(float64)) error {
	began := time.Now()
	for i, do := range acts {
		at := began.Add(time.Duration(float64(i) / l.spec.Rate * float64(time.Second)))
		if left := time.Until(at); left > 0 {
			if err := wait(ctx, left); err != nil {
				return err
			}
		}
		do()
		report(progress, float64(i)/float64(len(acts)))
	}
	return nil
}

// edit lets a member correct what was written last in a group.
func (l *Load) edit(i int) {
	group := l.Groups[i%len(l.Groups)]
	messages := l.sim.Messages(group)
	members := l.members[i%len(l.Groups)]
	for _, m := range slices.Backward(messages) {
		if slices.Contains(members, m.From) {
			_ = l.sim.EditMessage(group, m.ID, "Found it, thank you!")
			return
		}
	}
}

// thinking is how long people take before they act on the notice.
const thinking = 1500 * time.Millisecond

// later does something when a muted person has read the notice.
func (l *Load) later(do func(*victim)) func(*victim) {
	if !l.spec.Reacts {
		return nil
	}
	return func(v *victim) {
		if v.raider {
			return
		}
		l.acts.Add(1)
		time.AfterFunc(thinking, func() {
			defer l.acts.Done()
			do(v)
		})
	}
}

// followUp is what strangers do once they are muted: they join, or press, or both, or walk away.
func (l *Load) followUp(v *victim) {
	what := v.user % 4
	if what < 2 {
		l.watch.mu.Lock()
		v.joins = true
		l.watch.mu.Unlock()
		l.watch.more(1)
		l.must(l.sim.Join(l.ChannelID, v.user))
	}
	if what == 1 || what == 2 {
		l.press(v)
	}
}

// pressWithin ends the wait for an answer; Telegram's own window is as long.
const pressWithin = 15 * time.Second

// press lets somebody press the button of the group's last notice.
func (l *Load) press(v *victim) {
	l.watch.mu.Lock()
	b, ok := l.watch.buttons[v.chat]
	l.watch.mu.Unlock()
	if !ok {
		return
	}
	l.watch.more(1)
	ctx, cancel := context.WithTimeout(context.Background(), pressWithin)
	defer cancel()
	if _, err := l.sim.Press(ctx, v.chat, b.message, v.user, b.data); errors.Is(err, simulator.ErrNoMessage) {
		l.watch.more(-1) // the notice is gone, and with it the button
	}
}

// quietShare of the strangers write before the raid, the others while it is on.
const quietShare = 2

// raid lets strangers write in other groups, half of them while very many fall upon one.
func (l *Load) raid(ctx context.Context, progress func(float64)) error {
	l.watch.onMute = l.later(l.press)
	var acts []act
	for _, v := range l.strangers {
		acts = append(acts, func() { l.strike(v) })
	}
	half := len(acts) / quietShare
	if err := l.pace(ctx, acts[:half], func(f float64) { report(progress, f/3) }); err != nil {
		return err
	}
	if err := wait(ctx, thinking); err != nil {
		return err
	}
	l.watch.raid(true)
	l.gate.Lock()
	for _, v := range l.raiders {
		l.strike(v)
	}
	l.gate.Unlock()
	return l.pace(ctx, acts[half:], func(f float64) { report(progress, 1./3+f/3) })
}

func report(progress func(float64), f float64) {
	if progress != nil {
		progress(f)
	}
}
