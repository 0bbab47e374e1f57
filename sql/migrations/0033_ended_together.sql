-- A stop ends thousands of contacts at once, in the time that it promises: they are counted together, for a row that one
-- transaction counts in again and again grows slower each time. And no more wait than it can end so.

CREATE FUNCTION campaign_end_due(p_campaign text, p_result text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_ended bigint;
BEGIN
    PERFORM set_config('trunkline.counted_together', 'on', true);
    UPDATE due_calls SET state = 'done', result = p_result, ended_at = now(), claimed_by = NULL, claim = NULL
    WHERE lane = p_campaign AND state IN ('due', 'claimed');
    GET DIAGNOSTICS v_ended = ROW_COUNT;
    PERFORM set_config('trunkline.counted_together', '', true);
    PERFORM campaign_count(p_campaign, 'result', p_result, v_ended);
END $$;
COMMENT ON FUNCTION campaign_end_due IS 'Ends all that is not dialled yet';

DROP TRIGGER campaign_contact_done ON due_calls;
CREATE TRIGGER campaign_contact_done AFTER INSERT OR UPDATE OF state ON due_calls
    FOR EACH ROW WHEN (NEW.kind = 'campaign' AND NEW.state = 'done'
                       AND current_setting('trunkline.counted_together', true) IS DISTINCT FROM 'on')
    EXECUTE FUNCTION campaign_contact_done();

CREATE OR REPLACE FUNCTION campaign_cancel_due(p_campaign text) RETURNS void LANGUAGE sql AS $$
    SELECT campaign_end_due(p_campaign, 'CANCELLED')
$$;

CREATE OR REPLACE FUNCTION campaign_drained(p_campaign text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_campaign campaigns;
    v_lane     due_lanes;
BEGIN
    SELECT * INTO v_lane FROM due_lanes WHERE lane = p_campaign FOR UPDATE;
    SELECT * INTO v_campaign FROM campaigns WHERE id = p_campaign FOR UPDATE;
    IF v_campaign.state IS NULL OR v_campaign.state NOT IN ('scheduled', 'running') THEN
        UPDATE due_lanes SET open = false WHERE lane = p_campaign AND open;
        RETURN true;
    END IF;
    IF v_lane.closes_at <= now() THEN
        PERFORM campaign_end_due(p_campaign, 'EXPIRED');
    ELSIF NOT v_lane.fed OR EXISTS (SELECT FROM due_calls WHERE lane = p_campaign AND state = 'due') THEN
        RETURN false;
    END IF;
    IF EXISTS (SELECT FROM due_calls
               WHERE account = v_campaign.account AND lane = p_campaign AND state IN ('claimed', 'placed')) THEN
        RETURN false;
    END IF;
    PERFORM campaign_count(p_campaign, 'result', 'EXPIRED', coalesce(v_campaign.total,
        (SELECT contacts FROM contact_lists WHERE n = v_campaign.list), 0) - (
        SELECT coalesce(sum(n), 0)::bigint FROM campaign_counts WHERE campaign_id = p_campaign AND kind = 'result'));
    UPDATE campaigns SET state = 'completed', ended_at = now() WHERE id = p_campaign;
    UPDATE due_lanes SET open = false WHERE lane = p_campaign;
    RETURN true;
END $$;

CREATE OR REPLACE FUNCTION campaign_feed(p_campaign text, p_most int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    v_campaign campaigns;
    v_spacing  interval;
    v_until    timestamptz;
    v_last     bigint;
    v_fed      int;
BEGIN
    PERFORM FROM due_lanes WHERE lane = p_campaign FOR UPDATE;
    SELECT * INTO v_campaign FROM campaigns WHERE id = p_campaign FOR UPDATE;
    IF v_campaign.state IS NULL OR v_campaign.state NOT IN ('scheduled', 'running') THEN
        RETURN 0;
    END IF;
    IF v_campaign.last_contact IS NULL THEN
        UPDATE campaigns
        SET state = 'running', started_at = now(), last_contact = held.last_id, total = held.contacts
        FROM (SELECT last_id, contacts FROM contact_lists WHERE n = v_campaign.list
              UNION ALL SELECT 0, 0 LIMIT 1) AS held
        WHERE id = p_campaign
        RETURNING campaigns.* INTO v_campaign;
    END IF;
    v_until := greatest(clock_timestamp(), v_campaign.fed_until);
    IF (SELECT count(*) FROM (SELECT FROM due_calls
                              WHERE lane = p_campaign AND state = 'due' AND attempt = 0 AND due_at <= v_until
                              LIMIT p_most / 2) AS found) >= p_most / 2 THEN
        RETURN 0;
    END IF;
    IF (SELECT count(*) FROM (SELECT FROM due_calls WHERE lane = p_campaign AND state = 'due' LIMIT 20000) AS found) >= 20000 THEN
        RETURN 0;
    END IF;
    -- Where many may be found closed and put off, the open ones are not made to wait between them.
    v_spacing := CASE WHEN coalesce((v_campaign.rules ->> 'callee_zone')::boolean, false) THEN interval '0'
                      ELSE interval '1 minute' / v_campaign.calls_per_minute * 0.8 END;

    WITH chunk AS MATERIALIZED (
        SELECT id, number, name, fields FROM contacts
        WHERE list = v_campaign.list AND id > v_campaign.fed_to AND id <= v_campaign.last_contact
        ORDER BY id LIMIT p_most
    ), judged AS (
        SELECT chunk.*, CASE
            WHEN EXISTS (SELECT FROM dnd_numbers AS d WHERE d.list = v_campaign.dnd_list AND d.number = chunk.number) THEN 'DND'
            WHEN v_campaign.missing <> 'empty' AND NOT fields ?& v_campaign.variables THEN 'SKIPPED' END AS result
        FROM chunk
    ), fed AS (
        INSERT INTO due_calls (lane, kind, account, campaign_id, contact_id, number, params, state, due_at, expires_at,
                               max_attempts, retry_seconds, retry_on, result, ended_at)
        SELECT p_campaign, 'campaign', v_campaign.account, p_campaign, id, number,
               jsonb_build_object('name', name, 'fields', fields),
               CASE WHEN result IS NULL THEN 'due' ELSE 'done' END,
               v_until + (row_number() OVER (PARTITION BY result IS NULL ORDER BY id) - 1) * v_spacing, v_campaign.ends_at,
               1 + v_campaign.max_retries, v_campaign.retry_seconds, v_campaign.retry_on,
               result, CASE WHEN result IS NOT NULL THEN clock_timestamp() END
        FROM judged ORDER BY id
        ON CONFLICT (campaign_id, contact_id) WHERE kind = 'campaign' DO NOTHING
    )
    SELECT max(id), count(*), v_until + count(*) FILTER (WHERE result IS NULL) * v_spacing
    INTO v_last, v_fed, v_until FROM judged;

    UPDATE campaigns SET fed_to = coalesce(v_last, fed_to), fed_until = v_until WHERE id = p_campaign;
    IF v_fed < p_most THEN
        UPDATE due_lanes SET fed = true WHERE lane = p_campaign;
    END IF;
    PERFORM due_wake(p_campaign, now());
    RETURN v_fed;
END $$;
