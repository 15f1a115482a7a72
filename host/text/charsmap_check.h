/* charsmap_check.h - checks the compiled normalisation rules inside a SentencePiece model. */
#ifndef HEDDLE_HOST_CHARSMAP_CHECK_H
#define HEDDLE_HOST_CHARSMAP_CHECK_H

#include "base/status.h"

/* That no text can lead a search through the double array outside it, round a cycle, or past the matches that
 * SentencePiece has room for; and that every rule's replacement ends inside the blob. HDL_EFORMAT, HDL_ENOMEM. */
hdl_status hdl__charsmap_check(const uint8_t *blob, size_t n);

#endif
