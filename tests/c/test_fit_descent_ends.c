/* Descents that do not converge, or not by all iterations: one diverges, seen by its loss or not,
 * is stopped between batches, keeps the best or the last, or is refused. */
#include "fit_descent_call.h"
#include "fit_refused.h"

/* ---- how fits end ---------------------------------------------------------------------------- */

/* history[k] is the loss of a fit of k iterations; no further than it is long. */
static void test_history(void)
{
    cbp_real history[9];
    for (size_t len = 0; len <= 8; len++) {
        for (int k = 0; k < 9; k++) {
            history[k] = 5;
        }
        for (size_t iterations = 6; iterations > 0; iterations--) {
            cbp_real params[] = {0, 0};
            call c = fit_of(line, 1, point_x, point_y, POINTS);
            c.options.max_iterations = iterations;
            c.options.history = iterations == 6 ? history : NULL;
            c.options.history_len = len;
            CHECK(fit(&c, params) == CBP_OK && c.info.iterations == iterations);
            CHECK(iterations >= len || same(history[iterations], c.info.loss));
        }
        for (size_t k = 0; k < 9; k++) {
            CHECK(k < len && k <= 6 ? history[k] < 5 : history[k] == 5);
        }
        CHECK(len < 2 || history[1] < history[0]);
    }
}

static void test_converged(void)
{
    cbp_real params[] = {1, 1};
    call c = fit_of_constant(0.125);
    CHECK(fit(&c, params) == CBP_OK && c.info.outcome == CBP_CONVERGED);
    CHECK(c.info.iterations == 0 && c.info.evaluations == 1 && c.info.loss == 0 &&
          c.info.gradient_norm == 0);

    c.options.tolerance = 0; /* never */
    c.options.max_iterations = 3;
    CHECK(fit(&c, params) == CBP_OK && c.info.outcome == CBP_EXHAUSTED && c.info.iterations == 3);

    /* |gradient| = 2 |b - 1| is divided by 2 in each step: 4, 2, 1, which is the tolerance. */
    watcher w = {0};
    params[1] = 3;
    c.options.learning_rate = R(0.25);
    c.options.tolerance = 1;
    watch_fit(&c, &w);
    CHECK(fit(&c, params) == CBP_OK && c.info.outcome == CBP_CONVERGED);
    CHECK(c.info.iterations == 2 && c.info.gradient_norm == 1 && params[1] == R(1.5));
    CHECK(w.calls == 2 && w.last.outcome == CBP_RUNNING && w.last.iterations == 2 &&
          w.last.loss == c.info.loss);

    /* Its norm over the free parameters alone, and where its square overflows. */
    params[0] = params[1] = 0;
    call steep = fit_of(line, 1, ones, ones, 2);
    const cbp_real large = R(ldexp(1, sizeof(cbp_real) == 4 ? 70 : 520)), far[] = {large, large};
    steep.examples.x = far;
    steep.options.max_iterations = 1;
    steep.options.tolerance = 2 * large;
    steep.chain.frozen = only_w;
    CHECK(fit(&steep, params) == CBP_OK && steep.info.outcome == CBP_CONVERGED);
    CHECK(steep.info.iterations == 0 && steep.info.gradient_norm == 2 * large);
    steep.chain.frozen = only_b;
    CHECK(fit(&steep, params) == CBP_OK && steep.info.iterations == 0 &&
          steep.info.gradient_norm == 2);
}

/* With a learning rate of 1.25, b - 1 is multiplied by -1.5: the loss rises, 1, 2.25, ..., and the
 * start stays the best. A stop returns it, the end of the iterations does not. */
static void test_best_or_last(void)
{
    for (size_t stop_at = 0; stop_at <= 3; stop_at++) {
        watcher w = {0};
        cbp_real params[] = {1, 0}, history[5];
        call c = fit_of_constant(1.25);
        c.options.max_iterations = 4;
        c.options.history = history;
        c.options.history_len = 5;
        watch_fit(&c, &w);
        w.stop_at = stop_at;
        CHECK(fit(&c, params) == CBP_OK);
        const size_t passed = stop_at ? stop_at : 4;
        CHECK(c.info.outcome == (stop_at ? CBP_STOPPED : CBP_EXHAUSTED));
        CHECK(c.info.iterations == passed && w.calls == passed);
        CHECK(params[1] == (stop_at ? 0 : R(1 - 1.5 * 1.5 * 1.5 * 1.5)));
        check_info(&c);
        /* The progress function saw the last. */
        CHECK(w.last.iterations == passed && same(w.last.loss, history[passed]));
        CHECK(near((double)w.params[1], 1 - pow(-1.5, (double)passed), 0, 2));
        CHECK(near((double)w.last.loss, pow(1.5, 2 * (double)passed), 0, 4));
    }

    /* One that stops at the last iteration has been stopped; one that stops a converged fit comes
     * too late. */
    watcher w = {.stop_at = 2};
    cbp_real params[] = {1, 3};
    call c = fit_of_constant(0.25);
    watch_fit(&c, &w);
    c.options.max_iterations = 2;
    CHECK(fit(&c, params) == CBP_OK && c.info.outcome == CBP_STOPPED && params[1] == R(1.5));
    w.calls = 0;
    params[1] = 3;
    c.options.tolerance = 1;
    CHECK(fit(&c, params) == CBP_OK && c.info.outcome == CBP_CONVERGED && params[1] == R(1.5));
}

/* Four stretches an evaluation: three questions before the first mark, three more before the
 * second, which is one. */
static void test_stretches(void)
{
    unsigned char activations[DEEP], frozen[2 * DEEP];
    cbp_real params[2 * DEEP], history[2], loss;
    cbp_real *work = numbers(cbp_work_len(DEEP, MANY)), *gradient = numbers(2 * DEEP);
    for (size_t stop_at = 0; stop_at <= 7; stop_at++) {
        watcher w = {0};
        call c = deep_fit(params, activations, frozen);
        watch_fit(&c, &w);
        w.stop_at = stop_at;
        c.options.history = history;
        c.options.history_len = 2;
        history[0] = history[1] = 5;
        CHECK(fit(&c, params) == CBP_OK);
        CHECK(w.calls == (stop_at ? stop_at : 7));
        CHECK(c.info.outcome == (stop_at ? CBP_STOPPED : CBP_EXHAUSTED));
        const size_t marks = stop_at == 0 || stop_at == 7 ? 2 : stop_at > 3;
        CHECK(c.info.evaluations == marks && c.info.iterations == (marks == 2));
        CHECK((params[2 * DEEP - 1] != 0) == (marks == 2));
        CHECK(marks > 0 ? c.info.loss == history[marks - 1]
                        : isnan(c.info.loss) && isnan(c.info.gradient_norm));
        CHECK(isnan(history[0]) == (marks == 0) && (history[1] == 5) == (marks < 2));
        if (marks == 2) {
            continue;
        }
        /* Cut or not, the pass has the same bits. */
        CHECK(cbp_gradient(&c.chain, &c.examples, NULL, work, &loss, gradient) == CBP_OK);
        CHECK(marks == 0 || same(history[0], loss));
    }
    free(work);
    free(gradient);
}

/* Iterations shorter than a stretch are told of once each, however many they are. */
static void test_short_iterations(void)
{
    unsigned char activations[DEEP], frozen[2 * DEEP];
    cbp_real params[2 * DEEP];
    watcher w = {0};
    call c = deep_fit(params, activations, frozen);
    c.examples.n = 300;
    c.options.max_iterations = 20;
    watch_fit(&c, &w);
    CHECK(fit(&c, params) == CBP_OK && c.info.iterations == 20 && w.calls == 20);
}

/* Within a pass of batches too, small ones and large ones. */
static void test_stopped_batches(void)
{
    unsigned char activations[DEEP], frozen[2 * DEEP];
    cbp_real params[2 * DEEP];
    static size_t order[MANY];
    for (size_t batch = 1; batch < MANY; batch = 64 * batch) {
        watcher w = {0};
        call c = deep_fit(params, activations, frozen);
        c.order = order;
        c.examples.n = batch < CBP_BLOCK ? 400 : MANY;
        c.options.batch_size = batch;
        watch_fit(&c, &w);
        w.stop_at = batch < CBP_BLOCK ? 1 : 4; /* three of them in the pass of the start */
        CHECK(fit(&c, params) == CBP_OK && c.info.outcome == CBP_STOPPED);
        CHECK(c.info.iterations == 0 && c.info.evaluations == 1 && params[2 * DEEP - 1] == 0);
        check_info(&c);
    }
}

/* ---- divergence ------------------------------------------------------------------------------ */

static void check_diverged(call *c, const cbp_real *start)
{
    cbp_real params[2];
    CHECK(fit_from(c, start, params) == CBP_OK && c->info.outcome == CBP_DIVERGED);
    CHECK(isfinite(params[0]) && isfinite(params[1]));
    CHECK(c->info.iterations < 1000);
    check_info(c);
}

static void test_diverged(void)
{
    const cbp_real start[] = {1, 0}, low[] = {-9, -9};
    const unsigned char logarithm[] = {CBP_LOG};
    cbp_real history[1000];
    call c = fit_of_constant(1000);
    c.options.history = history;
    c.options.history_len = 1000;
    check_diverged(&c, start);
    CHECK(c.info.loss == 1 && c.info.iterations > 2 && history[0] == 1 && history[1] > 1);
    CHECK(!isfinite(history[c.info.iterations]) && isfinite(history[c.info.iterations - 1]));

    /* Out of the domain: the logarithm of w + b, which a step makes negative. */
    call outside = fit_of(logarithm, 1, ones, low, 2);
    outside.options.learning_rate = 1;
    check_diverged(&outside, start);
    CHECK(outside.info.iterations == 1 && outside.info.loss == 81);
}

/* All methods, whole and in batches, without bounds, and with bounds that do not prevent it. */
static void test_diverged_methods(void)
{
    const cbp_real start[] = {1, 0}, lower[] = {-HUGE_REAL, -HUGE_REAL},
                   upper[] = {HUGE_REAL, HUGE_REAL};
    size_t order[POINTS];
    for (int method = 0; method < CBP_METHOD_END; method++) {
        for (size_t batch = 0; batch < 15; batch += 7) {
            for (int bounded = 0; bounded < 2; bounded++) {
                call c = fit_of(line, 1, point_x, point_y, POINTS);
                c.order = order;
                c.options.lower = bounded ? lower : NULL;
                c.options.upper = bounded ? upper : NULL;
                c.options.method = method;
                c.options.batch_size = batch;
                c.options.learning_rate = HUGE_REAL / 4;
                check_diverged(&c, start);
            }
        }
    }
}

/* A sigmoid of infinity is finite and its slope 0, which looks like convergence. */
static void test_diverged_unseen(void)
{
    const cbp_real four[] = {4, 4}, start[] = {0, 2}, lower[] = {-5, -5};
    call c = fit_of(neuron, 1, four, zeros, 2);
    c.options.loss.kind = CBP_LOG_LOSS;
    c.options.learning_rate = HUGE_REAL;
    check_diverged(&c, start);
    CHECK(c.info.iterations == 0);
    c.options.lower = lower; /* which clamp the parameters, not the velocity */
    c.options.method = CBP_MOMENTUM;
    check_diverged(&c, start);
    CHECK(c.info.iterations == 0);

    /* Here each step is finite, and their sum is not. */
    call sum = fit_of_constant(0);
    sum.chain.activations = neuron;
    sum.options.method = CBP_ADAM;
    sum.options.learning_rate = HUGE_REAL - HUGE_REAL / 8;
    sum.options.tolerance = 0;
    check_diverged(&sum, start);
    CHECK(sum.info.iterations == 1 && sum.info.loss == 0);
}

/* A square that overflows would make Adam's steps 0. */
static void test_diverged_square(void)
{
    const cbp_real root = R(sqrt(sqrt((double)HUGE_REAL)) / 8), x[] = {1024 * root, 1024 * root},
                   start[] = {1, root};
    call c = fit_of(line, 1, x, x, 2);
    c.options.method = CBP_ADAM;
    check_diverged(&c, start);
    CHECK(c.info.iterations == 0);
}

/* From a start whose loss is finite and whose gradient is not, no step is made, even where the
 * gradients of the batches are finite. */
static void test_diverged_start(void)
{
    const cbp_real root = R(sqrt((double)HUGE_REAL));
    for (int part = 0; part < 2; part++) {
        const cbp_real x = part ? 4 * root : 16 * root, inputs[] = {x, x}, start[] = {0, root / 10};
        cbp_real params[2];
        size_t order[2];
        call c = fit_of(line, 1, inputs, zeros, 2);
        c.order = order;
        c.options.batch_size = (size_t)part;
        c.options.learning_rate = 1 / HUGE_REAL / 64;
        CHECK(fit_from(&c, start, params) == CBP_OK && c.info.outcome == CBP_DIVERGED);
        CHECK(c.info.iterations == 0 && c.info.evaluations == 1);
        CHECK(same_all(params, start, 2) && isfinite(c.info.loss) && isnan(c.info.gradient_norm));
    }
}

/* ---- refusals -------------------------------------------------------------------------------- */

/* Weights whose sum is infinite, though each of the small ones, added to the large one by itself,
 * is rounded away. */
static void test_refused_weights(void)
{
    enum { N = 33 };
    cbp_real x[N], y[N] = {0}, weight[N];
    for (size_t i = 0; i < N; i++) {
        x[i] = 1;
        weight[i] = i ? HUGE_REAL * R(EPSILON) * R(0.15) : HUGE_REAL;
    }
    call c = fit_of(line, 1, x, y, N);
    c.examples.weight = weight;
    CHECK(refuses(&c, zeros, CBP_ERROR_WEIGHT));
}

/* The order of examples is needed for batches alone. */
static void test_refused_order(void)
{
    call c = fit_of(line, 1, ones, zeros, 2);
    cbp_real params[] = {1, 0};
    size_t order[2];
    c.options.batch_size = 1;
    CHECK(refuses(&c, fine, CBP_ERROR_NULL));
    c.options.history = NULL;
    c.order = order;
    CHECK(fit(&c, params) == CBP_OK);
    c.order = NULL;
    c.options.batch_size = 2;
    CHECK(fit(&c, params) == CBP_OK);
}

static int descend(const cbp_chain *chain, const cbp_examples *examples,
                   const cbp_fit_options *options, cbp_real *work, cbp_real *params,
                   cbp_fit_info *info)
{
    size_t order[POINTS];
    return cbp_fit_descent(chain, examples, options, work, order, params, info);
}

int main(void)
{
    fill_points();
    fill_many();
    test_history();
    test_converged();
    test_best_or_last();
    test_stretches();
    test_short_iterations();
    test_stopped_batches();
    test_diverged();
    test_diverged_methods();
    test_diverged_unseen();
    test_diverged_square();
    test_diverged_start();
    check_refused_start();
    check_refused_arguments();
    check_refused_nulls(descend, cbp_fit_descent_work_len(1, 1));
    test_refused_weights();
    test_refused_order();
    return check_done("test_fit_descent_ends");
}
