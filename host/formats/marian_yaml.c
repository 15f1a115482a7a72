/* marian_yaml.c - flat view of a YAML mapping through libyaml's events; aliases are never expanded. */
#include "formats/marian_file.h"

#include <string.h>
#include <yaml.h>

#define MAX_YAML_BYTES 1048576    /* options are a few kilobytes; a bound on what a hostile file can cost */
#define MAX_YAML_ITEMS 65536

typedef struct reader {
    yaml_parser_t parser;
    const char   *name;
    hdl__yaml    *out;
    int32_t       depth;        /* of open collections */
    bool          in_sequence;  /* the value of `key` is a sequence of scalars */
    int32_t       index;
    char         *key;          /* waiting for its value; owned */
} reader;

static hdl_status add_item(reader *r, const yaml_event_t *event, int32_t index)
{
    hdl_status status = HDL_OK;
    hdl__yaml *out = r->out;
    const char *value = (const char *)event->data.scalar.value;
    HDL_CHECK(out->n < MAX_YAML_ITEMS, HDL_EFORMAT, "%s: more than %d entries", r->name, MAX_YAML_ITEMS);
    HDL_CHECK(strlen(value) == event->data.scalar.length, HDL_EFORMAT, "%s: line %zu: a value holds NUL", r->name,
              event->start_mark.line + 1);
    if (out->n == out->capacity) {
        size_t capacity = out->capacity == 0 ? 64 : out->capacity * 2;
        hdl__yaml_item *grown = hdl__regrow(out->items, out->n * sizeof *grown, capacity * sizeof *grown);
        HDL_CHECK(grown != NULL, HDL_ENOMEM, "%s: no memory for %zu entries", r->name, capacity);
        out->items = grown;
        out->capacity = capacity;
    }
    hdl__yaml_item *item = &out->items[out->n++];
    *item = (hdl__yaml_item){.index = index};
    HDL_TRY(hdl__checkpoint_set_text(&item->key, r->key));
    HDL_TRY(hdl__checkpoint_set_text(&item->value, value));
done:
    return status;
}

static hdl_status take_scalar(reader *r, const yaml_event_t *event)
{
    hdl_status status = HDL_OK;
    if (r->depth == 1 && r->key == NULL) {
        HDL_TRY(hdl__checkpoint_set_text(&r->key, (const char *)event->data.scalar.value));
    } else if (r->depth == 1) {
        HDL_TRY(add_item(r, event, 0));
        hdl__free(r->key);
        r->key = NULL;
    } else if (r->depth == 2 && r->in_sequence) {
        HDL_TRY(add_item(r, event, r->index++));
    }
done:
    return status;
}

static void leave_collection(reader *r)
{
    r->depth--;
    if (r->depth != 1) return;
    hdl__free(r->key);
    r->key = NULL;
    r->in_sequence = false;
}

static hdl_status take_event(reader *r, const yaml_event_t *event)
{
    hdl_status status = HDL_OK;
    HDL_CHECK(r->depth > 0 || (event->type != YAML_SCALAR_EVENT && event->type != YAML_SEQUENCE_START_EVENT),
              HDL_EFORMAT, "%s: expected a mapping of options", r->name);
    HDL_CHECK(r->depth != 1 || r->key != NULL
                  || (event->type != YAML_SEQUENCE_START_EVENT && event->type != YAML_MAPPING_START_EVENT
                      && event->type != YAML_ALIAS_EVENT),
              HDL_EFORMAT, "%s: line %zu: a key is not plain text", r->name, event->start_mark.line + 1);
    switch (event->type) {
    case YAML_SCALAR_EVENT: HDL_TRY(take_scalar(r, event)); break;
    case YAML_SEQUENCE_START_EVENT:
        if (r->depth == 1) r->in_sequence = true, r->index = 0;
        r->depth++;
        break;
    case YAML_MAPPING_START_EVENT: r->depth++; break;
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT: leave_collection(r); break;
    case YAML_ALIAS_EVENT:
        HDL_CHECK(false, HDL_EFORMAT, "%s: line %zu: aliases are not read", r->name, event->start_mark.line + 1);
    default: break;    /* stream and document marks */
    }
done:
    return status;
}

hdl_status hdl__yaml_parse(const uint8_t *data, size_t n, const char *name, hdl__yaml *out)
{
    hdl_status status = HDL_OK;
    hdl__yaml yaml = {0};
    reader r = {.name = name, .out = &yaml};
    bool open = false, ended = false;
    HDL_CHECK(n <= MAX_YAML_BYTES, HDL_EFORMAT, "%s: %zu bytes, at most %d are read", name, n, MAX_YAML_BYTES);
    open = yaml_parser_initialize(&r.parser) == 1;
    HDL_CHECK(open, HDL_ENOMEM, "%s: no memory for the YAML parser", name);
    yaml_parser_set_input_string(&r.parser, n == 0 ? (const uint8_t *)"" : data, n);
    while (!ended) {
        yaml_event_t event;
        HDL_CHECK(yaml_parser_parse(&r.parser, &event) == 1, HDL_EFORMAT, "%s: line %zu: %s", name,
                  r.parser.problem_mark.line + 1, r.parser.problem == NULL ? "not YAML" : r.parser.problem);
        ended = event.type == YAML_STREAM_END_EVENT || event.type == YAML_DOCUMENT_END_EVENT;
        status = take_event(&r, &event);
        yaml_event_delete(&event);
        if (status != HDL_OK) goto done;
    }
    *out = yaml;
    yaml = (hdl__yaml){0};
done:
    if (open) yaml_parser_delete(&r.parser);
    hdl__free(r.key);
    hdl__yaml_close(&yaml);
    return status;
}

const char *hdl__yaml_get(const hdl__yaml *yaml, const char *key, int32_t index)
{
    for (size_t i = 0; i < yaml->n; i++)
        if (yaml->items[i].index == index && strcmp(yaml->items[i].key, key) == 0) return yaml->items[i].value;
    return NULL;
}

void hdl__yaml_close(hdl__yaml *yaml)
{
    for (size_t i = 0; i < yaml->n; i++) {
        hdl__free(yaml->items[i].key);
        hdl__free(yaml->items[i].value);
    }
    hdl__free(yaml->items);
    *yaml = (hdl__yaml){0};
}
