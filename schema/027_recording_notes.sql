-- Notes at a moment of a recording (M5). Rows are added; they go with the row
-- of the recording.
CREATE TABLE recording_notes (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    segment_id uuid NOT NULL REFERENCES segments ON DELETE CASCADE,
    at_ms      integer NOT NULL CHECK (at_ms BETWEEN 0 AND 86400000), -- of the file
    text       text NOT NULL CHECK (octet_length(text) BETWEEN 1 AND 2000),
    author     text NOT NULL,              -- login name
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX recording_notes_segment ON recording_notes (segment_id, at_ms, id);

-- A note as the API shows it.
CREATE FUNCTION console_note(n recording_notes) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object('id', n.id::text, 'at_ms', n.at_ms, 'text', n.text,
                              'author', n.author, 'created_at', utc_text(n.created_at))
$$;

CREATE FUNCTION console_note_new(who bigint, origin jsonb, body jsonb)
RETURNS console_result LANGUAGE plpgsql AS $$
DECLARE
    me people; g segments; n recording_notes;
BEGIN
    SELECT * INTO me FROM people WHERE id = who;
    SELECT x.* INTO g FROM segments x JOIN sessions s ON s.id = x.session_id
    WHERE x.id = (body->>'id')::uuid AND s.team_id = me.team_id;
    IF g.id IS NULL THEN
        RETURN ('not-found', NULL, NULL, NULL)::console_result;
    ELSIF (body->>'at_ms')::bigint > g.duration_ms THEN
        RETURN ('invalid', '/at_ms', format('The recording ends at %s.', g.duration_ms),
                NULL)::console_result;
    ELSIF (SELECT count(*) FROM recording_notes x WHERE x.segment_id = g.id) >= 1000 THEN
        RETURN ('not-done', NULL, 'A recording has at most 1000 notes.',
                NULL)::console_result;
    END IF;
    INSERT INTO recording_notes (segment_id, at_ms, text, author)
    VALUES (g.id, (body->>'at_ms')::integer, body->>'text', me.name)
    RETURNING * INTO n;
    INSERT INTO audit (team_id, actor, action, object, detail)
    VALUES (me.team_id, me.name, 'note', g.id::text, origin ||
            jsonb_build_object('at_ms', n.at_ms, 'value', n.text));
    RETURN (NULL, NULL, NULL, console_note(n))::console_result;
END $$;
