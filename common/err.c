#include "common/err.h"

const char *
err_text(int err)
{
	switch (err) {
	case ERR_OK:
		return "no error";
	case ERR_NOMEM:
		return "out of memory";
	case ERR_IO:
		return "input/output error";
	case ERR_PROTOCOL:
		return "protocol error";
	case ERR_LIMIT:
		return "over a limit";
	case ERR_AGAIN:
		return "try again";
	case ERR_EOF:
		return "closed by the other side";
	case ERR_DENIED:
		return "denied";
	case ERR_NOTFOUND:
		return "not found";
	case ERR_EXISTS:
		return "exists already";
	case ERR_CONFIG:
		return "wrong configuration";
	case ERR_CORRUPT:
		return "corrupted";
	case ERR_TIMEOUT:
		return "timed out";
	case ERR_UNSUPPORTED:
		return "not supported";
	case ERR_UNAVAILABLE:
		return "not available";
	case ERR_NOSPACE:
		return "no space left";
	case ERR_CANCELLED:
		return "cancelled";
	}
	return "unknown error";
}
