package storetest

import (
	"errors"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/persistence"
)

func testCounts(c on) {
	t, s := c.t, c.s
	counts := func() persistence.Counts {
		t.Helper()
		n, err := s.Counts(t.Context())
		require.NoError(t, err)
		return n
	}
	empty := counts()
	assert.Zero(t, empty.Protected+len(empty.Flows)+len(empty.Oldest)+len(empty.Pauses)+empty.SetAside+empty.Deferred)

	save(t, s, group, true, 7)
	save(t, s, other, false, 7)
	saveFlows(
		t, s, flow(group, 1, persistence.Checking, noon), flow(group, 2, persistence.Checking, noon.Add(-time.Hour)),
		flow(other, 2, persistence.Freeing, noon), flow(group, 3, persistence.Muted, noon), flow(other, 3, persistence.Muted, noon, 99),
	)
	update(t, s, func(tx persistence.Tx) error {
		for _, place := range []int64{group, 7} {
			if err := tx.SavePause(persistence.Pause{GroupID: group, PlaceID: place, Kind: persistence.CannotJudge, Since: noon}); err != nil {
				return err
			}
		}
		return errors.Join(
			tx.PutAside(persistence.SetAside{UpdateID: 5, Raw: []byte("{}"), Reason: "each time", At: noon}),
			tx.PutAside(persistence.SetAside{UpdateID: 6, Raw: []byte("{}"), Reason: "no time", At: noon, Again: noon}),
			tx.PutAside(persistence.SetAside{UpdateID: 7, Raw: []byte("{}"), Reason: "no time", At: noon, Again: noon}),
		)
	})
	assert.Equal(t, persistence.Counts{
		Protected: 1,
		Flows:     map[persistence.FlowState]int{persistence.Checking: 2, persistence.Freeing: 1, persistence.Muted: 2},
		Oldest:    map[persistence.FlowState]time.Time{persistence.Checking: noon.Add(-time.Hour), persistence.Freeing: noon},
		Pauses:    map[persistence.PauseKind]int{persistence.CannotJudge: 2},
		SetAside:  1,
		Deferred:  2,
	}, counts())
}
