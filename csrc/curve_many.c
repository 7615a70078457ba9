/* Many fits of a curve: the chains of sets that share their inputs are fitted side by side, by
 * cbp_fit_many; what that does not settle is fitted alone.
 */
#include "curve_lanes.h"

/* Sets that are fitted in one call of cbp_fit_many, and so many examples: the choice of their
 * starts, between two calls of the progress function, takes a tenth of a second at most. */
#define MOST_SETS 1024
#define MOST_IN_BLOCK ((size_t)1 << 17)

/* Sets of more examples are fitted alone. */
#define MOST_EXAMPLES 4095

/* A set is fitted alone, too, if it has an error above so many times the parameter, or so much in
 * its logarithm. */
#define CLEAR ((cbp_real)1e6)
#define CLEAR_LOG 10

/* A variance below this part of its terms is only their rounding. */
#define CANCELLED ((cbp_real)(sizeof(cbp_real) == sizeof(float) ? 1e-4 : 1e-10))

#define PACKED_LEN (CBP_CURVE_PARAMETERS * (CBP_CURVE_PARAMETERS + 1) / 2)

/* Consecutive sets: what cbp_fit_many finds for them from one list of starts, and the best. */
typedef struct curve_block {
    size_t first, m, free; /* free: parameters of the chain that are not frozen */
    cbp_fits found;
    /* best_loss: infinite where nothing has converged */
    cbp_real *best, *best_covariance, *best_loss;
    cbp_real *unsettled; /* the least loss of fits that did not converge, NaN if it is not known */
    cbp_real *least;     /* the least loss that any lane has come to */
    size_t *best_iterations;
    cbp_real *starts, *gains; /* of each list, [lists][m] */
    int *tried;               /* a bit for each list */
} curve_block;

/* A call under way. */
typedef struct curve_many {
    cbp_curve_search s;
    cbp_example_sets sets;
    const cbp_curve_fits *fits;
    cbp_candidates lists[CBP_CURVE_STARTS];
    size_t lists_len;
    int has_own_lists;                    /* of each set */
    int stops;                            /* the progress function has said so */
    cbp_real *candidates;                 /* of all lists */
    cbp_real *one_x, *one_y, *one_weight; /* of one set, [n] */
    cbp_real *work;                       /* of a fit alone, or of cbp_fit_many */
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
        const cbp_real scale = f->s.curve->positive[k] ? result.natural[k] : 1,
                       error = cbp_root(covariance[k * count + k]);
        /* not infinity times a parameter of 0 */
        f->fits->standard_error[i * count + k] = cbp_is_finite(error) ? error * scale : error;
    }
}

/* ---- from the chain to the curve ------------------------------------------------------------- */

/* The variance of a coordinate with these derivatives by all parameters of the chain, from the
 * packed covariance of those that are not frozen; NaN if rounding has cancelled it. */
static cbp_real variance_of(const cbp_curve_search *s, const cbp_real *slopes,
                            const cbp_real *packed)
{
    cbp_real variance = 0, terms = 0, used[CBP_CURVE_PLACES];
    size_t rows[CBP_CURVE_PLACES], count = 0; /* of derivatives that are not 0 */
    for (size_t place = 0, row = 0; place < 2 * s->layers; place++) {
        if (!s->chain_frozen[place]) {
            used[count] = slopes[place];
            rows[count] = row++;
            count += slopes[place] != 0;
        }
    }
    for (size_t a = 0; a < count; a++) {
        const cbp_real *with = packed + rows[a] * (rows[a] + 1) / 2;
        for (size_t b = 0; b <= a; b++) {
            const cbp_real term = used[a] * used[b] * with[rows[b]] * (a == b ? 1 : 2);
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
    const size_t count = s->count;
    cbp_real slopes[CBP_CURVE_PARAMETERS * CBP_CURVE_PLACES];
    cbp_real *standard_error = f->fits->standard_error + i * count;
    unsigned char *determined = f->fits->determined + i * count;
    cbp_curve_point own, p;
    if (!cbp_curve_settle_point(s, params, &own, &p, slopes)) {
        return 0;
    }
    const size_t low = s->curve->ends.low, high = s->curve->ends.high;
    const int is_exchanged =
        s->curve->signs == CBP_MIRROR && !s->frozen[low] && p.n[low] != own.n[low];
    for (size_t k = 0; k < count; k++) {
        if (s->frozen[k]) {
            standard_error[k] = 0;
            determined[k] = CBP_FROZEN;
            continue;
        }
        const cbp_real variance = variance_of(s, slopes + k * CBP_CURVE_PLACES, packed),
                       most = s->curve->positive[k] ? CLEAR_LOG : CLEAR * cbp_magnitude(own.n[k]);
        if (variance != variance || (own.n[k] != 0 && cbp_root(variance) > most)) {
            return 0;
        }
        const size_t to = !is_exchanged ? k : k == low ? high : k == high ? low : k;
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
           numbers_of(m * CBP_CURVE_PLACES) + m * (3 * CBP_CURVE_PLACES + 2 * PACKED_LEN + 7) +
           m * CBP_CURVE_STARTS * (CBP_CURVE_PLACES + 1);
}

/* How many sets of n examples, out of m, are a block. */
static size_t sets_of_block(size_t n, size_t m)
{
    const size_t most = n <= MOST_IN_BLOCK / MOST_SETS ? MOST_SETS : MOST_IN_BLOCK / n + 1;
    return m < most ? m : most;
}

size_t cbp_curve_fit_many_work_len(size_t n, size_t m)
{
    const size_t most = sets_of_block(n, m), alone = cbp_curve_fit_work_len(n),
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
    b->tried = (void *)cbp_taken(work, numbers_of(m * sizeof(int)));
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
    b->least = cbp_taken(work, m);
    b->starts = cbp_taken(work, m * CBP_CURVE_STARTS * CBP_CURVE_PLACES);
    b->gains = cbp_taken(work, m * CBP_CURVE_STARTS);
}

/* The sets of the block from `first` on, as many as m. */
static cbp_example_sets sets_from(const curve_many *f, size_t first, size_t m)
{
    cbp_example_sets sets = f->sets;
    sets.x += first * sets.x_step;
    sets.y += first * sets.n;
    sets.weight = sets.weight ? sets.weight + first * sets.weight_step : NULL;
    sets.m = m;
    return sets;
}

/* The best of each list of candidates for m sets from number i of the block on. */
static int choose_from_lists(const curve_many *f, const curve_block *b, size_t i, size_t m)
{
    const size_t width = 2 * f->s.layers;
    const cbp_chain chain = {b->found.params, f->s.curve->activations, f->s.chain_frozen,
                             f->s.layers};
    const cbp_example_sets sets = sets_from(f, b->first + i, m);
    const cbp_fit_options options = cbp_curve_lane_options(&f->s);
    int status = CBP_OK;
    for (size_t list = 0; status == CBP_OK && list < f->lists_len; list++) {
        const size_t place = list * b->m + i;
        status = cbp_choose_starts_by_gain(&chain, &sets, &options, &f->lists[list], f->work,
                                           b->starts + place * width, b->gains + place);
    }
    return status == CBP_OK;
}

/* The same for a set that has candidates of its own; starts that are NaN are none. */
static void choose_from_own_lists(curve_many *f, const curve_block *b, size_t i)
{
    const size_t width = 2 * f->s.layers;
    const cbp_example_sets set = sets_from(f, b->first + i, 1);
    const cbp_examples own = {set.x, set.y, set.weight, set.n};
    f->lists_len = cbp_curve_list_candidates(&f->s, &own, f->candidates, f->lists);
    if (cbp_curve_check_domain(f->s.curve, &own) == CBP_OK && choose_from_lists(f, b, i, 1)) {
        return;
    }
    for (size_t list = 0; list < f->lists_len; list++) {
        const size_t place = list * b->m + i;
        b->gains[place] = -(cbp_real)INFINITY;
        for (size_t k = 0; k < width; k++) {
            b->starts[place * width + k] = (cbp_real)NAN;
        }
    }
}

/* Takes the start of the greatest gain among those that have not been tried, for each set. */
static void take_next_starts(const curve_many *f, curve_block *b)
{
    const size_t width = 2 * f->s.layers;
    for (size_t i = 0; i < b->m; i++) {
        size_t next = f->lists_len;
        for (size_t list = 0; list < f->lists_len; list++) {
            const int is_tried = b->tried[i] >> list & 1;
            if (!is_tried &&
                (next == f->lists_len || b->gains[list * b->m + i] > b->gains[next * b->m + i])) {
                next = list;
            }
        }
        b->tried[i] |= 1 << next;
        memcpy(b->found.params + i * width, b->starts + (next * b->m + i) * width,
               width * sizeof *b->starts);
    }
}

/* What was found for set i of a block is its best so far. */
static void keep_settled(const curve_many *f, const curve_block *b, size_t i)
{
    const size_t width = 2 * f->s.layers, packed = b->free * (b->free + 1) / 2, set = b->first + i;
    memcpy(b->best + i * width, b->found.params + i * width, width * sizeof *b->best);
    memcpy(b->best_covariance + i * packed, b->found.covariance + i * packed,
           packed * sizeof *b->best_covariance);
    b->best_iterations[i] = b->found.iterations[i];
    b->best_loss[i] = b->found.loss[i];
    f->fits->loss[set] = b->found.loss[i];
    f->fits->weight[set] = b->found.weight[i];
    f->fits->variance[set] = b->found.variance[i];
    f->fits->df[set] = b->found.df[i];
}

/* Fits the sets of a block from the next start of each, and keeps what is better than before. */
static void fit_from_next(curve_many *f, curve_block *b)
{
    const cbp_chain chain = {b->found.params, f->s.curve->activations, f->s.chain_frozen,
                             f->s.layers};
    const cbp_example_sets sets = sets_from(f, b->first, b->m);
    const cbp_fit_options options = cbp_curve_lane_options(&f->s);
    const cbp_least least = {b->least, 1};
    take_next_starts(f, b);
    if (cbp_fit_many_in_lanes(&chain, &sets, &options, &least, f->work, &b->found) != CBP_OK) {
        return; /* then all sets are fitted alone */
    }
    for (size_t i = 0; i < b->m; i++) {
        const cbp_real loss = b->found.loss[i];
        f->stops |= b->found.status[i] == CBP_STOPPED;
        if (cbp_curve_is_settled(&b->found, i, chain.layers * 2)) {
            if (loss < b->best_loss[i]) {
                keep_settled(f, b, i);
            }
        } else if (!(loss >= b->unsettled[i])) { /* or NaN: nothing is known of it */
            b->unsettled[i] = loss;
        }
    }
}

/* Whether a step leaves less than what was found for set i of a block. */
static int misses_step(curve_many *f, const curve_block *b, size_t i)
{
    const size_t set = b->first + i;
    const cbp_examples all = {NULL, f->sets.y + set * f->sets.n,
                              f->sets.weight ? f->sets.weight + set * f->sets.weight_step : NULL,
                              f->sets.n};
    cbp_curve_step step;
    cbp_real total;
    if (!cbp_curve_has_steps(&f->s) || !cbp_curve_explains_little(&f->s, &all, b->best_loss[i])) {
        return 0;
    }
    f->s.problem.examples = present_in(f, set, &total);
    return cbp_curve_find_step(&f->s, b->best_loss[i], f->work, &step);
}

static void fit_block(curve_many *f, curve_block *b)
{
    const size_t width = 2 * f->s.layers, packed = b->free * (b->free + 1) / 2;
    for (size_t i = 0; i < b->m; i++) {
        b->best_loss[i] = b->unsettled[i] = b->least[i] = (cbp_real)INFINITY;
        b->tried[i] = 0;
        if (f->has_own_lists) {
            choose_from_own_lists(f, b, i);
        }
    }
    if (!f->has_own_lists && !choose_from_lists(f, b, 0, b->m)) {
        f->lists_len = 0;
    }
    for (size_t pass = 0; pass < f->lists_len && !f->stops; pass++) {
        fit_from_next(f, b);
    }
    for (size_t i = 0; i < b->m; i++) {
        const size_t set = b->first + i;
        if (b->best_loss[i] < (cbp_real)INFINITY &&
            b->unsettled[i] >= CBP_CURVE_NEAR * b->best_loss[i] && !misses_step(f, b, i) &&
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

/* How the sets' starts are found. */
static void plan_lists(curve_many *f)
{
    const cbp_examples inputs = {f->sets.x, f->sets.x, NULL, f->sets.n};
    /* from a start without candidates steps in other parameters may lead to another minimum */
    const int is_possible = f->s.fits_in_lanes && f->s.curve->grid != CBP_GRID_START &&
                            f->sets.n > 0 && f->sets.n <= MOST_EXAMPLES && f->sets.m > 0;
    f->lists_len = 0; /* each set is fitted alone */
    /* the candidates of CBP_GRID_ENERGIES are made from each set's own targets */
    f->has_own_lists = is_possible && (f->sets.x_step > 0 || f->s.curve->grid == CBP_GRID_ENERGIES);
    if (is_possible && !f->has_own_lists && cbp_curve_check_domain(f->s.curve, &inputs) == CBP_OK) {
        f->lists_len = cbp_curve_list_candidates(&f->s, &inputs, f->candidates, f->lists);
    }
}

int cbp_curve_fit_many(const cbp_curve *curve, const cbp_example_sets *sets, const cbp_real *fixed,
                       const cbp_fit_options *options, cbp_real *work, const cbp_curve_fits *fits)
{
    curve_many f;
    curve_block b;
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
    const size_t most = sets_of_block(sets->n, sets->m);
    place_block(&b, most, &work);
    f.candidates = cbp_taken(&work, CBP_CURVE_STARTS * CBP_CURVE_CANDIDATES * CBP_CURVE_PLACES);
    f.one_x = cbp_taken(&work, sets->n);
    f.one_y = cbp_taken(&work, sets->n);
    f.one_weight = cbp_taken(&work, sets->n);
    f.work = work;
    b.free = cbp_count_free(f.s.frozen, CBP_COORDINATE_LAYERS);
    plan_lists(&f);
    for (b.first = 0; b.first < sets->m; b.first += most) {
        const size_t left = sets->m - b.first;
        b.m = left < most ? left : most;
        if (f.stops) { /* no starts for what is not fitted */
            f.has_own_lists = 0;
            f.lists_len = 0;
        }
        fit_block(&f, &b);
    }
    return CBP_OK;
}
