-- Who may use the engine, what they may dial and where numbers lead. PostgreSQL >= 14.

CREATE TABLE meta (
    name  text PRIMARY KEY,
    value bytea NOT NULL CHECK (length(value) >= 16)
);
COMMENT ON TABLE meta IS 'Keys of this installation, made once: request_ids scrambles request numbers, fingerprints keys the HMAC of idempotent bodies';

-- A version 4 UUID has 122 random bits from the strong source of the server; two of them make a 256-bit key.
INSERT INTO meta (name, value)
SELECT name, decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex')
FROM unnest(ARRAY['request_ids', 'fingerprints']) AS name;

CREATE TABLE accounts (
    account    text PRIMARY KEY CHECK (account ~ '^[A-Za-z0-9_.-]{1,64}$'),
    number     bigint NOT NULL UNIQUE CHECK (number > 0),
    country    text NOT NULL CHECK (country ~ '^[1-9][0-9]{0,2}$'),
    time_zone  text NOT NULL DEFAULT 'UTC',
    enabled    boolean NOT NULL DEFAULT true,
    settings   jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(settings) = 'object'),
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE accounts IS 'Tenants. Never deleted, only disabled: calls and CDRs name them';
COMMENT ON COLUMN accounts.number IS 'Number in call-control paths';
COMMENT ON COLUMN accounts.settings IS 'Limits that differ from the defaults of a fresh account (engine.calls.account.Limits)';

CREATE TABLE credentials (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account    text NOT NULL REFERENCES accounts,
    kind       text NOT NULL DEFAULT 'auth' CHECK (kind IN ('auth')),
    hash       bytea NOT NULL UNIQUE CHECK (length(hash) = 32),
    scopes     text[] NOT NULL CHECK (scopes <@ ARRAY['read', 'call', 'campaign', 'admin'] AND scopes <> '{}'),
    created_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz
);
CREATE INDEX credentials_account ON credentials (account) WHERE revoked_at IS NULL;
COMMENT ON TABLE credentials IS 'SHA-256 of random tokens of at least 128 bits; the tokens themselves are shown once and kept nowhere';

CREATE TABLE caller_ids (
    account text NOT NULL REFERENCES accounts,
    number  text NOT NULL CHECK (number ~ '^[0-9]{3,15}$'),
    PRIMARY KEY (account, number)
);
COMMENT ON TABLE caller_ids IS 'Numbers that an account may show to those it calls';

CREATE TABLE routes (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    direction text NOT NULL CHECK (direction IN ('outbound', 'inbound')),
    prefix    text NOT NULL CHECK (prefix ~ '^[0-9]{0,15}$'),
    kind      text NOT NULL,
    target    text NOT NULL DEFAULT '' CHECK (target ~ '^[A-Za-z0-9_.:-]{0,64}$'),
    account   text REFERENCES accounts,
    CHECK (kind = ANY (CASE direction WHEN 'outbound' THEN ARRAY['trunk', 'extension', 'deny'] ELSE ARRAY['flow'] END)),
    CHECK (kind NOT IN ('trunk', 'flow') OR target <> '')
);
CREATE UNIQUE INDEX routes_prefix ON routes (direction, prefix, coalesce(account, ''));
COMMENT ON TABLE routes IS 'Longest prefix wins, an account''s own route before a shared one (engine.calls.routing)';

CREATE FUNCTION tell_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('trunkline_changed', TG_TABLE_NAME);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION tell_change IS 'Every engine that listens drops what it remembers of that table';

CREATE TRIGGER tell_change AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON accounts
    FOR EACH STATEMENT EXECUTE FUNCTION tell_change();
CREATE TRIGGER tell_change AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON credentials
    FOR EACH STATEMENT EXECUTE FUNCTION tell_change();
CREATE TRIGGER tell_change AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON caller_ids
    FOR EACH STATEMENT EXECUTE FUNCTION tell_change();
CREATE TRIGGER tell_change AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON routes
    FOR EACH STATEMENT EXECUTE FUNCTION tell_change();
