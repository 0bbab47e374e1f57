-- The call-control API: bearer tokens, devices; and the live feed, one order over all that happens. PostgreSQL >= 14.

CREATE TABLE tokens (
    id         text PRIMARY KEY CHECK (id ~ '^TK[0-9a-f]{10}$'),
    account    text NOT NULL REFERENCES accounts,
    credential bigint REFERENCES credentials,
    hash       bytea NOT NULL UNIQUE CHECK (length(hash) = 32),
    scopes     text[] NOT NULL CHECK (scopes <@ ARRAY['read', 'call', 'campaign', 'admin'] AND scopes <> '{}'),
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz,
    CHECK (expires_at > created_at)
);
CREATE INDEX tokens_account ON tokens (account, created_at, id);
CREATE INDEX tokens_expired ON tokens (expires_at);
COMMENT ON TABLE tokens IS 'Bearer tokens of accounts, as SHA-256; the tokens themselves are shown once and kept nowhere';
COMMENT ON COLUMN tokens.credential IS 'The secret that it was given for, with which it ends; null: an operator made it';

CREATE TRIGGER tell_change AFTER UPDATE OR DELETE OR TRUNCATE ON tokens
    FOR EACH STATEMENT EXECUTE FUNCTION tell_change();

CREATE TABLE devices (
    account      text NOT NULL REFERENCES accounts,
    key          text NOT NULL,
    extension    text NOT NULL,
    mac          text CHECK (mac ~ '^[0-9A-F]{2}(-[0-9A-F]{2}){5}$'),
    address      text NOT NULL,
    contact      text NOT NULL,
    lifetime     int NOT NULL CHECK (lifetime > 0),
    expires_at   timestamptz NOT NULL,
    first_at     timestamptz NOT NULL,
    last_request timestamptz NOT NULL,
    last_success timestamptz NOT NULL,
    forgotten_at timestamptz,
    PRIMARY KEY (account, key)
);
CREATE INDEX devices_of ON devices (account, first_at, key) WHERE forgotten_at IS NULL;
COMMENT ON TABLE devices IS 'Telephones that have registered';
COMMENT ON COLUMN devices.key IS 'The MAC address where the phone tells it, else extension@address';
COMMENT ON COLUMN devices.lifetime IS 'Seconds that its registration is good for: last_success is that long before expires_at';
COMMENT ON COLUMN devices.forgotten_at IS 'Somebody had it forgotten; a registration after that brings it back';

-- The live feed reads the timelines in one order. Ids become visible in their order, because whoever draws one holds a
-- lock until its transaction ends: a reader that has seen an id will never find a smaller one.

CREATE SEQUENCE feed_ids;
COMMENT ON SEQUENCE feed_ids IS 'Ids of everything in the live feed, whichever table it is in';

ALTER TABLE call_events ADD COLUMN id bigint;
ALTER TABLE call_events ALTER COLUMN id SET DEFAULT nextval('feed_ids');
CREATE INDEX call_events_feed ON call_events (id) WHERE id IS NOT NULL;
COMMENT ON COLUMN call_events.id IS 'Place in the live feed; null in timelines older than that';

CREATE TABLE feed_notes (
    id         bigint PRIMARY KEY DEFAULT nextval('feed_ids'),
    account    text NOT NULL,
    type       text NOT NULL,
    at         timestamptz NOT NULL,
    data       jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX feed_notes_created ON feed_notes (created_at);
COMMENT ON TABLE feed_notes IS 'What the live feed tells that is no event of a call: of rooms and campaigns';

CREATE UNLOGGED TABLE feed_readers (
    engine text PRIMARY KEY
);
COMMENT ON TABLE feed_readers IS 'Engines that have somebody at their live feed; without any, nobody is notified';

CREATE FUNCTION feed_in_order() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(7382915401);
    IF EXISTS (SELECT FROM feed_readers) THEN
        PERFORM pg_notify('trunkline_changed', 'feed');
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION feed_in_order IS 'Before the first id is drawn: one transaction at a time; readers hear of it with the commit';

CREATE TRIGGER feed_in_order BEFORE INSERT ON call_events FOR EACH STATEMENT EXECUTE FUNCTION feed_in_order();
CREATE TRIGGER feed_in_order BEFORE INSERT ON feed_notes FOR EACH STATEMENT EXECUTE FUNCTION feed_in_order();

CREATE FUNCTION feed_type(p_kind text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT coalesce(outbox_type(p_kind), CASE
        WHEN p_kind IN ('call.step', 'call.adopted', 'call.refused') THEN NULL
        WHEN p_kind LIKE 'call.%' OR p_kind IN ('leg.held', 'leg.resumed', 'leg.muted', 'leg.ended') THEN p_kind END)
$$;
COMMENT ON FUNCTION feed_type IS 'Type under which an event of a timeline is told in the live feed; null: it is not';

CREATE FUNCTION feed_room_type(p_action text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE p_action
        WHEN 'ENTER_ROOM' THEN 'room.entered'
        WHEN 'LEAVE_ROOM' THEN 'room.left'
        WHEN 'MUTE' THEN 'room.muted'
        WHEN 'UNMUTE' THEN 'room.unmuted'
        WHEN 'PAUSE' THEN 'room.paused'
        WHEN 'UNPAUSE' THEN 'room.unpaused'
        ELSE 'room.' || lower(p_action)
    END
$$;
COMMENT ON FUNCTION feed_room_type IS 'Type under which a line of a room''s event log is told';

CREATE FUNCTION feed_room() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_line jsonb := to_jsonb(NEW);
BEGIN
    INSERT INTO feed_notes (account, type, at, data)
    SELECT account, feed_room_type(v_line ->> 'action'), (v_line ->> 'at')::timestamptz,
           (v_line - 'id' - 'room' - 'at') || jsonb_build_object('room_id', v_line -> 'room')
    FROM rooms WHERE id = v_line ->> 'room';
    RETURN NULL;
END $$;
COMMENT ON FUNCTION feed_room IS 'A line of a room''s event log, told in the live feed';

DO $$
BEGIN
    IF to_regclass('room_events') IS NOT NULL THEN
        CREATE TRIGGER feed_room AFTER INSERT ON room_events FOR EACH ROW EXECUTE FUNCTION feed_room();
    END IF;
END $$;
