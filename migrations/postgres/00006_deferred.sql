-- +goose Up

-- When an update that could not be finished is tried again, Unix ms; 0 = never, it waits for a person. And how often
-- that has been done.
ALTER TABLE set_aside ADD COLUMN again_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE set_aside ADD COLUMN tries BIGINT NOT NULL DEFAULT 0;
