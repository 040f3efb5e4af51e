/* TensorFlow's C API, found in its shared library at run time.
 *
 * The types are those of the headers in the same package; nothing is linked, so that
 * TensorFlow's copies of other libraries meet nobody, as in the server. */
#ifndef BARE_API_H
#define BARE_API_H

#include <tensorflow/c/c_api.h>

/* Every function that is used, by its name. */
#define BARE_FUNCTIONS(each)        \
    each(TF_NewStatus)              \
    each(TF_GetCode)                \
    each(TF_Message)                \
    each(TF_NewGraph)               \
    each(TF_GraphOperationByName)   \
    each(TF_NewSessionOptions)      \
    each(TF_SetConfig)              \
    each(TF_LoadSessionFromSavedModel) \
    each(TF_SessionRun)             \
    each(TF_AllocateTensor)         \
    each(TF_TensorData)             \
    each(TF_TensorByteSize)         \
    each(TF_TensorType)             \
    each(TF_DeleteTensor)           \
    each(TF_DeleteStatus)

struct api {
#define BARE_FIELD(name) __typeof__(name) *name;
    BARE_FUNCTIONS(BARE_FIELD)
#undef BARE_FIELD
};

/* Opens the library by its path and finds all functions; ends the process with a
 * sentence where that can't be done. */
struct api open_library(const char *path);

/* Ends the process with a sentence. */
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
