package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/persistence/childtest"
)

// prometheusServer is a real Prometheus in a temporary folder.
type prometheusServer struct {
	t   *testing.T
	url string
}

// startPrometheus scrapes a target each half second; rules are files of rules it evaluates as often.
func startPrometheus(t *testing.T, target string, rules ...string) *prometheusServer {
	t.Helper()
	path, err := exec.LookPath("prometheus")
	require.NoError(t, err, "needs prometheus: on Debian `apt-get install prometheus`")
	dir := t.TempDir()
	for i, rule := range rules {
		rules[i], err = filepath.Abs(rule)
		require.NoError(t, err)
	}
	files, err := json.Marshal(append([]string{}, rules...))
	require.NoError(t, err)
	config := filepath.Join(dir, "prometheus.yaml")
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil, `
global: {scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms}
rule_files: %s
scrape_configs:
  - job_name: gmbot
    static_configs: [{targets: [%q]}]
`, files, target), 0o600))
	p := &prometheusServer{t: t, url: "http://" + freeAddr(t)}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), path, "--config.file="+config,
		"--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+p.url[len("http://"):], "--log.level=warn")
	out := &logs{}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	ended, err := childtest.Start(cmd)
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		if t.Failed() {
			t.Logf("prometheus said:\n%s", out)
		}
	})
	eventually(t, 20*time.Second, "Prometheus answers", func() bool {
		_, err := p.query("1")
		return err == nil
	})
	return p
}

// query evaluates an expression now and says how many series it gives.
func (p *prometheusServer) query(expr string) (series int, err error) {
	address := p.url + "/api/v1/query?" + url.Values{"query": {expr}}.Encode()
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, address, http.NoBody)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	var body struct {
		Status, Error string
		Data          struct{ Result []json.RawMessage }
	}
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
		return 0, err
	}
	if body.Status != "success" {
		return 0, fmt.Errorf("%s: %s", expr, body.Error)
	}
	return len(body.Data.Result), nil
}
