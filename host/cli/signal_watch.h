/*
 * signal_watch.h - interrupts that let finished lines out first.
 */
#ifndef HEDDLE_SIGNAL_WATCH_H
#define HEDDLE_SIGNAL_WATCH_H

/* From now on SIGINT and SIGTERM end the program at once with 130 or 143. Call it before any thread is made. */
void hdl__signals_start(void);
/* From now on they are only noted, and the program ends itself; it gets a few seconds, or until the next signal. */
void hdl__signals_note(void);
/* The signal that was noted, or 0. */
int hdl__signals_caught(void);
void hdl__signals_stop(void);

#endif
