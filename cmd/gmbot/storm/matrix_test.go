package storm

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gmbot/gmbot/telegram/simulator"
)

// states are the columns of the matrix: how far the flow is of whom a call or update concerns, "-" where it
// concerns nobody, or the owner.
var states = []string{"-", "none", "checking", "muting", "muted", "freeing"}

// Why no call is made in a state, so that no trouble can meet it there.
const (
	someone     = "it always concerns somebody"
	nobody      = "it concerns nobody"
	storedFirst = "a mute is made only when the row says muting, a free only when it says freeing: the rule " + ruleStored
)

// unreachable says why a call cannot meet with trouble in a state. A cell that is met all the same shows that its
// reason is wrong, and fails the storm like one that is empty without a reason.
var unreachable = map[string]map[string]string{
	"restrictChatMember": {
		"-": someone, "none": storedFirst, "checking": storedFirst,
		"muted": "a mute that stands is renewed only after 25 days",
	},
	"getChatMember":          {},
	"deleteMessage":          {},
	"deleteMessages":         {},
	"sendMessage":            {},
	"editMessageText":        {},
	"editMessageReplyMarkup": {"-": "it is how a lost notice is looked for, which concerns whom that names"},
	"answerCallbackQuery":    {},
	"commit":                 {},
	"getUpdates":             but("-", nobody),
	"getMe":                  but("-", nobody),
	"getChat":                but("-", nobody),
	"update chat_member":     {"-": someone},
	"update message":         {"-": someone},
}

// but gives one reason for all states but one.
func but(state, reason string) map[string]string {
	all := map[string]string{}
	for _, s := range states {
		if s != state {
			all[s] = reason
		}
	}
	return all
}

// kindsOf are the kinds of trouble that a method can meet with.
func kindsOf(method string) []string {
	kinds := append(slices.Clone(callKinds), "death before", "death after")
	without := func(some ...string) []string {
		return slices.DeleteFunc(kinds, func(k string) bool { return slices.Contains(some, k) })
	}
	switch method {
	case "update chat_member":
		return []string{string(simulator.FaultDelay), string(simulator.FaultDuplicate)}
	case "update message":
		return []string{string(simulator.FaultMissing)}
	case "commit":
		return []string{"fails", "death before", "death after"}
	case "answerCallbackQuery", "getMe": // see trouble
		return without(floodKind, longKind)
	case "getUpdates":
		return without(longKind)
	}
	return kinds
}

// empty lists the cells that can be reached, and were not.
func (r *report) empty() (list []string) {
	for method, reasons := range unreachable {
		for _, kind := range kindsOf(method) {
			for _, state := range states {
				if reasons[state] == "" && r.Matrix[kind+"|"+method+"|"+state] == 0 {
					list = append(list, kind+" of "+method+" in "+state)
				}
			}
		}
	}
	slices.Sort(list)
	return list
}

// refuted lists the cells that were met although there is a reason why they cannot be.
func (r *report) refuted() (list []string) {
	for method, reasons := range unreachable {
		for _, kind := range kindsOf(method) {
			for state := range reasons {
				if r.Matrix[kind+"|"+method+"|"+state] > 0 {
					list = append(list, kind+" of "+method+" in "+state)
				}
			}
		}
	}
	slices.Sort(list)
	return list
}

// wish is trouble that waits for a call to a method in a state, so that what seldom happens meets it, too.
type wish struct {
	ID                  string
	At                  time.Duration
	Kind, Method, State string
}

// String implements fmt.Stringer.
func (w wish) String() string {
	return w.At.Round(time.Millisecond).String() + " " + w.Kind + " of " + w.Method + " in " + w.State
}

// cells are all that can be reached of calls and commits.
var cells = sync.OnceValue(func() (list []wish) {
	for _, method := range slices.Sorted(maps.Keys(unreachable)) {
		if strings.HasPrefix(method, "update ") {
			continue
		}
		for _, kind := range kindsOf(method) {
			for _, state := range states {
				if unreachable[method][state] == "" {
					list = append(list, wish{Kind: kind, Method: method, State: state})
				}
			}
		}
	}
	return list
})

// seldom are calls that a day sees once or twice: what is left of a message whose author is let off.
const seldom, seldomIn = "deleteMessages", "freeing"

// wants draws trouble that waits, and deaths. The first calls of a long world that are seldom meet with another kind of
// it in each world.
func (p *plan) wants(r *rand.Rand, n int) {
	add := func(w wish) {
		if how, ok := strings.CutPrefix(w.Kind, "death "); ok {
			p.Deaths = append(p.Deaths, death{At: w.At, How: how, What: w.Method, State: w.State, Down: rand2(r, 3*time.Second)})
			return
		}
		p.Wishes = append(p.Wishes, w)
	}
	for range n {
		w := cells()[r.IntN(len(cells()))]
		w.At = galeTime(r, p.Scale.moment(r))
		add(w)
	}
	if kinds := kindsOf(seldom); p.Scale.long() {
		for i := range uint64(2) {
			add(wish{At: morning, Method: seldom, State: seldomIn, Kind: kinds[(2*p.Seed+i)%uint64(len(kinds))]})
		}
	}
	slices.SortStableFunc(p.Wishes, func(a, b wish) int { return int(a.At - b.At) })
	for i := range p.Wishes {
		p.Wishes[i].ID = fmt.Sprintf("w%d", i)
	}
}

// granted takes the wish that a call or commit fulfils, if there is one.
func (w *watch) granted(method, state string) (kind, id string) {
	now := w.world.now()
	for i, one := range w.wishes {
		if one.At > now {
			break
		}
		if one.Method == method && one.State == state && w.world.only.happens(one.ID) {
			w.wishes = slices.Delete(w.wishes, i, i+1)
			return one.Kind, one.ID
		}
	}
	return "", ""
}
