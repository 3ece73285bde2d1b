package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime/debug"
	"time"
)

type versionCommand struct{}

// Run is `gmbot version`.
func (versionCommand) Run(out io.Writer) error {
	_, err := fmt.Fprintln(out, "gmbot "+version())
	return err
}

// released is the version of a release, set by its build (-ldflags -X).
var released string

// version is what the build noted: a tag, or a commit.
func version() string {
	if released != "" && released != "(devel)" {
		return released
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && (info.Main.Version == "" || info.Main.Version == "(devel)") {
			return s.Value[:min(len(s.Value), 12)]
		}
	}
	if info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}

type healthCommand struct {
	HTTPAddr string `env:"HTTP_ADDR" name:"http-addr" default:":8000" help:"Address the bot serves /ready on."`
}

// Run is `gmbot health`.
func (h healthCommand) Run(ctx context.Context, out io.Writer) error {
	host, port, err := net.SplitHostPort(h.HTTPAddr)
	if err != nil {
		return settingErrors{{"HTTP_ADDR", "is no address", "for example :8000"}}
	}
	if host == "" || host == "0.0.0.0" || host == "::" {
		host = "127.0.0.1"
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/ready", http.NoBody)
	if err != nil {
		return settingErrors{{"HTTP_ADDR", "is no address", "for example :8000"}}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("no bot answers on %s", h.HTTPAddr)
	}
	defer func() { _ = resp.Body.Close() }()
	words, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	if _, err := fmt.Fprint(out, string(words)); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("not ready")
	}
	return nil
}
