-- name: transcript
SELECT * FROM transcripts WHERE request_id = $1 AND ($2::text IS NULL OR account = $2);

-- name: transcript_claim
UPDATE transcripts
SET state = 'running', attempts = attempts + 1, due_at = now() + make_interval(secs => $2)
WHERE request_id = (
    SELECT request_id FROM transcripts
    WHERE engine = $1 AND state IN ('pending', 'running') AND due_at <= now()
    ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING *;

-- name: transcript_recover
UPDATE transcripts SET due_at = now() WHERE engine = $1 AND state = 'running';

-- name: transcript_again
UPDATE transcripts SET state = 'pending', due_at = now() + make_interval(secs => $2), error = $3
WHERE request_id = $1 AND state = 'running';

-- name: transcript_take
INSERT INTO transcripts (request_id, account, engine, recording, kept, state, attempts, due_at)
SELECT recordings.request_id, recordings.account, calls.engine, recordings.name, true, 'running', 1,
       now() + make_interval(secs => $2)
FROM recordings JOIN calls USING (request_id)
WHERE request_id = $1 AND recordings.state = 'ready' AND recordings.option = 'both'
ORDER BY recordings.name LIMIT 1
ON CONFLICT (request_id) DO UPDATE
SET state = 'running', attempts = 1, due_at = excluded.due_at
WHERE NOT transcripts.discarded
RETURNING *;

-- name: transcript_finish
WITH done AS (
    UPDATE transcripts
    SET state = $2, recogniser = $3, language = $4, duration = $5, text = $6, segments = $7::jsonb, error = $8,
        finished_at = $9
    WHERE request_id = $1 AND state = 'running'
    RETURNING request_id
)
SELECT tell_transcript(request_id, $10, $9, $11::jsonb) FROM done;

-- name: transcripts_to_discard
SELECT * FROM transcripts WHERE engine = $1 AND NOT kept AND NOT discarded AND state IN ('ready', 'failed');

-- name: transcript_discarded
UPDATE transcripts SET discarded = true WHERE request_id = $1;
