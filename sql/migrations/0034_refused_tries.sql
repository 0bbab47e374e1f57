-- A try that the gate refused has the status CANCEL. With retries after CANCEL it was made again until there were no more
-- left, also when somebody had answered and only the party to connect to was refused.

CREATE OR REPLACE FUNCTION due_settle() RETURNS trigger LANGUAGE plpgsql AS $$
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
       OR NOT (CASE
           -- Whoever was refused is refused again, but for want of room; and whoever has answered was called.
           WHEN NEW.end_reason = 'gate' THEN v_try.answered_at IS NULL AND EXISTS (
               SELECT FROM call_events
               WHERE request_id = NEW.request_id AND kind = 'call.refused' AND data ->> 'rule' = 'concurrent_calls')
           ELSE coalesce(v_try.dial_status, '') = ANY (v_due.retry_on) OR NEW.end_reason = 'engine_restart'
               -- Asterisk died or was stopped while the party had not answered: nobody out there has said a word.
               OR coalesce(NEW.reconciled AND v_try.answered_at IS NULL AND v_try.sip_code IS NULL
                           AND (v_try.q850 IS NULL OR v_try.dial_status = 'CANCEL'), false)
           END)
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
