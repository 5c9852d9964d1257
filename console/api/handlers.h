/* What the rows of routes.c run, a line per request. The person has the right
 * of the row, and what {id} names is the person's team's. */
#ifndef CONSOLE_API_HANDLERS_H
#define CONSOLE_API_HANDLERS_H

struct request;

void login_run(struct request *r);
void sso_start_run(struct request *r);
void sso_callback_run(struct request *r);
void login_methods_run(struct request *r);
void first_run_run(struct request *r);
void logout_run(struct request *r);
void me_run(struct request *r);

void reauthentication_get_run(struct request *r);
void reauthentication_run(struct request *r);

void totp_get_run(struct request *r);
void totp_new_run(struct request *r);
void totp_confirm_run(struct request *r);
void totp_remove_run(struct request *r);
void recovery_codes_new_run(struct request *r);
void users_totp_delete_run(struct request *r);

void passkey_login_options_run(struct request *r);
void passkey_login_run(struct request *r);
void passkeys_list_run(struct request *r);
void passkeys_options_run(struct request *r);
void passkeys_new_run(struct request *r);
void passkeys_patch_run(struct request *r);
void passkeys_delete_run(struct request *r);
void users_passkeys_delete_run(struct request *r);

void tokens_list_run(struct request *r);
void tokens_new_run(struct request *r);
void tokens_delete_run(struct request *r);

void sessions_list_run(struct request *r);
void sessions_csv_run(struct request *r);
void sessions_get_run(struct request *r);
void sessions_timeline_run(struct request *r);
void sessions_patch_run(struct request *r);
void sessions_delete_run(struct request *r);

void recordings_list_run(struct request *r);
void recordings_get_run(struct request *r);
void recordings_patch_run(struct request *r);
void recordings_delete_run(struct request *r);
void recordings_lock_run(struct request *r);
void recordings_unlock_run(struct request *r);
void recordings_review_run(struct request *r);
void recordings_review_undo_run(struct request *r);
void recordings_link_run(struct request *r);
void recordings_clip_run(struct request *r);
void archives_new_run(struct request *r);
void recordings_notes_list_run(struct request *r);
void recordings_notes_new_run(struct request *r);
void recordings_manifest_run(struct request *r);
void recordings_poster_run(struct request *r);
void recordings_captions_run(struct request *r);

void login_settings_get_run(struct request *r);
void login_settings_patch_run(struct request *r);

void settings_get_run(struct request *r);
void settings_patch_run(struct request *r);
void settings_retention_run(struct request *r);
void sso_settings_get_run(struct request *r);
void sso_settings_patch_run(struct request *r);
void sso_settings_delete_run(struct request *r);
void identities_get_run(struct request *r);
void identities_put_run(struct request *r);
void identities_delete_run(struct request *r);

void endpoints_list_run(struct request *r);
void endpoints_new_run(struct request *r);
void endpoints_get_run(struct request *r);
void endpoints_patch_run(struct request *r);
void endpoints_delete_run(struct request *r);
void endpoints_revoke_run(struct request *r);
void endpoints_test_run(struct request *r);

void rights_list_run(struct request *r);
void rights_put_run(struct request *r);
void rights_delete_run(struct request *r);

void enrol_tokens_list_run(struct request *r);
void enrol_tokens_new_run(struct request *r);
void enrol_tokens_delete_run(struct request *r);

void webhooks_list_run(struct request *r);
void webhooks_new_run(struct request *r);
void webhooks_patch_run(struct request *r);
void webhooks_delete_run(struct request *r);
void webhooks_test_run(struct request *r);
void webhooks_deliveries_run(struct request *r);
void webhooks_retry_run(struct request *r);

void disk_space_run(struct request *r);

void events_run(struct request *r);

void audit_list_run(struct request *r);
void audit_csv_run(struct request *r);

void users_list_run(struct request *r);
void users_new_run(struct request *r);
void users_get_run(struct request *r);
void users_patch_run(struct request *r);
void users_tokens_delete_run(struct request *r);
void users_logins_delete_run(struct request *r);

void tickets_new_run(struct request *r);

#endif
