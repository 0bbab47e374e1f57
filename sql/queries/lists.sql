-- name: add_contact_list
INSERT INTO contact_lists (id, account, name) VALUES ($1, $2, $3);

-- name: add_dnd_list
INSERT INTO dnd_lists (id, account, name) VALUES ($1, $2, $3);

-- name: contact_list
SELECT id, account, name, contacts, created_at FROM contact_lists WHERE id = $1 AND account = $2;

-- name: dnd_list
SELECT id, account, name, contacts, created_at FROM dnd_lists WHERE id = $1 AND account = $2;

-- name: add_contacts
SELECT contacts_add($1, $2, $3::text[], $4::text[], $5::text[]);

-- name: add_dnd_numbers
SELECT dnd_add($1, $2, $3::text[], $4::text[]);

-- name: lock_contact_list
SELECT n, contacts, last_id FROM contact_lists WHERE id = $1 AND account = $2 FOR NO KEY UPDATE;

-- name: lock_dnd_list
SELECT n, contacts, 0::bigint AS last_id FROM dnd_lists WHERE id = $1 AND account = $2 FOR NO KEY UPDATE;

-- name: count_contacts
UPDATE contact_lists SET contacts = contacts + $2, last_id = last_id + $3 WHERE n = $1;

-- name: count_dnd_numbers
UPDATE dnd_lists SET contacts = contacts + $2 WHERE n = $1 AND $3::bigint IS NOT NULL;
