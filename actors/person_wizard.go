package actors

import (
	"strings"
	"time"

	"github.com/gmbot/gmbot/actors/text"
	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/protos"
	"github.com/gmbot/gmbot/telegram"
)

// The wizard: in private, a person picks a group and a channel with Telegram's own pickers, sees a summary
// and confirms. Its state is one row; each round has a number of its own, which its buttons carry.

const (
	// callbackWizard begins the data of the wizard's buttons; "new", or round and act follow.
	callbackWizard = "v1:wiz:"
	// wizardFor is how long a wizard waits for its next step.
	wizardFor = 30 * time.Minute
	// wizardRounds bounds the number of a round: twice that is a request_id, which has 31 bits.
	wizardRounds = 1 << 29
)

// The rights that the pickers ask the person for and give to the bot: what gmbot needs, and for the
// person the right to give it.
const (
	groupRights = 1<<uint(protos.Right_MANAGE_CHAT) | 1<<uint(protos.Right_CAN_DELETE_MESSAGES) |
		1<<uint(protos.Right_CAN_RESTRICT_MEMBERS) | 1<<uint(protos.Right_CAN_INVITE_USERS)
	channelRightsWanted = 1<<uint(protos.Right_MANAGE_CHAT) | 1<<uint(protos.Right_CAN_INVITE_USERS)
	toPromote           = 1 << uint(protos.Right_CAN_PROMOTE_MEMBERS)
)

func (r *privateRun) beginWizard() {
	now := r.d.clock()
	w := persistence.Wizard{UserID: r.place, Round: now.UnixMilli()%wizardRounds + 1, ExpiresAt: now.Add(wizardFor)}
	if !r.saveWizard(w) {
		return
	}
	r.do(&protos.Job{Lane: protos.Lane_TALK, Do: &protos.Job_Send{Send: &protos.SendText{
		Html: r.d.words.Say(r.lang, "wizard.begin", nil),
		ReplyKeyboard: []*protos.ChatButton{
			{
				Text: r.d.words.Plain(r.lang, "button.pick_group", nil), RequestId: uint32(2 * w.Round),
				UserRights: groupRights | toPromote, BotRights: groupRights,
			},
			{
				Text: r.d.words.Plain(r.lang, "button.pick_channel", nil), RequestId: uint32(2*w.Round + 1), Channel: true,
				UserRights: channelRightsWanted | toPromote, BotRights: channelRightsWanted,
			},
		},
	}}})
}

func (r *privateRun) saveWizard(w persistence.Wizard) bool {
	if err := r.store(func(tx persistence.Tx) error { return tx.SaveWizard(w) }); err != nil {
		r.tell("error.busy", nil)
		return false
	}
	return true
}

// wizard reads the person's wizard if it is this round and not over.
func (r *privateRun) wizard(round int64) (persistence.Wizard, bool) {
	w, err := r.d.store.Wizard(r.ctx, r.place)
	return w, err == nil && w.Round == round && r.d.clock().Before(w.ExpiresAt)
}

// shared takes a chat that the person picked. What the picker promises is checked all the same: a client
// may send anything.
func (r *privateRun) shared() {
	request := int64(r.e.GetSharedRequestId())
	w, ok := r.wizard(request / 2)
	if !ok {
		r.tell("wizard.old", nil)
		return
	}
	chat := r.e.GetSharedChatId()
	m, outcome := r.member(chat, r.place)
	switch {
	case outcome == protos.Outcome_DONE && telegram.IsAdmin(m):
	case outcome == protos.Outcome_DONE:
		r.tell("wizard.not_yours", nil)
		return
	default:
		r.tell("wizard.cannot_see", nil)
		return
	}
	if request%2 == 0 {
		w.GroupID = chat
	} else {
		w.ChannelID = chat
	}
	w.ExpiresAt = r.d.clock().Add(wizardFor)
	if !r.saveWizard(w) {
		return
	}
	switch {
	case w.GroupID == 0:
		r.tell("wizard.now_group", nil)
	case w.ChannelID == 0:
		r.tell("wizard.now_channel", nil)
	default:
		r.summary(w)
	}
}

func (r *privateRun) summary(w persistence.Wizard) {
	round := itoa(w.Round)
	words := r.d.words.Say(r.lang, "wizard.summary", map[string]any{"Group": r.titleOf(w.GroupID), "Channel": r.titleOf(w.ChannelID)})
	r.do(&protos.Job{Lane: protos.Lane_TALK, Do: &protos.Job_Send{Send: &protos.SendText{Html: words, Keyboard: []*protos.ButtonRow{
		{Buttons: []*protos.Button{
			{Text: r.d.words.Plain(r.lang, "button.confirm", nil), Data: callbackWizard + round + ":go", Style: "success"},
			{Text: r.d.words.Plain(r.lang, "button.cancel", nil), Data: callbackWizard + round + ":no"},
		}},
	}}}})
}

func (r *privateRun) chatInfo(id int64) *protos.Chat {
	got := r.do(&protos.Job{Lane: protos.Lane_LOOKUP, Do: &protos.Job_GetChat{GetChat: &protos.GetChat{ChatId: id}}})
	return got.GetChat().GetChat()
}

func (r *privateRun) titleOf(id int64) string { return orElse(r.chatInfo(id).GetTitle(), itoa(id)) }

// pressedInPrivate answers a button in private.
func (r *privateRun) pressedInPrivate() {
	rest, ok := strings.CutPrefix(r.e.GetCallbackData(), callbackWizard)
	if rest == "new" {
		r.do(answerJob(r.e, "", false))
		r.beginWizard()
		return
	}
	number, act, _ := strings.Cut(rest, ":")
	round, isNumber := atoi(number)
	if !ok || !isNumber || act != "go" && act != "no" {
		r.pressed("press.old")
		return
	}
	w, ok := r.wizard(round)
	if !ok || w.GroupID == 0 || w.ChannelID == 0 {
		r.pressed("press.old")
		return
	}
	r.do(answerJob(r.e, "", false))
	if act == "no" {
		r.endWizard("wizard.cancelled")
		return
	}
	r.confirmWizard(w)
}

func (r *privateRun) endWizard(id string) {
	if err := r.store(func(tx persistence.Tx) error { return tx.DropWizard(r.place) }); err != nil {
		r.tell("error.busy", nil)
		return
	}
	r.do(&protos.Job{Lane: protos.Lane_TALK, Do: &protos.Job_Send{Send: &protos.SendText{
		Html: r.d.words.Say(r.lang, id, nil), RemoveKeyboard: true,
	}}})
}

// confirmWizard does what /protect does in a group, on behalf of a person who is an administrator of both
// chats at this moment.
func (r *privateRun) confirmWizard(w persistence.Wizard) {
	for _, chat := range []int64{w.GroupID, w.ChannelID} {
		if m, outcome := r.member(chat, r.place); outcome != protos.Outcome_DONE || !telegram.IsAdmin(m) {
			r.tell("wizard.not_yours", nil)
			return
		}
	}
	info := r.chatInfo(w.GroupID)
	if info.GetType() != "supergroup" {
		r.tell("protect.basic", nil)
		return
	}
	r.group, r.title, r.last = w.GroupID, info.GetTitle(), true
	r.protectBy([]channelRef{{id: w.ChannelID, said: itoa(w.ChannelID)}}, r.checkGroup())
}

// myGroupsShown bounds the groups that /mygroups lists.
const myGroupsShown = 50

func (r *privateRun) myGroups() {
	groups, err := r.d.store.GroupsOfOwner(r.ctx, r.place, myGroupsShown)
	if err != nil {
		r.tell("error.busy", nil)
		return
	}
	if len(groups) == 0 {
		r.tell("mygroups.none", r.startKeyboard())
		return
	}
	var lines []string
	for _, g := range groups {
		id := "mygroups.off"
		if g.Enabled {
			id = "mygroups.on"
		}
		lines = append(lines, r.d.words.Say(r.lang, id, map[string]any{"Group": orElse(g.Title, itoa(g.ID))}))
	}
	r.tellHTML(r.d.words.List(r.lang, "mygroups.list", lines), nil)
}

// forgetMe deletes what is stored about the person, with a receipt.
func (r *privateRun) forgetMe() {
	groups, err := r.d.store.GroupsOfOwner(r.ctx, r.place, myGroupsShown)
	if err != nil {
		r.tell("error.busy", nil)
		return
	}
	var mine []string
	for _, g := range groups {
		if !g.Enabled {
			continue
		}
		mine = append(mine, "<b>"+text.Name(orElse(g.Title, itoa(g.ID)))+"</b>")
	}
	if len(mine) > 0 {
		r.tellHTML(r.d.words.List(r.lang, "forgetme.owner", mine), nil)
		return
	}
	flows, err := r.d.store.FlowsOfUser(r.ctx, r.place)
	rows := 0
	if err == nil {
		err = r.store(func(tx persistence.Tx) (err error) {
			rows, err = tx.ForgetPerson(r.place)
			return err
		})
	}
	if err != nil {
		r.tell("error.busy", nil)
		return
	}
	r.tellHTML(r.d.words.Say(r.lang, "forgetme.done", map[string]any{"PluralCount": rows, "Open": len(flows)}), nil)
}
