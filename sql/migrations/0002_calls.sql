-- Calls, their legs, their timelines, their recordings.

-- One nextval takes a block: numbers n to n + 999. Below 2^40, the width of a request id.
CREATE SEQUENCE request_numbers INCREMENT BY 1000 MINVALUE 0 MAXVALUE 1099511626000 START WITH 0;
COMMENT ON SEQUENCE request_numbers IS 'Blocks of 1000 request numbers; scrambled with meta.request_ids into request ids';

CREATE TABLE calls (
    request_id   text PRIMARY KEY CHECK (request_id ~ '^[0-9a-f]{10}$'),
    account      text NOT NULL,
    flow         text NOT NULL,
    direction    text NOT NULL CHECK (direction IN ('outbound', 'inbound')),
    engine       text NOT NULL,
    params       jsonb NOT NULL DEFAULT '{}',
    campaign_id  text,
    state        text NOT NULL CHECK (state IN ('scheduled', 'live', 'ended')),
    created_at   timestamptz NOT NULL,
    scheduled_at timestamptz,
    ended_at     timestamptz,
    end_reason   text,
    result       text,
    reconciled   boolean NOT NULL DEFAULT false,
    CHECK ((state = 'ended') = (ended_at IS NOT NULL AND end_reason IS NOT NULL))
);
CREATE INDEX calls_open ON calls (created_at, request_id) WHERE state <> 'ended';
CREATE INDEX calls_account ON calls (account, created_at, request_id);
CREATE INDEX calls_created ON calls (created_at, request_id);
COMMENT ON TABLE calls IS 'What a customer asked for or what came in. Finer states are in the timeline';
COMMENT ON COLUMN calls.account IS 'No foreign key: accounts are never deleted, and its lock on one hot row would meet every new call';
COMMENT ON COLUMN calls.engine IS 'Id of the engine that has the call';

CREATE TABLE legs (
    leg_id      uuid PRIMARY KEY,
    request_id  text NOT NULL REFERENCES calls,
    n           int NOT NULL CHECK (n > 0),
    role        text NOT NULL CHECK (role IN ('agent', 'customer', 'caller', 'target', 'member', 'monitor')),
    number      text NOT NULL,
    endpoint    text NOT NULL,
    channel_id  text NOT NULL,
    channel     text,
    attempt     int NOT NULL CHECK (attempt > 0),
    server      text,
    state       text NOT NULL CHECK (state IN ('created', 'dialing', 'ringing', 'up', 'held', 'ended')),
    created_at  timestamptz NOT NULL,
    dialing_at  timestamptz,
    ringing_at  timestamptz,
    answered_at timestamptz,
    ended_at    timestamptz,
    sip_code    int,
    q850        int,
    hangup_by   text,
    why         text,
    dtmf        text NOT NULL DEFAULT '',
    reconciled  boolean NOT NULL DEFAULT false,
    UNIQUE (request_id, n)
) WITH (fillfactor = 70);
COMMENT ON TABLE legs IS 'One try to reach a party, one channel: inserted before Asterisk hears of it, completed when its call ends';

CREATE TABLE call_events (
    request_id text NOT NULL,
    seq        int NOT NULL CHECK (seq > 0),
    at         timestamptz NOT NULL,
    kind       text NOT NULL,
    leg        int,
    data       jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (request_id, seq)
);
COMMENT ON TABLE call_events IS 'The timeline of each call, from which its state is rebuilt (engine.calls.model.replay)';
COMMENT ON COLUMN call_events.request_id IS 'No foreign key: only journal_write inserts here, after the call itself, and a check per event would be its dearest part';

CREATE TABLE recordings (
    name       text PRIMARY KEY,
    request_id text NOT NULL REFERENCES calls,
    account    text NOT NULL,
    option     text NOT NULL CHECK (option IN ('both', 'agent', 'customer')),
    state      text NOT NULL CHECK (state IN ('recording', 'ready', 'failed')),
    server     text NOT NULL,
    sides      jsonb NOT NULL DEFAULT '{}',
    started_at timestamptz,
    duration   double precision,
    size       bigint,
    sha256     text,
    error      text
);
CREATE INDEX recordings_request ON recordings (request_id);
CREATE INDEX recordings_open ON recordings (name) WHERE state = 'recording';
COMMENT ON TABLE recordings IS 'Recordings by name; duration in seconds, size in bytes. The files lie in the object store';

CREATE TABLE idempotency_keys (
    account     text NOT NULL,
    key         text NOT NULL,
    fingerprint text NOT NULL,
    answer      jsonb NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account, key)
);
CREATE INDEX idempotency_keys_created ON idempotency_keys (created_at);
COMMENT ON TABLE idempotency_keys IS 'First answers by Idempotency-Key; a key is free again after 24 hours';
