-- The one writer of calls: a batch of the journal in one round trip and one transaction.

CREATE FUNCTION journal_write(p_calls jsonb, p_legs jsonb, p_events jsonb, p_recordings jsonb, p_closings jsonb)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF p_calls IS NOT NULL THEN
        INSERT INTO calls (request_id, account, flow, direction, engine, params, campaign_id, state, created_at, scheduled_at)
        SELECT request_id, account, flow, direction, engine, params, campaign_id,
               CASE WHEN scheduled_at IS NULL THEN 'live' ELSE 'scheduled' END, created_at, scheduled_at
        FROM jsonb_populate_recordset(NULL::calls, p_calls)
        ON CONFLICT (request_id) DO NOTHING;
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
COMMENT ON FUNCTION journal_write IS
    'Arrays of JSON objects whose keys are column names, or NULL. Each record is idempotent: a batch may be written again';

CREATE FUNCTION journal_close(p_closings jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_missing text;
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
    INSERT INTO outbox (request_id, account, type, body)
    SELECT ended.request_id, ended.account, body ->> 'type', body
    FROM ended, jsonb_array_elements(ended.outbox) AS body
    ORDER BY ended.ordinality;
END $$;
COMMENT ON FUNCTION journal_close IS
    'Ends calls: exactly one closing per call writes its legs, CDRs and outbox messages; one that comes again writes nothing';
