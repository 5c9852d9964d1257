-- A field of CSV (RFC 4180). A text that a spreadsheet takes for a formula
-- gets an apostrophe in front, so that it stays a text.
CREATE FUNCTION csv_text(t text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT '"' || CASE WHEN t ~ '^[[:space:]]*[-=+@＝＋－＠]' OR t ~ '^[\t\r\n]'
                       THEN '''' ELSE '' END || replace(coalesce(t, ''), '"', '""') || '"'
$$;

CREATE INDEX audit_page ON audit (team_id, at DESC, id DESC);
