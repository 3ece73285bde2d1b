-- +goose Up

-- Who is never asked for anything in a group.
CREATE TABLE exemptions (
    group_id BIGINT NOT NULL,
    user_id  BIGINT NOT NULL,
    name     TEXT    NOT NULL,
    by_id    BIGINT NOT NULL,
    at       BIGINT NOT NULL,
    PRIMARY KEY (group_id, user_id)
);

-- How often somebody was warned, where a group warns before it mutes.
CREATE TABLE warnings (
    group_id BIGINT NOT NULL,
    user_id  BIGINT NOT NULL,
    count    BIGINT NOT NULL,
    at       BIGINT NOT NULL,
    PRIMARY KEY (group_id, user_id)
);
CREATE INDEX warnings_at ON warnings (at);

-- Requests to join: of a protected group, where they wait for the person to join the channels, and of a
-- required channel, where a pending one may count as joined.
CREATE TABLE join_requests (
    chat_id    BIGINT NOT NULL,
    user_id    BIGINT NOT NULL,
    name       TEXT    NOT NULL,
    channel    BIGINT NOT NULL CHECK (channel IN (0, 1)),
    private_id BIGINT NOT NULL,
    message_id BIGINT NOT NULL,
    language   TEXT    NOT NULL,
    at         BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (chat_id, user_id)
);
CREATE INDEX join_requests_user ON join_requests (user_id);
CREATE INDEX join_requests_expiry ON join_requests (expires_at);

-- Muted people who are to be removed at a time.
CREATE TABLE removals (
    group_id BIGINT NOT NULL,
    user_id  BIGINT NOT NULL,
    at       BIGINT NOT NULL,
    PRIMARY KEY (group_id, user_id)
);
CREATE INDEX removals_at ON removals (at);

-- Conversations in private in which a group and its channel are chosen.
CREATE TABLE wizards (
    user_id    BIGINT PRIMARY KEY,
    round      BIGINT NOT NULL,
    group_id   BIGINT NOT NULL,
    channel_id BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

-- What the bot cannot do somewhere, and whether the owner was told.
CREATE TABLE pauses (
    group_id BIGINT NOT NULL,
    place_id BIGINT NOT NULL,
    kind     TEXT    NOT NULL,
    since    BIGINT NOT NULL,
    told     BIGINT NOT NULL CHECK (told IN (0, 1)),
    PRIMARY KEY (group_id, place_id, kind)
);

CREATE INDEX protected_groups_owner ON protected_groups (owner_id);
CREATE INDEX seen_members_lately ON seen_members (group_id, at);
CREATE INDEX audit_user ON audit (user_id);
