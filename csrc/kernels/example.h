/* Forward and backward through all layers: one example, and many, each with results of its own.
 *
 * `forward` stands above `backward`. Arrays are carried through the layers a tile at a time, one
 * plain loop for each layer; a short last tile is padded to a multiple of CBP_LANES, which every
 * vector width divides, so that no example takes another path than its neighbours.
 */

/* ---- one example ----------------------------------------------------------------------------- */

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
        a = value_of(chain->activations[l],
                     CBP_FMA(chain->params[2 * l], a, chain->params[2 * l + 1]));
    }
    return a;
}

static cbp_real loss_one(const cbp_chain *chain, cbp_loss criterion, cbp_real x, cbp_real y)
{
    const size_t last = chain->layers - 1;
    const cbp_chain before = {chain->params, chain->activations, NULL, last};
    const cbp_real z =
        CBP_FMA(chain->params[2 * last], forward_one(&before, x), chain->params[2 * last + 1]);
    return loss_of(criterion, value_of(chain->activations[last], z), z, y).value;
}

static cbp_real slope_one(const cbp_chain *chain, cbp_real x)
{
    cbp_real a = x, total = 1;
    for (size_t l = 0; l < chain->layers; l++) {
        const cbp_real w = chain->params[2 * l];
        cbp_real slope;
        a = value_and_slope_of(chain->activations[l], CBP_FMA(w, a, chain->params[2 * l + 1]),
                               &slope);
        total = times_alone(times_alone(total, w), slope);
    }
    return total;
}

static cbp_real inverse_one(const cbp_chain *chain, cbp_real y)
{
    cbp_real a = y;
    for (size_t l = chain->layers; l-- > 0;) {
        a = (inverse_of(chain->activations[l], a) - chain->params[2 * l + 1]) /
            chain->params[2 * l];
    }
    return a;
}

/* The notes' walk: forward through the layers, then the error signal back. Returns the loss. */
static cbp_real gradient_one(const cbp_chain *chain, cbp_loss criterion, cbp_real x, cbp_real y,
                             const cbp_record *record)
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
    cbp_real delta =
        is_of_z(criterion.kind) ? loss.slope : times_alone(loss.slope, record->slope[last]);
    for (size_t l = last;; l--) {
        const cbp_real before = l ? record->a[l - 1] : x,
                       upstream = times_alone(delta, params[2 * l]);
        record->delta[l] = delta;
        /* from here on params[2l] is not read */
        record->gradient[2 * l] = times_alone(delta, before);
        record->gradient[2 * l + 1] = delta;
        if (l == 0) {
            return loss.value;
        }
        delta = times_alone(upstream, record->slope[l - 1]);
    }
}

/* ---- many examples --------------------------------------------------------------------------- */

static void activation_values(int activation, const cbp_real *z, size_t n, cbp_real *value,
                              cbp_real *slope, cbp_real *second)
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
            layer_value(chain->activations[l], chain->params[2 * l], chain->params[2 * l + 1], in,
                        padded(count), tiles[~l & 1]);
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
            layer_inverse(chain->activations[l], chain->params[2 * l], chain->params[2 * l + 1], in,
                          padded(count), tiles[l & 1]);
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
            layer_jet(chain->activations[l], w, chain->params[2 * l + 1], in, padded(count),
                      tiles[~l & 1], local);
            in = tiles[~l & 1];
            for (size_t j = 0; j < padded(count); j++) {
                total[j] = cbp_times(cbp_times(total[j], w), local[j]);
            }
        }
        memcpy(out + start, total, count * sizeof *out);
    }
}

/* Forward through all layers: a_l to row l of `a`, counted from 1, and its slope to row l - 1 of
 * `slopes`. Returns a_0, which is row 0 of `a` unless the examples fill the tile. */
static const cbp_real *forward_tile(const cbp_chain *chain, const cbp_real *x, size_t count,
                                    cbp_real *a, cbp_real *slopes)
{
    const cbp_real *input = tile_of(x, count, a), *in = input;
    for (size_t l = 0; l < chain->layers; l++) {
        cbp_real *out = a + (l + 1) * CBP_TILE;
        layer_jet(chain->activations[l], chain->params[2 * l], chain->params[2 * l + 1], in,
                  padded(count), out, slopes + l * CBP_TILE);
        in = out;
    }
    return input;
}

/* delta = upstream * slope, where upstream = dE/da_l becomes that of the layer before, dE/da_(l-1)
 * = delta * w. */
static void backward_layer(cbp_real w, const cbp_real *CBP_RESTRICT slopes, size_t count,
                           cbp_real *CBP_RESTRICT upstream, cbp_real *CBP_RESTRICT delta)
{
    for (size_t j = 0; j < count; j++) {
        delta[j] = cbp_times(upstream[j], slopes[j]);
        upstream[j] = cbp_times(delta[j], w);
    }
}

/* The losses of a tile, after forward_tile, and dE/da_L, from which backward_layer starts. Of a
 * loss of z_L it is dE/dz_L already: the last slopes become 1, so that act' is not multiplied by
 * again.
 */
static void start_backward(const cbp_chain *chain, cbp_loss criterion, size_t count,
                           const cbp_tile_end *end, cbp_real *slopes)
{
    const int of_z = is_of_z(criterion.kind);
    cbp_real target[CBP_TILE], *last = slopes + (chain->layers - 1) * CBP_TILE;
    cbp_tile_end lanes = *end;
    lanes.y = tile_of(end->y, count, target);
    tile_loss(chain, criterion, padded(count), &lanes);
    for (size_t j = 0; of_z && j < padded(count); j++) {
        last[j] = 1;
    }
}

/* a_(l-1), as forward_tile leaves it. */
static const cbp_real *input_of(const cbp_real *a, const cbp_real *input, size_t l)
{
    return l > 0 ? a + l * CBP_TILE : input;
}

/* Row i: the gradient of example i's loss. */
static void example_rows(const cbp_chain *chain, cbp_loss criterion, const cbp_examples *examples,
                         cbp_real *work, cbp_real *rows)
{
    const size_t width = 2 * chain->layers, n = examples->n;
    cbp_real *a = work, *slopes = a + (chain->layers + 1) * CBP_TILE;
    cbp_real value[CBP_TILE], upstream[CBP_TILE], delta[CBP_TILE];
    for (size_t start = 0; start < n; start += CBP_TILE) {
        const size_t count = smaller(CBP_TILE, n - start);
        const cbp_real *input = forward_tile(chain, examples->x + start, count, a, slopes);
        const cbp_tile_end end = {input_of(a, input, chain->layers - 1),
                                  a + chain->layers * CBP_TILE, examples->y + start, value,
                                  upstream};
        start_backward(chain, criterion, count, &end, slopes);
        for (size_t l = chain->layers; l-- > 0;) {
            const cbp_real *in = input_of(a, input, l);
            cbp_real *entry = rows + start * width + 2 * l;
            backward_layer(chain->params[2 * l], slopes + l * CBP_TILE, padded(count), upstream,
                           delta);
            for (size_t j = 0; j < count; j++) {
                entry[j * width] = cbp_times(delta[j], in[j]);
                entry[j * width + 1] = delta[j];
            }
        }
    }
}
