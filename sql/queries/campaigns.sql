-- name: add_campaign
-- Gives nothing when a list is not there.
WITH held AS (
    SELECT l.n AS list, d.n AS dnd_list
    FROM contact_lists AS l LEFT JOIN dnd_lists AS d ON d.id = $6 AND d.account = $2
    WHERE l.id = $5 AND l.account = $2 AND ($6::text IS NULL OR d.n IS NOT NULL)
), made AS (
    INSERT INTO campaigns (id, account, name, type, list_id, list, dnd_list_id, dnd_list, caller_id, announcement, variables,
                           missing, connect_to, people, abandon_percent, starts_at, ends_at, time_zone, calls_per_minute,
                           max_concurrent, max_retries, retry_seconds, retry_on, rules)
    SELECT $1, $2, $3, $4, $5, held.list, $6, held.dnd_list, $7, $8::jsonb, $9::text[], $10, $11, $12, $13, $14, $15, $16, $17,
           $18, $19, $20, $21::text[], $22::jsonb
    FROM held
    RETURNING id, account, starts_at, ends_at, calls_per_minute, max_concurrent, rules
)
INSERT INTO due_lanes (lane, account, opens_at, closes_at, per_minute, max_concurrent, fed, rules, wake_at)
SELECT id, account, starts_at, ends_at, calls_per_minute, max_concurrent, false, rules, greatest(now(), starts_at) FROM made
RETURNING lane;

-- name: feed_campaign
SELECT campaign_feed($1, $2);

-- name: campaign_drained
SELECT campaign_drained($1);

-- name: wake_lane
SELECT due_wake($1, now());

-- name: tell_dialers
SELECT pg_notify('trunkline_changed', 'due_calls');

-- name: campaigns_of
SELECT campaigns.*, (SELECT contacts FROM contact_lists WHERE n = campaigns.list) AS contacts FROM campaigns
WHERE ($1::text IS NULL OR account = $1) AND deleted_at IS NULL
ORDER BY created_at, id;

-- name: campaign
SELECT campaigns.*, (SELECT contacts FROM contact_lists WHERE n = campaigns.list) AS contacts
FROM campaigns WHERE id = $2 AND ($1::text IS NULL OR account = $1) AND deleted_at IS NULL;

-- name: campaign_to_dial
SELECT * FROM campaigns WHERE id = $1;

-- name: on_dnd_list
SELECT EXISTS (SELECT FROM dnd_numbers WHERE list = $1 AND number = $2);

-- name: campaign_counts
-- In one statement, so that a call is either under way or counted.
SELECT kind, name, sum(n)::bigint AS n FROM campaign_counts WHERE campaign_id = $1 GROUP BY kind, name
UNION ALL
SELECT 'under_way', '', count(*) FROM due_calls WHERE account = $2 AND lane = $1 AND state = 'placed'
ORDER BY kind, name;

-- name: campaign_rate
SELECT answers, abandoned FROM campaign_rate($1);

-- name: campaign_answers
SELECT * FROM campaign_answers
WHERE campaign_id = $1 AND (answered_at, request_id) > ($2, $3)
ORDER BY answered_at, request_id LIMIT $4;

-- name: cdr_counts
SELECT dial_status, sum(n)::bigint AS n FROM cdr_counts WHERE account = $1 GROUP BY dial_status;

-- name: cdr_by_campaign
SELECT * FROM cdr WHERE campaign_id = $1 AND id > $2 ORDER BY id LIMIT $3;

-- name: stop_campaign
SELECT campaign_stop($1, $2);

-- name: pause_campaign
SELECT campaign_pause($1, $2);

-- name: resume_campaign
SELECT campaign_resume($1, $2);

-- name: pace_campaign
SELECT campaign_pace($1, $2, $3, $4);

-- name: delete_campaign
SELECT campaign_delete($1, $2);

-- name: delete_list
SELECT list_delete($1, $2);

-- name: contacts_lacking
SELECT count(*) AS n, (array_agg(number ORDER BY contacts.id))[1:3] AS numbers
FROM contacts JOIN contact_lists AS l ON l.n = contacts.list
WHERE l.id = $1 AND l.account = $2 AND NOT contacts.fields ?& $3::text[];

-- name: contacts_page
SELECT contacts.id, contacts.number, contacts.fields,
       EXISTS (SELECT FROM dnd_numbers AS d WHERE d.list = $2 AND d.number = contacts.number) AS dnd
FROM contacts WHERE contacts.list = $1 AND contacts.id > $3 ORDER BY contacts.id LIMIT $4;
