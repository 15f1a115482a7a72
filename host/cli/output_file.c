/* output_file.c - buffered output that never loses an error. */
#include "output_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUFFER_BYTES ((size_t)64 * 1024)
#define FILE_MODE 0666      /* the user's mask takes away from it */

bool hdl__output_open(hdl__output *output, const char *path)
{
    bool standard = !path || strcmp(path, "-") == 0;
    *output = (hdl__output){ .fd = STDOUT_FILENO, .name = standard ? "standard output" : path };
    if (standard) return true;
    output->fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, FILE_MODE);
    output->owned = output->fd >= 0;
    return output->owned;
}

void hdl__output_begin(hdl__output *output)
{
    struct stat about;
    if (!output->owned || fstat(output->fd, &about) != 0 || !S_ISREG(about.st_mode)) return;
    if (ftruncate(output->fd, 0) != 0 && !output->error) output->error = errno;
}

void hdl__output_flush(hdl__output *output)
{
    if (output->pending.failed && !output->error) output->error = ENOMEM;
    for (size_t done = 0; done < output->pending.n && !output->error;) {
        ssize_t written = write(output->fd, output->pending.data + done, output->pending.n - done);
        if (written >= 0) done += (size_t)written;
        else if (errno != EINTR) output->error = errno;
    }
    hdl__cli_text_clear(&output->pending);
}

void hdl__output_add(hdl__output *output, const char *bytes, size_t n)
{
    if (output->error) return;
    hdl__cli_text_add(&output->pending, bytes, n);
    if (output->pending.n >= BUFFER_BYTES || output->pending.failed) hdl__output_flush(output);
}

bool hdl__output_ok(const hdl__output *output)
{
    return output->error == 0;
}

int hdl__output_close(hdl__output *output)
{
    if (output->fd < 0) return HDL__EXIT_DONE;
    hdl__output_flush(output);
    /* Some file systems report a full disk only now. */
    if (output->owned && close(output->fd) != 0 && !output->error) output->error = errno;
    output->fd = -1;
    hdl__cli_text_free(&output->pending);
    if (!output->error) return HDL__EXIT_DONE;
    /* Who closed our standard output does not want to hear of it. */
    if (output->error == EPIPE || (!output->owned && output->error == EBADF)) return HDL__EXIT_FAILED;
    return hdl__cli_error("cannot write %s: %s", output->name, strerror(output->error));
}

int hdl__output_print(hdl__cli_text *text)
{
    hdl__output output;
    if (text->failed) {
        hdl__cli_text_free(text);
        return hdl__cli_error("out of memory");
    }
    hdl__output_open(&output, NULL);
    if (text->n) hdl__output_add(&output, text->data, text->n);
    hdl__cli_text_free(text);
    return hdl__output_close(&output);
}
