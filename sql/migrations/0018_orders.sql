-- Commands into live calls that reach another process than the call's engine: from the command line, or another engine.

CREATE TABLE orders (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    request_id text NOT NULL,
    action     text NOT NULL,
    leg        text NOT NULL,
    fields     jsonb NOT NULL,
    asked_by   text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    answer     jsonb
);
COMMENT ON TABLE orders IS 'Asked by notification; the engine that has the call answers, and who asked deletes the row';
COMMENT ON COLUMN orders.answer IS 'What the control told, or {"error", …}; null until it is done';
CREATE INDEX orders_created ON orders (created_at);
