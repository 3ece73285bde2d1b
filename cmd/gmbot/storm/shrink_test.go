package storm

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// choice says what of a plan happens: all, or only some acts, faults and deaths, by their ids.
type choice map[string]bool

func (c choice) happens(id string) bool { return c == nil || c[id] }

// String lists the ids the way STORM_ONLY takes them.
func (c choice) String() string {
	ids := make([]string, 0, len(c))
	for id := range c {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return strings.Join(ids, ",")
}

func choose(ids []string) choice {
	c := choice{}
	for _, id := range ids {
		c[id] = true
	}
	return c
}

// until lets a world end sooner.
func (p *plan) until(length time.Duration) {
	p.Scale.Length = min(p.Scale.Length, length)
	p.Steps = slices.DeleteFunc(p.Steps, func(s step) bool { return s.At > length })
}

// shrinkFor bounds how long a history is shrunk.
const shrinkFor = 90 * time.Second

// shrinking is the search for the shortest history that still breaks the same invariant.
type shrinking struct {
	t     *testing.T
	p     plan
	kind  string
	began time.Time

	shortest outcome
	items    []string
	broke    bool // it did once more
}

// shrink looks for the shortest history that still breaks the same invariant. It tries to end the world sooner,
// and to leave out everybody whom the breach does not name; then it leaves out ever smaller parts of what
// happened, as long as it breaks without them. only is nil where it never breaks again.
func shrink(t *testing.T, p plan, o outcome) (short plan, shortest outcome, only choice) {
	t.Helper()
	s := &shrinking{t: t, p: p, kind: o.breaches[0].Kind, began: time.Now(), shortest: o, items: slices.Clone(o.used)}
	for _, step := range p.Steps {
		s.items = append(s.items, step.ID)
	}
	s.sooner(o.breaches[0].At)
	s.named(o.breaches[0].Text)
	s.halve()
	if !s.broke {
		return p, o, nil
	}
	return s.p, s.shortest, choose(s.items)
}

// still reports whether it breaks with these alone, and remembers them if it does.
func (s *shrinking) still(ids []string) bool {
	p := s.p
	p.Hasty = true
	got := play(s.t, p, choose(ids))
	if !slices.ContainsFunc(got.breaches, func(b breach) bool { return b.Kind == s.kind }) {
		return false
	}
	s.shortest, s.items, s.broke = got, ids, true
	return true
}

// sooner ends the world at the breach.
func (s *shrinking) sooner(at time.Duration) {
	all := s.p
	s.p.Steps = slices.Clone(s.p.Steps)
	s.p.until(at.Truncate(time.Second) + time.Second)
	if !s.still(s.items) {
		s.p = all
	}
}

var inCell = regexp.MustCompile(`(\d+)\.([PGC])(\d+)`)

// named leaves out acts of other cells, then of other people.
func (s *shrinking) named(text string) {
	cells, people := map[string]bool{}, map[string]bool{}
	for _, m := range inCell.FindAllStringSubmatch(text, -1) {
		cells[m[1]] = true
		if m[2] == "P" {
			people[m[3]] = true
		}
	}
	keep := func(wanted func(step) bool) {
		drop := map[string]bool{}
		for _, one := range s.p.Steps {
			drop[one.ID] = !wanted(one)
		}
		s.still(slices.DeleteFunc(slices.Clone(s.items), func(id string) bool { return drop[id] }))
	}
	if len(cells) > 0 {
		keep(func(one step) bool { return cells[strconv.Itoa(one.Cell)] || one.Do == "restart" })
	}
	if len(people) > 0 {
		keep(func(one step) bool {
			return cells[strconv.Itoa(one.Cell)] && people[strconv.Itoa(one.P)] || general[one.Do]
		})
	}
}

// halve leaves out ever smaller parts.
func (s *shrinking) halve() {
	for parts := 2; len(s.items) > 1 && time.Since(s.began) < shrinkFor; {
		size := (len(s.items) + parts - 1) / parts
		reduced := false
		for at := 0; at < len(s.items) && time.Since(s.began) < shrinkFor; at += size {
			if s.still(slices.Concat(s.items[:at], s.items[min(at+size, len(s.items)):])) {
				reduced = true
				at -= size
			}
		}
		switch {
		case size == 1 && !reduced:
			return
		case !reduced || size > 1:
			parts = min(parts*2, len(s.items))
		}
	}
}
