package main

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/protos"
	"github.com/gmbot/gmbot/telegram"
)

func TestWrongWebhook(t *testing.T) {
	t.Parallel()
	const own = "http://127.0.0.1:8081"
	for _, c := range []struct {
		address, api string
		wrong        bool
	}{
		{"https://bot.example.org/telegram", publicAPI, false},
		{"https://bot.example.org:8443", publicAPI, false},
		{"https://bot.example.org:8080/", publicAPI, true},
		{"http://bot.example.org/", publicAPI, true},
		{"https://user:pass@bot.example.org/", publicAPI, true},
		{"bot.example.org", publicAPI, true},
		{"https://", publicAPI, true},
		{"http://10.0.0.5:9000/x", own, false},
		{"ftp://10.0.0.5/x", own, true},
	} {
		what, cure := wrongWebhook(c.address, c.api)
		assert.Equal(t, c.wrong, what != "", "%s at %s: %s", c.address, c.api, what)
		assert.Equal(t, c.wrong, cure != "", c.address)
	}
}

// A mark tells settings apart, and cannot be compared without its salt.
func TestMarkOf(t *testing.T) {
	t.Parallel()
	w := telegram.WebhookSettings{URL: "https://a/", Secret: "s", Certificate: []byte("c")}
	mark := markOf([]byte("salt"), w)
	assert.Equal(t, mark, markOf([]byte("salt"), w))
	assert.NotEqual(t, mark, markOf([]byte("pepper"), w))
	for _, other := range []telegram.WebhookSettings{
		{URL: "https://b/", Secret: "s", Certificate: []byte("c")},
		{URL: "https://a/", Secret: "t", Certificate: []byte("c")},
		{URL: "https://a/", Secret: "s"},
		{URL: "https://a/", Secret: "sc"},
	} {
		assert.NotEqual(t, mark, markOf([]byte("salt"), other))
	}
}

// A renewed certificate is taken without a restart, and a broken one keeps the old.
func TestCertificate_IsReadAgain(t *testing.T) {
	t.Parallel()
	certFile, keyFile, _ := selfMade(t)
	c := &certificate{certFile: certFile, keyFile: keyFile}
	first, err := c.load()
	require.NoError(t, err)
	assert.NotNil(t, selfSigned(first))
	again, err := c.load()
	require.NoError(t, err)
	assert.Same(t, first, again)

	at := time.Now().Add(time.Minute)
	require.NoError(t, os.WriteFile(certFile, []byte("half a certif"), 0o600))
	require.NoError(t, os.Chtimes(certFile, at, at))
	kept, err := c.load()
	require.NoError(t, err)
	assert.Same(t, first, kept)

	newCert, newKey, _ := selfMade(t)
	for from, to := range map[string]string{newCert: certFile, newKey: keyFile} {
		raw, err := os.ReadFile(from)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(to, raw, 0o600))
	}
	renewed, err := c.load()
	require.NoError(t, err)
	assert.NotEqual(t, first.Leaf.Raw, renewed.Leaf.Raw)
	_, err = (&certificate{certFile: "/no/such", keyFile: keyFile}).load()
	require.Error(t, err)
}

// Whoever is asked to wait with setting a webhook waits.
func TestWebhook_APauseIsHeeded(t *testing.T) {
	t.Parallel()
	flood := &telegram.Error{Method: "setWebhook", Code: 429, Outcome: protos.Outcome_FLOOD, RetryAfter: 60}
	_, wait := explainWebhook(fmt.Errorf("set: %w", flood))
	assert.Equal(t, time.Minute, wait)
	flood.RetryAfter = 1
	_, wait = explainWebhook(flood)
	assert.Equal(t, hookLookAgain, wait)
}
