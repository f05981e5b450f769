/* doc.h: what a json_doc is. Private to json. */
#pragma once
#include "json/json.h"
#include <stdatomic.h>

struct json_doc {
    atomic_int refs;
    yyjson_doc *doc;
    size_t bytes, repairs;
};
