package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/persistence"
)

// noon is a moment with milliseconds, which every store keeps.
var noon = time.Date(2026, 3, 4, 12, 0, 0, 123_000_000, time.UTC)

const (
	group   = int64(-1001234567890)
	other   = int64(-1009876543210)
	channel = int64(-1001111111111)
	second  = int64(-1002222222222)
	person  = int64(7_000_000_001)
)

// on is what one test runs on: its T and an empty store of its own.
type on struct {
	t *testing.T
	s persistence.Store
}

// Run runs the whole suite. open gives a new, empty store for each test and closes it when the test
// ends; its clock must be the real one.
func Run(t *testing.T, open func(tb testing.TB) persistence.Store) {
	t.Helper()
	tests := []struct {
		name string
		run  func(c on)
	}{
		{"SaveGroup", testSaveGroup},
		{"SaveGroupKeepsWhatIsEmpty", testSaveGroupKeeps},
		{"SaveGroupLinks", testSaveGroupLinks},
		{"SaveGroupOwnerMismatch", testSaveGroupOwner},
		{"SettingsRoundTrip", testSettings},
		{"EnabledGroups", testEnabled},
		{"RemoveChannel", testRemoveChannel},
		{"GroupsRequiring", testGroupsRequiring},
		{"FillGroups", testFillGroups},
		{"IDsStopWhenTold", testIDsStop},
		{"FlowRoundTrip", testFlowRoundTrip},
		{"FlowIsOneRow", testFlowUpsert},
		{"Person", testPerson},
		{"NewFlow", testNewFlow},
		{"FlowStateUnknown", testFlowState},
		{"FlowsOfUser", testFlowsOfUser},
		{"FlowsOfGroupPages", testFlowsOfGroup},
		{"OpenFlows", testOpenFlows},
		{"OpenGroups", testOpenGroups},
		{"FreeAll", testFreeAll},
		{"MutedFlows", testMutedFlows},
		{"SeenMembers", testSeenMembers},
		{"Notices", testNotices},
		{"Due", testDue},
		{"Exemptions", testExemptions},
		{"Warnings", testWarnings},
		{"Removals", testRemovals},
		{"JoinRequests", testJoinRequests},
		{"Wizards", testWizards},
		{"Pauses", testPauses},
		{"Counts", testCounts},
		{"SetChannel", testSetChannel},
		{"OwnersGroupsAndPeople", testOwnersGroupsAndPeople},
		{"MarkSeen", testMarkSeen},
		{"SetAside", testSetAside},
		{"Deferred", testDeferred},
		{"Meta", testMeta},
		{"Audit", testAudit},
		{"CountDay", testCountDay},
		{"MoveGroup", testMoveGroup},
		{"MoveGroupOntoAnother", testMoveGroupMerge},
		{"MoveGroupNothing", testMoveGroupNothing},
		{"Proofs", testProofs},
		{"Prune", testPrune},
		{"PruneMany", testPruneMany},
		{"RollbackOnError", testRollback},
		{"RollbackOnPanic", testPanic},
		{"SwallowedErrorUndoes", testSwallowed},
		{"CanceledBefore", testCanceledBefore},
		{"CanceledInside", testCanceledInside},
		{"CanceledWaiting", testCanceledWaiting},
		{"ReadCanceled", testReadCanceled},
		{"UncommittedIsInvisible", testIsolation},
		{"ConcurrentWriters", testConcurrentWriters},
		{"ConcurrentVersions", testConcurrentVersions},
		{"KeptChanges", testKeptChanges},
		{"KeptOnce", testKeptOnce},
		{"KeptNotEverything", testKeptNotEverything},
		{"KeptByAnother", testKeptByAnother},
		{"Closed", testClosed},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(on{t, open(t)})
		})
	}
}

func update(t *testing.T, s persistence.Store, change func(tx persistence.Tx) error) {
	t.Helper()
	require.NoError(t, s.Update(t.Context(), change))
}

// save stores a group that requires the given channels.
func save(t *testing.T, s persistence.Store, id int64, enabled bool, channels ...int64) {
	t.Helper()
	g := persistence.Group{ID: id, OwnerID: 1, Title: "group", Enabled: enabled}
	for _, c := range channels {
		g.Channels = append(g.Channels, persistence.Channel{ID: c, Title: "channel"})
	}
	update(t, s, func(tx persistence.Tx) error {
		_, err := tx.SaveGroup(g, persistence.Owner{ID: 1})
		return err
	})
}

func flow(groupID, userID int64, state persistence.FlowState, since time.Time, messages ...int64) persistence.Flow {
	return persistence.Flow{
		GroupID: groupID, UserID: userID, State: state, Cause: persistence.CauseMessage, Since: since, Messages: messages,
	}
}

func saveFlows(t *testing.T, s persistence.Store, flows ...persistence.Flow) {
	t.Helper()
	update(t, s, func(tx persistence.Tx) error {
		for _, f := range flows {
			if err := tx.SaveFlow(f); err != nil {
				return err
			}
		}
		return nil
	})
}

func users(flows []persistence.Flow) []int64 {
	var list []int64
	for _, f := range flows {
		list = append(list, f.UserID)
	}
	return list
}

func meta(t *testing.T, s persistence.Store, key string) string {
	t.Helper()
	// Its own context: callers ask after theirs has ended.
	value, err := s.Meta(context.WithoutCancel(t.Context()), key)
	require.NoError(t, err)
	return value
}
