package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/telegram/simulator"
)

const hookPass = "a-secret_4711"

// hookEnv is what has the program take webhooks at a free address.
func hookEnv(t *testing.T) (env []string, url string) {
	t.Helper()
	addr := freeAddr(t)
	url = "http://" + addr + "/telegram"
	return []string{"WEBHOOK_URL=" + url, "WEBHOOK_ADDR=" + addr, "WEBHOOK_SECRET=" + hookPass}, url
}

// hookTown is a Telegram that takes http, as a Bot API server of one's own does.
func hookTown(t *testing.T) *town {
	t.Helper()
	w := startTown(t, simulator.Options{LocalWebhooks: true})
	t.Cleanup(func() { w.DropWebhook(w.bot.ID) })
	return w
}

// knock posts to a webhook the way nobody but Telegram should.
func knock(t *testing.T, client *http.Client, url, secret, body string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	require.NoError(t, err)
	if secret != "" {
		r.Header.Set("X-Telegram-Bot-Api-Secret-Token", secret)
	}
	resp, err := client.Do(r)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	return resp.StatusCode
}

// From protection to freedom by webhooks, and back to polling.
func TestE2E_Webhook(t *testing.T) {
	t.Parallel()
	w, db := hookTown(t), newDB(t)
	env, url := hookEnv(t)
	p := runOn(t, w, db, env...)
	w.protect(t)
	id := w.write(t, w.anna, "coins")
	w.until(t, "deleted and muted", func() bool { return w.gone(id)() && w.muted(w.anna)() })
	require.NoError(t, w.Join(w.channel, w.anna))
	w.until(t, "free", w.free(w.anna))
	w.settled(t)
	assert.Empty(t, w.CallsOf("getUpdates"), "it does not poll")
	set := w.CallsOf("setWebhook")
	require.Len(t, set, 1)
	assert.Equal(t, url, set[0].Params["url"])
	assert.Equal(t, hookPass, set[0].Params["secret_token"])

	for body, want := range map[string]int{
		"": 400, "nonsense": 400, "{}": 400, "[1]": 400, `{"update_id":"x"}`: 400, strings.Repeat(" ", 1<<20) + "{}": 413,
		`{"update_id":1,"message":5}`: 200, `{"update_id":2,"brand_new_kind":{}}`: 200,
	} {
		assert.Equal(t, want, knock(t, http.DefaultClient, url, hookPass, body), "%.40q", body)
		assert.Equal(t, 401, knock(t, http.DefaultClient, url, "", body), "%.40q", body)
	}
	assert.Equal(t, 401, knock(t, http.DefaultClient, url, hookPass+"x", `{"update_id":1}`))
	_, metrics := p.get("/metrics")
	assert.True(t, contains(metrics, `gmbot_webhook_requests_total{status="401"} 9`, "gmbot_webhook_last_error_timestamp_seconds 0"), metrics)
	assert.Zero(t, p.terminate())
	assert.NotContains(t, p.log.String(), hookPass)

	p = runOn(t, w, db, env...)
	assert.Len(t, w.CallsOf("setWebhook"), 1, "what is set already is not set again")
	assert.Zero(t, p.terminate())
	p = runOn(t, w, db, append(env, "WEBHOOK_SECRET=another")...)
	assert.Len(t, w.CallsOf("setWebhook"), 2, "another secret is set")
	require.NoError(t, w.Leave(w.channel, w.anna))
	w.until(t, "muted again", w.muted(w.anna))
	assert.Zero(t, p.terminate())

	require.NoError(t, w.Join(w.channel, w.anna), "while nobody listens")
	p = runOn(t, w, db)
	w.until(t, "free by polling", w.free(w.anna))
	p.says("a webhook was set for this bot; it is removed")
	assert.Zero(t, p.terminate())
}

// A kill at any time loses nothing, since only what is settled was answered with 200.
func TestE2E_WebhookKilled(t *testing.T) {
	t.Parallel()
	w, db := hookTown(t), newDB(t)
	env, _ := hookEnv(t)
	p := runOn(t, w, db, env...)
	w.protect(t)
	var people []int64
	for i := range 30 {
		who := w.NewUser(fmt.Sprint("Person ", i), "")
		require.NoError(t, w.Join(w.group, who))
		people = append(people, who)
	}
	for round := range 3 {
		for _, who := range people[round*10 : round*10+10] {
			_, _ = w.Write(w.group, who, "coins") // who is muted for having come may not, which is as well
		}
		time.Sleep(time.Duration(round*20) * time.Millisecond) // so that it is killed at another stage each time
		p.kill()
		p = runOn(t, w, db, env...)
	}
	w.until(t, "everybody is muted", func() bool {
		for _, who := range people {
			if !w.muted(who)() {
				return false
			}
		}
		return true
	})
	for _, who := range people {
		require.NoError(t, w.Join(w.channel, who))
	}
	w.until(t, "everybody is free", func() bool {
		for _, who := range people {
			if !w.free(who)() {
				return false
			}
		}
		return true
	})
	w.settled(t)
	assert.Zero(t, p.terminate())
}

// A standby takes no webhooks, and those that come to it come again.
func TestE2E_WebhookStandby(t *testing.T) {
	t.Parallel()
	w, db := hookTown(t), newDB(t)
	env, _ := hookEnv(t)
	first := runOn(t, w, db, env...)
	w.protect(t)
	env, url := hookEnv(t)
	second := launch(t, []string{"run"}, append(runArgs(w, "sqlite://"+db), env...)...)
	eventually(t, 20*time.Second, "the second stands by", func() bool {
		code, why := second.get("/ready")
		return code == http.StatusServiceUnavailable && strings.Contains(why, "standby")
	})
	assert.Equal(t, 503, knock(t, http.DefaultClient, url, hookPass, `{"update_id":1}`))
	assert.Equal(t, 401, knock(t, http.DefaultClient, url, "", `{"update_id":1}`))
	first.kill()
	id := w.write(t, w.anna, "coins")
	second.waitReady()
	w.until(t, "it takes over, with its own address", func() bool { return w.gone(id)() && w.muted(w.anna)() })
	assert.Zero(t, second.terminate())
}

// With a certificate of its own the program needs no proxy; a self-signed one is given to Telegram.
func TestE2E_WebhookCertificate(t *testing.T) {
	t.Parallel()
	w := hookTown(t)
	env, url := hookEnv(t)
	certFile, keyFile, pool := selfMade(t)
	url = strings.Replace(url, "http://", "https://", 1)
	env = append(env, "WEBHOOK_URL="+url, "WEBHOOK_CERT_FILE="+certFile, "WEBHOOK_KEY_FILE="+keyFile)
	p := runOn(t, w, newDB(t), env...)
	w.protect(t)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}}
	defer client.CloseIdleConnections()
	assert.Equal(t, 401, knock(t, client, url, "", "{}"))
	assert.Zero(t, p.terminate())
}

func selfMade(t *testing.T) (certFile, keyFile string, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	raw, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "127.0.0.1"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotAfter: time.Now().Add(time.Hour),
	}, &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "127.0.0.1"}}, &key.PublicKey, key)
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw})
	require.NoError(t, os.WriteFile(certFile, cert, 0o600))
	require.NoError(t, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600))
	pool = x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(cert))
	return certFile, keyFile, pool
}
