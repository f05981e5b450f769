/* config_value.h: the types of a spec's configurations (runtime ). Private to config/. Pure. */
#pragma once
#include <stdbool.h>
#include "json/json.h"
#include "json/write.h"

enum config_type {
    CONFIG_STRING,
    CONFIG_INTEGER,
    CONFIG_NUMBER,
    CONFIG_BOOLEAN,
    CONFIG_OBJECT,
    CONFIG_ARRAY,
    CONFIG_URL
};

/* false if there is no such type. */
bool config_type_of(struct str name, enum config_type *ret);
const char *config_type_expected(enum config_type t); /* "an integer" */
/* Writes the value in the form the integration sees; false (nothing written) if it does not fit the type. */
bool config_value_write(enum config_type t, struct json v, struct jw *w);
