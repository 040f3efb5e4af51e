/* bare LIBRARY CONFIG ROW DIMENSIONS INPUT OUTPUT MODEL...
 *
 * TensorFlow's C API with nothing around it: what a server's throughput and memory are
 * held against. Loads every MODEL directory with the same ConfigProto (CONFIG: its bytes
 * in hexadecimal), runs each once on one row (ROW: a file of floats, DIMENSIONS: such as
 * 224,224,3), says so and how long loading took by a line of JSON, and stays until its input ends. Until then each
 * line "BATCH CALLERS caller|pool SECONDS" is answered by the rows a second that so many
 * threads get through the first model with batches of that size. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "timing.h"

enum { FIXED_ARGUMENTS = 7, SHOWN_VALUES = 8 };

static struct message decode_hex(const char *text)
{
    size_t length = strlen(text) / 2;
    struct message message = {malloc(length + 1), length};
    for (size_t index = 0; index < length; index++) {
        unsigned value;
        if (sscanf(text + 2 * index, "%2x", &value) != 1)
            fail("not hexadecimal: %s", text);
        message.bytes[index] = (unsigned char)value;
    }
    return message;
}

static struct row read_row(const char *file, const char *dimensions)
{
    struct row row = {.bytes = sizeof(float)};
    for (const char *next = dimensions; next != NULL; next = strchr(next, ',')) {
        next += *next == ',';
        if (row.dimensions == MAX_DIMENSIONS)
            fail("more than %d dimensions: %s", MAX_DIMENSIONS, dimensions);
        row.dimension[row.dimensions] = atoll(next);
        row.bytes *= (size_t)row.dimension[row.dimensions++];
    }
    row.values = malloc(row.bytes);
    FILE *stream = fopen(file, "rb");
    if (stream == NULL || fread(row.values, 1, row.bytes, stream) != row.bytes)
        fail("%s does not have a row of %zu bytes", file, row.bytes);
    fclose(stream);
    return row;
}

/* Runs the model on one row and prints what came out first, so that it can be checked. */
static void show_run(const struct session *session, const struct row *row)
{
    const struct api *api = session->api;
    TF_Tensor *input = repeat_row(api, row, 1);
    TF_Tensor *output = run_session(session, input, MODE_CALLER);
    if (api->TF_TensorType(output) != TF_FLOAT)
        fail("the output is not of type float");
    size_t count = api->TF_TensorByteSize(output) / sizeof(float);
    const float *values = api->TF_TensorData(output);
    putchar('[');
    for (size_t index = 0; index < count && index < SHOWN_VALUES; index++)
        printf("%s%.9g", index > 0 ? ", " : "", (double)values[index]);
    putchar(']');
    api->TF_DeleteTensor(output);
    api->TF_DeleteTensor(input);
}

static struct plan read_plan(const char *line)
{
    struct plan plan;
    char mode[8];
    long long batch;
    int found = sscanf(line, "%lld %d %7s %lf", &batch, &plan.callers, mode, &plan.seconds);
    plan.batch = batch;
    plan.mode = strcmp(mode, "caller") == 0 ? MODE_CALLER : MODE_POOL;
    if (found != 4 || batch < 1 || plan.callers < 1 || plan.callers > MAX_CALLERS)
        fail("not BATCH CALLERS caller|pool SECONDS with up to %d callers: %s", MAX_CALLERS, line);
    return plan;
}

int main(int count, char **arguments)
{
    if (count <= FIXED_ARGUMENTS)
        fail("usage: bare LIBRARY CONFIG ROW DIMENSIONS INPUT OUTPUT MODEL...");
    struct api api = open_library(arguments[1]);
    struct message config = decode_hex(arguments[2]);
    struct row row = read_row(arguments[3], arguments[4]);
    int models = count - FIXED_ARGUMENTS;
    struct session *sessions = calloc((size_t)models, sizeof *sessions);
    double load_seconds = 0;
    printf("{\"first\": [");
    for (int index = 0; index < models; index++) {
        double started = now();
        sessions[index] = load_session(&api, arguments[FIXED_ARGUMENTS + index], &config,
                                       arguments[5], arguments[6]);
        load_seconds += now() - started;
        fputs(index > 0 ? ", " : "", stdout);
        show_run(&sessions[index], &row);
    }
    printf("], \"load_seconds\": %.6g}\n", load_seconds);
    fflush(stdout);
    char line[128];
    while (fgets(line, sizeof line, stdin) != NULL) {
        struct plan plan = read_plan(line);
        printf("{\"rows_per_second\": %.6g}\n", time_runs(&sessions[0], &row, &plan));
        fflush(stdout);
    }
    /* TensorFlow's threads are still there; unwinding its globals under them helps nobody. */
    _Exit(0);
}
