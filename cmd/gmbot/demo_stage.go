package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/gmbot/gmbot/telegram/simulator"
)

// stage prints what happens in the demo's world, a line for each thing somebody does.
type stage struct {
	mu     sync.Mutex
	out    io.Writer
	colour bool
	sim    *simulator.Server
	bot    simulator.Bot
	silent bool
	lines  chan simulator.Event
}

func newStage(out io.Writer) *stage {
	st := &stage{out: out, colour: isTerminal(out), lines: make(chan simulator.Event, 1024)}
	go func() {
		// The world is locked while it tells what happened, and names are asked of it here.
		for e := range st.lines {
			st.print(e)
		}
	}()
	return st
}

// see takes an event of the world.
func (st *stage) see(e simulator.Event) {
	st.mu.Lock()
	silent := st.silent
	st.mu.Unlock()
	if silent {
		return
	}
	select {
	case st.lines <- e:
	default: // a flood is not for reading
	}
}

// quiet does something that is not part of the story.
func (st *stage) quiet(do func()) {
	st.mu.Lock()
	st.silent = true
	st.mu.Unlock()
	do()
	st.mu.Lock()
	st.silent = false
	st.mu.Unlock()
}

const (
	bold  = "1"
	faint = "2"
	red   = "31"
	green = "32"
	blue  = "36"
)

func (st *stage) paint(code, s string) string {
	if !st.colour {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (st *stage) write(line string) {
	st.mu.Lock()
	defer st.mu.Unlock()
	_, _ = fmt.Fprintln(st.out, line)
}

func (st *stage) title(bot, page string) {
	st.write(st.paint(bold, "A day with gmbot") + "\n\n" +
		"A simulated Telegram, the real bot (@" + bot + ") on it over HTTP, its store in\n" +
		"a temporary folder. Garden Talk is a group. Whoever writes there should have\n" +
		"joined the channel Garden News. Olga owns both; Boris has joined the channel,\n" +
		"Anna has not.\n\n" +
		"Watch it, and play every part yourself, on " + st.paint(bold, page+"/"))
}

func (st *stage) chapter(title string) { st.write("\n" + st.paint(bold, title)) }

func (st *stage) complain(words string) { st.write(st.paint(red, "  ✗ "+words)) }

// breathe lets a reader follow, and what the bot still says arrive in its own scene.
func (st *stage) breathe(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(600 * time.Millisecond):
	}
}

func (st *stage) farewell(page, http string) {
	st.write("\n" + st.paint(bold, "That was the day.") + " The world goes on:\n\n" +
		"  " + page + "/          the chats: be anybody, write, join, press, raid\n" +
		"  " + page + "/control/  the same for programs (see `gmbot simulator --help`)\n" +
		"  " + http + "/metrics   what the bot counts\n\nCtrl-C ends it.")
}

// print writes one line: when, who, does what, and the words.
func (st *stage) print(e simulator.Event) {
	who, does, what := st.describe(e)
	if does == "" {
		return
	}
	shade := green
	if e.UserID == st.bot.ID {
		shade = blue
	}
	st.write("  " + st.paint(faint, time.Now().Format("15:04:05.000")) + "  " + st.paint(shade, pad(who, 6)) + "  " +
		pad(does, 9) + "  " + wrap(what))
}

const (
	columns = 80
	indent  = 35 // columns before the words
)

// wrap breaks what is said into lines that stand under each other on a terminal of the usual width.
func wrap(s string) string {
	var b strings.Builder
	at := indent
	for i, word := range strings.Fields(s) {
		n := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case at+1+n > columns:
			b.WriteString("\n" + strings.Repeat(" ", indent))
			at = indent
		default:
			b.WriteByte(' ')
			at++
		}
		b.WriteString(word)
		at += n
	}
	return b.String()
}

func (st *stage) describe(e simulator.Event) (who, does, what string) {
	who = st.sim.Name(e.UserID)
	if e.UserID == st.bot.ID {
		who = "gmbot"
	}
	target, place := st.sim.Name(e.Target), st.sim.Name(e.ChatID)
	switch e.Kind {
	case "join":
		return target, "joins", place
	case "leave":
		return target, "leaves", place
	case "write":
		return who, "writes", quote(e.Text)
	case "press":
		return who, "presses", "[" + e.Text + "]"
	case "promote":
		if e.Target == st.bot.ID {
			target = "gmbot"
		}
		return who, "promotes", target + " in " + place
	case "restrict":
		return who, "mutes", target
	case "free":
		return who, "frees", target
	case "delete":
		if e.Target == st.bot.ID {
			return who, "removes", "its " + quote(shorten(e.Text, 36))
		}
		return who, "deletes", target + "'s " + quote(e.Text)
	case "send":
		return who, "says", quote(e.Text)
	case "edit":
		return who, "edits to", quote(e.Text)
	case "answer":
		return who, "answers", quote(e.Text)
	}
	return "", "", ""
}

func quote(s string) string {
	return "“" + shorten(s, 132) + "”"
}

// shorten puts words on one line of at most n characters.
func shorten(s string, n int) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > n {
		s = string(r[:n-1]) + "…"
	}
	return s
}

func pad(s string, n int) string {
	if k := utf8.RuneCountInString(s); k < n {
		return s + strings.Repeat(" ", n-k)
	}
	return s
}

// said reports whether somebody's message with these words stands in a chat.
func (st *stage) said(chat, from int64, part string) bool {
	for _, m := range st.sim.Messages(chat) {
		if m.From == from && strings.Contains(m.Text, part) {
			return true
		}
	}
	return false
}

// called reports whether the bot made a call about somebody that was answered.
func (st *stage) called(method string, user int64) bool {
	for _, c := range st.sim.CallsOf(method) {
		if fmt.Sprint(c.Params["user_id"]) == fmt.Sprint(user) && c.Status == 200 {
			return true
		}
	}
	return false
}

// buttonData lists the data of a message's callback buttons, in order.
func buttonData(markup json.RawMessage) (data []string) {
	var k struct {
		Rows [][]struct {
			Data string `json:"callback_data"`
		} `json:"inline_keyboard"`
	}
	if json.Unmarshal(markup, &k) != nil {
		return nil
	}
	for _, row := range k.Rows {
		for _, b := range row {
			if b.Data != "" {
				data = append(data, b.Data)
			}
		}
	}
	return data
}
