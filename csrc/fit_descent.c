/* Gradient descent, descent with momentum, and Adam (D. P. Kingma, J. Ba, Adam: a method for
 * stochastic optimization, 2015), on all examples or on batches of them.
 *
 * The loss and its gradient over all examples are known at marks: at the start and after each
 * iteration. What a fit returns, and shows to the progress function, is the last mark, whether or
 * not its loss is the least: a descent that does not settle (its learning rate too large, its
 * batches too small) is to be seen as it is. A fit that was stopped or that diverged returns the
 * mark of the least loss; one stopped before the first mark returns its start, the loss and the
 * gradient's norm NaN.
 */
#include "fit.h"

#define KEEP_SLOPE ((cbp_real)0.9)    /* Adam's beta1 */
#define KEEP_SQUARE ((cbp_real)0.999) /* beta2 */
#define LEAST_ROOT ((cbp_real)1e-8)   /* epsilon */

/* What the examples of a batch cost, and the batch itself, counted in examples of a pass in order:
 * measured at one layer 4 and 100, at eight 2 and 35; from arrays larger than the caches an example
 * costs up to 50. */
#define DRAWN_COST 8
#define BATCH_COST 64

/* A fit under way. */
typedef struct descent {
    const cbp_fit *fit;
    const cbp_kernels *kernels; /* the same ones to the end */
    size_t batch;               /* examples a step */
    size_t *order;
    uint64_t random;
    size_t unasked;                   /* examples since the progress function was last asked */
    cbp_real *params, *marked, *best; /* now, at the last mark, at the best one */
    cbp_real best_loss, best_norm;    /* there */
    /* the last step, or Adam's first moment; Adam's second moment */
    cbp_real *velocity, *square;
    /* Adam: beta1 and beta2 to the power of the steps so far, which its moments are corrected by */
    cbp_real beta1_power, beta2_power;
    /* as cbp_gradient_sums; sums become [loss, gradient ...] */
    cbp_real *sums, *compensation;
    cbp_real *tile, *x, *y, *weight; /* the kernels' memory; a piece of a batch */
} descent;

/* ---- memory ---------------------------------------------------------------------------------- */

static size_t fewer(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Whole blocks, so that a batch has the sums of one pass. */
static size_t piece_len(size_t batch_size)
{
    return fewer(batch_size, CBP_BLOCK);
}

/* Five vectors of parameters, two of sums, the kernels' memory, and the x, y and weights of a piece
 * of a batch. */
size_t cbp_fit_descent_work_len(size_t layers, size_t batch_size)
{
    return 5 * 2 * layers + 2 * (2 * layers + 2) + cbp_work_len(layers, 2) +
           3 * piece_len(batch_size);
}

static descent descent_from(const cbp_fit *fit, cbp_real *work, size_t *order)
{
    const cbp_real *start = fit->chain.params;
    const size_t layers = fit->chain.layers, len = 2 * layers, batch = fit->options->batch_size;
    descent d = {.fit = fit, .kernels = cbp_kernels_now(), .order = order, .params = work};
    d.batch = batch > 0 ? fewer(batch, fit->examples.n) : fit->examples.n;
    d.random = (uint64_t)fit->options->seed;
    d.marked = d.params + len;
    d.best = d.marked + len;
    d.velocity = d.best + len;
    d.square = d.velocity + len;
    d.sums = d.square + len;
    d.compensation = d.sums + len + 2;
    d.tile = d.compensation + len + 2;
    d.x = d.tile + cbp_work_len(layers, 2);
    d.y = d.x + piece_len(batch);
    d.weight = d.y + piece_len(batch);
    d.beta1_power = d.beta2_power = 1;
    memcpy(d.params, start, len * sizeof *start);
    memcpy(d.marked, start, len * sizeof *start);
    memcpy(d.best, start, len * sizeof *start);
    memset(d.velocity, 0, 2 * len * sizeof *d.velocity);
    for (size_t i = 0; d.batch < fit->examples.n && i < fit->examples.n; i++) {
        order[i] = i;
    }
    return d;
}

/* ---- sums ------------------------------------------------------------------------------------ */

/* Before each piece of a pass; not 0: the fit is to stop. */
static int stopped_before(descent *d, size_t cost)
{
    if (d->unasked >= cbp_fit_stretch(d->fit->chain.layers)) {
        d->unasked = 0;
        if (cbp_fit_progress(d->fit)) {
            return 1;
        }
    }
    d->unasked += cost;
    return 0;
}

static void clear_sums(descent *d)
{
    memset(d->sums, 0, 2 * (2 * d->fit->chain.layers + 2) * sizeof *d->sums);
}

static void add_sums(descent *d, const cbp_real *x, const cbp_real *y, const cbp_real *weight,
                     size_t count)
{
    const cbp_chain chain = cbp_chain_at(d->fit->chain, d->params);
    d->kernels->gradient_sums(&chain, d->fit->loss, &(cbp_examples){x, y, weight, count}, d->tile,
                              d->sums, d->compensation);
}

/* The sums become [loss, gradient ...]; fails, and leaves them, if the weights do not make a
 * mean. */
static int mean_of_sums(descent *d)
{
    return cbp_sums_mean(d->sums, d->compensation, 2 * d->fit->chain.layers + 2, d->sums);
}

/* Over all examples. */
static enum cbp_outcome sum_all(descent *d)
{
    const cbp_fit *fit = d->fit;
    const size_t stretch = cbp_fit_stretch(fit->chain.layers);
    clear_sums(d);
    for (size_t start = 0; start < fit->examples.n; start += stretch) {
        const size_t count = fewer(stretch, fit->examples.n - start);
        if (stopped_before(d, count)) {
            return CBP_STOPPED;
        }
        add_sums(d, fit->examples.x + start, fit->examples.y + start,
                 fit->examples.weight ? fit->examples.weight + start : NULL, count);
    }
    fit->info->evaluations++;
    return CBP_RUNNING;
}

/* Shuffles as it goes (Fisher, Yates): places start ... start + count - 1 of the order are drawn
 * from those not drawn before, and their examples gathered. The order that an earlier pass left is
 * as good a start as any. */
static void draw(descent *d, size_t start, size_t count)
{
    const cbp_fit *fit = d->fit;
    for (size_t j = 0; j < count; j++) {
        const size_t place = start + j,
                     from = place + cbp_random_below(&d->random, fit->examples.n - place);
        const size_t example = d->order[from];
        d->order[from] = d->order[place];
        d->order[place] = example;
        d->x[j] = fit->examples.x[example];
        d->y[j] = fit->examples.y[example];
        if (fit->examples.weight) {
            d->weight[j] = fit->examples.weight[example];
        }
    }
}

/* Over the batch at places start ... start + count - 1, piece by piece. */
static enum cbp_outcome sum_batch(descent *d, size_t start, size_t count)
{
    const size_t piece = piece_len(d->batch);
    clear_sums(d);
    for (size_t done = 0; done < count; done += piece) {
        const size_t some = fewer(piece, count - done);
        if (stopped_before(d, DRAWN_COST * some + BATCH_COST)) {
            return CBP_STOPPED;
        }
        draw(d, start + done, some);
        add_sums(d, d->x, d->y, d->fit->examples.weight ? d->weight : NULL, some);
    }
    return CBP_RUNNING;
}

/* ---- steps ----------------------------------------------------------------------------------- */

/* By how much parameter k moves. */
static cbp_real change(descent *d, size_t k, cbp_real slope)
{
    const cbp_fit_options *options = d->fit->options;
    if (options->method != CBP_ADAM) {
        const cbp_real kept =
            options->method == CBP_MOMENTUM ? options->momentum * d->velocity[k] : 0;
        return d->velocity[k] = kept - options->learning_rate * slope;
    }
    d->velocity[k] = KEEP_SLOPE * d->velocity[k] + (1 - KEEP_SLOPE) * slope;
    d->square[k] = KEEP_SQUARE * d->square[k] + (1 - KEEP_SQUARE) * (slope * slope);
    const cbp_real mean = d->velocity[k] / (1 - d->beta1_power),
                   square = d->square[k] / (1 - d->beta2_power);
    return -options->learning_rate * (mean / (cbp_root(square) + LEAST_ROOT));
}

/* Along the gradient in the sums. A parameter can be finite where the numbers behind it are not:
 * at a bound, or stopped by a mean square that is infinite and lets nothing move again. */
static enum cbp_outcome step(descent *d)
{
    const cbp_real *gradient = d->sums + 1;
    int finite = 1;
    d->beta1_power *= KEEP_SLOPE;
    d->beta2_power *= KEEP_SQUARE;
    for (size_t k = 0; k < 2 * d->fit->chain.layers; k++) {
        if (cbp_is_free(d->fit->chain.frozen, k)) {
            d->params[k] = cbp_bounded(d->fit, k, d->params[k] + change(d, k, gradient[k]));
            finite &= cbp_is_finite(d->params[k]) && cbp_is_finite(d->velocity[k]) &&
                      cbp_is_finite(d->square[k]);
        }
    }
    return finite ? CBP_RUNNING : CBP_DIVERGED;
}

/* A pass over all examples with a step for each batch, but for batches whose weights are all 0. */
static enum cbp_outcome step_by_batches(descent *d)
{
    const size_t n = d->fit->examples.n;
    for (size_t start = 0, count; start < n; start += count) {
        count = fewer(d->batch, n - start);
        enum cbp_outcome outcome = sum_batch(d, start, count);
        if (outcome == CBP_RUNNING && mean_of_sums(d) == CBP_OK) {
            outcome = step(d);
        }
        if (outcome != CBP_RUNNING) {
            return outcome;
        }
    }
    d->fit->info->evaluations++;
    return CBP_RUNNING;
}

/* ---- marks ----------------------------------------------------------------------------------- */

/* Whether a parameter is free, and no bound holds it. */
static int moves(const descent *d, size_t k, cbp_real slope)
{
    return cbp_is_free(d->fit->chain.frozen, k) && !cbp_is_at_bound(d->fit, k, d->params[k], slope);
}

/* Euclidean, over what moves, the largest taken out so that no square overflows; NaN if any is not
 * finite. */
static cbp_real norm_of(const descent *d, const cbp_real *gradient)
{
    const cbp_fit *fit = d->fit;
    cbp_real largest = 0, sum = 0;
    for (size_t k = 0; k < 2 * fit->chain.layers; k++) {
        if (moves(d, k, gradient[k])) {
            const cbp_real size = cbp_magnitude(gradient[k]);
            if (!cbp_is_finite(size)) {
                return (cbp_real)NAN;
            }
            largest = size > largest ? size : largest;
        }
    }
    for (size_t k = 0; largest > 0 && k < 2 * fit->chain.layers; k++) {
        if (moves(d, k, gradient[k])) {
            sum += gradient[k] / largest * (gradient[k] / largest);
        }
    }
    return largest * cbp_root(sum);
}

/* Takes the means in the sums as those of the iteration that has ended. */
static enum cbp_outcome mark(descent *d)
{
    cbp_fit_info *info = d->fit->info;
    const size_t size = 2 * d->fit->chain.layers * sizeof *d->params;
    const cbp_real loss = d->sums[0], norm = norm_of(d, d->sums + 1),
                   tolerance = d->fit->options->tolerance;
    cbp_fit_remember(d->fit, info->iterations, loss);
    if (!cbp_is_finite(loss)) {
        return CBP_DIVERGED;
    }
    memcpy(d->marked, d->params, size);
    info->loss = loss;
    info->gradient_norm = norm;
    if (!(loss >= d->best_loss)) { /* the first is better than none, NaN */
        memcpy(d->best, d->params, size);
        d->best_loss = loss;
        d->best_norm = norm;
    }
    if (!cbp_is_finite(norm)) {
        return CBP_DIVERGED;
    }
    return tolerance > 0 && norm <= tolerance ? CBP_CONVERGED : CBP_RUNNING;
}

/* The mark of the start; on failure nothing has been written. */
static int begin_descent(descent *d, enum cbp_outcome *outcome)
{
    *outcome = sum_all(d);
    if (*outcome != CBP_RUNNING) {
        cbp_fit_remember(d->fit, 0, d->best_loss);
        return CBP_OK;
    }
    const int status = mean_of_sums(d);
    if (status != CBP_OK) {
        return status;
    }
    if (!cbp_is_finite(d->sums[0])) {
        return CBP_ERROR_START_LOSS;
    }
    *outcome = mark(d);
    return CBP_OK;
}

static enum cbp_outcome iterate(descent *d)
{
    cbp_fit_info *info = d->fit->info;
    enum cbp_outcome outcome = d->batch < d->fit->examples.n ? step_by_batches(d) : step(d);
    if (outcome == CBP_RUNNING) {
        outcome = sum_all(d);
    }
    if (outcome != CBP_RUNNING) {
        return outcome;
    }
    mean_of_sums(d);
    info->iterations++;
    outcome = mark(d);
    if (outcome == CBP_DIVERGED) {
        return outcome;
    }
    d->unasked = 0;
    if (cbp_fit_progress(d->fit) && outcome == CBP_RUNNING) {
        return CBP_STOPPED;
    }
    return outcome == CBP_RUNNING && info->iterations >= d->fit->options->max_iterations
               ? CBP_EXHAUSTED
               : outcome;
}

/* ---- the fit --------------------------------------------------------------------------------- */

/* Whether the memory that the options need is there. */
static int check_memory(const cbp_fit *fit, const cbp_real *work, const size_t *order)
{
    const size_t batch = fit->options->batch_size;
    return work && (order || batch == 0 || batch >= fit->examples.n) ? CBP_OK : CBP_ERROR_NULL;
}

static void finish_descent(const descent *d, enum cbp_outcome outcome, cbp_real *params,
                           cbp_fit_info *info)
{
    const int to_best = outcome == CBP_STOPPED || outcome == CBP_DIVERGED;
    memcpy(params, to_best ? d->best : d->marked, 2 * d->fit->chain.layers * sizeof *params);
    *info = *d->fit->info;
    info->outcome = outcome;
    info->params = params;
    if (to_best) {
        info->loss = d->best_loss;
        info->gradient_norm = d->best_norm;
    }
}

int cbp_fit_descent(const cbp_chain *chain, const cbp_examples *examples,
                    const cbp_fit_options *options, cbp_real *work, size_t *order, cbp_real *params,
                    cbp_fit_info *info)
{
    cbp_fit_info so_far; /* not the caller's, which stays as it is if the start has no loss */
    cbp_fit fit;
    int status =
        examples && params ? cbp_fit_given(chain, examples, options, &fit) : CBP_ERROR_NULL;
    if (status == CBP_OK) {
        fit.info = info ? &so_far : NULL;
        status = cbp_fit_check(&fit);
    }
    if (status == CBP_OK) {
        status = check_memory(&fit, work, order);
    }
    if (status != CBP_OK) {
        return status;
    }
    descent d = descent_from(&fit, work, order);
    const cbp_real unknown = (cbp_real)NAN;
    d.best_loss = d.best_norm = unknown;
    so_far = (cbp_fit_info){CBP_RUNNING, 0, 0, unknown, unknown, d.marked};
    enum cbp_outcome outcome;
    status = begin_descent(&d, &outcome);
    if (status != CBP_OK) {
        return status;
    }
    while (outcome == CBP_RUNNING) {
        outcome = iterate(&d);
    }
    finish_descent(&d, outcome, params, info);
    return CBP_OK;
}
