package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gmbot/gmbot/telegram/simulator"
)

// errStory: something in the demo did not go as it should.
var errStory = errors.New("something in this story did not go as it should; see above")

// patience is how long the story waits for what the bot should do.
const patience = 10 * time.Second

// scene is a part of the day: somebody does something, and then something must be true.
type scene struct {
	title string
	act   func(ctx context.Context) error
	until func() bool
}

// cast are the people and places of the story.
type cast struct{ olga, anna, boris, channel, group int64 }

// play tells the day. It judges by what is to be seen in the world, not by what the bot says of itself.
func (st *stage) play(ctx context.Context) error {
	p := st.people()
	failed := false
	for _, sc := range st.day(p) {
		st.chapter(sc.title)
		if err := sc.act(ctx); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			st.complain(err.Error())
			failed = true
		}
		wait, cancel := context.WithTimeout(ctx, patience)
		err := st.sim.WaitFor(wait, sc.until)
		cancel()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			st.complain("the bot should have acted by now, and has not")
			failed = true
		}
		st.breathe(ctx)
	}
	if failed {
		return errStory
	}
	return st.encore(ctx, p)
}

// encore leaves a world to play in: the group protected again, and a forum that is, too.
func (st *stage) encore(ctx context.Context, p cast) error {
	st.chapter("For you to play in: she protects it again, and her club, too")
	s := st.sim
	club := s.NewSupergroup("Garden Club", "garden_club", p.olga)
	s.MakeForum(club)
	for _, topic := range []string{"Tomatoes", "Roses"} {
		s.CreateTopic(club, topic)
	}
	var err error
	st.quiet(func() {
		_ = s.Join(club, p.boris)
		_ = s.Leave(p.channel, p.anna)
		err = s.Promote(club, p.olga, st.bot.ID, simulator.Rights("can_restrict_members", "can_delete_messages"))
		for _, group := range []int64{p.group, club} {
			if _, wrong := s.Write(group, p.olga, "/protect @garden_news"); wrong != nil {
				err = wrong
			}
		}
	})
	if err != nil {
		return err
	}
	wait, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return s.WaitFor(wait, func() bool {
		return st.said(p.group, st.bot.ID, "This group is protected") && st.said(club, st.bot.ID, "This group is protected")
	})
}

func (st *stage) people() cast {
	s := st.sim
	p := cast{olga: s.NewUser("Olga", "olga"), anna: s.NewUser("Anna", "anna"), boris: s.NewUser("Boris", "")}
	p.channel = s.NewChannel("Garden News", "garden_news", p.olga)
	p.group = s.NewSupergroup("Garden Talk", "garden_talk", p.olga)
	st.quiet(func() {
		_ = s.Join(p.group, p.anna)
		_ = s.Join(p.group, p.boris)
		_ = s.Join(p.channel, p.boris)
	})
	return p
}

func (st *stage) day(p cast) []scene {
	s := st.sim
	write := func(who int64, words string) func(context.Context) error {
		return func(context.Context) error {
			_, err := s.Write(p.group, who, words)
			return err
		}
	}
	says := func(part string) func() bool {
		return func() bool { return st.said(p.group, st.bot.ID, part) }
	}
	muted := func() bool { return s.Member(p.group, p.anna).Status == simulator.Restricted }
	member := func() bool { return s.Member(p.group, p.anna).Status == simulator.MemberStatus }
	notice := func() bool { return st.said(p.group, st.bot.ID, "please join") }
	return []scene{
		{"Olga lets the bot into her group and her channel", func(context.Context) error {
			if err := s.Promote(p.channel, p.olga, st.bot.ID, simulator.Rights("can_invite_users")); err != nil {
				return err
			}
			return s.Promote(p.group, p.olga, st.bot.ID, simulator.Rights("can_restrict_members", "can_delete_messages"))
		}, says("Thank you for adding me")},
		{"She protects the group", write(p.olga, "/protect @garden_news"), says("This group is protected")},
		{"Boris is in the channel: nothing happens to him", write(p.boris, "Good morning! The tomatoes are out."), func() bool {
			return st.called("getChatMember", p.boris)
		}},
		{"Anna is not, and writes", write(p.anna, "Hello everybody, what is this about?"), func() bool { return muted() && notice() }},
		{"She presses the button without having joined", st.press(p, p.anna), muted},
		{
			"She joins the channel, and is free at once", func(context.Context) error { return s.Join(p.channel, p.anna) },
			func() bool { return member() && !notice() },
		},
		{"Now she may write", write(p.anna, "That was easy. Hello!"), member},
		{"She leaves the channel again", func(context.Context) error { return s.Leave(p.channel, p.anna) }, func() bool { return muted() && notice() }},
		{"Olga looks how things are", write(p.olga, "/status"), says("Protection is on")},
		{"She turns protection off, and everybody is free", func(ctx context.Context) error {
			if err := write(p.olga, "/unprotect")(ctx); err != nil {
				return err
			}
			wait, cancel := context.WithTimeout(ctx, patience)
			defer cancel()
			if err := s.WaitFor(wait, says("Turn protection off?")); err != nil {
				return err
			}
			return st.pressOn(ctx, p.group, p.olga, "Turn protection off?", 0)
		}, func() bool { return member() && says("Protection is off.")() }},
	}
}

// press has somebody press "I have joined" on the notice.
func (st *stage) press(p cast, who int64) func(context.Context) error {
	return func(ctx context.Context) error { return st.pressOn(ctx, p.group, who, "please join", -1) }
}

// pressOn presses a callback button of the bot's message with these words: the nth, or the last for -1.
func (st *stage) pressOn(ctx context.Context, chat, who int64, words string, n int) error {
	for _, m := range st.sim.Messages(chat) {
		if m.From != st.bot.ID || !strings.Contains(m.Text, words) {
			continue
		}
		data := buttonData(m.ReplyMarkup)
		if len(data) == 0 {
			continue
		}
		if n < 0 {
			n = len(data) - 1
		}
		wait, cancel := context.WithTimeout(ctx, patience)
		_, err := st.sim.Press(wait, chat, m.ID, who, data[n])
		cancel()
		return err
	}
	return fmt.Errorf("no message with a button says %q", words)
}
