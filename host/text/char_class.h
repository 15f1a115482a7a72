/* char_class.h - the few properties of characters that cutting text needs; independent of the locale. */
#ifndef HEDDLE_HOST_CHAR_CLASS_H
#define HEDDLE_HOST_CHAR_CLASS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool hdl__char_is_space(uint32_t c);       /* Unicode White_Space */
bool hdl__char_is_upper(uint32_t c);       /* Latin, Greek, Cyrillic, Armenian; title case counts as upper */
bool hdl__char_is_lower(uint32_t c);
bool hdl__char_is_digit(uint32_t c);       /* decimal digits of the scripts that share our punctuation */
bool hdl__char_is_cjk(uint32_t c);         /* Han, kana and their punctuation: written without spaces. Not Hangul */
bool hdl__char_is_extender(uint32_t c);    /* belongs to the character before it: marks, joiners, selectors */

/* The code point that ends at `end` (> 0) of valid UTF-8, and where it begins. */
uint32_t hdl__char_before(const char *text, size_t end, size_t *begin);

#endif
