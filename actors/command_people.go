package actors

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gmbot/gmbot/actors/text"
	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/protos"
	"github.com/gmbot/gmbot/telegram"
)

// exemptPageSize is how many exemptions one message lists.
const exemptPageSize = 30

// exempt is /exempt: with a person it exempts them, alone it lists.
func (r *commandRun) exempt() {
	if len(r.cmd.args) == 0 && r.e.GetReplyUser() == nil {
		r.listExempt(0)
		return
	}
	if r.whom.id == 0 {
		r.reply("exempt.who", nil)
		return
	}
	if _, ok := r.protected(); !ok {
		return
	}
	list, err := r.d.store.Exemptions(r.ctx, r.group, 0, maxExempt)
	if err != nil {
		r.reply("error.busy", nil)
		return
	}
	if len(list) >= maxExempt {
		r.reply("exempt.full", map[string]any{"Most": maxExempt})
		return
	}
	now, caller, who := r.d.clock(), r.e.GetFrom().GetId(), r.whom
	err = r.store(func(tx persistence.Tx) error {
		if err := tx.Exempt(persistence.Exemption{GroupID: r.group, UserID: who.id, Name: who.name, By: caller, At: now}); err != nil {
			return err
		}
		return tx.Audit(now, r.group, caller, who.id, "exempt", "")
	})
	if err != nil {
		r.reply("error.busy", nil)
		return
	}
	r.d.root.Send(r.self, &reload{user: who.id})
	r.reply("exempt.done", map[string]any{"Name": who.name})
}

func (r *commandRun) unexempt() {
	if r.whom.id == 0 {
		r.reply("exempt.who", nil)
		return
	}
	now, caller, who, was := r.d.clock(), r.e.GetFrom().GetId(), r.whom, false
	err := r.store(func(tx persistence.Tx) (err error) {
		if was, err = tx.Unexempt(r.group, who.id); err != nil || !was {
			return err
		}
		return tx.Audit(now, r.group, caller, who.id, "unexempt", "")
	})
	switch {
	case err != nil:
		r.reply("error.busy", nil)
	case !was:
		r.reply("exempt.was_not", map[string]any{"Name": who.name})
	default:
		r.changed(false)
		r.reply("exempt.over", map[string]any{"Name": who.name})
	}
}

func (r *commandRun) listExempt(after int64) {
	html, keyboard, ok := r.exemptList(after)
	if !ok {
		r.reply("error.busy", nil)
		return
	}
	r.send(html, keyboard)
}

// exemptPage turns the page of a list.
func (r *commandRun) exemptPage() {
	after, _ := atoi(r.cmd.args[0])
	html, keyboard, ok := r.exemptList(after)
	if !ok {
		r.pressed("press.checking")
		return
	}
	r.do(answerJob(r.e, "", false))
	r.d.settler.Settled(r.e.GetDelivery())
	r.stays()
	r.show(html, keyboard)
}

func (r *commandRun) exemptList(after int64) (html string, keyboard []*protos.ButtonRow, ok bool) {
	list, err := r.d.store.Exemptions(r.ctx, r.group, after, exemptPageSize+1)
	if err != nil {
		return "", nil, false
	}
	if len(list) == 0 {
		return r.d.words.Say(r.lang, "exempt.none", nil), nil, true
	}
	var lines []string
	for _, e := range list[:min(len(list), exemptPageSize)] {
		lines = append(lines, text.Name(orElse(e.Name, itoa(e.UserID)))+" – <code>"+itoa(e.UserID)+"</code>")
	}
	if len(list) > exemptPageSize {
		keyboard = []*protos.ButtonRow{{Buttons: []*protos.Button{{
			Text: r.d.words.Plain(r.lang, "button.more", nil), Data: callbackPage + itoa(list[exemptPageSize-1].UserID),
		}}}}
	}
	return r.d.words.List(r.lang, "exempt.list", lines), keyboard, true
}

// why is /why: which rule, what Telegram said and when, what was done.
func (r *commandRun) why() {
	if r.whom.id == 0 {
		r.reply("why.who", nil)
		return
	}
	g, ok := r.protected()
	if !ok {
		return
	}
	who := r.whom
	lines := []string{}
	say := func(id string, data map[string]any) { lines = append(lines, r.d.words.Say(r.lang, id, data)) }
	if is, err := r.d.store.IsExempt(r.ctx, r.group, who.id); err == nil && is {
		say("why.exempt", nil)
	}
	standing := make([]string, len(g.Channels))
	atOnce(len(standing), func(i int) {
		id, data := r.whyChannel(g.Channels[i], who.id)
		standing[i] = r.d.words.Say(r.lang, id, data)
	})
	lines = append(lines, standing...)
	if f, err := r.d.store.Flow(r.ctx, r.group, who.id); err == nil {
		say("why.flow."+string(f.State), map[string]any{"At": stamp(f.Since)})
	} else {
		say("why.no_flow", nil)
	}
	trail, err := r.d.store.AuditOf(r.ctx, r.group, who.id, 5)
	if err != nil {
		r.reply("error.busy", nil)
		return
	}
	for _, e := range trail {
		lines = append(lines, r.whyDone(g, e))
	}
	r.send(r.d.words.Say(r.lang, "why.title", map[string]any{"Name": who.name})+"\n• "+strings.Join(lines, "\n• "), nil)
}

func (r *commandRun) whyChannel(ch persistence.Channel, user int64) (id string, data map[string]any) {
	data = map[string]any{"Channel": ch.Title}
	now := r.d.clock()
	if e, ok := r.d.cache.Look(ch.ID, user, now); ok {
		data["At"] = stamp(time.UnixMilli(e.LearnedMs))
		return map[bool]string{true: "why.inside", false: "why.outside"}[e.Verdict == protos.Verdict_INSIDE], data
	}
	m, outcome := r.member(ch.ID, user)
	data["At"] = stamp(now)
	switch {
	case outcome != protos.Outcome_DONE:
		return "why.unknown", data
	case telegram.Present(m):
		return "why.inside", data
	}
	return "why.outside", data
}

// whyDone says in words what an entry of the audit trail about a person says in codes.
func (r *commandRun) whyDone(g persistence.Group, e persistence.AuditEntry) string {
	words := strings.Fields(e.Detail)
	id, data := "", map[string]any{"At": stamp(e.At), "Action": e.Action, "Detail": e.Detail}
	switch {
	case e.Action == "mute" && len(words) > 0:
		id = "why.mute." + words[0]
		var titles []string
		for _, ch := range g.Channels {
			if slices.Contains(words[1:], itoa(ch.ID)) {
				titles = append(titles, text.Name(ch.Title))
			}
		}
		data["Channels"] = text.HTML(orElse(strings.Join(titles, ", "), "–"))
	case e.Action == "close":
		id = closeWords(e.Detail)
	case e.Action == "exempt", e.Action == "unexempt":
		id = "why.by_hand." + e.Action
	}
	if said := r.d.words.Say(r.lang, id, data); id != "" && said != id {
		return said
	}
	return r.d.words.Say(r.lang, "why.done", data) // of an older program
}

// closeWords is the id of the words for the reason a flow was closed for.
func closeWords(reason string) string {
	reason, _, _ = strings.Cut(reason, ":")
	return "why.close." + strings.NewReplacer(" ", "_", "'", "").Replace(reason)
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

const (
	previewPeople = 100 // of those who wrote lately
	askAtOnce     = 8
)

// preview is /preview @channel: of those who wrote lately, how many would be muted. Nobody is touched.
func (r *commandRun) preview() {
	refs, problems := r.channelArgs()
	if len(refs) != 1 || len(problems) > 0 {
		r.reply("preview.usage", nil)
		return
	}
	ch, problem := r.checkChannel(refs[0])
	if problem != "" {
		r.send(r.d.words.List(r.lang, "protect.missing", []string{problem}), nil)
		return
	}
	people, err := r.d.store.LatelySeen(r.ctx, r.group, previewPeople)
	if err != nil {
		r.reply("error.busy", nil)
		return
	}
	outside, unknown := r.count(ch.ID, r.touchable(people))
	r.reply("preview.done", map[string]any{
		"Channel": ch.Title, "People": len(people), "PluralCount": outside, "Unknown": unknown,
	})
}

// touchable leaves out whom the gate never touches: the exempt and, as far as Telegram says, administrators.
func (r *commandRun) touchable(people []int64) []int64 {
	admins := r.do(&protos.Job{Lane: protos.Lane_LOOKUP, Do: &protos.Job_GetAdministrators{
		GetAdministrators: &protos.GetAdministrators{ChatId: r.group},
	}}).GetAdministrators()
	return slices.DeleteFunc(slices.Clone(people), func(id int64) bool {
		exempt, _ := r.d.store.IsExempt(r.ctx, r.group, id)
		return exempt || slices.ContainsFunc(admins, func(m *protos.Member) bool { return m.GetUser().GetId() == id })
	})
}

// count asks about people, a few at once.
func (r *commandRun) count(channel int64, people []int64) (outside, unknown int) {
	outcomes, members := make([]protos.Outcome, len(people)), make([]*protos.Member, len(people))
	atOnce(len(people), func(i int) { members[i], outcomes[i] = r.member(channel, people[i]) })
	for i := range people {
		switch {
		case outcomes[i] != protos.Outcome_DONE:
			unknown++
		case !telegram.Present(members[i]):
			outside++
		}
	}
	return outside, unknown
}

// atOnce does something for each of n, a few at a time: a command that asks Telegram about forty channels one
// after the other would run out of time.
func atOnce(n int, do func(i int)) {
	var all sync.WaitGroup
	for first := range min(n, askAtOnce) {
		all.Go(func() {
			for i := first; i < n; i += askAtOnce {
				do(i)
			}
		})
	}
	all.Wait()
}
