/* Sums over examples: of the loss, and of its gradient. */

/* Eight numbers, added in pairs: one lane of a tile. */
#define CBP_LANE_SUM(term) \
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
#define DELTA(i)                                                                   \
    const cbp_real delta##i = CBP_PRODUCT(push[CBP_LANE(i)], slopes[CBP_LANE(i)]); \
    next[CBP_LANE(i)] = CBP_PRODUCT(delta##i, w);
#define TERM_W(i) CBP_PRODUCT(delta##i, in[CBP_LANE(i)])
#define TERM_B(i) delta##i
    for (size_t k = 0; k < CBP_LANES; k++) {
        DELTA(0)
        DELTA(1)
        DELTA(2)
        DELTA(3)
        DELTA(4)
        DELTA(5)
        DELTA(6)
        DELTA(7)
        lanes_w[k] += CBP_LANE_SUM(TERM_W);
        lanes_b[k] += CBP_LANE_SUM(TERM_B);
    }
#undef DELTA
#undef TERM_W
#undef TERM_B
}

/* The same for the first `count` lanes of a tile, by way of terms_w and terms_b, which are 0 beyond
 * them: a 0 more in a sum changes no bit of it. */
CBP_INLINE void add_part_of_layer(int guarded, cbp_real w, const cbp_real *CBP_RESTRICT slopes,
                                  const cbp_real *CBP_RESTRICT in, size_t count,
                                  const cbp_real *CBP_RESTRICT push, cbp_real *CBP_RESTRICT next,
                                  cbp_real *CBP_RESTRICT terms_w, cbp_real *CBP_RESTRICT terms_b,
                                  cbp_real *CBP_RESTRICT lanes_w, cbp_real *CBP_RESTRICT lanes_b)
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

/* The sums of one block, row by row of `lanes`, join the totals, and the lanes start again at 0. */
static void close_block(size_t rows, cbp_real *lanes, cbp_real *sums, cbp_real *lost)
{
    for (size_t row = 0; row < rows; row++) {
        cbp_real *lane = lanes + row * CBP_LANES;
        CBP_HALVE(lane, 8)
        CBP_HALVE(lane, 4)
        CBP_HALVE(lane, 2)
        CBP_HALVE(lane, 1)
        cbp_add(&sums[row], &lost[row], lane[0]);
        memset(lane, 0, CBP_LANES * sizeof *lane);
    }
}

/* Multiplies `error` and `push` (may be null) by the weights, clears their padding, and adds weight
 * and error, which is 0 beyond the padding. */
static void weigh_tile(const cbp_real *weight, size_t count, cbp_real *error, cbp_real *push,
                       cbp_real *lanes)
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

static void loss_sums(const cbp_chain *chain, cbp_criterion criterion, const cbp_real *x,
                      const cbp_real *y, const cbp_real *weight, size_t n, cbp_real *sums,
                      cbp_real *lost)
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
            layer_value(chain->activations[l], chain->params[2 * l], chain->params[2 * l + 1],
                        before, padded(count), tiles[~l & 1]);
        }
        tile_loss(criterion, chain->params[2 * last], chain->params[2 * last + 1], before, in,
                  tile_of(y + start, count, target), padded(count), error, push);
        weigh_tile(weight ? weight + start : NULL, count, error, NULL, lanes);
        if ((start + count) % CBP_BLOCK == 0 || start + count == n) {
            close_block(2, lanes, sums, lost);
        }
    }
}

/* Examples of one block, whose sums go to `lanes`: row 0 the weight, row 1 the loss, then w1, b1,
 * .... `guarded` keeps to the rule that 0 times infinity is 0. */
CBP_INLINE void add_block(int guarded, const cbp_chain *chain, cbp_criterion criterion,
                          const cbp_real *x, const cbp_real *y, const cbp_real *weight, size_t n,
                          cbp_real *work, cbp_real *lanes)
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
            const cbp_real w = chain->params[2 * l], *in = l ? a + l * CBP_TILE : input,
                           *slope = slopes + l * CBP_TILE;
            const cbp_real *from = push[~l & 1];
            cbp_real *to = push[l & 1], *lanes_w = lanes + (2 * l + 2) * CBP_LANES,
                     *lanes_b = lanes_w + CBP_LANES;
            if (count == CBP_TILE) {
                add_layer(guarded, w, slope, in, from, to, lanes_w, lanes_b);
            } else {
                add_part_of_layer(guarded, w, slope, in, padded(count), from, to, terms[0],
                                  terms[1], lanes_w, lanes_b);
            }
        }
    }
}

static void gradient_sums(const cbp_chain *chain, cbp_criterion criterion, const cbp_real *x,
                          const cbp_real *y, const cbp_real *weight, size_t n, cbp_real *work,
                          cbp_real *sums, cbp_real *lost)
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
