package main

import (
	"fmt"
	"io"
	"strings"
)

// progressBar shows on a terminal how far a run is; elsewhere it shows nothing.
type progressBar struct {
	out  io.Writer
	what string
}

func newProgressBar(out io.Writer) *progressBar {
	if !isTerminal(out) {
		return &progressBar{out: io.Discard}
	}
	return &progressBar{out: out}
}

const barWidth = 30

func (b *progressBar) title(what string) {
	b.what = what
	b.show(0)
}

func (b *progressBar) show(share float64) {
	full := min(max(int(share*barWidth), 0), barWidth)
	_, _ = fmt.Fprintf(b.out, "\r\x1b[K%s%s %3.0f %%  %s", strings.Repeat("█", full), strings.Repeat("░", barWidth-full), share*100, b.what)
}

func (b *progressBar) clear() { _, _ = fmt.Fprint(b.out, "\r\x1b[K") }
