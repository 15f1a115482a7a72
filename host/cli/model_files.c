/* model_files.c - which files beside a model's path are the model's, by their endings. */
#include "model_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* Endings of weights, vocabularies, tokenizers and settings (docs/formats.md). Text and JSON are a model's in its own directory only. */
static const char *const endings[] = { ".safetensors", ".bin", ".npz", ".spm", ".model", ".yml", ".yaml", ".codes" };
static const char *const directory_endings[] = { ".json", ".txt", ".vmap", ".bpe" };

static bool ends_with(const char *name, const char *const *list, size_t n)
{
    const size_t length = strlen(name);
    for (size_t i = 0; i < n; ++i) {
        const size_t ending = strlen(list[i]);
        if (length >= ending && strcmp(name + length - ending, list[i]) == 0) return true;
    }
    return false;
}

static bool is_models_name(const char *name, bool directory)
{
    return ends_with(name, endings, sizeof endings / sizeof *endings) ||
           (directory && ends_with(name, directory_endings, sizeof directory_endings / sizeof *directory_endings));
}

static bool same(const struct stat *a, const struct stat *b) { return a->st_dev == b->st_dev && a->st_ino == b->st_ino; }

/* The directory of the model's files: the path itself, or the one that its file lies in. */
static DIR *open_directory(const char *model, bool directory)
{
    const char *slash = strrchr(model, '/');
    if (directory) return opendir(model);
    if (slash == NULL) return opendir(".");
    char *parent = strndup(model, (size_t)(slash - model) + 1);
    DIR *opened = parent != NULL ? opendir(parent) : NULL;
    free(parent);
    return opened;
}

bool hdl__is_model_file(const char *model, const struct stat *about)
{
    struct stat other;
    if (!S_ISREG(about->st_mode) || about->st_size == 0 || stat(model, &other) != 0) return false;
    if (same(&other, about)) return true;
    const bool directory = S_ISDIR(other.st_mode);
    DIR *files = open_directory(model, directory);
    bool found = false;
    for (const struct dirent *entry; files != NULL && !found && (entry = readdir(files)) != NULL;)
        found = is_models_name(entry->d_name, directory) && fstatat(dirfd(files), entry->d_name, &other, 0) == 0 &&
                same(&other, about);
    if (files != NULL) closedir(files);
    return found;
}
