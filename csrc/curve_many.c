/* Many fits of a curve: the chains of sets that share their inputs are fitted side by side, by
 * cbp_fit_many; what that does not settle is fitted alone.
 */
#include "curve.h"
#include "many.h"

/* Sets that are fitted in one call of cbp_fit_many. */
#define MOST_SETS 1024

/* A set that took more iterations there is fitted alone: its loss may have no minimum. */
#define LANE_ITERATIONS 50

/* So is one of which a fit that did not converge left less than so many times the least loss. */
#define NEAR_UNSETTLED 30

/* So is one with an error above so many times the parameter, or so much in its logarithm. */
#define CLEAR ((cbp_real)1e6)
#define CLEAR_LOG 10

/* A variance below this part of its terms is only their rounding. */
#define CANCELLED ((cbp_real)(sizeof(cbp_real) == sizeof(float) ? 1e-4 : 1e-10))

#define PACKED_LEN (CBP_CURVE_PARAMETERS * (CBP_CURVE_PARAMETERS + 1) / 2)

/* Consecutive sets: what cbp_fit_many finds for them from one list of starts, and the best. */
typedef struct curve_block {
    size_t first, m, free; /* free: parameters of the chain that are not frozen */
    cbp_fits found;
    cbp_real *best, *best_covariance, *best_loss;
    cbp_real *unsettled; /* the least loss of fits that did not converge, or infinity */
    int *has_best;
    size_t *best_iterations;
} curve_block;

/* A call under way. */
typedef struct curve_many {
    cbp_curve_search s;
    cbp_example_sets sets;
    const cbp_curve_fits *fits;
    unsigned char frozen[CBP_CURVE_PLACES]; /* of the chain, also by what is fixed */
    int stops;                              /* the progress function has said so */
    cbp_real *one_x, *one_y, *one_weight;   /* of one set, [n] */
    cbp_real *work;                         /* of a fit alone, or of cbp_fit_many */
} curve_many;

/* ---- one set by itself ----------------------------------------------------------------------- */

/* Nothing found, for this reason. */
static void give_up_set(const curve_many *f, size_t i, int status)
{
    const size_t count = f->s.count, width = 2 * f->s.layers;
    const cbp_real nan = (cbp_real)NAN;
    for (size_t k = 0; k < count; k++) {
        f->fits->natural[i * count + k] = f->fits->standard_error[i * count + k] = nan;
        f->fits->determined[i * count + k] = CBP_UNDETERMINED;
    }
    for (size_t k = 0; k < width; k++) {
        f->fits->params[i * width + k] = nan;
    }
    f->fits->status[i] = status;
    f->fits->iterations[i] = 0;
    f->fits->loss[i] = f->fits->variance[i] = f->fits->df[i] = nan;
    f->fits->weight[i] = 0;
}

/* The examples of a set that are not missing, and the sum of their weights. */
static cbp_examples present_in(const curve_many *f, size_t i, cbp_real *total)
{
    const cbp_example_sets *sets = &f->sets;
    const cbp_real *x = sets->x + i * sets->x_step, *y = sets->y + i * sets->n,
                   *weight = sets->weight ? sets->weight + i * sets->weight_step : NULL;
    size_t n = 0;
    *total = 0;
    for (size_t k = 0; k < sets->n; k++) {
        if (y[k] == y[k]) {
            f->one_x[n] = x[k];
            f->one_y[n] = y[k];
            f->one_weight[n] = weight ? weight[k] : 1;
            *total += f->one_weight[n++];
        }
    }
    return (cbp_examples){f->one_x, f->one_y, weight ? f->one_weight : NULL, n};
}

static void fit_set_alone(curve_many *f, size_t i)
{
    const size_t count = f->s.count;
    cbp_real total, covariance[CBP_CURVE_PARAMETERS * CBP_CURVE_PARAMETERS],
        triangle[(CBP_CURVE_PARAMETERS + 1) * (CBP_CURVE_PARAMETERS + 1)];
    const cbp_examples examples = present_in(f, i, &total);
    if (f->s.curve->grid == CBP_GRID_START) {
        f->s.start = f->s.curve->start + i * f->s.curve->start_step;
    }
    cbp_curve_result result = {.natural = f->fits->natural + i * count,
                               .params = f->fits->params + i * 2 * f->s.layers,
                               .covariance = covariance,
                               .determined = f->fits->determined + i * count,
                               .triangle = triangle};
    const int status =
        f->stops ? CBP_STOPPED : cbp_curve_fit_examples(&f->s, &examples, f->work, &result);
    if (status != CBP_OK) {
        give_up_set(f, i, status == CBP_ERROR_EMPTY ? CBP_ERROR_FEW_EXAMPLES : status);
        return;
    }
    f->stops = result.outcome == CBP_STOPPED;
    f->fits->status[i] = (int)result.outcome;
    f->fits->iterations[i] = result.iterations;
    f->fits->loss[i] = result.loss;
    f->fits->weight[i] = total;
    f->fits->variance[i] = result.variance;
    f->fits->df[i] = result.df;
    for (size_t k = 0; k < count; k++) {
        const cbp_real scale = f->s.curve->positive[k] ? result.natural[k] : 1;
        f->fits->standard_error[i * count + k] = cbp_root(covariance[k * count + k]) * scale;
    }
}

/* ---- from the chain to the curve ------------------------------------------------------------- */

/* Freezes the chain's parameters that no free natural parameter moves. Whether as many are left as
 * there are free natural ones, so that each fit of the chain is a fit of the curve. */
static int freeze_chain(curve_many *f)
{
    const cbp_curve_search *s = &f->s;
    size_t left = 0;
    for (size_t k = 0; k < 2 * s->layers; k++) {
        const cbp_curve_term *term = &s->curve->terms[k];
        const int has_two = term->rule == CBP_RULE_DIFFERENCE || term->rule == CBP_RULE_PRODUCT ||
                            term->rule == CBP_RULE_RATIO;
        f->frozen[k] = s->constants[k] || (s->frozen[term->i] && (!has_two || s->frozen[term->j]));
        left += !f->frozen[k];
    }
    return left == cbp_count_free(s->frozen, CBP_COORDINATE_LAYERS);
}

/* inverse[size][size] of a matrix, by elimination with pivots; 0 if it has none. */
static int invert_matrix(cbp_real *matrix, size_t size, cbp_real *inverse)
{
    memset(inverse, 0, size * size * sizeof *inverse);
    for (size_t k = 0; k < size; k++) {
        inverse[k * size + k] = 1;
    }
    for (size_t k = 0; k < size; k++) {
        size_t pivot = k;
        for (size_t i = k + 1; i < size; i++) {
            const int is_larger =
                cbp_magnitude(matrix[i * size + k]) > cbp_magnitude(matrix[pivot * size + k]);
            pivot = is_larger ? i : pivot;
        }
        if (!(cbp_magnitude(matrix[pivot * size + k]) > 0)) {
            return 0;
        }
        for (size_t j = 0; j < size; j++) {
            const cbp_real kept = matrix[k * size + j], own = inverse[k * size + j];
            matrix[k * size + j] = matrix[pivot * size + j];
            matrix[pivot * size + j] = kept;
            inverse[k * size + j] = inverse[pivot * size + j];
            inverse[pivot * size + j] = own;
        }
        const cbp_real factor = 1 / matrix[k * size + k];
        for (size_t j = 0; j < size; j++) {
            matrix[k * size + j] *= factor;
            inverse[k * size + j] *= factor;
        }
        for (size_t i = 0; i < size; i++) {
            const cbp_real part = matrix[i * size + k];
            for (size_t j = 0; i != k && j < size; j++) {
                matrix[i * size + j] -= part * matrix[k * size + j];
                inverse[i * size + j] -= part * inverse[k * size + j];
            }
        }
    }
    return 1;
}

/* The point that a chain found side by side stands for, as it is reported, and the one before
 * parameters were exchanged; 0 if the set is to be fitted alone. */
static int settle_point(const cbp_curve_search *s, const cbp_real *params, cbp_curve_point *own,
                        cbp_curve_point *p)
{
    cbp_real at[CBP_CURVE_WIDTH] = {0};
    if (!cbp_curve_point_of(s->curve, params, own)) {
        return 0;
    }
    *p = *own;
    for (size_t k = 0; k < s->count; k++) {
        if (s->frozen[k]) {
            cbp_curve_set_natural(s->curve, k, s->fixed.n[k], p);
        }
        at[k] = p->t[k];
    }
    cbp_curve_choose_mirror(s, at);
    if (!cbp_curve_is_ordered(s, at)) {
        return 0;
    }
    for (size_t k = 0; k < s->count; k++) {
        if (at[k] != p->t[k]) {
            cbp_curve_set_coordinate(s->curve, k, at[k], p);
        }
        if (!s->frozen[k] && (at[k] < s->lower[k] || at[k] > s->upper[k])) {
            return 0;
        }
    }
    return 1;
}

/* inverse[free][free]: the derivatives of the free coordinates by the free parameters of the chain;
 * 0 if there are none. */
static int invert_chain(const curve_many *f, const cbp_curve_point *p, size_t free,
                        cbp_real *inverse)
{
    const cbp_curve_search *s = &f->s;
    cbp_real params[CBP_CURVE_PLACES], slopes[CBP_CURVE_PLACES * CBP_CURVE_PARAMETERS],
        square[CBP_CURVE_PARAMETERS * CBP_CURVE_PARAMETERS];
    cbp_curve_chain_at(s->curve, p, params, slopes);
    for (size_t place = 0, row = 0; place < 2 * s->layers; place++) {
        if (f->frozen[place]) {
            continue;
        }
        for (size_t k = 0, column = 0; k < s->count; k++) {
            if (!s->frozen[k]) {
                square[row * free + column++] = slopes[place * s->count + k];
            }
        }
        row++;
    }
    return invert_matrix(square, free, inverse);
}

/* The variance of a coordinate with these derivatives by the chain's parameters, from their packed
 * covariance; NaN if rounding has cancelled it. */
static cbp_real variance_of(const cbp_real *slopes, const cbp_real *packed, size_t free)
{
    cbp_real variance = 0, terms = 0;
    for (size_t a = 0; a < free; a++) {
        for (size_t b = 0; b <= a; b++) {
            const cbp_real term =
                slopes[a] * slopes[b] * packed[a * (a + 1) / 2 + b] * (a == b ? 1 : 2);
            variance += term;
            terms += cbp_magnitude(term);
        }
    }
    return variance >= CANCELLED * terms && cbp_is_finite(variance) ? variance : (cbp_real)NAN;
}

/* Natural parameters and their standard errors of set i, from the chain and its covariance; 0 if
 * the set is to be fitted alone. */
static int take_chain(const curve_many *f, size_t i, const cbp_real *params, const cbp_real *packed)
{
    const cbp_curve_search *s = &f->s;
    const size_t count = s->count, free = cbp_count_free(s->frozen, CBP_COORDINATE_LAYERS);
    cbp_real inverse[CBP_CURVE_PARAMETERS * CBP_CURVE_PARAMETERS];
    cbp_real *standard_error = f->fits->standard_error + i * count;
    unsigned char *determined = f->fits->determined + i * count;
    cbp_curve_point own, p;
    if (!settle_point(s, params, &own, &p) || !invert_chain(f, &own, free, inverse)) {
        return 0;
    }
    const int is_exchanged = p.n[0] != own.n[0];
    for (size_t k = 0, row = 0; k < count; k++) {
        if (s->frozen[k]) {
            standard_error[k] = 0;
            determined[k] = CBP_FROZEN;
            continue;
        }
        const cbp_real variance = variance_of(inverse + row++ * free, packed, free),
                       most = s->curve->positive[k] ? CLEAR_LOG : CLEAR * cbp_magnitude(own.n[k]);
        if (variance != variance || (own.n[k] != 0 && cbp_root(variance) > most)) {
            return 0;
        }
        const size_t to = is_exchanged && k < 2 ? 1 - k : k;
        standard_error[to] = cbp_root(variance) * (s->curve->positive[to] ? p.n[to] : 1);
        determined[to] = CBP_DETERMINED;
    }
    memcpy(f->fits->natural + i * count, p.n, count * sizeof *p.n);
    cbp_curve_chain_at(s->curve, &p, f->fits->params + i * 2 * s->layers, NULL);
    return 1;
}

/* ---- side by side ---------------------------------------------------------------------------- */

/* So many numbers hold `len` bytes. */
static size_t numbers_of(size_t len)
{
    return len / sizeof(cbp_real) + 1;
}

static size_t block_len(size_t m)
{
    return CBP_ALIGNED + 2 * numbers_of(m * sizeof(size_t)) + 2 * numbers_of(m * sizeof(int)) +
           numbers_of(m * CBP_CURVE_PLACES) + m * (3 * CBP_CURVE_PLACES + 2 * PACKED_LEN + 6);
}

size_t cbp_curve_fit_many_work_len(size_t n, size_t m)
{
    const size_t most = m < MOST_SETS ? m : MOST_SETS, alone = cbp_curve_fit_work_len(n),
                 starts = cbp_choose_starts_work_len(CBP_CURVE_LAYERS, n, CBP_CURVE_CANDIDATES),
                 fits = cbp_fit_many_work_len(CBP_CURVE_LAYERS, CBP_CURVE_PARAMETERS, n),
                 more = starts > fits ? starts : fits;
    return block_len(most) + CBP_CURVE_STARTS * CBP_CURVE_CANDIDATES * CBP_CURVE_PLACES + 3 * n +
           (alone > more ? alone : more);
}

/* Memory of one block for m sets; first what is of type size_t, where it is aligned. */
static void place_block(curve_block *b, size_t m, cbp_real **work)
{
    *work = cbp_aligned(*work);
    b->found.iterations = (void *)cbp_taken(work, m * sizeof(size_t) / sizeof(cbp_real));
    b->best_iterations = (void *)cbp_taken(work, m * sizeof(size_t) / sizeof(cbp_real));
    b->found.status = (void *)cbp_taken(work, numbers_of(m * sizeof(int)));
    b->has_best = (void *)cbp_taken(work, numbers_of(m * sizeof(int)));
    b->found.determined = (void *)cbp_taken(work, numbers_of(m * CBP_CURVE_PLACES));
    b->found.params = cbp_taken(work, m * CBP_CURVE_PLACES);
    b->found.standard_error = cbp_taken(work, m * CBP_CURVE_PLACES);
    b->found.covariance = cbp_taken(work, m * PACKED_LEN);
    b->found.loss = cbp_taken(work, m);
    b->found.weight = cbp_taken(work, m);
    b->found.variance = cbp_taken(work, m);
    b->found.df = cbp_taken(work, m);
    b->best = cbp_taken(work, m * CBP_CURVE_PLACES);
    b->best_covariance = cbp_taken(work, m * PACKED_LEN);
    b->best_loss = cbp_taken(work, m);
    b->unsettled = cbp_taken(work, m);
}

/* Whether cbp_fit_many has settled a set: converged, with all parameters determined. */
static int is_settled_set(const curve_block *b, size_t i, size_t width)
{
    int is_determined =
        b->found.status[i] == CBP_CONVERGED && b->found.iterations[i] <= LANE_ITERATIONS;
    for (size_t k = 0; k < width; k++) {
        const unsigned char kind = b->found.determined[i * width + k];
        is_determined &= kind == CBP_DETERMINED || kind == CBP_FROZEN;
    }
    return is_determined;
}

/* What was found for set i of a block is its best so far. */
static void keep_settled(const curve_many *f, const curve_block *b, size_t i)
{
    const size_t width = 2 * f->s.layers, packed = b->free * (b->free + 1) / 2, set = b->first + i;
    memcpy(b->best + i * width, b->found.params + i * width, width * sizeof *b->best);
    memcpy(b->best_covariance + i * packed, b->found.covariance + i * packed,
           packed * sizeof *b->best_covariance);
    b->has_best[i] = 1;
    b->best_iterations[i] = b->found.iterations[i];
    b->best_loss[i] = b->found.loss[i];
    f->fits->loss[set] = b->found.loss[i];
    f->fits->weight[set] = b->found.weight[i];
    f->fits->variance[set] = b->found.variance[i];
    f->fits->df[set] = b->found.df[i];
}

/* Fits the sets of a block from the best of these candidates, and keeps what is better than
 * before. */
static void fit_from_list(curve_many *f, curve_block *b, const cbp_candidates *candidates)
{
    const cbp_chain chain = {b->found.params, f->s.curve->activations, f->frozen, f->s.layers};
    cbp_example_sets sets = f->sets;
    cbp_fit_options options = f->s.options;
    options.lower = options.upper = NULL;
    options.restarts = 0;
    options.max_iterations =
        options.max_iterations < LANE_ITERATIONS ? options.max_iterations : LANE_ITERATIONS;
    sets.y += b->first * sets.n;
    sets.weight = sets.weight ? sets.weight + b->first * sets.weight_step : NULL;
    sets.m = b->m;
    if (cbp_choose_starts(&chain, &sets, &options, candidates, f->work, b->found.params) !=
            CBP_OK ||
        cbp_fit_many(&chain, &sets, &options, f->work, &b->found) != CBP_OK) {
        return; /* then all sets are fitted alone */
    }
    for (size_t i = 0; i < b->m; i++) {
        const cbp_real loss = b->found.loss[i];
        f->stops |= b->found.status[i] == CBP_STOPPED;
        if (is_settled_set(b, i, chain.layers * 2)) {
            if (!b->has_best[i] || loss < b->best_loss[i]) {
                keep_settled(f, b, i);
            }
        } else if (loss < b->unsettled[i]) {
            b->unsettled[i] = loss;
        }
    }
}

static void fit_block(curve_many *f, curve_block *b, const cbp_candidates *lists, size_t lists_len)
{
    const size_t width = 2 * f->s.layers, packed = b->free * (b->free + 1) / 2;
    for (size_t i = 0; i < b->m; i++) {
        b->has_best[i] = 0;
        b->unsettled[i] = (cbp_real)INFINITY;
    }
    for (size_t list = 0; list < lists_len; list++) {
        fit_from_list(f, b, &lists[list]);
    }
    for (size_t i = 0; i < b->m; i++) {
        const size_t set = b->first + i;
        if (b->has_best[i] && !(b->unsettled[i] < NEAR_UNSETTLED * b->best_loss[i]) &&
            take_chain(f, set, b->best + i * width, b->best_covariance + i * packed)) {
            f->fits->status[set] = CBP_CONVERGED;
            f->fits->iterations[set] = b->best_iterations[i];
        } else {
            fit_set_alone(f, set);
        }
    }
}

/* ---- the call -------------------------------------------------------------------------------- */

static int has_all_arrays(const cbp_curve_fits *fits)
{
    return fits && fits->natural && fits->standard_error && fits->params && fits->status &&
           fits->determined && fits->iterations && fits->loss && fits->weight && fits->variance &&
           fits->df;
}

int cbp_curve_fit_many(const cbp_curve *curve, const cbp_example_sets *sets, const cbp_real *fixed,
                       const cbp_fit_options *options, cbp_real *work, const cbp_curve_fits *fits)
{
    curve_many f;
    curve_block b;
    cbp_candidates lists[CBP_CURVE_STARTS];
    size_t lists_len = 0; /* 0: each set is fitted alone */
    if (!sets || !work || !has_all_arrays(fits) ||
        (sets->n > 0 && sets->m > 0 && (!sets->x || !sets->y))) {
        return CBP_ERROR_NULL;
    }
    const int status = cbp_curve_prepare(&f.s, curve, fixed, options);
    if (status != CBP_OK) {
        return status;
    }
    f.sets = *sets;
    if (sets->n == 0) { /* not read, but reckoned with */
        f.sets.x = f.sets.y = work;
    }
    f.fits = fits;
    f.stops = 0;
    const size_t most = sets->m < MOST_SETS ? sets->m : MOST_SETS;
    place_block(&b, most, &work);
    cbp_real *candidates =
        cbp_taken(&work, CBP_CURVE_STARTS * CBP_CURVE_CANDIDATES * CBP_CURVE_PLACES);
    f.one_x = cbp_taken(&work, sets->n);
    f.one_y = cbp_taken(&work, sets->n);
    f.one_weight = cbp_taken(&work, sets->n);
    f.work = work;
    b.free = cbp_count_free(f.s.frozen, CBP_COORDINATE_LAYERS);
    const cbp_examples inputs = {sets->x, sets->x, NULL, sets->n};
    /* candidates of CBP_GRID_ENERGIES are made from each set's own targets; from a start without
     * candidates steps in other parameters may lead to another minimum */
    if (freeze_chain(&f) && sets->x_step == 0 && sets->n > 0 && sets->m > 0 &&
        f.s.curve->grid != CBP_GRID_ENERGIES && f.s.curve->grid != CBP_GRID_START &&
        cbp_curve_check_domain(f.s.curve, &inputs) == CBP_OK) {
        lists_len = cbp_curve_list_candidates(&f.s, &inputs, candidates, lists);
    }
    for (b.first = 0; b.first < sets->m; b.first += most) {
        const size_t left = sets->m - b.first;
        b.m = left < most ? left : most;
        fit_block(&f, &b, lists, f.stops ? 0 : lists_len);
    }
    return CBP_OK;
}
