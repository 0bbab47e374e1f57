-- name: media_put
INSERT INTO media (account, name, extension, file, source, duration, size, sha256)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (account, name) DO UPDATE
SET extension = excluded.extension, file = excluded.file, source = excluded.source, duration = excluded.duration,
    size = excluded.size, sha256 = excluded.sha256, created_at = now()
RETURNING *;

-- name: media_get
SELECT * FROM media WHERE account = $1 AND name = $2;

-- name: media_by_extension
SELECT * FROM media WHERE account = $1 AND extension = $2;

-- name: media_list
SELECT * FROM media WHERE account = $1 AND name > $3 ORDER BY name LIMIT $2;

-- name: media_delete
DELETE FROM media WHERE account = $1 AND name = $2 RETURNING *;

-- name: media_files
SELECT account, file FROM media;
