/*
 * embed.h - token embedding, scaled, plus position; and two row-wise companions: GLU and row gathering.
 */
#ifndef HEDDLE_EMBED_H
#define HEDDLE_EMBED_H

#include <heddle/search.h>

#ifdef __cplusplus
extern "C" {
#endif

/* An embedding table [V, E] where the backend reads it: the CPU reads the mapped file, or the packed weights it is tied to. */
typedef struct hdl_embedding hdl_embedding;

/*
 * y[i] = table[id] * scale + positions[pos].  With `rows`: id = slots->token[slot, beam], pos = rows->pos; without: ids[i], pos[i].
 * An id of -1 stands for the zero vector (a start of sentence that has no row).
 */
typedef struct hdl_embed_args {
    size_t               struct_bytes;
    const hdl_embedding *table;
    const float         *positions;     /* f32 [n_positions, E] device memory, or NULL */
    int32_t              n_positions;
    const int32_t       *ids, *pos;     /* i32 [M] device memory */
    const hdl_slots     *slots;
    const hdl_rows      *rows;
    void                *y;             /* act [M, E], dense */
    int32_t              M, E;
    float                scale;
    hdl_dtype            act_dtype;
    float               *y_max;         /* f32 [M] or NULL: set to the greatest magnitude of each row of y; device.h, "row maxima" */
    float               *zero;          /* f32 [n_zero] or NULL: set to 0 unless M = 0, for ops behind that raise them. Apart from y and y_max */
    int32_t              n_zero;
    int32_t              reserved;      /* 0 */
} hdl_embed_args;

/* y = act(up) * gate, both [M, F]; Shazeer 2020, arXiv 2002.05202. y may alias up. */
typedef struct hdl_glu_args {
    size_t         struct_bytes;
    const void    *up, *gate;           /* act [M, F], row strides ldu, ldg */
    int64_t        ldu, ldg;
    void          *y;                   /* act [M, F], row stride ldy */
    int64_t        ldy;
    const int32_t *count;               /* live rows; NULL: M */
    int32_t        M, F;
    hdl_activation act;
    hdl_dtype      act_dtype;
    float         *y_max;               /* f32 [M] or NULL: raised to the greatest magnitude of each row of y */
} hdl_glu_args;

/* y[i] = x[index[i]], rows of E. */
typedef struct hdl_gather_rows_args {
    size_t         struct_bytes;
    const void    *x;                   /* act [*, E], dense */
    const int32_t *index;               /* i32 [M] device memory */
    void          *y;                   /* act [M, E], dense */
    int32_t        M, E;
    hdl_dtype      act_dtype;
    int32_t        reserved;            /* 0 */
} hdl_gather_rows_args;

/* q = rint(x * 127 / max|row|), scale = 127 / max|row| (1 for a zero row). */
typedef struct hdl_quantise_rows_args {
    size_t      struct_bytes;
    const void *x;                      /* act [M, K], row stride ldx */
    int64_t     ldx;
    int8_t     *q;                      /* i8 [M, K], dense */
    float      *scale;                  /* f32 [M] */
    int32_t     M, K;
    hdl_dtype   act_dtype;
    int32_t     reserved;               /* 0 */
} hdl_quantise_rows_args;

#define HDL_EMBED_ARGS_INIT { sizeof(hdl_embed_args), NULL, NULL, 0, NULL, NULL, NULL, NULL, NULL, 0, 0, 1, HDL_F32, NULL, NULL, 0, 0 }
#define HDL_GLU_ARGS_INIT { sizeof(hdl_glu_args), NULL, NULL, 0, 0, NULL, 0, NULL, 0, 0, HDL_ACT_NONE, HDL_F32, NULL }
#define HDL_GATHER_ROWS_ARGS_INIT { sizeof(hdl_gather_rows_args), NULL, NULL, NULL, 0, 0, HDL_F32, 0 }
#define HDL_QUANTISE_ROWS_ARGS_INIT { sizeof(hdl_quantise_rows_args), NULL, 0, NULL, NULL, 0, 0, HDL_F32, 0 }

/*
 * A table of part->rows (V) rows of E. The part's bytes must outlive the table: the CPU reads them in place.
 * HDL_EINVAL, HDL_EDTYPE, HDL_ENUMERIC (a scale that is zero or not finite), HDL_ENOMEM.
 */
HDL_API hdl_status hdl_embedding_open(hdl_device *device, const hdl_pack_part *part, int32_t E,
                                      hdl_embedding **embedding);
/*
 * The rows of a packed weight [V, E] as a table, with the values that products see, so that tied weights exist once. The weight must
 * outlive it. HDL_ENOSUPPORT: not with this backend, or not under the weight's compute type (the CPU: f32 and int8).
 */
HDL_API hdl_status hdl_embedding_of_weight(hdl_device *device, const hdl_weight *weight, int32_t E, hdl_embedding **embedding);
HDL_API void       hdl_embedding_close(hdl_device *device, hdl_embedding *embedding); /* NULL is fine */

/* All four queue work on the stream. M = 0 is fine. HDL_EINVAL and HDL_ESHAPE name the argument; nothing is queued. */
HDL_API hdl_status hdl_embed(hdl_stream *stream, const hdl_embed_args *args);
HDL_API hdl_status hdl_glu(hdl_stream *stream, const hdl_glu_args *args);
HDL_API hdl_status hdl_gather_rows(hdl_stream *stream, const hdl_gather_rows_args *args);
HDL_API hdl_status hdl_quantise_rows(hdl_stream *stream, const hdl_quantise_rows_args *args);

#ifdef __cplusplus
}
#endif
#endif /* HEDDLE_EMBED_H */
