package actors

import (
	"errors"
	"slices"
	"strings"

	"github.com/gmbot/gmbot/actors/text"
	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/protos"
	"github.com/gmbot/gmbot/telegram"
)

// unprotect asks for confirmation, or takes named channels from the requirements.
func (r *commandRun) unprotect() {
	g, err := r.d.store.Group(r.ctx, r.group)
	if errors.Is(err, persistence.ErrNotFound) || err == nil && !g.Enabled {
		r.reply("unprotect.off", nil)
		return
	}
	if err != nil {
		r.reply("error.busy", nil)
		return
	}
	if len(r.cmd.args) > 0 {
		r.unprotectChannels(g)
		return
	}
	r.send(r.d.words.Say(r.lang, "unprotect.confirm", nil), []*protos.ButtonRow{{Buttons: []*protos.Button{
		{Text: r.d.words.Say(r.lang, "button.unprotect", nil), Data: callbackUnprotect, Style: "danger"},
		{Text: r.d.words.Say(r.lang, "button.keep", nil), Data: callbackKeep},
	}}})
}

func (r *commandRun) unprotectChannels(g persistence.Group) {
	var gone []persistence.Channel
	for _, arg := range r.cmd.args {
		ref, ok := parseChannel(arg)
		i := slices.IndexFunc(g.Channels, func(ch persistence.Channel) bool {
			return ok && (ref.id != 0 && ch.ID == ref.id || ref.name != "" && strings.EqualFold(ch.Username, ref.name))
		})
		if i < 0 {
			r.send(r.d.words.List(r.lang, "unprotect.unknown", quoted(g.Channels)), nil)
			return
		}
		gone = append(gone, g.Channels[i])
	}
	if len(gone) >= len(g.Channels) {
		r.reply("unprotect.last", nil)
		return
	}
	now, caller := r.d.clock(), r.e.GetFrom().GetId()
	err := r.store(func(tx persistence.Tx) error {
		for _, ch := range gone {
			if err := tx.RemoveChannel(g.ID, ch.ID); err != nil {
				return err
			}
		}
		if _, err := tx.FreeAll(g.ID); err != nil {
			return err
		}
		return tx.Audit(now, g.ID, caller, 0, "unprotect", names(gone))
	})
	if err != nil {
		r.reply("error.busy", nil)
		return
	}
	r.changed(true)
	r.send(r.d.words.List(r.lang, "unprotect.channels", quoted(gone)), nil)
}

// confirm answers the buttons under /unprotect.
func (r *commandRun) confirm() {
	if r.cmd.name == callbackKeep {
		r.rewrite("unprotect.kept", nil)
		r.pressed("press.kept")
		return
	}
	freed := 0
	now, id, caller := r.d.clock(), r.group, r.e.GetFrom().GetId()
	err := r.store(func(tx persistence.Tx) error {
		if err := tx.SetGroupEnabled(id, false); err != nil {
			return err
		}
		var err error
		if freed, err = tx.FreeAll(id); err != nil {
			return err
		}
		return tx.Audit(now, id, caller, 0, "unprotect", "all")
	})
	if err != nil && !errors.Is(err, persistence.ErrNotFound) {
		r.pressed("press.checking")
		return
	}
	r.changed(true)
	r.d.announce(&protos.ProtectionChanged{ChatId: r.group})
	r.pressed("press.unprotected")
	r.rewrite("unprotect.done", map[string]any{"PluralCount": freed})
}

// rewrite replaces the text of the message a button hangs on, and takes the buttons away.
func (r *commandRun) rewrite(id string, data map[string]any) {
	r.show(r.d.words.Say(r.lang, id, data), nil)
}

// status shows whether the gate works here and, if not, why.
func (r *commandRun) status() {
	g, err := r.d.store.Group(r.ctx, r.group)
	if errors.Is(err, persistence.ErrNotFound) || err == nil && !g.Enabled {
		r.reply("status.off", nil)
		return
	}
	if err != nil {
		r.reply("error.busy", nil)
		return
	}
	flows, _ := r.d.store.CountFlows(r.ctx, g.ID)
	day, _ := r.d.store.Day(r.ctx, g.ID, r.d.today())
	lines := []string{r.d.words.Say(r.lang, "status.on", nil)}
	lines = append(lines, r.groupRights()...)
	rights := make([]string, len(g.Channels))
	atOnce(len(rights), func(i int) { rights[i] = r.channelRights(g.Channels[i]) })
	lines = append(lines, rights...)
	lines = append(lines, r.d.words.Say(r.lang, "status.counts", map[string]any{
		"Now": flows[persistence.Muted], "Open": flows[persistence.Checking] + flows[persistence.Muting] + flows[persistence.Freeing],
		"Checked": day["checked"] + day["muted"], "Muted": day["muted"], "Verified": day["verified"],
	}))
	r.send(strings.Join(lines, "\n"), nil)
}

func (r *commandRun) groupRights() []string {
	me, outcome := r.member(r.group, r.d.bot.GetId())
	if outcome != protos.Outcome_DONE {
		return []string{r.d.words.Say(r.lang, "status.group_unknown", nil)}
	}
	line := func(right protos.Right, id string) string {
		if telegram.IsAdmin(me) && telegram.HasRight(me, right) {
			return r.d.words.Say(r.lang, id+"_yes", nil)
		}
		return r.d.words.Say(r.lang, id+"_no", nil)
	}
	return []string{
		line(protos.Right_CAN_RESTRICT_MEMBERS, "status.restrict"),
		line(protos.Right_CAN_DELETE_MESSAGES, "status.delete"),
	}
}

func (r *commandRun) channelRights(ch persistence.Channel) string {
	data := map[string]any{"Channel": ch.Title}
	me, outcome := r.member(ch.ID, r.d.bot.GetId())
	switch {
	case outcome == protos.Outcome_DONE && telegram.IsAdmin(me):
		return r.d.words.Say(r.lang, "status.channel_yes", data)
	case outcome == protos.Outcome_DONE, outcome == protos.Outcome_CANNOT_SAY, outcome == protos.Outcome_GONE,
		outcome == protos.Outcome_NO_RIGHTS:
		return r.d.words.Say(r.lang, "status.channel_no", data)
	}
	return r.d.words.Say(r.lang, "status.channel_unknown", data)
}

// quoted lists channels for people, escaped.
func quoted(channels []persistence.Channel) []string {
	list := make([]string, 0, len(channels))
	for _, ch := range channels {
		list = append(list, "<b>"+text.Name(ch.Title)+"</b>")
	}
	return list
}

// names lists channels for the audit trail, by id.
func names(channels []persistence.Channel) string {
	list := make([]string, 0, len(channels))
	for _, ch := range channels {
		list = append(list, itoa(ch.ID))
	}
	return strings.Join(list, " ")
}
