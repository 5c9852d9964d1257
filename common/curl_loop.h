/*
 * libcurl's multi interface on a libevent loop: sockets and timer are events,
 * nothing blocks (names are resolved in a thread of libcurl's). On one loop.
 */
#ifndef COMMON_CURL_LOOP_H
#define COMMON_CURL_LOOP_H

#include <curl/curl.h>

struct curl_loop;
struct event_base;

/* An easy handle is done and was removed from the loop; private is its
 * CURLOPT_PRIVATE. */
typedef void curl_done_cb(void *private, CURLcode rc);

/* NULL only for memory. */
struct curl_loop *curl_loop_new(struct event_base *base, curl_done_cb *done);

/* No handle may be left in it. */
void curl_loop_free(struct curl_loop *l);

/* Starts a handle; done is called from the loop, never from in here. */
void curl_loop_add(struct curl_loop *l, CURL *easy);

/* Takes one out that is not done. */
void curl_loop_remove(struct curl_loop *l, CURL *easy);

#endif
