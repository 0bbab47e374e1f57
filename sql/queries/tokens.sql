-- name: add_token
INSERT INTO tokens (id, account, credential, hash, scopes, expires_at)
VALUES ($1, $2, (SELECT id FROM credentials WHERE account = $2 AND hash = $3::bytea), $4, $5, now() + make_interval(secs => $6))
RETURNING expires_at;

-- name: token
-- With its secret's scopes, where it has one that is still good.
SELECT tokens.id, tokens.account, tokens.hash, tokens.expires_at,
       ARRAY(SELECT unnest(tokens.scopes) INTERSECT SELECT unnest(coalesce(credentials.scopes, tokens.scopes))) AS scopes
FROM tokens LEFT JOIN credentials ON credentials.id = tokens.credential
WHERE tokens.hash = $1 AND tokens.revoked_at IS NULL AND credentials.revoked_at IS NULL;

-- name: tokens
SELECT tokens.id, tokens.account, tokens.scopes, tokens.created_at, tokens.expires_at,
       coalesce(tokens.revoked_at, credentials.revoked_at) AS revoked_at, tokens.credential IS NULL AS by_operator
FROM tokens LEFT JOIN credentials ON credentials.id = tokens.credential
WHERE $1::text IS NULL OR tokens.account = $1
ORDER BY tokens.account, tokens.created_at, tokens.id;

-- name: revoke_token
UPDATE tokens SET revoked_at = now() WHERE id = $1 AND revoked_at IS NULL RETURNING id;

-- name: revoke_tokens
WITH ended AS (UPDATE tokens SET revoked_at = now()
               WHERE account = $1 AND revoked_at IS NULL AND expires_at > now() RETURNING id)
SELECT count(*) FROM ended;

-- name: forget_tokens
DELETE FROM tokens WHERE expires_at < now() - interval '7 days';
