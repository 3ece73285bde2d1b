package main

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
)

// startDemo starts the demo and returns the address of its page.
func startDemo(t *testing.T) string {
	t.Helper()
	p := launch(t, []string{"demo", "--http-addr", "127.0.0.1:0"})
	address := regexp.MustCompile(`http://127\.0\.0\.1:\d+/`)
	eventually(t, 20*time.Second, "the page's address is printed", func() bool { return address.MatchString(p.log.String()) })
	return address.FindString(p.log.String())
}

// player takes every part on the page.
type player struct{ *browser }

// makes makes a person, group or channel by the dialog, with the keyboard alone, and waits until that is open.
func (p player) makes(kind, name string) {
	p.t.Helper()
	p.do(chromedp.Click(chromedp.CSS("#new")), chromedp.WaitVisible(chromedp.CSS("#make")),
		chromedp.SetValue(chromedp.CSS("#make-kind"), kind), chromedp.SendKeys(chromedp.CSS("#make-name"), name+"\n"))
	if kind == "person" {
		p.when("you are "+name, fmt.Sprintf(`document.getElementById("me").selectedOptions[0]?.text === %q`, name))
		return
	}
	p.sees("#title", name)
}

func (p player) opens(chat string) {
	p.t.Helper()
	p.presses("#rooms button", chat)
	p.sees("#title", chat)
}

func (p player) writes(words string) {
	p.t.Helper()
	p.do(chromedp.WaitVisible(chromedp.CSS("#words")), chromedp.SendKeys(chromedp.CSS("#words"), words), enter)
}

// The whole story on the page, played by one person who takes every part.
func TestE2E_ThePage(t *testing.T) {
	t.Parallel()
	p := player{openBrowser(t, startDemo(t), 1440, 900)}
	p.shade("light")
	p.protectByWizard("Bird Talk", "Bird News")

	// A stranger comes, writes, and is muted.
	p.opens("Bird Talk")
	p.makes("person", "Vera")
	p.presses("#enter", "Join")
	p.sees("#closed", "You are muted here.")
	p.sees("#posts", "Vera, to write here please join")
	p.sees("#calls", "restrictChatMember")

	// The button says what is missing, as an alert.
	p.presses("#posts .buttons button", "I have joined")
	p.sees("#alert", "Still missing: Bird News")
	p.shoot("alert")
	p.presses("#alert button", "OK")

	// The notice's other button leads to the channel. Who joins is free, and the notice goes.
	p.presses("#posts .buttons button", "Bird News")
	p.sees("#title", "Bird News")
	p.presses("#enter", "Join")
	p.opens("Bird Talk")
	p.seesNot("#posts", "to write here please join")
	p.writes("Hello from Vera")
	p.sees("#posts .mine", "Hello from Vera")
	p.seesNot("#closed", "muted")

	p.raids()

	// What it thinks of the group.
	p.presses("#tab-think", "What it thinks")
	p.sees("#think", "Bird News")
	p.sees("#think", "muted")
	p.presses("#tab-calls", "What it did")

	// What the bot did can be opened, and holds no secret.
	p.presses("#calls summary", "restrictChatMember")
	p.sees("#calls pre", "can_send_messages")
	p.seesNot("#calls", "t.me/+S")
}

// protectByWizard protects a group of Nadia's without typing more than /start.
func (p player) protectByWizard(group, channel string) {
	p.t.Helper()
	p.makes("person", "Nadia")
	p.makes("channel", channel)
	p.makes("group", group)
	p.opens("@gate_bot")
	p.writes("/start")
	p.presses("#posts .buttons button", "Set up a group")
	p.presses("#keyboard button", "roup")
	p.presses("#choose-list button", group)
	p.presses("#keyboard button", "hannel")
	p.presses("#choose-list button", channel)
	p.sees("#posts", "Shall I begin?")
	p.shoot("wizard")
	p.presses("#posts .buttons button", "Yes, begin")
	p.sees("#posts", "is protected")
}

// raids starts a raid by the slider and watches it to its end: everybody muted, one notice that counts them, no
// advertisement left, and a page that keeps up. RAID says how many come, 200 unless set.
func (p player) raids() {
	p.t.Helper()
	size := 200
	if n, err := strconv.Atoi(os.Getenv("RAID")); err == nil {
		size = n
	}
	p.shade("dark")
	p.do(chromedp.Evaluate[chromedp.Void](`(() => {
		window.gaps = []; let last = performance.now();
		const tick = (now) => { window.gaps.push(now - last); last = now; requestAnimationFrame(tick); };
		requestAnimationFrame(tick);
	})()`))
	p.presses("#tab-raid", "Raid")
	p.do(chromedp.Evaluate[chromedp.Void](fmt.Sprintf(
		`(() => { const s = document.getElementById("size"); s.value = %d; s.dispatchEvent(new Event("input")) })()`, size)))
	p.sees("#size-shown", strconv.Itoa(size))
	p.presses("#raid", "Start the raid")
	p.sees("#posts", "others, to write here please join")
	p.shoot("raid")
	p.sees("#raid-words", fmt.Sprintf("%d of %d came", size, size))
	p.when("the last advertisement is gone", `![...document.querySelectorAll("#posts li:not(.robot):not(.service)")].some(e => /coins|money|Earn|prices/.test(e.innerText))`)
	p.when("one notice names or counts them all", fmt.Sprintf(`(() => {
		const n = [...document.querySelectorAll("#posts li.robot")].filter(e => e.innerText.includes("to write here please join"));
		const named = n[0]?.querySelectorAll(".text_mention").length, others = Number(/(\d+) others/.exec(n[0]?.innerText)?.[1]);
		return n.length === 1 && named + others === %d;
	})()`, size))
	p.sees("#subtitle", fmt.Sprintf("%d members", size+3))
	p.t.Logf("frames of a raid of %d: median %.0f ms, 99th percentile %.0f ms, longest %.0f ms", size,
		p.measure(`gaps.toSorted((a, b) => a - b)[gaps.length >> 1]`),
		p.measure(`gaps.toSorted((a, b) => a - b)[Math.floor(gaps.length * .99)]`), p.measure(`Math.max(...gaps)`))
	p.presses("#tab-calls", "What it did")
}

// On a phone the page shows one thing at a time, and all of it can be reached.
func TestE2E_ThePageOnAPhone(t *testing.T) {
	t.Parallel()
	p := player{openBrowser(t, startDemo(t), 390, 844)}
	p.shade("dark")
	p.sees("#rooms", "Garden Talk")
	p.presses("#rooms button", "Garden Talk")
	p.sees("#title", "Garden Talk")
	p.seesNot("#rooms", "Garden Talk")
	p.sees("#posts", "Good morning! The tomatoes are out.")
	p.shoot("phone")
	assert.LessOrEqual(t, p.measure(`document.documentElement.scrollWidth`), 390.0, "nothing sticks out")
	p.presses("#show-bot", "Bot")
	p.sees("#calls", "getChatMember")
	p.do(chromedp.Click(chromedp.CSS("#back-bot")))
	p.do(chromedp.Click(chromedp.CSS("#back")))
	p.sees("#rooms", "Garden News")
}
