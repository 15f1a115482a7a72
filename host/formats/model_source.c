/* model_source.c - where a loader finds files: a directory, or named blocks of memory. */
#include "formats/checkpoint_build.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_PATH_BYTES 4096    /* the kernel's own bound */

static const hdl_memory_file *find_in_memory(const hdl__source *source, const char *name)
{
    for (size_t i = 0; i < source->n_memory; i++)
        if (source->memory[i].name != NULL && strcmp(source->memory[i].name, name) == 0) return &source->memory[i];
    return NULL;
}

/* "directory/name", or NULL when memory is out. */
static char *join_path(const hdl__source *source, const char *name)
{
    hdl__str path = {0};
    hdl__str_printf(&path, "%s/%s", source->directory, name);
    if (!path.failed) return path.data;
    hdl__str_free(&path);
    return NULL;
}

bool hdl__source_has(const hdl__source *source, const char *name)
{
    if (source->directory == NULL) return find_in_memory(source, name) != NULL;
    char path[MAX_PATH_BYTES];    /* a longer one cannot be opened either; nothing here may fail for lack of memory */
    struct stat info;
    int n = snprintf(path, sizeof path, "%s/%s", source->directory, name);
    return n >= 0 && (size_t)n < sizeof path && stat(path, &info) == 0 && !S_ISDIR(info.st_mode);
}

hdl_status hdl__source_open(const hdl__source *source, const char *name, hdl__file *out)
{
    hdl_status status = HDL_OK;
    char *path = NULL;
    if (source->directory == NULL) {
        const hdl_memory_file *file = find_in_memory(source, name);
        HDL_CHECK(file != NULL, HDL_EIO, "%s: not among the %zu files in memory", name, source->n_memory);
        HDL_CHECK(file->data != NULL || file->n_bytes == 0, HDL_EINVAL, "%s: data is NULL, n_bytes is %zu", name,
                  file->n_bytes);
        *out = (hdl__file){.data = file->n_bytes == 0 ? NULL : file->data, .n = file->n_bytes};
        goto done;
    }
    path = join_path(source, name);
    HDL_CHECK(path != NULL, HDL_ENOMEM, "%s: no memory for its path", name);
    HDL_TRY(hdl__file_open(path, out));
done:
    hdl__free(path);
    return status;
}

static bool ends_with(const char *text, const char *suffix)
{
    size_t n = strlen(text), m = strlen(suffix);
    return n > m && strcmp(text + n - m, suffix) == 0;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

typedef struct name_list { char **items; size_t n, capacity; } name_list;

static hdl_status add_name(name_list *list, const char *name)
{
    hdl_status status = HDL_OK;
    if (list->n == list->capacity) {
        size_t capacity = list->capacity == 0 ? 8 : list->capacity * 2;
        char **grown = hdl__regrow(list->items, list->n * sizeof *grown, capacity * sizeof *grown);
        HDL_CHECK(grown != NULL, HDL_ENOMEM, "no memory for %zu file names", capacity);
        list->items = grown;
        list->capacity = capacity;
    }
    HDL_TRY(hdl__checkpoint_set_text(&list->items[list->n], name));
    list->n++;
done:
    return status;
}

static hdl_status list_directory(const hdl__source *source, const char *suffix, name_list *list)
{
    hdl_status status = HDL_OK;
    DIR *directory = opendir(source->directory);
    HDL_CHECK(directory != NULL, HDL_EIO, "%s: %s", source->directory, strerror(errno));
    for (const struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory))
        if (entry->d_name[0] != '.' && ends_with(entry->d_name, suffix) && hdl__source_has(source, entry->d_name))
            HDL_TRY(add_name(list, entry->d_name));
done:
    if (directory != NULL) closedir(directory);
    return status;
}

hdl_status hdl__source_match(const hdl__source *source, const char *suffix, size_t i, char **name, size_t *n)
{
    hdl_status status = HDL_OK;
    name_list list = {0};
    if (source->directory != NULL) {
        HDL_TRY(list_directory(source, suffix, &list));
    } else {
        for (size_t k = 0; k < source->n_memory; k++)
            if (source->memory[k].name != NULL && ends_with(source->memory[k].name, suffix))
                HDL_TRY(add_name(&list, source->memory[k].name));
    }
    if (list.n > 1) qsort(list.items, list.n, sizeof *list.items, compare_names);
    *n = list.n;
    if (i < list.n) {
        *name = list.items[i];
        list.items[i] = NULL;
    }
done:
    for (size_t k = 0; k < list.n; k++) hdl__free(list.items[k]);
    hdl__free(list.items);
    return status;
}
