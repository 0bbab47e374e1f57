-- Whom campaigns call, and whom nobody calls. PostgreSQL >= 14.

CREATE TABLE contact_lists (
    n          bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    id         text PRIMARY KEY CHECK (id ~ '^LS[0-9a-f]{10}$'),
    account    text NOT NULL REFERENCES accounts,
    name       text NOT NULL CHECK (length(name) BETWEEN 1 AND 128),
    contacts   bigint NOT NULL DEFAULT 0 CHECK (contacts >= 0),
    last_id    bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (account, name)
);
COMMENT ON TABLE contact_lists IS 'Lists of contacts. Whoever adds to one holds its row, so that ids of contacts ascend in the order of commits';
COMMENT ON COLUMN contact_lists.n IS 'Stands for the list in contacts: shorter than its id';
COMMENT ON COLUMN contact_lists.contacts IS 'How many it has';
COMMENT ON COLUMN contact_lists.last_id IS 'No contact of the list has a higher id; there are gaps';

CREATE TABLE contacts (
    list   bigint NOT NULL,
    id     bigint NOT NULL,
    number text NOT NULL CHECK (length(number) BETWEEN 3 AND 15),
    name   text NOT NULL DEFAULT '',
    fields jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (list, id),
    UNIQUE (list, number)
);
COMMENT ON TABLE contacts IS 'Ids are the list''s own, in its order. No foreign key: a million are written at once. A list is never deleted while a campaign needs it';
COMMENT ON COLUMN contacts.fields IS 'Variables of announcements; those without a value are left out';

CREATE TABLE dnd_lists (
    n          bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    id         text PRIMARY KEY CHECK (id ~ '^DN[0-9a-f]{10}$'),
    account    text NOT NULL REFERENCES accounts,
    name       text NOT NULL CHECK (length(name) BETWEEN 1 AND 128),
    contacts   bigint NOT NULL DEFAULT 0 CHECK (contacts >= 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (account, name)
);
COMMENT ON TABLE dnd_lists IS 'Do-not-dial lists: numbers that a campaign which names the list never dials';

CREATE TABLE dnd_numbers (
    list   bigint NOT NULL,
    number text NOT NULL CHECK (length(number) BETWEEN 3 AND 15),
    name   text NOT NULL DEFAULT '',
    PRIMARY KEY (list, number)
);
COMMENT ON TABLE dnd_numbers IS 'Numbers of do-not-dial lists';

CREATE FUNCTION contacts_add(p_list text, p_account text, p_numbers text[], p_names text[], p_fields text[])
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    v_list  bigint;
    v_last  bigint;
    v_added bigint;
BEGIN
    SELECT n, last_id INTO v_list, v_last FROM contact_lists WHERE id = p_list AND account = p_account FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    INSERT INTO contacts (list, id, number, name, fields)
    SELECT v_list, v_last + given.n, number, name, fields::jsonb
    FROM unnest(p_numbers, p_names, p_fields) WITH ORDINALITY AS given(number, name, fields, n)
    ORDER BY given.n
    ON CONFLICT (list, number) DO NOTHING;
    GET DIAGNOSTICS v_added = ROW_COUNT;
    UPDATE contact_lists SET contacts = contacts + v_added, last_id = v_last + cardinality(p_numbers) WHERE n = v_list;
    RETURN v_added;
END $$;
COMMENT ON FUNCTION contacts_add IS 'How many were new to the list; null when there is no such list';

CREATE FUNCTION dnd_add(p_list text, p_account text, p_numbers text[], p_names text[])
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    v_list  bigint;
    v_added bigint;
BEGIN
    SELECT n INTO v_list FROM dnd_lists WHERE id = p_list AND account = p_account FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    INSERT INTO dnd_numbers (list, number, name)
    SELECT v_list, number, name FROM unnest(p_numbers, p_names) AS given(number, name)
    ON CONFLICT (list, number) DO NOTHING;
    GET DIAGNOSTICS v_added = ROW_COUNT;
    UPDATE dnd_lists SET contacts = contacts + v_added WHERE n = v_list;
    RETURN v_added;
END $$;
COMMENT ON FUNCTION dnd_add IS 'As contacts_add';
