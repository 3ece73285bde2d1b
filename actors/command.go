package actors

import (
	"context"
	"fmt"
	"regexp"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gmbot/gmbot/actors/text"
	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/protos"
	"github.com/gmbot/gmbot/telegram"
)

// Callback data is versioned, so that a button of an older program is told from a forged one.
const (
	callbackCheck     = "v1:check"
	callbackUnprotect = "v1:off"
	callbackKeep      = "v1:keep"
	callbackSet       = "v1:set:" // then key and value
	callbackPage      = "v1:ex:"  // then the person after whom the page begins
)

// parseCallback reads the data of a button in a group, if it is one of ours. Who may press is not its matter.
func parseCallback(data string) (command, bool) {
	switch data {
	case callbackCheck, callbackUnprotect, callbackKeep:
		return command{name: data, button: true}, true
	}
	if rest, ok := strings.CutPrefix(data, callbackSet); ok {
		key, value, ok := strings.Cut(rest, ":")
		return command{name: callbackSet, args: []string{key, value}, button: true}, ok
	}
	if rest, ok := strings.CutPrefix(data, callbackPage); ok {
		after, ok := atoi(rest)
		return command{name: callbackPage, args: []string{itoa(after)}, button: true}, ok && after >= 0
	}
	return command{}, false
}

// command is what somebody asked of the bot in a group.
type command struct {
	name   string // without slash, lower case; or callback data
	args   []string
	button bool
}

// groupCommands are the commands that a group answers.
var groupCommands = []string{
	"protect", "unprotect", "status", "settings", "help", "start", "exempt", "unexempt", "why", "preview", "dryrun", "export", "import",
}

// parseCommand reads a command meant for this bot. Anything else is a message like any other.
func parseCommand(e *protos.Event, bot string) (command, bool) {
	if !e.GetIsCommand() {
		return command{}, false
	}
	fields := strings.Fields(e.GetText())
	if len(fields) == 0 {
		return command{}, false
	}
	name, at, addressed := strings.Cut(strings.TrimPrefix(fields[0], "/"), "@")
	if addressed && !strings.EqualFold(at, bot) {
		return command{}, false
	}
	for _, known := range groupCommands {
		if strings.EqualFold(known, name) {
			return command{name: known, args: fields[1:]}, true
		}
	}
	return command{}, false
}

// channelRef is how an administrator named a channel: by id or by @name.
type channelRef struct {
	id   int64
	name string // without @
	said string // as it was written
}

var (
	nameRef = regexp.MustCompile(`^@?([A-Za-z][A-Za-z0-9_]{3,31})$`)
	linkRef = regexp.MustCompile(`^(?:https?://)?(?:t|telegram)\.me/([A-Za-z][A-Za-z0-9_]{3,31})/?(?:\d+)?$`)
	postRef = regexp.MustCompile(`^(?:https?://)?(?:t|telegram)\.me/c/(\d{1,15})(?:/\d+)*/?$`)
)

// supergroupBase: a channel's Bot API id is −10^12 minus its bare id, as links t.me/c/… carry it.
const supergroupBase = -1_000_000_000_000

// parseChannel reads one argument of /protect or /unprotect.
func parseChannel(arg string) (channelRef, bool) {
	if m := nameRef.FindStringSubmatch(arg); m != nil {
		return channelRef{name: m[1], said: arg}, true
	}
	if m := linkRef.FindStringSubmatch(arg); m != nil {
		return channelRef{name: m[1], said: arg}, true
	}
	if m := postRef.FindStringSubmatch(arg); m != nil {
		id, err := strconv.ParseInt(m[1], 10, 64)
		return channelRef{id: supergroupBase - id, said: arg}, err == nil
	}
	if id, err := strconv.ParseInt(arg, 10, 64); err == nil && id < 0 {
		return channelRef{id: id, said: arg}, true
	}
	return channelRef{said: arg}, false
}

// channelLink is where a button takes somebody who wants to join; empty if nothing is known.
func channelLink(ch persistence.Channel) string {
	if ch.Username != "" {
		return "https://t.me/" + ch.Username
	}
	return ch.InviteLink
}

const (
	// commandTime is what a command may take in all; its update comes again at 5 s.
	commandTime = 4500 * time.Millisecond
	// commandQueue bounds the commands that wait in one group.
	commandQueue = 32
	// pressesAtOnce bounds the presses of one person among them.
	pressesAtOnce = 3
	// answerStays is how long an answer and its command stay in a group.
	answerStays = time.Minute
)

// pending is a command that waits for its turn: one at a time in a group, for they read and then write.
type pending struct {
	e   *protos.Event
	cmd command
}

// command takes a command or a button of an administrator.
func (g *group) command(c actor.Context, e *protos.Event, cmd command) {
	if g.running[e.GetUpdateId()] {
		return // the same update came again while it is being carried out; its first end settles both
	}
	if cmd.button && (len(g.running) >= commandQueue || g.waitingOf(e.GetFrom().GetId()) >= pressesAtOnce) {
		g.answer(c, e, "press.later") // somebody is playing, and what comes after must not wait for that
		return
	}
	if len(g.running) >= commandQueue {
		g.refuse(e, "too many commands at once")
		return
	}
	put(&g.running, e.GetUpdateId(), true)
	g.commands = append(g.commands, pending{e: e, cmd: cmd})
	if len(g.commands) == 1 {
		g.runCommand(c)
	}
}

// waitingOf counts somebody's commands and presses that wait or are under way.
func (g *group) waitingOf(user int64) (n int) {
	for _, p := range g.commands {
		if p.e.GetFrom().GetId() == user {
			n++
		}
	}
	return n
}

func (g *group) runCommand(c actor.Context) {
	p := g.commands[0]
	self, root, d, id := c.Self(), g.d.root, g.d, g.id
	caller := p.e.GetFrom().GetId()
	known := !g.g.Enabled || g.exempt[caller] || g.known(caller)
	lang, whom := g.g.Settings.Language, g.whom(p)
	ok := d.commands.Go(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, commandTime)
		defer cancel()
		r := &commandRun{d: d, self: self, group: id, place: id, e: p.e, cmd: p.cmd, lang: lang, known: known, whom: whom, ctx: ctx}
		done := &commandDone{updateID: p.e.GetUpdateId()}
		defer func() { root.Send(self, done) }()
		defer recoverCommand(d, p.e)
		r.run(done)
	})
	if !ok {
		g.refuse(p.e, "too many commands at once")
		root.Send(self, &commandDone{updateID: p.e.GetUpdateId()})
	}
}

// target is the person a command is about.
type target struct {
	id   int64
	name string
}

// whom says whom a command is about: the author of the message answered to, an id, or a @name that wrote
// here lately. Telegram lets bots find nobody else by name.
func (g *group) whom(p pending) target {
	if len(p.cmd.args) == 0 {
		u := p.e.GetReplyUser()
		if isNobody(u) {
			return target{}
		}
		return target{id: u.GetId(), name: displayName(u)}
	}
	said := p.cmd.args[0]
	if id, ok := atoi(said); ok && id > 0 {
		return target{id: id, name: said}
	}
	if name, ok := strings.CutPrefix(said, "@"); ok {
		if id := g.names[strings.ToLower(name)]; id != 0 {
			return target{id: id, name: said}
		}
	}
	return target{}
}

// recoverCommand keeps a fault in one command from harming the program; its update comes again.
func recoverCommand(d *deps, e *protos.Event) {
	if r := recover(); r != nil {
		i := Incident{Kind: IncidentPanic, Where: "command", Words: telegram.Redact(fmt.Sprint(r)), Stack: callers()}
		i.about(e)
		d.log.Error().Int64("update", i.UpdateID).Str("panic", i.Words).Str("stack", telegram.Redact(string(debug.Stack()))).Msg("a command panicked")
		if d.report != nil {
			d.report(i)
		}
		d.settler.NotDone(e.GetDelivery(), "command"+telegram.Panicked+i.Words)
	}
}

// onCommandDone starts the next command, and judges what turned out to be a stranger's message.
func (g *group) onCommandDone(c actor.Context, m *commandDone) {
	delete(g.running, m.updateID)
	if len(g.commands) > 0 && g.commands[0].e.GetUpdateId() == m.updateID {
		g.commands = g.commands[1:]
	}
	if m.judge != nil {
		g.judge(c, m.judge)
	}
	if len(g.commands) > 0 {
		g.runCommand(c)
	}
}

// commandRun is one command on its way, in a goroutine of its own: it may wait for answers.
type commandRun struct {
	d     *deps
	self  *actor.PID      // the group
	ctx   context.Context //nolint:containedctx // lives as long as the run
	group int64           // whom the command is about
	place int64           // where it is answered: the group, or a private chat
	e     *protos.Event
	cmd   command
	lang  string
	known bool   // the caller may write here
	whom  target // zero: nobody, or nobody known
	title string // of the group, when the update does not say it
	last  bool   // in private: when all is well, the wizard is over and its keyboard goes
}

func (r *commandRun) run(done *commandDone) {
	if !r.anonymous() && !r.everybody() {
		admin, sure := r.isAdmin(r.e.GetFrom().GetId())
		switch {
		case admin:
		case r.cmd.button:
			r.pressed(map[bool]string{true: "press.admins", false: "press.checking"}[sure])
			return
		case !r.known:
			done.judge = r.e
			return
		case !sure:
			r.reply("error.busy", nil)
			return
		default:
			r.reply("error.admins", nil)
			return
		}
	} else if !r.anonymous() && !r.known {
		if admin, _ := r.isAdmin(r.e.GetFrom().GetId()); !admin {
			done.judge = r.e
			return
		}
	}
	switch r.cmd.name {
	case "protect":
		r.protect()
	case "unprotect":
		r.unprotect()
	case callbackUnprotect, callbackKeep:
		r.confirm()
	case "status":
		r.status()
	case "settings":
		r.settings()
	case callbackSet:
		r.set()
	case "exempt":
		r.exempt()
	case callbackPage:
		r.exemptPage()
	case "unexempt":
		r.unexempt()
	case "why":
		r.why()
	case "preview":
		r.preview()
	case "dryrun":
		r.dryRun()
	case "export":
		r.export()
	case "import":
		r.importFile()
	default:
		r.reply("group.help", nil)
	}
}

// everybody: help is for all who may write.
func (r *commandRun) everybody() bool { return r.cmd.name == "help" || r.cmd.name == "start" }

// anonymous: an administrator writing as the group itself.
func (r *commandRun) anonymous() bool {
	return r.e.GetKind() == protos.EventKind_MESSAGE &&
		(r.e.GetFrom().GetId() == anonymousAdmin || r.e.GetSenderChat().GetId() == r.group && r.group != 0)
}

// do asks Telegram and waits.
func (r *commandRun) do(job *protos.Job) *protos.JobDone {
	left := time.Until(deadlineOf(r.ctx))
	if left <= 0 {
		return &protos.JobDone{Outcome: protos.Outcome_EXPIRED}
	}
	if job.GetChatId() == 0 && job.GetLane() != protos.Lane_ANSWER {
		job.ChatId = r.place
	}
	job.UpdateId = r.e.GetUpdateId()
	got, err := r.d.root.RequestFuture(r.d.dir.Sender(), job, left).Result()
	if done, ok := got.(*protos.JobDone); ok && err == nil {
		return done
	}
	return &protos.JobDone{Outcome: protos.Outcome_EXPIRED}
}

func deadlineOf(ctx context.Context) time.Time {
	at, _ := ctx.Deadline()
	return at
}

// store commits a change and waits; the command's update is settled by it.
func (r *commandRun) store(change func(persistence.Tx) error) error {
	result := make(chan error, 1)
	e, settler := r.e, r.d.settler
	r.d.writer.Do(func(tx persistence.Tx) error {
		if _, err := tx.MarkSeen(e.GetUpdateId()); err != nil {
			return err
		}
		return change(tx)
	}, func(err error) {
		if err == nil {
			settler.Settled(e.GetDelivery())
		}
		result <- err
	})
	select {
	case err := <-result:
		return err
	case <-r.ctx.Done():
		return r.ctx.Err()
	}
}

// changed has the group read its rows again at once, and look at whom it muted if the rule was relaxed.
// What the group hears of after this was sent, it judges by the new rows.
func (r *commandRun) changed(relaxed bool) {
	r.d.root.Send(r.d.dir.Shard(r.group), &protos.GroupChanged{GroupId: r.group, Relaxed: relaxed})
}

// reply answers in the command's place and topic; answer and command go after a minute.
func (r *commandRun) reply(id string, data map[string]any) {
	r.send(r.d.words.Say(r.lang, id, data), nil)
}

func (r *commandRun) send(html string, keyboard []*protos.ButtonRow) {
	job := &protos.Job{Lane: protos.Lane_TALK, ChatId: r.place, Do: &protos.Job_Send{Send: &protos.SendText{
		ThreadId: r.e.GetThreadId(), Html: text.Fit(html), Keyboard: keyboard, ReplyTo: r.e.GetMessageId(),
	}}}
	r.endsSoon()
	if r.place == r.group {
		r.d.root.Send(r.self, &answerOut{job: job})
		return
	}
	job.GetSend().RemoveKeyboard = r.last && keyboard == nil
	r.do(job)
}

// endsSoon has a command in a group deleted after a minute, as its answer is, and settles it.
func (r *commandRun) endsSoon() {
	row := persistence.Due{ChatID: r.group, MessageID: r.e.GetMessageId(), At: r.d.clock().Add(answerStays)}
	err := r.store(func(tx persistence.Tx) error {
		if r.place != r.group {
			return nil
		}
		return tx.AddDue(row)
	})
	if err != nil {
		r.d.log.Warn().Err(err).Int64("chat", r.group).Msg("a command's end cannot be stored")
		r.d.settler.Settled(r.e.GetDelivery())
	}
}

// show edits the message a button hangs on; nobody waits for it.
func (r *commandRun) show(html string, keyboard []*protos.ButtonRow) {
	id := r.e.GetMessageId()
	r.d.root.Send(r.self, &panelOut{message: id, job: &protos.Job{Lane: protos.Lane_TALK, ChatId: r.place, Do: &protos.Job_Edit{
		Edit: &protos.EditText{MessageId: id, Html: html, Keyboard: keyboard},
	}}})
}

// pressed answers an administrator's button.
func (r *commandRun) pressed(id string) {
	r.do(answerJob(r.e, r.d.words.Press(r.e.GetFrom().GetLanguageCode(), id, nil), true))
	r.d.settler.Settled(r.e.GetDelivery())
}
