package page

import (
	"errors"
	"fmt"
	"time"
)

const (
	maxRaid = 2000
	// raidPace is the time between two raiders: a thousand come within five seconds.
	raidPace = 5 * time.Millisecond
)

var errRaiding = errors.New("a raid is under way already")

// raid is how far a raid has come.
type raid struct {
	Chat int64 `json:"chat,omitempty"`
	Size int   `json:"size"`
	Come int   `json:"come"`
	On   bool  `json:"on"`
}

func (p *Page) raiding() raid {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.raid
}

// startRaid lets strangers pour into a chat, each with an advertisement.
func (p *Page) startRaid(chat int64, size int) error {
	size = min(max(size, 1), maxRaid)
	p.mu.Lock()
	if p.raid.On {
		p.mu.Unlock()
		return errRaiding
	}
	p.raid = raid{Chat: chat, Size: size, On: true}
	p.mu.Unlock()
	go p.pour(chat, size)
	return nil
}

func (p *Page) pour(chat int64, size int) {
	tick := time.NewTicker(raidPace)
	defer tick.Stop()
	for n := range size {
		select {
		case <-tick.C:
		case <-p.life.Done():
			return
		}
		id := p.o.Sim.NewUser(raider(n), "")
		p.mu.Lock()
		p.crowd[id] = true
		p.raid.Come++
		p.mu.Unlock()
		if p.o.Sim.Join(chat, id) == nil {
			// Whoever is muted before may not write, which is the point.
			_, _ = p.o.Sim.Write(chat, id, advertisements[n%len(advertisements)])
		}
	}
	p.mu.Lock()
	p.raid.On = false
	p.mu.Unlock()
}

var (
	raiderNames    = []string{"Max", "Lia", "Tom", "Zoe", "Kim", "Ben", "Ida", "Leo", "Mia", "Sam", "Eva", "Jan", "Noa", "Pia", "Rex", "Uma"}
	advertisements = []string{"Earn 500 a day from home!", "FREE coins, write to me", "Who wants to double their money?", "Best prices, look at my profile"}
)

func raider(n int) string { return fmt.Sprintf("%s %d", raiderNames[n%len(raiderNames)], n+1) }
