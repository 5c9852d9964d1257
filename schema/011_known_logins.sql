-- Names that logged in from an address before: there they do not wait for wrong
-- tries of others. id: a keyed hash of name and address. The relays keep the
-- 16 latest ones of a person, for 30 days.
CREATE TABLE known_logins (
    id         bytea PRIMARY KEY CHECK (octet_length(id) = 32),
    person_id  bigint NOT NULL REFERENCES people ON DELETE CASCADE,
    last_at    timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON known_logins (person_id, last_at);
