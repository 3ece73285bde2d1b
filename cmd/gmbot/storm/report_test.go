package storm

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// report is what one worker, or all of them, have seen.
type report struct {
	Worlds    int
	Large     int
	GroupDays float64 // the time in which nobody listened for more than a day is not counted
	Calls     int
	Faults    int
	Distinct  int // counted once for each kind, method, state of the flow, and person
	Deaths    int
	Deferred  int   // updates that could not be finished in time, and were tried again
	Refused   int64 // calls and commits of dead lives, all of them refused
	Matrix    map[string]int
	Wall      time.Duration
	Heap      []uint64 // bytes in use after each tenth world
	Left      int      // goroutines more than at the beginning
	Failures  []string
}

func (r *report) add(w *world) {
	r.Worlds++
	if w.plan.Scale.long() {
		r.Large++
	}
	r.GroupDays += float64(len(w.cells)*groupsInCell) * (w.end - w.plan.Traits.Absent).Hours() / 24
	r.Calls += w.w.calls
	r.Faults += w.w.faults
	r.Distinct += len(w.w.causes)
	r.Deaths += w.w.died
	r.Deferred += w.w.deferred
	r.Refused += w.w.refused.Load()
	for c := range w.w.causes {
		r.Matrix[c.kind+"|"+c.method+"|"+c.state]++
	}
}

func (r *report) merge(o report) {
	r.Worlds += o.Worlds
	r.Large += o.Large
	r.GroupDays += o.GroupDays
	r.Calls += o.Calls
	r.Faults += o.Faults
	r.Distinct += o.Distinct
	r.Deaths += o.Deaths
	r.Deferred += o.Deferred
	r.Refused += o.Refused
	r.Wall = max(r.Wall, o.Wall)
	r.Left += o.Left
	r.Failures = append(r.Failures, o.Failures...)
	for k, n := range o.Matrix {
		r.Matrix[k] += n
	}
}

// String writes the report.
func (r *report) String() string {
	var b strings.Builder
	seconds := max(r.Wall.Seconds(), 1)
	fmt.Fprintf(&b, "%d worlds (%d of a day) in %s: %.0f group-days, %d calls, %d deaths\n",
		r.Worlds, r.Large, r.Wall.Round(time.Second), r.GroupDays, r.Calls, r.Deaths)
	fmt.Fprintf(&b, "%d faults, %.0f a second; counted once for each kind, method, state and person: %d\n", r.Faults, float64(r.Faults)/seconds, r.Distinct)
	fmt.Fprintf(&b, "%d calls and commits of dead processes were refused; %d times an update was tried again later;\n%d goroutines are left; heap after each tenth world, MiB:", r.Refused, r.Deferred, r.Left)
	for _, h := range r.Heap {
		fmt.Fprintf(&b, " %d", h>>20)
	}
	b.WriteString("\n\n")
	fmt.Fprintf(&b, "%-40s", "distinct faults, by state of the flow")
	for _, s := range states {
		fmt.Fprintf(&b, "%9s", s)
	}
	b.WriteString("\n")
	rows := map[[2]string][]int{}
	for _, k := range slices.Sorted(maps.Keys(r.Matrix)) {
		f := strings.Split(k, "|")
		key := [2]string{f[1], f[0]}
		if rows[key] == nil {
			rows[key] = make([]int, len(states))
		}
		rows[key][max(slices.Index(states, f[2]), 0)] += r.Matrix[k]
	}
	for _, key := range slices.SortedFunc(maps.Keys(rows), func(x, y [2]string) int {
		return cmp.Or(cmp.Compare(x[0], y[0]), cmp.Compare(x[1], y[1]))
	}) {
		fmt.Fprintf(&b, "%-25s%-15s", key[0], key[1])
		for _, n := range rows[key] {
			fmt.Fprintf(&b, "%9d", n)
		}
		b.WriteString("\n")
	}
	return b.String()
}
