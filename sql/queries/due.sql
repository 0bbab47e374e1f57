-- name: due_by_index
-- For the rest of the transaction. How many due calls a lane may give is not known when the query is planned: the planner
-- takes it for a tenth of a million, and would read the table from end to end.
SELECT set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true),
       set_config('enable_sort', 'off', true), set_config('enable_hashjoin', 'off', true),
       set_config('enable_mergejoin', 'off', true);

-- name: due_lanes_ready
-- Lanes that may have something to do within the look ahead ($1 seconds), locked: one engine at a time serves a lane.
SELECT clock_timestamp() AS now, lane, account, opens_at, closes_at, per_minute, max_concurrent, next_at, last_engine, fed, rules,
       (SELECT count(*) FROM dialers WHERE alive_until > now()) AS engines,
       coalesce((SELECT (settings ->> 'concurrent_calls')::int FROM accounts WHERE accounts.account = due_lanes.account), $2::int) AS concurrent
FROM due_lanes
WHERE open AND wake_at <= now() + make_interval(secs => $1)
ORDER BY wake_at
LIMIT 16
FOR UPDATE SKIP LOCKED;

-- name: due_flying
-- What is under way in lanes ($1) and in their accounts ($2): as many as their caps, no more is counted.
SELECT want.lane,
       (SELECT count(*) FROM (SELECT FROM due_calls AS due
                              WHERE due.account = want.account AND due.lane = want.lane AND due.state IN ('claimed', 'placed')
                              LIMIT 10000) AS found) AS of_lane,
       (SELECT count(*) FROM (SELECT FROM due_calls AS due
                              WHERE due.account = want.account AND due.state IN ('claimed', 'placed')
                              LIMIT 10000) AS found) AS of_account
FROM unnest($1::text[], $2::text[]) AS want(lane, account);

-- name: due_take
-- The first n ($2) due calls of each lane ($1) that are due until then ($3), for an engine ($4).
WITH picked AS MATERIALIZED (
    SELECT due.id
    FROM unnest($1::text[], $2::int[], $3::timestamptz[]) AS want(lane, n, until),
         LATERAL (SELECT id FROM due_calls
                  WHERE lane = want.lane AND state = 'due' AND due_at <= want.until
                  ORDER BY due_at, id
                  LIMIT want.n
                  FOR UPDATE SKIP LOCKED) AS due
)
UPDATE due_calls AS due
SET state = 'claimed', claimed_by = $4, claim = nextval('due_claims')
FROM picked
WHERE due.id = picked.id
RETURNING due.*;

-- name: due_following
-- The next of a lane ($1) that are due until then ($2), locked: at most $3.
SELECT id, number FROM due_calls
WHERE lane = $1 AND state = 'due' AND due_at <= $2
ORDER BY due_at, id
LIMIT $3
FOR UPDATE SKIP LOCKED;

-- name: due_put_off
UPDATE due_calls SET state = 'due', claimed_by = NULL, claim = NULL, due_at = put.off
FROM unnest($1::bigint[], $2::timestamptz[]) AS put(id, off)
WHERE due_calls.id = put.id;

-- name: due_left
-- When the next of each lane ($1) is due, and how many are due until then ($2): as many as $3, no more is counted.
SELECT want.lane,
       (SELECT due_at FROM due_calls WHERE lane = want.lane AND state = 'due' ORDER BY due_at, id LIMIT 1) AS next,
       (SELECT count(*) FROM (SELECT FROM due_calls WHERE lane = want.lane AND state = 'due' AND due_at <= $2
                              LIMIT $3::int) AS found) AS left,
       EXISTS (SELECT FROM due_calls AS due
               WHERE due.account = want.account AND due.lane = want.lane AND due.state IN ('claimed', 'placed')) AS flying
FROM unnest($1::text[], $4::text[]) AS want(lane, account);

-- name: due_lanes_served
UPDATE due_lanes
SET next_at = served.next_at, last_engine = coalesce(served.engine, due_lanes.last_engine), wake_at = served.wake_at
FROM unnest($1::text[], $2::timestamptz[], $3::text[], $4::timestamptz[]) AS served(lane, next_at, engine, wake_at)
WHERE due_lanes.lane = served.lane;

-- name: due_next_wake
SELECT extract(epoch FROM min(wake_at) - clock_timestamp())::float8 FROM due_lanes
WHERE open AND wake_at < now() + interval '1 hour';

-- name: due_mine
-- The due call, locked, if this engine ($2) may dial it under this claim ($3) now.
SELECT due.*
FROM due_calls AS due JOIN due_lanes USING (lane)
WHERE due.id = $1 AND due.claimed_by = $2 AND due.claim = $3 AND due.state = 'claimed' AND due_lanes.open
  AND (due_lanes.closes_at IS NULL OR due_lanes.closes_at > now())
  AND (due.expires_at IS NULL OR due.expires_at > now())
FOR UPDATE OF due;

-- name: due_placed_before
-- Whether it is placed as this very call: the answer to the first question got lost.
SELECT true FROM due_calls WHERE id = $1 AND state = 'placed' AND request_id = $2 AND claimed_by = $3;

-- name: due_placed
WITH placed AS (
    UPDATE due_calls SET state = 'placed', request_id = $2, attempt = attempt + 1, placed_at = now()
    WHERE id = $1
    RETURNING account, number
), tried AS (
    INSERT INTO due_tries (account, number, at) SELECT account, number, now() FROM placed
)
UPDATE calls SET due_id = $1, engine = $3, state = 'live' WHERE request_id = $2;

-- name: due_postpone
WITH back AS (
    UPDATE due_calls SET state = 'due', claimed_by = NULL, claim = NULL, due_at = coalesce($4, due_at)
    WHERE id = $1 AND claimed_by = $2 AND claim = $3 AND state = 'claimed'
    RETURNING lane, due_at
)
UPDATE due_lanes SET wake_at = coalesce($4, now()) FROM back WHERE due_lanes.lane = back.lane AND wake_at > coalesce($4, now());

-- name: due_skip
UPDATE due_calls SET state = 'done', claimed_by = NULL, claim = NULL, result = $4, ended_at = $5
WHERE id = $1 AND claimed_by = $2 AND claim = $3 AND state = 'claimed'
RETURNING lane, account, campaign_id, request_id, attempt;

-- name: due_drained_wake
SELECT due_wake($1, now())
WHERE NOT EXISTS (SELECT FROM due_calls WHERE lane = $1 AND state = 'due')
  AND NOT EXISTS (SELECT FROM due_calls WHERE account = $2 AND lane = $1 AND state IN ('claimed', 'placed'));

-- name: due_alive
INSERT INTO dialers (engine, alive_until) VALUES ($1, now() + make_interval(secs => $2))
ON CONFLICT (engine) DO UPDATE SET alive_until = excluded.alive_until;

-- name: due_engines
SELECT count(*) FROM dialers WHERE alive_until > now();

-- name: due_given_back
-- Claims of engines whose lease is over; or of one engine ($1), but for those that it has in hand ($2).
WITH back AS (
    UPDATE due_calls SET state = 'due', claimed_by = NULL, claim = NULL
    WHERE state = 'claimed'
      AND CASE WHEN $1::text IS NULL THEN claimed_by NOT IN (SELECT engine FROM dialers WHERE alive_until > now())
               ELSE claimed_by = $1 AND id <> ALL ($2::bigint[]) END
    RETURNING lane
), woken AS (
    UPDATE due_lanes SET wake_at = now() WHERE lane IN (SELECT lane FROM back) AND wake_at > now()
)
SELECT count(*) FROM back;

-- name: due_forget_dialers
DELETE FROM dialers WHERE alive_until < now() - interval '1 day';

-- name: due_forget_tries
DELETE FROM due_tries WHERE at < now() - interval '8 days';

-- name: due_forget_ended
-- The oldest ($2) of those that ended more than $1 days ago. Nothing dials or counts by them any more: campaigns know how far
-- they are by fed_to and their counters, calls and CDRs stand by themselves.
WITH old AS MATERIALIZED (
    SELECT id FROM due_calls
    WHERE state = 'done' AND ended_at < now() - make_interval(days => $1)
    ORDER BY ended_at
    LIMIT $2
    FOR UPDATE SKIP LOCKED
), gone AS (
    DELETE FROM due_calls USING old WHERE due_calls.id = old.id RETURNING 1
)
SELECT count(*) FROM gone;

-- name: due_tries_of
SELECT at FROM due_tries WHERE account = $1 AND number = $2 AND at > now() - interval '7 days' ORDER BY at;

-- name: due_lost
UPDATE due_calls
SET state = 'done', result = 'CANCEL', ended_at = now(),
    outcome = jsonb_build_object('dial_status', 'CANCEL', 'end_reason', 'engine_restart', 'dtmf', '')
WHERE state = 'placed' AND placed_at < now() - make_interval(secs => $1)
RETURNING id;

-- name: due_lane
INSERT INTO due_lanes (lane, account, wake_at) VALUES ($1, $2, $3)
ON CONFLICT (lane) DO UPDATE SET wake_at = least(due_lanes.wake_at, excluded.wake_at);

-- name: due_told
SELECT pg_notify('trunkline_changed', 'due_calls');

-- name: due_add
INSERT INTO due_calls (lane, kind, account, number, params, due_at, expires_at, max_attempts, retry_seconds, retry_on, request_id,
                       code, code_item)
SELECT lane, kind, account, number, params, due_at, expires_at, max_attempts, retry_seconds, retry_on, request_id, code, code_item
FROM ROWS FROM (jsonb_to_recordset($1::jsonb) AS (
    lane text, kind text, account text, number text, params jsonb, due_at timestamptz, expires_at timestamptz, max_attempts int,
    retry_seconds int, retry_on text[], request_id text, code text, code_item int)) WITH ORDINALITY
ORDER BY ordinality
RETURNING *;

-- name: due_stand
UPDATE calls SET due_id = due.id
FROM unnest($1::bigint[], $2::text[]) AS due(id, request_id)
WHERE calls.request_id = due.request_id;

-- name: due_get
SELECT * FROM due_calls WHERE account = $1 AND id = $2;

-- name: due_locked
SELECT * FROM due_calls WHERE account = $1 AND id = $2 FOR UPDATE;

-- name: due_by_request
SELECT due.* FROM calls JOIN due_calls AS due ON due.id = calls.due_id
WHERE calls.request_id = $2 AND calls.account = $1;

-- name: due_by_codes
SELECT * FROM due_calls WHERE account = $1 AND code = ANY ($2::text[]) AND kind = 'instant' ORDER BY code_item, id;

-- name: due_of_request_locked
SELECT due.* FROM calls JOIN due_calls AS due ON due.id = calls.due_id
WHERE calls.request_id = $2 AND calls.account = $1
FOR UPDATE OF due;

-- name: due_change
UPDATE due_calls SET state = 'due', claimed_by = NULL, claim = NULL, params = $2::jsonb, number = $3, due_at = $4 WHERE id = $1;

-- name: due_call_params
UPDATE calls SET params = $2::jsonb, scheduled_at = $3 WHERE request_id = $1;

-- name: due_cancel
UPDATE due_calls SET state = 'done', claimed_by = NULL, claim = NULL, result = 'CANCELLED', ended_at = $2 WHERE id = $1;

-- name: due_lanes_shown
-- Lanes in which anything waits or is under way, and how much (no more than 100,000 is counted).
SELECT lane.lane, lane.account, lane.open, lane.per_minute, lane.max_concurrent, lane.fed,
       (SELECT count(*) FROM (SELECT FROM due_calls AS due WHERE due.lane = lane.lane AND due.state = 'due' LIMIT 100000) AS found) AS due,
       (SELECT count(*) FROM due_calls AS due
        WHERE due.account = lane.account AND due.lane = lane.lane AND due.state = 'claimed') AS claimed,
       (SELECT count(*) FROM due_calls AS due
        WHERE due.account = lane.account AND due.lane = lane.lane AND due.state = 'placed') AS placed,
       (SELECT min(due_at) FROM due_calls AS due WHERE due.lane = lane.lane AND due.state = 'due') AS next_due
FROM due_lanes AS lane
WHERE EXISTS (SELECT FROM due_calls AS due WHERE due.lane = lane.lane AND due.state = 'due')
   OR EXISTS (SELECT FROM due_calls AS due
              WHERE due.account = lane.account AND due.lane = lane.lane AND due.state IN ('claimed', 'placed'))
ORDER BY lane.lane;

-- name: dialers_shown
SELECT engine, alive_until FROM dialers WHERE alive_until > now() ORDER BY engine;
