/* doc.h: what a json_doc is. Private to json. */
#pragma once
#include <stdatomic.h>
#include "json/json.h"

struct json_doc {
    atomic_int refs;
    yyjson_doc *doc;
    size_t bytes, repairs;
};
