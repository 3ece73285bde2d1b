-- +goose Up

-- Mutes that end soon are given again, and everybody muted is asked about after a long absence.
CREATE INDEX flows_muted ON flows (until_date, group_id, user_id) WHERE state = 'muted';
