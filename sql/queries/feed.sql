-- name: feed_position
SELECT feed_position();

-- name: feed_page
-- What happened in ($1, $2], at most $4 lines, of one account or ($3 null) of all. An end comes with the last CDR of its call.
SELECT * FROM (
    SELECT event.id, calls.account, feed_type(event.kind) AS type, outbox_time(event.at) AS timestamp,
           outbox_call(calls) || outbox_detail(event.kind, event.data)
               || CASE WHEN legs.n IS NULL THEN '{}' ELSE jsonb_build_object('leg', jsonb_build_object(
                      'leg_id', legs.leg_id, 'role', legs.role, 'number', legs.number, 'attempt', legs.attempt)) END
               || CASE WHEN event.kind = 'call.ended' THEN
                      event.data || coalesce((SELECT outbox_outcome(to_jsonb(cdr)) || jsonb_build_object('recording_name', cdr.recording_name)
                                              FROM cdr WHERE cdr.request_id = event.request_id
                                                AND cdr.call_date >= calls.created_at - interval '1 day'
                                              ORDER BY cdr.conversation DESC LIMIT 1), '{}')
                  ELSE '{}' END
               || jsonb_build_object('sequence', event.seq) AS data,
           event.kind = 'call.ended' AND calls.state <> 'ended' AND event.at > now() - interval '2 seconds' AS unfinished
    FROM call_events AS event
         JOIN calls ON calls.request_id = event.request_id
         LEFT JOIN legs ON legs.request_id = event.request_id AND legs.n = event.leg
    WHERE event.id > $1 AND event.id <= $2 AND ($3::text IS NULL OR calls.account = $3) AND feed_type(event.kind) IS NOT NULL
    UNION ALL
    SELECT id, account, type, outbox_time(at), data, false
    FROM feed_notes WHERE id > $1 AND id <= $2 AND ($3::text IS NULL OR account = $3)
) AS told
ORDER BY id
LIMIT $4;

-- name: feed_attend
INSERT INTO feed_readers (engine) VALUES ($1) ON CONFLICT DO NOTHING;

-- name: feed_leave
DELETE FROM feed_readers WHERE engine = $1;

-- name: feed_begin
-- An engine that starts has no listeners; and whoever tails asks from time to time anyway.
DELETE FROM feed_readers WHERE engine = $1 OR engine LIKE 'tail-%';

-- name: forget_feed_notes
WITH untold AS (DELETE FROM feed_pending WHERE at < now() - interval '7 days')
DELETE FROM feed_notes WHERE created_at < now() - interval '7 days';
