package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/procfs"
	"github.com/redis/rueidis"

	"github.com/gmbot/gmbot/telegram/simulator/load"
)

// benchProcess is this program in another process.
type benchProcess struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader

	drained chan struct{} // closed when nobody reads out any more; nil while its owner does
}

// startSelf starts this program with a command and nothing of this one's environment but Go's own settings. What it says
// on standard error goes to errOut.
func startSelf(errOut io.Writer, env []string, args ...string) (*benchProcess, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	p := &benchProcess{cmd: exec.Command(self, args...)} //nolint:gosec,noctx // itself; stop ends it
	p.cmd.Env = append(goSettings(), env...)
	p.cmd.Stderr = errOut
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewReader(out)
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", args[0], err)
	}
	return p, nil
}

// drain lets nobody read what the process says from now on.
func (p *benchProcess) drain() {
	p.drained = make(chan struct{})
	go func() {
		defer close(p.drained)
		_, _ = io.Copy(io.Discard, p.out)
	}()
}

// stop ends the process in order, or at once when that takes too long. How it ended is of no matter: it
// was told to.
func (p *benchProcess) stop() {
	_ = p.in.Close()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	killed := time.AfterFunc(stopWithin, func() { _ = p.cmd.Process.Kill() })
	defer killed.Stop()
	if p.drained == nil {
		p.drain()
	}
	<-p.drained
	_ = p.cmd.Wait()
}

// order gives a line to the process that is Telegram.
func (p *benchProcess) order(v string) error {
	_, err := io.WriteString(p.in, v+"\n")
	return err
}

// hear waits for a line that is no progress.
func (p *benchProcess) hear(progress func(float64)) (benchSays, error) {
	for {
		silent := time.AfterFunc(silence, func() { _ = p.cmd.Process.Kill() })
		line, err := p.out.ReadBytes('\n')
		silent.Stop()
		var said benchSays
		if err == nil {
			err = json.Unmarshal(line, &said)
		}
		switch {
		case err != nil:
			return said, fmt.Errorf("the simulated Telegram ended: %w", err)
		case said.Error != "":
			return said, errors.New(said.Error)
		case said.Progress == nil:
			return said, nil
		}
		progress(*said.Progress)
	}
}

// startTelegram starts the simulated Telegram with a load.
func startTelegram(errOut io.Writer, spec load.Spec) (*benchProcess, benchSays, error) {
	p, err := startSelf(errOut, nil, "bench-telegram")
	if err != nil {
		return nil, benchSays{}, err
	}
	raw, err := json.Marshal(spec)
	if err == nil {
		err = p.order(string(raw))
	}
	var said benchSays
	if err == nil {
		said, err = p.hear(nil)
	}
	if err != nil {
		p.stop()
		return nil, said, err
	}
	return p, said, nil
}

// silence is how long that process may say nothing: a bot that died or hangs ends the bench by it.
const silence = 3 * time.Minute

// sample is what a process has used since it began, by its own accounting.
type sample struct {
	cpu     time.Duration
	rss     uint64 // bytes
	file    uint64 // of these, pages of files: the program's own text
	peak    uint64
	metrics map[string]float64 // summed over labels; nil for the bare bot
	redis   float64            // commands the server has run
}

func (p *benchProcess) cpu() time.Duration {
	proc, err := procfs.NewProc(p.cmd.Process.Pid)
	if err != nil {
		return 0
	}
	stat, err := proc.Stat()
	if err != nil {
		return 0
	}
	return time.Duration(stat.CPUTime() * float64(time.Second))
}

func (p *benchProcess) memory() (rss, file, peak uint64) {
	proc, err := procfs.NewProc(p.cmd.Process.Pid)
	if err != nil {
		return 0, 0, 0
	}
	status, err := proc.NewStatus()
	if err != nil {
		return 0, 0, 0
	}
	return status.VmRSS, status.RssFile, status.VmHWM
}

// readMetrics reads a bot's counters, summed over their labels.
func readMetrics(ctx context.Context, addr string) (map[string]float64, error) {
	raw, err := fetch(ctx, "http://"+addr+"/metrics")
	if err != nil {
		return nil, err
	}
	return countersIn(raw), nil
}

// countersIn reads the text format of Prometheus.
func countersIn(raw []byte) map[string]float64 {
	all := map[string]float64{}
	for line := range bytes.Lines(raw) {
		words := strings.TrimSpace(string(line))
		at := strings.LastIndexByte(words, ' ')
		if at < 0 || strings.HasPrefix(words, "#") {
			continue
		}
		name, _, _ := strings.Cut(words[:at], "{")
		if n, err := strconv.ParseFloat(words[at+1:], 64); err == nil {
			all[name] += n
		}
	}
	return all
}

func fetch(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: status %d", url, resp.StatusCode)
	}
	return io.ReadAll(resp.Body)
}

// redisCommands is how many commands a Redis server has run; 0 when there is none.
func redisCommands(ctx context.Context, url string) float64 {
	if url == "" {
		return 0
	}
	options, err := rueidis.ParseURL(url)
	if err != nil {
		return 0
	}
	client, err := rueidis.NewClient(options)
	if err != nil {
		return 0
	}
	defer client.Close()
	info, err := client.Do(ctx, client.B().Info().Section("stats").Build()).ToString()
	if err != nil {
		return 0
	}
	for line := range strings.Lines(info) {
		if n, ok := strings.CutPrefix(line, "total_commands_processed:"); ok {
			commands, _ := strconv.ParseFloat(strings.TrimSpace(n), 64)
			return commands
		}
	}
	return 0
}
