/* utf8_clean.c - valid UTF-8 out of any bytes, and character widths. */
#include "utf8_clean.h"

typedef struct range { uint32_t first, last; } range;

/* The blocks that matter for a picture, from the Unicode character database; not every single character. */
static const range no_width[] = {
    { 0x0000, 0x001f }, { 0x007f, 0x009f }, { 0x0300, 0x036f }, { 0x0483, 0x0489 }, { 0x0591, 0x05bd },
    { 0x0610, 0x061a }, { 0x064b, 0x065f }, { 0x06d6, 0x06dc }, { 0x0900, 0x0902 }, { 0x093c, 0x093c },
    { 0x0941, 0x0948 }, { 0x094d, 0x094d }, { 0x0e31, 0x0e31 }, { 0x0e34, 0x0e3a }, { 0x0e47, 0x0e4e },
    { 0x1ab0, 0x1aff }, { 0x1dc0, 0x1dff }, { 0x200b, 0x200f }, { 0x202a, 0x202e }, { 0x2060, 0x2064 },
    { 0x20d0, 0x20ff }, { 0xfe00, 0xfe0f }, { 0xfe20, 0xfe2f }, { 0xfeff, 0xfeff }, { 0xe0100, 0xe01ef },
};
static const range double_width[] = {
    { 0x1100, 0x115f }, { 0x2e80, 0x303e }, { 0x3041, 0x33ff }, { 0x3400, 0x4dbf }, { 0x4e00, 0x9fff },
    { 0xa000, 0xa4cf }, { 0xac00, 0xd7a3 }, { 0xf900, 0xfaff }, { 0xfe30, 0xfe6f }, { 0xff00, 0xff60 },
    { 0xffe0, 0xffe6 }, { 0x1f300, 0x1f64f }, { 0x1f680, 0x1f6ff }, { 0x1f900, 0x1f9ff }, { 0x20000, 0x3fffd },
};

static bool within(uint32_t code, const range *ranges, size_t n)
{
    for (size_t i = 0; i < n && code >= ranges[i].first; ++i)
        if (code <= ranges[i].last) return true;
    return false;
}

int hdl__utf8_columns(uint32_t code)
{
    if (within(code, no_width, sizeof no_width / sizeof no_width[0])) return 0;
    return within(code, double_width, sizeof double_width / sizeof double_width[0]) ? 2 : 1;
}

size_t hdl__utf8_length(const char *bytes, size_t n, uint32_t *code)
{
    /* By first byte: length, payload bits, least number that needs this length (Unicode, table 3-7). */
    const unsigned char *b = (const unsigned char *)bytes;
    size_t length = b[0] < 0x80 ? 1 : b[0] < 0xc2 ? 0 : b[0] < 0xe0 ? 2 : b[0] < 0xf0 ? 3 : b[0] < 0xf5 ? 4 : 0;
    static const uint32_t payload[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 }, least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    if (length == 0 || length > n) return 0;
    uint32_t value = b[0] & payload[length];
    for (size_t i = 1; i < length; ++i) {
        if ((b[i] & 0xc0) != 0x80) return 0;
        value = value << 6 | (b[i] & 0x3f);
    }
    bool surrogate = value >= 0xd800 && value <= 0xdfff;
    if (value < least[length] || value > 0x10ffff || surrogate) return 0;
    *code = value;
    return length;
}

size_t hdl__utf8_add_clean(hdl__cli_text *text, const char *bytes, size_t n)
{
    size_t n_replaced = 0, kept = 0;
    for (size_t i = 0; i < n;) {
        uint32_t code = 0;
        size_t length = hdl__utf8_length(bytes + i, n - i, &code);
        if (length > 0 && code != 0) {
            i += length;
            continue;
        }
        hdl__cli_text_add(text, bytes + kept, i - kept);
        hdl__cli_text_puts(text, "\xef\xbf\xbd");
        kept = ++i;
        ++n_replaced;
    }
    hdl__cli_text_add(text, bytes + kept, n - kept);
    return n_replaced;
}
