-- Campaigns: what they say to whom, how far they are, what they have counted. PostgreSQL >= 14.

CREATE TABLE campaigns (
    id               text PRIMARY KEY CHECK (id ~ '^CM[0-9a-f]{10}$'),
    account          text NOT NULL REFERENCES accounts,
    name             text NOT NULL CHECK (length(name) BETWEEN 1 AND 128),
    type             int NOT NULL CHECK (type IN (0, 1)),
    list_id          text NOT NULL,
    list             bigint NOT NULL,
    dnd_list_id      text,
    dnd_list         bigint,
    caller_id        text NOT NULL,
    announcement     jsonb NOT NULL CHECK (jsonb_typeof(announcement) = 'object'),
    variables        text[] NOT NULL DEFAULT '{}',
    missing          text NOT NULL DEFAULT 'refuse' CHECK (missing IN ('refuse', 'skip', 'empty')),
    connect_to       text NOT NULL DEFAULT '',
    people           boolean NOT NULL DEFAULT false,
    abandon_percent  double precision NOT NULL DEFAULT 3 CHECK (abandon_percent BETWEEN 0 AND 100),
    starts_at        timestamptz NOT NULL,
    ends_at          timestamptz NOT NULL,
    time_zone        text NOT NULL,
    calls_per_minute int NOT NULL CHECK (calls_per_minute > 0),
    max_concurrent   int CHECK (max_concurrent > 0),
    max_retries      int NOT NULL CHECK (max_retries >= 0),
    retry_seconds    int NOT NULL CHECK (retry_seconds >= 0),
    retry_on         text[] NOT NULL,
    rules            jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(rules) = 'object'),
    state            text NOT NULL DEFAULT 'scheduled'
        CHECK (state IN ('scheduled', 'running', 'paused', 'completed', 'stopped')),
    reason           text,
    fed_to           bigint NOT NULL DEFAULT 0,
    last_contact     bigint,
    total            bigint,
    created_at       timestamptz NOT NULL DEFAULT now(),
    started_at       timestamptz,
    ended_at         timestamptz,
    deleted_at       timestamptz,
    CHECK (starts_at < ends_at)
);
CREATE UNIQUE INDEX campaigns_name ON campaigns (account, name) WHERE deleted_at IS NULL;
CREATE INDEX campaigns_account ON campaigns (account, created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX campaigns_list ON campaigns (list_id) WHERE state IN ('scheduled', 'running', 'paused');
CREATE INDEX campaigns_dnd_list ON campaigns (dnd_list_id) WHERE state IN ('scheduled', 'running', 'paused');
COMMENT ON TABLE campaigns IS 'When and how fast numbers are dialled stands in due_lanes, whose lane is the campaign''s id';
COMMENT ON COLUMN campaigns.announcement IS 'text or file, repeat, voice, language, rate, pitch, volume, engine, safe_harbour';
COMMENT ON COLUMN campaigns.variables IS 'Fields of contacts that the text needs';
COMMENT ON COLUMN campaigns.missing IS 'What is done with a contact that lacks one of them; refuse: such a list makes no campaign, and later ones are skipped';
COMMENT ON COLUMN campaigns.people IS 'It connects to people, so that the abandonment ledger applies';
COMMENT ON COLUMN campaigns.reason IS 'Why it was paused, when nobody asked for that: abandonment';
COMMENT ON COLUMN campaigns.fed_to IS 'Contacts up to that id stand in due_calls';
COMMENT ON COLUMN campaigns.last_contact IS 'The list''s last contact at the start; whoever was added later is not called';

CREATE TABLE campaign_counts (
    campaign_id text NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('status', 'result', 'key')),
    name        text NOT NULL,
    shard       int NOT NULL,
    n           bigint NOT NULL,
    PRIMARY KEY (campaign_id, kind, name, shard)
) WITH (fillfactor = 50);
COMMENT ON TABLE campaign_counts IS 'Counted as things happen: CDRs by dial status, contacts that are done by their result, keys that were pressed';
COMMENT ON COLUMN campaign_counts.shard IS 'Sessions of PostgreSQL count in rows of their own, so that none waits for another; the sum counts';

CREATE TABLE cdr_counts (
    account     text NOT NULL,
    dial_status text NOT NULL,
    shard       int NOT NULL,
    n           bigint NOT NULL,
    PRIMARY KEY (account, dial_status, shard)
) WITH (fillfactor = 50);
COMMENT ON TABLE cdr_counts IS 'CDRs of each account by dial status, counted in the transaction that writes them';

INSERT INTO cdr_counts (account, dial_status, shard, n)
SELECT account_id, dial_status, 0, count(*) FROM cdr GROUP BY account_id, dial_status;

CREATE INDEX cdr_campaign ON cdr (campaign_id, id) WHERE campaign_id IS NOT NULL;

CREATE TABLE campaign_answers (
    request_id   text PRIMARY KEY,
    campaign_id  text NOT NULL,
    account      text NOT NULL,
    number       text NOT NULL,
    answered_at  timestamptz NOT NULL,
    waiting_at   timestamptz,
    connected_at timestamptz,
    ended_at     timestamptz NOT NULL,
    outcome      text NOT NULL CHECK (outcome IN ('connected', 'abandoned', 'left'))
);
CREATE INDEX campaign_answers_campaign ON campaign_answers (campaign_id, answered_at, outcome);
COMMENT ON TABLE campaign_answers IS 'The abandonment ledger: every live answer of campaigns that connect to people. Rows stay, also when the campaign goes';
COMMENT ON COLUMN campaign_answers.waiting_at IS 'When the announcement was over and the connect clock began';
COMMENT ON COLUMN campaign_answers.outcome IS 'left: hung up before the clock had run out, and counts for nothing';

-- What is counted, and what follows from it.

CREATE FUNCTION campaign_count(p_campaign text, p_kind text, p_name text, p_n bigint) RETURNS void LANGUAGE sql AS $$
    INSERT INTO campaign_counts AS held (campaign_id, kind, name, shard, n)
    SELECT p_campaign, p_kind, p_name, pg_backend_pid() % 16, p_n WHERE p_n <> 0
    ON CONFLICT (campaign_id, kind, name, shard) DO UPDATE SET n = held.n + excluded.n
$$;

CREATE FUNCTION cdr_count() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_shard int := pg_backend_pid() % 16;
BEGIN
    INSERT INTO cdr_counts AS held (account, dial_status, shard, n)
    SELECT account_id, dial_status, v_shard, count(*) FROM added GROUP BY account_id, dial_status ORDER BY 1, 2
    ON CONFLICT (account, dial_status, shard) DO UPDATE SET n = held.n + excluded.n;
    IF EXISTS (SELECT FROM added WHERE campaign_id IS NOT NULL) THEN
        INSERT INTO campaign_counts AS held (campaign_id, kind, name, shard, n)
        SELECT campaign_id, kind, name, v_shard, count(*)
        FROM (
            SELECT campaign_id, 'status' AS kind, dial_status AS name FROM added WHERE campaign_id IS NOT NULL
            UNION ALL
            SELECT campaign_id, 'key', key FROM added, regexp_split_to_table(dtmf_inputs, '') AS key
            WHERE campaign_id IS NOT NULL AND dtmf_inputs <> ''
        ) AS told
        GROUP BY campaign_id, kind, name ORDER BY 1, 2, 3
        ON CONFLICT (campaign_id, kind, name, shard) DO UPDATE SET n = held.n + excluded.n;
        PERFORM campaign_answered(request_id, campaign_id, account_id, dialed_number, answered_at, call_date, result) FROM added
        WHERE dial_status = 'ANSWER' AND conversation = 0 AND campaign_id IN (SELECT id FROM campaigns WHERE people);
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION cdr_count IS 'The rows that a statement has put into cdr, counted; those of people in the ledger too';

CREATE FUNCTION campaign_answered(p_request text, p_campaign text, p_account text, p_number text, p_answered timestamptz,
                                  p_ended timestamptz, p_result text)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_waiting   timestamptz;
    v_connected timestamptz;
    v_outcome   text;
BEGIN
    SELECT min(at) FILTER (WHERE kind = 'call.step' AND data ->> 'step' = 'connecting'),
           min(at) FILTER (WHERE kind = 'call.bridged')
    INTO v_waiting, v_connected
    FROM call_events WHERE request_id = p_request;
    v_outcome := CASE
        WHEN v_connected <= v_waiting + interval '2 seconds' THEN 'connected'
        WHEN v_connected IS NOT NULL OR p_result = 'abandoned' OR p_ended > v_waiting + interval '2 seconds' THEN 'abandoned'
        ELSE 'left' END;
    INSERT INTO campaign_answers (request_id, campaign_id, account, number, answered_at, waiting_at, connected_at, ended_at, outcome)
    VALUES (p_request, p_campaign, p_account, p_number, coalesce(p_answered, p_ended), v_waiting, v_connected, p_ended, v_outcome)
    ON CONFLICT (request_id) DO NOTHING;
    IF v_outcome = 'abandoned' THEN
        PERFORM campaign_brake(p_campaign);
    END IF;
END $$;
COMMENT ON FUNCTION campaign_answered IS 'A line of the ledger. Two seconds are the connect clock of the FTC''s and Ofcom''s rules';

CREATE FUNCTION campaign_rate(p_campaign text) RETURNS TABLE (answers bigint, abandoned bigint) LANGUAGE sql STABLE AS $$
    SELECT count(*) FILTER (WHERE outcome <> 'left'), count(*) FILTER (WHERE outcome = 'abandoned')
    FROM campaign_answers
    WHERE campaign_id = p_campaign AND answered_at > now() - interval '30 days'
$$;
COMMENT ON FUNCTION campaign_rate IS 'Live answers of the last 30 days, and those among them that were abandoned';

CREATE FUNCTION campaign_over_limit(p_campaign campaigns) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT p_campaign.people AND abandoned * 100 > answers * p_campaign.abandon_percent FROM campaign_rate(p_campaign.id)
$$;

CREATE FUNCTION campaign_brake(p_campaign text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_campaign campaigns;
BEGIN
    PERFORM FROM due_lanes WHERE lane = p_campaign FOR UPDATE;
    SELECT * INTO v_campaign FROM campaigns WHERE id = p_campaign FOR UPDATE;
    IF v_campaign.state IN ('scheduled', 'running') AND campaign_over_limit(v_campaign) THEN
        UPDATE campaigns SET state = 'paused', reason = 'abandonment' WHERE id = p_campaign;
        UPDATE due_lanes SET open = false WHERE lane = p_campaign;
    END IF;
END $$;
COMMENT ON FUNCTION campaign_brake IS 'The hard stop: nobody is dialled any more when too many who answered were abandoned';

CREATE TRIGGER cdr_count AFTER INSERT ON cdr REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION cdr_count();

CREATE FUNCTION campaign_dnd_record(p_due due_calls) RETURNS void LANGUAGE sql AS $$
    INSERT INTO cdr (request_id, conversation, account_id, agent_number, customer_number, caller_id, dialed_number,
                     call_direction, destination_context, dial_status, call_date, uniqueid, end_reason, campaign_id, list_id, is_dnd)
    SELECT 'dnd-' || p_due.id, 0, p_due.account, '', '', campaigns.caller_id, p_due.number,
           'outbound-campaign', 'local_call_campaign_type_' || campaigns.type, 'DND', p_due.ended_at, '', 'dnd',
           campaigns.id, campaigns.list_id, true
    FROM campaigns WHERE campaigns.id = p_due.campaign_id
$$;
COMMENT ON FUNCTION campaign_dnd_record IS 'The CDR of a contact that was not dialled, because it is on the do-not-dial list';

CREATE FUNCTION campaign_contact_done() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM campaign_count(NEW.campaign_id, 'result', NEW.result, 1);
    IF NEW.result = 'DND' THEN
        PERFORM campaign_dnd_record(NEW);
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION campaign_contact_done IS 'Counts a contact that is done with, in the transaction that ends it';

CREATE TRIGGER campaign_contact_done AFTER INSERT OR UPDATE OF state ON due_calls
    FOR EACH ROW WHEN (NEW.kind = 'campaign' AND NEW.state = 'done')
    EXECUTE FUNCTION campaign_contact_done();

CREATE FUNCTION campaign_no_more_tries() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM campaigns WHERE id = NEW.campaign_id AND state IN ('stopped', 'completed')) THEN
        NEW.state := 'done';
        NEW.result := coalesce(NEW.outcome ->> 'dial_status', 'CANCELLED');
        NEW.ended_at := now();
    END IF;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION campaign_no_more_tries IS 'A try that was under way when its campaign was stopped is the last one';

CREATE TRIGGER campaign_no_more_tries BEFORE UPDATE OF state ON due_calls
    FOR EACH ROW WHEN (NEW.kind = 'campaign' AND OLD.state = 'placed' AND NEW.state = 'due')
    EXECUTE FUNCTION campaign_no_more_tries();

-- The life of a campaign.

CREATE FUNCTION campaign_feed(p_campaign text, p_most int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    v_campaign campaigns;
    v_spacing  interval;
    v_base     timestamptz;
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
    ELSIF (SELECT count(*) FROM (SELECT FROM due_calls WHERE lane = p_campaign AND state = 'due' AND attempt = 0
                                 LIMIT p_most / 2) AS found) >= p_most / 2 THEN
        RETURN 0;
    END IF;
    v_spacing := interval '1 minute' / v_campaign.calls_per_minute * 0.8;
    v_base := greatest(clock_timestamp(), (SELECT max(due_at) FROM due_calls
                                           WHERE lane = p_campaign AND state = 'due' AND attempt = 0));

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
               v_base + (row_number() OVER (PARTITION BY result IS NULL ORDER BY id) - 1) * v_spacing, v_campaign.ends_at,
               1 + v_campaign.max_retries, v_campaign.retry_seconds, v_campaign.retry_on,
               result, CASE WHEN result IS NOT NULL THEN clock_timestamp() END
        FROM judged ORDER BY id
        ON CONFLICT (campaign_id, contact_id) WHERE kind = 'campaign' DO NOTHING
    )
    SELECT max(id), count(*) INTO v_last, v_fed FROM chunk;

    UPDATE campaigns SET fed_to = coalesce(v_last, fed_to) WHERE id = p_campaign;
    IF v_fed < p_most THEN
        UPDATE due_lanes SET fed = true WHERE lane = p_campaign;
    END IF;
    PERFORM due_wake(p_campaign, now());
    RETURN v_fed;
END $$;
COMMENT ON FUNCTION campaign_feed IS
    'The next contacts as due calls; the first time begins the campaign. Their times are spread a little faster than the pace, so that those of retries come between them';

CREATE FUNCTION campaign_drained(p_campaign text) RETURNS boolean LANGUAGE plpgsql AS $$
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
        UPDATE due_calls SET state = 'done', result = 'EXPIRED', ended_at = now(), claimed_by = NULL, claim = NULL
        WHERE lane = p_campaign AND state IN ('due', 'claimed');
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
COMMENT ON FUNCTION campaign_drained IS 'Completes a campaign when nothing of it is left to do, or its end has come and nobody is on the telephone any more';

CREATE FUNCTION campaign_cancel_due(p_campaign text) RETURNS void LANGUAGE sql AS $$
    UPDATE due_calls SET state = 'done', result = 'CANCELLED', ended_at = now(), claimed_by = NULL, claim = NULL
    WHERE lane = p_campaign AND state IN ('due', 'claimed')
$$;

CREATE FUNCTION campaign_stop(p_account text, p_campaign text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    v_state text;
BEGIN
    SELECT state INTO v_state FROM campaigns
    WHERE id = p_campaign AND (p_account IS NULL OR account = p_account) AND deleted_at IS NULL;
    IF v_state IS NULL OR v_state IN ('completed', 'stopped') THEN
        RETURN v_state;
    END IF;
    PERFORM campaign_cancel_due(p_campaign);
    UPDATE due_lanes SET open = false WHERE lane = p_campaign;
    UPDATE campaigns SET state = 'stopped', reason = NULL, ended_at = now()
    WHERE id = p_campaign AND state NOT IN ('completed', 'stopped');
    IF NOT FOUND THEN
        SELECT state INTO v_state FROM campaigns WHERE id = p_campaign;
        RETURN v_state;
    END IF;
    PERFORM campaign_cancel_due(p_campaign);
    PERFORM pg_notify('trunkline_changed', 'campaign_stop:' || p_campaign);
    RETURN 'done';
END $$;
COMMENT ON FUNCTION campaign_stop IS 'Nothing of it is dialled from now on; rows are locked in the order due_calls, due_lanes, campaigns, as everywhere. done; null when there is no such campaign; else the state that forbids it';

CREATE FUNCTION campaign_pause(p_account text, p_campaign text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    v_state text;
BEGIN
    PERFORM FROM due_lanes WHERE lane = p_campaign FOR UPDATE;
    SELECT state INTO v_state FROM campaigns
    WHERE id = p_campaign AND (p_account IS NULL OR account = p_account) AND deleted_at IS NULL FOR UPDATE;
    IF v_state IS NULL OR v_state NOT IN ('scheduled', 'running') THEN
        RETURN v_state;
    END IF;
    UPDATE due_lanes SET open = false WHERE lane = p_campaign;
    UPDATE campaigns SET state = 'paused', reason = NULL WHERE id = p_campaign;
    RETURN 'done';
END $$;
COMMENT ON FUNCTION campaign_pause IS 'As campaign_stop. Calls under way go on';

CREATE FUNCTION campaign_resume(p_account text, p_campaign text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    v_campaign campaigns;
BEGIN
    PERFORM FROM due_lanes WHERE lane = p_campaign FOR UPDATE;
    SELECT * INTO v_campaign FROM campaigns
    WHERE id = p_campaign AND (p_account IS NULL OR account = p_account) AND deleted_at IS NULL FOR UPDATE;
    IF v_campaign.id IS NULL OR v_campaign.state <> 'paused' THEN
        RETURN v_campaign.state;
    ELSIF campaign_over_limit(v_campaign) THEN
        RETURN 'abandonment';
    END IF;
    UPDATE campaigns SET state = CASE WHEN started_at IS NULL THEN 'scheduled' ELSE 'running' END, reason = NULL WHERE id = p_campaign;
    UPDATE due_lanes SET open = true, next_at = NULL, wake_at = greatest(now(), opens_at) WHERE lane = p_campaign;
    PERFORM pg_notify('trunkline_changed', 'due_calls');
    RETURN 'done';
END $$;

CREATE FUNCTION campaign_pace(p_account text, p_campaign text, p_per_minute int, p_concurrent int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    v_state text;
BEGIN
    PERFORM FROM due_lanes WHERE lane = p_campaign FOR UPDATE;
    SELECT state INTO v_state FROM campaigns
    WHERE id = p_campaign AND (p_account IS NULL OR account = p_account) AND deleted_at IS NULL FOR UPDATE;
    IF v_state IS NULL OR v_state IN ('completed', 'stopped') THEN
        RETURN v_state;
    END IF;
    UPDATE campaigns SET calls_per_minute = coalesce(p_per_minute, calls_per_minute),
        max_concurrent = coalesce(p_concurrent, max_concurrent)
    WHERE id = p_campaign;
    UPDATE due_calls SET due_at = now() WHERE lane = p_campaign AND state = 'due' AND attempt = 0 AND due_at > now();
    UPDATE due_lanes SET per_minute = coalesce(p_per_minute, per_minute), max_concurrent = coalesce(p_concurrent, max_concurrent),
        next_at = NULL, wake_at = greatest(now(), opens_at)
    WHERE lane = p_campaign;
    PERFORM pg_notify('trunkline_changed', 'due_calls');
    RETURN 'done';
END $$;

CREATE FUNCTION campaign_delete(p_account text, p_campaign text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    v_state text;
BEGIN
    PERFORM FROM due_lanes WHERE lane = p_campaign FOR UPDATE;
    SELECT state INTO v_state FROM campaigns
    WHERE id = p_campaign AND (p_account IS NULL OR account = p_account) AND deleted_at IS NULL FOR UPDATE;
    IF v_state IS NULL OR v_state IN ('running', 'paused') THEN
        RETURN v_state;
    END IF;
    UPDATE due_lanes SET open = false WHERE lane = p_campaign;
    UPDATE campaigns SET deleted_at = now(), state = CASE WHEN v_state = 'scheduled' THEN 'stopped' ELSE v_state END,
        ended_at = coalesce(ended_at, now())
    WHERE id = p_campaign;
    RETURN 'done';
END $$;
COMMENT ON FUNCTION campaign_delete IS 'As campaign_stop. Its CDRs and its ledger stay';

CREATE FUNCTION list_delete(p_account text, p_list text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    v_list bigint;
BEGIN
    IF EXISTS (SELECT FROM campaigns WHERE (list_id = p_list OR dnd_list_id = p_list)
               AND state IN ('scheduled', 'running', 'paused') AND account = p_account) THEN
        RETURN 'used';
    END IF;
    DELETE FROM contact_lists WHERE id = p_list AND account = p_account RETURNING n INTO v_list;
    IF FOUND THEN
        DELETE FROM contacts WHERE list = v_list;
        RETURN 'done';
    END IF;
    DELETE FROM dnd_lists WHERE id = p_list AND account = p_account RETURNING n INTO v_list;
    IF FOUND THEN
        DELETE FROM dnd_numbers WHERE list = v_list;
        RETURN 'done';
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION list_delete IS 'done; used: a campaign that is not over needs it; null when there is no such list';

-- Web hooks are told.

CREATE FUNCTION campaign_tell() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_type     text;
    v_sequence bigint;
BEGIN
    IF NOT outbox_wanted() OR NEW.deleted_at IS NOT NULL THEN
        RETURN NULL;
    END IF;
    v_type := 'campaign.' || CASE
        WHEN TG_OP = 'INSERT' THEN 'created'
        WHEN NEW.state = 'running' AND OLD.state = 'scheduled' THEN 'started'
        WHEN NEW.state IN ('running', 'scheduled') THEN 'resumed'
        ELSE NEW.state END;
    v_sequence := nextval('outbox_numbers');
    INSERT INTO outbox (account, webhook, subject, sequence, type, url, body)
    SELECT NEW.account, hook.webhook, NEW.id, v_sequence, v_type, hook.url,
           jsonb_build_object('type', v_type, 'timestamp', outbox_time(clock_timestamp()), 'data', jsonb_build_object(
               'campaign_id', NEW.id, 'campaign_name', NEW.name, 'account', NEW.account, 'status', NEW.state,
               'reason', NEW.reason, 'total', NEW.total, 'sequence', v_sequence,
               'results', (SELECT coalesce(jsonb_object_agg(name, n), '{}') FROM (
                   SELECT name, sum(n) AS n FROM campaign_counts
                   WHERE campaign_id = NEW.id AND kind = 'result' GROUP BY name) AS counted)))
    FROM outbox_hooks('', NEW.account, v_type) AS hook
    ON CONFLICT (lane, sequence) DO NOTHING;
    IF FOUND THEN
        PERFORM pg_notify('trunkline_changed', 'outbox');
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER campaign_tell AFTER INSERT ON campaigns FOR EACH ROW EXECUTE FUNCTION campaign_tell();
CREATE TRIGGER campaign_tell_change AFTER UPDATE OF state ON campaigns
    FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION campaign_tell();
