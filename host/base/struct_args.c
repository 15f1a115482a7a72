/* struct_args.c - structs of callers that were built against another header: completed, refused in words, filled. */
#include "base/struct_args.h"

#include <stdbool.h>
#include <string.h>

/* No struct comes near it: a larger size was never set, or is something else. */
#define MOST_STRUCT_BYTES 65536

static hdl_status check_size(const char *what, size_t given)
{
    hdl_status status = HDL_OK;
    /* every struct begins with a size_t, so that its own size is a multiple of one */
    HDL_CHECK(given >= sizeof given && given <= MOST_STRUCT_BYTES && given % sizeof given == 0, HDL_EINVAL,
              "%s: struct_bytes = %zu, allowed multiples of %zu from %zu to %d (set it with the _INIT macro)", what, given,
              sizeof given, sizeof given, MOST_STRUCT_BYTES);
done:
    return status;
}

static bool all_zero(const unsigned char *from, size_t n)
{
    size_t i = 0;
    while (i < n && from[i] == 0) i++;
    return i == n;
}

const void *hdl__struct_read(const char *what, const void *given, const void *defaults, void *whole, size_t bytes)
{
    hdl_status status = HDL_OK;
    HDL_CHECK(given != NULL, HDL_EINVAL, "%s: args is NULL", what);
    const size_t given_bytes = *(const size_t *)given;
    if (given_bytes == bytes) return given;
    HDL_TRY(check_size(what, given_bytes));
    if (given_bytes > bytes)
        HDL_CHECK(all_zero((const unsigned char *)given + bytes, given_bytes - bytes), HDL_EINVAL,
                  "%s: struct_bytes = %zu, this library knows %zu, and what lies behind them is not 0: a newer library is needed",
                  what, given_bytes, bytes);
    memcpy(whole, defaults, bytes);
    memcpy(whole, given, given_bytes < bytes ? given_bytes : bytes);
    *(size_t *)whole = bytes;
done:
    return status == HDL_OK ? whole : NULL;
}

hdl_status hdl__struct_room(const char *what, const void *given)
{
    return check_size(what, *(const size_t *)given);
}

void hdl__struct_write(void *given, const void *found, size_t bytes)
{
    const size_t room = *(const size_t *)given, known = room < bytes ? room : bytes;
    memcpy((char *)given + sizeof room, (const char *)found + sizeof room, known - sizeof room);
}
