/*
 * Tests of endpoints that somebody asked for at the console: a session without
 * a technician goes as far as the endpoint's ServerInit, and ends. It logs in
 * in full, so VNC servers that count unfinished logins (Xvnc) do not shut the
 * relay out. Tests wait in endpoint_tests: NOTIFY relaycam_test, and each new
 * connection to the database, has one loop of each relay take some.
 */
#ifndef RELAY_SESSION_SESSION_TEST_H
#define RELAY_SESSION_SESSION_TEST_H

struct loop;
struct relay_session;

/* Once the loop's database is there: 0 or an error. */
int session_tests_init(struct loop *l);
/* Takes tests that wait. */
void session_tests_check(struct loop *l);

/* The endpoint's ServerInit came. Ends the session. */
void session_test_passed(struct relay_session *s);
/* Why it is not as it should be. Of a test that was answered, or a session
 * that is none, nothing happens. */
void session_test_failed(struct relay_session *s, const char *reason);

#endif
