-- +goose Up

-- Another mark of ours that Telegram told of, late perhaps, so that nobody knows which of the two stands. Unix
-- seconds; 0 = none.
ALTER TABLE flows ADD COLUMN other_mark INTEGER NOT NULL DEFAULT 0;
