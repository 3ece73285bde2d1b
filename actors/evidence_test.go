package actors

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gmbot/gmbot/protos"
	"github.com/gmbot/gmbot/telegram"
)

func TestVerdictOf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		done *protos.JobDone
		want protos.Verdict
	}{
		{"member", &protos.JobDone{Member: standing(telegram.StatusMember)}, inside},
		{"administrator", &protos.JobDone{Member: standing(telegram.StatusAdministrator)}, inside},
		{"owner", &protos.JobDone{Member: standing(telegram.StatusCreator)}, inside},
		{"restricted and there", &protos.JobDone{Member: restricted(0, 0, true)}, inside},
		{"restricted and gone", &protos.JobDone{Member: restricted(0, 0, false)}, outside},
		{"left", &protos.JobDone{Member: standing(telegram.StatusLeft)}, outside},
		{"banned", &protos.JobDone{Member: standing(telegram.StatusKicked)}, outside},
		{"nothing said", &protos.JobDone{}, unknown},
		{"an empty standing", &protos.JobDone{Member: standing("")}, unknown},
		{"a failure", &protos.JobDone{Outcome: protos.Outcome_FAILED, Member: standing(telegram.StatusLeft)}, unknown},
		{"the person is not known there", outcome(protos.Outcome_CANNOT_SAY), unknown},
		{"the bot is out", outcome(protos.Outcome_GONE), unknown},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, c.want, verdictOf(c.done))
		})
	}
}

func TestWeighPush(t *testing.T) {
	t.Parallel()
	const at = int64(1_800_000_000) // seconds
	for _, c := range []struct {
		name  string
		known protos.Verdict // unknown: nothing
		ms    int64          // when that was learned, after at
		took  uint32         // ms
		push  protos.Verdict
		read  int64 // ms after at
		want  belief
	}{
		{"nothing was known", unknown, 0, 0, outside, 100, beliefTake},
		{"newer", inside, -1, 0, outside, 100, beliefTake},
		{"newer, the same", inside, -1, 0, inside, 100, beliefTake},
		{"same second, contrary", inside, 0, 0, outside, 100, beliefDrop},
		{"same second, contrary, at its end", inside, 999, 0, outside, 1100, beliefDrop},
		{"same second, the same", inside, 500, 0, inside, 1100, beliefKeep},
		{"told while the answer was on its way", inside, -5000, 5000, outside, 100, beliefDrop},
		{"told after the answer came", inside, -5000, 4999, outside, 100, beliefTake},
		{"told before it was asked, if the clocks agree", inside, 1000, 5000, outside, 7000, beliefDrop},
		{"older", inside, 1000, 0, outside, 1100, beliefDrop},
		{"older, the same", inside, 1000, 0, inside, 1100, beliefKeep},
		{"half a minute late", inside, -1, 0, outside, 30_000, beliefTake},
		{"later than that", inside, -1, 0, outside, 30_001, beliefDrop},
		{"later than that, nothing known", unknown, 0, 0, outside, 30_001, beliefDrop},
		{"our clock is behind", inside, -60_000, 0, outside, -50_000, beliefTake},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			known := MembershipEntry{Verdict: c.known, LearnedMs: at*1000 + c.ms, TookMs: c.took}
			push := &protos.MembershipPush{Verdict: c.push, Date: at}
			assert.Equal(t, c.want, weighPush(known, c.known != unknown, push, at*1000+c.read, 0))
		})
	}
}

func TestWeighAnswer(t *testing.T) {
	t.Parallel()
	const at = int64(1_800_000_000)
	for _, c := range []struct {
		name string
		says protos.Verdict
		sent int64 // ms after it was told
		push protos.Verdict
		want belief
	}{
		{"no push", inside, 0, unknown, beliefTake},
		{"they agree", inside, -5000, inside, beliefTake},
		{"asked before it was told", inside, -1, outside, beliefDrop},
		{"asked in that moment", inside, 0, outside, beliefDrop},
		{"asked after it", inside, 1, outside, beliefTake},
		{"no answer", unknown, 5000, outside, beliefKeep},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var push *protos.MembershipPush
			if c.push != unknown {
				push = &protos.MembershipPush{Verdict: c.push, Date: at - 5}
			}
			assert.Equal(t, c.want, weighAnswer(c.says, at*1000+c.sent, push, at*1000))
		})
	}
}

// contrary verdicts are ordered by time: an older fact never overrides a newer one.
func TestWeigh_TheNewerFactStands(t *testing.T) {
	t.Parallel()
	verdict := rapid.SampledFrom([]protos.Verdict{inside, outside})
	ms := rapid.Int64Range(1_800_000_000_000, 1_800_000_010_000)
	rapid.Check(t, func(t *rapid.T) {
		learned, happened := ms.Draw(t, "learned"), ms.Draw(t, "happened")
		a, b := verdict.Draw(t, "known"), verdict.Draw(t, "new")
		push := &protos.MembershipPush{Verdict: b, Date: happened / 1000}
		took := weighPush(MembershipEntry{Verdict: a, LearnedMs: learned}, true, push, ms.Draw(t, "now"), 0)
		if a != b && happened <= learned {
			require.NotEqual(t, beliefTake, took, "an older push was believed")
		}
		if a != b && happened/1000 > learned/1000 {
			require.Equal(t, beliefTake, took, "a newer push was not believed")
		}
		answer := weighAnswer(a, learned, push, happened+rapid.Int64Range(0, 5000).Draw(t, "told after"))
		if a != b && learned <= happened {
			require.NotEqual(t, beliefTake, answer, "an older answer was believed")
		}
		if a == b {
			require.Equal(t, beliefTake, answer)
		}
	})
}

// Whatever order the pushes of a person come in, the newest is believed in the end.
func TestWeighPush_InAnyOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		const at = int64(1_800_000_000)
		n := rapid.IntRange(1, 20).Draw(t, "pushes")
		var pushes []*protos.MembershipPush
		for i := range n {
			v := []protos.Verdict{inside, outside}[i%2]
			pushes = append(pushes, &protos.MembershipPush{Verdict: v, Date: at + int64(i)})
		}
		var known MembershipEntry
		for _, p := range rapid.Permutation(pushes).Draw(t, "order") {
			if weighPush(known, known.Verdict != unknown, p, (at+int64(n))*1000, 0) == beliefTake {
				known = MembershipEntry{Verdict: p.GetVerdict(), LearnedMs: p.GetDate() * 1000}
			}
		}
		require.Equal(t, pushes[n-1].GetVerdict(), known.Verdict)
	})
}

// A push and an answer overtake each other; Telegram's time says which is newer.
func TestMembership_AnswerAgainstPush(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		push   time.Duration // Telegram's date, after the question left
		pushed protos.Verdict
		says   protos.Verdict
		again  bool
	}{
		{"the push is newer", time.Second, outside, inside, true},
		{"the same second", 0, outside, inside, true},
		{"the push seems older", -time.Second, outside, inside, true},
		{"they agree", time.Second, inside, inside, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			atDesk(t, func(t *testing.T, d *desk) {
				time.Sleep(2300 * time.Millisecond)
				sent := time.Now()
				d.want(anna, time.Time{})
				job := d.one(t)
				time.Sleep(2 * time.Second)
				d.push(anna, c.pushed, sent.Add(c.push))
				synctest.Wait()
				require.Equal(t, c.pushed, d.known(anna), "a push is believed at once")
				d.say(job, c.says)
				if !c.again {
					assert.Equal(t, c.says, d.answer(t).GetVerdict())
					assert.Equal(t, c.says, d.known(anna))
					assert.Empty(t, d.asked())
					return
				}
				assert.Empty(t, d.answers(), "nobody is told what may be wrong")
				assert.Equal(t, unknown, d.known(anna))
				d.say(d.one(t), outside)
				assert.Equal(t, outside, d.answer(t).GetVerdict())
				assert.Equal(t, outside, d.known(anna))
			})
		})
	}
}

// A push that comes late is weighed against all that was learned, also against a push that an answer confirmed.
func TestMembership_ALatePushIsOlderThanAConfirmedOne(t *testing.T) {
	t.Parallel()
	atDesk(t, func(t *testing.T, d *desk) {
		d.want(anna, time.Time{})
		job := d.one(t)
		time.Sleep(3 * time.Second)
		left, back := time.Now().Add(-2*time.Second), time.Now()
		d.push(anna, inside, back)
		d.say(job, inside)
		require.Equal(t, inside, d.answer(t).GetVerdict())
		d.push(anna, outside, left)
		synctest.Wait()
		require.Equal(t, unknown, d.known(anna), "nobody is held to what may be old")
		d.want(anna, time.Time{})
		d.say(d.one(t), inside)
		require.Equal(t, inside, d.answer(t).GetVerdict())
		require.Equal(t, inside, d.known(anna))
	})
}

// A push that says otherwise in the same second, or an earlier one, is asked about however often it comes: what was
// known before is not forgotten, so that the second time finds it, too.
func TestMembership_APushInDoubtIsNotBelievedTheSecondTime(t *testing.T) {
	t.Parallel()
	for _, before := range []time.Duration{0, 2 * time.Second} {
		atDesk(t, func(t *testing.T, d *desk) {
			time.Sleep(5 * time.Second)
			left := time.Now()
			d.push(anna, outside, left)
			for range 3 {
				time.Sleep(time.Second)
				d.push(anna, inside, left.Add(-before))
				synctest.Wait()
				require.Equal(t, unknown, d.known(anna))
			}
			d.want(anna, time.Time{})
			d.say(d.one(t), outside)
			require.Equal(t, outside, d.answer(t).GetVerdict())
			require.Equal(t, outside, d.known(anna))
		})
	}
}

// A leave that is dated before what was answered, since Telegram's clock is behind ours, is asked about.
func TestMembership_ALeaveByAClockThatIsBehind(t *testing.T) {
	t.Parallel()
	atDesk(t, func(t *testing.T, d *desk) {
		d.want(anna, time.Time{})
		d.say(d.one(t), inside)
		require.Equal(t, inside, d.answer(t).GetVerdict())
		time.Sleep(5 * time.Second)
		d.push(anna, outside, time.Now().Add(-17*time.Second))
		d.want(anna, time.Time{})
		d.say(d.one(t), outside)
		require.Equal(t, outside, d.answer(t).GetVerdict())
		require.Equal(t, outside, d.known(anna))
	})
}

// Where nothing is known since Telegram did not tell of a channel for a time, a push from before that is asked about:
// what came after it was perhaps never told.
func TestMembership_APushFromBeforeABlindTimeIsAskedAbout(t *testing.T) {
	t.Parallel()
	atDesk(t, func(t *testing.T, d *desk) {
		time.Sleep(5 * time.Second)
		joined := time.Now()
		time.Sleep(5 * time.Second)
		d.cache.distrust(theChannel, time.Now())
		d.cache.doubt(theChannel, anna, 7, time.Now())
		d.system.Root.Send(d.pid, &protos.MembershipPush{ChannelId: theChannel, UserId: anna, Verdict: inside, Date: joined.Unix(), UpdateId: 7})
		synctest.Wait()
		require.Equal(t, unknown, d.known(anna))
		time.Sleep(time.Second)
		d.want(anna, time.Time{})
		d.say(d.one(t), outside)
		require.Equal(t, outside, d.answer(t).GetVerdict())
		require.Equal(t, outside, d.known(anna))
	})
}

// A question that waited in the lane of a chat which Telegram lets ask nothing is asked in that of the next chat that
// waits for the same.
func TestMembership_APauseOfOneChatIsNoneOfAnothers(t *testing.T) {
	t.Parallel()
	atDesk(t, func(t *testing.T, d *desk) {
		for _, chat := range []int64{-1, -2, -1, -3} {
			d.ask(d.pid, &protos.AskMembership{ChannelId: theChannel, UserId: anna, ForChatId: chat, Tag: uint64(-chat)})
		}
		job := d.one(t)
		require.EqualValues(t, -1, job.GetChatId())
		d.system.Root.Send(d.pid, &protos.JobDone{Tag: job.GetTag(), Outcome: protos.Outcome_EXPIRED, RetryAfterS: 1800})
		job = d.one(t)
		require.EqualValues(t, -2, job.GetChatId())
		for _, a := range d.answers() {
			require.EqualValues(t, 1, a.GetTag())
			require.Equal(t, unknown, a.GetVerdict())
		}
		d.say(job, outside)
		synctest.Wait()
		all := d.answers()
		require.Len(t, all, 2)
		for _, a := range all {
			require.Equal(t, outside, a.GetVerdict())
		}
		require.Empty(t, d.asked())
	})
}

// Who left while a question was on its way may be inside again by its answer, or not: it is asked again.
func TestMembership_APushFromBeforeTheAnswerIsInDoubt(t *testing.T) {
	t.Parallel()
	atDesk(t, func(t *testing.T, d *desk) {
		d.want(anna, time.Time{})
		job := d.one(t)
		time.Sleep(3 * time.Second)
		d.say(job, inside)
		require.Equal(t, inside, d.answer(t).GetVerdict())
		d.push(anna, outside, time.Now().Add(-time.Second))
		synctest.Wait()
		require.Equal(t, unknown, d.known(anna))
	})
}

// A push from before this life may be older than what the last one was told, and is asked about, as is one that is newer by
// no more than Telegram's clock may be ahead.
func TestMembership_APushFromBeforeThisLifeIsAskedAbout(t *testing.T) {
	t.Parallel()
	atDesk(t, func(t *testing.T, d *desk) {
		born := time.Now().Add(-2 * aheadSeconds * time.Second)
		d.push(anna, inside, born.Add((aheadSeconds-1)*time.Second))
		synctest.Wait()
		require.Equal(t, unknown, d.known(anna))
		d.push(anna, inside, born.Add(aheadSeconds*time.Second))
		synctest.Wait()
		require.Equal(t, inside, d.known(anna))
	})
}

// What Telegram has told of somebody vouches for nobody until it is weighed, whatever else is learned meanwhile.
func TestMembership_DoubtLastsUntilItsOwnPushIsWeighed(t *testing.T) {
	t.Parallel()
	atDesk(t, func(t *testing.T, d *desk) {
		asked := time.Now()
		d.want(anna, time.Time{})
		job := d.one(t)
		d.cache.doubt(theChannel, anna, 7, time.Now())
		d.cache.doubt(theChannel, anna, 8, time.Now())
		time.Sleep(1500 * time.Millisecond)
		d.say(job, inside)
		synctest.Wait()
		assert.Equal(t, unknown, d.known(anna), "asked before")
		d.system.Root.Send(d.pid, &protos.MembershipPush{ChannelId: theChannel, UserId: anna, Verdict: inside, Date: asked.Unix() - 5, UpdateId: 7})
		synctest.Wait()
		assert.Equal(t, unknown, d.known(anna), "another is not weighed yet")
		d.system.Root.Send(d.pid, &protos.MembershipPush{ChannelId: theChannel, UserId: anna, Verdict: outside, Date: time.Now().Unix(), UpdateId: 8})
		synctest.Wait()
		assert.Equal(t, unknown, d.known(anna), "left while the question was on its way, or before")
		d.cache.doubt(theChannel, anna, 9, time.Now())
		d.want(anna, time.Now())
		d.say(d.one(t), inside)
		synctest.Wait()
		assert.Equal(t, inside, d.known(anna), "asked since")
	})
}

func TestMembership_TwoContradictionsAreUnknown(t *testing.T) {
	t.Parallel()
	atDesk(t, func(t *testing.T, d *desk) {
		d.want(anna, time.Time{})
		for range 2 {
			job := d.one(t)
			d.push(anna, outside, time.Now())
			d.say(job, inside)
		}
		a := d.answer(t)
		assert.Equal(t, unknown, a.GetVerdict())
		assert.Equal(t, "contradicted", a.GetReason())
		assert.Equal(t, unknown, d.known(anna))
		assert.Empty(t, d.asked())
	})
}

func TestMembership_APushOfThePastIsAHint(t *testing.T) {
	t.Parallel()
	atDesk(t, func(t *testing.T, d *desk) {
		d.push(anna, inside, time.Now())
		synctest.Wait()
		require.Equal(t, inside, d.known(anna))
		time.Sleep(time.Minute)
		d.push(anna, outside, time.Now().Add(-30*time.Second))
		synctest.Wait()
		require.Equal(t, outside, d.known(anna), "just young enough")
		d.push(anna, inside, time.Now().Add(-31*time.Second))
		synctest.Wait()
		require.Equal(t, unknown, d.known(anna))
		d.want(anna, time.Time{})
		d.say(d.one(t), outside)
		require.Equal(t, outside, d.answer(t).GetVerdict())
	})
}

// A join that is told a second time does not settle what it is: a leave of the same second may have come after it.
func TestMembership_AJoinToldTwiceSettlesNoContest(t *testing.T) {
	t.Parallel()
	atDesk(t, func(t *testing.T, d *desk) {
		time.Sleep(5 * time.Second)
		at := time.Now()
		for i, v := range []protos.Verdict{inside, outside, inside, inside} {
			update := int64(i) + 7
			d.cache.doubt(theChannel, anna, update, time.Now())
			d.system.Root.Send(d.pid, &protos.MembershipPush{ChannelId: theChannel, UserId: anna, Verdict: v, Date: at.Unix(), UpdateId: update})
			synctest.Wait()
			if i == 0 {
				require.Equal(t, inside, d.known(anna))
				continue
			}
			require.Equal(t, unknown, d.known(anna))
			time.Sleep(time.Second)
		}
		d.want(anna, time.Time{})
		d.say(d.one(t), outside)
		require.Equal(t, outside, d.answer(t).GetVerdict())
		require.Equal(t, outside, d.known(anna))
	})
}

// An answer that was asked for before somebody joined and left within a second agrees with one of the two in any case,
// which does not make it true.
func TestMembership_AnAnswerAgreesWithOneOfTwoPushes(t *testing.T) {
	t.Parallel()
	for _, says := range []protos.Verdict{inside, outside} {
		atDesk(t, func(t *testing.T, d *desk) {
			d.want(anna, time.Time{})
			job := d.one(t)
			time.Sleep(2 * time.Second)
			at := time.Now()
			for _, v := range []protos.Verdict{inside, outside, says} {
				d.push(anna, v, at)
			}
			d.say(job, says)
			require.Empty(t, d.answers(), "nobody is told what may be wrong")
			time.Sleep(time.Second)
			d.say(d.one(t), outside)
			require.Equal(t, outside, d.answer(t).GetVerdict())
			require.Equal(t, outside, d.known(anna))
		})
	}
}
