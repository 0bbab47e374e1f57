-- name: account
SELECT accounts.*,
       ARRAY(SELECT number FROM caller_ids WHERE caller_ids.account = accounts.account ORDER BY number) AS caller_ids,
       ARRAY(SELECT ROW (hash, array_to_string(scopes, ',')) FROM credentials
             WHERE credentials.account = accounts.account AND revoked_at IS NULL) AS credentials
FROM accounts
WHERE account = $1;

-- name: accounts
SELECT accounts.*,
       ARRAY(SELECT number FROM caller_ids WHERE caller_ids.account = accounts.account ORDER BY number) AS caller_ids
FROM accounts
ORDER BY account;

-- name: create_account
INSERT INTO accounts (account, number, country, time_zone)
VALUES ($1, coalesce($2, (SELECT greatest(max(number), 1233) + 1 FROM accounts)), $3, $4);

-- name: lock_account
SELECT settings FROM accounts WHERE account = $1 FOR UPDATE;

-- name: add_credential
INSERT INTO credentials (account, hash, scopes) VALUES ($1, $2, $3);

-- name: revoke_credentials
UPDATE credentials SET revoked_at = now() WHERE account = $1 AND revoked_at IS NULL;

-- name: enable_account
UPDATE accounts SET enabled = $2 WHERE account = $1 RETURNING account;

-- name: add_caller_ids
INSERT INTO caller_ids (account, number) SELECT $1, unnest($2::text[]) ON CONFLICT DO NOTHING;

-- name: remove_caller_ids
DELETE FROM caller_ids WHERE account = $1 AND number = ANY ($2::text[]);

-- name: set_settings
UPDATE accounts SET settings = $2::jsonb WHERE account = $1;

-- name: seed_account
INSERT INTO accounts (account, number, country) VALUES ($1, $2, $3) ON CONFLICT (account) DO NOTHING RETURNING account;

-- name: set_scopes
WITH changed AS (UPDATE credentials SET scopes = $2 WHERE account = $1 AND revoked_at IS NULL RETURNING account)
SELECT account FROM changed LIMIT 1;
