package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/persistence"
)

const today = "2026-03-04"

// fill gives a group a row in every table that holds group ids.
func fill(t *testing.T, s persistence.Store, id, user int64) {
	t.Helper()
	save(t, s, id, true, channel, second)
	saveFlows(t, s, flow(id, user, persistence.Muted, noon, 8))
	update(t, s, func(tx persistence.Tx) error {
		for _, err := range []error{
			tx.SaveNotice(persistence.Notice{GroupID: id, MessageID: 3}),
			tx.AddDue(persistence.Due{ChatID: id, MessageID: 4, At: noon}),
			tx.Audit(noon, id, 1, user, "mute", ""),
			tx.CountDay(today, id, "muted", 2),
			tx.SawMember(id, user, noon),
		} {
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// traces lists what of a group is found, by table.
func traces(t *testing.T, s persistence.Store, id, user int64) map[string]int {
	t.Helper()
	found := map[string]int{}
	if g, err := s.Group(t.Context(), id); err == nil {
		found["group"], found["channels"] = 1, len(g.Channels)
	}
	flows, err := s.FlowsOfGroup(t.Context(), id, 0, 10)
	require.NoError(t, err)
	notices, err := s.Notices(t.Context(), id)
	require.NoError(t, err)
	trail, err := s.AuditTrail(t.Context(), id, 10)
	require.NoError(t, err)
	day, err := s.Day(t.Context(), id, today)
	require.NoError(t, err)
	seen, err := s.SeenIn(t.Context(), channel, user)
	require.NoError(t, err)
	due, err := s.DueBefore(t.Context(), noon, 10)
	require.NoError(t, err)
	for table, n := range map[string]int{
		"flows": len(flows), "notices": len(notices), "audit": len(trail), "muted": int(day["muted"]),
	} {
		if n > 0 {
			found[table] = n
		}
	}
	for _, in := range seen {
		if in == id {
			found["seen"]++
		}
	}
	for _, d := range due {
		if d.ChatID == id {
			found["due"]++
		}
	}
	return found
}

func testMoveGroup(c on) {
	t, s := c.t, c.s
	const from = int64(-55)
	fill(t, s, from, person)
	before, err := s.Group(t.Context(), from)
	require.NoError(t, err)
	update(t, s, func(tx persistence.Tx) error { return tx.MoveGroup(from, group) })

	assert.Empty(t, traces(t, s, from, person))
	assert.Equal(t, map[string]int{
		"group": 1, "channels": 2, "flows": 1, "audit": 1, "muted": 2, "seen": 1,
	}, traces(t, s, group, person), "all but what names messages of the old chat")
	after, err := s.Group(t.Context(), group)
	require.NoError(t, err)
	before.ID, before.Version = group, before.Version+1
	assert.Equal(t, before, after)
	f, err := s.Flow(t.Context(), group, person)
	require.NoError(t, err)
	assert.Equal(t, flow(group, person, persistence.Muted, noon), f)
	assert.Equal(t, []int64{group}, protected(t, s))
}

func testMoveGroupMerge(c on) {
	t, s := c.t, c.s
	const from = int64(-55)
	fill(t, s, from, person)
	fill(t, s, group, person)
	saveFlows(t, s, flow(from, person+1, persistence.Muting, noon), flow(group, person, persistence.Freeing, noon.Add(time.Hour), 9))
	save(t, s, group, true, channel)
	update(t, s, func(tx persistence.Tx) error { return tx.MoveGroup(from, group) })

	assert.Empty(t, traces(t, s, from, person))
	assert.Equal(t, map[string]int{
		"group": 1, "channels": 2, "flows": 2, "notices": 1, "due": 1, "audit": 2, "muted": 4, "seen": 1,
	}, traces(t, s, group, person))
	f, err := s.Flow(t.Context(), group, person)
	require.NoError(t, err)
	assert.Equal(t, flow(group, person, persistence.Freeing, noon.Add(time.Hour), 9), f, "the new chat's row stays")
}

func testMoveGroupNothing(c on) {
	t, s := c.t, c.s
	update(t, s, func(tx persistence.Tx) error { return tx.MoveGroup(-55, group) })
	assert.Empty(t, traces(t, s, group, person))
	fill(t, s, group, person)
	whole := traces(t, s, group, person)
	update(t, s, func(tx persistence.Tx) error { return tx.MoveGroup(group, group) })
	assert.Equal(t, whole, traces(t, s, group, person))
	assert.Len(t, whole, 8)
}

func testPrune(c on) {
	t, s := c.t, c.s
	const day = 24 * time.Hour
	now := time.Now()
	fill(t, s, group, person)
	update(t, s, func(tx persistence.Tx) error {
		_, err := tx.MarkSeen(1) // stamped by the store's clock
		for _, err := range []error{
			err,
			tx.Audit(now, group, 1, person, "new", ""),
			tx.SawMember(group, person, now),
			tx.PutAside(persistence.SetAside{UpdateID: 1, At: now}),
			tx.CountDay(now.UTC().Format(time.DateOnly), group, "muted", 1),
		} {
			if err != nil {
				return err
			}
		}
		return nil
	})
	seen := func() (found []string) {
		t.Helper()
		if ok, err := s.Seen(t.Context(), 1); assert.NoError(t, err) && ok {
			found = append(found, "seen_updates")
		}
		if list, err := s.SetAsides(t.Context(), 9); assert.NoError(t, err) && len(list) > 0 {
			found = append(found, "set_aside")
		}
		if list, err := s.SeenIn(t.Context(), channel, person); assert.NoError(t, err) && len(list) > 0 {
			found = append(found, "seen_members")
		}
		if list, err := s.AuditTrail(t.Context(), group, 1); assert.NoError(t, err) && len(list) > 0 && list[0].Action == "new" {
			found = append(found, "audit")
		}
		if n, err := s.Day(t.Context(), group, now.UTC().Format(time.DateOnly)); assert.NoError(t, err) && n["muted"] > 0 {
			found = append(found, "daily_stats")
		}
		return found
	}
	all := []string{"seen_updates", "set_aside", "seen_members", "audit", "daily_stats"}
	for _, step := range []struct {
		after time.Duration
		left  []string
	}{
		{persistence.KeepSeenUpdates - time.Hour, all},
		{persistence.KeepSeenUpdates + time.Hour, all[1:]},
		{persistence.KeepSetAside - time.Hour, all[1:]},
		{persistence.KeepSetAside + time.Hour, all[2:]},
		{persistence.KeepAudit - time.Hour, all[2:]},
		{persistence.KeepAudit + time.Hour, all[4:]},
		{persistence.KeepDailyStats - day, all[4:]},
		{persistence.KeepDailyStats + 2*day, nil},
	} {
		require.NoError(t, s.Prune(t.Context(), now.Add(step.after)))
		assert.Equal(t, step.left, seen(), "after %v", step.after)
	}
	left := traces(t, s, group, person)
	assert.Equal(t, []int{1, 1, 1}, []int{left["flows"], left["notices"], left["due"]}, "open business has no age")
}

func testPruneMany(c on) {
	t, s := c.t, c.s
	const n = 2500 // more than one transaction deletes
	update(t, s, func(tx persistence.Tx) error {
		for i := range int64(n) {
			if err := tx.SawMember(group, i, noon); err != nil {
				return err
			}
		}
		return tx.SawMember(other, 1, noon.Add(time.Hour))
	})
	save(t, s, group, true, channel)
	save(t, s, other, true, channel)
	require.NoError(t, s.Prune(t.Context(), noon.Add(persistence.KeepSeenMembers+time.Minute)))
	for user, want := range map[int64][]int64{0: nil, 1: {other}, n - 1: nil} {
		got, err := s.SeenIn(t.Context(), channel, user)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
}
