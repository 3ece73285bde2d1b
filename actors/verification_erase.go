package actors

import (
	"slices"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/protos"
)

// erasure is a deletion under way. It may outlive its run, when that begins anew because a row cannot be stored: the next
// one waits for it instead of deleting once more.
type erasure struct {
	ids  []int64
	runs []*run // whose ends wait for it
}

// erase deletes messages, each once in a run; the run's end waits for it.
func (v *verification) erase(c actor.Context, ids []int64) {
	r := v.run
	ids = minus(ids, r.erasing)
	r.erasing = append(r.erasing, ids...)
	for _, e := range v.erasures {
		if rest := minus(ids, e.value.ids); len(rest) < len(ids) {
			ids = rest
			r.acts++
			e.value.runs = append(e.value.runs, r)
		}
	}
	if len(ids) == 0 {
		return
	}
	r.acts++
	job := &protos.Job{Lane: protos.Lane_DELETE, Do: &protos.Job_Delete{Delete: &protos.DeleteMessages{MessageIds: ids}}}
	v.send(c, job)
	v.erasures.put(job.GetTag(), &erasure{ids: ids, runs: []*run{r}})
}

// onErased takes the end of a deletion, and reports whether that is what the answer is about.
func (v *verification) onErased(c actor.Context, m *protos.JobDone) bool {
	e, ok := v.erasures.take(m.GetTag())
	if !ok {
		return false
	}
	v.d.metrics.deleted(m.GetOutcome(), len(e.ids))
	failed := false
	switch m.GetOutcome() {
	case protos.Outcome_UNCLEAR, protos.Outcome_FLOOD, protos.Outcome_FAILED, protos.Outcome_EXPIRED:
		failed = true
	default: // gone, or not to be deleted by us: asking again changes nothing
		v.report(c, m, persistence.CannotDelete)
		v.row.Messages = minus(v.row.Messages, e.ids)
		v.areGone(e.ids)
	}
	if v.run != nil && slices.Contains(e.runs, v.run) {
		v.run.acts--
		if failed {
			v.lookAgain(m)
		}
		v.acted(c)
	}
	return true
}

// minus is a list without those in another.
func minus(list, others []int64) []int64 {
	return slices.DeleteFunc(slices.Clone(list), func(id int64) bool { return slices.Contains(others, id) })
}

// areGone notes that messages are dealt with. An update about one of them may still wait, or come again while the
// database is away and cannot say that it is done.
func (v *verification) areGone(ids []int64) {
	v.seat.gone = append(v.seat.gone, ids...)
	v.seat.gone = v.seat.gone[max(0, len(v.seat.gone)-2*maxWaiting):]
}

// goneKept is how many messages of a person a group remembers to have been dealt with, once their flow is over.
const goneKept = 8

// goneLast are the last of them, for the flow that follows.
func (s *seat) goneLast() []int64 {
	return slices.Clone(s.gone[max(0, len(s.gone)-goneKept):])
}
