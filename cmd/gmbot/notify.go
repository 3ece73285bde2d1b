package main

import (
	"context"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// tellManager tells systemd, where that started the program, what it is doing: ready once it takes updates or
// stands by, alive as long as alive returns, and what it waits for. Elsewhere it returns at once.
func tellManager(ctx context.Context, st *status, alive func(context.Context) error) {
	const every = 500 * time.Millisecond
	if told, err := daemon.SdNotify(false, "STATUS=starting"); !told || err != nil {
		return
	}
	watchdog, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		watchdog = 0
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	var said string
	var fed time.Time
	begun := false
	for {
		ok, reason := st.isReady()
		if ok {
			reason = "taking updates"
		}
		if reason != said {
			said = reason
			_, _ = daemon.SdNotify(false, "STATUS="+reason)
		}
		if !begun && (ok || reason == standby) {
			begun = true
			_, _ = daemon.SdNotify(false, daemon.SdNotifyReady)
		}
		if watchdog > 0 && time.Since(fed) >= watchdog/3 && alive(ctx) == nil {
			fed = time.Now()
			_, _ = daemon.SdNotify(false, daemon.SdNotifyWatchdog)
		}
		select {
		case <-ctx.Done():
			_, _ = daemon.SdNotify(false, daemon.SdNotifyStopping)
			return
		case <-tick.C:
		}
	}
}

// standby is why a program that waits for another to end is not ready.
const standby = "standby"
