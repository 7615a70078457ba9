/* The rows of a least-squares step: a tile of examples as columns, reflected into a triangle. */

/* Examples whose lane k goes through a chain of its own, with params[2 layers][CBP_LANES]. */
typedef struct cbp_tile {
    const unsigned char *activations, *frozen;
    size_t layers, free;
    cbp_loss criterion;
    const cbp_real *params;
    const cbp_real *x, *y, *weight, *root; /* [count], root = sqrt(weight) */
    size_t count;                          /* a multiple of CBP_LANES */
    /* null, or [layers + 1][CBP_FIT_TILE]: act'' of the layers, and the excess of the loss */
    cbp_real *seconds;
} cbp_tile;

/* w[2][CBP_LANES]: the weight and the bias of layer l of each lane. */
CBP_INLINE const cbp_real *layer_of(const cbp_tile *tile, size_t l)
{
    return tile->params + 2 * l * CBP_LANES;
}

/* What the way through the layers leaves of a tile, and needs. */
typedef struct cbp_tile_pass {
    cbp_real *a, *slopes;          /* [layers][CBP_FIT_TILE] each */
    cbp_real *unwanted, *upstream; /* [CBP_FIT_TILE] each */
} cbp_tile_pass;

/* How much work memory it takes. */
#define CBP_TILE_WORK(layers) ((2 * (layers) + 2) * CBP_FIT_TILE)

CBP_INLINE cbp_tile_pass pass_in(cbp_real *work, size_t layers)
{
    cbp_real *slopes = work + layers * CBP_FIT_TILE, *unwanted = slopes + layers * CBP_FIT_TILE;
    return (cbp_tile_pass){work, slopes, unwanted, unwanted + CBP_FIT_TILE};
}

/* a_(l-1), the input of layer l. */
CBP_INLINE const cbp_real *lanes_input(const cbp_tile *tile, const cbp_tile_pass *pass, size_t l)
{
    return l > 0 ? pass->a + (l - 1) * CBP_FIT_TILE : tile->x;
}

/* The quadratic model of each example's loss, `in` being a_(L-1) and `a` a_L: losses = weight * E,
 * upstream = root * sqrt(curvature), the residual and the excess. */
static void tile_quadratic(const cbp_tile *tile, const cbp_real *CBP_RESTRICT in,
                           const cbp_real *CBP_RESTRICT a, cbp_real *CBP_RESTRICT losses,
                           cbp_real *CBP_RESTRICT upstream, cbp_real *CBP_RESTRICT residual,
                           cbp_real *CBP_RESTRICT excess)
{
    const cbp_real *CBP_RESTRICT w = layer_of(tile, tile->layers - 1),
                                 *CBP_RESTRICT b = w + CBP_LANES, *CBP_RESTRICT y = tile->y,
                                 *CBP_RESTRICT weight = tile->weight,
                                 *CBP_RESTRICT root = tile->root;
    const cbp_real scale = tile->criterion.scale;
    switch (tile->criterion.kind) {
#define CASE(code, name, ...)                                                           \
    case code:                                                                          \
        for (size_t start = 0; start < tile->count; start += CBP_LANES) {               \
            CBP_EACH_LANE                                                               \
            {                                                                           \
                const size_t j = start + k;                                             \
                const cbp_ending end = {a[j], CBP_FMA(w[k], in[j], b[k]), y[j], scale}; \
                const cbp_quadratic model = cbp_##name##_loss_quadratic(end);           \
                losses[j] = weight[j] > 0 ? weight[j] * model.value : 0;                \
                upstream[j] = root[j] * cbp_sqrt(model.curvature);                      \
                residual[j] = model.residual;                                           \
                excess[j] = model.excess;                                               \
            }                                                                           \
        }                                                                               \
        break;
        CBP_LOSSES(CASE)
#undef CASE
    default:
        break;
    }
}

/* All that a linear last layer and the squared loss ask for, in one go: the residuals, the columns
 * of w and b, and the upstream gradient of the layer before; each multiplied by `root`. */
CBP_INLINE void linear_columns(int guarded, const cbp_tile *tile, const cbp_real *CBP_RESTRICT in,
                               cbp_real *CBP_RESTRICT residual, cbp_real *CBP_RESTRICT by_w,
                               cbp_real *CBP_RESTRICT by_b, cbp_real *CBP_RESTRICT upstream)
{
    const cbp_real *CBP_RESTRICT w = layer_of(tile, tile->layers - 1),
                                 *CBP_RESTRICT b = w + CBP_LANES, *CBP_RESTRICT y = tile->y,
                                 *CBP_RESTRICT root = tile->root;
    for (size_t start = 0; start < tile->count; start += CBP_LANES) {
        CBP_EACH_LANE
        {
            const size_t j = start + k;
            const cbp_real factor = root[j];
            residual[j] = CBP_PRODUCT(factor, CBP_FMA(w[k], in[j], b[k]) - y[j]);
            by_w[j] = CBP_PRODUCT(factor, in[j]);
            by_b[j] = factor;
            upstream[j] = CBP_PRODUCT(factor, w[k]);
        }
    }
}

/* by_b = delta = upstream * slope, by_w = delta * in; and upstream = delta * w[k], that of the
 * layer before. */
CBP_INLINE void backward_lanes(int guarded, const cbp_tile *tile, size_t l,
                               const cbp_tile_pass *pass, cbp_real *CBP_RESTRICT by_w,
                               cbp_real *CBP_RESTRICT by_b)
{
    const cbp_real *CBP_RESTRICT w = layer_of(tile, l),
                                 *CBP_RESTRICT slopes = pass->slopes + l * CBP_FIT_TILE,
                                 *CBP_RESTRICT in = lanes_input(tile, pass, l);
    cbp_real *CBP_RESTRICT upstream = pass->upstream;
    for (size_t start = 0; start < tile->count; start += CBP_LANES) {
        CBP_EACH_LANE
        {
            const size_t j = start + k;
            const cbp_real signal = CBP_PRODUCT(upstream[j], slopes[j]);
            upstream[j] = CBP_PRODUCT(signal, w[k]);
            by_b[j] = signal;
            by_w[j] = CBP_PRODUCT(signal, in[j]);
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

/* Whether the last column tells the loss. */
CBP_INLINE int ends_linear(const cbp_tile *tile)
{
    return tile->criterion.kind == CBP_SQUARED &&
           tile->activations[tile->layers - 1] == CBP_IDENTITY;
}

/* The rows of a tile's examples, as columns of CBP_FIT_TILE numbers: upstream * d a_L / d param for
 * each parameter that is not frozen, then upstream * residual; and each example's weighted loss,
 * unless that is the square of the last column. */
CBP_INLINE void find_columns(int guarded, const cbp_tile *tile, cbp_real *work, cbp_real *columns,
                             cbp_real *losses)
{
    const size_t layers = tile->layers, last = layers - 1, count = tile->count;
    const int is_linear = ends_linear(tile), of_z = is_of_z(tile->criterion.kind);
    const cbp_tile_pass pass = pass_in(work, layers);
    size_t column = tile->free;
    cbp_real *residual = columns + column * CBP_FIT_TILE;
    for (size_t l = 0; l < layers - (size_t)is_linear; l++) {
        lanes_jet(tile->activations[l], layer_of(tile, l), lanes_input(tile, &pass, l), count,
                  pass.a + l * CBP_FIT_TILE, pass.slopes + l * CBP_FIT_TILE,
                  tile->seconds ? tile->seconds + l * CBP_FIT_TILE : NULL);
    }
    if (!is_linear) {
        tile_quadratic(tile, lanes_input(tile, &pass, last), pass.a + last * CBP_FIT_TILE, losses,
                       pass.upstream, residual,
                       tile->seconds ? tile->seconds + layers * CBP_FIT_TILE : pass.unwanted);
        multiply_column(guarded, pass.upstream, count, residual);
        for (size_t j = 0; of_z && j < count; j++) {
            pass.slopes[last * CBP_FIT_TILE + j] = 1;
        }
    }
    for (size_t l = layers; l-- > 0 && (column > 0 || (l == last && is_linear));) {
        const int takes_b = !tile->frozen || !tile->frozen[2 * l + 1],
                  takes_w = !tile->frozen || !tile->frozen[2 * l];
        /* a_l has been used */
        cbp_real *by_b = takes_b ? columns + --column * CBP_FIT_TILE : pass.a + l * CBP_FIT_TILE;
        cbp_real *by_w = takes_w ? columns + --column * CBP_FIT_TILE : pass.unwanted;
        if (l == last && is_linear) {
            linear_columns(guarded, tile, lanes_input(tile, &pass, last), residual, by_w, by_b,
                           pass.upstream);
        } else {
            backward_lanes(guarded, tile, l, &pass, by_w, by_b);
        }
    }
    for (size_t j = 0; is_linear && losses && j < count; j++) {
        losses[j] = residual[j] * residual[j];
    }
}

/* `guarded` keeps to the rule that 0 times infinity is 0. */
static void tile_columns(int guarded, const cbp_tile *tile, cbp_real *work, cbp_real *columns,
                         cbp_real *losses)
{
    if (guarded) {
        find_columns(1, tile, work, columns, losses);
    } else {
        find_columns(0, tile, work, columns, losses);
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

/* The weights of the examples from `start` on and their roots, 0 beyond the last. */
static void take_weights(const cbp_examples *examples, size_t start, size_t count,
                         cbp_real *CBP_RESTRICT factor, cbp_real *CBP_RESTRICT root)
{
    const size_t lane_count = padded(count);
    for (size_t j = 0; j < lane_count; j++) {
        factor[j] = root[j] = 1;
    }
    if (examples->weight) {
        memcpy(factor, examples->weight + start, count * sizeof *factor);
        for (size_t j = 0; j < lane_count; j++) {
            root[j] = cbp_sqrt(factor[j]);
        }
    }
    clear_padding(factor, count);
    clear_padding(root, count);
}

/* Adds all rows to a node's triangle of free + 1 columns, and the weighted losses to its second
 * sum. */
static void fit_rows(const cbp_chain *chain, cbp_loss criterion, const cbp_examples *examples,
                     size_t free, cbp_real *work, cbp_real *node)
{
    const size_t layers = chain->layers, n = examples->n;
    cbp_real input[CBP_FIT_TILE], target[CBP_FIT_TILE], factor[CBP_FIT_TILE], root[CBP_FIT_TILE],
        losses[CBP_FIT_TILE] = {0};
    cbp_real lanes[CBP_LANES] = {0}, *sums = node + cbp_fit_sums_at(free);
    cbp_real *params = work, *columns = params + 2 * layers * CBP_LANES,
             *passes = columns + (free + 1) * CBP_FIT_TILE;
    for (size_t k = 0; k < 2 * layers; k++) {
        spread(chain->params[k], params + k * CBP_LANES);
    }
    for (size_t start = 0; start < n; start += CBP_FIT_TILE) {
        const size_t count = smaller(CBP_FIT_TILE, n - start), lane_count = padded(count);
        take_weights(examples, start, count, factor, root);
        const cbp_tile tile = {.activations = chain->activations,
                               .frozen = chain->frozen,
                               .layers = layers,
                               .free = free,
                               .criterion = criterion,
                               .params = params,
                               .x = tile_of(examples->x + start, count, input),
                               .y = tile_of(examples->y + start, count, target),
                               .weight = factor,
                               .root = root,
                               .count = lane_count};
        tile_columns(0, &tile, passes, columns, losses);
        /* from 0 * infinity, perhaps: the rare case is worked twice */
        if (have_nan(columns, free + 1, lane_count)) {
            tile_columns(1, &tile, passes, columns, losses);
        }
        for (size_t j = 0; j < lane_count; j += CBP_LANES) {
            for (size_t k = 0; k < CBP_LANES; k++) {
                lanes[k] += losses[j + k];
            }
        }
        add_rows(free + 1, lane_count, columns, node);
        if ((start + count) % CBP_BLOCK == 0 || start + count == n) {
            close_block(1, lanes, &sums[1], &sums[5]);
        }
    }
}
