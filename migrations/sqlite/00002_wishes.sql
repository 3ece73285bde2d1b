-- +goose Up

-- Who is never asked for anything in a group.
CREATE TABLE exemptions (
    group_id INTEGER NOT NULL,
    user_id  INTEGER NOT NULL,
    name     TEXT    NOT NULL,
    by_id    INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    PRIMARY KEY (group_id, user_id)
) STRICT, WITHOUT ROWID;

-- How often somebody was warned, where a group warns before it mutes.
CREATE TABLE warnings (
    group_id INTEGER NOT NULL,
    user_id  INTEGER NOT NULL,
    count    INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    PRIMARY KEY (group_id, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX warnings_at ON warnings (at);

-- Requests to join: of a protected group, where they wait for the person to join the channels, and of a
-- required channel, where a pending one may count as joined.
CREATE TABLE join_requests (
    chat_id    INTEGER NOT NULL,
    user_id    INTEGER NOT NULL,
    name       TEXT    NOT NULL,
    channel    INTEGER NOT NULL CHECK (channel IN (0, 1)),
    private_id INTEGER NOT NULL,
    message_id INTEGER NOT NULL,
    language   TEXT    NOT NULL,
    at         INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (chat_id, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX join_requests_user ON join_requests (user_id);
CREATE INDEX join_requests_expiry ON join_requests (expires_at);

-- Muted people who are to be removed at a time.
CREATE TABLE removals (
    group_id INTEGER NOT NULL,
    user_id  INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    PRIMARY KEY (group_id, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX removals_at ON removals (at);

-- Conversations in private in which a group and its channel are chosen.
CREATE TABLE wizards (
    user_id    INTEGER PRIMARY KEY,
    round      INTEGER NOT NULL,
    group_id   INTEGER NOT NULL,
    channel_id INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

-- What the bot cannot do somewhere, and whether the owner was told.
CREATE TABLE pauses (
    group_id INTEGER NOT NULL,
    place_id INTEGER NOT NULL,
    kind     TEXT    NOT NULL,
    since    INTEGER NOT NULL,
    told     INTEGER NOT NULL CHECK (told IN (0, 1)),
    PRIMARY KEY (group_id, place_id, kind)
) STRICT, WITHOUT ROWID;

CREATE INDEX protected_groups_owner ON protected_groups (owner_id);
CREATE INDEX seen_members_lately ON seen_members (group_id, at);
CREATE INDEX audit_user ON audit (user_id);
