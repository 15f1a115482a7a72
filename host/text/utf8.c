/* utf8.c - UTF-8: cleaning, checking, decoding, blank text. */
#include "text/char_class.h"
#include "text/text.h"

#include <string.h>

static const char REPLACEMENT[] = "\xEF\xBF\xBD";    /* U+FFFD */

/* How many bytes follow a lead byte and what the first of them may be (Unicode 15, table 3-7). */
typedef struct sequence_rule { int n_more; uint8_t low, high; } sequence_rule;

static sequence_rule rule_of_lead(uint8_t lead)
{
    if (lead >= 0xC2 && lead <= 0xDF) return (sequence_rule){1, 0x80, 0xBF};
    if (lead == 0xE0) return (sequence_rule){2, 0xA0, 0xBF};
    if (lead == 0xED) return (sequence_rule){2, 0x80, 0x9F};
    if (lead >= 0xE1 && lead <= 0xEF) return (sequence_rule){2, 0x80, 0xBF};
    if (lead == 0xF0) return (sequence_rule){3, 0x90, 0xBF};
    if (lead >= 0xF1 && lead <= 0xF3) return (sequence_rule){3, 0x80, 0xBF};
    if (lead == 0xF4) return (sequence_rule){3, 0x80, 0x8F};
    return (sequence_rule){0, 0, 0};
}

/* Length of the well-formed sequence at `bytes`, or minus the length of the maximal invalid subpart there. */
static int measure_sequence(const uint8_t *bytes, size_t n)
{
    if (bytes[0] < 0x80) return 1;
    sequence_rule rule = rule_of_lead(bytes[0]);
    if (rule.n_more == 0) return -1;
    for (int i = 1; i <= rule.n_more; i++) {
        uint8_t low = i == 1 ? rule.low : 0x80, high = i == 1 ? rule.high : 0xBF;
        if ((size_t)i >= n || bytes[i] < low || bytes[i] > high) return -i;
    }
    return rule.n_more + 1;
}

/* Bytes of plain ASCII without NUL at the start of the text, eight at a time. */
static size_t skip_ascii(const uint8_t *bytes, size_t n)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        uint64_t word;
        memcpy(&word, bytes + i, sizeof word);
        uint64_t zeros = (word - UINT64_C(0x0101010101010101)) & ~word;
        if (((word | zeros) & UINT64_C(0x8080808080808080)) != 0) break;
    }
    while (i < n && bytes[i] != 0 && bytes[i] < 0x80) i++;
    return i;
}

hdl_status hdl__utf8_clean(const char *bytes, size_t n, hdl__str *out, size_t *n_replaced)
{
    const uint8_t *text = (const uint8_t *)bytes;
    size_t replaced = 0, copied = 0, i = 0;
    hdl__str_clear(out);
    while (i < n) {
        i += skip_ascii(text + i, n - i);
        if (i == n) break;
        int length = text[i] == 0 ? -1 : measure_sequence(text + i, n - i);
        if (length > 0) {
            i += (size_t)length;
            continue;
        }
        hdl__str_add(out, bytes + copied, i - copied);
        hdl__str_puts(out, REPLACEMENT);
        i += (size_t)-length;
        copied = i;
        replaced++;
    }
    if (copied < n || n == 0) hdl__str_add(out, n == 0 ? "" : bytes + copied, n - copied);
    if (out->failed) return hdl__fail(HDL_ENOMEM, "text: no memory for a line of %zu bytes", n);
    *n_replaced = replaced;
    return HDL_OK;
}

bool hdl__utf8_valid(const char *bytes, size_t n)
{
    const uint8_t *text = (const uint8_t *)bytes;
    for (size_t i = 0; i < n;) {
        i += skip_ascii(text + i, n - i);
        if (i == n) break;
        int length = measure_sequence(text + i, n - i);
        if (length < 0) return false;
        i += (size_t)length;
    }
    return true;
}

uint32_t hdl__utf8_decode(const char *bytes, size_t n, int *length)
{
    const uint8_t *b = (const uint8_t *)bytes;
    if (b[0] < 0x80) {
        *length = 1;
        return b[0];
    }
    int found = measure_sequence(b, n);
    *length = found > 0 ? found : 1;
    switch (found) {
    case 2: return (uint32_t)(b[0] & 0x1F) << 6 | (uint32_t)(b[1] & 0x3F);
    case 3: return (uint32_t)(b[0] & 0x0F) << 12 | (uint32_t)(b[1] & 0x3F) << 6 | (uint32_t)(b[2] & 0x3F);
    case 4:
        return (uint32_t)(b[0] & 0x07) << 18 | (uint32_t)(b[1] & 0x3F) << 12 |
               (uint32_t)(b[2] & 0x3F) << 6 | (uint32_t)(b[3] & 0x3F);
    default: return 0xFFFD;    /* only for text that was not valid */
    }
}

bool hdl__text_is_blank(const char *text, size_t n)
{
    for (size_t i = 0; i < n;) {
        int length;
        if (!hdl__char_is_space(hdl__utf8_decode(text + i, n - i, &length))) return false;
        i += (size_t)length;
    }
    return true;
}

bool hdl__text_ends_in_cjk(const char *text, size_t n)
{
    size_t begin;
    return n > 0 && hdl__char_is_cjk(hdl__char_before(text, n, &begin));
}
