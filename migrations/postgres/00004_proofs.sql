-- +goose Up

-- When it was last learned whether somebody is in the channels that their group requires, and since when
-- Telegram has told of all joins and leaves of a channel. Unix milliseconds; 0 = not known.
ALTER TABLE seen_members ADD COLUMN proof BIGINT NOT NULL DEFAULT 0;
CREATE INDEX seen_members_proof ON seen_members (group_id, proof, user_id);
ALTER TABLE enforced_channels ADD COLUMN pushed_since BIGINT NOT NULL DEFAULT 0;
