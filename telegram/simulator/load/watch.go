package load

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/gmbot/gmbot/telegram/simulator"
)

// pair is somebody, or a message, in a chat.
type pair struct{ chat, id int64 }

// victim is a stranger who writes, and what becomes of it.
type victim struct {
	chat, user int64
	during     bool // wrote while a raid was on, elsewhere
	raider     bool
	handed     time.Time
	muted      time.Time
	deleted    time.Time
	joins      bool // the channel, after the mute
	joined     time.Time
	freed      time.Time
}

// pressed is a press on a button.
type pressed struct {
	during   bool
	handed   time.Time
	answered time.Time
}

// button is one that can be pressed, on the bot's last message of a chat.
type button struct {
	message int64
	data    string
}

// watch keeps what was sent to the bot and what it called for.
type watch struct {
	channel  int64
	mu       sync.Mutex
	counting bool
	during   bool
	victims  map[int64]*victim // by person
	messages map[pair]*victim  // by message
	presses  map[string]*pressed
	buttons  map[int64]button // by chat
	calls    map[string]int
	polls    int
	lastCall time.Time
	open     int           // effects that are still to come
	done     int           // effects that came
	moved    chan struct{} // gets a value when something came
	onMute   func(*victim) // must not block, nor call the watch
}

func newWatch() *watch {
	return &watch{
		victims: map[int64]*victim{}, messages: map[pair]*victim{}, presses: map[string]*pressed{}, buttons: map[int64]button{},
		calls: map[string]int{}, moved: make(chan struct{}, 1),
	}
}

// expect tells that a stranger is about to write: a mute and a deletion are to come.
func (w *watch) expect(v *victim) {
	w.mu.Lock()
	defer w.mu.Unlock()
	v.during = w.during && !v.raider
	w.victims[v.user] = v
	w.open += 2
}

// begin forgets the warm-up.
func (w *watch) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.victims)
	clear(w.messages)
	clear(w.presses)
	clear(w.calls)
	w.open, w.done, w.counting = 0, 0, true
}

// raid tells whether one is on.
func (w *watch) raid(on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.during = on
}

// more effects are to come, or fewer.
func (w *watch) more(n int) {
	w.mu.Lock()
	w.open += n
	w.mu.Unlock()
	w.wake()
}

// await returns when something came, or after a while.
func (w *watch) await(ctx context.Context, within time.Duration) error {
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-w.moved:
	case <-timer.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

func (w *watch) wake() {
	select {
	case w.moved <- struct{}{}:
	default:
	}
}

// came notes an effect, once.
func (w *watch) came(at *time.Time, now time.Time) bool {
	if !at.IsZero() {
		return false
	}
	*at = now
	w.open--
	w.done++
	return true
}

// onHand is told by the simulator, which is locked.
func (w *watch) onHand(h simulator.Handed) {
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	switch h.Kind {
	case "message":
		if v := w.victims[h.UserID]; v != nil && v.handed.IsZero() {
			v.handed = now
			w.messages[pair{h.ChatID, h.MessageID}] = v
		}
	case "callback_query":
		w.presses[h.CallbackID] = &pressed{handed: now, during: w.during}
	case "chat_member":
		if v := w.victims[h.UserID]; v != nil && h.ChatID == w.channel && v.joins && v.joined.IsZero() {
			v.joined = now
		}
	}
}

// onCall is told of each call after it was answered.
func (w *watch) onCall(c simulator.Call) {
	came := c.At.Add(-c.Took)
	w.mu.Lock()
	w.lastCall = time.Now()
	switch {
	case !w.counting:
	case c.Method == "getUpdates":
		w.polls++
	default:
		w.calls[c.Method]++
	}
	if c.Status == 200 {
		w.effect(c, came)
	}
	w.mu.Unlock()
	w.wake()
}

func (w *watch) effect(c simulator.Call, came time.Time) {
	chat := number(c.Params["chat_id"])
	switch c.Method {
	case "restrictChatMember":
		w.restricted(chat, number(c.Params["user_id"]), mutes(c.Params["permissions"]), came)
	case "deleteMessage":
		w.gone(chat, number(c.Params["message_id"]), came)
	case "deleteMessages":
		for _, id := range numbers(c.Params["message_ids"]) {
			w.gone(chat, id, came)
		}
	case "answerCallbackQuery":
		if p := w.presses[fmt.Sprint(c.Params["callback_query_id"])]; p != nil {
			w.came(&p.answered, came)
		}
	case "sendMessage":
		if b, ok := buttonOf(c.Result); ok {
			w.buttons[chat] = b
		}
	}
}

func (w *watch) restricted(chat, user int64, mute bool, came time.Time) {
	v := w.victims[user]
	switch {
	case v == nil || v.chat != chat:
	case mute:
		if w.came(&v.muted, came) && w.onMute != nil {
			w.onMute(v)
		}
	case v.joins && !v.joined.IsZero():
		w.came(&v.freed, came)
	}
}

func (w *watch) gone(chat, message int64, came time.Time) {
	if v := w.messages[pair{chat, message}]; v != nil {
		w.came(&v.deleted, came)
	}
}

// number reads an integer parameter, whichever way it came.
func number(v any) int64 {
	n, _ := strconv.ParseInt(fmt.Sprint(v), 10, 64)
	return n
}

func numbers(v any) (list []int64) {
	switch v := v.(type) {
	case string:
		_ = json.Unmarshal([]byte(v), &list)
	case []any:
		for _, one := range v {
			list = append(list, number(one))
		}
	}
	return list
}

// mutes reports whether permissions forbid to write.
func mutes(v any) bool {
	switch v := v.(type) {
	case string:
		var flags map[string]bool
		return json.Unmarshal([]byte(v), &flags) == nil && !flags["can_send_messages"]
	case map[string]any:
		may, _ := v["can_send_messages"].(bool)
		return !may
	}
	return false
}

// buttonOf finds a message's last button that does not open a link.
func buttonOf(message json.RawMessage) (b button, ok bool) {
	var m struct {
		ID     int64 `json:"message_id"`
		Markup struct {
			Rows [][]struct {
				Data string `json:"callback_data"`
			} `json:"inline_keyboard"`
		} `json:"reply_markup"`
	}
	if json.Unmarshal(message, &m) != nil {
		return button{}, false
	}
	for _, row := range m.Markup.Rows {
		for _, one := range row {
			if one.Data != "" {
				b, ok = button{m.ID, one.Data}, true
			}
		}
	}
	return b, ok
}

// result puts together what was measured between two moments, the second being when all was taken: what
// was done about it may have come later.
func (w *watch) result(spec Spec, began, taken time.Time) Result {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counting = false
	r := Result{Calls: w.calls, Polls: w.polls, Violations: len(w.victims)}
	var mute, gone, answer, free []time.Duration
	quiet, during := [2][]time.Duration{}, [2][]time.Duration{}
	last := taken
	for _, v := range w.victims {
		mute, gone = since(mute, v.handed, v.muted), since(gone, v.handed, v.deleted)
		free = since(free, v.joined, v.freed)
		switch {
		case v.raider:
		case v.during:
			during[0] = since(during[0], v.handed, v.muted)
		default:
			quiet[0] = since(quiet[0], v.handed, v.muted)
		}
		last = latest(last, v.muted, v.deleted)
	}
	for _, p := range w.presses {
		answer = since(answer, p.handed, p.answered)
		if p.during {
			during[1] = since(during[1], p.handed, p.answered)
		} else {
			quiet[1] = since(quiet[1], p.handed, p.answered)
		}
	}
	r.Mute, r.Delete, r.Answer, r.Free = percentiles(mute), percentiles(gone), percentiles(answer), percentiles(free)
	if spec.Kind == Raid {
		r.Quiet = &Phase{percentiles(quiet[0]), percentiles(quiet[1])}
		r.During = &Phase{percentiles(during[0]), percentiles(during[1])}
	}
	r.Seconds = last.Sub(began).Seconds()
	return r
}

func since(all []time.Duration, from, to time.Time) []time.Duration {
	if from.IsZero() || to.IsZero() {
		return all
	}
	return append(all, to.Sub(from))
}

func latest(all ...time.Time) (last time.Time) {
	for _, at := range all {
		if at.After(last) {
			last = at
		}
	}
	return last
}
