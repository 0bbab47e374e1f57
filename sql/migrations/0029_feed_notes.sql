-- What the live feed tells beside calls gets its number from whoever reads, not from whoever writes: a transaction that
-- has a campaign or a room in its hands must not wait for the journals, which may wait for that campaign.

CREATE TABLE feed_pending (
    n       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account text NOT NULL,
    type    text NOT NULL,
    at      timestamptz NOT NULL,
    data    jsonb NOT NULL
);
COMMENT ON TABLE feed_pending IS 'Notes for the live feed that have no place in it yet';

CREATE FUNCTION feed_pending_told() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM feed_readers) THEN
        PERFORM pg_notify('trunkline_changed', 'feed');
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER feed_pending_told AFTER INSERT ON feed_pending FOR EACH STATEMENT EXECUTE FUNCTION feed_pending_told();

CREATE FUNCTION feed_position() RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM feed_pending) THEN
        WITH moved AS (DELETE FROM feed_pending RETURNING *)
        INSERT INTO feed_notes (account, type, at, data) SELECT account, type, at, data FROM moved ORDER BY n;
    END IF;
    RETURN greatest(coalesce((SELECT max(id) FROM call_events WHERE id IS NOT NULL), 0),
                    coalesce((SELECT max(id) FROM feed_notes), 0));
END $$;
COMMENT ON FUNCTION feed_position IS 'Gives pending notes their numbers; the last number there is. No smaller one will come';

CREATE OR REPLACE FUNCTION feed_room() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_line jsonb := to_jsonb(NEW);
BEGIN
    INSERT INTO feed_pending (account, type, at, data)
    SELECT account, feed_room_type(v_line ->> 'action'), (v_line ->> 'at')::timestamptz,
           (v_line - 'id' - 'room' - 'at') || jsonb_build_object('room_id', v_line -> 'room')
    FROM rooms WHERE id = v_line ->> 'room';
    RETURN NULL;
END $$;

DROP TRIGGER IF EXISTS feed_room ON room_events;
CREATE TRIGGER feed_room AFTER INSERT ON room_events FOR EACH ROW EXECUTE FUNCTION feed_room();

CREATE FUNCTION feed_campaign() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.deleted_at IS NULL THEN
        INSERT INTO feed_pending (account, type, at, data)
        VALUES (NEW.account,
                'campaign.' || CASE
                    WHEN TG_OP = 'INSERT' THEN 'created'
                    WHEN NEW.state = 'running' AND OLD.state = 'scheduled' THEN 'started'
                    WHEN NEW.state IN ('running', 'scheduled') THEN 'resumed'
                    ELSE NEW.state END,
                clock_timestamp(),
                jsonb_build_object('campaign_id', NEW.id, 'campaign_name', NEW.name, 'account', NEW.account,
                                   'status', NEW.state, 'reason', NEW.reason, 'total', NEW.total));
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION feed_campaign IS 'A campaign''s change of state, told in the live feed under the types of web hooks';

CREATE TRIGGER feed_campaign AFTER INSERT ON campaigns FOR EACH ROW EXECUTE FUNCTION feed_campaign();
CREATE TRIGGER feed_campaign_change AFTER UPDATE OF state ON campaigns
    FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION feed_campaign();
