-- Web hooks: who wants to hear, what is to be told, and the journal's two functions that write it down in the
-- transaction of what it tells. An installation without hooks pays for a look into two empty tables per batch.

DROP TABLE outbox;

CREATE TABLE webhooks (
    id         text PRIMARY KEY CHECK (id ~ '^WH[0-9a-f]{10}$'),
    account    text NOT NULL REFERENCES accounts,
    url        text NOT NULL CHECK (url ~ '^https?://[^/?#]' AND length(url) <= 2048),
    types      text[] NOT NULL CHECK (types <> '{}'),
    secret     text NOT NULL CHECK (secret ~ '^whsec_'),
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX webhooks_account ON webhooks (account, created_at, id);
COMMENT ON TABLE webhooks IS 'Subscriptions. A type is a name (call.ended) or a family (call.*)';
COMMENT ON COLUMN webhooks.secret IS 'Kept as it is, because each message is signed with it; shown once';

CREATE TABLE hook_secrets (
    account text PRIMARY KEY REFERENCES accounts,
    secret  text NOT NULL CHECK (secret ~ '^whsec_')
);
COMMENT ON TABLE hook_secrets IS 'Signs what goes to notify URLs that a request named';

CREATE TABLE call_hooks (
    request_id text NOT NULL,
    url        text NOT NULL CHECK (url ~ '^https?://[^/?#]' AND length(url) <= 2048),
    types      text[] NOT NULL,
    PRIMARY KEY (request_id, url)
);
COMMENT ON TABLE call_hooks IS 'Notify URLs of single calls, out of params.notify: [{"url", "types"}]';

CREATE TABLE outbox (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account      text NOT NULL,
    webhook      text REFERENCES webhooks ON DELETE CASCADE,
    subject      text NOT NULL,
    sequence     bigint NOT NULL,
    type         text NOT NULL,
    url          text NOT NULL,
    host         text NOT NULL GENERATED ALWAYS AS (lower(substring(url FROM '://([^/?#]+)'))) STORED,
    lane         text NOT NULL GENERATED ALWAYS AS (coalesce(webhook, md5(url)) || ' ' || subject) STORED,
    body         jsonb NOT NULL,
    state        text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'delivered', 'dead')),
    claimed      boolean NOT NULL DEFAULT false,
    attempts     int NOT NULL DEFAULT 0,
    next_at      timestamptz NOT NULL DEFAULT now(),
    created_at   timestamptz NOT NULL DEFAULT now(),
    attempted_at timestamptz,
    settled_at   timestamptz,
    status       int,
    error        text,
    UNIQUE (lane, sequence)
);
CREATE INDEX outbox_due ON outbox (host, next_at, id) WHERE state = 'waiting';
CREATE INDEX outbox_lanes ON outbox (lane, sequence) WHERE state = 'waiting';
CREATE INDEX outbox_log ON outbox (webhook, id);
CREATE INDEX outbox_states ON outbox (webhook, state, id);
CREATE INDEX outbox_settled ON outbox (settled_at) WHERE state <> 'waiting';
COMMENT ON TABLE outbox IS 'One message to one web hook: written in the transaction of what it tells, delivered by workers, and the log of it';
COMMENT ON COLUMN outbox.webhook IS 'Null: a notify URL that a request named';
COMMENT ON COLUMN outbox.subject IS 'What it is about: a request id; a campaign, a room';
COMMENT ON COLUMN outbox.lane IS 'Messages of one lane are delivered one after the other, in the order of sequence';
COMMENT ON COLUMN outbox.claimed IS 'A worker has it; when it has not settled it by next_at, another may take it';

CREATE FUNCTION outbox_wanted() RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN EXISTS (SELECT FROM webhooks) OR EXISTS (SELECT FROM call_hooks);
END $$;
COMMENT ON FUNCTION outbox_wanted IS 'Whether anybody has a hook at all';

CREATE SEQUENCE outbox_numbers;
COMMENT ON SEQUENCE outbox_numbers IS 'Sequence numbers of messages that are not about a call';

CREATE FUNCTION outbox_hooks(p_request_id text, p_account text, p_type text)
RETURNS TABLE (webhook text, url text) LANGUAGE sql STABLE AS $$
    SELECT w.id, w.url FROM webhooks AS w
    WHERE w.account = p_account AND w.types && ARRAY[p_type, split_part(p_type, '.', 1) || '.*']
    UNION ALL
    SELECT NULL, h.url FROM call_hooks AS h
    WHERE h.request_id = p_request_id AND h.types && ARRAY[p_type, split_part(p_type, '.', 1) || '.*']
$$;
COMMENT ON FUNCTION outbox_hooks IS 'Who is to be told of that type of event of that call';

CREATE FUNCTION outbox_time(p_at timestamptz) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT to_char(p_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
$$;

CREATE FUNCTION outbox_call(p_call calls) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object(
        'request_id', p_call.request_id, 'account', p_call.account, 'flow', p_call.flow, 'direction', p_call.direction,
        'campaign_id', p_call.campaign_id, 'agent_number', p_call.params -> 'agent_number',
        'customer_number', p_call.params -> 'customer_number', 'caller_id', p_call.params -> 'caller_id')
$$;
COMMENT ON FUNCTION outbox_call IS 'What every message about a call says of it. Only these of the params: others may be secrets';

CREATE FUNCTION outbox_outcome(p_record jsonb) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN p_record IS NULL THEN '{}' ELSE jsonb_build_object(
        'dialed_number', p_record -> 'dialed_number', 'dial_status', p_record -> 'dial_status',
        'call_status', p_record -> 'call_status', 'sip_code', p_record -> 'sip_code', 'hangup_by', p_record -> 'hangup_by',
        'answered_at', outbox_time((p_record ->> 'answered_at')::timestamptz),
        'call_duration', p_record -> 'call_duration', 'billsec', p_record -> 'billsec') END
$$;
COMMENT ON FUNCTION outbox_outcome IS 'What the last CDR of a call says, for its terminal message';

CREATE FUNCTION outbox_type(p_kind text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE p_kind
        WHEN 'leg.ringing' THEN 'call.ringing'
        WHEN 'leg.answered' THEN 'call.answered'
        WHEN 'call.created' THEN p_kind
        WHEN 'call.bridged' THEN p_kind
        WHEN 'recording.ready' THEN p_kind
        WHEN 'recording.failed' THEN p_kind
        WHEN 'transcript.ready' THEN p_kind
        WHEN 'transcript.failed' THEN p_kind
    END
$$;
COMMENT ON FUNCTION outbox_type IS
    'Type of the message that an event of the timeline makes; null for none. call.ended comes with the closing, not with its event';

CREATE FUNCTION outbox_detail(p_kind text, p_data jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN p_kind LIKE 'recording.%' OR p_kind LIKE 'transcript.%' THEN p_data ELSE '{}' END
$$;

CREATE FUNCTION outbox_events(p_events jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO outbox (account, webhook, subject, sequence, type, url, body)
    SELECT calls.account, hook.webhook, event.request_id, event.seq, outbox_type(event.kind), hook.url,
           jsonb_build_object(
               'type', outbox_type(event.kind), 'timestamp', outbox_time(event.at),
               'data', outbox_call(calls)
                   || outbox_detail(event.kind, event.data)
                   || CASE WHEN legs.n IS NULL THEN '{}' ELSE jsonb_build_object('leg', jsonb_build_object(
                          'leg_id', legs.leg_id, 'role', legs.role, 'number', legs.number, 'attempt', legs.attempt)) END
                   || jsonb_build_object('sequence', event.seq))
    FROM jsonb_to_recordset(p_events) AS event(request_id text, seq int, at timestamptz, kind text, leg int, data jsonb)
         JOIN calls ON calls.request_id = event.request_id
         CROSS JOIN LATERAL outbox_hooks(event.request_id, calls.account, outbox_type(event.kind)) AS hook
         LEFT JOIN legs ON legs.request_id = event.request_id AND legs.n = event.leg
    WHERE outbox_type(event.kind) IS NOT NULL
    ORDER BY event.request_id, event.seq
    ON CONFLICT (lane, sequence) DO NOTHING;
    IF FOUND THEN
        PERFORM pg_notify('trunkline_changed', 'outbox');
    END IF;
END $$;
COMMENT ON FUNCTION outbox_events IS 'Messages out of events of the timeline, in the transaction that writes them';

CREATE OR REPLACE FUNCTION journal_write(p_calls jsonb, p_legs jsonb, p_events jsonb, p_recordings jsonb, p_closings jsonb)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF p_calls IS NOT NULL THEN
        INSERT INTO calls (request_id, account, flow, direction, engine, params, campaign_id, state, created_at, scheduled_at)
        SELECT request_id, account, flow, direction, engine, params, campaign_id,
               CASE WHEN scheduled_at IS NULL THEN 'live' ELSE 'scheduled' END, created_at, scheduled_at
        FROM jsonb_populate_recordset(NULL::calls, p_calls)
        ON CONFLICT (request_id) DO NOTHING;
        IF p_calls @? '$[*].params.notify[*]' THEN
            INSERT INTO call_hooks (request_id, url, types)
            SELECT call.request_id, hook ->> 'url', ARRAY(SELECT jsonb_array_elements_text(hook -> 'types'))
            FROM jsonb_to_recordset(p_calls) AS call(request_id text, params jsonb),
                 jsonb_path_query(call.params, '$.notify[*] ? (@.url like_regex "^https?://[^/?#]" && @.types.type() == "array")')
                     AS hook
            WHERE length(hook ->> 'url') <= 2048
            ON CONFLICT DO NOTHING;
        END IF;
    END IF;
    IF p_legs IS NOT NULL THEN
        INSERT INTO legs (leg_id, request_id, n, role, number, endpoint, channel_id, attempt, server, state, created_at)
        SELECT leg_id, request_id, n, role, number, endpoint, channel_id, attempt, server, 'created', created_at
        FROM jsonb_populate_recordset(NULL::legs, p_legs)
        ON CONFLICT (leg_id) DO NOTHING;
        UPDATE calls SET state = 'live'
        FROM jsonb_to_recordset(p_legs) AS leg(request_id text)
        WHERE calls.request_id = leg.request_id AND calls.state = 'scheduled';
    END IF;
    IF p_events IS NOT NULL THEN
        INSERT INTO call_events (request_id, seq, at, kind, leg, data)
        SELECT request_id, seq, at, kind, leg, data
        FROM jsonb_populate_recordset(NULL::call_events, p_events)
        ON CONFLICT (request_id, seq) DO NOTHING;
        IF outbox_wanted() THEN
            PERFORM outbox_events(p_events);
        END IF;
    END IF;
    IF p_recordings IS NOT NULL THEN
        INSERT INTO recordings (name, request_id, account, option, state, server, sides, started_at, duration, size, sha256, error)
        SELECT DISTINCT ON (name) name, request_id, account, option, state, server, sides, started_at, duration, size, sha256, error
        FROM ROWS FROM (jsonb_to_recordset(p_recordings) AS (
            name text, request_id text, account text, option text, state text, server text, sides jsonb,
            started_at timestamptz, duration double precision, size bigint, sha256 text, error text)) WITH ORDINALITY
        ORDER BY name, ordinality DESC
        ON CONFLICT (name) DO UPDATE
        SET state = excluded.state, server = excluded.server, sides = excluded.sides, started_at = excluded.started_at,
            duration = excluded.duration, size = excluded.size, sha256 = excluded.sha256, error = excluded.error;
    END IF;
    IF p_closings IS NOT NULL THEN
        PERFORM journal_close(p_closings);
    END IF;
END $$;

CREATE OR REPLACE FUNCTION journal_close(p_closings jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_missing text;
    v_wanted boolean := outbox_wanted();
BEGIN
    SELECT closing.request_id INTO v_missing
    FROM jsonb_to_recordset(p_closings) AS closing(request_id text)
    WHERE NOT EXISTS (SELECT FROM calls WHERE calls.request_id = closing.request_id)
    LIMIT 1;
    IF v_missing IS NOT NULL THEN
        RAISE foreign_key_violation USING MESSAGE = format('call %s is closed but was never written', v_missing);
    END IF;

    WITH closing AS (
        SELECT DISTINCT ON (request_id) *
        FROM ROWS FROM (jsonb_to_recordset(p_closings) AS (
            request_id text, ended_at timestamptz, end_reason text, result text, reconciled boolean,
            legs jsonb, records jsonb, outbox jsonb)) WITH ORDINALITY
        ORDER BY request_id, ordinality
    ), ended AS (
        UPDATE calls
        SET state = 'ended', ended_at = closing.ended_at, end_reason = closing.end_reason, result = closing.result,
            reconciled = closing.reconciled
        FROM closing
        WHERE calls.request_id = closing.request_id AND calls.state <> 'ended'
        RETURNING calls.request_id, calls.account, closing.legs, closing.records, closing.outbox, closing.ordinality
    ), legs_written AS (
        INSERT INTO legs (leg_id, request_id, n, role, number, endpoint, channel_id, channel, attempt, server, state, created_at,
                          dialing_at, ringing_at, answered_at, ended_at, sip_code, q850, hangup_by, why, dtmf, reconciled)
        SELECT leg.leg_id, leg.request_id, leg.n, leg.role, leg.number, leg.endpoint, leg.channel_id, leg.channel, leg.attempt,
               leg.server, leg.state, leg.created_at, leg.dialing_at, leg.ringing_at, leg.answered_at, leg.ended_at,
               leg.sip_code, leg.q850, leg.hangup_by, leg.why, leg.dtmf, leg.reconciled
        FROM ended, jsonb_populate_recordset(NULL::legs, ended.legs) AS leg
        ON CONFLICT (leg_id) DO UPDATE
        SET channel = excluded.channel, server = coalesce(excluded.server, legs.server), state = excluded.state,
            endpoint = excluded.endpoint, dialing_at = excluded.dialing_at, ringing_at = excluded.ringing_at,
            answered_at = excluded.answered_at, ended_at = excluded.ended_at, sip_code = excluded.sip_code,
            q850 = excluded.q850, hangup_by = excluded.hangup_by, why = excluded.why, dtmf = excluded.dtmf,
            reconciled = excluded.reconciled
    ), cdr_written AS (
        INSERT INTO cdr (request_id, conversation, account_id, agent_number, customer_number, caller_id, dialed_number,
                         call_direction, destination_context, dial_status, call_status, call_date, started_at, answered_at,
                         ended_at, call_duration, billsec, uniqueid, end_reason, dtmf_inputs, recording_name, result, sip_code,
                         q850, hangup_by, campaign_id, list_id, is_dnd, reconciled)
        SELECT r.request_id, r.conversation, r.account_id, r.agent_number, r.customer_number, r.caller_id, r.dialed_number,
               r.call_direction, r.destination_context, r.dial_status, r.call_status, r.call_date, r.started_at, r.answered_at,
               r.ended_at, r.call_duration, r.billsec, r.uniqueid, r.end_reason, r.dtmf_inputs, r.recording_name, r.result,
               r.sip_code, r.q850, r.hangup_by, r.campaign_id, r.list_id, r.is_dnd, r.reconciled
        FROM ended, jsonb_populate_recordset(NULL::cdr, ended.records) AS r
        ORDER BY ended.ordinality, r.conversation
    )
    INSERT INTO outbox (account, webhook, subject, sequence, type, url, body)
    SELECT calls.account, hook.webhook, calls.request_id, coalesce((message #>> '{data,sequence}')::bigint, 0), message ->> 'type', hook.url,
           message || jsonb_build_object('data', outbox_call(calls) || outbox_outcome(ended.records -> -1) || (message -> 'data'))
    FROM ended JOIN calls USING (request_id),
         jsonb_array_elements(ended.outbox) AS message,
         outbox_hooks(ended.request_id, ended.account, message ->> 'type') AS hook
    WHERE v_wanted
    ORDER BY ended.ordinality
    ON CONFLICT (lane, sequence) DO NOTHING;
    IF FOUND THEN
        PERFORM pg_notify('trunkline_changed', 'outbox');
    END IF;
END $$;
