"""Whatever is dialled later, or many times: due calls in PostgreSQL, claimed, paced, retried, ended with a reason."""
