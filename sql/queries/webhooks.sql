-- name: add_webhook
INSERT INTO webhooks (id, account, url, types, secret)
SELECT $1, $2, $3, $4::text[], $5
WHERE (SELECT count(*) FROM webhooks WHERE account = $2) < $6
RETURNING created_at;

-- name: webhooks_of
SELECT id, account, url, types, created_at FROM webhooks
WHERE ($1::text IS NULL OR account = $1)
ORDER BY created_at, id;

-- name: webhook
SELECT id, account, url, types, created_at FROM webhooks WHERE id = $1 AND ($2::text IS NULL OR account = $2);

-- name: remove_webhook
DELETE FROM webhooks WHERE id = $1 AND ($2::text IS NULL OR account = $2) RETURNING id;

-- name: hook_secret
SELECT secret FROM hook_secrets WHERE account = $1;

-- name: keep_hook_secret
-- $3: whether one that is there gives way.
INSERT INTO hook_secrets AS held (account, secret) VALUES ($1, $2)
ON CONFLICT (account) DO UPDATE SET secret = CASE WHEN $3::bool THEN excluded.secret ELSE held.secret END
RETURNING secret;

-- name: deliveries_of
SELECT id, webhook, url, subject, sequence, type, body, state, claimed, attempts, next_at, created_at, attempted_at, settled_at,
       status, error
FROM outbox
WHERE webhook = $1 AND ($2::text IS NULL OR account = $2) AND ($3::bigint IS NULL OR id < $3)
ORDER BY id DESC
LIMIT $4;

-- name: deliveries_in_state
SELECT id, webhook, url, subject, sequence, type, body, state, claimed, attempts, next_at, created_at, attempted_at, settled_at,
       status, error
FROM outbox
WHERE webhook = $1 AND ($2::text IS NULL OR account = $2) AND ($3::bigint IS NULL OR id < $3) AND state = $5
ORDER BY id DESC
LIMIT $4;

-- name: deliveries
SELECT id, webhook, url, subject, sequence, type, body, state, claimed, attempts, next_at, created_at, attempted_at, settled_at,
       status, error
FROM outbox
WHERE ($1::text IS NULL OR account = $1) AND ($2::bigint IS NULL OR id < $2) AND ($4::text IS NULL OR state = $4)
ORDER BY id DESC
LIMIT $3;

-- name: redeliver
WITH again AS (
    UPDATE outbox
    SET state = 'waiting', attempts = 0, next_at = now(), settled_at = NULL
    WHERE id = $1 AND ($2::text IS NULL OR webhook = $2) AND ($3::text IS NULL OR account = $3) AND NOT claimed
    RETURNING id
)
SELECT id, pg_notify('trunkline_changed', 'outbox')::text FROM again;

-- name: publish
-- To all hooks of the account that take the type, or ($6) to one URL, or ($7) to one hook whatever it takes.
WITH target AS (
    SELECT id AS webhook, url FROM webhooks
    WHERE account = $1 AND $6::text IS NULL
      AND CASE WHEN $7::text IS NULL THEN types && ARRAY[$2::text, split_part($2, '.', 1) || '.*'] ELSE id = $7 END
    UNION ALL
    SELECT NULL, $6 WHERE $6 IS NOT NULL
), noted AS (
    -- The live feed tells of rooms and campaigns whether there is a hook or not.
    INSERT INTO feed_pending (account, type, at, data)
    SELECT $1, $2, $4, $5::jsonb
    WHERE $6::text IS NULL AND $7::text IS NULL AND split_part($2, '.', 1) IN ('room', 'campaign')
), number AS (
    SELECT coalesce($8::bigint, nextval('outbox_numbers')) AS sequence FROM (SELECT FROM target LIMIT 1) AS one
), told AS (
    INSERT INTO outbox (account, webhook, subject, sequence, type, url, body)
    SELECT $1, target.webhook, $3, number.sequence, $2, target.url,
           jsonb_build_object('type', $2::text, 'timestamp', outbox_time($4),
                              'data', $5::jsonb || jsonb_build_object('sequence', number.sequence))
    FROM target, number
    ON CONFLICT (lane, sequence) DO NOTHING
    RETURNING id
)
SELECT array_agg(id ORDER BY id) AS ids, pg_notify('trunkline_changed', 'outbox')::text FROM told HAVING count(*) > 0;

-- name: claim_deliveries
-- $1 at most, of each host $2 less those in $3 (host -> under way), none of the accounts $5; $4 seconds until another worker
-- may take them. A message
-- whose lane has an earlier one waiting is put off until that one's turn. What was put off comes back too, not "ours": the
-- caller asks again until nothing comes.
WITH RECURSIVE hosts AS (
    (SELECT host FROM outbox WHERE state = 'waiting' ORDER BY host LIMIT 1)
    UNION ALL
    SELECT (SELECT o.host FROM outbox AS o WHERE o.state = 'waiting' AND o.host > hosts.host ORDER BY o.host LIMIT 1)
    FROM hosts WHERE hosts.host IS NOT NULL
), due AS MATERIALIZED (
    SELECT picked.id, picked.lane
    FROM hosts CROSS JOIN LATERAL (
        SELECT o.id, o.lane FROM outbox AS o
        WHERE o.state = 'waiting' AND o.host = hosts.host AND o.next_at <= now() AND o.account <> ALL ($5::text[])
        ORDER BY o.next_at, o.id
        LIMIT greatest(0, $2::int - coalesce(($3::jsonb ->> hosts.host)::int, 0))
        FOR UPDATE SKIP LOCKED
    ) AS picked
    WHERE hosts.host IS NOT NULL
    LIMIT $1::int
), heads AS MATERIALIZED (
    SELECT due.id, head.id AS head, head.next_at, head.claimed
    FROM due CROSS JOIN LATERAL (
        SELECT o.id, o.next_at, o.claimed FROM outbox AS o
        WHERE o.state = 'waiting' AND o.lane = due.lane
        ORDER BY o.sequence LIMIT 1
    ) AS head
), moved AS (
    UPDATE outbox AS o
    SET claimed = heads.head = o.id,
        attempts = o.attempts + (heads.head = o.id)::int,
        attempted_at = CASE WHEN heads.head = o.id THEN now() ELSE o.attempted_at END,
        next_at = CASE WHEN heads.head = o.id THEN now() + make_interval(secs => $4::float8)
                       WHEN heads.claimed OR heads.next_at <= now() THEN now() + interval '1 second'
                       ELSE heads.next_at END
    FROM heads
    WHERE o.id = heads.id
    RETURNING o.id, o.account, o.webhook, o.subject, o.sequence, o.type, o.url, o.host, o.body, o.attempts, o.claimed
)
SELECT moved.*, coalesce(webhooks.secret, hook_secrets.secret) AS secret
FROM moved
     LEFT JOIN webhooks ON webhooks.id = moved.webhook
     LEFT JOIN hook_secrets ON moved.webhook IS NULL AND hook_secrets.account = moved.account
ORDER BY moved.id;

-- name: settle_delivery
WITH settled AS (
    UPDATE outbox
    SET state = $2, status = $3, error = $4, claimed = false, next_at = now() + make_interval(secs => $5::float8),
        settled_at = CASE WHEN $2 = 'waiting' THEN NULL ELSE now() END
    WHERE id = $1 AND claimed
    RETURNING id, lane, sequence, state
), next AS (
    UPDATE outbox AS o SET next_at = now()
    FROM settled
    WHERE settled.state <> 'waiting' AND o.id = (
        SELECT later.id FROM outbox AS later
        WHERE later.lane = settled.lane AND later.state = 'waiting' AND later.sequence > settled.sequence
        ORDER BY later.sequence LIMIT 1)
)
SELECT id FROM settled;

-- name: release_deliveries
UPDATE outbox SET claimed = false, attempts = greatest(attempts - 1, 0), next_at = now() WHERE id = ANY ($1::bigint[]) AND claimed;

-- name: forget_deliveries
-- Delivered ones after a week, dead ones after 30 days, notify URLs a week after their call.
WITH old AS (
    DELETE FROM outbox
    WHERE state <> 'waiting'
      AND settled_at < now() - CASE state WHEN 'delivered' THEN interval '7 days' ELSE interval '30 days' END
)
DELETE FROM call_hooks USING calls
WHERE calls.request_id = call_hooks.request_id AND calls.ended_at < now() - interval '7 days';
