-- name: add_otp_template
INSERT INTO otp_templates (id, account, name, text, language, otp_type)
SELECT $1, $2, $3, $4, $5, $6
WHERE (SELECT count(*) FROM otp_templates WHERE account = $2) < $7
RETURNING *;

-- name: seed_otp_template
INSERT INTO otp_templates (id, account, name, text, state, approved_at)
VALUES ($1, $2, $3, $4, 'approved', now())
ON CONFLICT (id) DO NOTHING;

-- name: otp_templates_of
SELECT * FROM otp_templates
WHERE ($1::text IS NULL OR account = $1) AND ($2::text IS NULL OR id > $2)
ORDER BY id
LIMIT $3;

-- name: otp_template
SELECT * FROM otp_templates WHERE id = $1 AND ($2::text IS NULL OR account = $2);

-- name: change_otp_template
-- What is said, and what of, was approved: changing either makes it a draft.
UPDATE otp_templates AS held
SET name = coalesce($3, name), text = coalesce($4, text), language = coalesce($5, language),
    otp_type = coalesce($6, otp_type), updated_at = now(),
    state = CASE WHEN same THEN state ELSE 'draft' END,
    approved_at = CASE WHEN same THEN approved_at END
FROM (SELECT coalesce($4, text) = text AND coalesce($5, language) = language AND coalesce($6, otp_type) = otp_type AS same
      FROM otp_templates WHERE id = $1 AND account = $2 FOR UPDATE) AS compared
WHERE id = $1 AND account = $2
RETURNING held.*;

-- name: approve_otp_template
UPDATE otp_templates
SET state = CASE WHEN $2::bool THEN 'approved' ELSE 'draft' END,
    approved_at = CASE WHEN $2::bool THEN coalesce(approved_at, now()) END, updated_at = now()
WHERE id = $1
RETURNING *;

-- name: remove_otp_template
DELETE FROM otp_templates WHERE id = $1 AND ($2::text IS NULL OR account = $2) RETURNING id;
