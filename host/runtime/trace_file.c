/* trace_file.c - the buffer of a trace's events, and writing it so that the file is whole at all times. */
#include "runtime/trace_file.h"

#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUFFER_BYTES ((size_t)256 * 1024)
#define MOST_EVENT ((size_t)2048)               /* an event with all its names and numbers stays far below */
#define FLUSH_NS ((int64_t)1000000000)          /* while events come, the file is a second behind them at most */
#define FILE_MODE 0666                          /* the user's mask takes away from it */

static const char OPENING[] = "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n"
                              "{\"ph\":\"M\",\"name\":\"process_name\",\"pid\":1,\"args\":{\"name\":\"heddle\"}}";
static const char CLOSING[] = "\n]}\n";

struct hdl__trace_file {
    pthread_mutex_t mutex;
    int     fd;
    int     error;              /* errno of the first failure; sticks */
    bool    rewrites;           /* a regular file: the closing words follow every write */
    off_t   written;            /* bytes of events in the file; there the closing words lie */
    int64_t flushed_ns;
    size_t  n;
    char   *path;
    char    bytes[BUFFER_BYTES + sizeof CLOSING];
};

/*
 * write(2) without the signal that a pipe whose reader has gone sends to the thread: it would end a program that knows
 * nothing of it. EPIPE stays. A SIGPIPE that was pending before is the program's own and goes on pending.
 */
static ssize_t write_quietly(int fd, const char *bytes, size_t n)
{
    static const struct timespec now = {0};
    sigset_t broken, before, pending;
    sigemptyset(&broken);
    sigaddset(&broken, SIGPIPE);
    sigpending(&pending);
    pthread_sigmask(SIG_BLOCK, &broken, &before);
    const ssize_t wrote = write(fd, bytes, n);
    const int why = errno;
    if (wrote < 0 && why == EPIPE && sigismember(&pending, SIGPIPE) == 0)
        while (sigtimedwait(&broken, NULL, &now) < 0 && errno == EINTR) {}
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = why;
    return wrote;
}

/* All of it, in one call if the system takes it: at `at` of a regular file, else behind what was written. */
static int write_all(const hdl__trace_file *f, const char *bytes, size_t n, off_t at)
{
    for (size_t done = 0; done < n;) {
        const ssize_t wrote = f->rewrites ? pwrite(f->fd, bytes + done, n - done, at + (off_t)done)
                                          : write_quietly(f->fd, bytes + done, n - done);
        if (wrote >= 0) done += (size_t)wrote;
        else if (errno != EINTR) return errno;
    }
    return 0;
}

/* With the mutex held. A write that fails half way is taken back, so that what stood before is whole again. */
static void flush_locked(hdl__trace_file *f, bool last)
{
    f->flushed_ns = hdl__now_ns();
    if (f->error == 0 && (f->n > 0 || last)) {
        const size_t closing = f->rewrites || last ? sizeof CLOSING - 1 : 0;
        memcpy(f->bytes + f->n, CLOSING, closing);
        f->error = write_all(f, f->bytes, f->n + closing, f->written);
        if (f->error == 0)
            f->written += (off_t)f->n;
        else if (f->rewrites && ftruncate(f->fd, f->written) == 0)
            (void)write_all(f, CLOSING, sizeof CLOSING - 1, f->written);
    }
    f->n = 0;
}

void hdl__trace_add(hdl__trace_file *f, const char *format, ...)
{
    va_list arguments;
    pthread_mutex_lock(&f->mutex);
    if (f->error == 0) {
        if (BUFFER_BYTES - f->n < MOST_EVENT || hdl__now_ns() - f->flushed_ns > FLUSH_NS) flush_locked(f, false);
        memcpy(f->bytes + f->n, ",\n", 2);
        va_start(arguments, format);
        const int n = vsnprintf(f->bytes + f->n + 2, MOST_EVENT - 2, format, arguments);
        va_end(arguments);
        if (n > 0 && (size_t)n < MOST_EVENT - 2) f->n += (size_t)n + 2;
    }
    pthread_mutex_unlock(&f->mutex);
}

static void free_file(hdl__trace_file *f)
{
    if (f->fd >= 0) close(f->fd);
    pthread_mutex_destroy(&f->mutex);
    hdl__free(f->path);
    hdl__free(f);
}

hdl_status hdl__trace_file_open(const char *path, hdl__trace_file **out)
{
    hdl_status status = HDL_OK;
    struct stat about;
    hdl__trace_file *f = hdl__calloc(1, sizeof *f);
    HDL_CHECK(f != NULL, HDL_ENOMEM, "no memory for a trace");
    pthread_mutex_init(&f->mutex, NULL);
    f->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, FILE_MODE);
    HDL_CHECK(f->fd >= 0, HDL_EIO, "cannot open the trace %s: %s", path, strerror(errno));
    f->path = hdl__strdup(path);
    HDL_CHECK(f->path != NULL, HDL_ENOMEM, "no memory for the name of a trace");
    f->rewrites = fstat(f->fd, &about) == 0 && S_ISREG(about.st_mode);
    f->n = sizeof OPENING - 1;
    memcpy(f->bytes, OPENING, f->n);
    flush_locked(f, false);
    HDL_CHECK(f->error == 0, HDL_EIO, "cannot write the trace %s: %s", path, strerror(f->error));
    *out = f;
    f = NULL;
done:
    if (f != NULL) free_file(f);
    return status;
}

hdl_status hdl__trace_file_close(hdl__trace_file *f)
{
    hdl_status status = HDL_OK;
    if (f == NULL) return HDL_OK;
    flush_locked(f, true);
    const int closed = close(f->fd);        /* some file systems report a full disk only now */
    if (closed != 0 && f->error == 0) f->error = errno;
    f->fd = -1;
    HDL_CHECK(f->error == 0, HDL_EIO, "cannot write the trace %s: %s", f->path, strerror(f->error));
done:
    free_file(f);
    return status;
}

const char *hdl__trace_words(const char *text, char out[HDL__TRACE_WORDS])
{
    size_t n = 0;
    for (; text[n] != '\0' && n < HDL__TRACE_WORDS - 1; n++) {
        const unsigned char c = (unsigned char)text[n];
        out[n] = c < ' ' || c > '~' || c == '"' || c == '\\' ? '?' : text[n];
    }
    out[n] = '\0';
    return out;
}

hdl__us hdl__us_of(int64_t ns)
{
    hdl__us us;
    const unsigned long long size = ns < 0 ? 0ull - (unsigned long long)ns : (unsigned long long)ns;
    snprintf(us.text, sizeof us.text, "%s%llu.%03u", ns < 0 ? "-" : "", size / 1000, (unsigned)(size % 1000));
    return us;
}
