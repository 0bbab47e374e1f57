-- Due calls that ended long ago are deleted (dialer.keep_days), the oldest first.

CREATE INDEX due_calls_ended ON due_calls (ended_at) WHERE state = 'done';
