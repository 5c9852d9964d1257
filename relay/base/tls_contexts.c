#include "relay/base/tls_contexts.h"

void
tls_contexts_init(struct tls_contexts *t)
{
	*t = (struct tls_contexts){ .server = NULL };
	pthread_mutex_init(&t->lock, NULL);
}

void
tls_contexts_release(struct tls_contexts *t)
{
	SSL_CTX_free(t->server);
	SSL_CTX_free(t->web);
	t->server = t->web = NULL;
	pthread_mutex_destroy(&t->lock);
}

bool
tls_contexts_replace(struct tls_contexts *t, SSL_CTX *server, SSL_CTX *web)
{
	SSL_CTX *old, *old_web;

	pthread_mutex_lock(&t->lock);
	old = t->server;
	old_web = t->web;
	t->server = server;
	t->web = web;
	pthread_mutex_unlock(&t->lock);
	SSL_CTX_free(old);
	SSL_CTX_free(old_web);
	return old != NULL;
}

static SSL_CTX *
ref(struct tls_contexts *t, SSL_CTX *const *which)
{
	SSL_CTX *ctx;

	pthread_mutex_lock(&t->lock);
	ctx = *which;
	SSL_CTX_up_ref(ctx);
	pthread_mutex_unlock(&t->lock);
	return ctx;
}

SSL_CTX *
tls_contexts_server(struct tls_contexts *t)
{
	return ref(t, &t->server);
}

SSL_CTX *
tls_contexts_web(struct tls_contexts *t)
{
	return ref(t, &t->web);
}
