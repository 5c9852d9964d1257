/*
 * The options of every request by libcurl: TLS as in common/tls.h, no signals,
 * errors in words.
 */
#ifndef COMMON_CURL_OPTIONS_H
#define COMMON_CURL_OPTIONS_H

#include <curl/curl.h>

#include "common/tls.h"

/*
 * protocols: as CURLOPT_PROTOCOLS_STR has them; ca_file: PEM, trusted besides
 * the system's certificates, NULL: none; error: CURL_ERROR_SIZE bytes that live
 * as long as the handle. All texts but error are copied.
 */
static inline void
curl_options_set(
    CURL *e, const char *protocols, const char *ca_file, char *error)
{
	curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, protocols);
	curl_easy_setopt(e, CURLOPT_ERRORBUFFER, error);
	curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(e, CURLOPT_USERAGENT, "relaycam/" RELAYCAM_VERSION);
	curl_easy_setopt(e, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(e, CURLOPT_SSL_CIPHER_LIST, TLS_CIPHERS_1_2);
	if (ca_file != NULL)
		curl_easy_setopt(e, CURLOPT_CAINFO, ca_file);
}

#endif
