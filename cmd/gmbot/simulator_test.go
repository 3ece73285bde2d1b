package main

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A faults file that is wrong ends `gmbot simulator` with its line; one that is right takes effect.
func TestSimulator_FaultsFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "faults.yaml")
	s := &simulatorCommand{Addr: freeAddr(t), Token: someToken, Username: "gate_bot", Faults: file}
	ctx, end := context.WithTimeout(t.Context(), 20*time.Second)
	defer end()
	require.ErrorContains(t, s.Run(ctx, io.Discard), "--faults: cannot be read")
	require.NoError(t, os.WriteFile(file, []byte("- kind: lost\n- kind: lots\n"), 0o600))
	require.ErrorContains(t, s.Run(ctx, io.Discard), "--faults: "+file+`: line 2: no such fault: kind "lots"`)

	s.Faults, s.Switch = "", []string{"Nonsense"}
	require.ErrorContains(t, s.Run(ctx, io.Discard), `--switch: there is no switch "Nonsense"`)
	s.Faults, s.Switch = file, []string{"MessageLimits", "CallbackWindow=40s"}

	require.NoError(t, os.WriteFile(file, []byte("- {kind: flood, method: getMe, for: 77s, times: 1}\n"), 0o600))
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, io.Discard) }()
	get := func() (status int, wait string) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.Addr+"/bot"+someToken+"/getMe", http.NoBody)
		require.NoError(t, err)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return 0, ""
		}
		_ = resp.Body.Close()
		return resp.StatusCode, resp.Header.Get("Retry-After")
	}
	eventually(t, 10*time.Second, "it serves", func() bool {
		status, wait := get()
		return status == http.StatusTooManyRequests && wait == "77"
	})
	status, _ := get()
	assert.Equal(t, http.StatusOK, status)
	end()
	assert.NoError(t, <-ended)
}
