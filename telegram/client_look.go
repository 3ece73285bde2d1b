package telegram

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// Me is what a bot is told about itself. Source: Bot API, getMe.
type Me struct {
	ID            int64  `json:"id"`
	Username      string `json:"username"`
	CanJoinGroups bool   `json:"can_join_groups"`
	ReadsAll      bool   `json:"can_read_all_group_messages"` // privacy mode is off
}

// Me asks who the bot is, with what @BotFather can set.
func (c *Client) Me(ctx context.Context) (*Me, error) {
	var me Me
	if err := c.call(ctx, "getMe", nil, &me, 0); err != nil {
		return nil, err
	}
	return &me, nil
}

// ClockOffset is how far this machine's clock is ahead of the API server's, by the Date of an answer, which has
// whole seconds.
func (c *Client) ClockOffset(ctx context.Context) (time.Duration, error) {
	const method = "date"
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	began := time.Now()
	resp, err := c.transport.send(ctx, http.MethodHead, "/", nil)
	if err != nil {
		return 0, fromNetwork(method, err)
	}
	_ = resp.Body.Close()
	there, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		return 0, errors.New("the answer has no date")
	}
	return began.Add(time.Since(began) / 2).Sub(there.Add(500 * time.Millisecond)), nil
}
