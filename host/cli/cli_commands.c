/* cli_commands.c - the table of commands. */
#include "cli_commands.h"

#include <string.h>

const hdl__cli_command hdl__cli_command_table[] = {
    { "translate", HDL__TRANSLATE, 0, 1, "[MODEL]", "translate lines of text",
      "Reads lines, translates each, and writes as many lines in the same order. A line is written as "
      "soon as it and all before it are ready. An empty line gives an empty line.\n\n"
      "MODEL is a directory, a .npz or .bin file beside its .yml, or the name of a model that came with "
      "heddle; without it en-de is used. What the model's own files say about decoding is the default; the "
      "command line wins. heddle inspect shows where each value comes from.",
      "heddle translate < in.txt > out.txt\ttranslate a file with the model that ships\n"
      "heddle translate -i in.txt -o out.txt --json\tone JSON object a line\n"
      "heddle translate ./my-model --beam 8 --n-best 4 < in.txt\tthe four best of each line\n"
      "heddle translate --sample --n-best 3 --top-k 10 --seed 7\tthree random translations",
      hdl__cmd_translate },
    { "score", HDL__SCORE, 0, 1, "[MODEL]", "score given translations",
      "Reads lines of source, tab, translation, and writes the score of each: the sum of the "
      "log-probabilities of its tokens and of the end, divided by length to the power of the length "
      "penalty. With --json also every token's log-probability and the perplexity.",
      "paste en.txt de.txt | heddle score\tone score a line", hdl__cmd_score },
    { "align", HDL__ALIGN, 0, SIZE_MAX, "[SENTENCE ...]",
      "translate and show which word came from which",
      "Translates each SENTENCE, or each line of the input, and draws the attention between source and "
      "translation: in the terminal, and as a heat-map in an SVG file. A line of source, tab, translation "
      "shows the attention of that translation.",
      "heddle align \"Good morning!\"\ta picture in the terminal, and heddle-alignment.svg\n"
      "heddle align --map encoder --layer 0 --head 2 --svg map.svg \"Good morning!\"\t"
      "one head of the first encoder layer", hdl__cmd_align },
    { "inspect", HDL__INSPECT, 0, 1, "[MODEL]", "show what a model is and needs",
      "Shows architecture, vocabularies, the memory that translating needs, and the options of the search "
      "with the place each value comes from: the command line, a file of the model, or heddle itself.",
      "heddle inspect ./my-model --beam 8\tthe values that translate would use with --beam 8",
      hdl__cmd_inspect },
    { "convert", HDL__CONVERT, 2, 2, "IN OUTDIR", "write a model as safetensors",
      "Reads any model that heddle can read and writes it to the new directory OUTDIR as safetensors with "
      "its configuration, vocabularies and tokenizer files.",
      "heddle convert model.npz my-model\tfrom Marian to safetensors", hdl__cmd_convert },
    { "devices", HDL__DEVICES, 0, 0, "", "list what can compute",
      "Lists the devices that heddle can use here, and why others cannot be used.", NULL,
      hdl__cmd_devices },
    { "version", HDL__VERSION, 0, 0, "", "show the version",
      "Shows the version; with --licenses also the licences of the libraries inside.", NULL,
      hdl__cmd_version },
    { "help", HDL__HELP, 0, 1, "[COMMAND]", "show help",
      "Shows help on heddle or on one command; with --man the source of the manual page.", NULL,
      hdl__cmd_help },
};

const size_t hdl__cli_command_count = sizeof hdl__cli_command_table / sizeof hdl__cli_command_table[0];

const hdl__cli_command *hdl__cli_command_find(const char *name)
{
    for (size_t i = 0; i < hdl__cli_command_count; ++i)
        if (strcmp(hdl__cli_command_table[i].name, name) == 0) return &hdl__cli_command_table[i];
    return NULL;
}

const char *hdl__cli_nearest_command(const char *name)
{
    enum { FORGIVEN = 3 };
    const char *nearest = NULL;
    size_t fewest = FORGIVEN + 1, n = strlen(name);
    for (size_t i = 0; i < hdl__cli_command_count; ++i) {
        const char *candidate = hdl__cli_command_table[i].name;
        size_t changes = hdl__cli_distance(name, n, candidate, strlen(candidate));
        if (n > 1 && strncmp(candidate, name, n) == 0) changes = 1;
        if (changes >= fewest || changes >= n) continue;
        fewest = changes;
        nearest = candidate;
    }
    return nearest;
}
