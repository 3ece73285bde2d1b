-- +goose Up

-- From here on a mute of ours is told by its until_date alone. The last mark, Unix seconds, that is not signed like that.
INSERT INTO meta (key, value)
SELECT 'unsigned_marks', CAST(max(greatest_of) AS TEXT)
FROM (SELECT max(until_date) AS greatest_of FROM flows UNION ALL SELECT max(other_mark) FROM flows) AS marks
HAVING max(greatest_of) > 0;
