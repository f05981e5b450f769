/* sha256.h: SHA-256 of a text that comes in pieces. One thread at a time. */
#pragma once
#include "base/str.h"

struct sha256;

struct sha256 *sha256_new(void);
void sha256_free(struct sha256 *h); /* NULL allowed */
void sha256_add(struct sha256 *h, struct str s);
/* Lower-case hexadecimal; nothing may be added afterwards. */
void sha256_end(struct sha256 *h, char hex[65]);
