/* test_stream.c - streams, recordings and events: their life, what they refuse, and being lost. */
#include "base/memory.h"
#include "fake_backend.h"

#include <criterion/criterion.h>
#include <string.h>

Test(stream, life)
{
    fake f;
    fake_open(&f, 0);
    hdl_stream *stream = NULL, *wrapped = NULL;
    char here[4] = "abc", there[4] = "";
    hdl_stream_limits limits = HDL_STREAM_LIMITS_INIT;
    cr_expect_eq(hdl_stream_create(NULL, &stream), HDL_EINVAL);
    cr_expect_eq(hdl_stream_create(&f.device, NULL), HDL_EINVAL);
    cr_expect_eq(hdl_stream_wrap(NULL, here, &stream), HDL_EINVAL);
    cr_expect_eq(hdl_stream_wrap(&f.device, here, NULL), HDL_EINVAL);
    cr_expect_eq(f.n_calls, 0);
    cr_assert_eq(hdl_stream_create(&f.device, &stream), HDL_OK);
    cr_assert_eq(hdl_stream_wrap(&f.device, here, &wrapped), HDL_OK);
    cr_expect_eq(hdl_stream_upload(stream, there, here, 4), HDL_OK);
    cr_expect_str_eq(there, "abc");
    cr_expect_eq(hdl_stream_download(stream, here, there, 4), HDL_OK);
    f.n_calls = 0;
    cr_expect_eq(hdl_stream_upload(stream, NULL, NULL, 0), HDL_OK);
    cr_expect_eq(hdl_stream_download(stream, NULL, NULL, 0), HDL_OK);
    cr_expect_eq(hdl_stream_upload(stream, NULL, here, 4), HDL_EINVAL);
    cr_expect_str_eq(hdl_error_detail(), "upload: the destination is NULL for 4 bytes");
    cr_expect_eq(hdl_stream_download(stream, here, NULL, 4), HDL_EINVAL);
    cr_expect_str_eq(hdl_error_detail(), "download: the source is NULL for 4 bytes");
    cr_expect_eq(hdl_stream_reserve(stream, NULL), HDL_EINVAL);
    limits.Tk = -1;
    cr_expect_eq(hdl_stream_reserve(stream, &limits), HDL_EINVAL);
    cr_expect_str_eq(hdl_error_detail(), "reserve: Tk = -1, allowed 0 and more");
    limits.struct_bytes = 4;
    cr_expect_eq(hdl_stream_reserve(stream, &limits), HDL_EINVAL);
    cr_expect_eq(hdl_stream_wait(NULL), HDL_EINVAL);
    cr_expect_eq(f.n_calls, 0);
    limits = (hdl_stream_limits)HDL_STREAM_LIMITS_INIT;
    cr_expect_eq(hdl_stream_reserve(stream, &limits), HDL_OK);
    f.table.stream_reserve = NULL;      /* needs no scratch */
    cr_expect_eq(hdl_stream_reserve(stream, &limits), HDL_OK);
    cr_expect_eq(hdl_stream_wait(stream), HDL_OK);
    volatile int stop = 1;
    cr_expect(hdl__stream_assist(stream, &stop));
    f.table.stream_assist = NULL;
    cr_expect_not(hdl__stream_assist(stream, &stop));
    f.table.stream_wrap = NULL;
    hdl_stream *none = NULL;
    cr_expect_eq(hdl_stream_wrap(&f.device, here, &none), HDL_ENOSUPPORT);
    cr_expect_str_eq(hdl_error_detail(), "stream wrap: not offered by the fake backend");
    f.answer = HDL_ENOMEM;
    cr_expect_eq(hdl_stream_create(&f.device, &none), HDL_ENOMEM);
    cr_expect_null(none);
    hdl_stream_close(stream);
    hdl_stream_close(wrapped);
    hdl_stream_close(NULL);
    cr_expect_eq(f.n_open, 0);
}

/* The first device error is the one that is told, whatever is called after it. */
Test(stream, a_lost_stream_says_so)
{
    fake f;
    fake_open(&f, 0);
    hdl_stream *stream = fake_stream(&f), *other = fake_stream(&f);
    hdl_event *event = NULL;
    char bytes[4];
    hdl_stream_limits limits = HDL_STREAM_LIMITS_INIT;
    hdl_recording *recording = NULL;
    cr_assert_eq(hdl_event_create(&f.device, &event), HDL_OK);
    cr_assert_eq(hdl_record_begin(other), HDL_OK);
    cr_assert_eq(hdl_record_end(other, &recording), HDL_OK);
    f.answer = HDL_EDEVICE;
    cr_expect_eq(hdl_stream_wait(stream), HDL_EDEVICE);
    f.answer = HDL_OK;
    f.n_calls = 0;
    const char *lost = ": the stream was lost earlier: fake: the device says no";
    for (int i = 0; i < 9; i++) {
        hdl_status status = i == 0   ? hdl_stream_wait(stream)
                            : i == 1 ? hdl_stream_upload(stream, bytes, bytes, 4)
                            : i == 2 ? hdl_stream_download(stream, bytes, bytes, 4)
                            : i == 3 ? hdl_stream_reserve(stream, &limits)
                            : i == 4 ? hdl_record_begin(stream)
                            : i == 5 ? hdl_record_end(stream, &recording)
                            : i == 6 ? hdl_record_replay(stream, recording)
                            : i == 7 ? hdl_event_record(event, stream)
                                     : hdl_event_wait(event, stream);
        cr_expect_eq(status, HDL_EDEVICE, "call %d", i);
        cr_expect(strstr(hdl_error_detail(), lost) != NULL, "call %d: %s", i, hdl_error_detail());
    }
    cr_expect_eq(f.n_calls, 0);
    cr_expect_eq(hdl_stream_wait(other), HDL_OK, "another stream of the device goes on");
    hdl_record_close(recording);
    hdl_event_close(event);
    hdl_stream_close(stream);
    hdl_stream_close(other);
    cr_expect_eq(f.n_open, 0);
}

Test(stream, recording_has_its_order)
{
    fake f, g;
    fake_open(&f, 1);
    fake_open(&g, 1);
    hdl_stream *stream = fake_stream(&f), *foreign = fake_stream(&g);
    hdl_recording *recording = NULL;
    char bytes[4];
    cr_expect_eq(hdl_record_end(stream, &recording), HDL_ESTATE);
    cr_expect_str_eq(hdl_error_detail(), "record end: the stream is not recording");
    cr_expect_eq(hdl_record_replay(stream, NULL), HDL_EINVAL);
    cr_assert_eq(hdl_record_begin(stream), HDL_OK);
    cr_expect_eq(hdl_record_begin(stream), HDL_ESTATE);
    cr_expect_str_eq(hdl_error_detail(), "record begin: the stream is recording, and only ops can be recorded");
    cr_expect_eq(hdl_stream_wait(stream), HDL_ESTATE);
    cr_expect_eq(hdl_stream_upload(stream, bytes, bytes, 4), HDL_ESTATE);
    cr_expect_eq(hdl_stream_download(stream, bytes, bytes, 4), HDL_ESTATE);
    cr_expect_eq(hdl_record_end(stream, NULL), HDL_EINVAL);
    cr_assert_eq(hdl_record_end(stream, &recording), HDL_OK);
    cr_expect_eq(hdl_record_replay(stream, recording), HDL_OK);
    cr_expect_str_eq(f.calls[f.n_calls - 1], "replay");
    cr_expect_eq(hdl_record_replay(foreign, recording), HDL_EINVAL);
    cr_expect_str_eq(hdl_error_detail(), "replay: the recording is of another device than the stream");
    cr_expect_eq(hdl_stream_wait(stream), HDL_OK);

    /* no memory for the handle: the backend's graph does not leak, and the stream goes on */
    hdl_recording *none = NULL;
    cr_assert_eq(hdl_record_begin(stream), HDL_OK);
    hdl__alloc_fail_at(1);
    cr_expect_eq(hdl_record_end(stream, &none), HDL_ENOMEM);
    cr_expect_null(none);
    cr_expect_eq(hdl_stream_wait(stream), HDL_OK);
    f.table.replay = NULL;
    cr_expect_eq(hdl_record_begin(stream), HDL_ENOSUPPORT);
    cr_expect_str_eq(hdl_error_detail(), "record: not offered by the fake backend");
    hdl_record_close(recording);
    hdl_record_close(NULL);
    hdl_stream_close(stream);
    hdl_stream_close(foreign);
    cr_expect_eq(f.n_open, 0);
}

Test(stream, events)
{
    fake f, g;
    fake_open(&f, 0);
    fake_open(&g, 0);
    hdl_stream *stream = fake_stream(&f), *foreign = fake_stream(&g);
    hdl_event *event = NULL;
    cr_expect_eq(hdl_event_create(NULL, &event), HDL_EINVAL);
    cr_expect_eq(hdl_event_create(&f.device, NULL), HDL_EINVAL);
    cr_assert_eq(hdl_event_create(&f.device, &event), HDL_OK);
    cr_expect_eq(hdl_event_record(event, stream), HDL_OK);
    cr_expect_eq(hdl_event_wait(event, stream), HDL_OK);
    cr_expect_eq(hdl_event_sync(event), HDL_OK);
    cr_expect_eq(hdl_event_sync(NULL), HDL_EINVAL);
    cr_expect_eq(hdl_event_record(NULL, stream), HDL_EINVAL);
    cr_expect_eq(hdl_event_record(event, foreign), HDL_EINVAL);
    cr_expect_str_eq(hdl_error_detail(), "event record: the event is of another device than the stream");
    cr_expect_eq(hdl_event_wait(event, NULL), HDL_EINVAL);
    hdl_event_close(event);
    hdl_event_close(NULL);
    f.table.event_sync = NULL;
    cr_expect_eq(hdl_event_create(&f.device, &event), HDL_ENOSUPPORT);
    hdl_stream_close(stream);
    hdl_stream_close(foreign);
    cr_expect_eq(f.n_open, 0);
}
