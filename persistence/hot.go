package persistence

// hotQuery is a question that traffic, a timer or a start asks, with the indexes it is meant to use. The tests hold
// SQLite's plans to them on an empty database; Examine looks at what a real one does.
type hotQuery struct {
	name, text string
	// from selects the arguments of a run; empty where there are none. One row is one run.
	from string
	// sqlite are parts of the plan that SQLite must have: it goes by the schema, however few the rows.
	sqlite []string
	// postgres are the indexes that PostgreSQL is to prefer once there are many rows. Those that are no key have the
	// same name in SQLite.
	postgres []string
	// sorts: SQLite may sort the result, which is short.
	sorts bool
	// whole: every row that counts is read, so that time grows with the rows, and a sequential scan may be right.
	whole bool
	// writes: only the plan can be looked at.
	writes bool
}

// Where the arguments come from: the first rows of the tables in which what is asked for is found.
const (
	someGroups  = `SELECT group_id FROM protected_groups LIMIT 200`
	someFlows   = `SELECT group_id, user_id FROM flows LIMIT 200`
	someSeen    = `SELECT group_id, user_id FROM seen_members LIMIT 200`
	someFlowing = `SELECT group_id, 100 FROM flows LIMIT 200`
)

func hotQueries() []hotQuery {
	return []hotQuery{
		{
			name: "Group", text: selectGroup, from: someGroups, sorts: true,
			sqlite:   []string{"g USING INTEGER PRIMARY KEY", "l USING INDEX sqlite_autoindex", "c USING INTEGER PRIMARY KEY"},
			postgres: []string{"protected_groups_pkey", "group_channel_links_group_id_channel_id_key", "enforced_channels_pkey"},
		},
		{
			name: "FlowsOfUser", text: selectFlowsOfUser, from: `SELECT user_id FROM flows LIMIT 200`,
			sqlite: []string{"flows USING INDEX flows_user"}, postgres: []string{"flows_user"},
		},
		{
			name: "Flow", text: selectFlow, from: someFlows,
			sqlite: []string{"flows USING PRIMARY KEY"}, postgres: []string{"flows_pkey"},
		},
		{
			name: "FlowsOfGroup", text: selectFlowsOfGroup, from: `SELECT group_id, 0, 100 FROM flows LIMIT 200`,
			sqlite: []string{"flows USING PRIMARY KEY"}, postgres: []string{"flows_pkey"},
		},
		{
			name: "OpenFlowsOfGroup", text: selectOpenFlows, from: someFlowing,
			sqlite: []string{"flows USING INDEX flows_open"}, postgres: []string{"flows_open"},
		},
		{
			name: "OpenGroups", text: selectOpenGroups, sorts: true, whole: true,
			sqlite: []string{"flows USING INDEX flows_open"}, postgres: []string{"flows_open"},
		},
		{
			name: "SeenIn", text: selectSeenIn,
			from: `SELECT l.channel_id, m.user_id FROM seen_members m
JOIN group_channel_links l ON l.group_id = m.group_id LIMIT 200`,
			sqlite: []string{
				"m USING COVERING INDEX seen_members_user", "l USING COVERING INDEX", "g USING COVERING INDEX",
			},
			postgres: []string{"seen_members_user"},
		},
		{
			name: "Person", text: selectPerson, from: someSeen,
			sqlite: []string{
				"f USING PRIMARY KEY", "w USING PRIMARY KEY", "s USING COVERING INDEX", "r USING INDEX join_requests_user",
			},
			postgres: []string{"flows_pkey", "warnings_pkey", "seen_members_pkey", "join_requests_user"},
		},
		{
			name: "Exempt", text: selectExempt, from: someSeen,
			sqlite: []string{"exemptions USING PRIMARY KEY"}, postgres: []string{"exemptions_pkey"},
		},
		{
			name: "JoinRequestsOf", text: selectRequestsOf, from: `SELECT user_id FROM join_requests LIMIT 200`,
			sqlite: []string{"join_requests USING INDEX join_requests_user"}, postgres: []string{"join_requests_user"},
		},
		{
			name: "JoinRequestsBefore", text: selectRequestsBefore, from: `SELECT expires_at, 100 FROM join_requests LIMIT 200`,
			sqlite: []string{"join_requests USING INDEX join_requests_expiry"}, postgres: []string{"join_requests_expiry"},
		},
		{
			name: "RemovalsBefore", text: selectRemovals, from: `SELECT at, 100 FROM removals LIMIT 200`,
			sqlite: []string{"removals USING COVERING INDEX removals_at"}, postgres: []string{"removals_at"},
		},
		{
			name: "MutedFlows", text: selectMuted, from: `SELECT 9000000000, 0, -9000000000000000, 0, 100`,
			sqlite: []string{"flows USING COVERING INDEX flows_muted"}, postgres: []string{"flows_muted"},
		},
		{
			name: "Counts, muted", text: countMuted, whole: true,
			sqlite: []string{"flows USING COVERING INDEX flows_muted"}, postgres: []string{"flows_muted"},
		},
		{
			name: "Counts, open", text: countOpen, sorts: true, whole: true,
			sqlite: []string{"flows USING INDEX flows_open"}, postgres: []string{"flows_open"},
		},
		{
			name: "Counts, groups", text: countGroups, whole: true,
			sqlite:   []string{"protected_groups USING COVERING INDEX protected_groups_enabled"},
			postgres: []string{"protected_groups_enabled"},
		},
		{
			name: "GroupsRequiring", text: selectGroupsRequiring, from: `SELECT channel_id FROM enforced_channels LIMIT 200`,
			sqlite:   []string{"l USING COVERING INDEX group_channel_links_channel", "g USING COVERING INDEX"},
			postgres: []string{"group_channel_links_channel"},
		},
		{
			name: "ProtectedGroups", text: selectEnabledGroups, whole: true,
			sqlite:   []string{"protected_groups USING COVERING INDEX protected_groups_enabled"},
			postgres: []string{"protected_groups_enabled"},
		},
		{
			name: "DueBefore", text: selectDue, from: `SELECT at, 100 FROM due LIMIT 200`,
			sqlite: []string{"due USING INDEX due_at"}, postgres: []string{"due_at"},
		},
		{
			name: "Seen", text: selectSeenUpdate, from: `SELECT update_id FROM seen_updates LIMIT 200`,
			sqlite: []string{"seen_updates USING INTEGER PRIMARY KEY"}, postgres: []string{"seen_updates_pkey"},
		},
		{
			name: "Notices", text: selectNotices, from: `SELECT group_id FROM notices LIMIT 200`,
			sqlite: []string{"notices USING PRIMARY KEY"}, postgres: []string{"notices_pkey"},
		},
		{
			name: "OldestProofs", text: selectProofs, from: `SELECT group_id - 1, 20 FROM protected_groups LIMIT 200`,
			sqlite: []string{
				"g USING COVERING INDEX protected_groups_enabled", "s USING COVERING INDEX seen_members_proof", "m USING PRIMARY KEY",
			},
			postgres: []string{"protected_groups_enabled", "seen_members_proof", "seen_members_pkey"},
		},
		{
			name: "SeenForChannel", text: selectSeenForChannel, sorts: true, whole: true,
			from:     `SELECT 0, 0, channel_id, 0, 200 FROM enforced_channels LIMIT 200`,
			sqlite:   []string{"l USING COVERING INDEX group_channel_links_channel", "m USING PRIMARY KEY"},
			postgres: []string{"group_channel_links_channel"},
		},
		{
			name: "DropDue", text: deleteDue, from: `SELECT chat_id, message_id FROM due LIMIT 200`, writes: true,
			sqlite: []string{"due USING"}, postgres: []string{"due_chat_id_message_id_key"},
		},
	}
}
