-- An endpoint that may be reached in clear has no CA and no pin: somebody in
-- between offers no TLS, and then no certificate is ever compared.

-- A pin of the first use goes; a CA or a pin that a person gave stays, and
-- the endpoint is reached by TLS or RA2 only from now on.
UPDATE endpoints e SET tls_pin_sha256 = NULL
WHERE allow_clear AND tls_ca_pem IS NULL AND EXISTS (
    SELECT 1 FROM audit a
    WHERE a.action = 'endpoint_pinned' AND a.team_id = e.team_id
      AND a.object = e.name
      AND a.detail->>'sha256' = encode(e.tls_pin_sha256, 'hex'));
UPDATE endpoints SET allow_clear = false
WHERE allow_clear AND num_nonnulls(tls_ca_pem, tls_pin_sha256) > 0;

ALTER TABLE endpoints ADD CONSTRAINT endpoints_clear_or_pinned
    CHECK (NOT allow_clear OR num_nonnulls(tls_ca_pem, tls_pin_sha256) = 0);
