-- The tables of a root as views. `anomaly query` reads this file; a plain DuckDB can too:
--
--   duckdb -cmd "SET VARIABLE root = '/path/to/anomaly-root'" -init views.sql
--
-- or, started inside the root, `.read .../views.sql`. Partition values (archive, checkpoint, camera,
-- date) stay text, so that a camera named 007 keeps its zeros.

CREATE OR REPLACE VIEW scores AS
SELECT * FROM read_parquet(
    coalesce(getvariable('root'), '.') || '/scores/*/*/*/*/*.parquet',
    hive_partitioning = true,
    hive_types_autocast = false
);

-- the scores of the checkpoint that `nightly` takes when none is named
CREATE OR REPLACE VIEW current_scores AS
SELECT * FROM scores
WHERE checkpoint = (
    SELECT content::JSON ->> 'checkpoint'
    FROM read_text(coalesce(getvariable('root'), '.') || '/checkpoints/current*.json')
);

CREATE OR REPLACE VIEW events AS
SELECT * FROM read_parquet(
    coalesce(getvariable('root'), '.') || '/events/*/*/*/*/*.parquet',
    union_by_name = true,  -- files of earlier versions lack the newer columns
    hive_partitioning = true,
    hive_types_autocast = false
);

CREATE OR REPLACE VIEW catalog AS
SELECT * FROM read_parquet(
    coalesce(getvariable('root'), '.') || '/catalog/*/videos.parquet',
    hive_partitioning = false
);

CREATE OR REPLACE VIEW evaluations AS
SELECT * FROM read_parquet(coalesce(getvariable('root'), '.') || '/evaluations/*.parquet');

CREATE OR REPLACE VIEW runs AS
SELECT * FROM read_parquet(
    coalesce(getvariable('root'), '.') || '/runs/*/runs.parquet',
    union_by_name = true,  -- files of earlier versions lack the newer columns
    hive_partitioning = false
);

-- what people said of events; the file is JSON, as the report's page writes it
CREATE OR REPLACE VIEW verdicts AS
SELECT unnest(
    from_json(
        content::JSON -> 'verdicts',
        '[{
            "event_id": "VARCHAR",
            "archive": "VARCHAR",
            "camera": "VARCHAR",
            "video": "VARCHAR",
            "start_seconds": "DOUBLE",
            "stop_seconds": "DOUBLE",
            "verdict": "VARCHAR",
            "note": "VARCHAR",
            "decided_at": "TIMESTAMPTZ"
        }]'
    ),
    recursive := true
)
FROM read_text(coalesce(getvariable('root'), '.') || '/verdicts/*.json');

-- the events of the checkpoint that `nightly` takes when none is named, each with the verdict that counts:
-- the latest about this very event, or about half of it at least; or, if it says `real`, of which the event
-- holds half (the rule of anomaly/scores/verdicts.py)
CREATE OR REPLACE VIEW current_events AS
WITH e AS (
    SELECT * FROM events
    WHERE checkpoint = (
        SELECT content::JSON ->> 'checkpoint'
        FROM read_text(coalesce(getvariable('root'), '.') || '/checkpoints/current*.json')
    )
),
about AS (
    SELECT e.archive, e.video, e.event_id, v.verdict, v.note, v.decided_at, v.event_id AS given_for
    FROM e JOIN verdicts AS v ON v.archive = e.archive AND v.event_id = e.event_id
    UNION ALL
    SELECT e.archive, e.video, e.event_id, v.verdict, v.note, v.decided_at, v.event_id AS given_for
    FROM e JOIN verdicts AS v
        ON v.archive = e.archive
        AND v.video = e.video
        AND least(e.stop_seconds, v.stop_seconds) > greatest(e.start_seconds, v.start_seconds)
        AND least(e.stop_seconds, v.stop_seconds) - greatest(e.start_seconds, v.start_seconds)
            >= 0.5 * CASE v.verdict
                WHEN 'real' THEN least(e.stop_seconds - e.start_seconds, v.stop_seconds - v.start_seconds)
                ELSE e.stop_seconds - e.start_seconds
            END
)
SELECT e.*, counts.verdict, counts.note
FROM e LEFT JOIN (
    SELECT * FROM about
    QUALIFY row_number() OVER (
        PARTITION BY archive, video, event_id ORDER BY decided_at DESC, given_for DESC
    ) = 1
) AS counts
    ON counts.archive = e.archive AND counts.video = e.video AND counts.event_id = e.event_id;
