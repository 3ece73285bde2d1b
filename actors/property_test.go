package actors

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/telegram/simulator"
)

// A cell is a small world of its own: two channels, two groups that require one or both of them, three
// people. Random things happen in it; a model says what must be true in the end.
type cell struct {
	w        *town
	r        *rand.Rand
	people   [3]int64
	channels [2]int64
	groups   [2]int64
	requires [2][]int // channels by group
	model    [2][3]standingModel
	joined   [2][3]bool // by channel and person
	quick    bool       // less than settleTime passed since something happened
	log      []string
}

// standingModel is what must be true of a person in a group.
type standingModel struct {
	in     bool // in the group
	held   bool // muted by us
	theirs bool // muted by a moderator
	exempt bool
}

// settleTime is what the gate needs for anything at all.
const settleTime = 20 * time.Second

func newCell(w *town, seed uint64) *cell {
	c := &cell{w: w, r: rand.New(rand.NewPCG(seed, 7)), requires: [2][]int{{0}, {0, 1}}}
	for i := range c.people {
		c.people[i] = w.NewUser(fmt.Sprintf("P%d", i), "")
	}
	for i := range c.channels {
		c.channels[i] = w.NewChannel(fmt.Sprintf("C%d", i), fmt.Sprintf("c%d_%d", i, seed), w.olga)
		w.admit(c.channels[i], "can_invite_users")
	}
	for i := range c.groups {
		c.groups[i] = w.NewSupergroup(fmt.Sprintf("G%d", i), "", w.olga)
		w.admit(c.groups[i], "can_restrict_members", "can_delete_messages")
	}
	return c
}

// protect stores the cell's groups, as commands would have.
func (c *cell) protect(tx persistence.Tx) error {
	for g, id := range c.groups {
		row := persistence.Group{ID: id, OwnerID: c.w.olga, Title: "G", Enabled: true}
		for _, ch := range c.requires[g] {
			row.Channels = append(row.Channels, persistence.Channel{ID: c.channels[ch], Title: "C", Username: "c"})
		}
		if _, err := tx.SaveGroup(row, persistence.Owner{ID: c.w.olga}); err != nil {
			return err
		}
	}
	return nil
}

func (c *cell) satisfied(g, p int) bool {
	for _, ch := range c.requires[g] {
		if !c.joined[ch][p] {
			return false
		}
	}
	return true
}

// offends notes that a person has done what is judged.
func (c *cell) offends(g, p int) {
	m := &c.model[g][p]
	if !c.satisfied(g, p) && !m.exempt && !m.theirs {
		m.held = true
	}
}

// act lets one random thing happen. What a moderator does waits until the gate has settled: who was first
// would be a matter of chance.
func (c *cell) act() {
	g, ch, p := c.r.IntN(2), c.r.IntN(2), c.r.IntN(3)
	group, person := c.groups[g], c.people[p]
	m := &c.model[g][p]
	kind := c.r.IntN(10)
	if c.quick && kind >= 8 {
		kind = c.r.IntN(8)
	}
	did := ""
	switch kind {
	case 0, 1:
		if err := c.w.Join(group, person); err == nil && !m.in {
			did = "joins"
			m.in = true
			c.offends(g, p)
		}
	case 2:
		if m.in {
			did = "leaves"
			_ = c.w.Leave(group, person)
			m.in = false
		}
	case 3, 4:
		if !c.joined[ch][p] {
			did = "joins channel"
			_ = c.w.Join(c.channels[ch], person)
			c.joined[ch][p] = true
			for g := range c.groups {
				if c.satisfied(g, p) {
					c.model[g][p].held = false
				}
			}
		}
	case 5:
		if c.joined[ch][p] {
			did = "leaves channel"
			_ = c.w.Leave(c.channels[ch], person)
			c.joined[ch][p] = false
			for g := range c.groups {
				if c.model[g][p].in && !c.satisfied(g, p) && len(c.requires[g]) > ch {
					c.offends(g, p)
				}
			}
		}
	case 6, 7:
		if _, err := c.w.Write(group, person, "words"); err == nil {
			did = "writes"
			c.offends(g, p)
		}
	case 8:
		if m.in {
			did = "is muted by a moderator"
			_ = c.w.Restrict(group, c.w.olga, person, simulator.Permissions{}, 0)
			m.held, m.theirs = false, true
		}
	case 9:
		if m.in && (m.held || m.theirs) {
			did = "is unmuted by a moderator"
			_ = c.w.Restrict(group, c.w.olga, person, simulator.AllPermissions(), 0)
			m.exempt = m.exempt || m.held
			m.held, m.theirs = false, false
		}
	}
	if did != "" {
		c.log = append(c.log, fmt.Sprintf("%s P%d %s G%d/C%d", time.Now().Format("04:05.000"), p, did, g, ch))
		c.quick = true
	}
}

// wrong says what is not as the model has it.
func (c *cell) wrong() string {
	for g, group := range c.groups {
		for p, person := range c.people {
			m, is := c.model[g][p], c.w.Member(group, person)
			muted := is.Status == simulator.Restricted && !is.Permissions["can_send_messages"]
			var problem string
			switch {
			case m.in && is.Present() != m.in:
				problem = "was removed"
			case m.theirs && (!muted || is.Until != 0):
				problem = "a moderator's mute does not stand"
			case m.theirs:
			case m.in && m.held && !muted:
				problem = "should be muted"
			case m.in && !m.held && is.Status != simulator.MemberStatus:
				problem = "should be free"
			case !m.in && muted && c.satisfied(g, p):
				problem = "should be free when coming back"
			}
			if problem != "" {
				c.log = append(c.log, c.did(group))
				return fmt.Sprintf("P%d in G%d %s: %+v, is %s until %d\n  %s", p, g, problem, m, is.Status, is.Until, strings.Join(c.log, "\n  "))
			}
		}
		if n := len(c.w.noticesIn(group)); n > 1 {
			return fmt.Sprintf("G%d has %d notices\n  %s", g, n, strings.Join(c.log, "\n  "))
		}
	}
	return ""
}

// did lists what the bot did in a group.
func (c *cell) did(group int64) (text string) {
	for _, k := range c.w.Calls() {
		if fmt.Sprint(k.Params["chat_id"]) == itoa(group) {
			text += fmt.Sprintf("\n   call %s %s %v %v %v %v %s", k.At.Format("04:05.000"), k.Method, k.Params["user_id"], k.Params["until_date"],
				k.Params["message_id"], k.Params["message_ids"], k.Error)
		}
	}
	trail, _ := c.w.store.AuditTrail(c.w.t.Context(), group, 30)
	for _, a := range trail {
		text += fmt.Sprintf("\n   audit %s %d %s %s", a.At.Format("04:05.000"), a.UserID, a.Action, a.Detail)
	}
	return text
}

const (
	cellsInTown = 250
	towns       = 40 // together 10,000 sequences
	steps       = 14
)

// Random sequences of events over several people, groups and channels end the way a small model says:
// who is muted by us, who is free, whose mute is a moderator's, and how many notices there are.
func TestProperty_SequencesEndAsTheModelSays(t *testing.T) {
	t.Parallel()
	count := towns
	if raced || testing.Short() {
		count = 1
	}
	for i := range count {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			unchecked := simulator.Options{Validate: func(string, string, []byte) error { return nil }} // other tests check it
			runTown(t, unchecked, func(t *testing.T, w *town) {
				sequences(t, w, uint64(i)*cellsInTown)
			})
		})
	}
}

func sequences(t *testing.T, w *town, seed uint64) {
	t.Helper()
	w.stop()
	var cells []*cell
	for i := range uint64(cellsInTown) {
		cells = append(cells, newCell(w, seed+i))
	}
	w.open()
	require.NoError(t, w.store.Update(t.Context(), func(tx persistence.Tx) error {
		for _, c := range cells {
			if err := c.protect(tx); err != nil {
				return err
			}
		}
		return nil
	}))
	w.begin()
	r := rand.New(rand.NewPCG(seed, 11))
	for range steps {
		for _, c := range cells {
			c.act()
		}
		switch r.IntN(4) {
		case 0:
			w.pass(time.Duration(r.IntN(50)) * time.Millisecond)
		case 1:
			w.pass(time.Duration(r.IntN(2000)) * time.Millisecond)
		case 2:
			w.pass(settleTime)
			for _, c := range cells {
				c.quick = false
			}
		case 3:
			if r.IntN(3) == 0 {
				w.restart()
			}
		}
	}
	w.pass(time.Minute)
	for _, c := range cells {
		if problem := c.wrong(); problem != "" {
			t.Errorf("%s", problem)
		}
	}
	w.pass(6 * time.Minute)
	for _, c := range cells {
		for _, g := range c.groups {
			if n := w.noticesIn(g); len(n) > 0 {
				rows, err := w.store.Notices(t.Context(), g)
				t.Errorf("a notice outlived its time: #%d %s, rows %+v %v\n  %s%s", n[0].ID, n[0].Text, rows, err, strings.Join(c.log, "\n  "), c.did(g))
			}
		}
	}
}
