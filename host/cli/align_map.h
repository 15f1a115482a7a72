/*
 * align_map.h - the attention matrix that heddle align shows for one line.
 */
#ifndef HEDDLE_ALIGN_MAP_H
#define HEDDLE_ALIGN_MAP_H

#include "engine_setup.h"
#include "picture.h"

typedef struct hdl__align_map {
    hdl__picture  picture;
    hdl_map       map;          /* what the picture points into when the engine was asked for a map */
    hdl__cli_text about, target;
} hdl__align_map;

/* Whether the options ask for a map of their own, instead of the alignment that comes with a result. */
bool hdl__align_map_wanted(const hdl__cli_options *options);
/* The alignment or the map, 0 or the exit code. Free in any case. */
int  hdl__align_map_make(hdl__align_map *made, const hdl__engine *engine, const hdl__cli_options *options,
                         const hdl_result *result);
void hdl__align_map_free(hdl__align_map *made);

#endif
