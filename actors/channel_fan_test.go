package actors

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/protos"
	"github.com/gmbot/gmbot/telegram"
)

// A channel that very many groups require does not wake all of them at once, and forgets none.
func TestChannel_TellsManyGroupsAFewAtATime(t *testing.T) {
	t.Parallel()
	for what, rights := range map[string][2]string{
		"rights lost": {telegram.StatusAdministrator, telegram.StatusMember},
		"rights back": {telegram.StatusMember, telegram.StatusAdministrator},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			runGate(t, func(t *testing.T, g *gate) {
				const many = 6*fanOutAtOnce + 1
				require.NoError(t, g.store.Update(t.Context(), func(tx persistence.Tx) error {
					for n := range int64(many - 1) { // the world has one already
						_, err := tx.SaveGroup(persistence.Group{
							ID: theGroup - 1000 - n, OwnerID: theOwner, Title: "More", Enabled: true,
							Channels: []persistence.Channel{{ID: theChannel, Title: "News", Username: "news"}},
						}, persistence.Owner{ID: theOwner})
						if err != nil {
							return err
						}
					}
					return nil
				}))
				g.restart()
				asked := func() int { // groups that have looked what the bot may do there
					looked := map[int64]bool{}
					g.w.count(func(j *protos.Job) bool {
						if m := j.GetGetMember(); m.GetChatId() == theChannel && m.GetUserId() == theBot {
							looked[j.GetChatId()] = true
						}
						return false
					})
					return len(looked)
				}
				d := g.send(&protos.Event{
					Kind: protos.EventKind_MY_CHAT_MEMBER, Chat: channelChat(), From: user(theOwner),
					Before: standing(rights[0]), After: standing(rights[1]),
				})
				for waves := 1; waves <= 7; waves++ {
					g.pass(fanOutPause - time.Millisecond)
					assert.LessOrEqual(t, asked(), waves*fanOutAtOnce)
				}
				assert.True(t, g.isSettled(d))
				g.pass(5 * time.Second)
				assert.Equal(t, many, asked(), "in the end each of them")
			})
		})
	}
}
