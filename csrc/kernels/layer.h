/* One layer, for one number and for a tile of examples; and the loss behind the last one. */

/* ---- one layer ------------------------------------------------------------------------------- */

static cbp_real value_of(int activation, cbp_real z)
{
    switch (activation) {
#define CASE(code, name, ...) \
    case code:                \
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
#define CASE(code, name, ...)                    \
    case code: {                                 \
        const cbp_jet jet = cbp_##name##_jet(z); \
        *slope = jet.slope;                      \
        return jet.value;                        \
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
    case code:                \
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
    case code:                \
        return cbp_##name##_inverse(y);
        CBP_ACTIVATIONS(CASE)
#undef CASE
    default:
        return CBP_NAN;
    }
}

static void activate(int activation, const cbp_real *CBP_RESTRICT z, size_t count,
                     cbp_real *CBP_RESTRICT value, cbp_real *CBP_RESTRICT slope,
                     cbp_real *CBP_RESTRICT second)
{
    switch (activation) {
#define CASE(code, name, ...)                           \
    case code:                                          \
        for (size_t j = 0; j < count; j++) {            \
            const cbp_jet jet = cbp_##name##_jet(z[j]); \
            value[j] = jet.value;                       \
            slope[j] = jet.slope;                       \
            second[j] = jet.second;                     \
        }                                               \
        break;
        CBP_ACTIVATIONS(CASE)
#undef CASE
    default:
        break;
    }
}

/* out = act(w in + b) */
static void layer_value(int activation, cbp_real w, cbp_real b, const cbp_real *CBP_RESTRICT in,
                        size_t count, cbp_real *CBP_RESTRICT out)
{
    switch (activation) {
#define CASE(code, name, ...)                                      \
    case code:                                                     \
        for (size_t j = 0; j < count; j++) {                       \
            out[j] = cbp_##name##_jet(CBP_FMA(w, in[j], b)).value; \
        }                                                          \
        break;
        CBP_ACTIVATIONS(CASE)
#undef CASE
    default:
        break;
    }
}

CBP_INLINE void jets_of_lanes(int activation, const cbp_real *CBP_RESTRICT w,
                              const cbp_real *CBP_RESTRICT in, size_t count,
                              cbp_real *CBP_RESTRICT out, cbp_real *CBP_RESTRICT slope,
                              cbp_real *CBP_RESTRICT second)
{
    const cbp_real *CBP_RESTRICT b = w + CBP_LANES;
    switch (activation) {
#define CASE(code, name, ...)                                                             \
    case code:                                                                            \
        for (size_t start = 0; start < count; start += CBP_LANES) {                       \
            CBP_EACH_LANE                                                                 \
            {                                                                             \
                const cbp_jet jet = cbp_##name##_jet(CBP_FMA(w[k], in[start + k], b[k])); \
                out[start + k] = jet.value;                                               \
                slope[start + k] = jet.slope;                                             \
                if (second) {                                                             \
                    second[start + k] = jet.second;                                       \
                }                                                                         \
            }                                                                             \
        }                                                                                 \
        break;
        CBP_ACTIVATIONS(CASE)
#undef CASE
    default:
        break;
    }
}

/* out = act(w in + b), slope = act'(w in + b), and unless it is null second = act''(w in + b); lane
 * k of each group of CBP_LANES has the weight w[k] and the bias b[k], which stand in
 * w[2][CBP_LANES]. */
static void lanes_jet(int activation, const cbp_real *w, const cbp_real *in, size_t count,
                      cbp_real *out, cbp_real *slope, cbp_real *second)
{
    if (second) {
        jets_of_lanes(activation, w, in, count, out, slope, second);
    } else {
        jets_of_lanes(activation, w, in, count, out, slope, NULL);
    }
}

/* The same weight and bias for all. */
static void layer_jet(int activation, cbp_real w, cbp_real b, const cbp_real *CBP_RESTRICT in,
                      size_t count, cbp_real *CBP_RESTRICT out, cbp_real *CBP_RESTRICT slope)
{
    cbp_real params[2 * CBP_LANES];
    spread(w, params);
    spread(b, params + CBP_LANES);
    lanes_jet(activation, params, in, count, out, slope, NULL);
}

/* out = (act^-1(in) - b) / w */
static void layer_inverse(int activation, cbp_real w, cbp_real b, const cbp_real *CBP_RESTRICT in,
                          size_t count, cbp_real *CBP_RESTRICT out)
{
    switch (activation) {
#define CASE(code, name, ...)                               \
    case code:                                              \
        for (size_t j = 0; j < count; j++) {                \
            out[j] = (cbp_##name##_inverse(in[j]) - b) / w; \
        }                                                   \
        break;
        CBP_ACTIVATIONS(CASE)
#undef CASE
    default:
        break;
    }
}

/* ---- the loss of one example ----------------------------------------------------------------- */

/* Whether it is a loss of z_L, so that its derivatives are those with respect to z_L. */
static int is_of_z(int loss)
{
    switch (loss) {
#define CASE(code, name, target_low, target_high, dispersion, has_scale, is_robust, of_z, \
             has_excess)                                                                  \
    case code:                                                                            \
        return of_z;
        CBP_LOSSES(CASE)
#undef CASE
    default:
        return 0;
    }
}

/* E and its derivatives with respect to a_L, or to z_L. */
static cbp_jet loss_of(cbp_loss criterion, cbp_real a, cbp_real z, cbp_real y)
{
    const cbp_ending end = {a, z, y, criterion.scale};
    switch (criterion.kind) {
    case CBP_OUTPUT:
        return (cbp_jet){a, 1, 0};
#define CASE(code, name, ...) \
    case code:                \
        return cbp_##name##_loss_jet(end);
        CBP_LOSSES(CASE)
#undef CASE
    default:
        return (cbp_jet){CBP_NAN, CBP_NAN, CBP_NAN};
    }
}

/* What the losses of a tile's examples are made of: a_(L-1), a_L and the targets; and what they
 * leave: E, and upstream = dE/da_L, or dE/dz_L for a loss of z. */
typedef struct cbp_tile_end {
    const cbp_real *in, *a, *y;
    cbp_real *value, *upstream;
} cbp_tile_end;

static void tile_loss(const cbp_chain *chain, cbp_loss criterion, size_t count,
                      const cbp_tile_end *end)
{
    const cbp_real w = chain->params[2 * chain->layers - 2],
                   b = chain->params[2 * chain->layers - 1];
    const cbp_real *CBP_RESTRICT in = end->in, *CBP_RESTRICT a = end->a, *CBP_RESTRICT y = end->y;
    cbp_real *CBP_RESTRICT value = end->value, *CBP_RESTRICT upstream = end->upstream;
    switch (criterion.kind) {
    case CBP_OUTPUT:
        for (size_t j = 0; j < count; j++) {
            value[j] = a[j];
            upstream[j] = 1;
        }
        break;
#define CASE(code, name, ...)                                                                   \
    case code:                                                                                  \
        for (size_t start = 0; start < count; start += CBP_LANES) {                             \
            CBP_EACH_LANE                                                                       \
            {                                                                                   \
                const size_t j = start + k;                                                     \
                const cbp_ending example = {a[j], CBP_FMA(w, in[j], b), y[j], criterion.scale}; \
                const cbp_jet jet = cbp_##name##_loss_jet(example);                             \
                value[j] = jet.value;                                                           \
                upstream[j] = jet.slope;                                                        \
            }                                                                                   \
        }                                                                                       \
        break;
        CBP_LOSSES(CASE)
#undef CASE
    default:
        break;
    }
}
