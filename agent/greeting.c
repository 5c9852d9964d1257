#include "agent/greeting.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "agent/wire.h"
#include "common/bytes.h"

static const char *
system_name(char out[AGENT_NAME_MAX])
{
	FILE *f = fopen("/etc/os-release", "re");
	char line[AGENT_NAME_MAX];
	struct utsname u;

	out[0] = '\0';
	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "PRETTY_NAME=\"%255[^\"\n]", out) == 1)
			break;
	if (f != NULL)
		fclose(f);
	if (out[0] == '\0' && uname(&u) == 0)
		snprintf(out, AGENT_NAME_MAX, "%s", u.sysname);
	return out;
}

static void
fill_hello(const struct control_to *to, struct agent_msg *m)
{
	const struct settings *s = to->settings;
	char text[AGENT_NAME_MAX] = "";

	*m = (struct agent_msg){ .type = AGENT_HELLO };
	m->hello.protocol = AGENT_PROTOCOL;
	m->hello.mode = (uint8_t)to->mode;
	strcpy(m->hello.version, RELAYCAM_VERSION);
	gethostname(text, sizeof(text) - 1);
	agent_proto_clean(m->hello.host, sizeof(m->hello.host), text);
	agent_proto_clean(m->hello.os, sizeof(m->hello.os), system_name(text));
	m->hello.n_displays = (uint8_t)s->n_displays;
	for (unsigned i = 0; i < s->n_displays; i++)
		strcpy(m->hello.displays[i], s->displays[i].name);
	snprintf(m->hello.secret, sizeof(m->hello.secret), "%s",
	    to->secret != NULL ? to->secret : "");
}

int
greeting_send(struct bufferevent *bev, const struct control_to *to)
{
	struct agent_msg m;
	int rc;

	fill_hello(to, &m);
	rc = wire_send(bev, &m);
	if (rc == 0 && to->mode == AGENT_MODE_ENROL) {
		m = (struct agent_msg){ .type = AGENT_ENROL };
		snprintf(m.enrol.token, sizeof(m.enrol.token), "%s", to->token);
		rc = wire_send(bev, &m);
	}
	wipe(&m, sizeof(m));
	return rc;
}
