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

/* A layer on the way back through a tile: its weight, act'(z), its input, dE/da_l, and where
 * dE/da_(l-1) goes. */
typedef struct cbp_tile_layer {
    cbp_real w;
    const cbp_real *slopes, *in, *upstream;
    cbp_real *next;
} cbp_tile_layer;

/* For a whole tile, the lane sums of dE/dw = delta in and dE/db = delta, where delta = upstream *
 * slope; and next = delta w. */
CBP_INLINE void add_layer(int guarded, const cbp_tile_layer *layer, cbp_real *CBP_RESTRICT lanes_w,
                          cbp_real *CBP_RESTRICT lanes_b)
{
    const cbp_real w = layer->w, *CBP_RESTRICT slopes = layer->slopes, *CBP_RESTRICT in = layer->in,
                   *CBP_RESTRICT upstream = layer->upstream;
    cbp_real *CBP_RESTRICT next = layer->next;
#define DELTA(i)                                                                       \
    const cbp_real delta##i = CBP_PRODUCT(upstream[CBP_LANE(i)], slopes[CBP_LANE(i)]); \
    next[CBP_LANE(i)] = CBP_PRODUCT(delta##i, w);
#define TERM_W(i) CBP_PRODUCT(delta##i, in[CBP_LANE(i)])
#define TERM_B(i) delta##i
    CBP_EACH_LANE
    {
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

/* The same for the first `count` lanes of a tile, by way of terms[2][CBP_TILE], which are 0 beyond
 * them. */
CBP_INLINE void add_part_of_layer(int guarded, const cbp_tile_layer *layer, size_t count,
                                  cbp_real *terms, cbp_real *lanes_w, cbp_real *lanes_b)
{
    const cbp_real w = layer->w, *CBP_RESTRICT slopes = layer->slopes, *CBP_RESTRICT in = layer->in,
                   *CBP_RESTRICT upstream = layer->upstream;
    cbp_real *CBP_RESTRICT next = layer->next, *CBP_RESTRICT terms_w = terms,
                           *CBP_RESTRICT terms_b = terms + CBP_TILE;
    for (size_t start = 0; start < count; start += CBP_LANES) {
        CBP_EACH_LANE
        {
            const size_t j = start + k;
            const cbp_real delta = CBP_PRODUCT(upstream[j], slopes[j]);
            next[j] = CBP_PRODUCT(delta, w);
            terms_w[j] = CBP_PRODUCT(delta, in[j]);
            terms_b[j] = delta;
        }
    }
    add_tile(terms_w, lanes_w);
    add_tile(terms_b, lanes_b);
}

/* The sums of one block, row by row of `lanes`, join the totals, and the lanes start again at 0. */
static void close_block(size_t rows, cbp_real *lanes, cbp_real *sums, cbp_real *compensation)
{
    for (size_t row = 0; row < rows; row++) {
        cbp_real *lane = lanes + row * CBP_LANES;
        CBP_HALVE(lane, 8)
        CBP_HALVE(lane, 4)
        CBP_HALVE(lane, 2)
        CBP_HALVE(lane, 1)
        cbp_add(&sums[row], &compensation[row], lane[0]);
        memset(lane, 0, CBP_LANES * sizeof *lane);
    }
}

/* Multiplies the losses and `upstream` (may be null) by the weights, clears their padding, and adds
 * up weights and losses; these are 0 beyond the padding. */
static void weigh_tile(const cbp_real *weight, size_t count, cbp_real *losses, cbp_real *upstream,
                       cbp_real *lanes)
{
    if (weight) {
        cbp_real factor[CBP_TILE] = {0};
        memcpy(factor, weight, count * sizeof *factor);
        for (size_t j = 0; j < padded(count); j++) {
            losses[j] *= factor[j];
        }
        for (size_t j = 0; upstream && j < padded(count); j++) {
            upstream[j] *= factor[j];
        }
        add_tile(factor, lanes);
    } else {
        lanes[0] += (cbp_real)count;
    }
    clear_padding(losses, count);
    if (upstream) {
        clear_padding(upstream, count);
    }
    add_tile(losses, lanes + CBP_LANES);
}

static void loss_sums(const cbp_chain *chain, cbp_loss criterion, const cbp_examples *examples,
                      cbp_real *sums, cbp_real *compensation)
{
    const size_t n = examples->n;
    cbp_real tiles[2][CBP_TILE], target[CBP_TILE], losses[CBP_TILE], upstream[CBP_TILE];
    cbp_real lanes[2 * CBP_LANES] = {0};
    for (size_t start = 0; start < n; start += CBP_TILE) {
        const size_t count = smaller(CBP_TILE, n - start);
        const cbp_real *in = tile_of(examples->x + start, count, tiles[0]), *before = in;
        if (count < CBP_TILE) {
            memset(losses, 0, sizeof losses);
        }
        for (size_t l = 0; l < chain->layers; l++) {
            before = in;
            in = tiles[~l & 1];
            layer_value(chain->activations[l], chain->params[2 * l], chain->params[2 * l + 1],
                        before, padded(count), tiles[~l & 1]);
        }
        const cbp_tile_end end = {before, in, tile_of(examples->y + start, count, target), losses,
                                  upstream};
        tile_loss(chain, criterion, padded(count), &end);
        weigh_tile(examples->weight ? examples->weight + start : NULL, count, losses, NULL, lanes);
        if ((start + count) % CBP_BLOCK == 0 || start + count == n) {
            close_block(2, lanes, sums, compensation);
        }
    }
}

/* Examples of one block, whose sums go to `lanes`: row 0 the weight, row 1 the loss, then w1, b1,
 * .... `guarded` keeps to the rule that 0 times infinity is 0. */
CBP_INLINE void add_block(int guarded, const cbp_chain *chain, cbp_loss criterion,
                          const cbp_examples *block, cbp_real *work, cbp_real *lanes)
{
    cbp_real *a = work, *slopes = a + (chain->layers + 1) * CBP_TILE;
    cbp_real losses[CBP_TILE], upstream[2][CBP_TILE], terms[2 * CBP_TILE];
    for (size_t start = 0; start < block->n; start += CBP_TILE) {
        const size_t count = smaller(CBP_TILE, block->n - start);
        const cbp_real *input = forward_tile(chain, block->x + start, count, a, slopes);
        const cbp_tile_end end = {input_of(a, input, chain->layers - 1),
                                  a + chain->layers * CBP_TILE, block->y + start, losses,
                                  upstream[chain->layers & 1]};
        if (count < CBP_TILE) {
            memset(losses, 0, sizeof losses);
            memset(terms, 0, sizeof terms);
        }
        start_backward(chain, criterion, count, &end, slopes);
        weigh_tile(block->weight ? block->weight + start : NULL, count, losses, end.upstream,
                   lanes);
        for (size_t l = chain->layers; l-- > 0;) {
            const cbp_tile_layer layer = {chain->params[2 * l], slopes + l * CBP_TILE,
                                          input_of(a, input, l), upstream[~l & 1], upstream[l & 1]};
            cbp_real *lanes_w = lanes + (2 * l + 2) * CBP_LANES, *lanes_b = lanes_w + CBP_LANES;
            if (count == CBP_TILE) {
                add_layer(guarded, &layer, lanes_w, lanes_b);
            } else {
                add_part_of_layer(guarded, &layer, padded(count), terms, lanes_w, lanes_b);
            }
        }
    }
}

static void gradient_sums(const cbp_chain *chain, cbp_loss criterion, const cbp_examples *examples,
                          cbp_real *work, cbp_real *sums, cbp_real *compensation)
{
    const size_t rows = 2 * chain->layers + 2, len = rows * CBP_LANES, n = examples->n;
    cbp_real *lanes = work + (2 * chain->layers + 1) * CBP_TILE;
    memset(lanes, 0, len * sizeof *lanes);
    for (size_t start = 0; start < n; start += CBP_BLOCK) {
        const cbp_examples block = {examples->x + start, examples->y + start,
                                    examples->weight ? examples->weight + start : NULL,
                                    smaller(CBP_BLOCK, n - start)};
        add_block(0, chain, criterion, &block, work, lanes);
        if (has_nan(lanes, len)) { /* from 0 * infinity, perhaps: the rare case is worked twice */
            memset(lanes, 0, len * sizeof *lanes);
            add_block(1, chain, criterion, &block, work, lanes);
        }
        close_block(rows, lanes, sums, compensation);
    }
}
