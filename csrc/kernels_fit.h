/* The rows of a least-squares step: a tile of examples as columns, reflected into a triangle. Part of kernels.h, which
 * includes this under each target.
 */

/* How a loss of one example bends: near the output a (log loss: near z_L) E is about
 *   stiff (da + lack)^2 + constant,   stiff = E''/2 and lack = E'/E'',
 * where a robust loss takes E'/r in the place of E'', which keeps it positive (iterative reweighting). */
typedef struct cbp_bend {
    cbp_real error, lack, stiff;
} cbp_bend;

CBP_INLINE cbp_bend squared_bend(cbp_real residual)
{
    return (cbp_bend){residual * residual, residual, 1};
}

CBP_INLINE cbp_bend robust_bend(cbp_jet loss, cbp_real residual)
{
    return (cbp_bend){loss.value, residual, residual == 0 ? 1 : CBP_HALF * (loss.slope / residual)};
}

/* Where sigma' is all but 0, a floor under it keeps the quotient finite; the slope E' stays exact. */
CBP_INLINE cbp_bend log_loss_bend(cbp_jet loss)
{
    const cbp_real floor = CBP_PICK(0x1p-120, 0x1p-60f);
    const cbp_real second = loss.second < floor ? floor : loss.second;
    return (cbp_bend){loss.value, loss.slope / second, CBP_HALF * second};
}

/* For a tile, each example multiplied by its weight: its loss, the square root of its stiffness, and its lack. */
static void tile_bend(cbp_criterion criterion, cbp_real w, cbp_real b, const cbp_real *CBP_RESTRICT in,
                      const cbp_real *CBP_RESTRICT a, const cbp_real *CBP_RESTRICT y,
                      const cbp_real *CBP_RESTRICT weight, size_t count, cbp_real *CBP_RESTRICT error,
                      cbp_real *CBP_RESTRICT root, cbp_real *CBP_RESTRICT lack)
{
    switch (criterion.loss) {
#define CASE(code, bend_of_example) \
    case code: \
        for (size_t j = 0; j < count; j++) { \
            const cbp_bend bend = bend_of_example; \
            error[j] = weight[j] > 0 ? weight[j] * bend.error : 0; \
            root[j] = cbp_sqrt(weight[j] * bend.stiff); \
            lack[j] = cbp_times(root[j], bend.lack); \
        } \
        break;
        CASE(CBP_SQUARED, squared_bend(a[j] - y[j]))
        CASE(CBP_LOG_LOSS, log_loss_bend(log_loss_jet(CBP_FMA(w, in[j], b), y[j])))
        CASE(CBP_HUBER, robust_bend(huber_jet(a[j] - y[j], criterion.scale), a[j] - y[j]))
        CASE(CBP_SOFT_L1, robust_bend(soft_l1_jet(a[j] - y[j], criterion.scale), a[j] - y[j]))
        CASE(CBP_CAUCHY, robust_bend(cauchy_jet(a[j] - y[j], criterion.scale), a[j] - y[j]))
#undef CASE
    default:
        break;
    }
}

/* The rows of a tile's examples, as columns of CBP_TILE numbers: root * d a_L / d param for each parameter that is not
 * frozen, then root * lack; and the tile's losses join `lanes`. */
static void tile_columns(const cbp_chain *chain, cbp_criterion criterion, const unsigned char *frozen,
                         const cbp_real *x, const cbp_real *y, const cbp_real *weight, size_t count, size_t free,
                         cbp_real *work, cbp_real *columns, cbp_real *lanes)
{
    const size_t last = chain->layers - 1, lane_count = padded(count);
    cbp_real *a = work, *slopes = a + (chain->layers + 1) * CBP_TILE;
    cbp_real target[CBP_TILE], factor[CBP_TILE], error[CBP_TILE], push[CBP_TILE], delta[CBP_TILE];
    const cbp_real *input = forward_tile(chain, x, count, a, slopes);
    if (weight) {
        memcpy(factor, weight, count * sizeof *factor);
    } else {
        for (size_t j = 0; j < lane_count; j++) {
            factor[j] = 1;
        }
    }
    clear_padding(factor, count);
    tile_bend(criterion, chain->params[2 * last], chain->params[2 * last + 1], last ? a + last * CBP_TILE : input,
              a + chain->layers * CBP_TILE, tile_of(y, count, target), factor, lane_count, error, push,
              columns + free * CBP_TILE);
    for (size_t start = 0; start < lane_count; start += CBP_LANES) {
        for (size_t k = 0; k < CBP_LANES; k++) {
            lanes[k] += error[start + k];
        }
    }
    for (size_t j = 0; criterion.loss == CBP_LOG_LOSS && j < lane_count; j++) {
        slopes[last * CBP_TILE + j] = 1;
    }
    for (size_t l = chain->layers; l-- > 0 && free > 0;) {
        const cbp_real *in = l ? a + l * CBP_TILE : input;
        backward_layer(chain->params[2 * l], slopes + l * CBP_TILE, lane_count, push, delta);
        if (!frozen || !frozen[2 * l + 1]) {
            memcpy(columns + --free * CBP_TILE, delta, lane_count * sizeof *delta);
        }
        if (!frozen || !frozen[2 * l]) {
            cbp_real *column = columns + --free * CBP_TILE;
            for (size_t j = 0; j < lane_count; j++) {
                column[j] = cbp_times(delta[j], in[j]);
            }
        }
    }
}

/* The scalar product of two columns, lane by lane and then the lanes. */
CBP_INLINE cbp_real product_of(const cbp_real *CBP_RESTRICT a, const cbp_real *CBP_RESTRICT b, size_t count)
{
    cbp_real lane[CBP_LANES] = {0};
    for (size_t start = 0; start < count; start += CBP_LANES) {
        for (size_t k = 0; k < CBP_LANES; k++) {
            lane[k] = CBP_FMA(a[start + k], b[start + k], lane[k]);
        }
    }
    CBP_HALVE(lane, 8) CBP_HALVE(lane, 4) CBP_HALVE(lane, 2) CBP_HALVE(lane, 1)
    return lane[0];
}

/* target += factor * column */
CBP_INLINE void add_multiple(cbp_real factor, const cbp_real *CBP_RESTRICT column, size_t count,
                         cbp_real *CBP_RESTRICT target)
{
    for (size_t j = 0; j < count; j++) {
        target[j] = CBP_FMA(factor, column[j], target[j]);
    }
}

CBP_INLINE void reflect_rows(size_t width, size_t count, cbp_real *columns, cbp_real *triangle)
{
    for (size_t k = 0; k < width; k++) {
        cbp_real *row = triangle + k * width, *column = columns + k * CBP_TILE;
        const cbp_real size = product_of(column, column, count);
        if (size < CBP_PICK(0x1p-960, 0x1p-100f)) { /* nothing beside 1; its reciprocal would overflow */
            continue;
        }
        const cbp_real norm = cbp_sqrt(CBP_FMA(row[k], row[k], size));
        const cbp_real reflected = row[k] > 0 ? -norm : norm;
        const cbp_real first = row[k] - reflected;
        const cbp_real scale = 1 / (reflected * first); /* -2 over the square of the reflecting vector */
        row[k] = reflected;
        for (size_t j = k + 1; j < width; j++) {
            cbp_real *other = columns + j * CBP_TILE;
            const cbp_real along = CBP_FMA(first, row[j], product_of(column, other, count)) * scale;
            row[j] = CBP_FMA(along, first, row[j]);
            add_multiple(along, column, count, other);
        }
    }
}

/* Householder's reflections take the `count` rows that stand in columns into the upper triangle[width][width] above
 * them: its transpose times itself grows by that of the rows. The columns are used up. */
static void add_rows(size_t width, size_t count, cbp_real *columns, cbp_real *triangle)
{
    if (count == CBP_LANES) { /* the loops of a small fit fold into straight code */
        reflect_rows(width, CBP_LANES, columns, triangle);
    } else {
        reflect_rows(width, count, columns, triangle);
    }
}

/* Adds all rows to the triangle of free + 1 columns, and the weighted losses to *sum and *lost. */
static void fit_rows(const cbp_chain *chain, cbp_criterion criterion, const unsigned char *frozen, const cbp_real *x,
                     const cbp_real *y, const cbp_real *weight, size_t n, size_t free, cbp_real *work,
                     cbp_real *triangle, cbp_real *sum, cbp_real *lost)
{
    cbp_real lanes[CBP_LANES] = {0}, *columns = work + (2 * chain->layers + 1) * CBP_TILE;
    for (size_t start = 0; start < n; start += CBP_TILE) {
        const size_t count = smaller(CBP_TILE, n - start);
        tile_columns(chain, criterion, frozen, x + start, y + start, weight ? weight + start : NULL, count, free, work,
                     columns, lanes);
        add_rows(free + 1, padded(count), columns, triangle);
        if ((start + count) % CBP_BLOCK == 0 || start + count == n) {
            close_block(1, lanes, sum, lost);
        }
    }
}
