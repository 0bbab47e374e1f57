-- name: ask_order
-- Leaves word for the engine that has the call, and tells all of them. What nobody fetched is forgotten after an hour.
WITH old AS (DELETE FROM orders WHERE created_at < now() - interval '1 hour'),
     asked AS (
         INSERT INTO orders (request_id, action, leg, fields, asked_by)
         VALUES ($1, $2, $3, $4::jsonb, $5) RETURNING id)
SELECT asked.id, pg_notify('trunkline_changed', 'order ' || $1::text || ' ' || asked.id::text) FROM asked;

-- name: order_row
SELECT request_id, action, leg, fields, asked_by FROM orders WHERE id = $1 AND answer IS NULL;

-- name: answer_order
UPDATE orders SET answer = $2::jsonb WHERE id = $1;

-- name: order_answer
SELECT answer FROM orders WHERE id = $1;

-- name: forget_order
DELETE FROM orders WHERE id = $1;

-- name: live_call_of_channel
SELECT calls.request_id FROM calls JOIN call_events AS event ON event.request_id = calls.request_id
WHERE calls.account = $1 AND calls.state <> 'ended' AND event.kind IN ('leg.dialing', 'leg.created')
  AND event.data ->> 'channel' = $2
ORDER BY calls.created_at DESC LIMIT 1;
