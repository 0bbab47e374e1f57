-- The dialer: whatever is to be dialled later, or many times. PostgreSQL >= 14.

CREATE TABLE due_lanes (
    lane           text PRIMARY KEY,
    account        text NOT NULL REFERENCES accounts,
    open           boolean NOT NULL DEFAULT true,
    opens_at       timestamptz,
    closes_at      timestamptz,
    per_minute     double precision CHECK (per_minute > 0),
    max_concurrent int CHECK (max_concurrent > 0),
    next_at        timestamptz,
    last_engine    text,
    fed            boolean NOT NULL DEFAULT true,
    rules          jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(rules) = 'object'),
    wake_at        timestamptz NOT NULL DEFAULT 'infinity',
    CHECK (opens_at < closes_at)
);
CREATE INDEX due_lanes_wake ON due_lanes (wake_at) WHERE open;
COMMENT ON TABLE due_lanes IS 'Queues of due calls: one of each campaign (its id), and one of each account for all else (account/<account>)';
COMMENT ON COLUMN due_lanes.open IS 'False: nothing is dialled, not even what an engine has claimed (stopped, paused)';
COMMENT ON COLUMN due_lanes.opens_at IS 'Not before';
COMMENT ON COLUMN due_lanes.closes_at IS 'Not at or after; what is left then ends as EXPIRED';
COMMENT ON COLUMN due_lanes.per_minute IS 'Pace; null: as caps allow';
COMMENT ON COLUMN due_lanes.max_concurrent IS 'Calls at once; null: as the account''s limit allows';
COMMENT ON COLUMN due_lanes.next_at IS 'The first instant of the pace that no engine has taken';
COMMENT ON COLUMN due_lanes.last_engine IS 'Who took the last instants: others are first asked for the next';
COMMENT ON COLUMN due_lanes.fed IS 'False: there is more to come than stands in due_calls, and the feeder is asked for it';
COMMENT ON COLUMN due_lanes.rules IS 'engine.dialer.port.Rules: zone, schedule, callee_zone, per_day, per_week';
COMMENT ON COLUMN due_lanes.wake_at IS 'No engine need look at the lane before';

CREATE TABLE due_calls (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    lane          text NOT NULL,
    kind          text NOT NULL CHECK (kind IN ('callback', 'instant', 'campaign', 'follow_up')),
    account       text NOT NULL,
    campaign_id   text,
    contact_id    bigint,
    code          text,
    code_item     int NOT NULL DEFAULT -1,
    number        text NOT NULL,
    params        jsonb NOT NULL DEFAULT '{}',
    state         text NOT NULL DEFAULT 'due' CHECK (state IN ('due', 'claimed', 'placed', 'done')),
    due_at        timestamptz NOT NULL,
    expires_at    timestamptz,
    attempt       int NOT NULL DEFAULT 0 CHECK (attempt >= 0),
    max_attempts  int NOT NULL DEFAULT 1 CHECK (max_attempts > 0),
    retry_seconds int NOT NULL DEFAULT 300 CHECK (retry_seconds >= 0),
    retry_on      text[] NOT NULL DEFAULT '{}'
        CHECK (retry_on <@ ARRAY['BUSY', 'NOANSWER', 'CANCEL', 'CHANUNAVAIL', 'CONGESTION']),
    request_id    text,
    claimed_by    text,
    claim         bigint,
    placed_at     timestamptz,
    result        text,
    outcome       jsonb,
    created_at    timestamptz NOT NULL DEFAULT now(),
    ended_at      timestamptz,
    CHECK ((state = 'done') = (result IS NOT NULL AND ended_at IS NOT NULL)),
    CHECK (state <> 'placed' OR request_id IS NOT NULL)
) WITH (fillfactor = 80);
CREATE INDEX due_calls_due ON due_calls (lane, due_at, id) WHERE state = 'due';
CREATE INDEX due_calls_flying ON due_calls (account, lane) WHERE state IN ('claimed', 'placed');
CREATE INDEX due_calls_claimed ON due_calls (claimed_by) WHERE state = 'claimed';
CREATE UNIQUE INDEX due_calls_contact ON due_calls (campaign_id, contact_id) WHERE kind = 'campaign';
CREATE UNIQUE INDEX due_calls_code ON due_calls (account, code, code_item) WHERE kind = 'instant' AND code IS NOT NULL;
CREATE SEQUENCE due_claims;
COMMENT ON TABLE due_calls IS 'Due calls of every kind. No foreign keys: a campaign feeds a million of them';
COMMENT ON COLUMN due_calls.state IS
    'due; claimed: in the hands of an engine, not dialled; placed: a call was written down for it, which may have been dialled; done';
COMMENT ON COLUMN due_calls.attempt IS 'Tries made, that under way included';
COMMENT ON COLUMN due_calls.retry_on IS 'Dial statuses after which there is another try. One that an engine''s restart ended is always tried again';
COMMENT ON COLUMN due_calls.code IS 'CodeRequest of an instant call; code_item its place in a request that gave one code to several';
COMMENT ON COLUMN due_calls.request_id IS 'Of the call that stands for it from the beginning (scheduled), else of the latest try';
COMMENT ON COLUMN due_calls.claim IS 'Number of the claim: one that is over can''t be used';
COMMENT ON COLUMN due_calls.result IS 'Dial status of the last try, or why it was not dialled: DND EXPIRED CANCELLED REFUSED';
COMMENT ON COLUMN due_calls.outcome IS
    'The last try: dial_status end_reason result dtmf started_at answered_at ended_at billsec sip_code q850';

ALTER TABLE calls ADD COLUMN due_id bigint;
COMMENT ON COLUMN calls.due_id IS 'The due call that it is a try of';

CREATE TABLE due_tries (
    account text NOT NULL,
    number  text NOT NULL,
    at      timestamptz NOT NULL
);
CREATE INDEX due_tries_number ON due_tries (account, number, at);
CREATE INDEX due_tries_at ON due_tries (at);
COMMENT ON TABLE due_tries IS 'Every try of the last seven days, for caps per number';

CREATE TABLE dialers (
    engine      text PRIMARY KEY,
    alive_until timestamptz NOT NULL
);
COMMENT ON TABLE dialers IS 'The lease of an engine on all that it has claimed: renewed every second, so that renewing costs the same for one call and for a thousand';

CREATE FUNCTION due_wake(p_lane text, p_at timestamptz) RETURNS void LANGUAGE sql AS $$
    UPDATE due_lanes SET wake_at = p_at WHERE lane = p_lane AND wake_at > p_at;
    SELECT pg_notify('trunkline_changed', 'due_calls');
$$;
COMMENT ON FUNCTION due_wake IS 'Something of the lane is due at that time: engines look at it then';

CREATE FUNCTION due_settle() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_due   due_calls;
    v_try   record;
    v_again timestamptz;
BEGIN
    SELECT * INTO v_due FROM due_calls
    WHERE id = NEW.due_id AND state = 'placed' AND request_id = NEW.request_id
    FOR UPDATE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    SELECT dial_status, dtmf_inputs, started_at, answered_at, ended_at, billsec, sip_code, q850 INTO v_try
    FROM cdr
    WHERE request_id = NEW.request_id AND call_date >= v_due.placed_at - interval '1 day'
    ORDER BY conversation LIMIT 1;

    v_again := NEW.ended_at + make_interval(secs => v_due.retry_seconds);
    IF v_due.attempt >= v_due.max_attempts
       OR NOT (coalesce(v_try.dial_status, '') = ANY (v_due.retry_on) OR NEW.end_reason = 'engine_restart')
       OR coalesce(v_try.sip_code = 404 OR v_try.q850 = 1, false)
       OR v_again >= v_due.expires_at
       OR EXISTS (SELECT FROM due_lanes WHERE lane = v_due.lane AND closes_at <= v_again) THEN
        v_again := NULL;
    END IF;

    UPDATE due_calls
    SET state = CASE WHEN v_again IS NULL THEN 'done' ELSE 'due' END,
        due_at = coalesce(v_again, due_at),
        claimed_by = NULL, claim = NULL,
        result = CASE WHEN v_again IS NULL THEN coalesce(v_try.dial_status, 'REFUSED') END,
        ended_at = CASE WHEN v_again IS NULL THEN NEW.ended_at END,
        outcome = jsonb_build_object(
            'dial_status', v_try.dial_status, 'end_reason', NEW.end_reason, 'result', NEW.result,
            'dtmf', coalesce(v_try.dtmf_inputs, ''), 'started_at', v_try.started_at, 'answered_at', v_try.answered_at,
            'ended_at', v_try.ended_at, 'billsec', v_try.billsec, 'sip_code', v_try.sip_code, 'q850', v_try.q850)
    WHERE id = v_due.id;
    IF v_again IS NOT NULL THEN
        UPDATE due_lanes SET wake_at = v_again WHERE lane = v_due.lane AND wake_at > v_again;
    ELSIF v_due.campaign_id IS NOT NULL
          AND NOT EXISTS (SELECT FROM due_calls WHERE lane = v_due.lane AND state = 'due')
          AND NOT EXISTS (SELECT FROM due_calls
                          WHERE account = v_due.account AND lane = v_due.lane AND state IN ('claimed', 'placed')) THEN
        PERFORM due_wake(v_due.lane, now());
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION due_settle IS
    'What becomes of a due call whose try has ended, in the transaction that writes the call''s end: another try, or done';

CREATE TRIGGER due_settle AFTER UPDATE OF state ON calls
    FOR EACH ROW WHEN (NEW.due_id IS NOT NULL AND NEW.state = 'ended' AND OLD.state <> 'ended')
    EXECUTE FUNCTION due_settle();
