-- name: cc_position
SELECT created_at FROM calls WHERE account = $1 AND request_id = $2;

-- name: cc_count
-- Up to $5; none that only waits for its time.
SELECT count(*) FROM (
    SELECT FROM calls
    WHERE account = $1 AND state <> 'scheduled' AND created_at >= $2 AND created_at < $3
      AND ($4::text IS NULL OR params ->> 'agent_number' = $4 OR params ->> 'customer_number' = $4
           OR params ->> 'dialed' = $4 OR params ->> 'from' = $4
           OR EXISTS (SELECT FROM legs WHERE legs.request_id = calls.request_id AND legs.number = $4))
    LIMIT $5) AS found;

-- name: cc_later
-- Ascending, behind ($5, $6).
SELECT request_id FROM calls
WHERE account = $1 AND state <> 'scheduled' AND created_at >= $2 AND created_at < $3
  AND (created_at, request_id) > ($5::timestamptz, $6::text)
  AND ($4::text IS NULL OR params ->> 'agent_number' = $4 OR params ->> 'customer_number' = $4
       OR params ->> 'dialed' = $4 OR params ->> 'from' = $4
       OR EXISTS (SELECT FROM legs WHERE legs.request_id = calls.request_id AND legs.number = $4))
ORDER BY created_at, request_id
LIMIT $7 OFFSET $8;

-- name: cc_earlier
-- Descending, before ($5, $6).
SELECT request_id FROM calls
WHERE account = $1 AND state <> 'scheduled' AND created_at >= $2 AND created_at < $3
  AND (created_at, request_id) < ($5::timestamptz, $6::text)
  AND ($4::text IS NULL OR params ->> 'agent_number' = $4 OR params ->> 'customer_number' = $4
       OR params ->> 'dialed' = $4 OR params ->> 'from' = $4
       OR EXISTS (SELECT FROM legs WHERE legs.request_id = calls.request_id AND legs.number = $4))
ORDER BY created_at DESC, request_id DESC
LIMIT $7 OFFSET $8;

-- name: live_elsewhere
-- What other engines have, as they have written it down.
SELECT flow, direction, campaign_id IS NOT NULL AS campaign, count(*)::int AS calls
FROM calls
WHERE state = 'live' AND state <> 'ended' AND account = $1 AND engine <> $2
GROUP BY 1, 2, 3;
