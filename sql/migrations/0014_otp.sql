-- What is said when a one-time password is announced. The passwords themselves are nowhere in this database.

CREATE TABLE otp_templates (
    id          text PRIMARY KEY CHECK (id ~ '^AN[0-9a-f]{10}$'),
    account     text NOT NULL REFERENCES accounts,
    name        text NOT NULL CHECK (length(name) BETWEEN 1 AND 128),
    text        text NOT NULL CHECK (position('{otp}' IN text) > 0 AND length(text) <= 2000),
    language    text NOT NULL DEFAULT '',
    otp_type    text NOT NULL DEFAULT 'digits' CHECK (otp_type IN ('digits', 'alphanumeric')),
    state       text NOT NULL DEFAULT 'draft' CHECK (state IN ('draft', 'approved')),
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now(),
    approved_at timestamptz,
    CHECK ((state = 'approved') = (approved_at IS NOT NULL))
);
CREATE INDEX otp_templates_account ON otp_templates (account, id);
COMMENT ON TABLE otp_templates IS 'Only an approved one is spoken; one whose words change is a draft again';
COMMENT ON COLUMN otp_templates.language IS 'Language when a request names neither voice nor language; empty: the default';
COMMENT ON COLUMN otp_templates.otp_type IS 'What its passwords are made of';
