-- name: keep_device
-- A registration: new, renewed, or seen again. One from before it was forgotten does not bring it back.
INSERT INTO devices AS d (account, key, extension, mac, address, contact, lifetime, expires_at, first_at, last_request, last_success)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, $9)
ON CONFLICT (account, key) DO UPDATE
SET extension = excluded.extension, mac = excluded.mac, address = excluded.address, contact = excluded.contact,
    lifetime = excluded.lifetime, expires_at = excluded.expires_at,
    last_request = greatest(d.last_request, excluded.last_request),
    last_success = greatest(d.last_success, excluded.last_success),
    first_at = CASE WHEN d.forgotten_at < excluded.last_success THEN excluded.first_at ELSE d.first_at END,
    forgotten_at = CASE WHEN d.forgotten_at < excluded.last_success THEN NULL ELSE d.forgotten_at END;

-- name: device_contacts
SELECT account, key, contact, lifetime, expires_at FROM devices;

-- name: device
SELECT * FROM devices WHERE account = $1 AND forgotten_at IS NULL AND (key = $2 OR extension = $2)
ORDER BY key = $2 DESC, last_success DESC LIMIT 1;

-- name: forget_device
UPDATE devices SET forgotten_at = now() WHERE account = $1 AND key = $2 AND forgotten_at IS NULL RETURNING key;

-- name: device_position
SELECT first_at FROM devices WHERE account = $1 AND key = $2;

-- name: device_count
SELECT count(*) FROM devices
WHERE account = $1 AND forgotten_at IS NULL AND last_success >= $2 AND last_success < $3;

-- name: devices_later
SELECT * FROM devices
WHERE account = $1 AND forgotten_at IS NULL AND last_success >= $2 AND last_success < $3
  AND (first_at, key) > ($4::timestamptz, $5::text)
ORDER BY first_at, key
LIMIT $6 OFFSET $7;

-- name: devices_earlier
SELECT * FROM devices
WHERE account = $1 AND forgotten_at IS NULL AND last_success >= $2 AND last_success < $3
  AND (first_at, key) < ($4::timestamptz, $5::text)
ORDER BY first_at DESC, key DESC
LIMIT $6 OFFSET $7;
