-- name: journal_write
SELECT journal_write($1::jsonb, $2::jsonb, $3::jsonb, $4::jsonb, $5::jsonb);

-- name: request_block
SELECT nextval('request_numbers');

-- name: meta
SELECT value FROM meta WHERE name = $1;

-- name: claim_key
INSERT INTO idempotency_keys AS held (account, key, fingerprint, answer)
VALUES ($1, $2, $3, $4::jsonb)
ON CONFLICT (account, key) DO UPDATE
SET fingerprint = excluded.fingerprint, answer = excluded.answer, created_at = now()
WHERE held.created_at < now() - interval '24 hours'
RETURNING true;

-- name: held_key
SELECT fingerprint, answer FROM idempotency_keys
WHERE account = $1 AND key = $2 AND created_at >= now() - interval '24 hours';

-- name: release_key
DELETE FROM idempotency_keys WHERE account = $1 AND key = $2 AND answer = $3::jsonb;

-- name: expired_keys
DELETE FROM idempotency_keys WHERE created_at < now() - interval '24 hours';

-- name: cdr_make_partitions
SELECT cdr_make_partitions($1::int);

-- name: live_calls
SELECT request_id, account, flow, direction, engine, params, campaign_id, created_at, scheduled_at
FROM calls
WHERE state = 'live' AND engine = $1
ORDER BY created_at, request_id;

-- name: events_of
SELECT request_id, seq, at, kind, leg, data
FROM call_events
WHERE request_id = ANY ($1::text[])
ORDER BY request_id, seq;

-- name: not_ended
SELECT request_id FROM calls WHERE request_id = ANY ($1::text[]) AND state <> 'ended';

-- name: timeline
SELECT event.seq, event.at, event.kind, event.leg, event.data
FROM calls LEFT JOIN call_events AS event USING (request_id)
WHERE calls.request_id = $1 AND ($2::text IS NULL OR calls.account = $2)
ORDER BY event.seq;

-- name: listed_open
SELECT request_id FROM calls
WHERE state <> 'ended' AND state = ANY ($2::text[]) AND ($1::text IS NULL OR account = $1)
  AND ($4::text IS NULL
       OR (created_at, request_id) < (SELECT c.created_at, c.request_id FROM calls AS c WHERE c.request_id = $4))
ORDER BY created_at DESC, request_id DESC
LIMIT $3;

-- name: listed_of_account
SELECT request_id FROM calls
WHERE account = $1 AND state = ANY ($2::text[])
  AND (created_at, request_id) < (
      CASE WHEN $4::text IS NULL THEN 'infinity' ELSE (SELECT c.created_at FROM calls AS c WHERE c.request_id = $4) END,
      coalesce($4, ''))
ORDER BY created_at DESC, request_id DESC
LIMIT $3;

-- name: listed_of_all
SELECT request_id FROM calls
WHERE $1::text IS NULL AND state = ANY ($2::text[])
  AND (created_at, request_id) < (
      CASE WHEN $4::text IS NULL THEN 'infinity' ELSE (SELECT c.created_at FROM calls AS c WHERE c.request_id = $4) END,
      coalesce($4, ''))
ORDER BY created_at DESC, request_id DESC
LIMIT $3;

-- name: cdr_by_request
-- A CDR is not older than its call (a day for clocks that differ), which spares the partitions before it.
SELECT cdr.*
FROM calls LEFT JOIN cdr
    ON cdr.request_id = calls.request_id AND cdr.call_date >= calls.created_at - interval '1 day'
WHERE calls.request_id = $2 AND calls.account = $1
ORDER BY cdr.id;

-- name: cdr_by_date
SELECT * FROM cdr
WHERE account_id = $1 AND call_date >= $2 AND call_date < $3
ORDER BY id
LIMIT $4 OFFSET $5;

-- name: recording
SELECT * FROM recordings WHERE name = $2 AND ($1::text IS NULL OR account = $1);

-- name: open_recordings
SELECT recordings.*
FROM recordings JOIN calls USING (request_id)
WHERE recordings.state = 'recording' AND recordings.option <> 'room' AND calls.state = 'ended' AND calls.engine = $1
ORDER BY recordings.name;
