#include "console/api/file_link.h"

#include "common/clock.h"
#include "common/log.h"
#include "console/api/request.h"
#include "console/conf.h"
#include "console/shared.h"
#include "console/worker.h"

int
file_link_make(const struct request *r, const char *key, const char *node_url,
    bool is_download, char url[LINK_URL_MAX], uint64_t *expires_s)
{
	struct conf_store store = r->worker->conf->store;
	struct link_signer *signer;
	char err[512];
	int rc;

	if (node_url != NULL) {
		store.kind = (char *)(uintptr_t) "folder";
		store.public_url = (char *)(uintptr_t)node_url;
	}
	rc = link_signer_new(&signer, &store, err, sizeof(err));
	if (rc != 0) {
		log_error("link_not_made", LOG_S("why", err));
		return rc;
	}
	link_signer_set_person(signer, r->person.id);
	link_signer_set_download(signer, is_download);
	rc = link_make(signer, key, clock_wall_ns() / NS_PER_S, url,
	    LINK_URL_MAX, expires_s);
	link_signer_free(signer);
	if (rc == 0)
		atomic_fetch_add(&r->worker->place->counters.links, 1);
	return rc;
}
