/* Whole files; see yaml.h. */
#include <errno.h>
#include <stdio.h>

#include "json/yaml.h"

int file_read(const char *path, size_t max_bytes, struct buf *out, struct err *e)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return ERR(e, errno == ENOENT || errno == ENOTDIR ? ERR_NOT_FOUND : ERR_IO, "%s: %s", path, strerror(errno));
    char chunk[65536];
    size_t total = 0;
    int rc = 0;
    for (size_t n; rc == 0 && (n = fread(chunk, 1, sizeof(chunk), f)) > 0;) {
        total += n;
        if (total > max_bytes || buf_add(out, chunk, n) < 0)
            rc = ERR(e, ERR_TOO_BIG, "%s: larger than %zu bytes", path, max_bytes);
    }
    if (rc == 0 && ferror(f))
        rc = ERR(e, ERR_IO, "%s: %s", path, strerror(errno));
    fclose(f);
    return rc;
}

int yaml_load_file(const char *path, size_t max_bytes, struct json_doc **ret, struct yaml_marks **ret_marks,
                   struct err *e)
{
    struct buf text;
    buf_init(&text, max_bytes);
    if (ret_marks)
        *ret_marks = NULL;
    int rc = file_read(path, max_bytes, &text, e);
    if (rc == 0 && str_ends(str_of(path), STR(".json"))) {
        rc = json_parse(buf_str(&text), ret, e);
        if (rc < 0)
            err_wrap(e, "%s", path);
        else if (ret_marks)
            *ret_marks = yaml_marks_of_json(buf_str(&text), path);
    } else if (rc == 0) {
        rc = yaml_parse(buf_str(&text), path, ret, ret_marks, e);
    }
    buf_done(&text);
    return rc;
}
