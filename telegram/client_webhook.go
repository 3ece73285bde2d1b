package telegram

import (
	"context"
)

// WebhookInfo is what Telegram says about a bot's webhook. It does not show the secret.
// Source: Bot API, WebhookInfo.
type WebhookInfo struct {
	URL            string   `json:"url"` // empty: there is none
	Certificate    bool     `json:"has_custom_certificate"`
	Pending        int64    `json:"pending_update_count"`
	LastErrorDate  int64    `json:"last_error_date"` // Unix seconds; 0: none
	LastError      string   `json:"last_error_message"`
	MaxConnections int      `json:"max_connections"`
	Allowed        []string `json:"allowed_updates"`
}

// WebhookSettings are what setWebhook sets. Source: Bot API, setWebhook.
type WebhookSettings struct {
	URL            string
	Secret         string
	MaxConnections int    // 1 to 100
	Certificate    []byte // PEM of a self-signed certificate; nil: one that everybody trusts
}

// WebhookInfo asks what webhook is set, and how delivering goes.
func (c *Client) WebhookInfo(ctx context.Context) (*WebhookInfo, error) {
	var info WebhookInfo
	if err := c.call(ctx, "getWebhookInfo", nil, &info, 0); err != nil {
		return nil, err
	}
	c.metrics.webhook(&info)
	return &info, nil
}

// SetWebhook has Telegram send updates to a webhook. Polling is refused from then on.
func (c *Client) SetWebhook(ctx context.Context, w WebhookSettings) error {
	params := map[string]any{
		"url": w.URL, "secret_token": w.Secret, "max_connections": w.MaxConnections, "allowed_updates": AllowedUpdates(),
	}
	if w.Certificate != nil {
		params["certificate"] = upload{name: "certificate.pem", data: w.Certificate}
	}
	return c.call(ctx, "setWebhook", params, nil, 0)
}

// DeleteWebhook turns a webhook off; what waits for it is kept.
func (c *Client) DeleteWebhook(ctx context.Context) error {
	return c.call(ctx, "deleteWebhook", map[string]any{"drop_pending_updates": false}, nil, 0)
}
