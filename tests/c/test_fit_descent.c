/* Descents: where they arrive, what they return however they end, and when they refuse. */
#include "fit_call.h"

static int fit(call *c, cbp_real *params)
{
    cbp_real *work = spoilt(cbp_fit_descent_work_len(c->layers, c->options.batch_size));
    const int status = cbp_fit_descent(c->activations, c->frozen, c->lower, c->upper, c->x, c->y, c->weight, c->layers,
                                       c->n, &c->options, work, c->order, params, &c->info);
    free(work);
    return status;
}

/* What a fit says of the parameters it returns is what the library finds there. */
static void check_info(const call *c, const cbp_real *params)
{
    cbp_real *work = numbers(cbp_work_len(c->layers, c->n)), *gradient = numbers(2 * c->layers), loss;
    double norm = 0;
    CHECK(cbp_gradient(params, c->activations, c->x, c->y, c->weight, c->layers, c->n, c->options.loss,
                       c->options.scale, work, &loss, gradient) == CBP_OK);
    for (size_t k = 0; k < 2 * c->layers; k++) {
        const int held = (c->lower && params[k] == c->lower[k] && gradient[k] >= 0) ||
                         (c->upper && params[k] == c->upper[k] && gradient[k] <= 0);
        norm += held || (c->frozen && c->frozen[k]) ? 0 : (double)gradient[k] * (double)gradient[k];
    }
    CHECK(near((double)c->info.loss, (double)loss, 0, 4));
    CHECK(near((double)c->info.gradient_norm, sqrt(norm), 0, 16));
    CHECK(c->info.params == params);
    free(work);
    free(gradient);
}

/* ---- problems ---------------------------------------------------------------------------------------------------- */

/* A constant, fitted by b alone: E = (b - 1)^2, so that a step of gradient descent multiplies b - 1 by
 * 1 - 2 learning_rate. */
static call fit_of_constant(double learning_rate)
{
    call c = fit_of(line, 1, zeros, ones, 2);
    c.frozen = only_b;
    c.options.learning_rate = R(learning_rate);
    return c;
}

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

/* ---- where descents arrive --------------------------------------------------------------------------------------- */

/* M. Nielsen, Neural Networks and Deep Learning, chapter 3: one neuron learns to answer 1 with 0. His cost is E/2, so
 * that half his learning rate of 0.15 makes the same steps. */
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
    memcpy(params, start, sizeof params);
    CHECK(fit(&c, params) == CBP_OK);
    CHECK(c.info.outcome == CBP_EXHAUSTED && c.info.iterations == 300 && c.info.evaluations == 301);
    check_info(&c, params);
    CHECK(cbp_forward(start, neuron, ones, 1, 1, &before) == CBP_OK && fabs((double)before - 0.817574) <= within);
    CHECK(cbp_forward(params, neuron, ones, 1, 1, &after) == CBP_OK && fabs((double)after - 0.093956) <= within);
    CHECK(near((double)history[0], (double)(before * before), 0, 4));
    CHECK(near((double)history[300], (double)(after * after), 0, 4));

    /* Those are the steps of cbp_step. */
    memcpy(by_hand, start, sizeof by_hand);
    for (size_t k = 0; k < 300; k++) {
        cbp_real loss;
        CHECK(cbp_step(neuron, NULL, ones, zeros, 1, 1, c.options.learning_rate, work, by_hand, &loss) == CBP_OK);
        CHECK(same(loss, history[k]));
    }
    CHECK(same_all(params, by_hand, 2));
    free(work);
}

/* Two weights that start equal stay so, and E = (u - 1)^2 of their product u flows by du/dt = -4 u (u - 1): from u0 to
 * 1/2 in t = log(1/u0 - 1)/4. Steps h of t lag by about h t of log u, which is 0.6 h at 1/2. */
static void test_balanced_chain(void)
{
    const double h = 1e-3, half = log(1e4 - 1) / 4;
    cbp_real params[] = {R(0.01), 0, R(0.01), 0};
    call c = fit_of(two_lines, 2, ones, ones, 2);
    c.frozen = weights_only;
    c.options.learning_rate = R(h);
    c.options.max_iterations = (size_t)(half / h + 0.5);
    CHECK(fit(&c, params) == CBP_OK && c.info.outcome == CBP_EXHAUSTED);
    CHECK(fabs((double)(params[0] * params[2]) - 0.5) < 5 * h);
    c.options.learning_rate = R(0.1);
    CHECK(fit(&c, params) == CBP_OK && c.info.outcome == CBP_CONVERGED);
    CHECK(fabs((double)(params[0] * params[2]) - 1) <= (double)c.options.tolerance + 4 * EPSILON);
    CHECK(params[0] == params[2] && params[1] == 0 && params[3] == 0);
    check_info(&c, params);
}

/* The curvature of the averaged loss over the points is above 0.5, so that the distance is below twice the gradient. */
static void test_line(int method, double learning_rate, const cbp_real *weight)
{
    cbp_real params[] = {R(-0.5), R(0.5)};
    call c = fit_of(line, 1, point_x, point_y, POINTS);
    c.weight = weight;
    c.options.method = method;
    c.options.learning_rate = R(learning_rate);
    c.options.max_iterations = 20000;
    CHECK(fit(&c, params) == CBP_OK && c.info.outcome == CBP_CONVERGED);
    CHECK(c.info.gradient_norm <= c.options.tolerance);
    CHECK(distance(params, weight) <= 2 * (double)c.options.tolerance + 64 * EPSILON);
    check_info(&c, params);
}

/* On batches a descent settles in a neighbourhood that shrinks with the learning rate. (With weights that differ it
 * shrinks about another point, since the mean of the batches' weighted means is not that of all.) */
static void test_line_by_batches(int method, const cbp_real *weight)
{
    size_t order[POINTS];
    cbp_real params[] = {R(-0.5), R(0.5)};
    call c = fit_of(line, 1, point_x, point_y, POINTS);
    c.weight = weight;
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
        check_info(&c, params);
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
        const int is_log = loss == CBP_LOG_LOSS;
        cbp_real params[] = {0, 0};
        call c = fit_of(is_log ? neuron : line, 1, point_x, is_log ? labels : point_y, POINTS);
        c.options.loss = loss;
        c.options.scale = R(0.125);
        c.options.method = CBP_MOMENTUM;
        CHECK(fit(&c, params) == CBP_OK && c.info.outcome == CBP_CONVERGED);
        check_info(&c, params);
    }
}

/* ---- steps ------------------------------------------------------------------------------------------------------- */

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
            const double adam = -rate * mean / (1 - pow(0.9, t)) / (sqrt(square / (1 - pow(0.999, t))) + 1e-8);
            b += method == CBP_MOMENTUM ? velocity : method == CBP_ADAM ? adam : -rate * slope;

            cbp_real params[] = {1, 3};
            call c = fit_of_constant(rate);
            c.options.method = method;
            c.options.momentum = R(kept);
            c.options.max_iterations = steps;
            CHECK(fit(&c, params) == CBP_OK && c.info.outcome == CBP_EXHAUSTED && params[0] == 1);
            /* 1 - 0.999 is known to 1000 units of rounding alone, but is the same above and below the line */
            CHECK(near((double)params[1], b, 3, method == CBP_ADAM ? 1000 : 8));
        }
    }
}

/* One pass of gradient descent by the order that the fit left, by public functions. */
static void pass_by_hand(const call *c, cbp_real *params)
{
    const size_t batch = c->options.batch_size;
    cbp_real *x = numbers(batch), *y = numbers(batch), *weight = numbers(batch);
    cbp_real *work = numbers(cbp_work_len(c->layers, batch)), *gradient = numbers(2 * c->layers);
    for (size_t start = 0; start < c->n; start += batch) {
        const size_t count = c->n - start < batch ? c->n - start : batch;
        for (size_t j = 0; j < count; j++) {
            const size_t from = c->order[start + j];
            x[j] = c->x[from];
            y[j] = c->y[from];
            weight[j] = c->weight ? c->weight[from] : 1;
        }
        const int status = cbp_gradient(params, c->activations, x, y, weight, c->layers, count, CBP_SQUARED, 1, work,
                                        NULL, gradient);
        CHECK(status == CBP_OK || status == CBP_ERROR_WEIGHT); /* no weight: no step */
        for (size_t k = 0; status == CBP_OK && k < 2 * c->layers; k++) {
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

/* Most weights 0, so that many batches are without any; the others powers of 2, which leave the bits alone. */
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
    c.weight = weight;
    c.order = many_order;
    c.options.batch_size = batch;
    c.options.max_iterations = 1;
    c.options.seed = 3;
    memcpy(params, start, sizeof params);
    memcpy(by_hand, start, sizeof by_hand);
    CHECK(fit(&c, params) == CBP_OK && c.info.outcome == CBP_EXHAUSTED && c.info.evaluations == 3);
    CHECK(is_permutation(many_order, n));
    pass_by_hand(&c, by_hand);
    CHECK(same_all(params, by_hand, 4));
    check_info(&c, params);
}

/* Targets 8^i, and b so small beside them that it is not felt: after a pass b holds, in base 8 and without rounding,
 * whether each example was in the batch of four (1) or in the last one, of two (2). */
static void test_each_example_once(void)
{
    enum { N = 6 };
    cbp_real x[N] = {0}, y[N];
    size_t order[N], last[N] = {0}, reshuffled = 0;
    for (int i = 0; i < N; i++) {
        y[i] = R(ldexp(1, 3 * i));
    }
    call c = fit_of(line, 1, x, y, N);
    c.frozen = only_b;
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
    /* Each example is in the last batch for a third of the seeds: 100, 8 the standard deviation. Two passes share it
     * once in 15. */
    for (int i = 0; i < N; i++) {
        CHECK(last[i] > 60 && last[i] < 140);
    }
    CHECK(reshuffled > 240 && reshuffled < 300);
}

/* A batch without weight makes no step, not even that which momentum is left with. */
static void test_batch_without_weight(void)
{
    const cbp_real weight[] = {1, 0};
    size_t order[2], first = 0;
    for (unsigned seed = 0; seed < 20; seed++) {
        cbp_real params[] = {1, 3};
        call c = fit_of_constant(0.125);
        c.weight = weight;
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
    first[0] = first[1] = again[0] = again[1] = other[0] = other[1] = 0;
    CHECK(fit(&c, first) == CBP_OK && fit(&c, again) == CBP_OK);
    CHECK(same_all(first, again, 2));
    c.options.seed = 6;
    CHECK(fit(&c, other) == CBP_OK);
    CHECK(!same(first[0], other[0]) && !same(first[1], other[1]));
}

/* A batch of all examples or of more is no batch: no order is needed, and the length of the memory stays small. */
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

/* ---- what may move ----------------------------------------------------------------------------------------------- */

static void test_frozen(void)
{
    const cbp_real no_number[] = {0, R(NAN)};
    size_t order[POINTS];
    for (int method = 0; method < CBP_METHOD_END; method++) {
        for (size_t batch = 0; batch < 15; batch += 7) {
            cbp_real params[] = {0, R(-0.75)};
            call c = fit_of(line, 1, point_x, point_y, POINTS);
            c.frozen = only_w;
            c.lower = c.upper = no_number; /* not read for b, and w is held to 0 */
            c.order = order;
            c.options.method = method;
            c.options.batch_size = batch;
            c.options.max_iterations = 5;
            CHECK(fit(&c, params) == CBP_OK);
            CHECK(same(params[0], 0) && same(params[1], R(-0.75)));
            c.lower = c.upper = NULL;
            CHECK(fit(&c, params) == CBP_OK);
            CHECK(params[0] > 0 && same(params[1], R(-0.75)));
            check_info(&c, params);
        }
    }
}

/* The line may be no steeper than 1.5: w comes to stand there exactly, and b makes the best of it. */
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
        c.lower = lower;
        c.upper = upper;
        c.options.method = method;
        c.options.learning_rate = R(0.05);
        c.options.tolerance = 0;
        CHECK(fit(&c, params) == CBP_OK && c.info.outcome == CBP_EXHAUSTED);
        CHECK(params[0] == R(1.5));
        CHECK(fabs((double)params[1] - (mean_y - 1.5 * mean_x)) < (method == CBP_ADAM ? 1e-3 : 32 * EPSILON));
        check_info(&c, params);
        params[0] = params[1] = 0;
        c.options.tolerance = R(1e-2);
        CHECK(fit(&c, params) == CBP_OK && c.info.outcome == CBP_CONVERGED && params[0] == R(1.5));
        CHECK(c.info.gradient_norm <= R(1e-2));
        c.upper = NULL;
        c.lower = zeros;
        params[0] = params[1] = 0;
        CHECK(fit(&c, params) == CBP_OK && params[0] > 0 && same(params[1], 0));
    }
}

/* ---- how fits end ------------------------------------------------------------------------------------------------ */

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
    CHECK(c.info.iterations == 0 && c.info.evaluations == 1 && c.info.loss == 0 && c.info.gradient_norm == 0);

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
    CHECK(w.calls == 2 && w.last.outcome == CBP_RUNNING && w.last.iterations == 2 && w.last.loss == c.info.loss);

    /* Its norm over the free parameters alone, and where no square of it could be held. */
    params[0] = params[1] = 0;
    call steep = fit_of(line, 1, ones, ones, 2);
    const cbp_real large = R(ldexp(1, sizeof(cbp_real) == 4 ? 70 : 520)), far[] = {large, large};
    steep.x = far;
    steep.options.max_iterations = 1;
    steep.options.tolerance = 2 * large;
    steep.frozen = only_w;
    CHECK(fit(&steep, params) == CBP_OK && steep.info.outcome == CBP_CONVERGED);
    CHECK(steep.info.iterations == 0 && steep.info.gradient_norm == 2 * large);
    steep.frozen = only_b;
    CHECK(fit(&steep, params) == CBP_OK && steep.info.iterations == 0 && steep.info.gradient_norm == 2);
}

/* With a learning rate of 1.25, b - 1 is multiplied by -1.5: the loss rises, 1, 2.25, ..., and the start stays the
 * best. A stop returns it, the end of the iterations does not. */
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
        check_info(&c, params);
        /* The progress function saw the last. */
        CHECK(w.last.iterations == passed && same(w.last.loss, history[passed]));
        CHECK(near((double)w.params[1], 1 - pow(-1.5, (double)passed), 0, 2));
        CHECK(near((double)w.last.loss, pow(1.5, 2 * (double)passed), 0, 4));
    }

    /* One that stops at the last iteration has been stopped; one that stops a converged fit comes too late. */
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

/* Four stretches an evaluation: three questions before the first mark, three more before the second, which is one. */
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
        CHECK(marks > 0 ? c.info.loss == history[marks - 1] : isnan(c.info.loss) && isnan(c.info.gradient_norm));
        CHECK(isnan(history[0]) == (marks == 0) && (history[1] == 5) == (marks < 2));
        if (marks == 2) {
            continue;
        }
        /* Cut or not, the pass has the same bits. */
        CHECK(cbp_gradient(params, activations, many_x, many_y, NULL, DEEP, MANY, CBP_SQUARED, 1, work, &loss,
                           gradient) == CBP_OK);
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
    c.n = 300;
    c.options.max_iterations = 20;
    watch_fit(&c, &w);
    CHECK(fit(&c, params) == CBP_OK && c.info.iterations == 20 && w.calls == 20);
}

/* Within a pass of batches too, small ones and large ones. */
static void test_stopped_batches(void)
{
    unsigned char activations[DEEP], frozen[2 * DEEP];
    cbp_real params[2 * DEEP];
    for (size_t batch = 1; batch < MANY; batch = 64 * batch) {
        watcher w = {0};
        call c = deep_fit(params, activations, frozen);
        c.order = many_order;
        c.n = batch < CBP_BLOCK ? 400 : MANY;
        c.options.batch_size = batch;
        watch_fit(&c, &w);
        w.stop_at = batch < CBP_BLOCK ? 1 : 4; /* three of them in the pass of the start */
        CHECK(fit(&c, params) == CBP_OK && c.info.outcome == CBP_STOPPED);
        CHECK(c.info.iterations == 0 && c.info.evaluations == 1 && params[2 * DEEP - 1] == 0);
        check_info(&c, params);
    }
}

/* ---- divergence -------------------------------------------------------------------------------------------------- */

static void check_diverged(call *c, const cbp_real *start)
{
    cbp_real params[2];
    memcpy(params, start, sizeof params);
    CHECK(fit(c, params) == CBP_OK && c->info.outcome == CBP_DIVERGED);
    CHECK(isfinite(params[0]) && isfinite(params[1]));
    CHECK(c->info.iterations < 1000);
    check_info(c, params);
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

    /* Out of the domain: the logarithm of w + b, pushed below 0. */
    call outside = fit_of(logarithm, 1, ones, low, 2);
    outside.options.learning_rate = 1;
    check_diverged(&outside, start);
    CHECK(outside.info.iterations == 1 && outside.info.loss == 81);
}

/* All methods, whole and in batches, with bounds that are no help and without. */
static void test_diverged_methods(void)
{
    const cbp_real start[] = {1, 0}, lower[] = {-HUGE_REAL, -HUGE_REAL}, upper[] = {HUGE_REAL, HUGE_REAL};
    size_t order[POINTS];
    for (int method = 0; method < CBP_METHOD_END; method++) {
        for (size_t batch = 0; batch < 15; batch += 7) {
            for (int bounded = 0; bounded < 2; bounded++) {
                call c = fit_of(line, 1, point_x, point_y, POINTS);
                c.order = order;
                c.lower = bounded ? lower : NULL;
                c.upper = bounded ? upper : NULL;
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
    c.options.loss = CBP_LOG_LOSS;
    c.options.learning_rate = HUGE_REAL;
    check_diverged(&c, start);
    CHECK(c.info.iterations == 0);
    c.lower = lower; /* which hold the parameters, not the velocity */
    c.options.method = CBP_MOMENTUM;
    check_diverged(&c, start);
    CHECK(c.info.iterations == 0);

    /* Here each step is finite, and their sum is not. */
    call sum = fit_of_constant(0);
    sum.activations = neuron;
    sum.options.method = CBP_ADAM;
    sum.options.learning_rate = HUGE_REAL - HUGE_REAL / 8;
    sum.options.tolerance = 0;
    check_diverged(&sum, start);
    CHECK(sum.info.iterations == 1 && sum.info.loss == 0);
}

/* A square that overflows would hold Adam where it is. */
static void test_diverged_square(void)
{
    const cbp_real root = R(sqrt(sqrt((double)HUGE_REAL)) / 8), x[] = {1024 * root, 1024 * root}, start[] = {1, root};
    call c = fit_of(line, 1, x, x, 2);
    c.options.method = CBP_ADAM;
    check_diverged(&c, start);
    CHECK(c.info.iterations == 0);
}

/* A start whose loss is finite and whose gradient is not has no way to go, even where those of the batches are finite. */
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
        memcpy(params, start, sizeof params);
        CHECK(fit(&c, params) == CBP_OK && c.info.outcome == CBP_DIVERGED);
        CHECK(c.info.iterations == 0 && c.info.evaluations == 1);
        CHECK(same_all(params, start, 2) && isfinite(c.info.loss) && isnan(c.info.gradient_norm));
    }
}

/* ---- refusals ---------------------------------------------------------------------------------------------------- */

static void test_refused_start(void)
{
    const unsigned char logarithm[] = {CBP_LOG};
    const cbp_real negative[] = {-1, 0}, weights[] = {HUGE_REAL, HUGE_REAL};
    call c = fit_of(logarithm, 1, ones, zeros, 2);
    watcher w = {0};
    watch_fit(&c, &w);
    CHECK(refuses(&c, negative, CBP_ERROR_START_LOSS) && w.calls == 0);

    call sums = fit_of(line, 1, ones, zeros, 2);
    sums.weight = weights;
    CHECK(refuses(&sums, fine, CBP_ERROR_WEIGHT)); /* their sum is infinite */

    /* Frozen parameters are not checked, but felt. */
    const cbp_real no_number[] = {R(NAN), 0};
    call frozen = fit_of(line, 1, ones, zeros, 2);
    frozen.frozen = only_b;
    CHECK(refuses(&frozen, no_number, CBP_ERROR_START_LOSS));
}

static void test_refused_memory(void)
{
    const cbp_fit_info untouched = {CBP_STOPPED, 3, 5, 7, 9, zeros};
    cbp_real params[] = {1, 0}, *work = numbers(cbp_fit_descent_work_len(1, 1));
    size_t order[2];
    call c = fit_of(line, 1, ones, zeros, 2);
    c.info = untouched;
    c.options.batch_size = 1;
#define FIT(options, work, order, params, info) \
    cbp_fit_descent(line, NULL, NULL, NULL, ones, zeros, NULL, 1, 2, options, work, order, params, info)
    CHECK(FIT(NULL, work, order, params, &c.info) == CBP_ERROR_NULL);
    CHECK(FIT(&c.options, NULL, order, params, &c.info) == CBP_ERROR_NULL);
    CHECK(FIT(&c.options, work, NULL, params, &c.info) == CBP_ERROR_NULL);
    CHECK(FIT(&c.options, work, order, NULL, &c.info) == CBP_ERROR_NULL);
    CHECK(FIT(&c.options, work, order, params, NULL) == CBP_ERROR_NULL);
    CHECK(params[0] == 1 && params[1] == 0 && c.info.iterations == 3);
    CHECK(FIT(&c.options, work, order, params, &c.info) == CBP_OK);
    c.options.batch_size = 2;
    CHECK(FIT(&c.options, work, NULL, params, &c.info) == CBP_OK);
#undef FIT
    free(work);
}

static void test_refused_arguments(void)
{
    const unsigned char both[] = {1, 1}, unknown[] = {CBP_ACTIVATION_END};
    const cbp_real no_number[] = {0, R(NAN)}, one[] = {1, 1}, negative[] = {-1, 1}, half[] = {R(0.5), R(0.5)};
    const call c = fit_of(line, 1, ones, zeros, 2);
#define REFUSED(status, change)                \
    do {                                       \
        call t = c;                            \
        change;                                \
        CHECK(refuses(&t, fine, status));      \
    } while (0)
    REFUSED(CBP_ERROR_NULL, t.activations = NULL);
    REFUSED(CBP_ERROR_NULL, t.x = NULL);
    REFUSED(CBP_ERROR_NULL, t.y = NULL);
    REFUSED(CBP_ERROR_ACTIVATION, t.activations = unknown);
    REFUSED(CBP_ERROR_EMPTY, t.n = 0);
    REFUSED(CBP_ERROR_LOSS, t.options.loss = CBP_LOSS_END);
    REFUSED(CBP_ERROR_NO_SIGMOID, t.options.loss = CBP_LOG_LOSS);
    REFUSED(CBP_ERROR_SCALE, (t.options.loss = CBP_HUBER, t.options.scale = 0));
    REFUSED(CBP_ERROR_WEIGHT, t.weight = negative);
    REFUSED(CBP_ERROR_OPTION, t.options.size--);
    REFUSED(CBP_ERROR_OPTION, t.options.max_iterations = 0);
    REFUSED(CBP_ERROR_OPTION, t.options.tolerance = -1);
    REFUSED(CBP_ERROR_OPTION, t.options.tolerance = R(NAN));
    REFUSED(CBP_ERROR_OPTION, t.options.method = CBP_METHOD_END);
    REFUSED(CBP_ERROR_OPTION, t.options.method = -1);
    REFUSED(CBP_ERROR_OPTION, t.options.momentum = 1);
    REFUSED(CBP_ERROR_OPTION, t.options.momentum = R(NAN));
    REFUSED(CBP_ERROR_LEARNING_RATE, t.options.learning_rate = 0);
    REFUSED(CBP_ERROR_LEARNING_RATE, t.options.learning_rate = R(NAN));
    REFUSED(CBP_ERROR_LEARNING_RATE, t.options.learning_rate = R(INFINITY));
    REFUSED(CBP_ERROR_NO_FREE, t.frozen = both);
    REFUSED(CBP_ERROR_BOUNDS, t.lower = no_number);
    REFUSED(CBP_ERROR_BOUNDS, (t.lower = one, t.upper = half));
    REFUSED(CBP_ERROR_START, t.lower = one);
    REFUSED(CBP_ERROR_START, t.upper = half);
    REFUSED(CBP_ERROR_DATA, t.x = no_number);
    REFUSED(CBP_ERROR_DATA, t.y = no_number);
#undef REFUSED
    /* No layer needs little memory, so that the refusal can be had. */
    cbp_real params[] = {1, 0};
    call none = c;
    none.layers = 0;
    none.options.batch_size = 1;
    CHECK(fit(&none, params) == CBP_ERROR_LAYERS);
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
    test_refused_start();
    test_refused_memory();
    test_refused_arguments();
    return check_done("test_fit_descent");
}
