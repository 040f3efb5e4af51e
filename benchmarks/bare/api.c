#define _GNU_SOURCE
#include "api.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct api open_library(const char *path)
{
    /* The flags that the server uses: what is mapped and touched must be the same. */
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
    if (library == NULL)
        fail("can't open TensorFlow: %s", dlerror());
    struct api api;
#define BARE_FIND(name)                                       \
    void *found_##name = dlsym(library, #name);               \
    if (found_##name == NULL)                                 \
        fail("%s has no function %s", path, #name);           \
    memcpy(&api.name, &found_##name, sizeof found_##name);
    BARE_FUNCTIONS(BARE_FIND)
#undef BARE_FIND
    return api;
}

void fail(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    fputs("bare: ", stderr);
    vfprintf(stderr, format, values);
    fputc('\n', stderr);
    va_end(values);
    exit(1);
}
