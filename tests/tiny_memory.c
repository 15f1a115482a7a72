/* tiny_memory.c - the files of a tiny golden model, and its tensors by name. */
#include "tiny_memory.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[TINY_FILES] = {"config.json", "generation_config.json", "model.safetensors", "vocab.json"};

static int read_file(const char *path, hdl_memory_file *out)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL) return 0;
    fseek(f, 0, SEEK_END);
    const long size = ftell(f);
    rewind(f);
    char *data = malloc((size_t)size);
    const int good = data != NULL && fread(data, 1, (size_t)size, f) == (size_t)size;
    fclose(f);
    out->data = data;
    out->n_bytes = (size_t)size;
    return good;
}

int tiny_read(const char *name, tiny_memory *out)
{
    char path[1024];
    int good = 1;
    memset(out, 0, sizeof *out);
    for (int i = 0; i < TINY_FILES; i++) {
        snprintf(path, sizeof path, "%s/tests/data/goldens/%s/%s", HEDDLE_SOURCE_DIR, name, names[i]);
        out->files[i].name = names[i];
        good = good && read_file(path, &out->files[i]);
    }
    return good;
}

void tiny_free(tiny_memory *memory)
{
    for (int i = 0; i < TINY_FILES; i++) free((void *)(uintptr_t)memory->files[i].data);
}

float *tiny_tensor(tiny_memory *memory, const char *tensor, size_t *n_bytes)
{
    hdl_memory_file *file = &memory->files[2];
    char *bytes = (char *)(uintptr_t)file->data;
    uint64_t header = 0;
    memcpy(&header, bytes, sizeof header);
    json_t *root = json_loadb(bytes + sizeof header, header, 0, NULL);
    const json_t *offsets = json_object_get(json_object_get(root, tensor), "data_offsets");
    const size_t first = (size_t)json_integer_value(json_array_get(offsets, 0));
    *n_bytes = (size_t)json_integer_value(json_array_get(offsets, 1)) - first;
    json_decref(root);
    return offsets == NULL ? NULL : (float *)(void *)(bytes + sizeof header + header + first);
}
