/* Any bytes as YAML: what parses is a sound document, messages name a place, marks can be asked for anything. */
#include <stdint.h>
#include <stdlib.h>

#include "json/json.h"
#include "json/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void promise(bool kept)
{
    if (!kept)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};
    struct json_doc *d, *again = NULL;
    struct yaml_marks *marks;
    struct err e;
    int line, col;
    if (yaml_parse(text, "f.yaml", &d, &marks, &e) < 0) {
        promise(str_starts(str_of(e.msg), STR("f.yaml:")) && utf8_valid(str_of(e.msg)) && marks == NULL);
        return 0;
    }
    struct buf out;
    buf_init(&out, BUF_NO_LIMIT);
    promise(json_write(&out, json_root(d)) == 0 && json_parse(buf_str(&out), &again, NULL) == 0);
    if (marks && yaml_where(marks, STR(""), &line, &col))
        promise(line > 0 && col > 0);
    yaml_where(marks, text, &line, &col);
    buf_done(&out);
    json_unref(again);
    json_unref(d);
    yaml_marks_free(marks);
    return 0;
}
