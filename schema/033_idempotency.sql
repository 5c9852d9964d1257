-- Answers to POST requests with an Idempotency-Key, for 24 hours. The row is there
-- exactly when what the request does was committed.
CREATE TABLE idempotency_keys (
    id          bytea PRIMARY KEY CHECK (octet_length(id) = 32), -- keyed hash of person and key
    fingerprint bytea NOT NULL CHECK (octet_length(fingerprint) = 32), -- of the request
    status      integer, -- of the answer; NULL inside of the transaction alone
    answer      bytea,   -- encrypted with a key that is made of the Idempotency-Key
    created_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);

-- Takes a key, or says what is kept of it. Waits for another transaction with the
-- same key.
CREATE FUNCTION idempotency_begin(its_id bytea, print bytea, OUT is_new boolean,
                                  OUT fits boolean, OUT status integer, OUT answer bytea)
LANGUAGE plpgsql AS $$
BEGIN
    -- a console that stands still does not keep others waiting
    PERFORM set_config('idle_in_transaction_session_timeout', '10s', true);
    DELETE FROM idempotency_keys WHERE id IN (
        SELECT id FROM idempotency_keys WHERE created_at < now() - interval '24 hours'
        LIMIT 100 FOR UPDATE SKIP LOCKED);
    INSERT INTO idempotency_keys AS k (id, fingerprint) VALUES (its_id, print)
    ON CONFLICT (id) DO UPDATE
    SET fingerprint = excluded.fingerprint, status = NULL, answer = NULL, created_at = now()
    WHERE k.created_at < now() - interval '24 hours';
    is_new := FOUND;
    IF NOT is_new THEN
        SELECT k.fingerprint = print, k.status, k.answer INTO fits, status, answer
        FROM idempotency_keys k WHERE k.id = its_id;
    END IF;
END $$;
