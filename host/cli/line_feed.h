/*
 * line_feed.h - the reading thread of a line stream.
 */
#ifndef HEDDLE_LINE_FEED_H
#define HEDDLE_LINE_FEED_H

#include "line_stream.h"

/* Thread function; the argument is a hdl__line_stream. Reads, submits, and fills the window until the input ends. */
void *hdl__line_feed(void *stream);

#endif
