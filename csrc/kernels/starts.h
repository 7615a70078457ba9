/* Where many fits start, one in each lane: the candidate that leaves the least, or what lies
 * between it and its neighbours. */

/* features[n][CBP_LANES]: what the first `depth` layers, with params[2 depth][CBP_LANES], make of
 * each lane's inputs. */
static void find_features(const cbp_lanes *g, size_t depth, const cbp_real *params,
                          cbp_real *features)
{
    const size_t all = g->n * CBP_LANES;
    cbp_real in[CBP_FIT_TILE], slopes[CBP_FIT_TILE];
    memcpy(features, g->x, all * sizeof *features);
    for (size_t l = 0; l < depth; l++) {
        const cbp_real *w = params + 2 * l * CBP_LANES;
        for (size_t start = 0; start < all; start += CBP_FIT_TILE) {
            const size_t count = smaller(CBP_FIT_TILE, all - start);
            memcpy(in, features + start, count * sizeof *in);
            lanes_jet(g->activations[l], w, in, count, features + start, slopes, NULL);
        }
    }
}

/* How well a feature f meets the targets of each lane. */
typedef struct cbp_match {
    cbp_row total, sum, squares; /* of weights; of weight y; of weight y^2 */
    /* of f; sums of weight d y and weight d^2, d = f - mean, where the mean counts as 0 if the last
     * bias is given */
    cbp_row mean, along, size;
} cbp_match;

static void add_targets(const cbp_lanes *g, cbp_match *m)
{
    spread(0, m->total);
    spread(0, m->sum);
    spread(0, m->squares);
    for (size_t i = 0; i < g->n * CBP_LANES; i += CBP_LANES) {
        const cbp_real *CBP_RESTRICT weight = g->weight + i, *CBP_RESTRICT y = g->y + i;
        CBP_EACH_LANE
        {
            m->total[k] += weight[k];
            m->sum[k] = CBP_FMA(weight[k], y[k], m->sum[k]);
            m->squares[k] = CBP_FMA(weight[k] * y[k], y[k], m->squares[k]);
        }
    }
}

static void add_feature(const cbp_lanes *g, const cbp_real *features, int is_centred, cbp_match *m)
{
    spread(0, m->mean);
    spread(0, m->along);
    spread(0, m->size);
    for (size_t i = 0; is_centred && i < g->n * CBP_LANES; i += CBP_LANES) {
        const cbp_real *CBP_RESTRICT f = features + i, *CBP_RESTRICT weight = g->weight + i;
        CBP_EACH_LANE
        {
            m->mean[k] += weight[k] > 0 ? weight[k] * f[k] : 0;
        }
    }
    CBP_EACH_LANE
    {
        m->mean[k] = is_centred ? m->mean[k] / m->total[k] : 0;
    }
    for (size_t i = 0; i < g->n * CBP_LANES; i += CBP_LANES) {
        const cbp_real *CBP_RESTRICT f = features + i, *CBP_RESTRICT y = g->y + i,
                                     *CBP_RESTRICT weight = g->weight + i;
        CBP_EACH_LANE
        {
            const cbp_real apart = weight[k] > 0 ? f[k] - m->mean[k] : 0, part = weight[k] * apart;
            m->along[k] = CBP_FMA(part, y[k], m->along[k]);
            m->size[k] += part * apart;
        }
    }
    CBP_EACH_LANE
    {
        m->size[k] = cbp_size_of_feature(m->size[k], m->mean[k], m->total[k]);
    }
}

/* By how much a feature makes the sum of squares less: weight (2 along - weight size), which is
 * along^2 / size at the best weight, along / size. */
CBP_INLINE cbp_real gain_of(const cbp_lane_candidates *c, cbp_real along, cbp_real size,
                            cbp_real inverse)
{
    const cbp_real weight = cbp_clamp(along * inverse, c->low_w, c->high_w);
    return weight * (2 * along - weight * size);
}

static void find_gain(const cbp_lane_candidates *c, const cbp_match *CBP_RESTRICT m,
                      cbp_real *CBP_RESTRICT gains)
{
    CBP_EACH_LANE
    {
        gains[k] =
            gain_of(c, m->along[k], m->size[k], c->solves_w && m->size[k] > 0 ? 1 / m->size[k] : 0);
    }
}

/* c->gains, where all lanes share the inputs and all weights are 1: a few candidates at a time,
 * whose sums stay in registers and add up as in add_feature. */
static void find_shared_gains(const cbp_lanes *g, const cbp_lane_candidates *c)
{
    const size_t n = g->n;
    for (size_t number = 0; number < c->count; number += CBP_CANDIDATES) {
        const cbp_real *f0 = c->centred + number * n, *f1 = f0 + n, *f2 = f1 + n, *f3 = f2 + n;
        const cbp_real *size = c->sizes + number, *inverse = c->inverses + number;
        for (size_t half = 0; half < CBP_LANES; half += CBP_HALF_LANES) {
            cbp_real *CBP_RESTRICT gains = c->gains + number * CBP_LANES + half;
            cbp_real sum0[CBP_HALF_LANES] = {0}, sum1[CBP_HALF_LANES] = {0};
            cbp_real sum2[CBP_HALF_LANES] = {0}, sum3[CBP_HALF_LANES] = {0};
            for (size_t i = 0; i < n; i++) {
                const cbp_real *CBP_RESTRICT y = g->y + i * CBP_LANES + half;
                CBP_EACH_OF_HALF
                {
                    sum0[k] = CBP_FMA(f0[i], y[k], sum0[k]);
                    sum1[k] = CBP_FMA(f1[i], y[k], sum1[k]);
                    sum2[k] = CBP_FMA(f2[i], y[k], sum2[k]);
                    sum3[k] = CBP_FMA(f3[i], y[k], sum3[k]);
                }
            }
            CBP_EACH_OF_HALF
            {
                gains[k] = gain_of(c, sum0[k], size[0], inverse[0]);
                gains[CBP_LANES + k] = gain_of(c, sum1[k], size[1], inverse[1]);
                gains[2 * CBP_LANES + k] = gain_of(c, sum2[k], size[2], inverse[2]);
                gains[3 * CBP_LANES + k] = gain_of(c, sum3[k], size[3], inverse[3]);
            }
        }
    }
}

/* c->gains, where lanes have inputs or weights of their own. */
static void find_own_gains(const cbp_lanes *g, const cbp_lane_candidates *c, cbp_match *m)
{
    for (size_t number = 0; number < c->count; number++) {
        const cbp_real *params = c->params + number * c->width;
        if (c->features) {
            for (size_t i = 0; i < g->n; i++) {
                spread(c->features[number * g->n + i], c->own_features + i * CBP_LANES);
            }
        } else {
            for (size_t k = 0; k < 2 * c->depth; k++) {
                spread(params[k], g->trial + k * CBP_LANES);
            }
            find_features(g, c->depth, g->trial, c->own_features);
        }
        add_feature(g, c->own_features, c->solves_b, m);
        find_gain(c, m, c->gains + number * CBP_LANES);
    }
}

/* c->gains, where all lanes have the same examples: a candidate in each lane, as many at a time as
 * there are lanes. The sums add up as in find_own_gains. */
static void find_gains_of_one(const cbp_lanes *g, const cbp_lane_candidates *c, cbp_match *m)
{
    cbp_row gains;
    for (size_t first = 0; first < c->count; first += CBP_LANES) {
        const size_t left = c->count - first, count = smaller(CBP_LANES, left);
        for (size_t j = 0; j < CBP_LANES; j++) {
            const cbp_real *params = c->params + (first + (j < count ? j : 0)) * c->width;
            for (size_t k = 0; k < 2 * c->depth; k++) {
                g->trial[k * CBP_LANES + j] = params[k];
            }
        }
        find_features(g, c->depth, g->trial, c->own_features);
        add_feature(g, c->own_features, c->solves_b, m);
        find_gain(c, m, gains);
        for (size_t j = 0; j < count; j++) {
            spread(gains[j], c->gains + (first + j) * CBP_LANES);
        }
    }
}

/* For each lane the first candidate of the greatest gain, -1 if none is finite, and that gain. */
static void find_best(const cbp_lane_candidates *c, cbp_real *CBP_RESTRICT chosen,
                      cbp_real *CBP_RESTRICT best)
{
    /* from one to the other and back: gcc would make a conditional store, with a jump, of a choice
     * in place */
    cbp_row most[2], names[2];
    spread(-CBP_INFINITY, most[0]);
    spread(-1, names[0]);
    for (size_t number = 0; number < c->count; number++) {
        const cbp_real *CBP_RESTRICT gains = c->gains + number * CBP_LANES, name = (cbp_real)number;
        const cbp_real *CBP_RESTRICT so_far = most[number & 1],
                                     *CBP_RESTRICT name_so_far = names[number & 1];
        cbp_real *CBP_RESTRICT better = most[~number & 1],
                               *CBP_RESTRICT name_of_better = names[~number & 1];
        CBP_EACH_LANE
        {
            better[k] = gains[k] > so_far[k] ? gains[k] : so_far[k];
            name_of_better[k] = gains[k] > so_far[k] ? name : name_so_far[k];
        }
    }
    memcpy(chosen, names[c->count & 1], sizeof *names);
    memcpy(best, most[c->count & 1], sizeof *most);
}

/* Where the parabola through the gains of a candidate and its two neighbours is greatest, in steps
 * from the candidate, whose gain is the greatest of the three. */
static cbp_real vertex(const cbp_real *gain, size_t stride)
{
    const cbp_real before = gain[0] - gain[-(ptrdiff_t)stride], after = gain[0] - gain[stride],
                   sum = before + after;
    const int is_peak = (sum > 0) & (sum < CBP_INFINITY);
    return is_peak ? CBP_HALF * (before - after) / sum : 0;
}

/* Parameters of lane k between the candidate `number` and its neighbours in the row and the column,
 * where the gain seems greatest. */
static void take_between(const cbp_lanes *g, const cbp_lane_candidates *c, size_t number, size_t k)
{
    const size_t width = c->width, row = c->row, place = row ? number % row : 0;
    const cbp_real *gain = c->gains + number * CBP_LANES + k, *at = c->params + number * width;
    const int has_sides = row > 2 && place > 0 && place + 1 < row;
    const int has_ends = row > 0 && number >= row && number + row < c->count;
    const cbp_real across = has_sides ? vertex(gain, CBP_LANES) : 0,
                   along = has_ends ? vertex(gain, row * CBP_LANES) : 0;
    const ptrdiff_t side = ((across > 0) - (across < 0)) * (ptrdiff_t)width;
    const ptrdiff_t end = ((along > 0) - (along < 0)) * (ptrdiff_t)(row * width);
    const cbp_real u = cbp_abs(across), v = cbp_abs(along);
    for (size_t j = 0; j < 2 * g->layers; j++, at++) {
        const cbp_real here = at[0] + u * (at[side] - at[0]),
                       there = at[end] + u * (at[end + side] - at[end]);
        g->trial[j * CBP_LANES + k] = here + v * (there - here);
    }
}

static void take_candidate(const cbp_lanes *g, const cbp_lane_candidates *c, size_t number,
                           size_t k)
{
    for (size_t j = 0; j < 2 * g->layers; j++) {
        g->trial[j * CBP_LANES + k] = c->params[number * c->width + j];
    }
}

/* Solves for the free weight and bias of a linear last layer, in g->trial. */
static void solve_last_layers(const cbp_lanes *g, const cbp_lane_candidates *c, const cbp_match *m)
{
    cbp_real *CBP_RESTRICT w = g->trial + 2 * c->depth * CBP_LANES, *CBP_RESTRICT b = w + CBP_LANES;
    CBP_EACH_LANE
    {
        /* nothing but rounding, also of the mean, is along the feature of constant targets */
        const cbp_real sizes =
                           cbp_sqrt(m->size[k] * m->squares[k]) + cbp_abs(m->mean[k] * m->sum[k]),
                       rounding = 8 * CBP_EPSILON * sizes;
        const cbp_real solved =
            m->size[k] > 0 && cbp_abs(m->along[k]) > rounding ? m->along[k] / m->size[k] : 0;
        w[k] = c->solves_w ? cbp_clamp(solved, c->low_w, c->high_w) : w[k];
        b[k] = c->solves_b ? m->sum[k] / m->total[k] - w[k] * m->mean[k] : b[k];
    }
    for (size_t k = 0; k < CBP_LANES; k++) {
        if (c->solves_w && w[k] == 0 && m->total[k] > 0) { /* all are as good */
            const cbp_real last = b[k];
            take_candidate(g, c, c->count / 2, k);
            w[k] = 0;
            b[k] = last;
        }
    }
}

/* For each lane the candidate that leaves the least sum of squares, a linear last layer's free
 * weight and bias being solved for, or what lies between it and its neighbours unless that is far
 * worse: its number, or -1 if no sum is finite; its gain; and the parameters, in g->trial. */
static void choose_starts(const cbp_lanes *g, const cbp_lane_candidates *c, cbp_real *chosen,
                          cbp_real *gain)
{
    cbp_match m;
    cbp_row best;
    int is_less = 0;
    add_targets(g, &m);
    if (c->is_one) {
        find_gains_of_one(g, c, &m);
    } else if (c->is_shared) {
        find_shared_gains(g, c);
    } else {
        find_own_gains(g, c, &m);
    }
    find_best(c, chosen, best);
    for (size_t k = 0; k < CBP_LANES; k++) {
        if (chosen[k] >= 0) {
            take_between(g, c, (size_t)chosen[k], k);
        } else {
            take_candidate(g, c, 0, k);
        }
    }
    find_features(g, c->depth, g->trial, c->own_features);
    add_feature(g, c->own_features, c->solves_b, &m);
    find_gain(c, &m, gain);
    for (size_t k = 0; k < CBP_LANES; k++) {
        if (chosen[k] >= 0 && !(gain[k] >= CBP_HALF * best[k])) {
            take_candidate(g, c, (size_t)chosen[k], k);
            gain[k] = best[k];
            is_less = 1;
        }
        gain[k] = chosen[k] >= 0 ? gain[k] : -CBP_INFINITY;
    }
    if (is_less) {
        find_features(g, c->depth, g->trial, c->own_features);
        add_feature(g, c->own_features, c->solves_b, &m);
    }
    if (c->is_linear) {
        solve_last_layers(g, c, &m);
    }
}
