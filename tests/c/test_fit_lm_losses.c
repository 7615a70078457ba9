/* Levenberg-Marquardt under every loss. */
#include "fit_lm_call.h"

/* A loss over r^2 for small r: E'/(2 r), which is the weight of a reweighting, and E''/2. */
static double reweight(int loss, double r, double s)
{
    const double u = r / s;
    return loss == CBP_HUBER     ? fabs(r) <= s ? 1 : s / fabs(r)
           : loss == CBP_SOFT_L1 ? 1 / sqrt(1 + u * u)
           : loss == CBP_CAUCHY  ? 1 / (1 + u * u)
                                 : 1;
}

static double curvature_of(int loss, double r, double s)
{
    const double u = r / s;
    return loss == CBP_HUBER     ? fabs(r) <= s
           : loss == CBP_SOFT_L1 ? pow(1 + u * u, -1.5)
           : loss == CBP_CAUCHY  ? (1 - u * u) / ((1 + u * u) * (1 + u * u))
                                 : 1;
}

/* Robust losses converge where the reweighted residuals are at right angles to 1 and x, and their
 * covariances are those of the last reweighting or of the second derivatives. */
static void test_robust(int loss, double scale, const cbp_real *weight)
{
    double weights[POINTS], again[POINTS], curved[POINTS], expected[4];
    double squares = 0, examples = 0, pulls[2] = {0}, sizes[2] = {0};
    cbp_real params[] = {0, 0};
    covariance found;
    call c = fit_of(line, 1, point_x, point_y, POINTS);
    c.examples.weight = weight;
    c.options.loss.kind = loss;
    c.options.loss.scale = R(scale);
    CHECK(fit(&c, params) == CBP_OK);
    check_minimum(&c);
    weights_of(weight, weights);
    for (size_t i = 0; i < POINTS; i++) {
        const double x = (double)point_x[i],
                     r = (double)params[0] * x + (double)params[1] - (double)point_y[i];
        again[i] = weights[i] * reweight(loss, r, scale);
        curved[i] = weights[i] * curvature_of(loss, r, scale);
        squares += again[i] * r * r;
        examples += weights[i] > 0;
        pulls[0] += again[i] * r * x;
        pulls[1] += again[i] * r;
        sizes[0] += fabs(again[i] * r * x);
        sizes[1] += fabs(again[i] * r);
    }
    for (int k = 0; k < 2; k++) {
        CHECK(fabs(pulls[k]) <= (8 * (double)c.options.tolerance + 512 * EPSILON) * sizes[k]);
    }
    const double variance = squares / (examples - 2);
    for (int curvature = 0; curvature < CURVATURES; curvature++) {
        invert(curvature == GAUSS_NEWTON ? again : curved, variance, expected);
        CHECK(covariance_of(&c, curvature, &found) == CBP_OK);
        CHECK(near((double)found.variance, variance, 0, 1024));
        CHECK(near_all(found.matrix, expected, 4, 4096));
    }

    /* With a scale far above all residuals it is least squares; a parabola, to (r/s)^2. */
    cbp_real wide[] = {0, 0}, plain[] = {0, 0};
    c.options.loss.scale = R(1e6);
    CHECK(fit(&c, wide) == CBP_OK);
    c.options.loss.kind = CBP_SQUARED;
    CHECK(fit(&c, plain) == CBP_OK);
    CHECK(fabs((double)(wide[0] - plain[0])) <= 16 * (double)c.options.tolerance + 1e-10);
    CHECK(fabs((double)(wide[1] - plain[1])) <= 16 * (double)c.options.tolerance + 1e-10);
}

/* One neuron and the log loss: Newton's method, whose Hessian is Fisher's here. */
static void test_log_loss(const cbp_real *weight)
{
    double weights[POINTS], curved[POINTS], expected[4], w = 0, b = 0, loss = 0;
    weights_of(weight, weights);
    for (int i = 0; i < 30; i++) {
        double slope_w = 0, slope_b = 0;
        loss = 0;
        for (size_t k = 0; k < POINTS; k++) {
            const double x = (double)point_x[k], y = (double)point_label[k],
                         p = 1 / (1 + exp(-w * x - b));
            curved[k] = weights[k] * p * (1 - p);
            slope_w += weights[k] * (p - y) * x;
            slope_b += weights[k] * (p - y);
            loss -= weights[k] * (y * log(p) + (1 - y) * log(1 - p));
        }
        invert(curved, 1, expected);
        w -= expected[0] * slope_w + expected[1] * slope_b;
        b -= expected[2] * slope_w + expected[3] * slope_b;
    }
    const double starts[][2] = {{0, 0}, {5, -3}, {-20, 10}};
    for (size_t k = 0; k < sizeof starts / sizeof *starts; k++) {
        cbp_real params[] = {R(starts[k][0]), R(starts[k][1])};
        call c = fit_of(neuron, 1, point_x, point_label, POINTS);
        c.examples.weight = weight;
        c.options.loss.kind = CBP_LOG_LOSS;
        CHECK(fit(&c, params) == CBP_OK);
        check_minimum(&c);
        CHECK(fabs((double)params[0] - w) <= 64 * (double)c.options.tolerance + 256 * EPSILON);
        CHECK(fabs((double)params[1] - b) <= 64 * (double)c.options.tolerance + 256 * EPSILON);
        CHECK(near((double)c.info.loss * sums_of(weights).one, loss, 0, 256));
        for (int curvature = 0; curvature < CURVATURES; curvature++) {
            covariance found;
            const double part = 64 * (double)c.options.tolerance + 512 * EPSILON;
            CHECK(covariance_of(&c, curvature, &found) == CBP_OK);
            CHECK(found.variance == 1);
            CHECK(near_all(found.matrix, expected, 4, part / EPSILON));
        }
    }
}

/* Counts by their logarithm's line or by a line, as Fisher's scoring finds them; covariances by
 * Fisher's matrix and by the second derivatives. */
static void test_poisson(unsigned char activation, const cbp_real *weight)
{
    const double tolerance = sizeof(cbp_real) == sizeof(float) ? 1e-5 : 1e-10;
    double weights[POINTS], fisher[POINTS], curved[POINTS], expected[4];
    double w = 0, b = activation == CBP_EXP ? 0 : 4, loss = 0;
    cbp_real counts[POINTS];
    weights_of(weight, weights);
    for (size_t k = 0; k < POINTS; k++) {
        counts[k] = R(floor(4 + 2 * (double)point_x[k] + 2 * sin(40 * (double)k)));
        CHECK(counts[k] >= 0);
    }
    for (int i = 0; i < 200; i++) {
        double slope_w = 0, slope_b = 0;
        loss = 0;
        for (size_t k = 0; k < POINTS; k++) {
            const double x = (double)point_x[k], y = (double)counts[k], z = w * x + b;
            const double a = activation == CBP_EXP ? exp(z) : z,
                         slope = activation == CBP_EXP ? a : 1;
            fisher[k] = weights[k] * slope * slope / a;
            curved[k] = activation == CBP_EXP ? weights[k] * a : weights[k] * y / (a * a);
            slope_w += weights[k] * (1 - y / a) * slope * x;
            slope_b += weights[k] * (1 - y / a) * slope;
            loss += weights[k] * 2 * ((y > 0 ? y * log(y / a) : 0) - (y - a));
        }
        invert(fisher, 1, expected);
        w -= expected[0] * slope_w + expected[1] * slope_b;
        b -= expected[2] * slope_w + expected[3] * slope_b;
    }
    const unsigned char activations[] = {activation};
    const double starts[][2] = {{0, 1}, {0.1, 3}, {-0.5, 2}};
    for (size_t k = 0; k < sizeof starts / sizeof *starts; k++) {
        cbp_real params[] = {R(starts[k][0]), R(starts[k][1])};
        call c = fit_of(activations, 1, point_x, counts, POINTS);
        c.examples.weight = weight;
        c.options.loss.kind = CBP_POISSON;
        CHECK(fit(&c, params) == CBP_OK && c.info.outcome == CBP_CONVERGED);
        check_minimum(&c);
        CHECK(fabs((double)params[0] - w) <= 512 * tolerance + 256 * EPSILON);
        CHECK(fabs((double)params[1] - b) <= 512 * tolerance + 256 * EPSILON);
        CHECK(near((double)c.info.loss * sums_of(weights).one, loss, 0, 256));
        for (int curvature = 0; curvature < CURVATURES; curvature++) {
            covariance found;
            invert(curvature == GAUSS_NEWTON ? fisher : curved, 1, expected);
            CHECK(covariance_of(&c, curvature, &found) == CBP_OK);
            CHECK(found.variance == 1);
            CHECK(near_all(found.matrix, expected, 4, 512 * tolerance / EPSILON + 512));
        }
    }
}

/* Where an output is not above 0 there is no deviance: a start there is refused, and a step is not
 * made. */
static void test_poisson_domain(void)
{
    const cbp_real x[] = {1, 2, 3, 4}, y[] = {1, 1, 4, 5};
    cbp_real params[] = {1, -1};
    call c = fit_of(line, 1, x, y, 4);
    c.options.loss.kind = CBP_POISSON;
    CHECK(fit(&c, params) == CBP_ERROR_START_LOSS && params[0] == 1 && params[1] == -1);
    params[1] = 100;
    params[0] = -20;
    CHECK(fit(&c, params) == CBP_OK && c.info.outcome == CBP_CONVERGED);
    for (int i = 0; i < 4; i++) {
        CHECK(params[0] * x[i] + params[1] > 0);
    }
}

/* Labels that a threshold separates: the loss decreases towards 0 as the slope grows without limit.
 * The fit ends all the same. */
static void test_separable(void)
{
    cbp_real labels[POINTS], params[] = {1, 0};
    for (size_t i = 0; i < POINTS; i++) {
        labels[i] = point_x[i] > 0;
    }
    call c = fit_of(neuron, 1, point_x, labels, POINTS);
    c.options.loss.kind = CBP_LOG_LOSS;
    CHECK(fit(&c, params) == CBP_OK &&
          (c.info.outcome == CBP_CONVERGED || c.info.outcome == CBP_EXHAUSTED));
    CHECK(isfinite(params[0]) && isfinite(params[1]) && params[0] > 10);
    CHECK(c.info.loss >= 0 && c.info.loss < R(1e-3));
}

/* Chains of two layers, under every loss: the gradient is about 0 where a fit says that it has
 * converged. */
static void test_stationary(void)
{
    const unsigned char chains[][2] = {{CBP_TANH, CBP_IDENTITY},
                                       {CBP_TANH, CBP_SIGMOID},
                                       {CBP_SIGMOID, CBP_IDENTITY},
                                       {CBP_ARCTAN, CBP_SIGMOID}};
    int converged = 0, fits = 0;
    for (size_t k = 0; k < sizeof chains / sizeof *chains; k++) {
        for (int loss = 0; loss < CBP_LOSS_END; loss++) {
            if (!takes_any_target(loss) && chains[k][1] != CBP_SIGMOID) {
                continue;
            }
            for (int weighted = 0; weighted < 2; weighted++) {
                cbp_real params[] = {1, R(0.25), R(0.75), R(-0.25)};
                cbp_real targets[POINTS];
                for (size_t i = 0; i < POINTS; i++) {
                    const double t = (double)point_x[i];
                    targets[i] = R(0.5 + 0.3 * tanh(3 * t + 0.5) + 0.1 * sin(40 * t));
                }
                call c = fit_of(chains[k], 2, point_x, targets, POINTS);
                c.examples.weight = weighted ? point_weight : NULL;
                c.options.loss.kind = loss;
                c.options.loss.scale = R(0.125);
                CHECK(fit(&c, params) == CBP_OK);
                check_info(&c);
                if (c.info.outcome == CBP_CONVERGED) {
                    check_valley(&c);
                    converged++;
                }
                fits++;
            }
        }
    }
    CHECK(fits == 52 && converged >= 46);
}

/* Units of measurement do not matter: powers of 2 in x, y and the start change nothing but the
 * exponents. */
static void test_units(void)
{
    const int far = sizeof(cbp_real) == 4 ? 20 : 200;
    cbp_real x[POINTS], y[POINTS];
    for (int loss = 0; loss < CBP_LOSS_END; loss++) {
        if (!takes_any_target(loss)) {
            continue;
        }
        cbp_real first[2] = {0};
        size_t iterations = 0;
        for (int k = 0; k < 5; k++) {
            const int by_x = k == 1   ? far
                             : k == 2 ? -far
                                      : 0,
                      by_y = k == 3   ? far
                             : k == 4 ? -far
                                      : 0;
            for (size_t i = 0; i < POINTS; i++) {
                x[i] = R(ldexp((double)point_x[i], by_x));
                y[i] = R(ldexp((double)point_y[i], by_y));
            }
            cbp_real params[] = {R(ldexp(0.5, by_y - by_x)), R(ldexp(-0.25, by_y))};
            call c = fit_of(line, 1, x, y, POINTS);
            c.options.loss.kind = loss;
            c.options.loss.scale = R(ldexp(0.25, by_y));
            CHECK(fit(&c, params) == CBP_OK && c.info.outcome == CBP_CONVERGED);
            params[0] = R(ldexp((double)params[0], by_x - by_y));
            params[1] = R(ldexp((double)params[1], -by_y));
            memcpy(first, k ? first : params, sizeof first);
            iterations = k ? iterations : c.info.iterations;
            CHECK(same_all(params, first, 2) && c.info.iterations == iterations);
        }
    }
}

/* A target that is far off, even one whose square is infinite, leaves the fit of the others as it
 * is: to the part of the gradient that it still has, s^2/y over the sum of the others' weights,
 * which is some units. */
static void test_far_outlier(void)
{
    const double far[] = {1e6, 1e9, 1e15, 1e30, 1e200};
    const size_t count = sizeof(cbp_real) == sizeof(float) ? 4 : 5;
    cbp_real y[POINTS], without[] = {0, 0};
    memcpy(y, point_y, sizeof y);
    call c = fit_of(line, 1, point_x, y, POINTS - 1);
    c.options.loss.kind = CBP_CAUCHY;
    CHECK(fit(&c, without) == CBP_OK && c.info.outcome == CBP_CONVERGED);
    c.examples.n = POINTS;
    for (size_t i = 0; i < count; i++) {
        cbp_real params[] = {0, 0};
        covariance found;
        y[POINTS - 1] = R(far[i]);
        CHECK(fit(&c, params) == CBP_OK && c.info.outcome == CBP_CONVERGED);
        CHECK(near_all(params, (double[]){(double)without[0], (double)without[1]}, 2,
                       4 / far[i] / EPSILON + 4096));
        CHECK(covariance_of(&c, GAUSS_NEWTON, &found) == CBP_OK &&
              found.determined[0] == CBP_DETERMINED);
    }
}

/* An example of weight 0 does not count, however far off it is. */
static void test_weight_zero(int loss)
{
    cbp_real y[POINTS], weight[POINTS], without[] = {0, 0}, params[] = {0, 0};
    for (size_t i = 0; i < POINTS; i++) {
        y[i] = i < POINTS - 1 ? point_y[i] : HUGE_REAL;
        weight[i] = i < POINTS - 1;
    }
    call c = fit_of(line, 1, point_x, y, POINTS);
    covariance found, whole;
    c.examples.weight = weight;
    c.options.loss.kind = loss;
    CHECK(fit(&c, params) == CBP_OK && c.info.outcome == CBP_CONVERGED);
    CHECK(covariance_of(&c, GAUSS_NEWTON, &found) == CBP_OK);
    const cbp_real value = c.info.loss;
    c.examples.n--;
    CHECK(fit(&c, without) == CBP_OK && near((double)value, (double)c.info.loss, 0, 64));
    CHECK(near_all(params, (double[]){(double)without[0], (double)without[1]}, 2, 1024));
    CHECK(covariance_of(&c, GAUSS_NEWTON, &whole) == CBP_OK);
    CHECK(near((double)found.variance, (double)whole.variance, 0, 1024));
}

int main(void)
{
    fill_points();
    add_outliers();
    for (int weighted = 0; weighted < 2; weighted++) {
        const cbp_real *weight = weighted ? point_weight : NULL;
        test_log_loss(weight);
        test_poisson(CBP_EXP, weight);
        test_poisson(CBP_IDENTITY, weight);
        for (int loss = 0; loss < CBP_LOSS_END; loss++) {
            if (takes_any_target(loss)) {
                test_robust(loss, 0.125, weight);
                test_robust(loss, 1, weight);
                test_weight_zero(loss);
            }
        }
    }
    test_poisson_domain();
    test_separable();
    test_stationary();
    test_units();
    test_far_outlier();
    return check_done("test_fit_lm_losses");
}
