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
)

// parseCallback returns the data if it is one of ours, else "".
func parseCallback(data string) string {
	switch data {
	case callbackCheck, callbackUnprotect, callbackKeep:
		return data
	}
	return ""
}

// command is what somebody asked of the bot in a group.
type command struct {
	name string // without slash, lower case; or callback data
	args []string
}

// groupCommands are the commands that a group answers.
var groupCommands = []string{"protect", "unprotect", "status", "settings", "help", "start"}

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
	if len(g.running) >= commandQueue {
		g.refuse(e, "too many commands at once")
		return
	}
	g.running[e.GetUpdateId()] = true
	g.commands = append(g.commands, pending{e: e, cmd: cmd})
	if len(g.commands) == 1 {
		g.runCommand(c)
	}
}

func (g *group) runCommand(c actor.Context) {
	p := g.commands[0]
	self, root, d, id := c.Self(), g.d.root, g.d, g.id
	known := !g.g.Enabled || (g.known(p.e.GetFrom().GetId()) && g.kids[p.e.GetFrom().GetId()] == nil)
	lang := g.g.Settings.Language
	ok := d.commands.Go(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, commandTime)
		defer cancel()
		r := &commandRun{d: d, self: self, group: id, e: p.e, cmd: p.cmd, lang: lang, known: known, ctx: ctx}
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

// recoverCommand keeps a fault in one command from harming the program; its update comes again.
func recoverCommand(d *deps, e *protos.Event) {
	if r := recover(); r != nil {
		d.log.Error().Str("stack", telegram.Redact(string(debug.Stack()))).Msg("a command panicked")
		d.settler.NotDone(e.GetDelivery(), telegram.Redact(fmt.Sprintf("command panicked: %v", r)))
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
	group int64
	e     *protos.Event
	cmd   command
	lang  string
	known bool // the caller may write here
}

func (r *commandRun) run(done *commandDone) {
	if !r.anonymous() && !r.everybody() {
		admin, sure := r.isAdmin(r.e.GetFrom().GetId())
		switch {
		case admin:
		case r.cmd.isButton():
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
	default:
		r.reply("group.help", nil)
	}
}

// everybody: help is for all who may write.
func (r *commandRun) everybody() bool { return r.cmd.name == "help" || r.cmd.name == "start" }

func (c command) isButton() bool { return c.name == callbackUnprotect || c.name == callbackKeep }

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
		job.ChatId = r.group
	}
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
func (r *commandRun) changed(relaxed bool) { r.d.root.Send(r.self, &reload{recheck: relaxed}) }

// reply answers in the command's place and topic; answer and command go after a minute.
func (r *commandRun) reply(id string, data map[string]any) {
	r.send(r.d.words.Say(r.lang, id, data), nil)
}

func (r *commandRun) send(html string, keyboard []*protos.ButtonRow) {
	done := r.do(&protos.Job{Lane: protos.Lane_TALK, Do: &protos.Job_Send{Send: &protos.SendText{
		ThreadId: r.e.GetThreadId(), Html: text.Fit(html), Keyboard: keyboard, ReplyTo: r.e.GetMessageId(),
	}}})
	at := r.d.clock().Add(answerStays)
	rows := []persistence.Due{{ChatID: r.group, MessageID: r.e.GetMessageId(), At: at}}
	if done.GetOutcome() == protos.Outcome_DONE {
		rows = append(rows, persistence.Due{ChatID: r.group, MessageID: done.GetMessageId(), At: at})
	}
	err := r.store(func(tx persistence.Tx) error {
		for _, row := range rows {
			if err := tx.AddDue(row); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		r.d.log.Warn().Err(err).Int64("chat", r.group).Msg("an answer's end cannot be stored")
		r.d.settler.Settled(r.e.GetDelivery())
	}
}

// pressed answers an administrator's button.
func (r *commandRun) pressed(id string) {
	r.do(answerJob(r.e, r.d.words.Press(r.e.GetFrom().GetLanguageCode(), id, nil), true))
	r.d.settler.Settled(r.e.GetDelivery())
}
