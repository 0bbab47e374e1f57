-- Conference rooms: who may enter, who was in, what happened.

CREATE TABLE rooms (
    id              text PRIMARY KEY CHECK (id ~ '^[A-Za-z0-9]{3,32}$'),
    account         text NOT NULL REFERENCES accounts,
    name            text NOT NULL CHECK (length(name) BETWEEN 1 AND 128),
    number          text CHECK (number ~ '^[0-9]{3,6}$'),
    open            boolean NOT NULL DEFAULT true,
    locked          boolean NOT NULL DEFAULT false,
    recording       text NOT NULL DEFAULT 'MANUAL' CHECK (recording IN ('AUTO', 'MANUAL', 'OFF')),
    max_connected   int NOT NULL DEFAULT 0 CHECK (max_connected >= 0),
    max_duration    int NOT NULL DEFAULT 0 CHECK (max_duration >= 0),
    date_expiration timestamptz,
    media           jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(media) = 'object'),
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    UNIQUE (account, number)
);
CREATE INDEX rooms_account ON rooms (account, id);
COMMENT ON TABLE rooms IS 'Limits of 0 and a null expiry are none; durations in seconds. What goes on in a room lives in the engine';
COMMENT ON COLUMN rooms.number IS 'What phones of the account dial';

CREATE TABLE room_numbers (
    number text PRIMARY KEY CHECK (number ~ '^[0-9]{7,15}$'),
    room   text NOT NULL REFERENCES rooms ON DELETE CASCADE
);
CREATE INDEX room_numbers_room ON room_numbers (room);
COMMENT ON TABLE room_numbers IS 'Inbound numbers that lead to a room';

CREATE TABLE room_accesses (
    id              text PRIMARY KEY,
    room            text NOT NULL REFERENCES rooms ON DELETE CASCADE,
    label           text NOT NULL DEFAULT '',
    level           text NOT NULL CHECK (level IN ('ADMIN', 'GUEST')),
    pin             text NOT NULL DEFAULT '' CHECK (pin ~ '^[0-9]{0,8}$'),
    phone_number    text CHECK (phone_number ~ '^[0-9]{3,15}$'),
    number          text CHECK (number ~ '^[0-9]{3,15}$'),
    max_duration    int NOT NULL DEFAULT 0 CHECK (max_duration >= 0),
    date_expiration timestamptz,
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at      timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX room_accesses_pin ON room_accesses (room, pin, coalesce(phone_number, ''), coalesce(number, ''));
COMMENT ON TABLE room_accesses IS 'Ways into a room';
COMMENT ON COLUMN room_accesses.pin IS 'Empty: none is asked for';
COMMENT ON COLUMN room_accesses.phone_number IS 'For calls from that number alone, and called by it';
COMMENT ON COLUMN room_accesses.number IS 'For calls to that number of the room alone';

CREATE TABLE room_members (
    id           text PRIMARY KEY,
    room         text NOT NULL REFERENCES rooms ON DELETE CASCADE,
    request_id   text NOT NULL,
    number       text NOT NULL,
    direction    text NOT NULL CHECK (direction IN ('IN', 'OUT')),
    called       text NOT NULL DEFAULT '',
    access_id    text,
    access_label text NOT NULL DEFAULT '',
    level        text NOT NULL,
    muted        boolean NOT NULL DEFAULT false,
    paused       boolean NOT NULL DEFAULT false,
    joined_at    timestamptz NOT NULL,
    left_at      timestamptz,
    last_status  text NOT NULL DEFAULT 'CONNECTED'
);
CREATE INDEX room_members_room ON room_members (room, joined_at, id);
COMMENT ON TABLE room_members IS 'Connection history: a row for each time that somebody was in a room. The id is that of the leg';

CREATE TABLE room_events (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    room            text NOT NULL REFERENCES rooms ON DELETE CASCADE,
    at              timestamptz NOT NULL,
    action          text NOT NULL,
    origin          text NOT NULL CHECK (origin IN ('PHONE', 'WEB')),
    connected_count int NOT NULL DEFAULT 0,
    member          text,
    access_id       text,
    access_label    text,
    data            jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX room_events_room ON room_events (room, id);
COMMENT ON TABLE room_events IS 'What happened in a room, in the words of the conference documents';

CREATE TRIGGER tell_change AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON rooms
    FOR EACH STATEMENT EXECUTE FUNCTION tell_change();
CREATE TRIGGER tell_change AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON room_numbers
    FOR EACH STATEMENT EXECUTE FUNCTION tell_change();

CREATE FUNCTION room_action(p_kind text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE p_kind
        WHEN 'room.inbound_call' THEN 'INBOUND_CALL'
        WHEN 'room.outbound_call' THEN 'OUTBOUND_CALL'
        WHEN 'room.outbound_call_status' THEN 'OUTBOUND_CALL_STATUS'
        WHEN 'room.entered' THEN 'ENTER_ROOM'
        WHEN 'room.left' THEN 'LEAVE_ROOM'
        WHEN 'room.hangup' THEN 'HANGUP'
        WHEN 'room.muted' THEN 'MUTE'
        WHEN 'room.unmuted' THEN 'UNMUTE'
        WHEN 'room.paused' THEN 'PAUSE'
        WHEN 'room.unpaused' THEN 'UNPAUSE'
        ELSE upper(substring(p_kind FROM 6))
    END
$$;
COMMENT ON FUNCTION room_action IS 'The documents'' word for a kind of event; ours have none there';

CREATE FUNCTION room_happened(p_room text, p_kind text, p_at timestamptz, p_request_id text, p_data jsonb)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_account text;
    v_number bigint;
BEGIN
    SELECT account INTO v_account FROM rooms WHERE id = p_room;
    IF v_account IS NULL THEN
        RETURN;
    END IF;
    INSERT INTO room_events (room, at, action, origin, connected_count, member, access_id, access_label, data)
    VALUES (p_room, p_at, room_action(p_kind), coalesce(p_data ->> 'from', 'PHONE'),
            coalesce((p_data ->> 'connected_count')::int, 0), p_data ->> 'member', p_data ->> 'access_id',
            p_data ->> 'access_label',
            coalesce(p_data -> 'data', '{}') || CASE WHEN p_request_id IS NULL THEN '{}' ELSE
                jsonb_build_object('request_id', p_request_id, 'number', p_data -> 'number') END);
    IF EXISTS (SELECT FROM webhooks WHERE account = v_account AND types && ARRAY[p_kind, 'room.*']) THEN
        v_number := nextval('outbox_numbers');
        INSERT INTO outbox (account, webhook, subject, sequence, type, url, body)
        SELECT v_account, webhooks.id, p_room, v_number, p_kind, webhooks.url,
               jsonb_build_object('type', p_kind, 'timestamp', outbox_time(p_at),
                   'data', (p_data - 'room') || jsonb_build_object(
                       'room_id', p_room, 'action', room_action(p_kind), 'request_id', p_request_id, 'sequence', v_number))
        FROM webhooks WHERE account = v_account AND types && ARRAY[p_kind, 'room.*']
        ON CONFLICT (lane, sequence) DO NOTHING;
        PERFORM pg_notify('trunkline_changed', 'outbox');
    END IF;
END $$;
COMMENT ON FUNCTION room_happened IS 'One line of a room''s event log, and the messages to whoever wants to hear of it';

CREATE FUNCTION room_event() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_data jsonb := NEW.data;
BEGIN
    IF NEW.kind = 'room.entered' THEN
        INSERT INTO room_members (id, room, request_id, number, direction, called, access_id, access_label, level, joined_at)
        SELECT v_data ->> 'member', rooms.id, NEW.request_id, coalesce(v_data ->> 'number', ''), v_data ->> 'direction',
               coalesce(v_data ->> 'called', ''), v_data ->> 'access_id', coalesce(v_data ->> 'access_label', ''),
               v_data ->> 'level', NEW.at
        FROM rooms WHERE rooms.id = v_data ->> 'room'
        ON CONFLICT (id) DO NOTHING;
    ELSIF NEW.kind IN ('room.muted', 'room.unmuted', 'room.paused', 'room.unpaused') THEN
        UPDATE room_members
        SET muted = CASE NEW.kind WHEN 'room.muted' THEN true WHEN 'room.unmuted' THEN false ELSE muted END,
            paused = CASE NEW.kind WHEN 'room.paused' THEN true WHEN 'room.unpaused' THEN false ELSE paused END
        WHERE id = v_data ->> 'member';
    ELSIF NEW.kind = 'room.left' THEN
        UPDATE room_members
        SET left_at = NEW.at, last_status = coalesce(v_data #>> '{data,last_status}', 'CONNECTED')
        WHERE id = v_data ->> 'member' AND left_at IS NULL;
    END IF;
    PERFORM room_happened(v_data ->> 'room', NEW.kind, NEW.at, NEW.request_id, v_data);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION room_event IS 'What members'' calls tell of their rooms, in the transaction that writes it, also when it comes out of the spool';

CREATE TRIGGER room_event AFTER INSERT ON call_events
    FOR EACH ROW WHEN (NEW.kind LIKE 'room.%') EXECUTE FUNCTION room_event();

ALTER TABLE recordings DROP CONSTRAINT recordings_option_check;
ALTER TABLE recordings ADD CONSTRAINT recordings_option_check CHECK (option IN ('both', 'agent', 'customer', 'room'));
