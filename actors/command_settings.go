package actors

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/gmbot/gmbot/actors/text"
	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/protos"
)

// wish is one setting of the panel: the values a button goes through, and how they are read and written.
// A value is at most 8 bytes, so that callback data stays far below Telegram's 64.
type wish struct {
	key    string
	values []string
	get    func(s *persistence.Settings) string
	set    func(s *persistence.Settings, value string)
}

func onOff(key string, field func(s *persistence.Settings) *bool) wish {
	return wish{
		key: key, values: []string{"off", "on"},
		get: func(s *persistence.Settings) string { return map[bool]string{false: "off", true: "on"}[*field(s)] },
		set: func(s *persistence.Settings, value string) { *field(s) = value == "on" },
	}
}

func number(key string, otherwise int, field func(s *persistence.Settings) *int, values ...string) wish {
	return wish{
		key: key, values: values,
		get: func(s *persistence.Settings) string {
			if n := *field(s); n != 0 {
				return strconv.Itoa(n)
			}
			return strconv.Itoa(otherwise)
		},
		set: func(s *persistence.Settings, value string) {
			n, _ := strconv.Atoi(value)
			if n == otherwise {
				n = 0
			}
			*field(s) = n
		},
	}
}

// wishes are the settings in the order of the panel.
var wishes = []wish{
	number("need", 0, func(s *persistence.Settings) *int { return &s.Need }, "0", "1", "2", "3"),
	{
		key: "action", values: []string{"mute", "delete", "warn"},
		get: func(s *persistence.Settings) string { return orElse(string(s.Action), "mute") },
		set: func(s *persistence.Settings, value string) { s.Action = persistence.Action(unless(value, "mute")) },
	},
	number("warn", 1, func(s *persistence.Settings) *int { return &s.Warnings }, "1", "2", "3", "5"),
	{
		key: "join", values: []string{"on", "off"},
		get: func(s *persistence.Settings) string { return map[bool]string{false: "on", true: "off"}[s.JoinCheckOff] },
		set: func(s *persistence.Settings, value string) { s.JoinCheckOff = value == "off" },
	},
	number("grace", 0, func(s *persistence.Settings) *int { return &s.GraceMinutes }, "0", "5", "15", "60"),
	number("notice", 300, func(s *persistence.Settings) *int { return &s.NoticeSeconds }, "60", "300", "900", "3600"),
	onOff("quiet", func(s *persistence.Settings) *bool { return &s.Quiet }),
	number("remove", 0, func(s *persistence.Settings) *int { return &s.RemoveHours }, "0", "1", "6", "24", "72"),
	{
		key: "posts", values: []string{"delete", "allow", "ban"},
		get: func(s *persistence.Settings) string { return orElse(string(s.ChannelPosts), "delete") },
		set: func(s *persistence.Settings, value string) {
			s.ChannelPosts = persistence.ChannelPosts(unless(value, "delete"))
		},
	},
	onOff("service", func(s *persistence.Settings) *bool { return &s.DeleteService }),
	onOff("requests", func(s *persistence.Settings) *bool { return &s.JoinRequests }),
	number("decline", 24, func(s *persistence.Settings) *int { return &s.DeclineHours }, "1", "6", "24", "72"),
	onOff("pending", func(s *persistence.Settings) *bool { return &s.PendingCounts }),
	{
		key: "lang", values: []string{"en"},
		get: func(s *persistence.Settings) string { return orElse(s.Language, "en") },
		set: func(s *persistence.Settings, value string) { s.Language = unless(value, "en") },
	},
}

func orElse(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}

func unless(value, empty string) string {
	if value == empty {
		return ""
	}
	return value
}

// next is the value a button leads to from where the setting is.
func (w wish) next(s *persistence.Settings) string {
	i := slices.Index(w.values, w.get(s))
	return w.values[(i+1)%len(w.values)]
}

// settings shows the panel.
func (r *commandRun) settings() {
	g, ok := r.protected()
	if !ok {
		return
	}
	r.send(r.panel(g), r.panelKeyboard(g))
}

// protected reads the group; when it is not protected it says so.
func (r *commandRun) protected() (persistence.Group, bool) {
	g, err := r.d.store.Group(r.ctx, r.group)
	switch {
	case errors.Is(err, persistence.ErrNotFound) || err == nil && !g.Enabled:
		r.refuse("status.off")
	case err != nil:
		r.refuse("error.busy")
	default:
		return g, true
	}
	return g, false
}

// refuse says no where the command came from: under a button as an alert, else as an answer.
func (r *commandRun) refuse(id string) {
	if r.cmd.button {
		r.pressed(map[string]string{"status.off": "press.unprotected", "error.busy": "press.checking"}[id])
		return
	}
	r.reply(id, nil)
}

func (r *commandRun) panel(g persistence.Group) string {
	lines := []string{r.d.words.Say(r.lang, "settings.title", nil), r.d.words.Say(r.lang, "settings.channels", map[string]any{
		"Channels": text.HTML(strings.Join(quoted(g.Channels), ", ")),
	})}
	if g.Settings.DryRun {
		lines = append(lines, r.d.words.Say(r.lang, "settings.dryrun", nil))
	}
	return text.Fit(strings.Join(append(lines, r.d.words.Say(r.lang, "settings.how", nil)), "\n"))
}

// panelKeyboard has a button for each setting that shows its value and leads to the next.
func (r *commandRun) panelKeyboard(g persistence.Group) []*protos.ButtonRow {
	var rows []*protos.ButtonRow
	for _, w := range wishes {
		if len(w.values) < 2 {
			continue
		}
		rows = append(rows, &protos.ButtonRow{Buttons: []*protos.Button{{
			Text: text.Button(r.wishText(w, w.get(&g.Settings))), Data: callbackSet + w.key + ":" + w.next(&g.Settings),
		}}})
	}
	return rows
}

// wishText says a setting with its value, in words.
func (r *commandRun) wishText(w wish, value string) string {
	data := map[string]any{}
	id := "set." + w.key + "." + value
	if n, err := strconv.Atoi(value); err == nil {
		id = "set." + w.key + ".n"
		data["PluralCount"] = n
		switch {
		case n == 0:
			id = "set." + w.key + ".0"
		case w.key == "notice":
			data["PluralCount"] = n / 60
		}
	}
	return r.d.words.Plain(r.lang, id, data)
}

// set changes one setting. The button carries the value it leads to, so that a panel of last week, or two
// administrators at once, do what the button said.
func (r *commandRun) set() {
	g, ok := r.protected()
	if !ok {
		return
	}
	key, value := r.cmd.args[0], r.cmd.args[1]
	i := slices.IndexFunc(wishes, func(w wish) bool { return w.key == key && slices.Contains(w.values, value) })
	if i < 0 {
		r.pressed("press.old")
		return
	}
	from := wishes[i].get(&g.Settings)
	wishes[i].set(&g.Settings, value)
	if !r.saveSettings(g, key, from, value) {
		r.pressed("press.checking")
		return
	}
	r.changed(true)
	r.do(answerJob(r.e, "", false))
	r.stays()
	r.show(r.panel(g), r.panelKeyboard(g))
}

// mayFree are the settings by which somebody muted may owe nothing any more.
var mayFree = []string{"need", "pending"}

// saveSettings stores a group's wishes with who changed what from where to where.
func (r *commandRun) saveSettings(g persistence.Group, key, from, to string) bool {
	now, caller := r.d.clock(), r.e.GetFrom().GetId()
	err := r.store(func(tx persistence.Tx) error {
		if _, err := tx.SaveGroup(g, persistence.Owner{ID: g.OwnerID}); err != nil {
			return err
		}
		if slices.Contains(mayFree, key) { // whom it frees, no crash forgets
			if _, err := tx.FreeAll(g.ID); err != nil {
				return err
			}
		}
		return tx.Audit(now, g.ID, caller, 0, "set "+key, from+" → "+to)
	})
	return err == nil
}

// stays keeps a panel for a minute more, since somebody uses it.
func (r *commandRun) stays() {
	id, at := r.e.GetMessageId(), r.d.clock().Add(answerStays)
	r.d.writer.Do(func(tx persistence.Tx) error {
		if err := tx.DropDue(r.group, []int64{id}); err != nil {
			return err
		}
		return tx.AddDue(persistence.Due{ChatID: r.group, MessageID: id, At: at})
	}, func(err error) {
		if err != nil {
			r.d.log.Warn().Err(err).Int64("chat", r.group).Msg("a panel's end cannot be stored")
		}
	})
}

// dryRun is /dryrun on|off.
func (r *commandRun) dryRun() {
	g, ok := r.protected()
	if !ok {
		return
	}
	word := ""
	if len(r.cmd.args) == 1 {
		word = strings.ToLower(r.cmd.args[0])
	}
	if word != "on" && word != "off" {
		r.reply("dryrun.usage", nil)
		return
	}
	from := strconv.FormatBool(g.Settings.DryRun)
	g.Settings.DryRun = word == "on"
	if !r.saveSettings(g, "dryrun", from, strconv.FormatBool(g.Settings.DryRun)) {
		r.reply("error.busy", nil)
		return
	}
	r.changed(false)
	r.reply("dryrun."+word, nil)
}
