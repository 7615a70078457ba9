/* Covariances: what the data do not say, and when they are refused. */
#include "fit_lm_call.h"

/* ---- what the data do not say ---------------------------------------------------------------- */

static int is_open(const spread *found, size_t all, size_t k)
{
    int open = found->determined[k] == CBP_UNDETERMINED && isinf(found->covariance[k * all + k]) &&
               found->covariance[k * all + k] > 0;
    for (size_t m = 0; m < all; m++) {
        const int fixed =
            found->determined[m] == CBP_FROZEN || found->determined[m] == CBP_AT_BOUND;
        const cbp_real row = found->covariance[k * all + m],
                       column = found->covariance[m * all + k];
        open = open && (m == k || (fixed ? row == 0 && column == 0 : isnan(row) && isnan(column)));
    }
    return open;
}

/* w2 (w1 x + b1) + b2 is a line: it is found, though none of the four is told by it. */
static void test_redundant(void)
{
    cbp_real plain[] = {0, 0};
    call p = fit_of(line, 1, point_x, point_y, POINTS);
    CHECK(fit(&p, plain) == CBP_OK);
    for (int weighted = 0; weighted < 2; weighted++) {
        cbp_real params[] = {1, R(0.5), R(0.75), R(-0.5)};
        spread found;
        call c = fit_of(two_lines, 2, point_x, point_y, POINTS);
        c.weight = weighted ? point_weight : NULL;
        p.weight = c.weight;
        CHECK(fit(&p, plain) == CBP_OK);
        CHECK(fit(&c, params) == CBP_OK);
        check_minimum(&c, params);
        CHECK(near((double)c.info.loss, (double)p.info.loss, 0, 256));
        const double within = 64 * (double)c.options.tolerance + 256 * EPSILON;
        CHECK(fabs((double)(params[0] * params[2] - plain[0])) <= within);
        CHECK(fabs((double)(params[1] * params[2] + params[3] - plain[1])) <= within);
        for (int curvature = 0; curvature < CURVATURES; curvature++) {
            CHECK(covariance_of(&c, params, curvature, &found) == CBP_OK);
            for (size_t k = 0; k < 4; k++) {
                CHECK(is_open(&found, 4, k));
            }
        }

        /* Once w2 and b2 are frozen, the rest is told. */
        const unsigned char last[] = {0, 0, 1, 1};
        c.frozen = last;
        CHECK(fit(&c, params) == CBP_OK);
        check_minimum(&c, params);
        CHECK(covariance_of(&c, params, GAUSS_NEWTON, &found) == CBP_OK);
        CHECK(found.determined[0] == CBP_DETERMINED && found.determined[1] == CBP_DETERMINED);
        spread straight;
        CHECK(covariance_of(&p, plain, GAUSS_NEWTON, &straight) == CBP_OK);
        const double part = (double)(params[2] * params[2]);
        CHECK(near((double)found.covariance[0] * part, (double)straight.covariance[0], 0,
                   64 * within / EPSILON));
        CHECK(near((double)found.covariance[5] * part, (double)straight.covariance[3], 0,
                   64 * within / EPSILON));
        CHECK(near((double)found.variance, (double)straight.variance, 0, 64 * within / EPSILON));
    }
}

/* Inputs that are all 0, or a unit that is never active, make a weight say nothing. */
static void test_without_effect(void)
{
    const unsigned char dead[] = {CBP_RELU, CBP_IDENTITY};
    const cbp_real nothing[POINTS] = {0};
    double mean = 0;
    for (size_t i = 0; i < POINTS; i++) {
        mean += (double)point_y[i] / POINTS;
    }
    cbp_real params[] = {R(0.5), 0};
    spread found;
    call c = fit_of(line, 1, nothing, point_y, POINTS);
    CHECK(fit(&c, params) == CBP_OK);
    check_minimum(&c, params);
    CHECK(isfinite(params[0]) &&
          fabs((double)params[1] - mean) <= 8 * (double)c.options.tolerance + 64 * EPSILON);
    for (int curvature = 0; curvature < CURVATURES; curvature++) {
        CHECK(covariance_of(&c, params, curvature, &found) == CBP_OK);
        CHECK(is_open(&found, 2, 0));
        CHECK(found.determined[1] == CBP_DETERMINED);
        CHECK(near((double)found.covariance[3], (double)found.variance / POINTS, 0, 256));
    }

    cbp_real asleep[] = {1, -10, R(0.5), 0};
    call d = fit_of(dead, 2, point_x, point_y, POINTS);
    CHECK(fit(&d, asleep) == CBP_OK);
    check_minimum(&d, asleep);
    CHECK(fabs((double)asleep[3] - mean) <= 8 * (double)d.options.tolerance + 64 * EPSILON);
    CHECK(covariance_of(&d, asleep, GAUSS_NEWTON, &found) == CBP_OK);
    CHECK(is_open(&found, 4, 0) && is_open(&found, 4, 1) && is_open(&found, 4, 2));
    CHECK(found.determined[3] == CBP_DETERMINED && found.covariance[15] > 0);
    CHECK(near((double)found.covariance[15], (double)found.variance / POINTS, 0, 256));
}

/* As many examples as parameters are met exactly, and nothing is left to tell the variance by. */
static void test_nothing_left(void)
{
    const cbp_real x[] = {1, 3, 7}, y[] = {2, 8, 5}, one_of_three[] = {1, 1, 0};
    for (size_t n = 2; n <= 3; n++) {
        cbp_real params[] = {0, 0};
        spread found;
        call c = fit_of(line, 1, x, y, n);
        c.weight = n == 3 ? one_of_three : NULL;
        CHECK(fit(&c, params) == CBP_OK && c.info.outcome == CBP_CONVERGED);
        CHECK(near((double)params[0], 3, 0, 64) && near((double)params[1], -1, 0, 256));
        CHECK(c.info.loss <= R(4096 * EPSILON * EPSILON));
        for (int curvature = 0; curvature < CURVATURES; curvature++) {
            CHECK(covariance_of(&c, params, curvature, &found) == CBP_OK);
            CHECK(isnan(found.variance));
            CHECK(isnan(found.covariance[0]) && isnan(found.covariance[1]) &&
                  isnan(found.covariance[3]));
            CHECK(found.determined[0] == CBP_DETERMINED && found.determined[1] == CBP_DETERMINED);
        }
    }

    /* A single example and a single parameter. */
    cbp_real params[] = {0, R(-0.5)};
    spread found;
    call one = fit_of(line, 1, x + 1, y + 1, 1);
    one.frozen = only_w;
    CHECK(fit(&one, params) == CBP_OK && one.info.outcome == CBP_CONVERGED);
    CHECK(near((double)params[0], 8.5 / 3, 0, 16) && same(params[1], R(-0.5)));
    CHECK(covariance_of(&one, params, GAUSS_NEWTON, &found) == CBP_OK && isnan(found.variance));
    CHECK(isnan(found.covariance[0]) && found.covariance[3] == 0 &&
          found.determined[0] == CBP_DETERMINED);

    /* The log loss needs nothing left over; its variance is 1. */
    const cbp_real half[] = {R(0.25), R(0.75)};
    cbp_real logistic[] = {0, 0};
    call l = fit_of(neuron, 1, x, half, 2);
    l.options.loss = CBP_LOG_LOSS;
    CHECK(fit(&l, logistic) == CBP_OK && l.info.outcome == CBP_CONVERGED);
    CHECK(fabs((double)logistic[0] - log(3)) <= 64 * (double)l.options.tolerance + 64 * EPSILON);
    CHECK(covariance_of(&l, logistic, OBSERVED, &found) == CBP_OK && found.variance == 1);
    CHECK(isfinite(found.covariance[0]) && found.covariance[0] > 0);
}

/* Data that a chain can meet exactly: no residual is left, and that is convergence. */
static void test_exact(void)
{
    cbp_real y[POINTS], nothing[POINTS] = {0};
    for (size_t i = 0; i < POINTS; i++) {
        y[i] = 2 * point_x[i] - 1;
    }
    const double starts[][2] = {{0, 0}, {2, -1}, {1, 1}};
    for (size_t k = 0; k < 3; k++) {
        cbp_real params[] = {R(starts[k][0]), R(starts[k][1])};
        call c = fit_of(line, 1, point_x, y, POINTS);
        CHECK(fit(&c, params) == CBP_OK && c.info.outcome == CBP_CONVERGED &&
              c.info.iterations <= 10);
        CHECK(near((double)params[0], 2, 0, 32) && near((double)params[1], -1, 0, 32));

        cbp_real none[] = {R(starts[k][0]), R(starts[k][1])};
        call z = fit_of(line, 1, point_x, nothing, POINTS);
        CHECK(fit(&z, none) == CBP_OK && z.info.outcome == CBP_CONVERGED);
        CHECK(fabs((double)none[0]) <= 32 * EPSILON && fabs((double)none[1]) <= 32 * EPSILON);
    }
}

/* An observed curvature that bends down somewhere: far from a minimum, the Hessian is not positive
 * definite. */
static void test_no_minimum(void)
{
    const cbp_real params[] = {-3, 0, 3, 0};
    spread found;
    call c = fit_of(two_lines, 2, point_x, point_y, POINTS);
    c.frozen = weights_only;
    CHECK(covariance_of(&c, params, OBSERVED, &found) == CBP_OK);
    CHECK(is_open(&found, 4, 0) && is_open(&found, 4, 2));
    CHECK(found.determined[1] == CBP_FROZEN && found.determined[3] == CBP_FROZEN);
    CHECK(found.covariance[5] == 0 && found.covariance[7] == 0 && found.covariance[15] == 0);
}

/* ---- refusals -------------------------------------------------------------------------------- */

/* They are refused as the averages are, and what was refused has left no trace. */
static void test_refused(void)
{
    const cbp_real negative[] = {-1, 1}, huge[] = {HUGE_REAL, HUGE_REAL}, identity[] = {1, 0, 0, 1};
    const unsigned char unknown[] = {CBP_ACTIVATION_END};
    const call c = fit_of(line, 1, ones, zeros, 2);
    spread found;
#define REFUSED(status, curvature, change)                                                  \
    do {                                                                                    \
        call t = c;                                                                         \
        change;                                                                             \
        CHECK(covariance_by(&t, fine, (curvature) == OBSERVED ? identity : NULL, &found) == \
              status);                                                                      \
        CHECK(is_untouched_spread(&found));                                                 \
    } while (0)
    for (int k = 0; k < CURVATURES; k++) {
        REFUSED(CBP_ERROR_NULL, k, t.activations = NULL);
        REFUSED(CBP_ERROR_NULL, k, t.x = NULL);
        REFUSED(CBP_ERROR_NULL, k, t.y = NULL);
        REFUSED(CBP_ERROR_ACTIVATION, k, t.activations = unknown);
        REFUSED(CBP_ERROR_EMPTY, k, t.n = 0);
        REFUSED(CBP_ERROR_LOSS, k, t.options.loss = CBP_LOSS_END);
        REFUSED(CBP_ERROR_SCALE, k, (t.options.loss = CBP_CAUCHY, t.options.scale = -1));
        REFUSED(CBP_ERROR_NO_SIGMOID, k, t.options.loss = CBP_LOG_LOSS);
        REFUSED(CBP_ERROR_TARGET, k,
                (t.activations = neuron, t.options.loss = CBP_LOG_LOSS, t.y = negative));
        REFUSED(CBP_ERROR_WEIGHT, k, t.weight = negative);
        REFUSED(CBP_ERROR_WEIGHT, k, t.weight = zeros);
        REFUSED(CBP_ERROR_WEIGHT, k, t.weight = huge);
    }
#undef REFUSED

    cbp_real *work = numbers(cbp_fit_work_len(1, 2, POINTS));
    found = untouched_spread();
#define ASK(params, work, variance, covariance, determined)                               \
    cbp_fit_covariance(params, line, NULL, NULL, NULL, point_x, point_y, NULL, 1, POINTS, \
                       CBP_SQUARED, 1, NULL, work, variance, covariance, determined)
    CHECK(ASK(NULL, work, &found.variance, found.covariance, found.determined) == CBP_ERROR_NULL);
    CHECK(ASK(fine, NULL, &found.variance, found.covariance, found.determined) == CBP_ERROR_NULL);
    CHECK(ASK(fine, work, NULL, found.covariance, found.determined) == CBP_ERROR_NULL);
    CHECK(ASK(fine, work, &found.variance, NULL, found.determined) == CBP_ERROR_NULL);
    CHECK(ASK(fine, work, &found.variance, found.covariance, NULL) == CBP_ERROR_NULL);
    CHECK(is_untouched_spread(&found));
    CHECK(ASK(fine, work, &found.variance, found.covariance, found.determined) == CBP_OK);
#undef ASK
    free(work);
}

static void test_refused_nodes(void)
{
    const unsigned char unknown[] = {CBP_ACTIVATION_END};
    /* R'R of the first two columns is [1 0; 0 1], the residuals' squares are 1, and 5 - 2 is left
     * over */
    const cbp_real node[17] = {1, 0, 0, 0, 1, 0, 0, 0, 1, 5, 1, 5, 1};
    const cbp_fit_chain good = {line, NULL, NULL, NULL, 1}, none = {line, NULL, NULL, NULL, 0};
    const cbp_fit_chain null = {NULL, NULL, NULL, NULL, 1}, odd = {unknown, NULL, NULL, NULL, 1};
    cbp_real *work = numbers(cbp_fit_work_len(1, 2, 0)), light[17], heavy[17], parts[17];
    spread found = untouched_spread();
    const cbp_fit_spread out = {&found.variance, found.covariance, found.determined};
    memcpy(light, node, sizeof node);
    memcpy(heavy, node, sizeof node);
    light[9] = CBP_LEAST_WEIGHT / 2;
    heavy[9] = R(INFINITY);
#define ASK(chain, params, loss, node, work, out) \
    cbp_fit_node_covariance(chain, params, loss, node, NULL, work, out)
    CHECK(ASK(NULL, fine, CBP_SQUARED, node, work, &out) == CBP_ERROR_NULL);
    CHECK(ASK(&null, fine, CBP_SQUARED, node, work, &out) == CBP_ERROR_NULL);
    CHECK(ASK(&good, NULL, CBP_SQUARED, node, work, &out) == CBP_ERROR_NULL);
    CHECK(ASK(&good, fine, CBP_SQUARED, NULL, work, &out) == CBP_ERROR_NULL);
    CHECK(ASK(&good, fine, CBP_SQUARED, node, NULL, &out) == CBP_ERROR_NULL);
    CHECK(ASK(&good, fine, CBP_SQUARED, node, work, NULL) == CBP_ERROR_NULL);
    for (int k = 0; k < 3; k++) {
        const cbp_fit_spread lacking = {k == 0 ? NULL : out.variance,
                                        k == 1 ? NULL : out.covariance,
                                        k == 2 ? NULL : out.determined};
        CHECK(ASK(&good, fine, CBP_SQUARED, node, work, &lacking) == CBP_ERROR_NULL);
    }
    CHECK(ASK(&none, fine, CBP_SQUARED, node, work, &out) == CBP_ERROR_LAYERS);
    CHECK(ASK(&odd, fine, CBP_SQUARED, node, work, &out) == CBP_ERROR_ACTIVATION);
    CHECK(ASK(&good, fine, -1, node, work, &out) == CBP_ERROR_LOSS);
    CHECK(ASK(&good, fine, CBP_LOSS_END, node, work, &out) == CBP_ERROR_LOSS);
    CHECK(ASK(&good, fine, CBP_LOG_LOSS, node, work, &out) == CBP_ERROR_NO_SIGMOID);
    CHECK(ASK(&good, fine, CBP_SQUARED, light, work, &out) == CBP_ERROR_WEIGHT);
    CHECK(ASK(&good, fine, CBP_SQUARED, heavy, work, &out) == CBP_ERROR_WEIGHT);
    CHECK(is_untouched_spread(&found));

    CHECK(ASK(&good, fine, CBP_SQUARED, node, work, &out) == CBP_OK &&
          same(found.variance, R(1) / 3));
    CHECK(same(found.covariance[0], R(1) / 3) && found.covariance[1] == 0 &&
          same(found.covariance[3], R(1) / 3));

    /* compensations count */
    const spread whole = found;
    memcpy(parts, node, sizeof node);
    parts[9] = 2;
    parts[11] = parts[13] = 3;
    parts[15] = 2;
    CHECK(ASK(&good, fine, CBP_SQUARED, parts, work, &out) == CBP_OK);
    CHECK(same(found.variance, whole.variance) && same_all(found.covariance, whole.covariance, 4));
#undef ASK
    free(work);
}

int main(void)
{
    fill_points();
    add_outliers();
    test_redundant();
    test_without_effect();
    test_nothing_left();
    test_exact();
    test_no_minimum();
    test_refused();
    test_refused_nodes();
    return check_done("test_covariance");
}
