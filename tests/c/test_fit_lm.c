/* Levenberg-Marquardt: what it finds, with bounds and without, by every kernel. */
#include "fit_lm_call.h"

/* ---- straight lines -------------------------------------------------------------------------- */

/* Weighted least squares in closed form: parameters, variance, covariance, and both curvatures
 * agree. */
static void test_line(const cbp_real *weight)
{
    const double starts[][2] = {{-0.5, 0.5}, {0, 0}, {1000, -1000}, {2, -1}};
    double weights[POINTS], expected[4], squares = 0, examples = 0;
    weights_of(weight, weights);
    const sums s = sums_of(weights);
    const double w = (s.one * s.xy - s.x * s.y) / (s.one * s.xx - s.x * s.x),
                 b = (s.y - w * s.x) / s.one;
    for (size_t i = 0; i < POINTS; i++) {
        const double residual = w * (double)point_x[i] + b - (double)point_y[i];
        squares += weights[i] * residual * residual;
        examples += weights[i] > 0;
    }
    const double variance = squares / (examples - 2);
    invert(weights, variance, expected);
    for (size_t k = 0; k < sizeof starts / sizeof *starts; k++) {
        cbp_real params[] = {R(starts[k][0]), R(starts[k][1])};
        call c = fit_of(line, 1, point_x, point_y, POINTS);
        c.examples.weight = weight;
        CHECK(fit(&c, params) == CBP_OK);
        check_minimum(&c);
        CHECK(c.info.iterations > 0 && c.info.iterations <= 10 &&
              c.info.evaluations == c.info.iterations + 1);
        CHECK(fabs((double)params[0] - w) <= 8 * (double)c.options.tolerance + 64 * EPSILON);
        CHECK(fabs((double)params[1] - b) <= 8 * (double)c.options.tolerance + 64 * EPSILON);
        CHECK(near((double)c.info.loss, squares / s.one, 0, 256));
        for (int curvature = 0; curvature < CURVATURES; curvature++) {
            covariance found;
            CHECK(covariance_of(&c, curvature, &found) == CBP_OK);
            CHECK(near((double)found.variance, variance, 0, 256));
            CHECK(near_all(found.matrix, expected, 4, 512));
            CHECK(found.determined[0] == CBP_DETERMINED && found.determined[1] == CBP_DETERMINED);
            CHECK(found.matrix[4] == 5 && found.determined[2] == 55);
        }
    }
}

/* One parameter alone: the mean of the rest, and its variance. */
static void test_frozen(void)
{
    const cbp_real no_number[] = {0, R(NAN)};
    double weights[POINTS];
    weights_of(NULL, weights);
    const sums s = sums_of(weights);
    for (int which = 0; which < 2; which++) {
        cbp_real params[] = {R(1.5), R(-0.75)};
        const double w = which == 0 ? (s.xy + 0.75 * s.x) / s.xx : 1.5;
        const double b = which == 1 ? (s.y - 1.5 * s.x) / s.one : -0.75;
        double squares = 0;
        call c = fit_of(line, 1, point_x, point_y, POINTS);
        c.chain.frozen = which == 0 ? only_w : only_b;
        CHECK(fit(&c, params) == CBP_OK);
        check_minimum(&c);
        CHECK(same(params[1 - which], which == 0 ? R(-0.75) : R(1.5)));
        CHECK(fabs((double)params[which] - (which == 0 ? w : b)) <=
              8 * (double)c.options.tolerance + 64 * EPSILON);
        for (size_t i = 0; i < POINTS; i++) {
            const double residual = w * (double)point_x[i] + b - (double)point_y[i];
            squares += residual * residual;
        }
        for (int curvature = 0; curvature < CURVATURES; curvature++) {
            covariance found;
            CHECK(covariance_of(&c, curvature, &found) == CBP_OK);
            const double variance = squares / (POINTS - 1);
            CHECK(near((double)found.variance, variance, 0, 256));
            CHECK(near((double)found.matrix[3 * which], variance / (which == 0 ? s.xx : s.one), 0,
                       512));
            CHECK(found.matrix[1] == 0 && found.matrix[2] == 0 && found.matrix[3 - 3 * which] == 0);
            CHECK(found.determined[which] == CBP_DETERMINED &&
                  found.determined[1 - which] == CBP_FROZEN);
        }
    }

    /* Bounds of what is frozen are not read; those of w are both 0. */
    cbp_real params[] = {0, R(-0.75)};
    call c = fit_of(line, 1, point_x, point_y, POINTS);
    c.chain.frozen = only_w;
    c.options.lower = c.options.upper = no_number;
    CHECK(fit(&c, params) == CBP_OK && c.info.outcome == CBP_CONVERGED);
    CHECK(same(params[0], 0) && same(params[1], R(-0.75)));

    /* All frozen leaves nothing to fit; its covariance is nothing. */
    const unsigned char both[] = {1, 1};
    covariance found;
    c.chain.frozen = both;
    c.options.lower = c.options.upper = NULL;
    CHECK(fit(&c, params) == CBP_ERROR_NO_FREE);
    for (int curvature = 0; curvature < CURVATURES; curvature++) {
        CHECK(covariance_of(&c, curvature, &found) == CBP_OK);
        CHECK(found.determined[0] == CBP_FROZEN && found.determined[1] == CBP_FROZEN);
        for (size_t k = 0; k < 4; k++) {
            CHECK(found.matrix[k] == 0);
        }
    }
}

/* An example of weight 3 is three examples, for every loss, but for the degrees of freedom. */
static void test_repetitions(void)
{
    cbp_real weight[POINTS], x[3 * POINTS], y[3 * POINTS];
    for (int loss = 0; loss < CBP_LOSS_END; loss++) {
        const cbp_real *targets = takes_any_target(loss) ? point_y : point_label;
        const unsigned char *chain = takes_any_target(loss) ? line : neuron;
        size_t n = 0, positive = 0;
        for (size_t i = 0; i < POINTS; i++) {
            weight[i] = R(i % 4);
            positive += i % 4 > 0;
            for (size_t k = 0; k < i % 4; k++, n++) {
                x[n] = point_x[i];
                y[n] = targets[i];
            }
        }
        cbp_real weighted[] = {0, 0}, repeated[] = {0, 0};
        call c = fit_of(chain, 1, point_x, targets, POINTS), r = fit_of(chain, 1, x, y, n);
        c.examples.weight = weight;
        c.options.loss.kind = r.options.loss.kind = loss;
        c.options.loss.scale = r.options.loss.scale = R(0.5);
        CHECK(fit(&c, weighted) == CBP_OK && fit(&r, repeated) == CBP_OK);
        check_minimum(&c);
        check_minimum(&r);
        CHECK(near((double)c.info.loss, (double)r.info.loss, 0, 256));
        const double within = 32 * (double)c.options.tolerance + 256 * EPSILON;
        CHECK(fabs((double)(weighted[0] - repeated[0])) <= within);
        CHECK(fabs((double)(weighted[1] - repeated[1])) <= within);
        for (int curvature = 0; curvature < CURVATURES; curvature++) {
            const int is_known =
                loss == CBP_LOG_LOSS || loss == CBP_POISSON || loss == CBP_BINOMIAL;
            const double ratio = is_known ? 1 : (double)(n - 2) / (double)(positive - 2);
            covariance few, many;
            CHECK(covariance_of(&c, curvature, &few) == CBP_OK);
            CHECK(covariance_of(&r, curvature, &many) == CBP_OK);
            double expected[4];
            for (int k = 0; k < 4; k++) {
                expected[k] = (double)many.matrix[k] * ratio;
            }
            CHECK(near((double)few.variance, (double)many.variance * ratio, 0,
                       16 * within / EPSILON));
            CHECK(near_all(few.matrix, expected, 4, 32 * within / EPSILON));
        }
    }
}

/* Layers that are frozen at the beginning are a change of the inputs: here their logarithms, of 0
 * too, by which a power law is an exponential. Up to 128 examples it is made once, with the same
 * bits; the results are those of the whole chain. */
static void test_leading(void)
{
    const unsigned char power[] = {CBP_LOG, CBP_EXP}, last_two[] = {1, 1, 0, 0};
    const size_t lengths[] = {5, 128, 129, 300};
    cbp_real x[300], inside[300], y[300];
    check_state = 29;
    for (size_t i = 0; i < 300; i++) {
        x[i] = R(i % 50) / 16;
        y[i] = R(2 * pow((double)x[i], 1.5) + random_between(-0.1, 0.1));
    }
    const cbp_real as_is[] = {1, 0};
    CHECK(cbp_forward(&(cbp_chain){as_is, power, NULL, 1}, x, 300, inside) == CBP_OK &&
          isinf(inside[0]));
    for (size_t k = 0; k < 4; k++) {
        for (int bounded = 0; bounded < 2; bounded++) {
            /* w2 ends at its bound; those of the frozen layer are not read */
            const cbp_real lower[] = {5, 5, R(0.75), 0}, upper[] = {4, 4, bounded ? R(1.25) : 9, 9};
            watcher w = {0};
            covariance found;
            cbp_real params[] = {1, 0, 1, R(0.5)};
            call c = fit_of(power, 2, x, y, lengths[k]);
            c.chain.frozen = last_two;
            c.options.lower = lower;
            c.options.upper = upper;
            watch_fit(&c, &w);
            CHECK(fit(&c, params) == CBP_OK);
            check_valley(&c);
            CHECK(w.calls > 1 && w.out_of_bounds == 0 && w.disorder == 0);
            CHECK(params[0] == 1 && params[1] == 0 && w.params[0] == 1 && w.params[1] == 0);
            CHECK(bounded ? params[2] == R(1.25) : fabs((double)params[2] - 1.5) < 0.2);
            CHECK(covariance_of(&c, GAUSS_NEWTON, &found) == CBP_OK &&
                  found.determined[0] == CBP_FROZEN);
            CHECK(found.determined[2] == (bounded ? CBP_AT_BOUND : CBP_DETERMINED));
            CHECK(found.determined[3] == CBP_DETERMINED && found.matrix[15] > 0);
            if (lengths[k] <= 128) {
                cbp_real direct[] = {1, R(0.5)};
                for (size_t i = 0; i < lengths[k]; i++) {
                    /* data are finite */
                    inside[i] = inside[i] < 0 && isinf(inside[i]) ? -HUGE_REAL : inside[i];
                }
                call d = fit_of(power + 1, 1, inside, y, lengths[k]);
                d.options.lower = lower + 2;
                d.options.upper = upper + 2;
                CHECK(fit(&d, direct) == CBP_OK && same_all(direct, params + 2, 2));
                CHECK(d.info.iterations == c.info.iterations && same(d.info.loss, c.info.loss));
            }
        }
    }

    /* Outside the domain of what is frozen there is no loss. */
    cbp_real params[] = {-1, 0, 1, R(0.5)};
    call c = fit_of(power, 2, x, y, 5);
    c.chain.frozen = last_two;
    CHECK(fit(&c, params) == CBP_ERROR_START_LOSS && params[0] == -1 && params[2] == 1);
}

/* ---- published fits -------------------------------------------------------------------------- */

static int has_digits(double found, double expected, double digits)
{
    return fabs(found - expected) <= pow(10, -digits) * fabs(expected);
}

/* In double to all digits that this arithmetic can give. In single, rounding moves the outputs as
 * noise of some EPSILON of their size does, which is to the noise of the data as the error is to
 * the standard deviation. */
static void test_certified(const certified *problem)
{
    for (size_t start = 0; start < 2; start++) {
        cbp_real params[4];
        covariance found;
        call c = fit_of_certified(problem, start, params);
        CHECK(fit(&c, params) == CBP_OK && c.info.outcome == CBP_CONVERGED);
        check_info(&c);
        CHECK(same(params[1], 0) && same(params[3], 0));
        const double b1 = -(double)params[2], b2 = -(double)params[0];
        const double noise = sqrt(problem->squares / (double)(problem->n - 2));
        const double largest = (double)problem->y[problem->n - 1];
        /* of sd1, sd2 */
        const double part = 8 * (double)c.options.tolerance + 64 * EPSILON * largest / noise;
        CHECK(fabs(b1 - problem->b1) <= part * problem->sd1 + 1e-10 * problem->b1);
        CHECK(fabs(b2 - problem->b2) <= part * problem->sd2 + 1e-10 * problem->b2);
        CHECK(near((double)c.info.loss * (double)problem->n, problem->squares, 0,
                   part / EPSILON + 1e-10 / EPSILON));
        CHECK(covariance_of(&c, GAUSS_NEWTON, &found) == CBP_OK);
        const double sd1 = sqrt((double)found.matrix[2 * 4 + 2]),
                     sd2 = sqrt((double)found.matrix[0]);
        CHECK(fabs(sd1 - problem->sd1) <= (part + 1e-9) * problem->sd1);
        CHECK(fabs(sd2 - problem->sd2) <= (part + 1e-9) * problem->sd2);
        CHECK(found.determined[0] == CBP_DETERMINED && found.determined[1] == CBP_FROZEN);
        CHECK(found.determined[2] == CBP_DETERMINED && found.determined[3] == CBP_FROZEN);
        CHECK(sizeof(cbp_real) == 4 ||
              (has_digits(b1, problem->b1, 9) && has_digits(b2, problem->b2, 9)));
        CHECK(sizeof(cbp_real) == 4 ||
              (has_digits(sd1, problem->sd1, 8) && has_digits(sd2, problem->sd2, 8)));

        /* The observed curvature: half of the exact Hessian of the sum, inverted. */
        cbp_real hessian[16], *work = numbers(cbp_hessian_work_len(2));
        CHECK(cbp_hessian(&c.chain, &c.examples, NULL, work, hessian) == CBP_OK);
        const double half = (double)c.examples.n / 2, h00 = half * (double)hessian[0],
                     h02 = half * (double)hessian[2];
        const double h22 = half * (double)hessian[10],
                     factor = (double)found.variance / (h00 * h22 - h02 * h02);
        const double condition = h00 * h22 / (h00 * h22 - h02 * h02);
        CHECK(covariance_of(&c, OBSERVED, &found) == CBP_OK);
        CHECK(near((double)found.matrix[0], factor * h22, 0, 16 * condition));
        CHECK(near((double)found.matrix[2], -factor * h02, 0, 16 * condition));
        CHECK(near((double)found.matrix[10], factor * h00, 0, 16 * condition));
        CHECK(same(found.matrix[2], found.matrix[8]) && found.matrix[1] == 0 &&
              found.matrix[15] == 0);
        free(work);
    }
}

/* ---- bounds ---------------------------------------------------------------------------------- */

/* The line may be no steeper than 1.5: w ends there, or stays, and b at its optimum for that
 * slope. */
static void test_bound(void)
{
    const cbp_real upper[] = {R(1.5), R(INFINITY)}, lower[] = {R(-INFINITY), -10};
    const double starts[][2] = {{0, 0}, {1.5, 3}, {1.5, -10}, {-100, 50}};
    double weights[POINTS], squares = 0;
    weights_of(NULL, weights);
    const sums s = sums_of(weights);
    const double b = (s.y - 1.5 * s.x) / s.one;
    for (size_t i = 0; i < POINTS; i++) {
        const double residual = 1.5 * (double)point_x[i] + b - (double)point_y[i];
        squares += residual * residual;
    }
    for (size_t k = 0; k < sizeof starts / sizeof *starts; k++) {
        watcher w = {0};
        cbp_real params[] = {R(starts[k][0]), R(starts[k][1])};
        call c = fit_of(line, 1, point_x, point_y, POINTS);
        c.options.lower = lower;
        c.options.upper = upper;
        watch_fit(&c, &w);
        CHECK(fit(&c, params) == CBP_OK);
        check_minimum(&c);
        CHECK(params[0] == R(1.5) && w.out_of_bounds == 0 && w.disorder == 0);
        CHECK(fabs((double)params[1] - b) <= 8 * (double)c.options.tolerance + 64 * EPSILON);
        for (int curvature = 0; curvature < CURVATURES; curvature++) {
            covariance found;
            CHECK(covariance_of(&c, curvature, &found) == CBP_OK);
            CHECK(found.determined[0] == CBP_AT_BOUND && found.determined[1] == CBP_DETERMINED);
            CHECK(found.matrix[0] == 0 && found.matrix[1] == 0 && found.matrix[2] == 0);
            CHECK(near((double)found.variance, squares / (POINTS - 1), 0, 256));
            CHECK(near((double)found.matrix[3], squares / (POINTS - 1) / s.one, 0, 256));
        }
    }
}

/* One side alone: the same line from above and, with the signs of y turned, from below. */
static void test_one_bound(void)
{
    const cbp_real upper[] = {R(1.5), 9}, lower[] = {R(-1.5), -9};
    cbp_real turned[POINTS], two_sided[2], above[2], below[2];
    const cbp_real none_below[] = {R(-INFINITY), R(-INFINITY)};
    for (size_t i = 0; i < POINTS; i++) {
        turned[i] = -point_y[i];
    }
    for (int start = -1; start <= 1; start++) {
        call c = fit_of(line, 1, point_x, point_y, POINTS),
             d = fit_of(line, 1, point_x, turned, POINTS);
        two_sided[0] = above[0] = R(start);
        two_sided[1] = above[1] = R(0.25);
        below[0] = R(-start);
        below[1] = R(-0.25);
        c.options.upper = upper;
        d.options.lower = lower;
        CHECK(fit(&c, above) == CBP_OK && fit(&d, below) == CBP_OK);
        check_minimum(&c);
        check_minimum(&d);
        CHECK(above[0] == R(1.5) && below[0] == R(-1.5) && same(above[1], -below[1]));
        CHECK(c.info.iterations == d.info.iterations && same(c.info.loss, d.info.loss));
        c.options.lower = none_below;
        CHECK(fit(&c, two_sided) == CBP_OK && same_all(two_sided, above, 2));
    }
}

/* Bounds between which the minimum lies do not change it, from a start on one of them too. */
static void test_idle_bounds(void)
{
    const cbp_real lower[] = {-3, -4}, upper[] = {5, 6};
    const double starts[][2] = {{-3, -4}, {5, 6}, {-3, 6}, {5, -4}, {0, 0}, {-3, 0}};
    cbp_real plain[] = {0, 0};
    call p = fit_of(line, 1, point_x, point_y, POINTS);
    CHECK(fit(&p, plain) == CBP_OK);
    for (size_t k = 0; k < sizeof starts / sizeof *starts; k++) {
        watcher w = {0};
        covariance found;
        cbp_real params[] = {R(starts[k][0]), R(starts[k][1])};
        call c = fit_of(line, 1, point_x, point_y, POINTS);
        c.options.lower = lower;
        c.options.upper = upper;
        watch_fit(&c, &w);
        CHECK(fit(&c, params) == CBP_OK);
        check_minimum(&c);
        CHECK(w.out_of_bounds == 0 && w.disorder == 0);
        CHECK(fabs((double)(params[0] - plain[0])) <=
              8 * (double)c.options.tolerance + 64 * EPSILON);
        CHECK(fabs((double)(params[1] - plain[1])) <=
              8 * (double)c.options.tolerance + 64 * EPSILON);
        CHECK(covariance_of(&c, GAUSS_NEWTON, &found) == CBP_OK);
        CHECK(found.determined[0] == CBP_DETERMINED && found.determined[1] == CBP_DETERMINED);
    }

    /* Two equal bounds freeze a parameter. With both at their bounds nothing can move, which is a
     * minimum. */
    const cbp_real both[] = {R(0.5), R(0.25)};
    cbp_real params[] = {R(0.5), R(0.25)};
    covariance found;
    call c = fit_of(line, 1, point_x, point_y, POINTS);
    c.options.lower = c.options.upper = both;
    CHECK(fit(&c, params) == CBP_OK && same_all(params, both, 2));
    check_minimum(&c);
    CHECK(c.info.gradient_norm == 0);
    CHECK(covariance_of(&c, GAUSS_NEWTON, &found) == CBP_OK);
    CHECK(found.determined[0] == CBP_AT_BOUND && found.determined[1] == CBP_AT_BOUND);
    CHECK(found.matrix[0] == 0 && found.matrix[1] == 0 && found.matrix[3] == 0);
}

/* A step that would cross two bounds at once, those of w and of b, of which one is active at the
 * minimum: that of (w - 5)^2 + (10 w + b)^2 in the box is on its edge b = -1, at w = 15/101. */
static void test_corner(void)
{
    const cbp_real x[] = {9, 11}, y[] = {-5, 5}, lower[] = {-1, -1}, upper[] = {1, 1};
    cbp_real params[] = {0, 0};
    call c = fit_of(line, 1, x, y, 2);
    c.options.lower = lower;
    c.options.upper = upper;
    CHECK(fit(&c, params) == CBP_OK);
    check_minimum(&c);
    CHECK(params[1] == -1 &&
          fabs((double)params[0] - 15.0 / 101) <= (double)c.options.tolerance * 8 + 64 * EPSILON);
}

/* Random boxes about lines whose w and b depend on each other: never left, and where the fit has
 * converged every direction of descent leaves the box. The loss is convex: that is then the
 * minimum, and it is found. */
static void test_boxes(void)
{
    check_state = 17;
    size_t at_bound = 0;
    for (int k = 0; k < 200; k++) {
        cbp_real x[12], y[12], lower[2], upper[2], params[2];
        const double shift = k % 2 ? 0 : random_between(-6, 6);
        const double slope = random_between(-3, 3), height = random_between(-3, 3);
        for (size_t i = 0; i < 12; i++) {
            x[i] = R(shift + random_between(-1, 1));
            y[i] = R(slope * (double)x[i] + height + random_between(-1, 1));
        }
        for (size_t j = 0; j < 2; j++) {
            const double end = random_between(-4, 4);
            lower[j] = R(k % 3 == 0 && j == 0 ? -INFINITY : end);
            upper[j] = R(end + random_between(0.1, 4));
            const double from = isfinite(lower[j]) ? (double)lower[j] : -4;
            params[j] = k % 5 == 0 ? upper[j] : R(random_between(from, (double)upper[j]));
            params[j] = params[j] > upper[j] ? upper[j] : params[j];
            params[j] = params[j] < lower[j] ? lower[j] : params[j];
        }
        watcher w = {0};
        call c = fit_of(line, 1, x, y, 12);
        c.options.lower = lower;
        c.options.upper = upper;
        c.options.loss.kind = k % 4 == 1 ? CBP_HUBER : CBP_SQUARED;
        watch_fit(&c, &w);
        CHECK(fit(&c, params) == CBP_OK);
        check_valley(&c);
        CHECK(w.out_of_bounds == 0 && w.disorder == 0);
        CHECK(params[0] >= lower[0] && params[0] <= upper[0] && params[1] >= lower[1] &&
              params[1] <= upper[1]);
        at_bound += params[0] == lower[0] || params[0] == upper[0] || params[1] == lower[1] ||
                    params[1] == upper[1];
    }
    CHECK(at_bound > 100);
}

/* The same with four parameters, of a curve; restarts are drawn inside the box. */
static void test_curved_boxes(void)
{
    const unsigned char chain[] = {CBP_TANH, CBP_IDENTITY};
    size_t converged = 0;
    check_state = 19;
    for (int k = 0; k < 60; k++) {
        cbp_real lower[4], upper[4], params[4], targets[POINTS];
        const double steepness = random_between(0.5, 4);
        for (size_t i = 0; i < POINTS; i++) {
            targets[i] = R(tanh(steepness * (double)point_x[i] + 0.3) + random_between(-0.1, 0.1));
        }
        for (size_t j = 0; j < 4; j++) {
            const double middle = random_between(-1, 1) + (j % 2 ? 0 : 1);
            lower[j] = R(middle - random_between(0.1, 2));
            upper[j] = R(middle + random_between(0.1, 2));
            params[j] = R(middle);
        }
        watcher w = {0};
        call c = fit_of(chain, 2, point_x, targets, POINTS);
        c.options.lower = lower;
        c.options.upper = upper;
        c.options.restarts = k % 3 == 0 ? 3 : 0;
        watch_fit(&c, &w);
        CHECK(fit(&c, params) == CBP_OK);
        check_info(&c);
        CHECK(w.out_of_bounds == 0 && w.disorder == 0);
        for (size_t j = 0; j < 4; j++) {
            CHECK(params[j] >= lower[j] && params[j] <= upper[j]);
        }
        if (c.info.outcome == CBP_CONVERGED) {
            check_valley(&c);
            converged++;
        }
    }
    CHECK(converged >= 54);
}

/* ---- what the data do not tell --------------------------------------------------------------- */

/* Three lines one behind the other are a line, whatever of the last is frozen and whichever loss
 * there is: that they are undetermined, and a second attempt, change nothing of that. */
static void test_redundant(void)
{
    const unsigned char three_lines[] = {CBP_IDENTITY, CBP_IDENTITY, CBP_IDENTITY};
    for (int loss = CBP_SQUARED; loss < CBP_LOSS_END; loss++) {
        if (!takes_any_target(loss)) {
            continue;
        }
        cbp_real plain[] = {0, 0};
        call p = fit_of(line, 1, point_x, point_y, POINTS);
        p.options.loss.kind = loss;
        p.options.loss.scale = R(0.5);
        CHECK(fit(&p, plain) == CBP_OK && p.info.outcome == CBP_CONVERGED);
        for (int mask = 0; mask < 4; mask++) {
            for (int bounded = 0; bounded < 2; bounded++) {
                const unsigned char frozen[] = {0, 0, 0, 0, mask % 2 == 1, mask > 1};
                const cbp_real upper[] = {90, 90, 90, 90, 90, 90};
                cbp_real params[] = {1, R(0.5), R(0.75), R(-0.5), R(1.25), R(0.25)};
                call c = fit_of(three_lines, 3, point_x, point_y, POINTS);
                c.chain.frozen = frozen;
                c.options.upper = bounded ? upper : NULL;
                c.options.loss.kind = loss;
                c.options.loss.scale = R(0.5);
                CHECK(fit(&c, params) == CBP_OK);
                check_info(&c);
                CHECK(c.info.outcome == CBP_CONVERGED);
                CHECK(near((double)c.info.loss, (double)p.info.loss, 0, 4096));
                CHECK((mask & 1) == 0 || params[4] == R(1.25));
                CHECK((mask & 2) == 0 || params[5] == R(0.25));
            }
        }
    }
}

/* A unit that is never active leaves its own parameters as they are, between bounds too; the mean
 * is found all the same. */
static void test_inactive_unit(void)
{
    const unsigned char dead[] = {CBP_RELU, CBP_IDENTITY};
    const cbp_real lower[] = {0, -20, R(-0.5), R(-0.25)}, upper[] = {9, 0, 2, 9};
    double mean = 0;
    for (size_t i = 0; i < POINTS; i++) {
        mean += (double)point_y[i] / POINTS;
    }
    for (int bounded = 0; bounded < 3; bounded++) {
        cbp_real params[] = {1, -10, R(0.5), 0};
        call c = fit_of(dead, 2, point_x, point_y, POINTS);
        c.options.lower = bounded ? lower : NULL;
        c.options.upper = bounded == 2 ? upper : NULL;
        CHECK(fit(&c, params) == CBP_OK && c.info.outcome == CBP_CONVERGED);
        check_info(&c);
        CHECK(params[0] == 1 && params[1] == -10 && params[2] == R(0.5));
        CHECK(fabs((double)params[3] - (bounded ? fmax(mean, -0.25) : mean)) <=
              8 * (double)c.options.tolerance + 64 * EPSILON);
    }
}

/* ---- numbers far from 1 ---------------------------------------------------------------------- */

static void check_finite(const call *c, cbp_real start_loss)
{
    const cbp_real *params = c->chain.params, *lower = c->options.lower, *upper = c->options.upper;
    for (size_t k = 0; k < 2 * c->chain.layers; k++) {
        CHECK(isfinite(params[k]));
        CHECK(c->chain.frozen[k] || !lower || params[k] >= lower[k]);
        CHECK(c->chain.frozen[k] || !upper || params[k] <= upper[k]);
    }
    CHECK((double)c->info.loss <= (double)start_loss * (1 + 64 * EPSILON));
}

/* Of sizes whose squares nearly overflow or underflow: what is found is finite, within its bounds,
 * and no worse than the start, even where a step is too long for the format. */
static void test_extremes(void)
{
    enum { N = 6, ROUNDS = 1000 };
    const unsigned char inner[] = {CBP_IDENTITY, CBP_IDENTITY, CBP_TANH, CBP_SQUARE, CBP_EXPM1};
    const double least = sizeof(cbp_real) == 4 ? -48 : -478,
                 most = sizeof(cbp_real) == 4 ? 60 : 508;
    size_t fitted = 0, moved = 0;
    check_state = 37;
    for (int round = 0; round < ROUNDS; round++) {
        const unsigned char activations[] = {inner[random_below(5)], CBP_IDENTITY};
        const double of_x = random_between(least, most) / 2, of_y = random_between(least, most);
        const double apart = random_below(2) ? 1 : 64 * EPSILON;
        const int is_faint = random_below(4) == 0; /* the inner layer's contribution is */
        cbp_real x[N], y[N], params[4], start[4], lower[4], upper[4], loss;
        unsigned char frozen[4];
        for (size_t i = 0; i < N; i++) {
            x[i] = R(exp2(is_faint ? 0 : of_x) * (1 + apart * (double)i));
            y[i] = R(exp2(is_faint ? most : of_y) * random_between(-1, 1));
        }
        for (size_t k = 0; k < 4; k++) {
            start[k] = random_below(4) && !is_faint ? R(exp2(random_between(least, most) / 4))
                                                    : R(random_below(2));
            start[k] = k == 2 && is_faint ? R(exp2(least)) : start[k];
            frozen[k] = k < 3 && random_below(3) == 0;
            lower[k] = random_below(2) ? R(-INFINITY) : start[k];
            upper[k] = random_below(2) ? R(INFINITY) : 2 * start[k] + 1;
        }
        memcpy(params, start, sizeof params);
        call c = fit_of(activations, 2, x, y, N);
        c.chain.frozen = frozen;
        c.options.lower = random_below(2) ? lower : NULL;
        c.options.upper = random_below(2) ? upper : NULL;
        c.options.restarts = random_below(2);
        c.chain.params = start;
        CHECK(cbp_loss_mean(&c.chain, &c.examples, NULL, &loss) == CBP_OK);
        const int status = fit(&c, params);
        CHECK(status == CBP_OK || (status == CBP_ERROR_START_LOSS && same_all(params, start, 4)));
        if (status == CBP_OK) {
            check_finite(&c, loss);
            fitted++;
            moved += c.info.loss < loss;
        }
    }
    CHECK(fitted > ROUNDS / 2 && moved > ROUNDS / 8);
}

/* ---- kernels --------------------------------------------------------------------------------- */

enum { BITS = 18 * 6 * CBP_LOSS_END };

/* Fits of every loss and of many lengths; all their bits. How many numbers there were. */
static size_t bits_of_fits(cbp_real *out)
{
    const unsigned char chains[][2] = {{CBP_TANH, CBP_IDENTITY},
                                       {CBP_SOFTPLUS, CBP_SIGMOID},
                                       {CBP_EXP, CBP_ARCTAN},
                                       {CBP_SIN, CBP_IDENTITY}};
    const size_t lengths[] = {4, 15, 16, 17, 129, CBP_BLOCK + 1};
    size_t len = 0;
    static cbp_real targets[MANY], weights[MANY];
    for (size_t i = 0; i < MANY; i++) {
        targets[i] = R(0.5 + 0.25 * (double)many_y[i] + 0.1 * (double)many_x[i]);
        weights[i] = R(i % 4) / 2 + R(0.25);
    }
    for (size_t k = 0; k < 6; k++) {
        for (int loss = 0; loss < CBP_LOSS_END; loss++) {
            cbp_real params[] = {R(0.7), R(-0.2), R(0.9), R(0.4)};
            covariance found;
            call c =
                fit_of(chains[takes_any_target(loss) ? k % 4 : 1], 2, many_x, targets, lengths[k]);
            c.examples.weight = k % 2 ? weights : NULL;
            c.options.loss.kind = loss;
            c.options.loss.scale = R(0.125);
            c.options.max_iterations = 30;
            c.options.restarts = k == 1;
            CHECK(fit(&c, params) == CBP_OK);
            const int curvature = loss % 2 ? OBSERVED : GAUSS_NEWTON;
            CHECK(covariance_of(&c, curvature, &found) == CBP_OK);
            memcpy(out + len, params, sizeof params);
            out[len + 4] = (cbp_real)c.info.iterations;
            out[len + 5] = (cbp_real)c.info.evaluations;
            out[len + 6] = c.info.loss;
            out[len + 7] = c.info.gradient_norm;
            memcpy(out + len + 8, found.matrix, 10 * sizeof *out);
            len += 18;
        }
    }
    return len;
}

static void test_kernels(void)
{
    static cbp_real first[BITS], other[BITS];
    const char *const names[] = {"avx2", "avx512"};
    size_t len = 0, levels = 0;
    for (size_t k = 0; k < 2; k++) {
        if (cbp_kernel_choose(names[k]) == CBP_OK) {
            CHECK(bits_of_fits(levels == 0 ? first : other) <= BITS);
            len = bits_of_fits(levels == 0 ? first : other);
            CHECK(levels == 0 || same_all(first, other, len));
            levels++;
        }
    }
    /* Fits change nothing that the next one sees. */
    if (levels == 0) {
        len = bits_of_fits(first);
    }
    CHECK(bits_of_fits(other) == len && same_all(first, other, len));

    /* Those without fused multiply-add find the same, but for rounding. */
    CHECK(cbp_kernel_choose("generic") == CBP_OK);
    test_line(NULL);
    test_certified(&misra1a);
    test_corner();
    CHECK(bits_of_fits(other) == len);
    CHECK(cbp_kernel_choose(NULL) == CBP_OK);
}

/* The content of the work memory on entry does not affect a fit, nor which of two equally good
 * points is kept. */
static void test_work_memory(void)
{
    static const unsigned char activations[] = {CBP_GAUSSIAN, CBP_LOG1P}, frozen[] = {0, 1, 0, 1};
    static const cbp_real lower[] = {R(-0.5), -1, R(-0.5), R(0.5)};
    static const cbp_real x[] = {R(1.125), R(1.375), R(2.625), R(2.75)},
                          y[] = {0, R(-3.75), R(-3.5), R(1.5)};
    const cbp_real start[] = {0, 0, 0x1p-120, R(1.75)};
    const size_t len = cbp_fit_work_len(2, 2, 4);
    cbp_real *work = numbers(len), found[2][4];
    cbp_fit_info info[2];
    call c = fit_of(activations, 2, x, y, 4);
    c.chain.params = start;
    c.chain.frozen = frozen;
    c.options.lower = lower;
    c.options.loss.kind = CBP_SOFT_L1;
    c.options.max_iterations = 7;
    c.options.tolerance = R(1e-3);
    for (int i = 0; i < 2; i++) {
        memset(work, i ? 0x3f : 0, len * sizeof *work);
        CHECK(cbp_fit_lm(&c.chain, &c.examples, &c.options, work, found[i], &info[i]) == CBP_OK);
    }
    CHECK(memcmp(found[0], found[1], sizeof found[0]) == 0);
    CHECK(memcmp(&info[0].loss, &info[1].loss, sizeof info[0].loss) == 0);
    free(work);
}

/* Starts are drawn around the one given, up to twice its size away; where that is infinite, though
 * the loss is not, they are not used. */
static void test_largest_start(void)
{
    const unsigned char activations[] = {CBP_TANH, CBP_IDENTITY};
    for (unsigned seed = 0; seed < 8; seed++) {
        cbp_real params[] = {1, HUGE_REAL, 0, 0};
        call c = fit_of(activations, 2, point_x, point_y, POINTS);
        c.options.restarts = 8;
        c.options.seed = seed;
        CHECK(fit(&c, params) == CBP_OK);
        for (int k = 0; k < 4; k++) {
            CHECK(isfinite(params[k]));
        }
    }
}

/* With a small weight the weighted sum of squares is finite where their average is not. */
static void test_infinite_average(void)
{
    const unsigned char activations[] = {CBP_IDENTITY};
    const cbp_real root = R(sqrt((double)HUGE_REAL)), x[] = {0, 1, 2}, y[] = {0, 0, 0},
                   weight[] = {R(0.01), R(0.01), R(0.01)};
    cbp_real params[] = {0, 2 * root};
    call c = fit_of(activations, 1, x, y, 3);
    c.examples.weight = weight;
    CHECK(fit(&c, params) == CBP_ERROR_START_LOSS);
    CHECK(params[0] == 0 && params[1] == 2 * root);
}

int main(void)
{
    fill_points();
    add_outliers();
    fill_many();
    test_line(NULL);
    test_line(point_weight);
    test_frozen();
    test_repetitions();
    test_leading();
    test_certified(&misra1a);
    test_certified(&boxbod);
    test_bound();
    test_one_bound();
    test_idle_bounds();
    test_corner();
    test_boxes();
    test_curved_boxes();
    test_redundant();
    test_inactive_unit();
    test_extremes();
    test_kernels();
    test_work_memory();
    test_largest_start();
    test_infinite_average();
    return check_done("test_fit_lm");
}
