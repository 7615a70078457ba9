/* Many fits at once, one chain in each lane: the pass over the examples, which leaves the normal
 * equations of each. */

/* Half of the lanes: the sums of all products of six columns then stay in the registers of the
 * widest vectors, and those of one column with six in the registers of any. */
#define CBP_HALF_LANES ((CBP_LANES + 1) / 2)
#define CBP_EACH_OF_HALF CBP_EACH_OF(CBP_HALF_LANES, 1)
#define CBP_COLUMNS 6

#define CBP_ROW_0(X, i) X(i, 0)
#define CBP_ROW_1(X, i) CBP_ROW_0(X, i) X(i, 1)
#define CBP_ROW_2(X, i) CBP_ROW_1(X, i) X(i, 2)
#define CBP_ROW_3(X, i) CBP_ROW_2(X, i) X(i, 3)
#define CBP_ROW_4(X, i) CBP_ROW_3(X, i) X(i, 4)
#define CBP_ROW_5(X, i) CBP_ROW_4(X, i) X(i, 5)
#define CBP_PAIRS_1(X) CBP_ROW_0(X, 0)
#define CBP_PAIRS_2(X) CBP_PAIRS_1(X) CBP_ROW_1(X, 1)
#define CBP_PAIRS_3(X) CBP_PAIRS_2(X) CBP_ROW_2(X, 2)
#define CBP_PAIRS_4(X) CBP_PAIRS_3(X) CBP_ROW_3(X, 3)
#define CBP_PAIRS_5(X) CBP_PAIRS_4(X) CBP_ROW_4(X, 4)
#define CBP_PAIRS_6(X) CBP_PAIRS_5(X) CBP_ROW_5(X, 5)

#define START(i, j) cbp_real sum_##i##_##j[CBP_HALF_LANES] = {0};
#define MULTIPLY(i, j)                                                                            \
    sum_##i##_##j[k] = CBP_FMA(left[i * CBP_FIT_TILE + at + k], right[j * CBP_FIT_TILE + at + k], \
                               sum_##i##_##j[k]);
#define FINISH(i, j) sums[(i * (i + 1) / 2 + j) * CBP_LANES + half + k] += sum_##i##_##j[k];
#define CASE(number, PRODUCTS)                                            \
    case number:                                                          \
        for (size_t half = 0; half < CBP_LANES; half += CBP_HALF_LANES) { \
            PRODUCTS(START)                                               \
            for (size_t at = half; at < count; at += CBP_LANES) {         \
                CBP_EACH_OF_HALF                                          \
                {                                                         \
                    PRODUCTS(MULTIPLY)                                    \
                }                                                         \
            }                                                             \
            CBP_EACH_OF_HALF                                              \
            {                                                             \
                PRODUCTS(FINISH)                                          \
            }                                                             \
        }                                                                 \
        break;

/* sums += the products of all pairs of `number` columns, packed, over the examples of each lane. */
static void add_all_products(const cbp_real *CBP_RESTRICT left, size_t number, size_t count,
                             cbp_real *CBP_RESTRICT sums)
{
    const cbp_real *right = left;
    switch (number) {
        CASE(2, CBP_PAIRS_2)
        CASE(3, CBP_PAIRS_3)
        CASE(4, CBP_PAIRS_4)
        CASE(5, CBP_PAIRS_5)
        CASE(6, CBP_PAIRS_6)
    default:
        break;
    }
}

#define CBP_ONE_ROW_1(X) CBP_ROW_0(X, 0)
#define CBP_ONE_ROW_2(X) CBP_ROW_1(X, 0)
#define CBP_ONE_ROW_3(X) CBP_ROW_2(X, 0)
#define CBP_ONE_ROW_4(X) CBP_ROW_3(X, 0)
#define CBP_ONE_ROW_5(X) CBP_ROW_4(X, 0)
#define CBP_ONE_ROW_6(X) CBP_ROW_5(X, 0)

/* The same for one column and `number` others. */
static void add_products(const cbp_real *CBP_RESTRICT left, const cbp_real *CBP_RESTRICT right,
                         size_t number, size_t count, cbp_real *CBP_RESTRICT sums)
{
    switch (number) {
        CASE(1, CBP_ONE_ROW_1)
        CASE(2, CBP_ONE_ROW_2)
        CASE(3, CBP_ONE_ROW_3)
        CASE(4, CBP_ONE_ROW_4)
        CASE(5, CBP_ONE_ROW_5)
        CASE(6, CBP_ONE_ROW_6)
    default:
        break;
    }
}
#undef START
#undef MULTIPLY
#undef FINISH
#undef CASE

/* The products of `number` columns from the one numbered `first` on with all columns up to
 * themselves, packed, to sums. */
static void add_rows_of_products(const cbp_real *left, const cbp_real *columns, size_t first,
                                 size_t number, size_t count, cbp_real *sums)
{
    for (size_t i = first; i < first + number; i++, left += CBP_FIT_TILE) {
        for (size_t j = 0; j <= i; j += CBP_COLUMNS) {
            add_products(left, columns + j * CBP_FIT_TILE, smaller(CBP_COLUMNS, i + 1 - j), count,
                         sums + packed(i, j));
        }
    }
}

/* What the second-order terms of a layer are made of: the residuals, act'', act', the column of its
 * bias, and its columns of parameters that are not frozen; and what is summed up over the layers,
 * and what is left to multiply. */
typedef struct cbp_curved_layer {
    const cbp_real *residual, *second, *slope, *upstream, *columns;
    cbp_real *sum, *left; /* [CBP_FIT_TILE], [2][CBP_FIT_TILE] */
} cbp_curved_layer;

/* sum (+)= residual (act'' / act') / upstream, or nothing where there is no such number; and left =
 * sum times each of the layer's columns. */
CBP_INLINE void curve_layer(int is_first, size_t number, size_t count,
                            const cbp_curved_layer *layer)
{
    const cbp_real *CBP_RESTRICT residual = layer->residual, *CBP_RESTRICT second = layer->second,
                                 *CBP_RESTRICT slope = layer->slope,
                                 *CBP_RESTRICT upstream = layer->upstream,
                                 *CBP_RESTRICT columns = layer->columns;
    cbp_real *CBP_RESTRICT sum = layer->sum, *CBP_RESTRICT left = layer->left;
    for (size_t start = 0; start < count; start += CBP_LANES) {
        CBP_EACH_LANE
        {
            const size_t j = start + k;
            const cbp_real term = residual[j] * second[j] / (slope[j] * upstream[j]);
            const cbp_real own = term - term == 0 ? term : 0, total = is_first ? own : sum[j] + own;
            sum[j] = total;
            if (number > 0) {
                left[j] = total * columns[j];
            }
            if (number > 1) {
                left[CBP_FIT_TILE + j] = total * columns[CBP_FIT_TILE + j];
            }
        }
    }
}

/* Whether the curvature of a loss is another than what its least-squares step has in its place. */
static int has_excess(int loss)
{
    switch (loss) {
#define CASE(code, name, target_low, target_high, dispersion, has_scale, is_robust, of_z, excess) \
    case code:                                                                                    \
        return excess;
        CBP_LOSSES(CASE)
#undef CASE
    default:
        return 0;
    }
}

/* Adds the second-order terms of a tile to packed sums: the sum of residual * d^2 a_L / dp dq. With
 * p in layer i and q in layer j >= i it is that of the products of their columns, each times
 *   sum over l >= j of  residual act''_l / (act'_l upstream_l),
 * upstream_l being the column of l's bias; and where q is a weight, p's slope over q is missing
 * yet: finish_second_order. The columns are those of tile_columns, whose work memory `passes`
 * was. */
static void add_second_order(const cbp_tile *tile, const cbp_real *columns, const cbp_real *passes,
                             cbp_real *work, cbp_real *sums)
{
    const size_t layers = tile->layers, count = tile->count;
    const int of_z = is_of_z(tile->criterion.kind);
    cbp_curved_layer layer = {
        .residual = columns + tile->free * CBP_FIT_TILE, .sum = work, .left = work + CBP_FIT_TILE};
    size_t column = tile->free;
    int is_curved = has_excess(tile->criterion.kind);
    if (is_curved) {
        memcpy(layer.sum, tile->seconds + layers * CBP_FIT_TILE, count * sizeof *layer.sum);
    }
    for (size_t l = layers; l-- > 0;) {
        const int takes_b = !tile->frozen || !tile->frozen[2 * l + 1],
                  takes_w = !tile->frozen || !tile->frozen[2 * l];
        const size_t number = (size_t)takes_b + (size_t)takes_w;
        layer.upstream =
            takes_b ? columns + (column - 1) * CBP_FIT_TILE : passes + l * CBP_FIT_TILE;
        layer.second = tile->seconds + l * CBP_FIT_TILE;
        layer.slope = passes + (layers + l) * CBP_FIT_TILE;
        column -= number;
        layer.columns = columns + column * CBP_FIT_TILE;
        if (!is_curved && (tile->activations[l] == CBP_IDENTITY || (of_z && l == layers - 1))) {
            continue;
        }
        switch (2 * number + (size_t)is_curved) {
#define CASE(code, is_first, number)                  \
    case code:                                        \
        curve_layer(is_first, number, count, &layer); \
        break;
            CASE(0, 1, 0)
            CASE(1, 0, 0)
            CASE(2, 1, 1)
            CASE(3, 0, 1)
            CASE(4, 1, 2)
            CASE(5, 0, 2)
#undef CASE
        default:
            break;
        }
        is_curved = 1;
        add_rows_of_products(layer.left, columns, column, number, count, sums);
    }
}

/* With z = w a + b and p before w, d^2 z / dp dw is da / dp: over all examples p's slope over w. */
static void finish_second_order(cbp_lanes *g)
{
    const size_t free = g->free;
    for (size_t i = 1; i < free; i++) {
        const size_t place = g->places[i];
        const cbp_real *CBP_RESTRICT weight = g->trial + place * CBP_LANES;
        for (size_t j = 0; place % 2 == 0 && j < i; j++) {
            const cbp_real *CBP_RESTRICT slope = g->trial_normal + packed(free, j);
            cbp_real *CBP_RESTRICT second_order = g->trial_second_order + packed(i, j);
            CBP_EACH_LANE
            {
                second_order[k] += weight[k] == 0 ? 0 : slope[k] / weight[k];
            }
        }
    }
}

/* trial_normal, trial_second_order and trial_loss: row i, column j of the normal equations is the
 * product of columns i and j, where column `free` is the residuals. */
static void add_normal(int guarded, cbp_lanes *g)
{
    const size_t free = g->free, all = g->n * CBP_LANES, layers = g->layers;
    cbp_real *columns = g->work, *passes = columns + (free + 1) * CBP_FIT_TILE,
             *seconds = passes + CBP_TILE_WORK(layers);
    cbp_real losses[CBP_FIT_TILE];
    int is_linear = 0;
    for (size_t i = 0; i < packed(free + 1, 0); i += CBP_LANES) {
        spread(0, g->trial_normal + i);
    }
    for (size_t i = 0; i < packed(free, 0); i += CBP_LANES) {
        spread(0, g->trial_second_order + i);
    }
    spread(0, g->trial_loss);
    for (size_t start = 0; start < all; start += CBP_FIT_TILE) {
        const size_t count = smaller(CBP_FIT_TILE, all - start);
        const cbp_tile tile = {g->activations,    g->frozen,       layers,       free,
                               g->criterion,      g->trial,        g->x + start, g->y + start,
                               g->weight + start, g->root + start, count,        seconds};
        is_linear = ends_linear(&tile);
        tile_columns(guarded, &tile, passes, columns, is_linear ? NULL : losses);
        for (size_t j = 0; !is_linear && j < count; j += CBP_LANES) {
            CBP_EACH_LANE
            {
                g->trial_loss[k] += losses[j + k];
            }
        }
        if (CBP_HAS_WIDE_VECTORS && free < CBP_COLUMNS) {
            add_all_products(columns, free + 1, count, g->trial_normal);
        } else {
            add_rows_of_products(columns, columns, 0, free + 1, count, g->trial_normal);
        }
        add_second_order(&tile, columns, passes, seconds + (layers + 1) * CBP_FIT_TILE,
                         g->trial_second_order);
    }
    finish_second_order(g);
    if (is_linear) {
        memcpy(g->trial_loss, g->trial_normal + packed(free, free), sizeof g->trial_loss);
    }
}

/* 0 for each lane of which the loss and all columns are finite, else NaN. */
static void find_nan(const cbp_lanes *g, cbp_real *CBP_RESTRICT is_nan)
{
    CBP_EACH_LANE
    {
        is_nan[k] = g->trial_loss[k] - g->trial_loss[k];
    }
    for (size_t j = 0; j <= g->free; j++) {
        const cbp_real *diagonal = g->trial_normal + packed(j, j);
        CBP_EACH_LANE
        {
            is_nan[k] += diagonal[k] - diagonal[k];
        }
    }
}
