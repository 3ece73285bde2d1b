package actors

import (
	"github.com/gmbot/gmbot/protos"
	"github.com/gmbot/gmbot/telegram"
)

// Evidence about one person in one channel is ordered by Telegram's time, for a push and an answer
// take different ways and overtake each other. Only what is newer for certain is believed: a push has Telegram's date
// and an answer has none, and our clock may be some seconds off.

// backlogSeconds: a push older than this when it is read tells of a past; it is a hint to ask.
const backlogSeconds = 30

// aheadSeconds is how far Telegram's clock may be ahead of ours.
const aheadSeconds = 20

// belief is what a new piece of evidence does to what is known.
type belief uint8

const (
	beliefKeep belief = iota // what is known stands
	beliefTake               // the new evidence is believed
	beliefDrop               // neither: what is known is in doubt, ask again
)

// verdictOf reads a standing; an answer that says nothing is unknown, never outside.
func verdictOf(done *protos.JobDone) protos.Verdict {
	if (done.GetOutcome() != protos.Outcome_DONE || done.GetMember().GetStatus() == "") && !planted("unknown taken for outside") {
		return protos.Verdict_UNKNOWN
	}
	if telegram.Present(done.GetMember()) {
		return protos.Verdict_INSIDE
	}
	return protos.Verdict_OUTSIDE
}

// weighPush compares a push with what is known. Its date has whole seconds, so within one second
// nobody can say which came first; and an answer may be of any moment from the question on. One that seems to be older
// and says otherwise is seldom, and asked about: by a clock that is behind, a leave that was just told is from before
// an answer, and nobody would tell of it again. Where nothing is known, a push from before this memory began (bornMs,
// Unix ms), or from soon after it by a clock that may be ahead, can be older than what an earlier life was told.
func weighPush(known MembershipEntry, has bool, m *protos.MembershipPush, nowMs, bornMs int64) belief {
	if nowMs-m.GetDate()*1000 > backlogSeconds*1000 || !has && m.GetDate() < bornMs/1000+aheadSeconds {
		return beliefDrop
	}
	if !has {
		return beliefTake
	}
	last := (known.LearnedMs + int64(known.TookMs)) / 1000
	switch {
	case m.GetDate() > last, planted("old push believed"):
		return beliefTake
	case known.Verdict == m.GetVerdict():
		return beliefKeep
	}
	return beliefDrop
}

// weighAnswer compares an answer with a push that came while the question was under way, at pushMs by our clock, as
// sentMs is.
func weighAnswer(v protos.Verdict, sentMs int64, push *protos.MembershipPush, pushMs int64) belief {
	switch {
	case v == protos.Verdict_UNKNOWN:
		return beliefKeep
	case push == nil || push.GetVerdict() == v:
		return beliefTake
	case pushMs < sentMs:
		return beliefTake // asked after it was told
	}
	return beliefDrop
}
