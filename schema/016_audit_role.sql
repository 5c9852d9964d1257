-- X7: each entry says which database role wrote it, beside what the writer
-- says of itself. Programs have no right to the column, so none can write
-- as another one; entries of before have none.
ALTER TABLE audit ADD db_role text;
ALTER TABLE audit ALTER db_role SET DEFAULT session_user;

-- Also for a session that has switched triggers off.
ALTER TABLE audit ENABLE ALWAYS TRIGGER audit_append_only;
ALTER TABLE evidence_keys ENABLE ALWAYS TRIGGER evidence_keys_stay;
