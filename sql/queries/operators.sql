-- name: call_row
SELECT request_id, account, flow, direction, engine, state, created_at, ended_at, end_reason, result, reconciled
FROM calls WHERE request_id = $1;

-- name: call_legs
SELECT * FROM legs WHERE request_id = $1 ORDER BY n;

-- name: ask_hangup
-- Told with the commit, to every engine that listens; the one that has the call ends it.
SELECT pg_notify('trunkline_changed', 'hangup ' || $1::text);

-- name: ask_reload
SELECT pg_notify('trunkline_changed', 'reload');
