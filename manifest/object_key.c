#include "manifest/object_key.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COMPONENT_MAX 128

static bool
is_key_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '+' ||
	    c == '-';
}

/* Length of a good component at s, 0 for a bad one. */
static size_t
component_len(const char *s)
{
	size_t n = 0;

	if (*s == '.')
		return 0;
	while (is_key_char(s[n]))
		n++;
	return n <= COMPONENT_MAX && (s[n] == '/' || s[n] == '\0') ? n : 0;
}

static bool
is_key(const char *key, const char *suffix)
{
	size_t len = strnlen(key, OBJECT_KEY_MAX + 1);
	size_t suffix_len = strlen(suffix);
	const char *s = key;
	size_t n;

	if (len > OBJECT_KEY_MAX || len <= suffix_len ||
	    strcmp(key + len - suffix_len, suffix) != 0)
		return false;
	for (int depth = 0; depth < OBJECT_DEPTH_MAX; depth++) {
		n = component_len(s);
		if (n == 0)
			return false;
		if (s[n] == '\0')
			return true;
		s += n + 1;
	}
	return false;
}

bool
object_key_is_valid(const char *key)
{
	return is_key(key, ".webm");
}

bool
object_key_is_poster(const char *key)
{
	return is_key(key, ".jpg");
}

bool
object_key_is_manifest(const char *key)
{
	const char *slash = strrchr(key, '/');

	/* that name is the file server's, for the index of what grows */
	return is_key(key, ".json") &&
	    strcmp(slash != NULL ? slash + 1 : key, "index.json") != 0;
}

bool
object_key_is_safe(const char *key)
{
	return is_key(key, ".webm") || is_key(key, ".jpg") ||
	    object_key_is_manifest(key);
}

/* Other suffixes are no longer than the recording's. */
static char *
beside(const char *key, const char *suffix, char out[OBJECT_KEY_MAX + 1])
{
	size_t len = strnlen(key, OBJECT_KEY_MAX);

	memcpy(out, key, len);
	strcpy(out + len - strlen(".webm"), suffix);
	return out;
}

char *
object_key_poster(const char *key, char out[OBJECT_KEY_MAX + 1])
{
	return beside(key, ".jpg", out);
}

char *
object_key_manifest(const char *key, char out[OBJECT_KEY_MAX + 1])
{
	return beside(key, ".json", out);
}

char *
object_key_session(const char *key, char out[UUID_TEXT_MAX])
{
	const char *at = strchr(key, '/');

	out[0] = '\0';
	at = at != NULL ? strchr(at + 1, '/') : NULL;
	if (at == NULL || strnlen(at, UUID_LEN + 2) < UUID_LEN + 2 ||
	    at[UUID_LEN + 1] != '/')
		return out;
	memcpy(out, at + 1, UUID_LEN);
	out[UUID_LEN] = '\0';
	if (!is_uuid(out))
		out[0] = '\0';
	return out;
}

const char *
object_key_media_type(const char *key)
{
	if (object_key_is_poster(key))
		return "image/jpeg";
	return object_key_is_manifest(key) ? "application/json" : "video/webm";
}

int
beneath_dir(int root, const char *key, bool make, const char **name)
{
	int dir = fcntl(root, F_DUPFD_CLOEXEC, 0);
	const char *slash;

	while (dir >= 0 && (slash = strchr(key, '/')) != NULL) {
		char part[COMPONENT_MAX + 1] = "";
		int next, err;

		if ((size_t)(slash - key) >= sizeof(part)) {
			close(dir);
			errno = ENAMETOOLONG;
			return -1;
		}
		memcpy(part, key, (size_t)(slash - key));
		if (make && mkdirat(dir, part, 0750) == 0)
			fsync(dir);
		next = openat(
		    dir, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		err = errno;
		close(dir);
		errno = err;
		dir = next;
		key = slash + 1;
	}
	*name = key;
	return dir;
}

int
beneath_open(int root, const char *key)
{
	const char *name;
	struct stat st;
	int dir, fd, err;

	if (!object_key_is_safe(key)) {
		errno = ENOENT;
		return -1;
	}
	dir = beneath_dir(root, key, false, &name);
	if (dir < 0)
		return -1;
	fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	err = errno;
	close(dir);
	if (fd >= 0 && (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))) {
		close(fd);
		fd = -1;
		err = ENOENT;
	}
	errno = err;
	return fd;
}
