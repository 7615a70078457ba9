/* Descents: where they arrive, by which steps, and what may move. */
#include "fit_descent_call.h"

/* ---- problems -------------------------------------------------------------------------------- */

/* Weights of the points that only choose. */
static cbp_real point_chosen[POINTS];

static void fill_chosen(void)
{
    for (size_t i = 0; i < POINTS; i++) {
        point_chosen[i] = i % 3 ? 2 : 0;
    }
}

/* The line through the points. */
static void least_squares(const cbp_real *weight, double *w, double *b)
{
    double sum = 0, x = 0, y = 0, xx = 0, xy = 0;
    for (size_t i = 0; i < POINTS; i++) {
        const double each = weight ? (double)weight[i] : 1;
        sum += each;
        x += each * (double)point_x[i];
        y += each * (double)point_y[i];
        xx += each * (double)point_x[i] * (double)point_x[i];
        xy += each * (double)point_x[i] * (double)point_y[i];
    }
    *w = (sum * xy - x * y) / (sum * xx - x * x);
    *b = (y - *w * x) / sum;
}

static double distance(const cbp_real *params, const cbp_real *weight)
{
    double w, b;
    least_squares(weight, &w, &b);
    return hypot((double)params[0] - w, (double)params[1] - b);
}

/* ---- where descents arrive ------------------------------------------------------------------- */

/* M. Nielsen, Neural Networks and Deep Learning, chapter 3: one neuron learns to answer 1 with 0.
 * His cost is E/2, so that half his learning rate of 0.15 makes the same steps. */
static void test_nielsen(void)
{
    const double within = fmax(5e-7, 64 * EPSILON);
    const cbp_real start[] = {R(0.6), R(0.9)};
    cbp_real params[2], by_hand[2], before, after, history[301];
    cbp_real *work = numbers(cbp_work_len(1, 2));
    call c = fit_of(neuron, 1, ones, zeros, 1);
    c.options.learning_rate = R(0.075);
    c.options.max_iterations = 300;
    c.options.history = history;
    c.options.history_len = 301;
    CHECK(fit_from(&c, start, params) == CBP_OK);
    CHECK(c.info.outcome == CBP_EXHAUSTED && c.info.iterations == 300 && c.info.evaluations == 301);
    check_info(&c);
    CHECK(cbp_forward(&c.chain, ones, 1, &after) == CBP_OK &&
          fabs((double)after - 0.093956) <= within);
    c.chain.params = start;
    CHECK(cbp_forward(&c.chain, ones, 1, &before) == CBP_OK &&
          fabs((double)before - 0.817574) <= within);
    CHECK(near((double)history[0], (double)(before * before), 0, 4));
    CHECK(near((double)history[300], (double)(after * after), 0, 4));

    /* Those are the steps of cbp_step. */
    for (size_t k = 0; k < 300; k++) {
        cbp_real loss;
        CHECK(cbp_step(&c.chain, &c.examples, c.options.learning_rate, work, by_hand, &loss) ==
              CBP_OK);
        CHECK(same(loss, history[k]));
        c.chain.params = by_hand;
    }
    CHECK(same_all(params, by_hand, 2));
    free(work);
}

/* Two weights that start equal stay so, and E = (u - 1)^2 of their product u flows by du/dt = -4 u
 * (u - 1): from u0 to 1/2 in t = log(1/u0 - 1)/4. Steps h of t lag by about h t of log u, which is
 * 0.6 h at 1/2. */
static void test_balanced_chain(void)
{
    const double h = 1e-3, half = log(1e4 - 1) / 4;
    cbp_real params[] = {R(0.01), 0, R(0.01), 0};
    call c = fit_of(two_lines, 2, ones, ones, 2);
    c.chain.frozen = weights_only;
    c.options.learning_rate = R(h);
    c.options.max_iterations = (size_t)(half / h + 0.5);
    CHECK(fit(&c, params) == CBP_OK && c.info.outcome == CBP_EXHAUSTED);
    CHECK(fabs((double)(params[0] * params[2]) - 0.5) < 5 * h);
    c.options.learning_rate = R(0.1);
    CHECK(fit(&c, params) == CBP_OK && c.info.outcome == CBP_CONVERGED);
    CHECK(fabs((double)(params[0] * params[2]) - 1) <= (double)c.options.tolerance + 4 * EPSILON);
    CHECK(params[0] == params[2] && params[1] == 0 && params[3] == 0);
    check_info(&c);
}

/* The curvature of the averaged loss over the points is above 0.5, so that the distance is below
 * twice the gradient. */
static void test_line(int method, double learning_rate, const cbp_real *weight)
{
    cbp_real params[] = {R(-0.5), R(0.5)};
    call c = fit_of(line, 1, point_x, point_y, POINTS);
    c.examples.weight = weight;
    c.options.method = method;
    c.options.learning_rate = R(learning_rate);
    c.options.max_iterations = 20000;
    CHECK(fit(&c, params) == CBP_OK && c.info.outcome == CBP_CONVERGED);
    CHECK(c.info.gradient_norm <= c.options.tolerance);
    CHECK(distance(params, weight) <= 2 * (double)c.options.tolerance + 64 * EPSILON);
    check_info(&c);
}

/* On batches a descent settles in a neighbourhood that shrinks with the learning rate. (With
 * weights that differ it shrinks about another point, since the mean of the batches' weighted means
 * is not that of all.) */
static void test_line_by_batches(int method, const cbp_real *weight)
{
    size_t order[POINTS];
    cbp_real params[] = {R(-0.5), R(0.5)};
    call c = fit_of(line, 1, point_x, point_y, POINTS);
    c.examples.weight = weight;
    c.order = order;
    c.options.method = method;
    c.options.batch_size = 6;
    c.options.max_iterations = 600;
    c.options.tolerance = 0;
    for (double learning_rate = 0.05; learning_rate > 1e-4; learning_rate /= 8) {
        c.options.learning_rate = R(learning_rate);
        CHECK(fit(&c, params) == CBP_OK && c.info.outcome == CBP_EXHAUSTED);
        CHECK(c.info.iterations == 600 && c.info.evaluations == 1201);
        CHECK(distance(params, weight) < 4 * learning_rate);
        check_info(&c);
    }
}

/* The other losses are those that the options name. */
static void test_losses(void)
{
    cbp_real labels[POINTS];
    for (size_t i = 0; i < POINTS; i++) {
        labels[i] = R(0.5 + 0.25 * (double)point_y[i] / 2);
    }
    for (int loss = 0; loss < CBP_LOSS_END; loss++) {
        const int is_log = !takes_any_target(loss);
        cbp_real params[] = {0, 0};
        call c = fit_of(is_log ? neuron : line, 1, point_x, is_log ? labels : point_y, POINTS);
        c.options.loss.kind = loss;
        c.options.loss.scale = R(0.125);
        c.options.method = CBP_MOMENTUM;
        CHECK(fit(&c, params) == CBP_OK && c.info.outcome == CBP_CONVERGED);
        check_info(&c);
    }
}

/* ---- steps ----------------------------------------------------------------------------------- */

/* Each method's first steps on E = (b - 1)^2 from b = 3, by its formula. */
static void test_methods(void)
{
    const double rate = 0.125, kept = 0.5;
    for (int method = 0; method < CBP_METHOD_END; method++) {
        double b = 3, velocity = 0, mean = 0, square = 0;
        for (size_t steps = 1; steps <= 5; steps++) {
            const double slope = 2 * (b - 1), t = (double)steps;
            velocity = kept * velocity - rate * slope;
            mean = 0.9 * mean + 0.1 * slope;
            square = 0.999 * square + 0.001 * slope * slope;
            const double adam =
                -rate * mean / (1 - pow(0.9, t)) / (sqrt(square / (1 - pow(0.999, t))) + 1e-8);
            b += method == CBP_MOMENTUM ? velocity : method == CBP_ADAM ? adam : -rate * slope;

            cbp_real params[] = {1, 3};
            call c = fit_of_constant(rate);
            c.options.method = method;
            c.options.momentum = R(kept);
            c.options.max_iterations = steps;
            CHECK(fit(&c, params) == CBP_OK && c.info.outcome == CBP_EXHAUSTED && params[0] == 1);
            /* 1 - 0.999 is known to 1000 units of rounding alone, but is the same above and below
             * the line */
            CHECK(near((double)params[1], b, 3, method == CBP_ADAM ? 1000 : 8));
        }
    }
}

/* One pass of gradient descent by the order that the fit left, by public functions. */
static void pass_by_hand(const call *c, cbp_real *params)
{
    const size_t batch = c->options.batch_size, n = c->examples.n, all = 2 * c->chain.layers;
    cbp_real *x = numbers(batch), *y = numbers(batch), *weight = numbers(batch);
    cbp_real *work = numbers(cbp_work_len(c->chain.layers, batch)), *gradient = numbers(all);
    cbp_chain chain = c->chain;
    chain.params = params;
    for (size_t start = 0; start < n; start += batch) {
        const cbp_examples part = {x, y, weight, n - start < batch ? n - start : batch};
        for (size_t j = 0; j < part.n; j++) {
            const size_t from = c->order[start + j];
            x[j] = c->examples.x[from];
            y[j] = c->examples.y[from];
            weight[j] = c->examples.weight ? c->examples.weight[from] : 1;
        }
        const int status = cbp_gradient(&chain, &part, NULL, work, NULL, gradient);
        CHECK(status == CBP_OK || status == CBP_ERROR_WEIGHT); /* no weight: no step */
        for (size_t k = 0; status == CBP_OK && k < all; k++) {
            params[k] = params[k] - c->options.learning_rate * gradient[k];
        }
    }
    free(x);
    free(y);
    free(weight);
    free(work);
    free(gradient);
}

static int is_permutation(const size_t *order, size_t n)
{
    unsigned char *seen = calloc(n, 1);
    size_t found = 0;
    for (size_t i = 0; seen && i < n && order[i] < n; i++) {
        found += !seen[order[i]];
        seen[order[i]] = 1;
    }
    free(seen);
    return found == n;
}

static cbp_real many_weight[MANY];
static size_t many_order[MANY];

/* Most weights 0, so that many batches are without any; the others powers of 2, which leave the
 * bits alone. */
static void fill_many_weights(void)
{
    for (size_t i = 0; i < MANY; i++) {
        many_weight[i] = random_below(4) ? 0 : R(ldexp(1, (int)random_below(3)));
    }
}

static void test_batches(size_t n, size_t batch, const cbp_real *weight)
{
    const unsigned char activations[] = {CBP_TANH, CBP_SOFTPLUS};
    const cbp_real start[] = {R(0.7), R(-0.2), R(1.3), R(0.4)};
    cbp_real params[4], by_hand[4];
    call c = fit_of(activations, 2, many_x, many_y, n);
    c.examples.weight = weight;
    c.order = many_order;
    c.options.batch_size = batch;
    c.options.max_iterations = 1;
    c.options.seed = 3;
    memcpy(by_hand, start, sizeof by_hand);
    CHECK(fit_from(&c, start, params) == CBP_OK && c.info.outcome == CBP_EXHAUSTED &&
          c.info.evaluations == 3);
    CHECK(is_permutation(many_order, n));
    pass_by_hand(&c, by_hand);
    CHECK(same_all(params, by_hand, 4));
    check_info(&c);
}

/* Targets 8^i, and b so small beside them that it does not change the residuals: after a pass b
 * shows, in base 8 and without rounding, whether each example was in the batch of four (1) or in
 * the last one, of two (2). */
static void test_each_example_once(void)
{
    enum { N = 6 };
    cbp_real x[N] = {0}, y[N];
    size_t order[N], last[N] = {0}, reshuffled = 0;
    for (int i = 0; i < N; i++) {
        y[i] = R(ldexp(1, 3 * i));
    }
    call c = fit_of(line, 1, x, y, N);
    c.chain.frozen = only_b;
    c.order = order;
    c.options.learning_rate = R(ldexp(1, -80));
    c.options.batch_size = 4;
    for (unsigned seed = 0; seed < 300; seed++) {
        c.options.seed = seed;
        for (size_t passes = 1; passes <= 2; passes++) {
            cbp_real params[] = {1, 0};
            c.options.max_iterations = passes;
            CHECK(fit(&c, params) == CBP_OK);
            const long long digits = (long long)ldexp((double)params[1], 81);
            size_t total = 0, odd = 0;
            for (int i = 0; i < N; i++) {
                const size_t digit = (size_t)(digits >> 3 * i & 7);
                CHECK(digit >= passes && digit <= 2 * passes);
                total += digit;
                odd += digit == 3;
                last[i] += passes == 1 && digit == 2;
            }
            CHECK(total == 8 * passes);
            reshuffled += odd > 0;
        }
    }
    /* Each example is in the last batch for a third of the seeds: 100, 8 the standard deviation.
     * Two passes have the same one once in 15. */
    for (int i = 0; i < N; i++) {
        CHECK(last[i] > 60 && last[i] < 140);
    }
    CHECK(reshuffled > 240 && reshuffled < 300);
}

/* A batch without weight makes no step, not even one by its momentum. */
static void test_batch_without_weight(void)
{
    const cbp_real weight[] = {1, 0};
    size_t order[2], first = 0;
    for (unsigned seed = 0; seed < 20; seed++) {
        cbp_real params[] = {1, 3};
        call c = fit_of_constant(0.125);
        c.examples.weight = weight;
        c.order = order;
        c.options.method = CBP_MOMENTUM;
        c.options.batch_size = 1;
        c.options.max_iterations = 1;
        c.options.seed = seed;
        CHECK(fit(&c, params) == CBP_OK && params[1] == R(2.5));
        first += order[0] == 0;
    }
    CHECK(first > 0 && first < 20);
}

static void test_seeds(void)
{
    cbp_real first[2], again[2], other[2];
    size_t order[POINTS];
    call c = fit_of(line, 1, point_x, point_y, POINTS);
    c.order = order;
    c.options.batch_size = 1;
    c.options.max_iterations = 3;
    c.options.seed = 5;
    first[0] = first[1] = other[0] = other[1] = 0;
    /* from memory of its own too */
    CHECK(fit(&c, first) == CBP_OK && fit_from(&c, zeros, again) == CBP_OK);
    CHECK(same_all(first, again, 2) && c.info.params == again);
    c.options.seed = 6;
    CHECK(fit(&c, other) == CBP_OK);
    CHECK(!same(first[0], other[0]) && !same(first[1], other[1]));
}

/* A batch of all examples or of more is no batch: no order is needed, and the length of the memory
 * stays small. */
static void test_whole_batches(void)
{
    const size_t sizes[] = {0, POINTS, POINTS + 1, SIZE_MAX};
    cbp_real first[2];
    for (size_t k = 0; k < 4; k++) {
        cbp_real params[] = {0, 0};
        call c = fit_of(line, 1, point_x, point_y, POINTS);
        c.options.batch_size = sizes[k];
        c.options.max_iterations = 7;
        CHECK(fit(&c, params) == CBP_OK && c.info.evaluations == 8);
        memcpy(first, k ? first : params, sizeof first);
        CHECK(same_all(first, params, 2));
    }
    CHECK(cbp_fit_descent_work_len(1, SIZE_MAX) == cbp_fit_descent_work_len(1, CBP_BLOCK));
    CHECK(cbp_fit_descent_work_len(1, 7) == cbp_fit_descent_work_len(1, 0) + 21);
}

/* ---- what may move --------------------------------------------------------------------------- */

static void test_frozen(void)
{
    const cbp_real no_number[] = {0, R(NAN)};
    size_t order[POINTS];
    for (int method = 0; method < CBP_METHOD_END; method++) {
        for (size_t batch = 0; batch < 15; batch += 7) {
            cbp_real params[] = {0, R(-0.75)};
            call c = fit_of(line, 1, point_x, point_y, POINTS);
            c.chain.frozen = only_w;
            c.options.lower = c.options.upper = no_number; /* not read for b; of w both are 0 */
            c.order = order;
            c.options.method = method;
            c.options.batch_size = batch;
            c.options.max_iterations = 5;
            CHECK(fit(&c, params) == CBP_OK);
            CHECK(same(params[0], 0) && same(params[1], R(-0.75)));
            c.options.lower = c.options.upper = NULL;
            CHECK(fit(&c, params) == CBP_OK);
            CHECK(params[0] > 0 && same(params[1], R(-0.75)));
            check_info(&c);
        }
    }
}

/* The line may be no steeper than 1.5: w ends there exactly, and b at its optimum for that
 * slope. */
static void test_bounds(void)
{
    const cbp_real lower[] = {R(-INFINITY), R(-10)}, upper[] = {R(1.5), R(INFINITY)};
    double mean_x = 0, mean_y = 0;
    for (size_t i = 0; i < POINTS; i++) {
        mean_x += (double)point_x[i] / POINTS;
        mean_y += (double)point_y[i] / POINTS;
    }
    for (int method = 0; method < CBP_METHOD_END; method++) {
        cbp_real params[] = {0, 0};
        call c = fit_of(line, 1, point_x, point_y, POINTS);
        c.options.lower = lower;
        c.options.upper = upper;
        c.options.method = method;
        c.options.learning_rate = R(0.05);
        c.options.tolerance = 0;
        CHECK(fit(&c, params) == CBP_OK && c.info.outcome == CBP_EXHAUSTED);
        CHECK(params[0] == R(1.5));
        CHECK(fabs((double)params[1] - (mean_y - 1.5 * mean_x)) <
              (method == CBP_ADAM ? 1e-3 : 32 * EPSILON));
        check_info(&c);
        params[0] = params[1] = 0;
        c.options.tolerance = R(1e-2);
        CHECK(fit(&c, params) == CBP_OK && c.info.outcome == CBP_CONVERGED && params[0] == R(1.5));
        CHECK(c.info.gradient_norm <= R(1e-2));
        c.options.upper = NULL;
        c.options.lower = zeros;
        params[0] = params[1] = 0;
        CHECK(fit(&c, params) == CBP_OK && params[0] > 0 && same(params[1], 0));
    }
}

int main(void)
{
    fill_points();
    fill_chosen();
    fill_many();
    fill_many_weights();
    test_nielsen();
    test_balanced_chain();
    for (int weighted = 0; weighted < 2; weighted++) {
        const cbp_real *weight = weighted ? point_weight : NULL;
        test_line(CBP_GRADIENT_DESCENT, 0.25, weight);
        test_line(CBP_MOMENTUM, 0.125, weight);
        test_line(CBP_ADAM, 0.01, weight);
        test_line_by_batches(CBP_GRADIENT_DESCENT, weighted ? point_chosen : NULL);
        test_line_by_batches(CBP_ADAM, weighted ? point_chosen : NULL);
    }
    test_losses();
    test_methods();
    for (int weighted = 0; weighted < 2; weighted++) {
        const cbp_real *weight = weighted ? many_weight : NULL;
        test_batches(20, 1, weight);
        test_batches(20, 7, weight);
        test_batches(50, 2, weight);
        test_batches(MANY, CBP_BLOCK, weight);
        test_batches(MANY, MANY - 1000, weight);
    }
    test_batch_without_weight();
    test_each_example_once();
    test_seeds();
    test_whole_batches();
    test_frozen();
    test_bounds();
    return check_done("test_fit_descent");
}
