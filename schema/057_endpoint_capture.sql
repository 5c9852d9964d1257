-- C7: who records the sessions of an endpoint: the relay; device: its agent
-- instead, which hands the capture over later; both: the agent too. Without
-- effect where the endpoint has no agent.
ALTER TABLE endpoints ADD capture text NOT NULL DEFAULT 'relay'
    CHECK (capture IN ('relay', 'device', 'both'));

CREATE CONSTRAINT TRIGGER endpoint_event_capture AFTER UPDATE ON endpoints
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (OLD.capture IS DISTINCT FROM NEW.capture)
    EXECUTE FUNCTION event_of_endpoint();

-- The API's functions know nothing of it: these stand in front of them, by the
-- same names, so that they call each other through these.
ALTER FUNCTION console_endpoint(endpoints) RENAME TO console_endpoint_without_capture;
CREATE FUNCTION console_endpoint(e endpoints) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT console_endpoint_without_capture(e) || jsonb_build_object('capture', e.capture)
$$;

ALTER FUNCTION console_endpoint_detail(jsonb) RENAME TO console_endpoint_detail_without_capture;
CREATE FUNCTION console_endpoint_detail(body jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT console_endpoint_detail_without_capture(body)
           || jsonb_build_object('capture', body->>'capture')
$$;

ALTER FUNCTION console_endpoint_refusal(endpoints, jsonb)
    RENAME TO console_endpoint_refusal_without_capture;
CREATE FUNCTION console_endpoint_refusal(e endpoints, body jsonb) RETURNS console_result
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN e.kind <> 'agent' AND body->>'capture' <> 'relay'
        THEN ('invalid', '/capture', 'It needs relaycam-agent there: kind agent.',
              NULL)::console_result
        ELSE console_endpoint_refusal_without_capture(e, body) END
$$;

-- What was stored gets its capture; another kind takes it away.
CREATE FUNCTION console_endpoint_capture(r console_result, body jsonb) RETURNS console_result
LANGUAGE plpgsql AS $$
DECLARE
    e endpoints;
BEGIN
    IF r.problem IS NOT NULL THEN
        RETURN r;
    END IF;
    UPDATE endpoints SET capture =
        CASE WHEN kind = 'agent' THEN coalesce(body->>'capture', capture) ELSE 'relay' END
    WHERE id = (r.answer->>'id')::bigint RETURNING * INTO e;
    r.answer := console_endpoint(e);
    RETURN r;
END $$;

ALTER FUNCTION console_endpoint_new(bigint, jsonb, jsonb) RENAME TO console_endpoint_new_without_capture;
CREATE FUNCTION console_endpoint_new(who bigint, origin jsonb, body jsonb)
RETURNS console_result LANGUAGE sql AS $$
    SELECT console_endpoint_capture(console_endpoint_new_without_capture(who, origin, body), body)
$$;

ALTER FUNCTION console_endpoint_set(bigint, jsonb, jsonb) RENAME TO console_endpoint_set_without_capture;
CREATE FUNCTION console_endpoint_set(who bigint, origin jsonb, body jsonb)
RETURNS console_result LANGUAGE sql AS $$
    SELECT console_endpoint_capture(console_endpoint_set_without_capture(who, origin, body), body)
$$;
