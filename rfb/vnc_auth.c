#include "rfb/vnc_auth.h"

#include "common/bytes.h"
#include "rfb/des.h"

int
rfb_vnc_auth_response(const char *password,
    const uint8_t challenge[RFB_VNC_CHALLENGE_LEN],
    uint8_t out[RFB_VNC_CHALLENGE_LEN])
{
	uint8_t key[RFB_DES_LEN] = { 0 };
	int rc;

	for (size_t i = 0; i < sizeof(key) && password[i] != '\0'; i++)
		key[i] = (uint8_t)password[i];
	rc = rfb_des_encrypt(key, NULL, challenge, out, RFB_VNC_CHALLENGE_LEN);
	wipe(key, sizeof(key));
	return rc;
}
