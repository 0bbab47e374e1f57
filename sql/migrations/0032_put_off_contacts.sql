-- Who was put off to the next day's opening, or by a cap per number, is not in the way of the contacts that come after.

ALTER TABLE campaigns ADD COLUMN fed_until timestamptz;
COMMENT ON COLUMN campaigns.fed_until IS
    'When the last contact that was fed is due: the next ones follow it. What is due later was put off, and counts for nothing here';

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

CREATE OR REPLACE FUNCTION campaign_pace(p_account text, p_campaign text, p_per_minute int, p_concurrent int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    v_state text;
    v_until timestamptz;
BEGIN
    PERFORM FROM due_lanes WHERE lane = p_campaign FOR UPDATE;
    SELECT state, fed_until INTO v_state, v_until FROM campaigns
    WHERE id = p_campaign AND (p_account IS NULL OR account = p_account) AND deleted_at IS NULL FOR UPDATE;
    IF v_state IS NULL OR v_state IN ('completed', 'stopped') THEN
        RETURN v_state;
    END IF;
    UPDATE campaigns SET calls_per_minute = coalesce(p_per_minute, calls_per_minute),
        max_concurrent = coalesce(p_concurrent, max_concurrent), fed_until = now()
    WHERE id = p_campaign;
    UPDATE due_calls SET due_at = now()
    WHERE lane = p_campaign AND state = 'due' AND attempt = 0 AND due_at > now() AND due_at <= coalesce(v_until, 'infinity');
    UPDATE due_lanes SET per_minute = coalesce(p_per_minute, per_minute), max_concurrent = coalesce(p_concurrent, max_concurrent),
        next_at = NULL, wake_at = greatest(now(), opens_at)
    WHERE lane = p_campaign;
    PERFORM pg_notify('trunkline_changed', 'due_calls');
    RETURN 'done';
END $$;
