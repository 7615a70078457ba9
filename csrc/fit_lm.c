/* Levenberg-Marquardt in Moré's form: the step is the least-squares one, within a region of trust
 * by a damping that is found from it (J. J. Moré, The Levenberg-Marquardt algorithm: implementation
 * and theory, 1978). The Jacobian is never squared: each pass takes it, row by row, into a triangle
 * R with R'R = J'J, whose last column carries the residuals.
 */
#include "fit_step.h"

/* From so many iterations on, half of them are kept for the second attempt. */
#define PATIENT 200

/* Convergence at least so fast is taken to go on. */
#define FAST ((cbp_real)0.5)

/* Where undamped steps overshoot, so many steps in a row that bring no visible fall are the end, if
 * not much more than rounding is predicted, and parameters change by less than this part. */
#define MOST_UNSEEN 10
#define NEAR_NOISE 16
#define SHORT_STEP ((cbp_real)1e-3)

/* A fit in progress. What a pass finds is a node, which begins with the triangle. */
typedef struct search {
    const cbp_fit *fit; /* its examples are for the pass alone */
    cbp_fit_pass pass;
    void *user;
    cbp_fit_step at;      /* the point reached, its node, and the step from there */
    cbp_real weight;      /* of all examples */
    cbp_real target_size; /* sqrt of the fourth sum at params: what rounding is relative to */
    cbp_real best_loss, best_change; /* at `best`: the loss, summed; |J step| */
    cbp_real *trial_node;
    cbp_real *last_step; /* an entry for each free parameter */
    /* all parameters; where the attempt and the whole fit started */
    cbp_real *params, *trial, *best, *start, *given;
} search;

/* ---- memory ---------------------------------------------------------------------------------- */

/* All parameters of the best, and what search_in places. */
size_t cbp_fit_search_len(size_t layers, size_t free)
{
    return 10 * layers + 2 * cbp_fit_node_len(free) + 2 * free * (free + 1) + 8 * free;
}

/* Also enough for cbp_fit_covariance, which needs less. */
size_t cbp_fit_work_len(size_t layers, size_t free, size_t n)
{
    return CBP_FIT_TILE + cbp_fit_pass_len(layers, free) + cbp_fit_search_len(layers, free) +
           cbp_fit_memory_len(free, n);
}

static search search_in(cbp_real *work, const cbp_fit *fit)
{
    const size_t layers = fit->chain.layers, free = cbp_count_free(fit->chain.frozen, layers),
                 len = cbp_fit_node_len(free);
    search s = {.fit = fit, .at = {.free = free, .width = free + 1, .triangle = work}};
    s.trial_node = s.at.triangle + len;
    s.at.stack = s.trial_node + len;
    s.at.point = s.at.stack + 2 * free * (free + 1);
    s.at.low = s.at.point + free;
    s.at.high = s.at.low + free;
    s.at.step = s.at.high + free;
    s.at.scaling = s.at.step + free;
    s.at.at_bound = s.at.scaling + free;
    s.at.direction = s.at.at_bound + free;
    s.last_step = s.at.direction + free;
    s.params = s.last_step + free;
    s.trial = s.params + 2 * layers;
    s.start = s.trial + 2 * layers;
    s.given = s.start + 2 * layers;
    return s;
}

/* The free ones of all 2L numbers, or `otherwise` in their place if there are none. */
static void gather(const search *s, const cbp_real *all, cbp_real otherwise, cbp_real *free)
{
    for (size_t k = 0; k < 2 * s->fit->chain.layers; k++) {
        if (cbp_is_free(s->fit->chain.frozen, k)) {
            *free++ = all ? all[k] : otherwise;
        }
    }
}

/* ---- passes ---------------------------------------------------------------------------------- */

/* One of a node's sums. */
static cbp_real sum_of(const search *s, const cbp_real *node, size_t which)
{
    const cbp_real *sums = node + cbp_fit_sums_at(s->at.free);
    return sums[which] + sums[which + 4];
}

/* The node and the summed loss at `params`; 1 if the fit is to stop. */
static int evaluate(const search *s, const cbp_real *params, cbp_real *node, cbp_real *loss)
{
    const cbp_chain chain = cbp_chain_at(s->fit->chain, params);
    if (s->pass(s->user, &chain, node)) {
        return 1;
    }
    s->fit->info->evaluations++;
    *loss = sum_of(s, node, 1);
    return 0;
}

/* ---- one attempt ----------------------------------------------------------------------------- */

/* Moré's scaling keeps the longest that a column has been; the other follows the column. */
static void rescale(const search *s, int keep, int first)
{
    for (size_t j = 0; j < s->at.free; j++) {
        const cbp_real norm = cbp_fit_step_column_norm(&s->at, j);
        if (first || !keep || norm > s->at.scaling[j]) {
            s->at.scaling[j] = norm > 0 ? norm : 1;
        }
    }
}

/* The point after the step, in all parameters; whether the step is too short to see. */
static int move(const search *s)
{
    const cbp_fit *fit = s->fit;
    int still = 1;
    for (size_t k = 0, j = 0; k < 2 * fit->chain.layers; k++) {
        s->trial[k] = s->params[k];
        if (cbp_is_free(fit->chain.frozen, k)) {
            s->trial[k] = cbp_bounded(fit, k, s->params[k] + s->at.step[j]);
            const cbp_real moved = s->trial[k] - s->params[k], size = s->params[k];
            still = still && cbp_magnitude(moved) <= 2 * CBP_EPSILON * cbp_magnitude(size);
            j++;
        }
    }
    return still;
}

/* Whether the step is a small part of each parameter. */
static int is_short(const search *s)
{
    int is_small = 1;
    for (size_t j = 0; j < s->at.free; j++) {
        is_small &= cbp_magnitude(s->at.step[j]) <= SHORT_STEP * cbp_magnitude(s->at.point[j]);
    }
    return is_small;
}

static void swap(cbp_real **a, cbp_real **b)
{
    cbp_real *kept = *a;
    *a = *b;
    *b = kept;
}

static void measure(search *s)
{
    s->target_size = cbp_root(sum_of(s, s->at.triangle, 3));
}

/* What rounding makes of the summed loss: of its own digits, and of the outputs', which are as
 * large as the targets. Steps that change it by less are taken unseen. */
static cbp_real noise_level(const search *s, cbp_real loss)
{
    return 8 * CBP_EPSILON * (8 * loss + cbp_root(loss) * s->target_size);
}

/* Whether the free parameters, and the loss, what it is measured by and the whole Jacobian of the
 * pass there are finite. */
static int is_usable(const search *s, const cbp_real *params, const cbp_real *triangle,
                     cbp_real loss)
{
    /* the average may be infinite where the sum is not */
    cbp_real sum = noise_level(s, loss) + loss / s->weight;
    for (size_t k = 0; k < 2 * s->fit->chain.layers; k++) {
        sum += cbp_is_free(s->fit->chain.frozen, k) ? params[k] - params[k] : 0;
    }
    for (size_t k = 0; k < s->at.width * s->at.width; k++) {
        sum += triangle[k] - triangle[k];
    }
    return cbp_is_finite(sum);
}

/* Of half the gradient of the summed loss at s->params, without what bounds hold. */
static cbp_real gradient_norm(const search *s)
{
    cbp_real sum = 0;
    cbp_fit_step_gradient(&s->at, s->at.direction);
    for (size_t k = 0, j = 0; k < 2 * s->fit->chain.layers; k++) {
        if (cbp_is_free(s->fit->chain.frozen, k)) {
            const cbp_real slope = s->at.direction[j++];
            sum += cbp_is_at_bound(s->fit, k, s->params[k], slope) ? 0 : slope * slope;
        }
    }
    return cbp_root(sum);
}

/* By how much the outputs at s->params differ from the best that the quadratic model there
 * predicts: |J step|, or with bounds, which hold what the step would move, the gradient in the
 * scaling. */
static cbp_real remaining_change(const search *s)
{
    const cbp_fit *fit = s->fit;
    cbp_real sum = 0;
    if (!fit->lower && !fit->upper) {
        return cbp_fit_step_change(&s->at);
    }
    cbp_fit_step_gradient(&s->at, s->at.direction);
    for (size_t k = 0, j = 0; k < 2 * fit->chain.layers; k++) {
        if (cbp_is_free(fit->chain.frozen, k)) {
            const cbp_real slope = s->at.direction[j], scaled = slope / s->at.scaling[j];
            sum += cbp_is_at_bound(fit, k, s->params[k], slope) ? 0 : scaled * scaled;
            j++;
        }
    }
    return cbp_root(sum);
}

/* Takes s->params for the best if they are: where rounding hides which loss is less, if the step
 * from there is shorter, as seen in the outputs. */
static void keep_best(search *s, cbp_real loss)
{
    cbp_fit_info *info = s->fit->info;
    const cbp_real fall = s->best_loss - loss, noise = noise_level(s, loss),
                   change = remaining_change(s);
    if (fall > noise || (fall >= -noise && change <= s->best_change)) {
        memcpy(s->best, s->params, 2 * s->fit->chain.layers * sizeof *s->best);
        s->best_loss = loss;
        s->best_change = change;
        info->loss = loss / s->weight;
        info->gradient_norm = 2 * gradient_norm(s) / s->weight;
    }
}

/* The region of trust of an attempt, and its last step. */
typedef struct trust {
    cbp_real radius, damping;
    cbp_real relative_step; /* |J step| / |residuals| of the last step */
    int is_plain;           /* the last step was undamped, and was taken */
    int unseen;             /* so many steps had to be cut and brought no visible fall */
} trust;

/* Learns from a step of the given length, which brought `ratio` of what was predicted. */
static void adapt(trust *c, cbp_real length, cbp_real ratio, int is_whole, int good_enough)
{
    if (!(ratio > (cbp_real)0.25) && !good_enough) {
        c->radius = length / 4 < c->radius / 2 ? length / 4 : c->radius / 2;
        c->damping *= 4;
    } else if (is_whole || ratio >= (cbp_real)0.75) {
        c->radius = c->radius > 2 * length ? c->radius : 2 * length;
        c->damping /= 2;
    }
}

static void begin_search(search *s, trust *c)
{
    memset(s->at.at_bound, 0, s->at.free * sizeof *s->at.at_bound);
    memcpy(s->at.step, s->at.point, s->at.free * sizeof *s->at.step);
    const cbp_real radius = 100 * cbp_fit_step_length(&s->at);
    *c = (trust){radius > 0 ? radius : 100, 0, (cbp_real)INFINITY, 0, 0};
}

/* Near a minimum an undamped step is a fixed part of the one before it, since one direction
 * converges more slowly than the others. It is then replaced by the sum of that series (Aitken's
 * extrapolation); whether it was. */
static int extrapolate(search *s)
{
    cbp_real both = 0, own = 0, last = 0;
    for (size_t j = 0; j < s->at.free; j++) {
        const cbp_real now = s->at.scaling[j] * s->at.step[j],
                       before = s->at.scaling[j] * s->last_step[j];
        both += now * before;
        own += now * now;
        last += before * before;
    }
    const cbp_real part = both / last;
    if (!(both * both > (cbp_real)0.9 * own * last && part < (cbp_real)0.9 &&
          part > (cbp_real)-0.9)) {
        return 0;
    }
    for (size_t j = 0; j < s->at.free; j++) {
        s->at.step[j] /= 1 - part;
    }
    return 1;
}

/* The step from s->at, with its length, predicted fall and relative step. */
typedef struct plan {
    cbp_real length, predicted, relative_step;
    /* the relative step that will be left after it, as far as can be told */
    cbp_real rest;
    /* trust is not what limits it; undamped, and as it came; cut at a bound */
    int is_whole, is_plain, is_cut;
} plan;

/* What a fall of the loss is measured by: the residuals' sum of squares. Where the loss is none,
 * that may be huge by an example that hardly counts, such as a probability near 0 of a target that
 * is not: then the loss itself. */
static cbp_real squares_at(const search *s, cbp_real loss)
{
    const cbp_real squares = cbp_fit_step_squares(&s->at);
    const int is_likelihood = cbp_loss_table[s->fit->loss.kind].dispersion > 0;
    return is_likelihood && loss < squares ? loss : squares;
}

static plan make_plan(search *s, trust *c, cbp_real loss)
{
    plan p;
    const int is_bounded = s->fit->lower || s->fit->upper;
    p.is_whole = cbp_fit_step_within(&s->at, c->radius, &c->damping);
    p.length = cbp_fit_step_length(&s->at);
    p.is_whole = p.is_whole || p.length < c->radius / 2;
    p.is_plain = c->damping == 0 && !is_bounded;
    p.is_cut = is_bounded && cbp_fit_step_stop_at_bounds(&s->at, c->damping);
    p.predicted = cbp_fit_step_predicted_fall(&s->at);
    p.relative_step = cbp_root(p.predicted > 0 ? p.predicted / squares_at(s, loss) : 0);
    const cbp_real rate = p.is_plain && c->is_plain ? p.relative_step / c->relative_step : 1;
    p.rest = rate < FAST ? p.relative_step * rate / (1 - rate) : p.relative_step;
    if (p.is_plain && c->is_plain && rate < FAST) {
        p.is_plain = !extrapolate(s);
    }
    return p;
}

/* From s->params, whose pass is in s->at.triangle, down to a minimum; `keep` chooses the
 * scaling. */
static enum cbp_outcome attempt(search *s, int keep, size_t limit, cbp_real *reached)
{
    cbp_real loss = *reached;
    const cbp_fit *fit = s->fit;
    trust c;
    measure(s);
    for (size_t iteration = 0; iteration < limit; iteration++) {
        gather(s, s->params, 0, s->at.point);
        rescale(s, keep, iteration == 0);
        if (iteration == 0) {
            begin_search(s, &c);
        }
        if (!fit->lower && !fit->upper) {
            memset(s->at.at_bound, 0, s->at.free * sizeof *s->at.at_bound);
        } else if (!cbp_fit_step_mark_at_bounds(&s->at)) {
            return CBP_CONVERGED;
        }
        const plan p = make_plan(s, &c, loss);
        const int still = move(s), is_small = is_short(s);
        cbp_real trial_loss;
        if (evaluate(s, s->trial, s->trial_node, &trial_loss)) {
            return CBP_STOPPED;
        }
        const cbp_real fall = loss - trial_loss, noise = noise_level(s, loss),
                       rounding = 4 * CBP_EPSILON * s->target_size;
        const int unseen = p.predicted <= noise;
        const int better = is_usable(s, s->trial, s->trial_node, trial_loss) &&
                           (fall > 0 || (unseen && -fall <= noise));
        c.radius = iteration == 0 && p.length < c.radius ? p.length : c.radius;
        adapt(&c, p.length, fall / p.predicted, p.is_whole, unseen && better);
        if (better) {
            swap(&s->params, &s->trial);
            swap(&s->at.triangle, &s->trial_node);
            swap(&s->at.step, &s->last_step);
            *reached = loss = trial_loss;
            measure(s);
            keep_best(s, loss);
        }
        fit->info->iterations++;
        cbp_fit_remember(fit, fit->info->iterations, s->best_loss / s->weight);
        if (cbp_fit_progress(fit)) { /* also if this attempt is at its end: another might follow */
            return CBP_STOPPED;
        }
        const int settled = p.rest <= fit->options->tolerance ||
                            (unseen && (!better || p.relative_step > c.relative_step));
        const int is_near = is_small && p.predicted <= NEAR_NOISE * noise && fall <= noise;
        c.unseen = !is_near ? 0 : c.unseen + !(p.is_whole && better);
        if (!p.is_cut && (still || p.predicted <= rounding * rounding || (p.is_whole && settled) ||
                          c.unseen == MOST_UNSEEN)) {
            return CBP_CONVERGED;
        }
        c.relative_step = p.relative_step;
        c.is_plain = p.is_plain && better;
    }
    return CBP_EXHAUSTED;
}

/* ---- the fit --------------------------------------------------------------------------------- */

/* Whether the last pass leaves a parameter undetermined, or nearly. */
static int needs_second_attempt(const search *s)
{
    gather(s, s->params, 0, s->at.point);
    for (size_t j = 0; j < s->at.free; j++) {
        const cbp_real norm = cbp_fit_step_column_norm(&s->at, j);
        const cbp_real size =
            s->at.point[j] > 1 || s->at.point[j] < -1 ? cbp_magnitude(s->at.point[j]) : 1;
        const cbp_real own = cbp_magnitude(s->at.triangle[j * s->at.width + j]);
        if (!(own > CBP_INDEPENDENT * norm) || !(norm * size > CBP_WEAK * s->target_size)) {
            return 1;
        }
    }
    return 0;
}

/* A start around the given one: anywhere between two bounds, else up to twice its size away. */
static void draw_start(search *s, uint64_t *random)
{
    for (size_t k = 0; k < 2 * s->fit->chain.layers; k++) {
        const cbp_real given = s->given[k];
        s->start[k] = given;
        if (cbp_is_free(s->fit->chain.frozen, k)) {
            const cbp_real low = cbp_low(s->fit, k), high = cbp_high(s->fit, k),
                           t = cbp_random_uniform(random);
            const cbp_real size = given != 0 ? cbp_magnitude(given) : 1;
            const cbp_real drawn =
                cbp_is_finite(high - low) ? low + t * (high - low) : given + (4 * t - 2) * size;
            s->start[k] = cbp_bounded(s->fit, k, drawn);
        }
    }
}

/* The weight and bias of a last identity layer, where free, are put where the squared loss is least
 * for the others as they are: a least-squares problem of one or two columns. 1 if the fit is to
 * stop. */
static int solve_last_layer(search *s)
{
    const cbp_fit *fit = s->fit;
    const size_t w = 2 * fit->chain.layers - 2, b = w + 1;
    const size_t columns =
        (size_t)cbp_is_free(fit->chain.frozen, w) + (size_t)cbp_is_free(fit->chain.frozen, b);
    if (fit->chain.activations[fit->chain.layers - 1] != CBP_IDENTITY ||
        fit->loss.kind != CBP_SQUARED || columns == 0) {
        return 0;
    }
    /* frozen for this pass; bytes, of which there is room */
    unsigned char *others = (unsigned char *)s->trial;
    cbp_real node[3 * 3 + 8], step[2] = {0, 0};
    memset(others, 1, w);
    others[w] = (unsigned char)!cbp_is_free(fit->chain.frozen, w);
    others[b] = (unsigned char)!cbp_is_free(fit->chain.frozen, b);
    const cbp_chain chain = {s->params, fit->chain.activations, others, fit->chain.layers};
    if (s->pass(s->user, &chain, node)) {
        return 1;
    }
    if (columns == 2) {
        step[1] = -node[5] / node[4];
        step[0] = -(node[2] + node[1] * step[1]) / node[0];
    } else {
        step[0] = -node[1] / node[0];
    }
    if (cbp_is_finite(step[0])) { /* which it is only if step[1] is */
        const size_t first = others[w] ? b : w;
        s->params[first] = cbp_bounded(fit, first, s->params[first] + step[0]);
        s->params[b] = columns == 2 ? cbp_bounded(fit, b, s->params[b] + step[1]) : s->params[b];
    }
    return 0;
}

/* From s->params, which is s->start. If that does not converge or leaves a parameter undetermined,
 * once more in the other scaling and with the last layer solved for first. */
static enum cbp_outcome search_from(search *s, cbp_real loss)
{
    const size_t limit = s->fit->options->max_iterations, used = s->fit->info->iterations;
    const enum cbp_outcome first = attempt(s, 1, limit >= PATIENT ? limit / 2 : limit, &loss);
    const size_t left = limit - (s->fit->info->iterations - used);
    if (first == CBP_STOPPED || (first == CBP_CONVERGED && !needs_second_attempt(s)) || left == 0) {
        return first;
    }
    const cbp_real best_before = s->best_loss;
    memcpy(s->params, s->start, 2 * s->fit->chain.layers * sizeof *s->start);
    if (solve_last_layer(s) || evaluate(s, s->params, s->at.triangle, &loss)) {
        return CBP_STOPPED;
    }
    if (!is_usable(s, s->params, s->at.triangle, loss)) {
        return first;
    }
    keep_best(s, loss);
    const enum cbp_outcome second = attempt(s, 0, left, &loss);
    const int as_good = second == CBP_CONVERGED && loss - s->best_loss <= noise_level(s, loss);
    return second == CBP_STOPPED || as_good || s->best_loss < best_before ? second : first;
}

/* Leading frozen layers give the same numbers at every pass: for a tile of examples they are worked
 * once, the rest is fit to what they give, and the number of parameters that it lacks is
 * returned. */
static size_t skip_frozen_layers(cbp_fit *fit, cbp_real *outputs)
{
    const size_t skipped = fit->examples.n <= CBP_FIT_TILE
                               ? cbp_count_leading(fit->chain.frozen, fit->chain.layers)
                               : 0;
    if (skipped > 0) {
        cbp_chain leading = fit->chain;
        leading.layers = skipped;
        cbp_kernels_now()->forward(&leading, fit->examples.x, fit->examples.n, outputs);
        fit->examples.x = outputs;
        fit->chain.layers -= skipped;
        fit->chain.params += 2 * skipped;
        fit->chain.activations += skipped;
        fit->chain.frozen += 2 * skipped;
        fit->lower = fit->lower ? fit->lower + 2 * skipped : NULL;
        fit->upper = fit->upper ? fit->upper + 2 * skipped : NULL;
    }
    return 2 * skipped;
}

/* From the start in s->start, and from others if they are asked for. */
static int search_all(search *s, enum cbp_outcome *outcome)
{
    const cbp_fit *fit = s->fit;
    const size_t size = 2 * fit->chain.layers * sizeof *s->start;
    cbp_real loss;
    memcpy(s->params, s->start, size);
    memcpy(s->best, s->start, size);
    if (evaluate(s, s->params, s->at.triangle, &loss)) {
        *outcome = CBP_STOPPED;
        return CBP_OK;
    }
    s->weight = sum_of(s, s->at.triangle, 0);
    if (!cbp_is_total(s->weight)) {
        return CBP_ERROR_WEIGHT;
    }
    if (sum_of(s, s->at.triangle, 2) < (cbp_real)s->at.free) {
        return CBP_ERROR_FEW_EXAMPLES;
    }
    const int status = cbp_fit_check_start(fit);
    if (status != CBP_OK) {
        return status;
    }
    measure(s);
    if (!is_usable(s, s->params, s->at.triangle, loss)) {
        return CBP_ERROR_START_LOSS;
    }
    rescale(s, 1, 1); /* by which keep_best measures where there are bounds */
    keep_best(s, loss);
    cbp_fit_remember(fit, 0, fit->info->loss);
    *outcome = search_from(s, loss);
    uint64_t random = fit->options->seed;
    memcpy(s->given, s->start, size);
    for (size_t i = 0; i < fit->options->restarts && *outcome != CBP_STOPPED; i++) {
        draw_start(s, &random);
        memcpy(s->params, s->start, size);
        const cbp_real best_before = s->best_loss;
        enum cbp_outcome this_one = CBP_STOPPED;
        if (!evaluate(s, s->params, s->at.triangle, &loss)) {
            this_one =
                is_usable(s, s->params, s->at.triangle, loss) ? search_from(s, loss) : *outcome;
        }
        if (this_one == CBP_STOPPED || s->best_loss < best_before) {
            *outcome = this_one;
        }
    }
    return CBP_OK;
}

/* From a checked start, whose first `skipped` parameters the fit does without. `work` has
 * cbp_fit_search_len numbers. */
static int fit_from(const cbp_fit *fit, cbp_fit_pass pass, void *user, size_t skipped,
                    cbp_real *work, cbp_real *params, cbp_fit_info *info)
{
    const size_t all = skipped + 2 * fit->chain.layers;
    search s = search_in(work + all, fit);
    s.pass = pass;
    s.user = user;
    memcpy(work, fit->chain.params - skipped, all * sizeof *work);
    s.best = work + skipped;
    s.best_loss = (cbp_real)INFINITY;
    gather(&s, fit->lower, (cbp_real)-INFINITY, s.at.low);
    gather(&s, fit->upper, (cbp_real)INFINITY, s.at.high);
    memcpy(s.start, s.best, 2 * fit->chain.layers * sizeof *s.start);
    *fit->info = (cbp_fit_info){CBP_RUNNING, 0, 0, (cbp_real)NAN, (cbp_real)NAN, work};
    enum cbp_outcome outcome = CBP_RUNNING;
    const int status = search_all(&s, &outcome);
    if (status == CBP_OK) {
        memcpy(params, work, all * sizeof *params);
        *info = *fit->info;
        info->outcome = outcome;
        info->params = params;
    }
    return status;
}

int cbp_fit_lm(const cbp_chain *chain, const cbp_examples *examples, const cbp_fit_options *options,
               cbp_real *work, cbp_real *params, cbp_fit_info *info)
{
    cbp_fit_info so_far;
    cbp_fit fit;
    int status =
        examples && work && params ? cbp_fit_given(chain, examples, options, &fit) : CBP_ERROR_NULL;
    if (status == CBP_OK) {
        fit.info = info ? &so_far : NULL;
        status = cbp_fit_check(&fit);
    }
    if (status != CBP_OK) {
        return status;
    }
    const size_t free = cbp_count_free(chain->frozen, chain->layers),
                 skipped = skip_frozen_layers(&fit, work);
    cbp_real *passes = work + CBP_FIT_TILE, *rest = passes + cbp_fit_pass_len(chain->layers, free);
    cbp_fit_memory memory = {
        .fit = &fit, .work = passes, .nodes = rest + cbp_fit_search_len(chain->layers, free)};
    return fit_from(&fit, cbp_fit_pass_memory, &memory, skipped, rest, params, info);
}

int cbp_fit_over(cbp_fit_pass pass, void *user, const cbp_chain *chain,
                 const cbp_fit_options *options, cbp_real *work, cbp_real *params,
                 cbp_fit_info *info)
{
    cbp_fit_info so_far;
    cbp_fit fit;
    int status =
        pass && work && params ? cbp_fit_given(chain, NULL, options, &fit) : CBP_ERROR_NULL;
    if (status == CBP_OK) {
        fit.info = info ? &so_far : NULL;
        status = cbp_fit_check_over(&fit);
    }
    return status == CBP_OK ? fit_from(&fit, pass, user, 0, work, params, info) : status;
}
