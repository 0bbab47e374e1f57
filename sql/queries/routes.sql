-- name: routes
SELECT id, direction, prefix, kind, target, account FROM routes ORDER BY direction DESC, prefix, account NULLS FIRST, id;

-- name: add_route
INSERT INTO routes (direction, prefix, kind, target, account) VALUES ($1, $2, $3, $4, $5) RETURNING id;

-- name: remove_route
DELETE FROM routes WHERE id = $1 RETURNING id;

-- name: seed_routes
INSERT INTO routes (direction, prefix, kind, target)
SELECT 'outbound', '', 'trunk', $1::text
WHERE NOT EXISTS (SELECT FROM routes)
ON CONFLICT DO NOTHING;
