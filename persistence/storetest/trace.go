package storetest

import (
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/persistence"
)

func testNotices(c on) {
	t, s := c.t, c.s
	put := func(n persistence.Notice) {
		t.Helper()
		update(t, s, func(tx persistence.Tx) error { return tx.SaveNotice(n) })
	}
	intent := persistence.Notice{GroupID: group, ThreadID: 4, Seen: 99, ExpiresAt: noon}
	put(intent)
	put(persistence.Notice{GroupID: other, ThreadID: 4, MessageID: 1})
	sent := persistence.Notice{GroupID: group, MessageID: 5, People: []int64{3, 1, 2}, ExpiresAt: noon.Add(time.Minute)}
	put(sent)
	got, err := s.Notices(t.Context(), group)
	require.NoError(t, err)
	assert.Equal(t, []persistence.Notice{sent, intent}, got, "by topic")

	intent.MessageID, intent.People = 100, []int64{7}
	put(intent)
	for range 2 { // a missing one is no error
		update(t, s, func(tx persistence.Tx) error { return tx.DropNotice(group, 0) })
		got, err = s.Notices(t.Context(), group)
		require.NoError(t, err)
		assert.Equal(t, []persistence.Notice{intent}, got)
	}
}

func testDue(c on) {
	t, s := c.t, c.s
	add := func(chat, message int64, at time.Time) {
		t.Helper()
		update(t, s, func(tx persistence.Tx) error {
			return tx.AddDue(persistence.Due{ID: 4711, ChatID: chat, MessageID: message, At: at})
		})
	}
	due := func(at time.Time, limit int) []persistence.Due {
		t.Helper()
		got, err := s.DueBefore(t.Context(), at, limit)
		require.NoError(t, err)
		return got
	}
	add(group, 1, noon.Add(2*time.Second))
	add(group, 2, noon.Add(time.Second))
	add(other, 1, noon.Add(3*time.Second))
	assert.Empty(t, due(noon.Add(time.Second-time.Millisecond), 10))
	got := due(noon.Add(2*time.Second), 10)
	require.Len(t, got, 2)
	assert.Equal(t, int64(2), got[0].MessageID, "oldest first")
	assert.Equal(t, persistence.Due{ID: got[1].ID, ChatID: group, MessageID: 1, At: noon.Add(2 * time.Second)}, got[1])
	assert.NotEqual(t, got[0].ID, got[1].ID)
	assert.Equal(t, got[:1], due(noon.Add(time.Hour), 1))

	add(group, 1, noon.Add(time.Hour))
	assert.Equal(t, got, due(noon.Add(2*time.Second), 10), "the earlier time counts")
	add(group, 1, noon)
	assert.Equal(t, []persistence.Due{{ID: got[1].ID, ChatID: group, MessageID: 1, At: noon}}, due(noon, 10))

	update(t, s, func(tx persistence.Tx) error { return tx.DropDue(group, []int64{1, 2, 3}) })
	left := due(noon.Add(time.Hour), 10)
	require.Len(t, left, 1)
	assert.Equal(t, other, left[0].ChatID)
	add(group, 1, noon)
	assert.NotContains(t, []int64{got[0].ID, got[1].ID, left[0].ID}, due(noon, 10)[0].ID, "an id is never given twice")
}

func testMarkSeen(c on) {
	t, s := c.t, c.s
	mark := func(id int64) (fresh bool) {
		t.Helper()
		update(t, s, func(tx persistence.Tx) (err error) {
			fresh, err = tx.MarkSeen(id)
			return err
		})
		return fresh
	}
	seen := func(id int64) bool {
		t.Helper()
		got, err := s.Seen(t.Context(), id)
		require.NoError(t, err)
		return got
	}
	assert.False(t, seen(10))
	assert.True(t, mark(10))
	assert.False(t, mark(10))
	assert.True(t, seen(10))
	assert.True(t, mark(3), "smaller ids are no older")
	update(t, s, func(tx persistence.Tx) error {
		for _, want := range []bool{true, false} {
			fresh, err := tx.MarkSeen(1 << 40)
			if err != nil {
				return err
			}
			assert.Equal(t, want, fresh, "within one change too")
		}
		return nil
	})
	_ = s.Update(t.Context(), func(tx persistence.Tx) error {
		_, err := tx.MarkSeen(11)
		assert.NoError(t, err)
		return assert.AnError
	})
	assert.False(t, seen(11), "what was undone was not seen")
	assert.True(t, mark(11))
}

func testSetAside(c on) {
	t, s := c.t, c.s
	put := func(a persistence.SetAside) {
		t.Helper()
		update(t, s, func(tx persistence.Tx) error { return tx.PutAside(a) })
	}
	a := persistence.SetAside{UpdateID: 1, Raw: []byte{0, 255, 'x'}, Reason: "boom\nstack", At: noon}
	b := persistence.SetAside{UpdateID: 2, Raw: []byte("{}"), Reason: "r", At: noon.Add(time.Second)}
	put(a)
	put(b)
	a.Reason = "again"
	put(a)
	got, err := s.SetAsides(t.Context(), 10)
	require.NoError(t, err)
	assert.Equal(t, []persistence.SetAside{b, a}, got, "latest first, an update once")
	got, err = s.SetAsides(t.Context(), 1)
	require.NoError(t, err)
	assert.Equal(t, []persistence.SetAside{b}, got)
	put(persistence.SetAside{UpdateID: 3, At: noon}) // nothing known of it
}

func testDeferred(c on) {
	t, s := c.t, c.s
	put := func(a persistence.SetAside) {
		t.Helper()
		update(t, s, func(tx persistence.Tx) error { return tx.PutAside(a) })
	}
	list := func(limit int) []persistence.SetAside {
		t.Helper()
		got, err := s.Deferred(t.Context(), limit)
		require.NoError(t, err)
		return got
	}
	a := persistence.SetAside{UpdateID: 1, Raw: []byte("{}"), Reason: "r", At: noon, Again: noon.Add(time.Minute), Tries: 2}
	b := persistence.SetAside{UpdateID: 2, Raw: []byte("[]"), Reason: "s", At: noon, Again: noon.Add(time.Second)}
	put(a)
	put(b)
	put(persistence.SetAside{UpdateID: 3, Raw: []byte("{}"), Reason: "t", At: noon})
	assert.Equal(t, []persistence.SetAside{b, a}, list(10), "next first")
	assert.Equal(t, []persistence.SetAside{b}, list(1))
	b.Again, b.Tries = noon.Add(time.Hour), 1
	put(b)
	assert.Equal(t, []persistence.SetAside{a, b}, list(10), "an update once")
	update(t, s, func(tx persistence.Tx) error { return tx.DropAside(1) })
	update(t, s, func(tx persistence.Tx) error { return tx.DropAside(99) })
	assert.Equal(t, []persistence.SetAside{b}, list(10))
	b.Again = time.Time{}
	put(b)
	assert.Empty(t, list(10))
	got, err := s.SetAsides(t.Context(), 10)
	require.NoError(t, err)
	assert.Len(t, got, 2, "it waits for a person")
}

func testMeta(c on) {
	t, s := c.t, c.s
	assert.Empty(t, meta(t, s, "k"))
	for _, value := range []string{"v", "", "w"} {
		update(t, s, func(tx persistence.Tx) error { return tx.SetMeta("k", value) })
		assert.Equal(t, value, meta(t, s, "k"))
	}
	assert.Empty(t, meta(t, s, "other"))
}

func testAudit(c on) {
	t, s := c.t, c.s
	update(t, s, func(tx persistence.Tx) error {
		for i, action := range []string{"protect", "mute", "close"} {
			if err := tx.Audit(noon.Add(time.Duration(-i)*time.Hour), group, 1, person, action, "why"); err != nil {
				return err
			}
		}
		return tx.Audit(noon, other, 1, 0, "protect", "")
	})
	got, err := s.AuditTrail(t.Context(), group, 2)
	require.NoError(t, err)
	assert.Equal(t, []persistence.AuditEntry{
		{At: noon.Add(-2 * time.Hour), GroupID: group, ActorID: 1, UserID: person, Action: "close", Detail: "why"},
		{At: noon.Add(-time.Hour), GroupID: group, ActorID: 1, UserID: person, Action: "mute", Detail: "why"},
	}, got, "last written first")
}

func testCountDay(c on) {
	t, s := c.t, c.s
	const day = "2026-03-04"
	update(t, s, func(tx persistence.Tx) error {
		for i, column := range persistence.Counters {
			for range 2 {
				if err := tx.CountDay(day, group, column, int64(i+1)); err != nil {
					return err
				}
			}
		}
		return tx.CountDay("2026-03-05", group, "muted", 100)
	})
	got, err := s.Day(t.Context(), group, day)
	require.NoError(t, err)
	assert.Equal(t, map[string]int64{"checked": 2, "muted": 4, "verified": 6, "left_again": 8}, got)
	got, err = s.Day(t.Context(), other, day)
	require.NoError(t, err)
	assert.Equal(t, map[string]int64{"checked": 0, "muted": 0, "verified": 0, "left_again": 0}, got)

	for column, on := range map[string]string{"group_id": day, "checked; DROP TABLE meta": day, "checked": "yesterday"} {
		err := s.Update(t.Context(), func(tx persistence.Tx) error { return tx.CountDay(on, group, column, 1) })
		assert.Error(t, err, column)
	}
}
