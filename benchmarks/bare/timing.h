/* Time, and how many rows a second threads that do nothing else get through a session. */
#ifndef BARE_TIMING_H
#define BARE_TIMING_H

#include "session.h"

enum { MAX_CALLERS = 64 };

struct plan {
    int64_t batch;
    int callers;
    enum run_mode mode;
    double seconds;
};

/* Seconds of a clock that nobody sets. */
double now(void);

/* Rows a second, all callers together. */
double time_runs(const struct session *session, const struct row *row, const struct plan *plan);

#endif
