package storm

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// scale says how large a world is.
type scale struct {
	Name    string
	Cells   int           // each with two channels and four groups
	People  int           // in each cell
	Acts    int           // of each person
	Length  time.Duration // of the world, without the end
	Deaths  int
	Trouble float64 // how many of the calls in a gale meet with a fault
	Gales   int     // of ten acts so many are moved into a gale
	Wishes  int     // how much trouble and how many deaths wait for a certain call
	Delayed float64 // how many updates about members come late, and how many come twice
	Fails   int     // of so many commits in a gale one fails
	Home    int     // the group that most people are in; 0 = any, 1 the first
	Hooks   bool    // whatever the seed says, updates come by a webhook
	Hasty   bool    // who has written often joins all channels soon after
	Late    float64 // how much of the trouble with mutes and frees is that they act late, beside its share
}

var (
	small = scale{Name: "small", Cells: 1, People: 5, Acts: 14, Length: 30 * time.Minute, Deaths: 4, Trouble: 0.3, Delayed: 0.06, Fails: 60}
	// day is a town of 48 groups for a day, with a night.
	day = scale{Name: "day", Cells: 12, People: 60, Acts: 24, Length: 24 * time.Hour, Deaths: 180, Trouble: 0.45, Gales: 4, Wishes: 200, Delayed: 0.06, Fails: 60}
)

// People are awake from morning to evening.
const (
	morning = 7 * time.Hour
	evening = 23 * time.Hour
)

// long: it has a night, and people are there for a part of the day.
func (sc scale) long() bool { return sc.Length >= 24*time.Hour }

// A gale and a calm take turns. All trouble is in the gales; at the end of a calm all must be well.
const (
	gale = 8 * time.Minute
	calm = 12 * time.Minute
)

// stormy reports whether a moment lies in a gale.
func stormy(at time.Duration) bool { return at%(gale+calm) < gale }

// The parts of a cell.
const (
	channelsInCell = 2
	groupsInCell   = 4
)

// wishes of the groups in a cell: which channels, how many of them, and what happens.
var wishes = [groupsInCell]struct {
	channels []int
	need     int
	warnings int
	forum    bool
}{
	{channels: []int{0}},
	{channels: []int{0, 1}, forum: true},
	{channels: []int{0, 1}, need: 1},
	{channels: []int{1}, warnings: 2},
}

// step is one thing that somebody does.
type step struct {
	ID   string
	At   time.Duration
	Do   string
	Cell int
	G    int // group, or channel
	P    int
	For  time.Duration
	N    int
}

// String implements fmt.Stringer.
func (s step) String() string {
	return fmt.Sprintf("%s cell %d P%d %s %d (%v, %d)", s.At.Round(time.Millisecond), s.Cell, s.P, s.Do, s.G, s.For, s.N)
}

// general are acts that concern no person of a cell.
var general = map[string]bool{
	"restart": true, "revoke": true, "blind": true, "away": true, "clock": true, "rule": true, "unprotect": true, "protect": true,
}

// death is where a life ends: at the Nth call or commit after At.
type death struct {
	ID   string
	At   time.Duration
	How  string // before, after
	What string // "" = any call; a method; "commit"
	// State is how far the flow must be that it concerns; "" = any.
	State string
	N     int
	Down  time.Duration
}

// String implements fmt.Stringer.
func (d death) String() string {
	return fmt.Sprintf("%s death %s %s %s %d, down for %v", d.At.Round(time.Millisecond), d.How, d.What, d.State, d.N, d.Down)
}

// plan is all that is decided before a world begins. What befalls a call follows from seed and call alone.
type plan struct {
	Seed   uint64
	Scale  scale
	Steps  []step
	Deaths []death
	Wishes []wish
	Traits traits
	Hasty  bool // the world ends with the first breach
}

// habits are what people do, by how likely.
var habits = map[string][]string{
	"chatter":   {"write", "write", "write", "write", "press", "joinchannel", "leavechannel", "join"},
	"lurker":    {"join", "joinchannel", "leavechannel", "write", "leave"},
	"leaver":    {"join", "leave", "joinchannel", "leavechannel", "write", "press"},
	"raider":    {"write", "write", "write", "write", "write", "write", "leave", "join"},
	"penitent":  {"write", "press", "joinchannel", "press", "write", "leavechannel", "write"},
	"fickle":    {"joinchannel", "leavechannel", "write", "joinchannel", "leavechannel", "write", "press"},
	"quarrel":   {"write", "write", "mute", "joinchannel", "mute", "unmute", "leavechannel"},
	"moderated": {"write", "mute", "unmute", "joinchannel", "leavechannel", "write", "promote", "demote"},
}

var (
	habitNames = []string{"chatter", "lurker", "leaver", "raider", "penitent", "moderated"}
	allHabits  = slices.Concat(habitNames, []string{"fickle", "quarrel"})
)

func newPlan(seed uint64, sc scale) plan {
	r := rand.New(rand.NewPCG(seed, 1))
	p := plan{Seed: seed, Scale: sc}
	for cell := range sc.Cells {
		for person := range sc.People {
			p.lives(r, cell, person)
		}
		for range 1 + int(sc.Length/(4*time.Hour)) {
			p.Steps = append(p.Steps,
				step{At: galeTime(r, sc.moment(r)), Do: "revoke", Cell: cell, G: r.IntN(groupsInCell), For: rand2(r, 3*time.Minute)},
				step{At: galeTime(r, sc.moment(r)), Do: "blind", Cell: cell, G: r.IntN(channelsInCell), For: rand2(r, 3*time.Minute)},
			)
		}
	}
	for range 1 + int(sc.Length/(2*time.Hour)) {
		p.Steps = append(p.Steps, step{At: galeTime(r, rand2(r, sc.Length)), Do: "restart", For: rand2(r, 20*time.Second)})
	}
	for range sc.Deaths {
		d := death{At: galeTime(r, sc.moment(r)), N: r.IntN(12), How: []string{"before", "after"}[r.IntN(2)], Down: rand2(r, 3*time.Second)}
		if r.IntN(3) > 0 {
			d.What = deadly[r.IntN(len(deadly))]
		}
		p.Deaths = append(p.Deaths, d)
	}
	p.wants(r, sc.Wishes)
	p.draw()
	slices.SortStableFunc(p.Steps, func(a, b step) int { return int(a.At - b.At) })
	slices.SortStableFunc(p.Deaths, func(a, b death) int { return int(a.At - b.At) })
	for i := range p.Steps {
		p.Steps[i].ID = fmt.Sprintf("s%d", i)
	}
	for i := range p.Deaths {
		p.Deaths[i].ID = fmt.Sprintf("d%d", i)
	}
	return p
}

// moment is when something happens; in a long world seldom at night.
func (sc scale) moment(r *rand.Rand) time.Duration {
	if sc.long() && r.IntN(10) > 0 {
		return morning + rand2(r, evening-morning)
	}
	return rand2(r, sc.Length)
}

// lives adds what a person does.
func (p *plan) lives(r *rand.Rand, cell, person int) {
	sc := p.Scale
	names := habitNames
	if sc.Gales > 0 {
		names = allHabits
	}
	habit := habits[names[r.IntN(len(names))]]
	from, window := time.Duration(0), sc.Length
	if sc.long() {
		window = 40*time.Minute + rand2(r, time.Hour)
		from = morning + rand2(r, evening-morning-window)
	}
	home := r.IntN(groupsInCell)
	if sc.Home > 0 {
		home = sc.Home - 1
	}
	p.Steps = append(p.Steps, step{At: from, Do: "join", Cell: cell, G: home, P: person})
	for range sc.Acts {
		s := step{At: from + rand2(r, window), Cell: cell, P: person, Do: habit[r.IntN(len(habit))], G: home, N: r.IntN(1000)}
		if sc.Gales > 0 && r.IntN(10) < sc.Gales {
			s.At = max(galeTime(r, s.At), from)
		}
		if r.IntN(3) == 0 || sc.Gales > 0 && s.Do == "write" && r.IntN(2) == 0 { // acts come close together
			s.At = p.Steps[len(p.Steps)-1].At + rand2(r, 2*time.Second)
		}
		if r.IntN(4) == 0 {
			s.G = r.IntN(groupsInCell)
		}
		if s.Do == "joinchannel" || s.Do == "leavechannel" {
			s.G = r.IntN(channelsInCell)
		}
		p.Steps = append(p.Steps, s)
		if sc.Gales > 0 && s.Do == "write" && r.IntN(2) == 0 { // the impatient
			s.Do, s.At = "press", s.At+rand2(r, 4*time.Second)
			p.Steps = append(p.Steps, s)
		}
		if sc.Hasty && s.Do == "write" && r.IntN(2) == 0 {
			for ch := range channelsInCell {
				p.Steps = append(p.Steps, step{At: s.At + time.Second + rand2(r, 8*time.Second), Cell: cell, P: person, Do: "joinchannel", G: ch})
			}
		}
	}
}

// deadly are calls that deaths like.
var deadly = []string{
	"commit", "commit", "commit", "restrictChatMember", "restrictChatMember", "sendMessage", "deleteMessages",
	"getChatMember", "getUpdates", "editMessageText", "answerCallbackQuery", "editMessageReplyMarkup",
}

func rand2(r *rand.Rand, d time.Duration) time.Duration { return time.Duration(r.Int64N(int64(d) + 1)) }

// galeTime moves a moment into the gale before the calm it lies in.
func galeTime(r *rand.Rand, at time.Duration) time.Duration {
	return at - at%(gale+calm) + rand2(r, gale-time.Second)
}
