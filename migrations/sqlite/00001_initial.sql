-- +goose Up

CREATE TABLE owners (
    user_id    INTEGER PRIMARY KEY,
    username   TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE TABLE protected_groups (
    group_id   INTEGER PRIMARY KEY,
    owner_id   INTEGER NOT NULL REFERENCES owners (user_id) ON DELETE CASCADE,
    title      TEXT    NOT NULL,
    enabled    INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    settings   TEXT    NOT NULL CHECK (json_valid(settings)),
    version    INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
-- A start reads the ids of all enabled groups, and nothing else of them.
CREATE INDEX protected_groups_enabled ON protected_groups (group_id) WHERE enabled = 1;

CREATE TABLE enforced_channels (
    channel_id  INTEGER PRIMARY KEY,
    title       TEXT    NOT NULL,
    username    TEXT    NOT NULL,
    invite_link TEXT    NOT NULL,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL
) STRICT;

CREATE TABLE group_channel_links (
    id         INTEGER PRIMARY KEY,
    group_id   INTEGER NOT NULL REFERENCES protected_groups (group_id) ON DELETE CASCADE,
    channel_id INTEGER NOT NULL REFERENCES enforced_channels (channel_id) ON DELETE CASCADE,
    position   INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    UNIQUE (group_id, channel_id)
) STRICT;
CREATE INDEX group_channel_links_channel ON group_channel_links (channel_id, group_id);

-- One person's open business in one group.
CREATE TABLE flows (
    group_id      INTEGER NOT NULL,
    user_id       INTEGER NOT NULL,
    name          TEXT    NOT NULL,
    state         TEXT    NOT NULL,
    cause         TEXT    NOT NULL,
    since         INTEGER NOT NULL,
    rights_before TEXT    CHECK (rights_before IS NULL OR json_valid(rights_before)), -- NULL: a plain member
    until_date    INTEGER NOT NULL, -- Unix seconds, as Telegram counts
    messages      TEXT    NOT NULL CHECK (json_valid(messages)),
    thread_id     INTEGER NOT NULL,
    attempts      INTEGER NOT NULL,
    next_attempt  INTEGER NOT NULL,
    PRIMARY KEY (group_id, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX flows_user ON flows (user_id);
-- Rows with something to do. The muted sleep outside it, however many they are.
CREATE INDEX flows_open ON flows (group_id, since) WHERE state <> 'muted' OR messages <> '[]';

CREATE TABLE notices (
    group_id   INTEGER NOT NULL,
    thread_id  INTEGER NOT NULL,
    message_id INTEGER NOT NULL,
    seen       INTEGER NOT NULL,
    people     TEXT    NOT NULL CHECK (json_valid(people)),
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (group_id, thread_id)
) STRICT, WITHOUT ROWID;

-- AUTOINCREMENT, because an id names one act for ever: it is remembered while the act is under way.
CREATE TABLE due (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    chat_id    INTEGER NOT NULL,
    message_id INTEGER NOT NULL,
    at         INTEGER NOT NULL,
    UNIQUE (chat_id, message_id)
) STRICT;
CREATE INDEX due_at ON due (at);

CREATE TABLE seen_updates (
    update_id INTEGER PRIMARY KEY,
    at        INTEGER NOT NULL
) STRICT;
CREATE INDEX seen_updates_at ON seen_updates (at);

CREATE TABLE set_aside (
    update_id INTEGER PRIMARY KEY,
    raw       BLOB    NOT NULL,
    reason    TEXT    NOT NULL,
    at        INTEGER NOT NULL
) STRICT;

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    at       INTEGER NOT NULL,
    group_id INTEGER NOT NULL,
    actor_id INTEGER NOT NULL,
    user_id  INTEGER NOT NULL,
    action   TEXT    NOT NULL,
    detail   TEXT    NOT NULL
) STRICT;
CREATE INDEX audit_at ON audit (at);
CREATE INDEX audit_group ON audit (group_id);

CREATE TABLE daily_stats (
    group_id   INTEGER NOT NULL,
    day        TEXT    NOT NULL, -- UTC, 2006-01-02
    checked    INTEGER NOT NULL DEFAULT 0,
    muted      INTEGER NOT NULL DEFAULT 0,
    verified   INTEGER NOT NULL DEFAULT 0,
    left_again INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (group_id, day)
) STRICT, WITHOUT ROWID;
CREATE INDEX daily_stats_day ON daily_stats (day);

CREATE TABLE seen_members (
    group_id INTEGER NOT NULL,
    user_id  INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    PRIMARY KEY (group_id, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX seen_members_user ON seen_members (user_id);
CREATE INDEX seen_members_at ON seen_members (at);
