package storm

import (
	"math/rand/v2"
	"time"
)

// traits are what some worlds have and others have not.
type traits struct {
	Hooks  bool          // updates come by a webhook; else the bot polls
	Kept   bool          // the bot has journals, and the store is away at times
	Owner  bool          // the owner changes her mind
	Terms  bool          // moderators' mutes may have an end
	Clock  bool          // Telegram's clock jumps
	Absent time.Duration // for so long nobody listens, from the first evening on
}

const (
	// absentFrom is when the bot goes that nobody starts again before the next evening.
	absentFrom = 20 * time.Hour
	// expiry is how long Telegram keeps updates. Source: Bot API, getUpdates.
	expiry = 24 * time.Hour
	// rounds is how long after that who left unheard may write on: people known ÷ questions a minute, and more.
	rounds = 3 * time.Hour
	// sweepCalls are the questions a minute about known members.
	sweepCalls = 60
)

// draw decides what a world is like, and what follows from that.
func (p *plan) draw() {
	r, sc := rand.New(rand.NewPCG(p.Seed, 3)), p.Scale
	switch {
	case sc.long():
		p.Traits = traits{Hooks: p.Seed%3 == 1, Kept: p.Seed%2 == 0, Owner: true, Terms: true, Clock: p.Seed%4 == 3}
		if p.Seed%5 == 2 {
			p.Traits.Absent = 25*time.Hour + rand2(r, 2*time.Hour)
			p.leave(r)
		}
	case sc.Name == small.Name && p.Seed > seedsInCheck:
		p.Traits = traits{Hooks: p.Seed%4 == 1, Kept: p.Seed%4 == 2, Owner: p.Seed%2 == 0, Terms: true, Clock: p.Seed%8 == 7}
	case sc.Name != small.Name:
		p.Traits = traits{Terms: true, Hooks: sc.Hooks}
	}
	t := p.Traits
	for range 2 + int(sc.Length/(2*time.Hour)) {
		if t.Kept {
			p.Steps = append(p.Steps, step{At: galeTime(r, sc.moment(r)), Do: "away", For: rand2(r, 2*time.Minute)})
		}
		if t.Clock {
			p.Steps = append(p.Steps, step{At: galeTime(r, sc.moment(r)), Do: "clock", N: r.IntN(41) - 20, For: rand2(r, 3*time.Minute)})
		}
	}
	if !t.Owner {
		return
	}
	for cell := range sc.Cells {
		for range 2 + int(sc.Length/(4*time.Hour)) {
			s := step{At: sc.moment(r), Cell: cell, G: r.IntN(groupsInCell), Do: "rule", N: r.IntN(3), For: time.Second + rand2(r, 8*time.Second)}
			if r.IntN(3) == 0 {
				s.Do = "unprotect"
				p.Steps = append(p.Steps, step{At: s.At + 20*time.Second + rand2(r, 20*time.Minute), Cell: cell, G: s.G, Do: "protect"})
			}
			p.Steps = append(p.Steps, s)
		}
	}
}

// leave has the bot be gone for more than a day. Some people come while nobody listens, and some after that.
func (p *plan) leave(r *rand.Rand) {
	for i := range p.Steps {
		s := &p.Steps[i]
		switch {
		case general[s.Do]:
		case s.P%5 == 3:
			s.At += 24 * time.Hour
		case s.P%5 == 4:
			s.At += p.Traits.Absent + 15*time.Hour
		}
	}
	for i := range p.Deaths {
		if r.IntN(3) == 0 {
			p.Deaths[i].At += 40*time.Hour - p.Deaths[i].At%(gale+calm) + rand2(r, gale-time.Second)
		}
	}
	p.Deaths = append(p.Deaths, death{At: absentFrom, How: "before", Down: p.Traits.Absent})
	p.Scale.Length += p.Traits.Absent + 16*time.Hour
}
