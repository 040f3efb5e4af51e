/* A loaded SavedModel with one float input and one float output. */
#ifndef BARE_SESSION_H
#define BARE_SESSION_H

#include <stddef.h>

#include "api.h"

enum { MAX_DIMENSIONS = 8 };

/* What a row of the input is: its dimensions without the batch, and its values. */
struct row {
    int dimensions;
    int64_t dimension[MAX_DIMENSIONS];
    size_t bytes;
    float *values;
};

struct session {
    const struct api *api;
    TF_Session *session;
    TF_Output input;
    TF_Output output;
};

/* Bytes of an encoded protobuf message. */
struct message {
    unsigned char *bytes;
    size_t length;
};

/* Which threads run a graph's operations: TensorFlow's pool or the one that calls. */
enum run_mode { MODE_POOL, MODE_CALLER };

/* Loads a SavedModel directory with a ConfigProto; `input` and `output` are tensor names
 * such as "serving_default_x:0". */
struct session load_session(const struct api *api, const char *directory,
                            const struct message *config, const char *input,
                            const char *output);

/* The row, `batch` times over, in a tensor of TensorFlow's. */
TF_Tensor *repeat_row(const struct api *api, const struct row *row, int64_t batch);

/* One run; the caller deletes the output. */
TF_Tensor *run_session(const struct session *session, TF_Tensor *input, enum run_mode mode);

#endif
