-- Who a person is at single sign-on is a part of how the API shows the person: a page
-- that asks for a link that is not there would have its browser log an error.
CREATE OR REPLACE FUNCTION console_user(p people) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object('id', p.id::text, 'name', p.name, 'title', p.title,
        'role', p.role, 'disabled', p.disabled,
        'has_password', p.password_hash IS NOT NULL,
        'has_totp', EXISTS (SELECT FROM totp t WHERE t.person_id = p.id
                            AND t.confirmed_at IS NOT NULL),
        'passkeys', (SELECT count(*) FROM passkeys k WHERE k.person_id = p.id),
        'identity', (SELECT identity_show(i) FROM identities i WHERE i.person_id = p.id),
        'failed_logins', p.failed_logins, 'last_login_at', utc_text(p.last_login_at),
        'created_at', utc_text(p.created_at))
$$;
