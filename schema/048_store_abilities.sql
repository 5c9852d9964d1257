-- What an S3 server and a bucket can do, as "relaycam storage init" found it
-- (M8). Storage uses only what is noted here.
CREATE TABLE store_abilities (
    endpoint           text NOT NULL,
    bucket             text NOT NULL,
    checks_bodies      boolean NOT NULL,
    conditional_writes boolean NOT NULL,
    lifecycle          boolean NOT NULL,
    object_lock        boolean NOT NULL,
    probed_at          timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (endpoint, bucket)
);
