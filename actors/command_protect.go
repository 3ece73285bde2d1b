package actors

import (
	"errors"
	"slices"
	"strings"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/protos"
	"github.com/gmbot/gmbot/telegram"
)

// maxChannels bounds a group's requirements.
const maxChannels = 40

// linkName is what the bot's own invite links are called in a channel's list.
const linkName = "gmbot gate"

// isAdmin asks Telegram whether somebody administers the group; sure is false when it did not say.
func (r *commandRun) isAdmin(user int64) (admin, sure bool) {
	m, done := r.member(r.group, user)
	return telegram.IsAdmin(m), done == protos.Outcome_DONE
}

func (r *commandRun) member(chat, user int64) (*protos.Member, protos.Outcome) {
	done := r.do(&protos.Job{Lane: protos.Lane_LOOKUP, Do: &protos.Job_GetMember{
		GetMember: &protos.GetMember{ChatId: chat, UserId: user},
	}})
	return done.GetMember(), done.GetOutcome()
}

// protect checks everything first, and then either stores all of it or says all that is missing.
func (r *commandRun) protect() {
	refs, missing := r.channelArgs()
	if len(refs) == 0 && len(missing) == 0 {
		r.send(r.d.words.Say(r.lang, "protect.usage", nil), []*protos.ButtonRow{{Buttons: []*protos.Button{{
			Text: r.d.words.Plain(r.lang, "button.set_up", nil), Url: setUp(r.d.bot.GetUsername()), Style: "primary",
		}}}})
		return
	}
	r.protectBy(refs, append(missing, r.checkGroup()...))
}

// protectBy checks the channels and stores, unless something is missing.
func (r *commandRun) protectBy(refs []channelRef, missing []string) {
	channels, problems := r.checkChannels(refs)
	missing = append(missing, problems...)
	if len(missing) > 0 {
		r.send(r.d.words.List(r.lang, "protect.missing", missing), nil)
		return
	}
	r.storeProtection(channels)
}

// channelArgs reads the channels named, or the one whose post the command answers.
func (r *commandRun) channelArgs() (refs []channelRef, problems []string) {
	for _, arg := range r.cmd.args {
		for _, one := range strings.FieldsFunc(arg, func(c rune) bool { return c == ',' || c == ';' }) {
			ref, ok := parseChannel(one)
			if !ok {
				problems = append(problems, r.d.words.Say(r.lang, "protect.what", map[string]any{"Said": one}))
				continue
			}
			refs = append(refs, ref)
		}
	}
	if origin := r.e.GetReplyOriginChat(); len(r.cmd.args) == 0 && origin.GetId() != 0 {
		refs = append(refs, channelRef{id: origin.GetId(), said: origin.GetTitle()})
	}
	return refs, problems
}

// checkGroup says what is missing in the group itself.
func (r *commandRun) checkGroup() []string {
	if r.place == r.group && r.e.GetChat().GetType() != "supergroup" {
		return []string{r.d.words.Say(r.lang, "protect.basic", nil)}
	}
	me, outcome := r.member(r.group, r.d.bot.GetId())
	if outcome != protos.Outcome_DONE {
		return []string{r.d.words.Say(r.lang, "protect.group_unknown", nil)}
	}
	if !telegram.IsAdmin(me) {
		return []string{r.d.words.Say(r.lang, "protect.not_admin", nil)}
	}
	var missing []string
	if !telegram.HasRight(me, protos.Right_CAN_RESTRICT_MEMBERS) {
		missing = append(missing, r.d.words.Say(r.lang, "protect.no_restrict", nil))
	}
	if !telegram.HasRight(me, protos.Right_CAN_DELETE_MESSAGES) {
		missing = append(missing, r.d.words.Say(r.lang, "protect.no_delete", nil))
	}
	return missing
}

// checkChannels finds channels, and what stands in the way of requiring them, each in the order given.
func (r *commandRun) checkChannels(refs []channelRef) (found []persistence.Channel, missing []string) {
	channels, problems := make([]persistence.Channel, len(refs)), make([]string, len(refs))
	atOnce(len(refs), func(i int) { channels[i], problems[i] = r.checkChannel(refs[i]) })
	for i, problem := range problems {
		if problem != "" {
			missing = append(missing, problem)
			continue
		}
		found = append(found, channels[i])
	}
	return found, missing
}

// checkChannel finds a channel, and what stands in the way of requiring it.
func (r *commandRun) checkChannel(ref channelRef) (persistence.Channel, string) {
	say := func(id string, title string) string {
		return r.d.words.Say(r.lang, id, map[string]any{"Channel": title})
	}
	got := r.do(&protos.Job{Lane: protos.Lane_LOOKUP, Do: &protos.Job_GetChat{
		GetChat: &protos.GetChat{ChatId: ref.id, Username: ref.name},
	}})
	switch got.GetOutcome() {
	case protos.Outcome_DONE:
	case protos.Outcome_GONE, protos.Outcome_CANNOT_SAY, protos.Outcome_OUR_MISTAKE, protos.Outcome_NO_RIGHTS:
		return persistence.Channel{}, say("protect.not_found", ref.said)
	default:
		return persistence.Channel{}, say("protect.channel_unknown", ref.said)
	}
	info := got.GetChat().GetChat()
	if info.GetType() != "channel" {
		return persistence.Channel{}, say("protect.no_channel", title(info, ref))
	}
	me, outcome := r.member(info.GetId(), r.d.bot.GetId())
	if outcome == protos.Outcome_DONE && !telegram.IsAdmin(me) || outcome == protos.Outcome_CANNOT_SAY ||
		outcome == protos.Outcome_NO_RIGHTS || outcome == protos.Outcome_GONE {
		return persistence.Channel{}, say("protect.channel_not_admin", title(info, ref))
	}
	if outcome != protos.Outcome_DONE {
		return persistence.Channel{}, say("protect.channel_unknown", title(info, ref))
	}
	ch := persistence.Channel{ID: info.GetId(), Title: title(info, ref), Username: info.GetUsername()}
	if ch.Username == "" && !r.link(&ch, me) {
		return persistence.Channel{}, say("protect.no_link", ch.Title)
	}
	return ch, ""
}

// link gives a private channel an invite link of the bot's own, made once.
func (r *commandRun) link(ch *persistence.Channel, me *protos.Member) bool {
	if g, err := r.d.store.Group(r.ctx, r.group); err == nil {
		for _, old := range g.Channels {
			if old.ID == ch.ID && old.InviteLink != "" {
				ch.InviteLink = old.InviteLink
				return true
			}
		}
	}
	if !telegram.HasRight(me, protos.Right_CAN_INVITE_USERS) {
		return false
	}
	done := r.do(&protos.Job{Lane: protos.Lane_LOOKUP, Do: &protos.Job_CreateInviteLink{
		CreateInviteLink: &protos.CreateInviteLink{ChatId: ch.ID, Name: linkName},
	}})
	ch.InviteLink = done.GetInviteLink()
	return ch.InviteLink != ""
}

func title(info *protos.Chat, ref channelRef) string {
	if info.GetTitle() != "" {
		return info.GetTitle()
	}
	return ref.said
}

func (r *commandRun) storeProtection(channels []persistence.Channel) {
	g, err := r.d.store.Group(r.ctx, r.group)
	if err != nil && !errors.Is(err, persistence.ErrNotFound) {
		r.reply("error.busy", nil)
		return
	}
	if !g.Enabled {
		g.Channels = nil // what an earlier protection required is not required again by surprise
	}
	g.ID, g.Title, g.Enabled = r.group, orElse(r.title, r.e.GetChat().GetTitle()), true
	for _, ch := range channels {
		if i := slices.IndexFunc(g.Channels, func(old persistence.Channel) bool { return old.ID == ch.ID }); i >= 0 {
			g.Channels[i] = ch
			continue
		}
		g.Channels = append(g.Channels, ch)
	}
	if len(g.Channels) > maxChannels {
		r.reply("protect.too_many", map[string]any{"Most": maxChannels})
		return
	}
	r.storeGroup(g, channels, "protect", "protect.done")
}

// storeGroup stores a group that is protected from now on, and says so. added are the channels that were
// just checked.
func (r *commandRun) storeGroup(g persistence.Group, added []persistence.Channel, action, words string) {
	owner := r.owner()
	if g.OwnerID == 0 || !r.anonymous() {
		g.OwnerID = owner.ID
	}
	owner.ID = g.OwnerID
	now := r.d.clock()
	err := r.store(func(tx persistence.Tx) error {
		if _, err := tx.SaveGroup(g, owner); err != nil {
			return err
		}
		if r.last {
			if err := tx.DropWizard(r.place); err != nil {
				return err
			}
		}
		return tx.Audit(now, g.ID, owner.ID, 0, action, names(added))
	})
	if err != nil {
		r.d.log.Error().Err(err).Int64("chat", r.group).Msg("protection cannot be stored")
		r.reply("error.busy", nil)
		return
	}
	r.changed(true)
	r.d.announce(&protos.ProtectionChanged{ChatId: r.group, Active: true})
	for _, ch := range added {
		r.d.announce(&protos.ProtectionChanged{ChatId: ch.ID, Active: true, Channel: true})
	}
	r.send(r.d.words.List(r.lang, words, quoted(g.Channels)), nil)
}

// announce tells a shard that it has to care for a chat from now on, or no longer.
func (d *deps) announce(m *protos.ProtectionChanged) {
	d.root.Send(d.dir.Shard(m.GetChatId()), m)
}

// owner is who protects the group: the caller, or the chat's creator behind an anonymous one.
func (r *commandRun) owner() persistence.Owner {
	if !r.anonymous() {
		return persistence.Owner{ID: r.e.GetFrom().GetId(), Username: r.e.GetFrom().GetUsername()}
	}
	got := r.do(&protos.Job{Lane: protos.Lane_LOOKUP, Do: &protos.Job_GetAdministrators{
		GetAdministrators: &protos.GetAdministrators{ChatId: r.group},
	}})
	for _, m := range got.GetAdministrators() {
		if m.GetStatus() == telegram.StatusCreator {
			return persistence.Owner{ID: m.GetUser().GetId(), Username: m.GetUser().GetUsername()}
		}
	}
	return persistence.Owner{ID: anonymousAdmin}
}
