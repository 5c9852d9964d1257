-- The name that an endpoint's certificate must carry, beside the CA; NULL:
-- host. Endpoints that dial in have no host.
ALTER TABLE endpoints
    ADD tls_name text CHECK (tls_name ~ '^[A-Za-z0-9._:-]{1,253}$');
