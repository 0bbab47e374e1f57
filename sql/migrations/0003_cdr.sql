-- Call detail records, by month, and the messages that leave with them.

-- Identity columns of partitioned tables need PostgreSQL 17, hence a sequence.
CREATE SEQUENCE cdr_ids;

CREATE TABLE cdr (
    id                  bigint NOT NULL DEFAULT nextval('cdr_ids'),
    request_id          text NOT NULL,
    conversation        int NOT NULL CHECK (conversation >= 0),
    account_id          text NOT NULL,
    agent_number        text NOT NULL,
    customer_number     text NOT NULL,
    caller_id           text NOT NULL,
    dialed_number       text NOT NULL,
    call_direction      text NOT NULL CHECK (call_direction IN ('outbound-api', 'outbound-campaign', 'inbound')),
    destination_context text NOT NULL,
    dial_status         text NOT NULL
        CHECK (dial_status IN ('ANSWER', 'BUSY', 'NOANSWER', 'CANCEL', 'CONGESTION', 'CHANUNAVAIL', 'DND')),
    call_status         text CHECK (call_status IN ('ANSWERED', 'BUSY', 'NO ANSWER', 'FAILED')),
    call_date           timestamptz NOT NULL,
    started_at          timestamptz,
    answered_at         timestamptz,
    ended_at            timestamptz,
    call_duration       double precision CHECK (call_duration >= 0),
    billsec             double precision CHECK (billsec >= 0),
    uniqueid            text NOT NULL,
    end_reason          text NOT NULL,
    dtmf_inputs         text NOT NULL DEFAULT '',
    recording_name      text NOT NULL DEFAULT '',
    result              text,
    sip_code            int,
    q850                int,
    hangup_by           text,
    campaign_id         text,
    list_id             text,
    is_dnd              boolean NOT NULL DEFAULT false,
    reconciled          boolean NOT NULL DEFAULT false,
    PRIMARY KEY (id, call_date),
    UNIQUE (request_id, conversation, call_date)
) PARTITION BY RANGE (call_date);
CREATE INDEX cdr_account_date ON cdr (account_id, call_date, id);
ALTER SEQUENCE cdr_ids OWNED BY cdr.id;
COMMENT ON TABLE cdr IS 'One row per conversation or try; by UTC month of call_date; durations in seconds';

CREATE TABLE cdr_default PARTITION OF cdr DEFAULT;
COMMENT ON TABLE cdr_default IS 'Months that cdr_make_partitions has not reached; it moves them out';

CREATE FUNCTION cdr_make_partition(p_month date) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_name text := 'cdr_' || to_char(p_month, 'YYYY_MM');
    v_from timestamptz := p_month::timestamp AT TIME ZONE 'UTC';
    v_to   timestamptz := (p_month + interval '1 month')::timestamp AT TIME ZONE 'UTC';
BEGIN
    IF to_regclass(v_name) IS NOT NULL THEN
        RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE cdr INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', v_name);
    LOCK TABLE cdr_default IN SHARE ROW EXCLUSIVE MODE;
    EXECUTE format('WITH moved AS (DELETE FROM cdr_default WHERE call_date >= %L AND call_date < %L RETURNING *)'
                   ' INSERT INTO %I SELECT * FROM moved', v_from, v_to, v_name);
    EXECUTE format('ALTER TABLE cdr ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', v_name, v_from, v_to);
    RETURN true;
END $$;
COMMENT ON FUNCTION cdr_make_partition IS 'The partition of the month that begins at p_month, with what the default partition has of it; false when it is there';

CREATE FUNCTION cdr_make_partitions(p_ahead int DEFAULT 3) RETURNS int LANGUAGE sql AS $$
    SELECT count(*)::int
    FROM generate_series(0, p_ahead) AS ahead
    WHERE cdr_make_partition((date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => ahead))::date)
$$;
COMMENT ON FUNCTION cdr_make_partitions IS 'Partitions of this month and p_ahead months more; how many were made';

SELECT cdr_make_partitions();

CREATE TABLE outbox (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    request_id   text NOT NULL,
    account      text NOT NULL,
    type         text NOT NULL,
    body         jsonb NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    delivered_at timestamptz
);
CREATE INDEX outbox_waiting ON outbox (id) WHERE delivered_at IS NULL;
COMMENT ON TABLE outbox IS 'Web hook bodies, written in the transaction of what they tell; a separate worker delivers them';
