-- name: room
-- By its id, or by the number that phones dial.
SELECT rooms.*, ARRAY(SELECT number FROM room_numbers WHERE room = rooms.id ORDER BY number) AS numbers
FROM rooms
WHERE (id = $2 OR number = $2) AND ($1::text IS NULL OR account = $1)
ORDER BY (id = $2) DESC
LIMIT 1;

-- name: rooms_of
SELECT rooms.*, ARRAY(SELECT number FROM room_numbers WHERE room = rooms.id ORDER BY number) AS numbers
FROM rooms
WHERE ($1::text IS NULL OR account = $1) AND ($2::text IS NULL OR id > $2)
ORDER BY id
LIMIT $3;

-- name: room_accesses
SELECT * FROM room_accesses WHERE room = ANY ($1::text[]) ORDER BY created_at, id;

-- name: add_room
INSERT INTO rooms (id, account, name, number, open, locked, recording, max_connected, max_duration, date_expiration, media)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11
WHERE (SELECT count(*) FROM rooms WHERE account = $2) < $12
RETURNING id;

-- name: seed_room
INSERT INTO rooms (id, account, name, number) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING RETURNING id;

-- name: seed_room_numbers
INSERT INTO room_numbers (number, room) SELECT unnest($2::text[]), $1 ON CONFLICT DO NOTHING;

-- name: seed_room_access
INSERT INTO room_accesses (id, room, label, level, pin) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING;

-- name: change_room
-- As it was read: who has changed it since ($12) is not overruled.
UPDATE rooms
SET name = $3, number = $4, open = $5, locked = $6, recording = $7, max_connected = $8, max_duration = $9,
    date_expiration = $10, media = $11, updated_at = clock_timestamp()
WHERE id = $1 AND account = $2 AND updated_at = $12
RETURNING id;

-- name: remove_room
DELETE FROM rooms WHERE id = $1 AND ($2::text IS NULL OR account = $2) RETURNING id;

-- name: clear_room_numbers
DELETE FROM room_numbers WHERE room = $1;

-- name: add_room_numbers
INSERT INTO room_numbers (number, room) SELECT unnest($2::text[]), $1;

-- name: add_room_access
INSERT INTO room_accesses (id, room, label, level, pin, phone_number, number, max_duration, date_expiration)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9
WHERE (SELECT count(*) FROM room_accesses WHERE room = $2) < $10
RETURNING id;

-- name: change_room_access
UPDATE room_accesses
SET label = $3, level = $4, pin = $5, phone_number = $6, number = $7, max_duration = $8, date_expiration = $9,
    updated_at = clock_timestamp()
WHERE id = $1 AND room = $2 AND updated_at = $10
RETURNING id;

-- name: remove_room_access
DELETE FROM room_accesses WHERE id = $1 AND room = $2 RETURNING id;

-- name: room_directory
-- What leads to rooms: (account, what its phones dial, room), and (null, an inbound number, room).
SELECT account AS owner, false AS inbound, number, id AS room FROM rooms WHERE number IS NOT NULL
UNION ALL
SELECT rooms.account, true, room_numbers.number, room FROM room_numbers JOIN rooms ON rooms.id = room;

-- name: tell_room
SELECT room_happened($1, $2, $3, NULL, $4);

-- name: room_events
SELECT * FROM room_events
WHERE room = $1 AND ($2::text IS NULL OR action = $2) AND ($3::text IS NULL OR member = $3)
  AND ($4::text IS NULL OR access_id = $4) AND ($5::bigint IS NULL OR id > $5)
ORDER BY id
LIMIT $6;

-- name: count_room_events
SELECT count(*) AS total,
       count(*) FILTER (WHERE ($2::text IS NULL OR action = $2) AND ($3::text IS NULL OR member = $3)
                          AND ($4::text IS NULL OR access_id = $4)) AS total_items
FROM room_events WHERE room = $1;

-- name: room_history
SELECT * FROM room_members
WHERE room = $1 AND left_at IS NOT NULL AND ($2::text IS NULL OR id = $2) AND ($3::text IS NULL OR access_id = $3)
  AND ($4::text IS NULL OR id IN (SELECT member FROM room_events WHERE room = $1 AND action = $4))
  AND ($5::timestamptz IS NULL OR (joined_at, id) > ($5, $6))
ORDER BY joined_at, id
LIMIT $7;

-- name: count_room_history
SELECT count(*) AS total,
       count(*) FILTER (WHERE ($2::text IS NULL OR id = $2) AND ($3::text IS NULL OR access_id = $3)
           AND ($4::text IS NULL OR id IN (SELECT member FROM room_events WHERE room = $1 AND action = $4))) AS total_items
FROM room_members WHERE room = $1 AND left_at IS NOT NULL;

-- name: open_room_recordings
SELECT recordings.* FROM recordings JOIN calls USING (request_id)
WHERE recordings.state = 'recording' AND recordings.option = 'room' AND calls.engine = $1
ORDER BY recordings.name;

-- name: room_members_now
SELECT * FROM room_members
WHERE room = $1 AND left_at IS NULL
  AND EXISTS (SELECT FROM calls WHERE calls.request_id = room_members.request_id AND calls.state = 'live')
ORDER BY joined_at, id;
