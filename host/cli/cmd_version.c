/* cmd_version.c - heddle version: the version, and the licences of what is inside. */
#include "cli_commands.h"

#include <jansson.h>

/* Versions are those of the Debian packages that this was written with, unless the library tells its own. */
static const struct part {
    const char *name, *licence, *serves, *home;
} parts[] = {
    { "SentencePiece", "Apache-2.0", "text to pieces and back", "https://github.com/google/sentencepiece" },
    { "Protocol Buffers", "BSD-3-Clause", "inside SentencePiece", "https://protobuf.dev" },
    { "Jansson", "MIT", "JSON", "https://github.com/akheron/jansson" },
    { "libzip", "BSD-3-Clause", "Marian .npz files", "https://libzip.org" },
    { "libyaml", "MIT", "Marian .yml files", "https://pyyaml.org/wiki/LibYAML" },
    { "oneDNN", "Apache-2.0", "matrix products, where it is built in", "https://github.com/oneapi-src/oneDNN" },
};

int hdl__cmd_version(const hdl__cli_options *options)
{
    hdl__cli_text text = { 0 };
    hdl__cli_text_printf(&text, "heddle %s\n", hdl_version());
    if (options->licenses) {
        hdl__cli_text_puts(&text, "\nheddle: Apache-2.0, see the file LICENSE\n\nLibraries it uses:\n");
        for (size_t i = 0; i < sizeof parts / sizeof parts[0]; ++i)
            hdl__cli_text_printf(&text, "  %-17s %-13s %s\n%33s%s\n", parts[i].name, parts[i].licence,
                                 parts[i].serves, "", parts[i].home);
        hdl__cli_text_printf(&text, "\nJansson is version %s. The model en-de is made from sentences of Tatoeba "
                             "contributors,\nCC-BY 2.0 FR; its directory holds the notice.\n", jansson_version_str());
    }
    return hdl__output_print(&text);
}
