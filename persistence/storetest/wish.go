package storetest

import (
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/persistence"
)

func testExemptions(c on) {
	t, s := c.t, c.s
	e := persistence.Exemption{GroupID: group, UserID: person, Name: "Ada", By: 1, At: noon}
	update(t, s, func(tx persistence.Tx) error { return tx.Exempt(e) })
	update(t, s, func(tx persistence.Tx) error {
		return tx.Exempt(persistence.Exemption{GroupID: group, UserID: person + 1, At: noon})
	})
	is := func(g, u int64) bool {
		t.Helper()
		yes, err := s.IsExempt(t.Context(), g, u)
		require.NoError(t, err)
		return yes
	}
	assert.True(t, is(group, person))
	assert.False(t, is(other, person))
	list, err := s.Exemptions(t.Context(), group, 0, 1)
	require.NoError(t, err)
	assert.Equal(t, []persistence.Exemption{e}, list)
	list, err = s.Exemptions(t.Context(), group, person, 10)
	require.NoError(t, err)
	require.Len(t, list, 1)
	assert.Equal(t, person+1, list[0].UserID)
	for _, want := range []bool{true, false} {
		update(t, s, func(tx persistence.Tx) error {
			was, err := tx.Unexempt(group, person)
			assert.Equal(t, want, was)
			return err
		})
	}
	assert.False(t, is(group, person))
}

func testWarnings(c on) {
	t, s := c.t, c.s
	warn := func(g int64) (n int) {
		t.Helper()
		update(t, s, func(tx persistence.Tx) (err error) {
			n, err = tx.Warn(g, person, noon)
			return err
		})
		return n
	}
	count := func() int {
		t.Helper()
		p, err := s.Person(t.Context(), group, person)
		require.NoError(t, err)
		assert.Equal(t, p.Warnings > 0, p.WarnedAt.Equal(noon), "when the last was given")
		return p.Warnings
	}
	assert.Zero(t, count())
	assert.Equal(t, 1, warn(group))
	assert.Equal(t, 2, warn(group))
	assert.Equal(t, 1, warn(other))
	assert.Equal(t, 2, count())
	require.NoError(t, s.Prune(t.Context(), noon.Add(persistence.KeepWarnings)))
	assert.Equal(t, 2, count())
	update(t, s, func(tx persistence.Tx) error { return tx.ClearWarnings(group, person) })
	assert.Zero(t, count())
	require.NoError(t, s.Prune(t.Context(), noon.Add(persistence.KeepWarnings+time.Second)))
	assert.Equal(t, 1, warn(other))
}

func testRemovals(c on) {
	t, s := c.t, c.s
	save := func(u int64, at time.Time) {
		t.Helper()
		update(t, s, func(tx persistence.Tx) error {
			return tx.SaveRemoval(persistence.Removal{GroupID: group, UserID: u, At: at})
		})
	}
	save(2, noon.Add(time.Hour))
	save(1, noon.Add(2*time.Hour))
	save(3, noon)
	save(3, noon.Add(3*time.Hour))
	list, err := s.RemovalsBefore(t.Context(), noon.Add(2*time.Hour), 10)
	require.NoError(t, err)
	assert.Equal(t, []persistence.Removal{
		{GroupID: group, UserID: 2, At: noon.Add(time.Hour)}, {GroupID: group, UserID: 1, At: noon.Add(2 * time.Hour)},
	}, list)
	for range 2 {
		update(t, s, func(tx persistence.Tx) error { return tx.DropRemoval(group, 2) })
	}
	list, err = s.RemovalsBefore(t.Context(), noon.Add(time.Hour*24), 1)
	require.NoError(t, err)
	require.Len(t, list, 1)
	assert.Equal(t, int64(1), list[0].UserID)
}

func testJoinRequests(c on) {
	t, s := c.t, c.s
	r := persistence.JoinRequest{
		ChatID: group, UserID: person, Name: "Ada", PrivateID: 77, MessageID: 5, Language: "de", At: noon, ExpiresAt: noon.Add(time.Hour),
	}
	pending := persistence.JoinRequest{ChatID: channel, UserID: person, Channel: true, At: noon, ExpiresAt: noon.Add(2 * time.Hour)}
	update(t, s, func(tx persistence.Tx) error { return tx.SaveJoinRequest(r) })
	update(t, s, func(tx persistence.Tx) error { return tx.SaveJoinRequest(pending) })
	got, err := s.JoinRequest(t.Context(), group, person)
	require.NoError(t, err)
	assert.Equal(t, r, got)
	_, err = s.JoinRequest(t.Context(), group, person+1)
	require.ErrorIs(t, err, persistence.ErrNotFound)
	list, err := s.JoinRequestsOf(t.Context(), person)
	require.NoError(t, err)
	assert.ElementsMatch(t, []persistence.JoinRequest{r, pending}, list)
	list, err = s.JoinRequestsBefore(t.Context(), noon.Add(time.Hour), 10)
	require.NoError(t, err)
	assert.Equal(t, []persistence.JoinRequest{r}, list)
	for range 2 {
		update(t, s, func(tx persistence.Tx) error { return tx.DropJoinRequest(group, person) })
	}
	list, err = s.JoinRequestsOf(t.Context(), person)
	require.NoError(t, err)
	assert.Equal(t, []persistence.JoinRequest{pending}, list)
}

func testWizards(c on) {
	t, s := c.t, c.s
	w := persistence.Wizard{UserID: person, Round: 3, GroupID: group, ExpiresAt: noon}
	update(t, s, func(tx persistence.Tx) error { return tx.SaveWizard(persistence.Wizard{UserID: person, Round: 2}) })
	update(t, s, func(tx persistence.Tx) error { return tx.SaveWizard(w) })
	got, err := s.Wizard(t.Context(), person)
	require.NoError(t, err)
	assert.Equal(t, w, got)
	require.NoError(t, s.Prune(t.Context(), noon.Add(time.Second)))
	_, err = s.Wizard(t.Context(), person)
	require.ErrorIs(t, err, persistence.ErrNotFound)
	update(t, s, func(tx persistence.Tx) error { return tx.SaveWizard(w) })
	for range 2 {
		update(t, s, func(tx persistence.Tx) error { return tx.DropWizard(person) })
	}
	_, err = s.Wizard(t.Context(), person)
	require.ErrorIs(t, err, persistence.ErrNotFound)
}

func testPauses(c on) {
	t, s := c.t, c.s
	p := persistence.Pause{GroupID: group, PlaceID: channel, Kind: persistence.CannotJudge, Since: noon}
	told := p
	told.Told, told.Since = true, noon.Add(time.Hour)
	for _, one := range []persistence.Pause{p, told, p} {
		update(t, s, func(tx persistence.Tx) error { return tx.SavePause(one) })
	}
	got, err := s.Pauses(t.Context(), group)
	require.NoError(t, err)
	p.Told = true
	assert.Equal(t, []persistence.Pause{p}, got, "it began when it began, and told stays told")
	for range 2 {
		update(t, s, func(tx persistence.Tx) error { return tx.DropPause(group, channel, persistence.CannotJudge) })
	}
	got, err = s.Pauses(t.Context(), group)
	require.NoError(t, err)
	assert.Empty(t, got)
}

func testSetChannel(c on) {
	t, s := c.t, c.s
	save(t, s, group, true, channel)
	update(t, s, func(tx persistence.Tx) error {
		return tx.SetChannel(persistence.Channel{ID: channel, Title: "New", Username: "new_name", InviteLink: "https://t.me/+x"})
	})
	update(t, s, func(tx persistence.Tx) error { return tx.SetChannel(persistence.Channel{ID: channel, Title: "Newer"}) })
	update(t, s, func(tx persistence.Tx) error {
		return tx.SetChannel(persistence.Channel{ID: second, Title: "nobody's"})
	})
	g, err := s.Group(t.Context(), group)
	require.NoError(t, err)
	assert.Equal(t, []persistence.Channel{{ID: channel, Title: "Newer", InviteLink: "https://t.me/+x"}}, g.Channels)
}

func testOwnersGroupsAndPeople(c on) {
	t, s := c.t, c.s
	save(t, s, group, false, channel)
	save(t, s, other, true, channel)
	groups, err := s.GroupsOfOwner(t.Context(), 1, 10)
	require.NoError(t, err)
	require.Len(t, groups, 2)
	assert.Equal(t, other, groups[0].ID, "enabled ones first")
	update(t, s, func(tx persistence.Tx) error {
		for i, u := range []int64{5, 6, 7} {
			if err := tx.SawMember(group, u, noon.Add(time.Duration(i)*time.Minute)); err != nil {
				return err
			}
		}
		return tx.Audit(noon, group, 1, 6, "mute", "x")
	})
	lately, err := s.LatelySeen(t.Context(), group, 2)
	require.NoError(t, err)
	assert.Equal(t, []int64{7, 6}, lately)
	trail, err := s.AuditOf(t.Context(), group, 6, 10)
	require.NoError(t, err)
	require.Len(t, trail, 1)
	assert.Equal(t, "mute", trail[0].Action)

	saveFlows(t, s, persistence.Flow{GroupID: group, UserID: 6, Name: "Ada", State: persistence.Muted, Cause: persistence.CauseMessage, Since: noon})
	var rows int
	update(t, s, func(tx persistence.Tx) (err error) {
		rows, err = tx.ForgetPerson(6)
		return err
	})
	assert.Equal(t, 3, rows, "seen, audit, and the name of the flow")
	trail, err = s.AuditOf(t.Context(), group, 6, 10)
	require.NoError(t, err)
	assert.Empty(t, trail)
	f, err := s.Flow(t.Context(), group, 6)
	require.NoError(t, err, "the mute stands, or nobody would lift it")
	assert.Empty(t, f.Name)
	update(t, s, func(tx persistence.Tx) error { _, err := tx.ForgetPerson(1); return err })
	groups, err = s.GroupsOfOwner(t.Context(), 1, 10)
	require.NoError(t, err)
	assert.Len(t, groups, 1, "what is protected stays so")
}
