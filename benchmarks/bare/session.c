#include "session.h"

#include <stdlib.h>
#include <string.h>

static void check(const struct api *api, const TF_Status *status, const char *purpose)
{
    if (api->TF_GetCode(status) != TF_OK)
        fail("can't %s: %s", purpose, api->TF_Message(status));
}

/* "operation:index" as the graph's own output. */
static TF_Output find_tensor(const struct api *api, TF_Graph *graph, const char *name)
{
    const char *colon = strrchr(name, ':');
    if (colon == NULL)
        fail("a tensor is named OPERATION:INDEX, not %s", name);
    char *operation = strndup(name, (size_t)(colon - name));
    TF_Output found = {api->TF_GraphOperationByName(graph, operation), atoi(colon + 1)};
    free(operation);
    if (found.oper == NULL)
        fail("the graph has no tensor %s", name);
    return found;
}

struct session load_session(const struct api *api, const char *directory,
                            const struct message *config, const char *input,
                            const char *output)
{
    TF_Status *status = api->TF_NewStatus();
    TF_SessionOptions *options = api->TF_NewSessionOptions();
    api->TF_SetConfig(options, config->bytes, config->length, status);
    check(api, status, "set the session's configuration");
    TF_Graph *graph = api->TF_NewGraph();
    const char *tags[] = {"serve"};
    TF_Session *raw = api->TF_LoadSessionFromSavedModel(options, NULL, directory, tags, 1, graph,
                                                        NULL, status);
    check(api, status, "load the model");
    api->TF_DeleteStatus(status);
    return (struct session){
        .api = api,
        .session = raw,
        .input = find_tensor(api, graph, input),
        .output = find_tensor(api, graph, output),
    };
}

TF_Tensor *repeat_row(const struct api *api, const struct row *row, int64_t batch)
{
    int64_t shape[MAX_DIMENSIONS + 1] = {batch};
    memcpy(shape + 1, row->dimension, sizeof row->dimension);
    TF_Tensor *tensor = api->TF_AllocateTensor(TF_FLOAT, shape, row->dimensions + 1,
                                               (size_t)batch * row->bytes);
    char *data = api->TF_TensorData(tensor);
    for (int64_t index = 0; index < batch; index++)
        memcpy(data + (size_t)index * row->bytes, row->values, row->bytes);
    return tensor;
}

TF_Tensor *run_session(const struct session *session, TF_Tensor *input, enum run_mode mode)
{
    /* RunOptions{inter_op_thread_pool: -1} */
    static const unsigned char caller[] = {0x18, 0xff, 0xff, 0xff, 0xff, 0xff,
                                           0xff, 0xff, 0xff, 0xff, 0x01};
    const TF_Buffer options = {.data = caller, .length = sizeof caller};
    const struct api *api = session->api;
    TF_Status *status = api->TF_NewStatus();
    TF_Tensor *output = NULL;
    api->TF_SessionRun(session->session, mode == MODE_CALLER ? &options : NULL, &session->input,
                       &input, 1, &session->output, &output, 1, NULL, 0, NULL, status);
    check(api, status, "run the model");
    api->TF_DeleteStatus(status);
    return output;
}
