/* Lanes: the loop over them, examples laid out in them, and what is asked of all of them. */

/* Left to itself gcc would write the loop out as sixteen scalar steps before it thinks of vectors,
 * and both compilers would ask at run time whether the lanes of two arrays overlap, which they
 * never do across lanes. */
#if defined(__clang__)
#pragma clang diagnostic ignored \
    "-Wpass-failed" /* unoptimised and sanitized builds have no vectors */
#define CBP_PRAGMA(text) _Pragma(#text)
#if CBP_HAVE_FMA
#define CBP_EACH_OF(lanes, vectors)                                                             \
    CBP_PRAGMA(clang loop vectorize(assume_safety) vectorize_width(8) interleave_count(vectors) \
                   unroll(disable))                                                             \
    for (size_t k = 0; k < (lanes); k++)
#else /* narrow vectors, of which eight numbers would be many instructions */
#define CBP_EACH_OF(lanes, vectors)                                                       \
    CBP_PRAGMA(clang loop vectorize(assume_safety) vectorize_width(2) interleave_count(1) \
                   unroll(disable))                                                       \
    for (size_t k = 0; k < (lanes); k++)
#endif
#elif defined(__GNUC__)
#define CBP_EACH_OF(lanes, vectors) \
    _Pragma("GCC ivdep") _Pragma("GCC unroll 1") for (size_t k = 0; k < (lanes); k++)
#else
#define CBP_EACH_OF(lanes, vectors) for (size_t k = 0; k < (lanes); k++)
#endif
#define CBP_EACH_LANE CBP_EACH_OF(CBP_LANES, 2)

/* How many lanes of a tile are computed for `count` examples. */
static size_t padded(size_t count)
{
    return (count + CBP_LANES - 1) / CBP_LANES * CBP_LANES;
}

/* `count` examples as lanes of a tile: where they are if they fill their lanes, else in `tile`, the
 * padding being the last. */
static const cbp_real *tile_of(const cbp_real *from, size_t count, cbp_real *tile)
{
    if (count % CBP_LANES == 0) {
        return from;
    }
    memcpy(tile, from, count * sizeof *tile);
    for (size_t j = count; j < padded(count); j++) {
        tile[j] = from[count - 1];
    }
    return tile;
}

/* Zeros in place of the padding. The loop over all lanes of the last group is a few vectors; one
 * over the padding alone would become a slow string instruction. */
static void clear_padding(cbp_real *tile, size_t count)
{
    const size_t start = padded(count) - CBP_LANES;
    for (size_t k = 0; k < CBP_LANES; k++) {
        tile[start + k] = start + k < count ? tile[start + k] : 0;
    }
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* The same number in all lanes. */
static void spread(cbp_real number, cbp_real *CBP_RESTRICT lanes)
{
    for (size_t k = 0; k < CBP_LANES; k++) {
        lanes[k] = number;
    }
}

static int any_is(const cbp_real *lanes, cbp_real wanted)
{
    int any = 0;
    for (size_t k = 0; k < CBP_LANES; k++) {
        any |= lanes[k] == wanted;
    }
    return any;
}

static int has_nan(const cbp_real *numbers, size_t count)
{
    size_t found = 0;
    for (size_t k = 0; k < count; k++) {
        found += numbers[k] != numbers[k];
    }
    return found > 0;
}

/* A sum of lanes by halves; a loop over the halves would not be unrolled. */
#define CBP_HALVE(lane, half)             \
    for (size_t k = 0; k < (half); k++) { \
        (lane)[k] += (lane)[k + (half)];  \
    }

/* Where row i, column j <= i of a symmetric matrix stands, for each lane. */
CBP_INLINE size_t packed(size_t i, size_t j)
{
    return (i * (i + 1) / 2 + j) * CBP_LANES;
}
