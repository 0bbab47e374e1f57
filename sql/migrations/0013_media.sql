-- The media library, and transcripts of conversations.

CREATE TABLE media (
    account    text NOT NULL REFERENCES accounts,
    name       text NOT NULL CHECK (name ~ '^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$'),
    extension  text CHECK (extension ~ '^[0-9]{1,10}$'),
    file       text NOT NULL,
    source     text NOT NULL CHECK (source IN ('wav', 'mp3', 'ogg', 'flac')),
    duration   double precision NOT NULL CHECK (duration > 0),
    size       bigint NOT NULL,
    sha256     text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account, name)
);
CREATE UNIQUE INDEX media_extension ON media (account, extension);
COMMENT ON TABLE media IS 'Sounds that may be played to a party: 8 kHz WAV files in the media folder, <account>/<file>.wav';
COMMENT ON COLUMN media.extension IS 'Number by which instant calls ask for it';
COMMENT ON COLUMN media.file IS 'A name of its own for each upload, so that a row never names half a file';

CREATE TABLE transcripts (
    request_id  text PRIMARY KEY REFERENCES calls,
    account     text NOT NULL,
    engine      text NOT NULL,
    recording   text NOT NULL,
    kept        boolean NOT NULL,
    state       text NOT NULL CHECK (state IN ('pending', 'running', 'ready', 'failed')),
    due_at      timestamptz NOT NULL DEFAULT now(),
    attempts    int NOT NULL DEFAULT 0,
    recogniser  text,
    language    text,
    duration    double precision,
    text        text,
    segments    jsonb,
    error       text,
    created_at  timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    discarded   boolean NOT NULL DEFAULT false
);
CREATE INDEX transcripts_due ON transcripts (engine, due_at) WHERE state IN ('pending', 'running');
CREATE INDEX transcripts_discard ON transcripts (engine) WHERE NOT kept AND NOT discarded AND state IN ('ready', 'failed');
COMMENT ON TABLE transcripts IS 'What was said in a call whose request had transcript on';
COMMENT ON COLUMN transcripts.engine IS 'The engine that had the call, on whose disk the recording is';
COMMENT ON COLUMN transcripts.kept IS 'The recording was asked for too; else it was made to be transcribed, and its file goes afterwards';
COMMENT ON COLUMN transcripts.due_at IS 'When it may be taken up; of a running one, when its taker is given up for dead';

CREATE FUNCTION want_transcript() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO transcripts (request_id, account, engine, recording, kept, state, error, finished_at)
    SELECT NEW.request_id, NEW.account, calls.engine, NEW.name, NEW.name <> NEW.request_id || '.transcript.wav',
           CASE NEW.state WHEN 'ready' THEN 'pending' ELSE 'failed' END,
           CASE NEW.state WHEN 'failed' THEN 'there is no recording: ' || coalesce(NEW.error, 'it failed') END,
           CASE NEW.state WHEN 'failed' THEN now() END
    FROM calls
    WHERE calls.request_id = NEW.request_id AND calls.params -> 'transcript' = 'true'
    ON CONFLICT (request_id) DO NOTHING;
    IF FOUND THEN
        PERFORM pg_notify('trunkline_changed', 'transcripts');
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION want_transcript IS
    'A recording of both sides that is over has its transcript due, in the same transaction, so that no crash comes between';

CREATE TRIGGER want_transcript_new AFTER INSERT ON recordings FOR EACH ROW
    WHEN (NEW.option = 'both' AND NEW.state IN ('ready', 'failed')) EXECUTE FUNCTION want_transcript();
CREATE TRIGGER want_transcript AFTER UPDATE ON recordings FOR EACH ROW
    WHEN (NEW.option = 'both' AND NEW.state IN ('ready', 'failed') AND OLD.state IS DISTINCT FROM NEW.state)
    EXECUTE FUNCTION want_transcript();

CREATE FUNCTION tell_transcript(p_request_id text, p_kind text, p_at timestamptz, p_data jsonb)
RETURNS void LANGUAGE sql AS $$
    SELECT journal_write(NULL, NULL, jsonb_build_array(jsonb_build_object(
        'request_id', p_request_id, 'seq', coalesce(max(seq), 0) + 1, 'at', p_at, 'kind', p_kind, 'data', p_data)), NULL, NULL)
    FROM call_events WHERE request_id = p_request_id
$$;
COMMENT ON FUNCTION tell_transcript IS 'The next event of a call that is over, in the transaction that keeps its transcript';
