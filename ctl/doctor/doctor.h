/*
 * relaycam doctor: looks at everything an installation depends on. Each
 * check adds lines: ok, warn (works, but look at it) or FAIL, with the
 * remedy. Checks are independent: one that fails hides no other.
 */
#ifndef CTL_DOCTOR_DOCTOR_H
#define CTL_DOCTOR_DOCTOR_H

#include <jansson.h>

#include "ctl/ctl.h"
#include "ctl/ctl_hostport.h"

struct doctor {
	struct ctl *ctl;
	json_t *lines; /* array of { check, level, text, remedy } */
	int n_warn, n_fail;
	bool with_endpoints;
};

/* check: a word such as "spool"; the text may have particulars. */
__attribute__((format(printf, 3, 4))) void doctor_ok(
    struct doctor *d, const char *check, const char *fmt, ...);
/* remedy: what to do, a sentence. */
__attribute__((format(printf, 4, 5))) void doctor_warn(struct doctor *d,
    const char *check, const char *remedy, const char *fmt, ...);
__attribute__((format(printf, 4, 5))) void doctor_fail(struct doctor *d,
    const char *check, const char *remedy, const char *fmt, ...);

/* doctor_local.c: this machine's files and programs */
void doctor_config(struct doctor *d);
void doctor_spool(struct doctor *d);
void doctor_link_key(struct doctor *d);
void doctor_seal_key(struct doctor *d);
void doctor_evidence_key(struct doctor *d);
void doctor_recorders(struct doctor *d);

/* doctor_tls.c: certificates of relay and storage */
void doctor_certificates(struct doctor *d);
/* Those of one daemon: the pair, and its dates. */
void doctor_certificate(
    struct doctor *d, const char *check, const struct conf_daemon *conf);
/* Has the certificate in the file path the host of url? setting: what names
 * the url. */
void doctor_certificate_name(struct doctor *d, const char *check,
    const char *path, const char *setting, const char *url);

/* doctor_served.c: whether a daemon that listens there over TLS has the
 * certificate of the file; no line where none answers, which is said
 * elsewhere. */
void doctor_served_certificate(struct doctor *d, const char *check,
    const char *program, const char *listen, const char *cert_file);

/* doctor_nodes.c: all daemons of the site */
void doctor_nodes(struct doctor *d);

/* doctor_database.c */
void doctor_database(struct doctor *d);
void doctor_clock(struct doctor *d);
void doctor_sealed(struct doctor *d);
void doctor_endpoints(struct doctor *d);

/* doctor_roles.c */
void doctor_database_tls(struct doctor *d);
void doctor_roles(struct doctor *d);

/* doctor_services.c */
void doctor_daemons(struct doctor *d);
/* /healthz and /readyz of one. */
void doctor_daemon(
    struct doctor *d, const char *program, const struct conf_daemon *conf);
/* "http://..." of a path at metrics_listen, as it can be reached from here. */
void doctor_health_url(
    const char *listen, const char *path, char *url, size_t len);
/* Nothing answers at url. A warning when such a daemon (relay, storage,
 * console) is alive on another machine, otherwise a failure. */
void doctor_no_answer(struct doctor *d, const char *check, const char *program,
    const char *url, const char *why);

/* doctor_store.c: folder or bucket */
void doctor_store(struct doctor *d);
/* The last comparison of the store with the rows. */
void doctor_storage_check(struct doctor *d);

/* doctor_webhooks.c */
void doctor_webhooks(struct doctor *d);
/* doctor_quotas.c */
void doctor_quotas(struct doctor *d);

/* doctor_doors.c: the relay's ports */
void doctor_doors(struct doctor *d);
/* Host and port of a setting, as they can be reached from here. Returns 0, or
 * -1 when it is no address. */
int doctor_split_listen(const char *listen, char host[HOST_MAX], char port[8]);

/* doctor_console.c */
void doctor_console(struct doctor *d);

/* doctor_single_sign_on.c */
void doctor_single_sign_on(struct doctor *d);

#endif
