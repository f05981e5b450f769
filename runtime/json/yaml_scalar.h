/* yaml_scalar.h: what a plain YAML 1.1 scalar means. Private to json; pure, any thread. */
#pragma once
#include "base/buf.h"

enum yaml_kind {
    YAML_TEXT,
    YAML_NULL,
    YAML_BOOL,
    YAML_NUMBER,
    YAML_NO_JSON, /* infinities and not-a-number */
};

/* Resolves `s` as PyYAML's safe loader does, dates excepted, and appends its JSON text unless it is YAML_TEXT or
 * YAML_NO_JSON. 0o17 is an octal number, as in YAML 1.2. */
enum yaml_kind yaml_scalar(struct buf *out, struct str s);
