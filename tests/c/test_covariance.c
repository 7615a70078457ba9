/* Covariances: which parameters the data determine, and what is refused. */
#include "fit_lm_call.h"

/* ---- what the data do not say ---------------------------------------------------------------- */

static int is_open(const covariance *found, size_t all, size_t k)
{
    int open = found->determined[k] == CBP_UNDETERMINED && isinf(found->matrix[k * all + k]) &&
               found->matrix[k * all + k] > 0;
    for (size_t m = 0; m < all; m++) {
        const int fixed =
            found->determined[m] == CBP_FROZEN || found->determined[m] == CBP_AT_BOUND;
        const cbp_real row = found->matrix[k * all + m], column = found->matrix[m * all + k];
        open = open && (m == k || (fixed ? row == 0 && column == 0 : isnan(row) && isnan(column)));
    }
    return open;
}

/* w2 (w1 x + b1) + b2 is a line: it is found, though it determines none of the four. */
static void test_redundant(void)
{
    cbp_real plain[] = {0, 0};
    call p = fit_of(line, 1, point_x, point_y, POINTS);
    CHECK(fit(&p, plain) == CBP_OK);
    for (int weighted = 0; weighted < 2; weighted++) {
        cbp_real params[] = {1, R(0.5), R(0.75), R(-0.5)};
        covariance found;
        call c = fit_of(two_lines, 2, point_x, point_y, POINTS);
        c.examples.weight = weighted ? point_weight : NULL;
        p.examples.weight = c.examples.weight;
        CHECK(fit(&p, plain) == CBP_OK);
        CHECK(fit(&c, params) == CBP_OK);
        check_minimum(&c);
        CHECK(near((double)c.info.loss, (double)p.info.loss, 0, 256));
        const double within = 64 * (double)c.options.tolerance + 256 * EPSILON;
        CHECK(fabs((double)(params[0] * params[2] - plain[0])) <= within);
        CHECK(fabs((double)(params[1] * params[2] + params[3] - plain[1])) <= within);
        for (int curvature = 0; curvature < CURVATURES; curvature++) {
            CHECK(covariance_of(&c, curvature, &found) == CBP_OK);
            for (size_t k = 0; k < 4; k++) {
                CHECK(is_open(&found, 4, k));
            }
        }

        /* Once w2 and b2 are frozen, the others are determined. */
        const unsigned char last[] = {0, 0, 1, 1};
        c.chain.frozen = last;
        CHECK(fit(&c, params) == CBP_OK);
        check_minimum(&c);
        CHECK(covariance_of(&c, GAUSS_NEWTON, &found) == CBP_OK);
        CHECK(found.determined[0] == CBP_DETERMINED && found.determined[1] == CBP_DETERMINED);
        covariance straight;
        CHECK(covariance_of(&p, GAUSS_NEWTON, &straight) == CBP_OK);
        const double part = (double)(params[2] * params[2]);
        CHECK(near((double)found.matrix[0] * part, (double)straight.matrix[0], 0,
                   64 * within / EPSILON));
        CHECK(near((double)found.matrix[5] * part, (double)straight.matrix[3], 0,
                   64 * within / EPSILON));
        CHECK(near((double)found.variance, (double)straight.variance, 0, 64 * within / EPSILON));
    }
}

/* Inputs that are all 0, or a unit that is never active, leave a weight undetermined. */
static void test_without_effect(void)
{
    const unsigned char dead[] = {CBP_RELU, CBP_IDENTITY};
    const cbp_real nothing[POINTS] = {0};
    double mean = 0;
    for (size_t i = 0; i < POINTS; i++) {
        mean += (double)point_y[i] / POINTS;
    }
    cbp_real params[] = {R(0.5), 0};
    covariance found;
    call c = fit_of(line, 1, nothing, point_y, POINTS);
    CHECK(fit(&c, params) == CBP_OK);
    check_minimum(&c);
    CHECK(isfinite(params[0]) &&
          fabs((double)params[1] - mean) <= 8 * (double)c.options.tolerance + 64 * EPSILON);
    for (int curvature = 0; curvature < CURVATURES; curvature++) {
        CHECK(covariance_of(&c, curvature, &found) == CBP_OK);
        CHECK(is_open(&found, 2, 0));
        CHECK(found.determined[1] == CBP_DETERMINED);
        CHECK(near((double)found.matrix[3], (double)found.variance / POINTS, 0, 256));
    }

    cbp_real asleep[] = {1, -10, R(0.5), 0};
    call d = fit_of(dead, 2, point_x, point_y, POINTS);
    CHECK(fit(&d, asleep) == CBP_OK);
    check_minimum(&d);
    CHECK(fabs((double)asleep[3] - mean) <= 8 * (double)d.options.tolerance + 64 * EPSILON);
    CHECK(covariance_of(&d, GAUSS_NEWTON, &found) == CBP_OK);
    CHECK(is_open(&found, 4, 0) && is_open(&found, 4, 1) && is_open(&found, 4, 2));
    CHECK(found.determined[3] == CBP_DETERMINED && found.matrix[15] > 0);
    CHECK(near((double)found.matrix[15], (double)found.variance / POINTS, 0, 256));
}

/* As many examples as parameters are fitted exactly, without degrees of freedom for a variance. */
static void test_no_degrees_of_freedom(void)
{
    const cbp_real x[] = {1, 3, 7}, y[] = {2, 8, 5}, one_of_three[] = {1, 1, 0};
    for (size_t n = 2; n <= 3; n++) {
        cbp_real params[] = {0, 0};
        covariance found;
        call c = fit_of(line, 1, x, y, n);
        c.examples.weight = n == 3 ? one_of_three : NULL;
        CHECK(fit(&c, params) == CBP_OK && c.info.outcome == CBP_CONVERGED);
        CHECK(near((double)params[0], 3, 0, 64) && near((double)params[1], -1, 0, 256));
        CHECK(c.info.loss <= R(4096 * EPSILON * EPSILON));
        for (int curvature = 0; curvature < CURVATURES; curvature++) {
            CHECK(covariance_of(&c, curvature, &found) == CBP_OK);
            CHECK(isnan(found.variance));
            CHECK(isnan(found.matrix[0]) && isnan(found.matrix[1]) && isnan(found.matrix[3]));
            CHECK(found.determined[0] == CBP_DETERMINED && found.determined[1] == CBP_DETERMINED);
        }
    }

    /* A single example and a single parameter. */
    cbp_real params[] = {0, R(-0.5)};
    covariance found;
    call one = fit_of(line, 1, x + 1, y + 1, 1);
    one.chain.frozen = only_w;
    CHECK(fit(&one, params) == CBP_OK && one.info.outcome == CBP_CONVERGED);
    CHECK(near((double)params[0], 8.5 / 3, 0, 16) && same(params[1], R(-0.5)));
    CHECK(covariance_of(&one, GAUSS_NEWTON, &found) == CBP_OK && isnan(found.variance));
    CHECK(isnan(found.matrix[0]) && found.matrix[3] == 0 && found.determined[0] == CBP_DETERMINED);

    /* The log loss needs no degrees of freedom; its variance is 1. */
    const cbp_real half[] = {R(0.25), R(0.75)};
    cbp_real logistic[] = {0, 0};
    call l = fit_of(neuron, 1, x, half, 2);
    l.options.loss.kind = CBP_LOG_LOSS;
    CHECK(fit(&l, logistic) == CBP_OK && l.info.outcome == CBP_CONVERGED);
    CHECK(fabs((double)logistic[0] - log(3)) <= 64 * (double)l.options.tolerance + 64 * EPSILON);
    CHECK(covariance_of(&l, OBSERVED, &found) == CBP_OK && found.variance == 1);
    CHECK(isfinite(found.matrix[0]) && found.matrix[0] > 0);
}

/* Data that a chain can fit exactly: all residuals are 0, and that is convergence. */
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

/* An observed curvature that is negative in some direction: far from a minimum, the Hessian is not
 * positive definite. */
static void test_no_minimum(void)
{
    const cbp_real params[] = {-3, 0, 3, 0};
    covariance found;
    call c = fit_of(two_lines, 2, point_x, point_y, POINTS);
    c.chain.params = params;
    c.chain.frozen = weights_only;
    CHECK(covariance_of(&c, OBSERVED, &found) == CBP_OK);
    CHECK(is_open(&found, 4, 0) && is_open(&found, 4, 2));
    CHECK(found.determined[1] == CBP_FROZEN && found.determined[3] == CBP_FROZEN);
    CHECK(found.matrix[5] == 0 && found.matrix[7] == 0 && found.matrix[15] == 0);
}

/* ---- refusals -------------------------------------------------------------------------------- */

/* Arguments are refused as by the averages, and a call that fails writes nothing. */
static void test_refused(void)
{
    const cbp_real negative[] = {-1, 1}, huge[] = {HUGE_REAL, HUGE_REAL}, identity[] = {1, 0, 0, 1};
    const unsigned char unknown[] = {CBP_ACTIVATION_END};
    call c = fit_of(line, 1, ones, zeros, 2);
    c.chain.params = fine;
    covariance found;
#define REFUSED(status, curvature, change)                                                     \
    do {                                                                                       \
        call t = c;                                                                            \
        change;                                                                                \
        CHECK(covariance_by(&t, (curvature) == OBSERVED ? identity : NULL, &found) == status); \
        CHECK(is_untouched(&found));                                                           \
    } while (0)
    for (int k = 0; k < CURVATURES; k++) {
        REFUSED(CBP_ERROR_NULL, k, t.chain.params = NULL);
        REFUSED(CBP_ERROR_NULL, k, t.chain.activations = NULL);
        REFUSED(CBP_ERROR_NULL, k, t.examples.x = NULL);
        REFUSED(CBP_ERROR_NULL, k, t.examples.y = NULL);
        REFUSED(CBP_ERROR_ACTIVATION, k, t.chain.activations = unknown);
        REFUSED(CBP_ERROR_EMPTY, k, t.examples.n = 0);
        REFUSED(CBP_ERROR_LOSS, k, t.options.loss.kind = CBP_LOSS_END);
        REFUSED(CBP_ERROR_SCALE, k, (t.options.loss.kind = CBP_CAUCHY, t.options.loss.scale = -1));
        REFUSED(CBP_ERROR_NO_SIGMOID, k, t.options.loss.kind = CBP_LOG_LOSS);
        REFUSED(CBP_ERROR_TARGET, k,
                (t.chain.activations = neuron, t.options.loss.kind = CBP_LOG_LOSS,
                 t.examples.y = negative));
        REFUSED(CBP_ERROR_WEIGHT, k, t.examples.weight = negative);
        REFUSED(CBP_ERROR_WEIGHT, k, t.examples.weight = zeros);
        REFUSED(CBP_ERROR_WEIGHT, k, t.examples.weight = huge);
    }
#undef REFUSED

    /* What is null is refused, every field of what is to be written, too. */
    cbp_real *work = numbers(cbp_fit_work_len(1, 2, 2));
    found = untouched_covariance();
    const cbp_covariance out = {&found.variance, found.matrix, found.determined};
    const cbp_covariance lacking[] = {{NULL, out.matrix, out.determined},
                                      {out.variance, NULL, out.determined},
                                      {out.variance, out.matrix, NULL}};
#define ASK(chain, examples, options, work, out) \
    cbp_fit_covariance(chain, examples, options, NULL, work, out)
    CHECK(ASK(NULL, &c.examples, &c.options, work, &out) == CBP_ERROR_NULL);
    CHECK(ASK(&c.chain, NULL, &c.options, work, &out) == CBP_ERROR_NULL);
    CHECK(ASK(&c.chain, &c.examples, NULL, work, &out) == CBP_ERROR_NULL);
    CHECK(ASK(&c.chain, &c.examples, &c.options, NULL, &out) == CBP_ERROR_NULL);
    CHECK(ASK(&c.chain, &c.examples, &c.options, work, NULL) == CBP_ERROR_NULL);
    for (int k = 0; k < 3; k++) {
        CHECK(ASK(&c.chain, &c.examples, &c.options, work, &lacking[k]) == CBP_ERROR_NULL);
    }
    CHECK(is_untouched(&found));
    CHECK(ASK(&c.chain, &c.examples, &c.options, work, &out) == CBP_OK);
#undef ASK
    free(work);
}

static void test_refused_nodes(void)
{
    const unsigned char unknown[] = {CBP_ACTIVATION_END};
    /* R'R of the first two columns is [1 0; 0 1], the residuals' squares are 1, and 5 - 2 are the
     * degrees of freedom */
    const cbp_real node[17] = {1, 0, 0, 0, 1, 0, 0, 0, 1, 5, 1, 5, 1};
    cbp_real *work = numbers(cbp_fit_work_len(1, 2, 0)), light[17], heavy[17], parts[17];
    call c = fit_of(line, 1, NULL, NULL, 0);
    covariance found = untouched_covariance();
    const cbp_covariance out = {&found.variance, found.matrix, found.determined};
    const cbp_covariance lacking[] = {{NULL, out.matrix, out.determined},
                                      {out.variance, NULL, out.determined},
                                      {out.variance, out.matrix, NULL}};
    c.chain.params = fine;
    memcpy(light, node, sizeof node);
    memcpy(heavy, node, sizeof node);
    light[9] = CBP_LEAST_WEIGHT / 2;
    heavy[9] = R(INFINITY);
#define ASK(chain, options, node, work, out) \
    cbp_fit_node_covariance(chain, options, node, NULL, work, out)
    CHECK(ASK(NULL, &c.options, node, work, &out) == CBP_ERROR_NULL);
    CHECK(ASK(&c.chain, NULL, node, work, &out) == CBP_ERROR_NULL);
    CHECK(ASK(&c.chain, &c.options, NULL, work, &out) == CBP_ERROR_NULL);
    CHECK(ASK(&c.chain, &c.options, node, NULL, &out) == CBP_ERROR_NULL);
    CHECK(ASK(&c.chain, &c.options, node, work, NULL) == CBP_ERROR_NULL);
    for (int k = 0; k < 3; k++) {
        CHECK(ASK(&c.chain, &c.options, node, work, &lacking[k]) == CBP_ERROR_NULL);
    }
#define REFUSED(status, change)                                       \
    do {                                                              \
        call t = c;                                                   \
        change;                                                       \
        CHECK(ASK(&t.chain, &t.options, node, work, &out) == status); \
    } while (0)
    REFUSED(CBP_ERROR_NULL, t.chain.params = NULL);
    REFUSED(CBP_ERROR_NULL, t.chain.activations = NULL);
    REFUSED(CBP_ERROR_LAYERS, t.chain.layers = 0);
    REFUSED(CBP_ERROR_ACTIVATION, t.chain.activations = unknown);
    REFUSED(CBP_ERROR_LOSS, t.options.loss.kind = -1);
    REFUSED(CBP_ERROR_LOSS, t.options.loss.kind = CBP_LOSS_END);
    REFUSED(CBP_ERROR_NO_SIGMOID, t.options.loss.kind = CBP_LOG_LOSS);
#undef REFUSED
    CHECK(ASK(&c.chain, &c.options, light, work, &out) == CBP_ERROR_WEIGHT);
    CHECK(ASK(&c.chain, &c.options, heavy, work, &out) == CBP_ERROR_WEIGHT);
    CHECK(is_untouched(&found));

    CHECK(ASK(&c.chain, &c.options, node, work, &out) == CBP_OK && same(found.variance, R(1) / 3));
    CHECK(same(found.matrix[0], R(1) / 3) && found.matrix[1] == 0 &&
          same(found.matrix[3], R(1) / 3));

    /* compensations count */
    const covariance whole = found;
    memcpy(parts, node, sizeof node);
    parts[9] = 2;
    parts[11] = parts[13] = 3;
    parts[15] = 2;
    CHECK(ASK(&c.chain, &c.options, parts, work, &out) == CBP_OK);
    CHECK(same(found.variance, whole.variance) && same_all(found.matrix, whole.matrix, 4));
#undef ASK
    free(work);
}

int main(void)
{
    fill_points();
    add_outliers();
    test_redundant();
    test_without_effect();
    test_no_degrees_of_freedom();
    test_exact();
    test_no_minimum();
    test_refused();
    test_refused_nodes();
    return check_done("test_covariance");
}
