/* The rows of a least-squares step: a tile of examples as columns, reflected into a triangle. */

/* For a tile, of examples with the weight `weight` whose root is `root`: error = weight * E, push =
 * root * sqrt(stiff), the lack and the excess. Lane k of the last layer has the weight w[k] and the
 * bias b[k]. */
static void tile_bend(cbp_criterion criterion, const cbp_real *CBP_RESTRICT w,
                      const cbp_real *CBP_RESTRICT b, const cbp_real *CBP_RESTRICT in,
                      const cbp_real *CBP_RESTRICT a, const cbp_real *CBP_RESTRICT y,
                      const cbp_real *CBP_RESTRICT weight, const cbp_real *CBP_RESTRICT root,
                      size_t count, cbp_real *CBP_RESTRICT error, cbp_real *CBP_RESTRICT push,
                      cbp_real *CBP_RESTRICT lack, cbp_real *CBP_RESTRICT excess)
{
    switch (criterion.loss) {
#define CASE(code, name, ...)                                                                     \
    case code:                                                                                    \
        for (size_t start = 0; start < count; start += CBP_LANES) {                               \
            CBP_EACH_LANE                                                                         \
            {                                                                                     \
                const size_t j = start + k;                                                       \
                const cbp_ending end = {a[j], CBP_FMA(w[k], in[j], b[k]), y[j], criterion.scale}; \
                const cbp_bend bend = cbp_##name##_loss_bend(end);                                \
                error[j] = weight[j] > 0 ? weight[j] * bend.error : 0;                            \
                push[j] = root[j] * cbp_sqrt(bend.stiff);                                         \
                lack[j] = bend.lack;                                                              \
                excess[j] = bend.excess;                                                          \
            }                                                                                     \
        }                                                                                         \
        break;
        CBP_LOSSES(CASE)
#undef CASE
    default:
        break;
    }
}

/* All that a linear last layer and the squared loss ask for, in one go: the residuals, the columns
 * of w and b, and the push on the layer before; each multiplied by `root`. */
CBP_INLINE void linear_columns(int guarded, const cbp_real *CBP_RESTRICT w,
                               const cbp_real *CBP_RESTRICT b, const cbp_real *CBP_RESTRICT in,
                               const cbp_real *CBP_RESTRICT y, const cbp_real *CBP_RESTRICT root,
                               size_t count, cbp_real *CBP_RESTRICT residual,
                               cbp_real *CBP_RESTRICT by_w, cbp_real *CBP_RESTRICT by_b,
                               cbp_real *CBP_RESTRICT push)
{
    for (size_t start = 0; start < count; start += CBP_LANES) {
        CBP_EACH_LANE
        {
            const size_t j = start + k;
            const cbp_real factor = root[j];
            residual[j] = CBP_PRODUCT(factor, CBP_FMA(w[k], in[j], b[k]) - y[j]);
            by_w[j] = CBP_PRODUCT(factor, in[j]);
            by_b[j] = factor;
            push[j] = CBP_PRODUCT(factor, w[k]);
        }
    }
}

/* delta = push * slope, the push on the layer before, delta * w[k], and delta * in. */
CBP_INLINE void backward_lanes(int guarded, const cbp_real *CBP_RESTRICT w,
                               const cbp_real *CBP_RESTRICT slopes, const cbp_real *CBP_RESTRICT in,
                               size_t count, cbp_real *CBP_RESTRICT push,
                               cbp_real *CBP_RESTRICT delta, cbp_real *CBP_RESTRICT delta_in)
{
    for (size_t start = 0; start < count; start += CBP_LANES) {
        CBP_EACH_LANE
        {
            const size_t j = start + k;
            const cbp_real signal = CBP_PRODUCT(push[j], slopes[j]);
            push[j] = CBP_PRODUCT(signal, w[k]);
            delta[j] = signal;
            delta_in[j] = CBP_PRODUCT(signal, in[j]);
        }
    }
}

/* column *= factor */
CBP_INLINE void multiply_column(int guarded, const cbp_real *CBP_RESTRICT factor, size_t count,
                                cbp_real *CBP_RESTRICT column)
{
    for (size_t j = 0; j < count; j++) {
        column[j] = CBP_PRODUCT(factor[j], column[j]);
    }
}

/* Examples whose lane k goes through a chain of its own, with params[2 layers][CBP_LANES]. */
typedef struct cbp_tile {
    const unsigned char *activations, *frozen;
    size_t layers, free;
    cbp_criterion criterion;
    const cbp_real *params;
    const cbp_real *x, *y, *weight, *root; /* [count], root = sqrt(weight) */
    size_t count;                          /* a multiple of CBP_LANES */
    /* null, or [layers + 1][CBP_FIT_TILE]: act'' of the layers, and the excess of the loss */
    cbp_real *seconds;
} cbp_tile;

/* Whether the last column tells the loss. */
CBP_INLINE int ends_linear(const cbp_tile *tile)
{
    return tile->criterion.loss == CBP_SQUARED &&
           tile->activations[tile->layers - 1] == CBP_IDENTITY;
}

/* How much work memory tile_columns needs. */
#define CBP_TILE_WORK(layers) ((2 * (layers) + 2) * CBP_FIT_TILE)

/* The rows of a tile's examples, as columns of CBP_FIT_TILE numbers: push * d a_L / d param for
 * each parameter that is not frozen, then push * lack; and error, each example's weighted loss,
 * unless that is the square of the last column. */
CBP_INLINE void find_columns(int guarded, const cbp_tile *tile, cbp_real *work, cbp_real *columns,
                             cbp_real *error)
{
    const size_t layers = tile->layers, last = layers - 1, count = tile->count;
    const int is_linear = ends_linear(tile), of_z = is_of_z(tile->criterion.loss);
    cbp_real *a = work, *slopes = a + layers * CBP_FIT_TILE,
             *unwanted = slopes + layers * CBP_FIT_TILE;
    cbp_real *push = unwanted + CBP_FIT_TILE;
    size_t column = tile->free;
    for (size_t l = 0; l < layers - (size_t)is_linear; l++) {
        const cbp_real *w = tile->params + 2 * l * CBP_LANES;
        lanes_jet(tile->activations[l], w, w + CBP_LANES, l ? a + (l - 1) * CBP_FIT_TILE : tile->x,
                  count, a + l * CBP_FIT_TILE, slopes + l * CBP_FIT_TILE,
                  tile->seconds ? tile->seconds + l * CBP_FIT_TILE : NULL);
    }
    const cbp_real *last_w = tile->params + 2 * last * CBP_LANES, *last_b = last_w + CBP_LANES;
    const cbp_real *last_in = last ? a + (last - 1) * CBP_FIT_TILE : tile->x;
    cbp_real *residual = columns + column * CBP_FIT_TILE;
    if (!is_linear) {
        tile_bend(tile->criterion, last_w, last_b, last_in, a + last * CBP_FIT_TILE, tile->y,
                  tile->weight, tile->root, count, error, push, residual,
                  tile->seconds ? tile->seconds + layers * CBP_FIT_TILE : unwanted);
        multiply_column(guarded, push, count, residual);
        for (size_t j = 0; of_z && j < count; j++) {
            slopes[last * CBP_FIT_TILE + j] = 1;
        }
    }
    for (size_t l = layers; l-- > 0 && (column > 0 || (l == last && is_linear));) {
        const int takes_b = !tile->frozen || !tile->frozen[2 * l + 1],
                  takes_w = !tile->frozen || !tile->frozen[2 * l];
        /* has been used */
        cbp_real *to_b = takes_b ? columns + --column * CBP_FIT_TILE : a + l * CBP_FIT_TILE;
        cbp_real *to_w = takes_w ? columns + --column * CBP_FIT_TILE : unwanted;
        if (l == last && is_linear) {
            linear_columns(guarded, last_w, last_b, last_in, tile->y, tile->root, count, residual,
                           to_w, to_b, push);
        } else {
            backward_lanes(guarded, tile->params + 2 * l * CBP_LANES, slopes + l * CBP_FIT_TILE,
                           l ? a + (l - 1) * CBP_FIT_TILE : tile->x, count, push, to_b, to_w);
        }
    }
    for (size_t j = 0; is_linear && error && j < count; j++) {
        error[j] = residual[j] * residual[j];
    }
}

/* `guarded` keeps to the rule that 0 times infinity is 0. */
static void tile_columns(int guarded, const cbp_tile *tile, cbp_real *work, cbp_real *columns,
                         cbp_real *error)
{
    if (guarded) {
        find_columns(1, tile, work, columns, error);
    } else {
        find_columns(0, tile, work, columns, error);
    }
}

/* The scalar product of two columns, lane by lane and then the lanes. */
CBP_INLINE cbp_real product_of(const cbp_real *CBP_RESTRICT a, const cbp_real *CBP_RESTRICT b,
                               size_t count)
{
    cbp_real lane[CBP_LANES] = {0};
    for (size_t start = 0; start < count; start += CBP_LANES) {
        for (size_t k = 0; k < CBP_LANES; k++) {
            lane[k] = CBP_FMA(a[start + k], b[start + k], lane[k]);
        }
    }
    CBP_HALVE(lane, 8)
    CBP_HALVE(lane, 4)
    CBP_HALVE(lane, 2)
    CBP_HALVE(lane, 1)
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
        cbp_real *row = triangle + k * width, *column = columns + k * CBP_FIT_TILE;
        const cbp_real size = product_of(column, column, count);
        /* nothing beside 1; its reciprocal would overflow */
        if (size < CBP_PICK(0x1p-960, 0x1p-100f)) {
            continue;
        }
        const cbp_real norm = cbp_sqrt(CBP_FMA(row[k], row[k], size));
        const cbp_real reflected = row[k] > 0 ? -norm : norm;
        const cbp_real first = row[k] - reflected;
        /* -2 over the square of the reflecting vector */
        const cbp_real scale = 1 / (reflected * first);
        row[k] = reflected;
        for (size_t j = k + 1; j < width; j++) {
            cbp_real *other = columns + j * CBP_FIT_TILE;
            const cbp_real along = CBP_FMA(first, row[j], product_of(column, other, count)) * scale;
            row[j] = CBP_FMA(along, first, row[j]);
            add_multiple(along, column, count, other);
        }
    }
}

/* Householder's reflections take the `count` rows that stand in columns into the upper
 * triangle[width][width] above them: its transpose times itself grows by that of the rows. The
 * columns are used up. */
static void add_rows(size_t width, size_t count, cbp_real *columns, cbp_real *triangle)
{
    if (count == CBP_LANES) { /* the loops of a small fit fold into straight code */
        reflect_rows(width, CBP_LANES, columns, triangle);
    } else {
        reflect_rows(width, count, columns, triangle);
    }
}

/* Takes the rows of another triangle into this one: its transpose times itself grows by that of the
 * other. `columns` has width * CBP_FIT_TILE numbers to work in. */
static void merge_triangles(size_t width, const cbp_real *other, cbp_real *columns,
                            cbp_real *triangle)
{
    for (size_t start = 0; start < width; start += CBP_FIT_TILE) {
        const size_t count = smaller(CBP_FIT_TILE, width - start), lane_count = padded(count);
        for (size_t j = 0; j < width; j++) {
            for (size_t i = 0; i < lane_count; i++) {
                columns[j * CBP_FIT_TILE + i] = i < count ? other[(start + i) * width + j] : 0;
            }
        }
        add_rows(width, lane_count, columns, triangle);
    }
}

/* Whether a column has a NaN among its first `count` numbers. */
static int have_nan(const cbp_real *columns, size_t width, size_t count)
{
    int found = 0;
    for (size_t k = 0; k < width; k++) {
        found |= has_nan(columns + k * CBP_FIT_TILE, count);
    }
    return found;
}

/* Adds all rows to the triangle of free + 1 columns, and the weighted losses to *sum and *lost. */
static void fit_rows(const cbp_chain *chain, cbp_criterion criterion, const unsigned char *frozen,
                     const cbp_real *x, const cbp_real *y, const cbp_real *weight, size_t n,
                     size_t free, cbp_real *work, cbp_real *triangle, cbp_real *sum, cbp_real *lost)
{
    const size_t layers = chain->layers;
    cbp_real input[CBP_FIT_TILE], target[CBP_FIT_TILE], factor[CBP_FIT_TILE], root[CBP_FIT_TILE],
        error[CBP_FIT_TILE] = {0};
    cbp_real lanes[CBP_LANES] = {0};
    cbp_real *params = work, *columns = params + 2 * layers * CBP_LANES,
             *passes = columns + (free + 1) * CBP_FIT_TILE;
    for (size_t k = 0; k < 2 * layers; k++) {
        spread(chain->params[k], params + k * CBP_LANES);
    }
    for (size_t start = 0; start < n; start += CBP_FIT_TILE) {
        const size_t count = smaller(CBP_FIT_TILE, n - start), lane_count = padded(count);
        for (size_t j = 0; j < lane_count; j++) {
            factor[j] = root[j] = 1;
        }
        if (weight) {
            memcpy(factor, weight + start, count * sizeof *factor);
            for (size_t j = 0; j < lane_count; j++) {
                root[j] = cbp_sqrt(factor[j]);
            }
        }
        clear_padding(factor, count);
        clear_padding(root, count);
        const cbp_tile tile = {chain->activations,
                               frozen,
                               layers,
                               free,
                               criterion,
                               params,
                               tile_of(x + start, count, input),
                               tile_of(y + start, count, target),
                               factor,
                               root,
                               lane_count,
                               NULL};
        tile_columns(0, &tile, passes, columns, error);
        /* from 0 * infinity, perhaps: the rare case is worked twice */
        if (have_nan(columns, free + 1, lane_count)) {
            tile_columns(1, &tile, passes, columns, error);
        }
        for (size_t j = 0; j < lane_count; j += CBP_LANES) {
            for (size_t k = 0; k < CBP_LANES; k++) {
                lanes[k] += error[j + k];
            }
        }
        add_rows(free + 1, lane_count, columns, triangle);
        if ((start + count) % CBP_BLOCK == 0 || start + count == n) {
            close_block(1, lanes, sum, lost);
        }
    }
}
