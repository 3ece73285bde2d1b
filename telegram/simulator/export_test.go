package simulator

// HaveWebhook makes a bot look as if it had set a webhook, which the simulator does not deliver to.
func (s *Server) HaveWebhook(botID int64, url string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.bots {
		if b.ID == botID {
			b.webhook = url
		}
	}
}

// MaxQueue is how many updates are kept for a bot.
const MaxQueue = maxQueue
