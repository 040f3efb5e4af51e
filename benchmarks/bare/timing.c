#include "timing.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

/* What the callers of one measurement share. */
struct race {
    const struct session *session;
    const struct row *row;
    const struct plan *plan;
    pthread_barrier_t start;
    atomic_int unfinished;
};

struct caller {
    struct race *race;
    pthread_t thread;
    double rows_per_second;
};

double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void run_once(const struct race *race, TF_Tensor *input)
{
    const struct api *api = race->session->api;
    api->TF_DeleteTensor(run_session(race->session, input, race->plan->mode));
}

/* Counts whole runs up to the one in which the time ends, then goes on uncounted until
 * all callers are there: one that still counts must not have the machine to itself. */
static void *call(void *argument)
{
    struct caller *caller = argument;
    struct race *race = caller->race;
    const struct plan *plan = race->plan;
    TF_Tensor *input = repeat_row(race->session->api, race->row, plan->batch);
    run_once(race, input);
    pthread_barrier_wait(&race->start);
    double started = now(), elapsed;
    int64_t runs = 0;
    do {
        run_once(race, input);
        runs++;
        elapsed = now() - started;
    } while (elapsed < plan->seconds);
    caller->rows_per_second = (double)(runs * plan->batch) / elapsed;
    atomic_fetch_sub(&race->unfinished, 1);
    while (atomic_load(&race->unfinished) > 0)
        run_once(race, input);
    race->session->api->TF_DeleteTensor(input);
    return NULL;
}

double time_runs(const struct session *session, const struct row *row, const struct plan *plan)
{
    struct race race = {.session = session, .row = row, .plan = plan};
    struct caller callers[MAX_CALLERS];
    atomic_init(&race.unfinished, plan->callers);
    pthread_barrier_init(&race.start, NULL, (unsigned)plan->callers);
    for (int index = 0; index < plan->callers; index++) {
        callers[index] = (struct caller){.race = &race};
        if (pthread_create(&callers[index].thread, NULL, call, &callers[index]) != 0)
            fail("can't start a thread");
    }
    double rows_per_second = 0;
    for (int index = 0; index < plan->callers; index++) {
        pthread_join(callers[index].thread, NULL);
        rows_per_second += callers[index].rows_per_second;
    }
    pthread_barrier_destroy(&race.start);
    return rows_per_second;
}
