package actors

import (
	"github.com/asynkron/protoactor-go/actor"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/protos"
)

// Answers to commands wait for their turn among the messages that a group may get, which can take longer than a
// command may. So the group sends them, and knows what becomes of them.

const (
	// answerWaits is how long an answer waits for its turn; later it would answer nothing any more.
	answerWaits = answerStays
	// maxPanels bounds the messages of which a group remembers that an edit is on its way.
	maxPanels = 256
)

// answerOut has an answer sent, which goes by itself unless it stays. A command sends it to its group.
type answerOut struct {
	job   *protos.Job
	stays bool
}

// panelOut has a message of the bot's edited. A command sends it to its group.
type panelOut struct {
	message int64
	job     *protos.Job
}

func (g *group) onAnswerOut(c actor.Context, m *answerOut) {
	m.job.DeadlineMs = g.d.clock.ms() + answerWaits.Milliseconds()
	g.speaking++
	g.request(c, m.job, func(_ actor.Context, done *protos.JobDone) {
		g.speaking--
		g.spoke(done.GetMessageId())
		if m.stays || done.GetMessageId() == 0 {
			return
		}
		row := persistence.Due{ChatID: g.id, MessageID: done.GetMessageId(), At: g.d.clock().Add(answerStays)}
		g.d.writer.Do(func(tx persistence.Tx) error { return tx.AddDue(row) }, g.logLost("end of an answer"))
	})
}

// onPanelOut edits a message. While one edit is on its way only the newest of those that follow is kept: somebody
// who presses fast would use up what the group may be sent in a minute.
func (g *group) onPanelOut(c actor.Context, m *panelOut) {
	if _, busy := g.panels[m.message]; busy {
		g.panels[m.message] = m.job
		return
	}
	if len(g.panels) >= maxPanels {
		return // what it says is old; the next press mends that
	}
	put(&g.panels, m.message, nil)
	m.job.DeadlineMs = g.d.clock.ms() + answerWaits.Milliseconds()
	g.request(c, m.job, func(c actor.Context, _ *protos.JobDone) {
		next := g.panels[m.message]
		delete(g.panels, m.message)
		if next != nil {
			g.onPanelOut(c, &panelOut{message: m.message, job: next})
		}
	})
}
