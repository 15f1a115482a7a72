/* mapped_file.c - a file's bytes, mapped where the kernel can. */
#define _GNU_SOURCE
#include "base/mapped_file.h"

#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_STEP_BYTES ((size_t)1 << 16)

static hdl_status read_whole(int fd, const char *path, hdl__file *out)
{
    hdl_status status = HDL_OK;
    uint8_t *bytes = NULL;
    size_t n = 0, capacity = 0;
    for (;;) {
        if (n == capacity) {
            size_t grown_bytes = capacity == 0 ? READ_STEP_BYTES : capacity * 2;
            uint8_t *grown = hdl__regrow(bytes, n, grown_bytes);
            HDL_CHECK(grown != NULL, HDL_ENOMEM, "%s: no memory for %zu bytes", path, grown_bytes);
            bytes = grown;
            capacity = grown_bytes;
        }
        ssize_t got = read(fd, bytes + n, capacity - n);
        if (got < 0 && errno == EINTR) continue;
        HDL_CHECK(got >= 0, HDL_EIO, "%s: %s", path, strerror(errno));
        if (got == 0) break;
        n += (size_t)got;
    }
    *out = (hdl__file){.data = bytes, .n = n, .mapped = 0, .owned = 1};
    bytes = NULL;
done:
    hdl__free(bytes);
    return status;
}

hdl_status hdl__file_open(const char *path, hdl__file *out)
{
    hdl_status status = HDL_OK;
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    HDL_CHECK(fd >= 0, HDL_EIO, "%s: %s", path, strerror(errno));
    HDL_CHECK(fstat(fd, &info) == 0, HDL_EIO, "%s: %s", path, strerror(errno));
    HDL_CHECK(!S_ISDIR(info.st_mode), HDL_EIO, "%s: is a directory, expected a file", path);
    if (S_ISREG(info.st_mode) && info.st_size > 0) {
        void *data = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        HDL_CHECK(data != MAP_FAILED, HDL_EIO, "%s: cannot map: %s", path, strerror(errno));
        *out = (hdl__file){.data = data, .n = (size_t)info.st_size, .mapped = 1, .owned = 1};
    } else {
        HDL_TRY(read_whole(fd, path, out));
    }
done:
    if (fd >= 0) close(fd);
    return status;
}

void hdl__file_release(const hdl__file *file, size_t offset, size_t bytes)
{
    if (!file->mapped) return;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t from = (offset + page - 1) / page * page, to = (offset + bytes) / page * page;
    if (from < to) madvise((void *)(uintptr_t)(file->data + from), to - from, MADV_DONTNEED);
}

void hdl__file_close(hdl__file *file)
{
    if (file->owned && file->mapped) munmap((void *)(uintptr_t)file->data, file->n);
    if (file->owned && !file->mapped) hdl__free((void *)(uintptr_t)file->data);
    *file = (hdl__file){0};
}
