-- A test that the command line has sent is in the audit log, as one of the API is.
DROP FUNCTION webhook_test(bigint, bigint);

-- Sends a webhook.test to one of team, for who. Whether there is one that is on and
-- has room for a delivery.
CREATE FUNCTION webhook_test(team bigint, who text, origin jsonb, its_id bigint)
RETURNS boolean LANGUAGE sql AS $$
    WITH d AS (INSERT INTO webhook_deliveries (webhook_id, event, body)
               SELECT id, 'webhook.test', webhook_body('webhook.test', jsonb_build_object('id', id))
               FROM webhooks WHERE id = its_id AND team_id = team AND enabled
                   AND NOT webhook_is_full(id) RETURNING webhook_id),
         a AS (INSERT INTO audit (team_id, actor, action, object, detail)
               SELECT team, who, 'webhook_test', w.url, origin || jsonb_build_object('id', w.id)
               FROM d JOIN webhooks w ON w.id = d.webhook_id)
    SELECT EXISTS (SELECT FROM d)
$$;
