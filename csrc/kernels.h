/* The loops: one example, a tile of examples. The one body, included once for each target by kernels_*.c, which define
 * CBP_HAVE_FMA and CBP_TARGET first.
 *
 * `forward` stands above `backward`. Arrays are carried through the layers a tile at a time, one plain loop for each
 * layer; a short last tile is padded to a multiple of CBP_LANES, which every vector width divides, so that no example
 * takes another path than its neighbours.
 */
#include "loss.h"

#define CBP_JOIN_(a, b) a##b
#define CBP_JOIN(a, b) CBP_JOIN_(a, b)

/* ---- lanes ---------------------------------------------------------------------------------------------------- */

/* Left to itself gcc would write the loop out as sixteen scalar steps before it thinks of vectors, and both compilers would
 * ask at run time whether the lanes of two arrays overlap, which they never do across lanes. */
#if defined(__clang__)
#pragma clang diagnostic ignored "-Wpass-failed" /* unoptimised and sanitized builds have no vectors */
#define CBP_PRAGMA(text) _Pragma(#text)
#define CBP_EACH_OF(lanes, vectors)                                                                             \
    CBP_PRAGMA(clang loop vectorize(assume_safety) vectorize_width(8) interleave_count(vectors) unroll(disable)) \
    for (size_t k = 0; k < (lanes); k++)
#elif defined(__GNUC__)
#define CBP_EACH_OF(lanes, vectors) _Pragma("GCC ivdep") _Pragma("GCC unroll 1") for (size_t k = 0; k < (lanes); k++)
#else
#define CBP_EACH_OF(lanes, vectors) for (size_t k = 0; k < (lanes); k++)
#endif
#define CBP_EACH_LANE CBP_EACH_OF(CBP_LANES, 2)

/* How many lanes of a tile are computed for `count` examples. */
static size_t padded(size_t count)
{
    return (count + CBP_LANES - 1) / CBP_LANES * CBP_LANES;
}

/* `count` examples as lanes of a tile: where they are if they fill their lanes, else in `tile`, the padding being the
 * last. */
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

/* Zeros in place of the padding. The loop over all lanes of the last group is a few vectors; one over the padding alone
 * would become a slow string instruction. */
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

/* ---- one layer ------------------------------------------------------------------------------------------------ */

static cbp_real value_of(int activation, cbp_real z)
{
    switch (activation) {
#define CASE(code, name, ...) \
    case code: \
        return cbp_##name##_jet(z).value;
        CBP_ACTIVATIONS(CASE)
#undef CASE
    default:
        return CBP_NAN;
    }
}

static cbp_real value_and_slope_of(int activation, cbp_real z, cbp_real *slope)
{
    switch (activation) {
#define CASE(code, name, ...) \
    case code: { \
        const cbp_jet jet = cbp_##name##_jet(z); \
        *slope = jet.slope; \
        return jet.value; \
    }
        CBP_ACTIVATIONS(CASE)
#undef CASE
    default:
        *slope = CBP_NAN;
        return CBP_NAN;
    }
}

static cbp_jet jet_of(int activation, cbp_real z)
{
    switch (activation) {
#define CASE(code, name, ...) \
    case code: \
        return cbp_##name##_jet(z);
        CBP_ACTIVATIONS(CASE)
#undef CASE
    default:
        return (cbp_jet){CBP_NAN, CBP_NAN, CBP_NAN};
    }
}

static cbp_real inverse_of(int activation, cbp_real y)
{
    switch (activation) {
#define CASE(code, name, ...) \
    case code: \
        return cbp_##name##_inverse(y);
        CBP_ACTIVATIONS(CASE)
#undef CASE
    default:
        return CBP_NAN;
    }
}

static void activate(int activation, const cbp_real *CBP_RESTRICT z, size_t count, cbp_real *CBP_RESTRICT value,
                     cbp_real *CBP_RESTRICT slope, cbp_real *CBP_RESTRICT second)
{
    switch (activation) {
#define CASE(code, name, ...) \
    case code: \
        for (size_t j = 0; j < count; j++) { \
            const cbp_jet jet = cbp_##name##_jet(z[j]); \
            value[j] = jet.value; \
            slope[j] = jet.slope; \
            second[j] = jet.second; \
        } \
        break;
        CBP_ACTIVATIONS(CASE)
#undef CASE
    default:
        break;
    }
}

/* out = act(w in + b) */
static void layer_value(int activation, cbp_real w, cbp_real b, const cbp_real *CBP_RESTRICT in, size_t count,
                        cbp_real *CBP_RESTRICT out)
{
    switch (activation) {
#define CASE(code, name, ...) \
    case code: \
        for (size_t j = 0; j < count; j++) { \
            out[j] = cbp_##name##_jet(CBP_FMA(w, in[j], b)).value; \
        } \
        break;
        CBP_ACTIVATIONS(CASE)
#undef CASE
    default:
        break;
    }
}

CBP_INLINE void jets_of_lanes(int activation, const cbp_real *CBP_RESTRICT w, const cbp_real *CBP_RESTRICT b,
                              const cbp_real *CBP_RESTRICT in, size_t count, cbp_real *CBP_RESTRICT out,
                              cbp_real *CBP_RESTRICT slope, cbp_real *CBP_RESTRICT second)
{
    switch (activation) {
#define CASE(code, name, ...) \
    case code: \
        for (size_t start = 0; start < count; start += CBP_LANES) { \
            CBP_EACH_LANE { \
                const cbp_jet jet = cbp_##name##_jet(CBP_FMA(w[k], in[start + k], b[k])); \
                out[start + k] = jet.value; \
                slope[start + k] = jet.slope; \
                if (second) { \
                    second[start + k] = jet.second; \
                } \
            } \
        } \
        break;
        CBP_ACTIVATIONS(CASE)
#undef CASE
    default:
        break;
    }
}

/* out = act(w in + b), slope = act'(w in + b), and unless it is null second = act''(w in + b); lane k of each group of
 * CBP_LANES has the weight w[k] and the bias b[k]. */
static void lanes_jet(int activation, const cbp_real *w, const cbp_real *b, const cbp_real *in, size_t count,
                      cbp_real *out, cbp_real *slope, cbp_real *second)
{
    if (second) {
        jets_of_lanes(activation, w, b, in, count, out, slope, second);
    } else {
        jets_of_lanes(activation, w, b, in, count, out, slope, NULL);
    }
}

/* The same number in all lanes. */
static void spread(cbp_real number, cbp_real *CBP_RESTRICT lanes)
{
    for (size_t k = 0; k < CBP_LANES; k++) {
        lanes[k] = number;
    }
}

/* The same weight and bias for all. */
static void layer_jet(int activation, cbp_real w, cbp_real b, const cbp_real *CBP_RESTRICT in, size_t count,
                      cbp_real *CBP_RESTRICT out, cbp_real *CBP_RESTRICT slope)
{
    cbp_real weights[CBP_LANES], biases[CBP_LANES];
    spread(w, weights);
    spread(b, biases);
    lanes_jet(activation, weights, biases, in, count, out, slope, NULL);
}

/* out = (act^-1(in) - b) / w */
static void layer_inverse(int activation, cbp_real w, cbp_real b, const cbp_real *CBP_RESTRICT in, size_t count,
                          cbp_real *CBP_RESTRICT out)
{
    switch (activation) {
#define CASE(code, name, ...) \
    case code: \
        for (size_t j = 0; j < count; j++) { \
            out[j] = (cbp_##name##_inverse(in[j]) - b) / w; \
        } \
        break;
        CBP_ACTIVATIONS(CASE)
#undef CASE
    default:
        break;
    }
}

/* ---- the loss of one example ---------------------------------------------------------------------------------- */

/* Whether it is a loss of z_L, so that its derivatives are those with respect to z_L. */
static int is_of_z(int loss)
{
    switch (loss) {
#define CASE(code, name, target_low, target_high, dispersion, has_scale, is_robust, of_z, has_excess) \
    case code: \
        return of_z;
        CBP_LOSSES(CASE)
#undef CASE
    default:
        return 0;
    }
}

/* E and its derivatives with respect to a_L, or to z_L. */
static cbp_jet loss_of(cbp_criterion criterion, cbp_real a, cbp_real z, cbp_real y)
{
    const cbp_ending end = {a, z, y, criterion.scale};
    switch (criterion.loss) {
    case CBP_OUTPUT:
        return (cbp_jet){a, 1, 0};
#define CASE(code, name, ...) \
    case code: \
        return cbp_##name##_loss_jet(end);
        CBP_LOSSES(CASE)
#undef CASE
    default:
        return (cbp_jet){CBP_NAN, CBP_NAN, CBP_NAN};
    }
}

/* For a tile: error = E and push = dE/da_L, or dE/dz_L. `in` is a_(L-1). */
static void tile_loss(cbp_criterion criterion, cbp_real w, cbp_real b, const cbp_real *CBP_RESTRICT in,
                      const cbp_real *CBP_RESTRICT a, const cbp_real *CBP_RESTRICT y, size_t count,
                      cbp_real *CBP_RESTRICT error, cbp_real *CBP_RESTRICT push)
{
    switch (criterion.loss) {
    case CBP_OUTPUT:
        for (size_t j = 0; j < count; j++) {
            error[j] = a[j];
            push[j] = 1;
        }
        break;
#define CASE(code, name, ...) \
    case code: \
        for (size_t j = 0; j < count; j++) { \
            const cbp_ending end = {a[j], CBP_FMA(w, in[j], b), y[j], criterion.scale}; \
            const cbp_jet jet = cbp_##name##_loss_jet(end); \
            error[j] = jet.value; \
            push[j] = jet.slope; \
        } \
        break;
        CBP_LOSSES(CASE)
#undef CASE
    default:
        break;
    }
}

/* ---- one example ---------------------------------------------------------------------------------------------- */

/* cbp_times with a jump for the case that hardly ever happens, where nothing waits for a vector. */
CBP_INLINE cbp_real times_alone(cbp_real factor, cbp_real x)
{
    const cbp_real product = factor * x;
    if (CBP_LIKELY(product == product)) {
        return product;
    }
    return cbp_times(factor, x);
}

static cbp_real forward_one(const cbp_chain *chain, cbp_real x)
{
    cbp_real a = x;
    for (size_t l = 0; l < chain->layers; l++) {
        a = value_of(chain->activations[l], CBP_FMA(chain->params[2 * l], a, chain->params[2 * l + 1]));
    }
    return a;
}

static cbp_real loss_one(const cbp_chain *chain, cbp_criterion criterion, cbp_real x, cbp_real y)
{
    const size_t last = chain->layers - 1;
    const cbp_chain before = {chain->params, chain->activations, last};
    const cbp_real z = CBP_FMA(chain->params[2 * last], forward_one(&before, x), chain->params[2 * last + 1]);
    return loss_of(criterion, value_of(chain->activations[last], z), z, y).value;
}

static cbp_real slope_one(const cbp_chain *chain, cbp_real x)
{
    cbp_real a = x, total = 1;
    for (size_t l = 0; l < chain->layers; l++) {
        const cbp_real w = chain->params[2 * l];
        cbp_real slope;
        a = value_and_slope_of(chain->activations[l], CBP_FMA(w, a, chain->params[2 * l + 1]), &slope);
        total = times_alone(times_alone(total, w), slope);
    }
    return total;
}

static cbp_real inverse_one(const cbp_chain *chain, cbp_real y)
{
    cbp_real a = y;
    for (size_t l = chain->layers; l-- > 0;) {
        a = (inverse_of(chain->activations[l], a) - chain->params[2 * l + 1]) / chain->params[2 * l];
    }
    return a;
}

/* The notes' walk: forward through the layers, then the error signal back. Returns the loss. */
static cbp_real gradient_one(const cbp_chain *chain, cbp_criterion criterion, cbp_real x, cbp_real y, const cbp_record *record)
{
    const cbp_real *params = chain->params;
    const size_t last = chain->layers - 1;
    cbp_real a = x;
    for (size_t l = 0; l <= last; l++) {
        const cbp_real z = CBP_FMA(params[2 * l], a, params[2 * l + 1]);
        a = value_and_slope_of(chain->activations[l], z, &record->slope[l]);
        record->z[l] = z;
        record->a[l] = a;
    }
    const cbp_jet loss = loss_of(criterion, a, record->z[last], y);
    cbp_real delta = is_of_z(criterion.loss) ? loss.slope : times_alone(loss.slope, record->slope[last]);
    for (size_t l = last;; l--) {
        const cbp_real before = l ? record->a[l - 1] : x, push = times_alone(delta, params[2 * l]);
        record->delta[l] = delta;
        record->gradient[2 * l] = times_alone(delta, before); /* from here on params[2l] is not read */
        record->gradient[2 * l + 1] = delta;
        if (l == 0) {
            return loss.value;
        }
        delta = times_alone(push, record->slope[l - 1]);
    }
}

/* ---- many examples -------------------------------------------------------------------------------------------- */

static void activation_values(int activation, const cbp_real *z, size_t n, cbp_real *value, cbp_real *slope,
                              cbp_real *second)
{
    cbp_real in[CBP_TILE], out[3][CBP_TILE];
    for (size_t start = 0; start < n; start += CBP_TILE) {
        const size_t count = smaller(CBP_TILE, n - start);
        cbp_real *wanted[3] = {value, slope, second};
        activate(activation, tile_of(z + start, count, in), padded(count), out[0], out[1], out[2]);
        for (int k = 0; k < 3; k++) {
            if (wanted[k]) {
                memcpy(wanted[k] + start, out[k], count * sizeof **out);
            }
        }
    }
}

static void forward_all(const cbp_chain *chain, const cbp_real *x, size_t n, cbp_real *out)
{
    cbp_real tiles[2][CBP_TILE];
    for (size_t start = 0; start < n; start += CBP_TILE) {
        const size_t count = smaller(CBP_TILE, n - start);
        const cbp_real *in = tile_of(x + start, count, tiles[0]);
        for (size_t l = 0; l < chain->layers; l++) {
            layer_value(chain->activations[l], chain->params[2 * l], chain->params[2 * l + 1], in, padded(count),
                        tiles[~l & 1]);
            in = tiles[~l & 1];
        }
        memcpy(out + start, in, count * sizeof *out);
    }
}

static void inverse_all(const cbp_chain *chain, const cbp_real *y, size_t n, cbp_real *out)
{
    cbp_real tiles[2][CBP_TILE];
    for (size_t start = 0; start < n; start += CBP_TILE) {
        const size_t count = smaller(CBP_TILE, n - start);
        const cbp_real *in = tile_of(y + start, count, tiles[chain->layers & 1]);
        for (size_t l = chain->layers; l-- > 0;) {
            layer_inverse(chain->activations[l], chain->params[2 * l], chain->params[2 * l + 1], in, padded(count),
                          tiles[l & 1]);
            in = tiles[l & 1];
        }
        memcpy(out + start, in, count * sizeof *out);
    }
}

static void slope_all(const cbp_chain *chain, const cbp_real *x, size_t n, cbp_real *out)
{
    cbp_real tiles[2][CBP_TILE], local[CBP_TILE], total[CBP_TILE];
    for (size_t start = 0; start < n; start += CBP_TILE) {
        const size_t count = smaller(CBP_TILE, n - start);
        const cbp_real *in = tile_of(x + start, count, tiles[0]);
        for (size_t j = 0; j < padded(count); j++) {
            total[j] = 1;
        }
        for (size_t l = 0; l < chain->layers; l++) {
            const cbp_real w = chain->params[2 * l];
            layer_jet(chain->activations[l], w, chain->params[2 * l + 1], in, padded(count), tiles[~l & 1], local);
            in = tiles[~l & 1];
            for (size_t j = 0; j < padded(count); j++) {
                total[j] = cbp_times(cbp_times(total[j], w), local[j]);
            }
        }
        memcpy(out + start, total, count * sizeof *out);
    }
}

/* Forward through all layers: a_l to row l of `a`, counted from 1, and its slope to row l - 1 of `slopes`. Returns a_0,
 * which is row 0 of `a` unless the examples fill the tile. */
static const cbp_real *forward_tile(const cbp_chain *chain, const cbp_real *x, size_t count, cbp_real *a,
                                    cbp_real *slopes)
{
    const cbp_real *input = tile_of(x, count, a), *in = input;
    for (size_t l = 0; l < chain->layers; l++) {
        cbp_real *out = a + (l + 1) * CBP_TILE;
        layer_jet(chain->activations[l], chain->params[2 * l], chain->params[2 * l + 1], in, padded(count), out,
                  slopes + l * CBP_TILE);
        in = out;
    }
    return input;
}

/* delta = push * slope, where push = dE/da_l; and the push on the layer before, dE/da_(l-1) = delta * w. */
static void backward_layer(cbp_real w, const cbp_real *CBP_RESTRICT slopes, size_t count, cbp_real *CBP_RESTRICT push,
                           cbp_real *CBP_RESTRICT delta)
{
    for (size_t j = 0; j < count; j++) {
        delta[j] = cbp_times(push[j], slopes[j]);
        push[j] = cbp_times(delta[j], w);
    }
}

/* The loss of a tile: `error`, and `push` on a_L. A loss of z_L starts there: the last slopes become 1. */
static void start_backward(const cbp_chain *chain, cbp_criterion criterion, const cbp_real *input, const cbp_real *y,
                           size_t count, const cbp_real *a, cbp_real *slopes, cbp_real *error, cbp_real *push)
{
    const size_t last = chain->layers - 1;
    const int of_z = is_of_z(criterion.loss);
    const cbp_real *before = last ? a + last * CBP_TILE : input;
    cbp_real target[CBP_TILE];
    tile_loss(criterion, chain->params[2 * last], chain->params[2 * last + 1], before, a + chain->layers * CBP_TILE,
              tile_of(y, count, target), padded(count), error, push);
    for (size_t j = 0; of_z && j < padded(count); j++) {
        slopes[last * CBP_TILE + j] = 1;
    }
}

/* Row i: the gradient of example i's loss. */
static void example_rows(const cbp_chain *chain, cbp_criterion criterion, const cbp_real *x, const cbp_real *y,
                         size_t n, cbp_real *work, cbp_real *rows)
{
    const size_t width = 2 * chain->layers;
    cbp_real *a = work, *slopes = a + (chain->layers + 1) * CBP_TILE;
    cbp_real error[CBP_TILE], push[CBP_TILE], delta[CBP_TILE];
    for (size_t start = 0; start < n; start += CBP_TILE) {
        const size_t count = smaller(CBP_TILE, n - start);
        const cbp_real *input = forward_tile(chain, x + start, count, a, slopes);
        start_backward(chain, criterion, input, y + start, count, a, slopes, error, push);
        for (size_t l = chain->layers; l-- > 0;) {
            const cbp_real *in = l ? a + l * CBP_TILE : input;
            cbp_real *entry = rows + start * width + 2 * l;
            backward_layer(chain->params[2 * l], slopes + l * CBP_TILE, padded(count), push, delta);
            for (size_t j = 0; j < count; j++) {
                entry[j * width] = cbp_times(delta[j], in[j]);
                entry[j * width + 1] = delta[j];
            }
        }
    }
}

/* ---- sums over examples --------------------------------------------------------------------------------------- */

/* Eight numbers, added in pairs: one lane of a tile. */
#define CBP_LANE_SUM(term)                                                                          \
    (((term(0) + term(1)) + (term(2) + term(3))) + ((term(4) + term(5)) + (term(6) + term(7))))
#define CBP_LANE(i) (k + (i) * CBP_LANES)

/* lanes[k] += the lane sums of a tile. */
static void add_tile(const cbp_real *CBP_RESTRICT tile, cbp_real *CBP_RESTRICT lanes)
{
#define TERM(i) tile[CBP_LANE(i)]
    for (size_t k = 0; k < CBP_LANES; k++) {
        lanes[k] += CBP_LANE_SUM(TERM);
    }
#undef TERM
}

#define CBP_PRODUCT(factor, x) (guarded ? cbp_times(factor, x) : (factor) * (x))

/* backward_layer for a whole tile, and the lane sums of dE/dw = delta in and dE/db = delta. */
CBP_INLINE void add_layer(int guarded, cbp_real w, const cbp_real *CBP_RESTRICT slopes,
                          const cbp_real *CBP_RESTRICT in, const cbp_real *CBP_RESTRICT push,
                          cbp_real *CBP_RESTRICT next, cbp_real *CBP_RESTRICT lanes_w,
                          cbp_real *CBP_RESTRICT lanes_b)
{
#define DELTA(i)                                                                      \
    const cbp_real delta##i = CBP_PRODUCT(push[CBP_LANE(i)], slopes[CBP_LANE(i)]);    \
    next[CBP_LANE(i)] = CBP_PRODUCT(delta##i, w);
#define TERM_W(i) CBP_PRODUCT(delta##i, in[CBP_LANE(i)])
#define TERM_B(i) delta##i
    for (size_t k = 0; k < CBP_LANES; k++) {
        DELTA(0) DELTA(1) DELTA(2) DELTA(3) DELTA(4) DELTA(5) DELTA(6) DELTA(7)
        lanes_w[k] += CBP_LANE_SUM(TERM_W);
        lanes_b[k] += CBP_LANE_SUM(TERM_B);
    }
#undef DELTA
#undef TERM_W
#undef TERM_B
}

/* The same for the first `count` lanes of a tile, by way of terms_w and terms_b, which are 0 beyond them: a 0 more in
 * a sum changes no bit of it. */
CBP_INLINE void add_part_of_layer(int guarded, cbp_real w, const cbp_real *CBP_RESTRICT slopes,
                                  const cbp_real *CBP_RESTRICT in, size_t count, const cbp_real *CBP_RESTRICT push,
                                  cbp_real *CBP_RESTRICT next, cbp_real *CBP_RESTRICT terms_w,
                                  cbp_real *CBP_RESTRICT terms_b, cbp_real *CBP_RESTRICT lanes_w,
                                  cbp_real *CBP_RESTRICT lanes_b)
{
    for (size_t j = 0; j < count; j++) {
        const cbp_real delta = CBP_PRODUCT(push[j], slopes[j]);
        next[j] = CBP_PRODUCT(delta, w);
        terms_w[j] = CBP_PRODUCT(delta, in[j]);
        terms_b[j] = delta;
    }
    add_tile(terms_w, lanes_w);
    add_tile(terms_b, lanes_b);
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
#define CBP_HALVE(lane, half)              \
    for (size_t k = 0; k < (half); k++) {  \
        (lane)[k] += (lane)[k + (half)];   \
    }

/* The sums of one block, row by row of `lanes`, join the totals, and the lanes start again at 0. */
static void close_block(size_t rows, cbp_real *lanes, cbp_real *sums, cbp_real *lost)
{
    for (size_t row = 0; row < rows; row++) {
        cbp_real *lane = lanes + row * CBP_LANES;
        CBP_HALVE(lane, 8) CBP_HALVE(lane, 4) CBP_HALVE(lane, 2) CBP_HALVE(lane, 1)
        cbp_add(&sums[row], &lost[row], lane[0]);
        memset(lane, 0, CBP_LANES * sizeof *lane);
    }
}

/* Multiplies `error` and `push` (may be null) by the weights, clears their padding, and adds weight and error, which
 * is 0 beyond the padding. */
static void weigh_tile(const cbp_real *weight, size_t count, cbp_real *error, cbp_real *push, cbp_real *lanes)
{
    if (weight) {
        cbp_real factor[CBP_TILE] = {0};
        memcpy(factor, weight, count * sizeof *factor);
        for (size_t j = 0; j < padded(count); j++) {
            error[j] *= factor[j];
        }
        for (size_t j = 0; push && j < padded(count); j++) {
            push[j] *= factor[j];
        }
        add_tile(factor, lanes);
    } else {
        lanes[0] += (cbp_real)count;
    }
    clear_padding(error, count);
    if (push) {
        clear_padding(push, count);
    }
    add_tile(error, lanes + CBP_LANES);
}

static void loss_sums(const cbp_chain *chain, cbp_criterion criterion, const cbp_real *x, const cbp_real *y,
                      const cbp_real *weight, size_t n, cbp_real *sums, cbp_real *lost)
{
    const size_t last = chain->layers - 1;
    cbp_real tiles[2][CBP_TILE], target[CBP_TILE], error[CBP_TILE], push[CBP_TILE];
    cbp_real lanes[2 * CBP_LANES] = {0};
    for (size_t start = 0; start < n; start += CBP_TILE) {
        const size_t count = smaller(CBP_TILE, n - start);
        const cbp_real *in = tile_of(x + start, count, tiles[0]), *before = in;
        if (count < CBP_TILE) {
            memset(error, 0, sizeof error);
        }
        for (size_t l = 0; l <= last; l++) {
            before = in;
            in = tiles[~l & 1];
            layer_value(chain->activations[l], chain->params[2 * l], chain->params[2 * l + 1], before, padded(count),
                        tiles[~l & 1]);
        }
        tile_loss(criterion, chain->params[2 * last], chain->params[2 * last + 1], before, in,
                  tile_of(y + start, count, target), padded(count), error, push);
        weigh_tile(weight ? weight + start : NULL, count, error, NULL, lanes);
        if ((start + count) % CBP_BLOCK == 0 || start + count == n) {
            close_block(2, lanes, sums, lost);
        }
    }
}

/* Examples of one block, whose sums go to `lanes`: row 0 the weight, row 1 the loss, then w1, b1, .... `guarded` keeps
 * to the rule that 0 times infinity is 0. */
CBP_INLINE void add_block(int guarded, const cbp_chain *chain, cbp_criterion criterion, const cbp_real *x,
                          const cbp_real *y, const cbp_real *weight, size_t n, cbp_real *work, cbp_real *lanes)
{
    cbp_real *a = work, *slopes = a + (chain->layers + 1) * CBP_TILE;
    cbp_real error[CBP_TILE], push[2][CBP_TILE], terms[2][CBP_TILE];
    for (size_t start = 0; start < n; start += CBP_TILE) {
        const size_t count = smaller(CBP_TILE, n - start);
        cbp_real *first = push[chain->layers & 1];
        const cbp_real *input = forward_tile(chain, x + start, count, a, slopes);
        if (count < CBP_TILE) {
            memset(error, 0, sizeof error);
            memset(terms, 0, sizeof terms);
        }
        start_backward(chain, criterion, input, y + start, count, a, slopes, error, first);
        weigh_tile(weight ? weight + start : NULL, count, error, first, lanes);
        for (size_t l = chain->layers; l-- > 0;) {
            const cbp_real w = chain->params[2 * l], *in = l ? a + l * CBP_TILE : input, *slope = slopes + l * CBP_TILE;
            const cbp_real *from = push[~l & 1];
            cbp_real *to = push[l & 1], *lanes_w = lanes + (2 * l + 2) * CBP_LANES, *lanes_b = lanes_w + CBP_LANES;
            if (count == CBP_TILE) {
                add_layer(guarded, w, slope, in, from, to, lanes_w, lanes_b);
            } else {
                add_part_of_layer(guarded, w, slope, in, padded(count), from, to, terms[0], terms[1], lanes_w, lanes_b);
            }
        }
    }
}

static void gradient_sums(const cbp_chain *chain, cbp_criterion criterion, const cbp_real *x, const cbp_real *y,
                          const cbp_real *weight, size_t n, cbp_real *work, cbp_real *sums, cbp_real *lost)
{
    const size_t rows = 2 * chain->layers + 2, len = rows * CBP_LANES;
    cbp_real *lanes = work + (2 * chain->layers + 1) * CBP_TILE;
    memset(lanes, 0, len * sizeof *lanes);
    for (size_t start = 0; start < n; start += CBP_BLOCK) {
        const size_t count = smaller(CBP_BLOCK, n - start);
        const cbp_real *weights = weight ? weight + start : NULL;
        add_block(0, chain, criterion, x + start, y + start, weights, count, work, lanes);
        if (has_nan(lanes, len)) { /* from 0 * infinity, perhaps: the rare case is worked twice */
            memset(lanes, 0, len * sizeof *lanes);
            add_block(1, chain, criterion, x + start, y + start, weights, count, work, lanes);
        }
        close_block(rows, lanes, sums, lost);
    }
}

/* The Hessian in closed form. With c_m = d2E/dz_m2, c_l = c_(l+1) (w_(l+1) s_l)^2 + dE/da_l act''(z_l), and J the
 * slope of z_m in z_l, for l <= m:
 *   d2E/db_m db_l = c_m J,   d2E/dw_m db_l = c_m J a_(m-1) + delta_m da_(m-1)/dz_l,   and a_(l-1) times these for w_l.
 * Adds weight and the lower triangle to sums[1 + (2L)^2], then copies it to the upper one. */
static void hessian_sums(const cbp_chain *chain, cbp_criterion criterion, const cbp_real *x, const cbp_real *y,
                         const cbp_real *weight, size_t n, cbp_real *work, cbp_real *sums, cbp_real *lost)
{
    const cbp_real *params = chain->params;
    const size_t layers = chain->layers, last = layers - 1, width = 2 * layers;
    cbp_real *a = work, *slopes = a + layers + 1, *seconds = slopes + layers, *delta = seconds + layers,
             *curve = delta + layers;
    const int of_z = is_of_z(criterion.loss);
    for (size_t i = 0; i < n; i++) {
        const cbp_real factor = weight ? weight[i] : 1;
        cbp_real z = 0;
        a[0] = x[i];
        for (size_t l = 0; l < layers; l++) {
            z = CBP_FMA(params[2 * l], a[l], params[2 * l + 1]);
            const cbp_jet jet = jet_of(chain->activations[l], z);
            a[l + 1] = jet.value;
            slopes[l] = jet.slope;
            seconds[l] = jet.second;
        }
        const cbp_jet loss = loss_of(criterion, a[layers], z, y[i]);
        const cbp_real s = slopes[last];
        if (of_z) {
            delta[last] = factor * loss.slope;
            curve[last] = factor * loss.second;
        } else {
            delta[last] = factor * times_alone(loss.slope, s);
            curve[last] = factor * (times_alone(times_alone(loss.second, s), s) + times_alone(loss.slope, seconds[last]));
        }
        for (size_t l = last; l-- > 0;) {
            const cbp_real push = times_alone(delta[l + 1], params[2 * l + 2]);
            const cbp_real reach = times_alone(params[2 * l + 2], slopes[l]);
            delta[l] = times_alone(push, slopes[l]);
            curve[l] = times_alone(times_alone(curve[l + 1], reach), reach) + times_alone(push, seconds[l]);
        }
        cbp_add(&sums[0], &lost[0], factor);
        for (size_t m = 0; m < layers; m++) {
            cbp_real reach = 1, before = 0; /* dz_m/dz_l and da_(m-1)/dz_l */
            for (size_t l = m;; l--) {
                const cbp_real by_b = times_alone(curve[m], reach);
                const cbp_real by_w = times_alone(by_b, a[m]) + times_alone(delta[m], before);
                const size_t row_w = 1 + 2 * m * width + 2 * l, row_b = row_w + width;
                cbp_add(&sums[row_w], &lost[row_w], times_alone(by_w, a[l]));
                cbp_add(&sums[row_w + 1], &lost[row_w + 1], by_w);
                cbp_add(&sums[row_b], &lost[row_b], times_alone(by_b, a[l]));
                cbp_add(&sums[row_b + 1], &lost[row_b + 1], by_b);
                if (l == 0) {
                    break;
                }
                before = l == m ? slopes[l - 1] : times_alone(times_alone(before, params[2 * l]), slopes[l - 1]);
                reach = times_alone(times_alone(reach, params[2 * l]), slopes[l - 1]);
            }
        }
    }
    for (size_t row = 0; row < width; row++) {
        for (size_t column = 0; column < row; column++) {
            sums[1 + column * width + row] = sums[1 + row * width + column];
            lost[1 + column * width + row] = lost[1 + row * width + column];
        }
    }
}

#include "kernels_fit.h"
#include "kernels_many.h"
#include "kernels_starts.h"


const cbp_kernels CBP_JOIN(cbp_kernels_, CBP_TARGET) = {
    .name = CBP_TARGET_NAME,
    .activation = activation_values,
    .forward_one = forward_one,
    .slope_one = slope_one,
    .inverse_one = inverse_one,
    .loss_one = loss_one,
    .gradient_one = gradient_one,
    .forward = forward_all,
    .slope = slope_all,
    .inverse = inverse_all,
    .rows = example_rows,
    .loss_sums = loss_sums,
    .gradient_sums = gradient_sums,
    .hessian_sums = hessian_sums,
    .fit_rows = fit_rows,
    .merge_triangles = merge_triangles,
    .fit_lanes = fit_lanes,
    .finish_lanes = finish_lanes,
    .choose_starts = choose_starts,
};
