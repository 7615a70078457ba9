/* Levenberg-Marquardt, fits that do not simply converge: stopped by the caller or by the limit of
 * iterations, restarted, refused; and the memory that they use. */
#include "fit_lm_call.h"
#include "fit_refused.h"

/* ---- how fits go and end --------------------------------------------------------------------- */

/* Every call: the best so far, which never becomes worse, with the numbers that belong to it. */
typedef struct witness {
    const call *c;
    size_t calls, wrong;
    cbp_real last;
} witness;

static int witness_best(void *user, const cbp_fit_info *info)
{
    witness *w = user;
    cbp_real loss;
    cbp_chain chain = w->c->chain;
    chain.params = info->params;
    w->wrong += cbp_loss_mean(&chain, &w->c->examples, &w->c->options.loss, &loss) != CBP_OK;
    w->wrong += !near((double)loss, (double)info->loss, 0, 16);
    w->wrong += w->calls > 0 && !((double)info->loss <= (double)w->last * (1 + 1024 * EPSILON));
    w->wrong += (size_t)!(info->gradient_norm >= 0);
    w->last = info->loss;
    w->calls++;
    return 0;
}

/* Called after each iteration, the last one too; with the best so far. */
static void test_progress(void)
{
    watcher w = {0};
    cbp_real params[4];
    call c = fit_of_certified(&misra1a, 0, params);
    watch_fit(&c, &w);
    CHECK(fit(&c, params) == CBP_OK && c.info.outcome == CBP_CONVERGED);
    CHECK(w.calls == c.info.iterations);
    CHECK(w.last.iterations == c.info.iterations && w.last.evaluations == c.info.evaluations);
    CHECK(w.disorder == 0);

    /* The first attempt at BoxBOD fails; the second one finds the minimum. */
    witness best = {.c = &c};
    c = fit_of_certified(&boxbod, 0, params);
    c.options.progress = witness_best;
    c.options.user = &best;
    CHECK(fit(&c, params) == CBP_OK && best.calls > 3 && best.wrong == 0);

    /* With restarts too, whose points are far from the best. */
    best.calls = 0;
    c.options.restarts = 5;
    params[0] = params[2] = -1;
    CHECK(fit(&c, params) == CBP_OK && best.calls > 10 && best.wrong == 0);
}

/* Stopped after any iteration: what is returned is what the progress function saw. */
static void test_stopped(void)
{
    cbp_real params[4], history[200];
    call whole = fit_of_certified(&misra1a, 0, params);
    CHECK(fit(&whole, params) == CBP_OK && whole.info.iterations < 200);
    for (size_t stop_at = 1; stop_at < whole.info.iterations; stop_at++) {
        watcher w = {.stop_at = stop_at};
        call c = fit_of_certified(&misra1a, 0, params);
        c.options.restarts = 2; /* are not tried after a stop */
        c.options.history = history;
        c.options.history_len = 200;
        watch_fit(&c, &w);
        CHECK(fit(&c, params) == CBP_OK && c.info.outcome == CBP_STOPPED);
        CHECK(w.calls == stop_at && c.info.iterations == stop_at &&
              c.info.evaluations == stop_at + 1);
        CHECK(same_all(params, w.params, 4) && same(c.info.loss, w.last.loss) &&
              same(c.info.loss, history[stop_at]));
        CHECK(same(c.info.gradient_norm, w.last.gradient_norm));
        check_info(&c);
    }

    /* Stopped in a restart. */
    watcher w = {.stop_at = whole.info.iterations + 2};
    call c = fit_of_certified(&misra1a, 0, params);
    c.options.restarts = 3;
    watch_fit(&c, &w);
    CHECK(fit(&c, params) == CBP_OK && c.info.outcome == CBP_STOPPED && w.calls == w.stop_at);
    CHECK(c.info.loss <= whole.info.loss * R(1 + 64 * EPSILON));
    check_info(&c);
}

/* history[k] is the loss of a fit of k iterations; no further than it is long. */
static void test_history(void)
{
    cbp_real history[9], params[4];
    for (size_t len = 0; len <= 8; len++) {
        for (int k = 0; k < 9; k++) {
            history[k] = -5;
        }
        for (size_t iterations = 6; iterations > 0; iterations--) {
            call c = fit_of_certified(&misra1a, 0, params);
            c.options.max_iterations = iterations;
            c.options.history = iterations == 6 ? history : NULL;
            c.options.history_len = len;
            CHECK(fit(&c, params) == CBP_OK && c.info.outcome == CBP_EXHAUSTED);
            CHECK(c.info.iterations == iterations && c.info.evaluations == iterations + 1);
            CHECK(iterations >= len || same(history[iterations], c.info.loss));
            check_info(&c);
        }
        for (size_t k = 0; k < 9; k++) {
            CHECK(k < len && k <= 6 ? history[k] > 0 : history[k] == -5);
            CHECK(k == 0 || k >= len || k > 6 || history[k] <= history[k - 1]);
        }
    }
}

/* One iteration is one step, from a start that is kept if it is no better. */
static void test_one_iteration(void)
{
    watcher w = {0};
    cbp_real params[] = {R(-0.5), R(0.5)}, plain[] = {0, 0};
    call c = fit_of(line, 1, point_x, point_y, POINTS), p = c;
    CHECK(fit(&p, plain) == CBP_OK);
    c.options.max_iterations = 1;
    watch_fit(&c, &w);
    CHECK(fit(&c, params) == CBP_OK && c.info.outcome == CBP_EXHAUSTED);
    CHECK(c.info.iterations == 1 && c.info.evaluations == 2 && w.calls == 1);
    CHECK(near((double)params[0], (double)plain[0], 1, 64) &&
          near((double)params[1], (double)plain[1], 1, 64));

    /* A start at the minimum stays. */
    p = c;
    p.options.progress = NULL;
    p.options.max_iterations = 1000;
    cbp_real there[] = {plain[0], plain[1]};
    CHECK(fit(&p, there) == CBP_OK && p.info.outcome == CBP_CONVERGED && p.info.iterations <= 2);
    CHECK(near((double)there[0], (double)plain[0], 1, 64) &&
          near((double)there[1], (double)plain[1], 1, 64));

    /* A tolerance of 0 asks for all that rounding gives; one of 1 takes the first step that is no
     * longer than the residuals. */
    p.options.tolerance = 0;
    there[0] = there[1] = 0;
    CHECK(fit(&p, there) == CBP_OK && p.info.outcome == CBP_CONVERGED && p.info.iterations < 20);
    CHECK(near((double)there[0], (double)plain[0], 1, 64) &&
          near((double)there[1], (double)plain[1], 1, 64));
    p.options.tolerance = 1;
    there[0] = there[1] = 0;
    CHECK(fit(&p, there) == CBP_OK && p.info.outcome == CBP_CONVERGED && p.info.iterations == 1);
}

/* ---- long evaluations ------------------------------------------------------------------------ */

/* Sees that the last two parameters are within bounds, also before the first evaluation has
 * ended. */
typedef struct sentry {
    size_t calls, stop_at, wrong;
} sentry;

static int stand_sentry(void *user, const cbp_fit_info *info)
{
    sentry *s = user;
    const cbp_real *last = info->params + 2 * DEEP - 2;
    s->wrong += info->params[0] != 1 || info->params[1] != 0;
    s->wrong += !(last[0] >= R(0.5) && last[0] <= 1 && last[1] >= 0 && last[1] <= R(0.25));
    return ++s->calls == s->stop_at;
}

/* Four stretches an evaluation: three questions before the first loss is known, three more before
 * the second, and the one after the iteration. */
static void test_stretches(void)
{
    unsigned char activations[DEEP], frozen[2 * DEEP];
    cbp_real params[2 * DEEP], lower[2 * DEEP], upper[2 * DEEP], history[2], loss;
    for (size_t stop_at = 0; stop_at <= 7; stop_at++) {
        sentry s = {.stop_at = stop_at};
        call c = deep_fit(params, activations, frozen);
        for (size_t l = 0; l < DEEP; l++) {
            lower[2 * l] = R(0.5);
            lower[2 * l + 1] = 0;
            upper[2 * l] = 1;
            upper[2 * l + 1] = R(0.25);
        }
        CHECK(cbp_loss_mean(&c.chain, &c.examples, NULL, &loss) == CBP_OK);
        c.options.lower = lower;
        c.options.upper = upper;
        c.options.restarts = stop_at == 0 ? 0 : 2;
        c.options.progress = stand_sentry;
        c.options.user = &s;
        c.options.history = history;
        c.options.history_len = 2;
        history[0] = history[1] = 5;
        CHECK(fit(&c, params) == CBP_OK);
        CHECK(s.calls == (stop_at ? stop_at : 7) && s.wrong == 0);
        CHECK(c.info.outcome == (stop_at ? CBP_STOPPED : CBP_EXHAUSTED));
        const size_t passes = stop_at == 0 || stop_at == 7 ? 2 : stop_at > 3;
        CHECK(c.info.evaluations == passes && c.info.iterations == (passes == 2));
        CHECK(c.info.params == params);
        CHECK((params[2 * DEEP - 2] != 1 || params[2 * DEEP - 1] != 0) == (passes == 2));
        if (passes == 0) {
            /* nothing is known of the start */
            CHECK(isnan(c.info.loss) && isnan(c.info.gradient_norm));
        } else {
            CHECK(c.info.loss == history[passes - 1] &&
                  near((double)history[0], (double)loss, 0, 16));
            CHECK((history[1] == 5) == (passes < 2));
        }
    }
}

/* Whole stretches: one question between the two of an evaluation, and the one after the
 * iteration. */
static void test_whole_stretches(void)
{
    unsigned char activations[DEEP], frozen[2 * DEEP];
    cbp_real params[2 * DEEP];
    watcher w = {0};
    call c = deep_fit(params, activations, frozen);
    c.examples.n = 2 * CBP_BLOCK;
    watch_fit(&c, &w);
    CHECK(fit(&c, params) == CBP_OK && c.info.evaluations == 2 && w.calls == 3);
}

/* Stopped at any question: in the first attempt, in the second, which a redundant bias causes, in a
 * restart. */
static void test_stopped_anywhere(void)
{
    unsigned char activations[DEEP], frozen[2 * DEEP];
    cbp_real params[2 * DEEP], start[2];
    size_t calls = 0, evaluations = 0;
    for (size_t stop_at = 1; stop_at == 1 || calls == stop_at - 1; stop_at++) {
        watcher w = {.stop_at = stop_at};
        call c = deep_fit(params, activations, frozen);
        activations[DEEP - 1] = CBP_IDENTITY;
        frozen[2 * DEEP - 3] = 0;
        frozen[2 * DEEP - 2] = 1;
        params[2 * DEEP - 2] = start[0] = R(0.5);
        params[2 * DEEP - 1] = start[1] = R(0.25);
        c.examples.n = CBP_BLOCK + 16;
        c.options.max_iterations = 200;
        c.options.restarts = 1;
        watch_fit(&c, &w);
        CHECK(fit(&c, params) == CBP_OK && w.disorder == 0);
        calls = w.calls;
        if (calls == stop_at) {
            CHECK(c.info.outcome == CBP_STOPPED && c.info.evaluations >= evaluations);
            CHECK(c.info.evaluations > 0 || same_all(params + 2 * DEEP - 2, start, 2));
            CHECK(c.info.evaluations == 0 || !isnan(c.info.loss));
        } else {
            CHECK(c.info.outcome == CBP_CONVERGED && stop_at > 12);
        }
        evaluations = c.info.evaluations;
    }
}

/* ---- restarts -------------------------------------------------------------------------------- */

/* sin(w x) against sin(2.5 x): from w = 8 down to one of many valleys. */
static call fit_of_wave(cbp_real *x, cbp_real *y, cbp_real *params)
{
    static const unsigned char wave[] = {CBP_SIN};
    for (size_t i = 0; i < POINTS; i++) {
        x[i] = 3 * point_x[i];
        y[i] = R(sin(2.5 * (double)x[i]));
    }
    call c = fit_of(wave, 1, x, y, POINTS);
    c.chain.frozen = only_w;
    params[0] = 8;
    params[1] = 0;
    return c;
}

static void test_restarts(void)
{
    cbp_real x[POINTS], y[POINTS], params[2], start[2], again[2];
    call c = fit_of_wave(x, y, params);
    CHECK(fit(&c, params) == CBP_OK && c.info.outcome == CBP_CONVERGED && c.info.loss > R(0.1));
    const cbp_real valley = c.info.loss;
    check_info(&c);

    size_t found = 0, evaluations = c.info.evaluations, differ = 0;
    for (unsigned seed = 0; seed < 10; seed++) {
        c = fit_of_wave(x, y, params);
        memcpy(start, params, sizeof start);
        c.options.restarts = 30;
        c.options.seed = seed;
        CHECK(fit(&c, params) == CBP_OK);
        CHECK(c.info.loss <= valley && same(params[1], 0));
        check_info(&c);
        found += fabs(fabs((double)params[0]) - 2.5) <= 1e-3 && c.info.outcome == CBP_CONVERGED;
        const cbp_fit_info first = c.info;
        CHECK(fit_from(&c, start, again) == CBP_OK && same_all(params, again, 2));
        CHECK(start[0] == 8 && start[1] == 0);
        CHECK(c.info.iterations == first.iterations && c.info.evaluations == first.evaluations);
        CHECK(same(c.info.loss, first.loss) && c.info.outcome == first.outcome);
        differ += c.info.evaluations != evaluations;
        evaluations = c.info.evaluations;
    }
    CHECK(found >= 8 && differ >= 8);

    /* One restart more tries what was tried before, and another. The loss decreases, but for
     * rounding. */
    double last = (double)valley;
    evaluations = 0;
    for (size_t restarts = 0; restarts < 12; restarts++) {
        c = fit_of_wave(x, y, params);
        c.options.restarts = restarts;
        c.options.seed = 3;
        CHECK(fit(&c, params) == CBP_OK && c.info.evaluations > evaluations);
        const double least = (double)c.info.loss;
        CHECK(least <= last + 8 * EPSILON * (8 * least + sqrt(least))); /* |y| <= 1 */
        last = least;
        evaluations = c.info.evaluations;
    }

    /* Between bounds they are drawn from the whole of the box. */
    const cbp_real lower[] = {0, 0}, upper[] = {10, 0};
    watcher w = {0};
    c = fit_of_wave(x, y, params);
    c.options.lower = lower;
    c.options.upper = upper;
    c.options.restarts = 30;
    watch_fit(&c, &w);
    CHECK(fit(&c, params) == CBP_OK && fabs((double)params[0] - 2.5) <= 1e-3);
    CHECK(w.out_of_bounds == 0 && w.disorder == 0);
}

/* Around a start of 0, where the gradient of (w x)^2 is 0, they are drawn as around 1. */
static void test_restarts_from_zero(void)
{
    const unsigned char parabola[] = {CBP_SQUARE};
    cbp_real y[POINTS];
    for (size_t i = 0; i < POINTS; i++) {
        y[i] = 4 * point_x[i] * point_x[i];
    }
    for (size_t restarts = 0; restarts < 3; restarts++) {
        cbp_real params[] = {0, 0};
        call c = fit_of(parabola, 1, point_x, y, POINTS);
        c.chain.frozen = only_w;
        c.options.restarts = restarts;
        CHECK(fit(&c, params) == CBP_OK && c.info.outcome == CBP_CONVERGED && same(params[1], 0));
        CHECK(near(fabs((double)params[0]), restarts ? 2 : 0, 0, 64));
        check_info(&c);
    }
}

/* A solution for the last layer whose square overflows is not taken, and the first attempt
 * stands. */
static void test_solved_too_far(void)
{
    const int is_single = sizeof(cbp_real) == sizeof(float);
    const double of_x = is_single ? 1e6 : 1e20, of_w = is_single ? 1e-21 : 1e-160,
                 of_y = is_single ? 1e18 : 1e150;
    cbp_real x[4], y[4], params[] = {R(of_w), 0, 1, 0}, loss;
    for (size_t i = 0; i < 4; i++) {
        x[i] = R(of_x * (1 + (double)i));
        y[i] = R(of_y * (1 + (double)i * 0.5));
    }
    call c = fit_of(two_lines, 2, x, y, 4);
    c.chain.params = params;
    CHECK(cbp_loss_mean(&c.chain, &c.examples, NULL, &loss) == CBP_OK);
    CHECK(fit(&c, params) == CBP_OK);
    for (size_t k = 0; k < 4; k++) {
        CHECK(isfinite(params[k]));
    }
    CHECK(c.info.loss <= loss && isfinite(c.info.loss));
}

/* Starts where the loss is not finite are passed over. */
static void test_restarts_outside(void)
{
    const unsigned char logarithm[] = {CBP_LOG};
    cbp_real x[10], y[10], params[] = {R(0.5), 0}; /* w from -0.5 to 1.5 */
    for (size_t i = 0; i < 10; i++) {
        x[i] = R(i + 1);
        y[i] = R(log(3 * (double)x[i]));
    }
    call c = fit_of(logarithm, 1, x, y, 10);
    c.chain.frozen = only_w;
    c.options.restarts = 20;
    CHECK(fit(&c, params) == CBP_OK && c.info.outcome == CBP_CONVERGED &&
          near((double)params[0], 3, 0, 64));
    CHECK(same(params[1], 0));
    check_info(&c);
}

/* ---- memory ---------------------------------------------------------------------------------- */

enum { GUARD = 256 };

static void set_guard(cbp_real *guard)
{
    for (size_t k = 0; k < GUARD; k++) {
        guard[k] = R(1234.5) + R(k);
    }
}

static int is_guarded(const cbp_real *guard)
{
    for (size_t k = 0; k < GUARD; k++) {
        if (guard[k] != R(1234.5) + R(k)) {
            return 0;
        }
    }
    return 1;
}

/* All the work memory may be used, and nothing beyond it. */
static void test_memory_of(size_t layers, size_t free_count, size_t n, int loss)
{
    const unsigned char inner[] = {CBP_TANH, CBP_SOFTPLUS, CBP_SIN, CBP_SOFTSIGN};
    const size_t all = 2 * layers, len = cbp_fit_work_len(layers, free_count, n),
                 square = free_count * free_count;
    unsigned char *activations = malloc(layers), *frozen = malloc(all),
                  *determined = malloc(all + 1);
    cbp_real *work = numbers(len + GUARD), *start = numbers(all), *params = numbers(all + GUARD);
    cbp_real *matrix = numbers(square + GUARD), variance[1 + GUARD];
    cbp_real *lower = numbers(all), *upper = numbers(all), *targets = numbers(n);
    cbp_real *hessian = numbers(all * all), *hessian_work = numbers(cbp_hessian_work_len(layers));
    if (!activations || !frozen || !determined) {
        exit(2);
    }
    for (size_t i = 0; i < n; i++) {
        targets[i] = R(0.5 + 0.5 * (double)many_y[i]);
    }
    memset(frozen, 1, all);
    for (size_t k = all; k-- > all - free_count;) {
        frozen[k] = 0;
    }
    for (size_t l = 0; l < layers; l++) {
        activations[l] = l + 1 < layers         ? inner[random_below(4)]
                         : loss == CBP_LOG_LOSS ? CBP_SIGMOID
                                                : CBP_IDENTITY;
        start[2 * l] = R(random_between(0.8, 1.2));
        start[2 * l + 1] = R(random_between(-0.2, 0.2));
        lower[2 * l] = lower[2 * l + 1] = -3;
        upper[2 * l] = upper[2 * l + 1] = 3;
    }
    call c = fit_of(activations, layers, many_x, targets, n);
    c.chain.params = start;
    c.chain.frozen = frozen;
    c.options.lower = lower;
    c.options.upper = upper;
    c.options.loss.kind = loss;
    c.options.max_iterations = 3;
    c.options.restarts = 1;
    set_guard(work + len);
    set_guard(params + all);
    CHECK(cbp_fit_lm(&c.chain, &c.examples, &c.options, work, params, &c.info) == CBP_OK);
    CHECK(is_guarded(work + len) && is_guarded(params + all));
    c.chain.params = params;
    CHECK(cbp_hessian(&c.chain, &c.examples, &c.options.loss, hessian_work, hessian) == CBP_OK);
    const cbp_covariance out = {variance, matrix, determined};
    for (int curvature = 0; curvature < CURVATURES; curvature++) {
        set_guard(work + len);
        set_guard(matrix + square);
        set_guard(variance + 1);
        determined[all] = 55;
        CHECK(cbp_fit_covariance(&c.chain, &c.examples, &c.options,
                                 curvature == OBSERVED ? hessian : NULL, work, &out) == CBP_OK);
        CHECK(is_guarded(work + len) && is_guarded(matrix + square) && is_guarded(variance + 1));
        CHECK(determined[all] == 55);
        for (size_t k = 0; k < all; k++) {
            CHECK((determined[k] == CBP_FROZEN) == (k < all - free_count) &&
                  determined[k] < CBP_DETERMINED_END);
        }
    }
    free(activations);
    free(frozen);
    free(determined);
    free(work);
    free(start);
    free(params);
    free(matrix);
    free(hessian);
    free(hessian_work);
    free(lower);
    free(upper);
    free(targets);
}

static void test_memory(void)
{
    const size_t layers[] = {1, 2, 3, 7, 33}, lengths[] = {0, 15, 128, 129, 2 * CBP_BLOCK + 1};
    check_state = 23;
    for (size_t i = 0; i < 5; i++) {
        const size_t counts[] = {1, 2, layers[i], 2 * layers[i] - 1, 2 * layers[i]};
        for (size_t j = 0; j < 5; j++) {
            for (size_t k = 0; k < 5; k++) {
                const size_t n = lengths[k] < counts[j] ? counts[j] : lengths[k];
                if (n < CBP_BLOCK || layers[i] < 7 || j == 4) {
                    test_memory_of(layers[i], counts[j], n,
                                   (i + j + k) % 2 ? CBP_LOG_LOSS : CBP_SQUARED);
                }
            }
        }
    }
}

/* ---- refusals -------------------------------------------------------------------------------- */

/* Fewer examples of positive weight than parameters. */
static void test_refused_few(void)
{
    const cbp_real one_of_two[] = {1, 0};
    call c = fit_of(line, 1, ones, zeros, 1);
    CHECK(refuses(&c, fine, CBP_ERROR_FEW_EXAMPLES));
    c.examples.n = 2;
    c.examples.weight = one_of_two;
    CHECK(refuses(&c, fine, CBP_ERROR_FEW_EXAMPLES));
}

int main(void)
{
    fill_points();
    add_outliers();
    fill_many();
    test_progress();
    test_stopped();
    test_history();
    test_one_iteration();
    test_stretches();
    test_whole_stretches();
    test_stopped_anywhere();
    test_restarts();
    test_restarts_from_zero();
    test_restarts_outside();
    test_solved_too_far();
    test_memory();
    check_refused_start();
    check_refused_arguments();
    check_refused_nulls(cbp_fit_lm, cbp_fit_work_len(1, 2, POINTS));
    test_refused_few();
    return check_done("test_fit_lm_ends");
}
