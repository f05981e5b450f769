/* faults_priv.h: shared by faults.c and faults_read.c. */
#pragma once
#include "catalog/faults.h"

struct faults {
    struct fault *first, *retired;
    uint64_t random;
    unsigned last_id;
};
void fault_free(struct fault *x);
