/* A curve fitted to several groups of examples that have parameters in common: against R, against
 * fits of one group, and against fits of all examples as one. */
#include "curve_call.h"

/* R's Puromycin (Treloar 1974), and S.alba of drc (Christensen, Teicher, Streibig 2003). */
static const cbp_real treated_x[] = {R(0.02), R(0.02), R(0.06), R(0.06), R(0.11), R(0.11),
                                     R(0.22), R(0.22), R(0.56), R(0.56), R(1.1),  R(1.1)};
static const cbp_real treated_y[] = {76, 47, 97, 107, 123, 139, 159, 152, 191, 201, 207, 200};
static const cbp_real untreated_x[] = {R(0.02), R(0.02), R(0.06), R(0.06), R(0.11), R(0.11),
                                       R(0.22), R(0.22), R(0.56), R(0.56), R(1.1)};
static const cbp_real untreated_y[] = {67, 51, 84, 86, 98, 115, 131, 124, 144, 158, 160};
static const cbp_real bentazone_x[] = {0,   0,   0,   0,   0,   0,   0,   0,   10,  10,  10,  10,
                                       20,  20,  20,  20,  40,  40,  40,  40,  80,  80,  80,  80,
                                       160, 160, 160, 160, 320, 320, 320, 320, 640, 640, 640, 640};
static const cbp_real bentazone_y[] = {
    R(4.1), R(3.4), R(2.6), R(3.5), R(4.3), R(4.2), R(4.1), R(4.5), R(3.5), R(3.8), R(3.9), R(3.7),
    R(3.2), R(3.5), 3,      4,      R(1.1), R(1.4), R(1.4), R(0.9), R(0.9), R(0.6), R(0.7), R(0.8),
    R(0.7), R(0.7), R(0.5), R(0.6), R(0.8), R(0.5), R(0.7), R(0.8), R(0.6), R(0.7), R(0.6), R(0.8)};
static const cbp_real glyphosate_x[] = {0,  0,  0,   0,   0,   0,   0,   0,   10,  10, 10,
                                        10, 20, 20,  20,  20,  40,  40,  40,  40,  80, 80,
                                        80, 80, 160, 160, 160, 160, 320, 320, 320, 320};
static const cbp_real glyphosate_y[] = {
    R(4.7), R(4.6), R(4.1), R(4.4), R(3.2), 3,      R(3.8), R(3.9), R(3.8), R(3.8), R(3.8),
    R(3.3), R(4.1), R(3.5), R(4.1), R(3.2), R(2.8), 3,      R(3.7), R(3.4), R(1.8), R(1.6),
    R(2.3), R(1.7), R(1.1), R(1.3), 1,      R(1.2), R(0.9), R(0.9), R(0.9), R(0.9)};

enum { GROUPS = 40 };

#ifdef CBP_SINGLE
#define OF_AN_ERROR 2e-2 /* of a standard error */
#define OF_ERRORS 2e-2
#else
#define OF_AN_ERROR 1e-5
#define OF_ERRORS 1e-5
#endif

#define EXAMPLES(x, y) {x, y, NULL, sizeof(x) / sizeof *(x)}

/* Results of groups; the first is also that of shared parameters. */
typedef struct found_groups {
    cbp_curve_result results[GROUPS];
    fitted of[GROUPS];
} found_groups;

static int fit_groups(const char *name, const cbp_curve_groups *groups, const cbp_real *fixed,
                      const cbp_fit_options *options, found_groups *found)
{
    memset(found, 0, sizeof *found);
    for (size_t g = 0; g < groups->count; g++) {
        fitted *f = &found->of[g];
        found->results[g] = (cbp_curve_result){.natural = f->natural,
                                               .params = f->params,
                                               .covariance = f->covariance,
                                               .determined = f->determined,
                                               .triangle = f->triangle};
    }
    const size_t len = cbp_curve_fit_groups_work_len(cbp_curve_named(name), groups);
    cbp_real *work = guarded(len);
    const int status =
        cbp_curve_fit_groups(cbp_curve_named(name), groups, fixed, options, work, found->results);
    CHECK(is_whole(work, len));
    return status;
}

static cbp_fit_options squared(void)
{
    cbp_fit_options options;
    CHECK(cbp_fit_defaults(&options) == CBP_OK);
    return options;
}

/* The standard error of parameter k of a group with p of them. */
static double error_of(const found_groups *found, size_t g, size_t k, size_t p, int is_positive)
{
    const fitted *f = &found->of[g];
    return sqrt((double)f->covariance[k * p + k]) * (is_positive ? (double)f->natural[k] : 1);
}

static void check_estimate(const found_groups *found, size_t g, size_t k, const double *wanted)
{
    CHECK(fabs((double)found->of[g].natural[k] - wanted[0]) < OF_AN_ERROR * wanted[1]);
}

/* Whether two fits of logistic4 have found the same; of the first ec50 is that of the second times
 * a factor, [count][4]. */
static void check_same_groups(const found_groups *found, const found_groups *wanted, size_t count,
                              const cbp_real *factor)
{
    for (size_t g = 0; g < count; g++) {
        CHECK(found->results[g].outcome == CBP_CONVERGED);
        for (size_t k = 0; k < 4; k++) {
            const double natural = (double)wanted->of[g].natural[k] *
                                   (factor ? (double)factor[g * 4 + k] : 1),
                         error = error_of(found, g, k, 4, k == 2);
            CHECK(fabs((double)found->of[g].natural[k] - natural) < 10 * OF_AN_ERROR * error);
            CHECK(is_near(
                sqrt((double)(found->of[g].covariance[k * 5] / wanted->of[g].covariance[k * 5])), 1,
                OF_ERRORS));
        }
    }
}

/* R: nls(rate ~ Vm[state] * conc / (K + conc)), with its standard errors. */
static void test_puromycin(void)
{
    const double vmax[2][2] = {{208.630070058871, 5.80399298943652},
                               {166.604096619891, 5.80742958868807}},
                 km[2] = {0.0579718323214427, 0.00591017582158824};
    const cbp_examples examples[] = {EXAMPLES(treated_x, treated_y),
                                     EXAMPLES(untreated_x, untreated_y)};
    const unsigned char shared[] = {0, 1};
    const cbp_curve_groups groups = {.examples = examples, .count = 2, .shared = shared};
    const cbp_fit_options options = squared();
    found_groups found;
    CHECK(fit_groups("michaelis_menten", &groups, NULL, &options, &found) == CBP_OK);
    for (size_t g = 0; g < 2; g++) {
        CHECK(found.results[g].outcome == CBP_CONVERGED && found.results[g].df == 20);
        check_estimate(&found, g, 0, vmax[g]);
        check_estimate(&found, g, 1, km);
        CHECK(is_near(error_of(&found, g, 0, 2, 0) / vmax[g][1], 1, OF_ERRORS));
        CHECK(is_near(error_of(&found, g, 1, 2, 1) / km[1], 1, OF_ERRORS));
    }
    CHECK(is_near((double)(found.results[0].rss + found.results[1].rss) / 2240.89143863643, 1,
                  ALIKE));
}

/* drc: drm(DryMatter ~ Dose, Herbicide, fct = LL.4(), pmodels = list(~ H - 1, ~ 1, ~ 1, ~ H - 1)),
 * whose standard errors are of the exact curvature. */
static void test_herbicides(void)
{
    const double bottom[] = {0.716451719084675, 0.089}, top[] = {3.85437497728948, 0.076},
                 slopes[2][2] = {{-5.05835838947387, 1.0}, {-2.38544760588029, 0.49}},
                 ec50[2][2] = {{28.6383924533023, 2.0}, {66.9330538272292, 6.0}};
    const cbp_examples examples[] = {EXAMPLES(bentazone_x, bentazone_y),
                                     EXAMPLES(glyphosate_x, glyphosate_y)};
    const unsigned char shared[] = {1, 1, 0, 0};
    const cbp_curve_groups groups = {.examples = examples, .count = 2, .shared = shared};
    const cbp_fit_options options = squared();
    found_groups found;
    CHECK(fit_groups("logistic4", &groups, NULL, &options, &found) == CBP_OK);
    for (size_t g = 0; g < 2; g++) {
        CHECK(found.results[g].outcome == CBP_CONVERGED && found.results[g].df == 62);
        check_estimate(&found, g, 0, bottom);
        check_estimate(&found, g, 1, top);
        check_estimate(&found, g, 2, ec50[g]);
        check_estimate(&found, g, 3, slopes[g]);
    }
    CHECK(
        is_near((double)(found.results[0].rss + found.results[1].rss) / 8.5113989625336, 1, ALIKE));
}

/* With nothing shared each group has the fit that it has alone, and the variance is that of all. R:
 * nls(rate ~ Vm[state] * conc / (K[state] + conc)). A group that has no minimum leaves the other as
 * it is. */
static void test_apart(void)
{
    const double wanted[2][2][2] = {
        {{212.683741867293, 6.60809428919042}, {0.0641212796501337, 0.00787679175941288}},
        {{160.280047845048, 6.89601427480908}, {0.0477081871135376, 0.00828115618437577}}};
    const cbp_real line[] = {R(0.1), R(0.2), R(0.3), R(0.45), R(0.5), R(0.6)};
    cbp_examples examples[] = {EXAMPLES(treated_x, treated_y), EXAMPLES(untreated_x, untreated_y)};
    const unsigned char shared[] = {0, 0};
    const cbp_curve_groups groups = {.examples = examples, .count = 2, .shared = shared};
    const cbp_fit_options options = squared();
    found_groups found;
    CHECK(fit_groups("michaelis_menten", &groups, NULL, &options, &found) == CBP_OK);
    for (size_t g = 0; g < 2; g++) {
        CHECK(found.results[g].outcome == CBP_CONVERGED && found.results[g].df == 19);
        for (size_t k = 0; k < 2; k++) {
            const double error = error_of(&found, g, k, 2, k == 1);
            check_estimate(&found, g, k, wanted[g][k]);
            CHECK(is_near(error / wanted[g][k][1], 1, OF_ERRORS));
        }
    }
    CHECK(is_near((double)(found.results[0].rss + found.results[1].rss) / 2055.05310821875, 1,
                  ALIKE));
    const cbp_real vmax = found.of[0].natural[0];
    examples[1] = (cbp_examples){line, line, NULL, 6};
    CHECK(fit_groups("michaelis_menten", &groups, NULL, &options, &found) == CBP_OK);
    CHECK(found.results[0].outcome == CBP_CONVERGED && found.of[0].natural[0] == vmax);
    CHECK(found.results[1].outcome == CBP_EXHAUSTED && found.of[1].determined[0] == CBP_DIVERGES);
    CHECK(is_near((double)found.results[0].variance, (double)found.results[1].variance, 1e-9));
}

/* Where everything is shared the groups are one; and one group is fitted as it is alone. */
static void test_one_of_all(void)
{
    const cbp_real all_x[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9},
                   all_y[] = {R(0.1), R(0.2), R(0.4), R(0.9), R(1.6),
                              R(2.3), R(2.6), R(2.9), R(2.9), R(3.1)};
    const cbp_examples parts[] = {{all_x, all_y, NULL, 3}, {all_x + 3, all_y + 3, NULL, 7}},
                       all = {all_x, all_y, NULL, 10};
    const model *m = &models[0];
    while (strcmp(m->name, "logistic3") != 0) {
        m++;
    }
    const cbp_fit_options options = squared();
    fitted alone;
    CHECK(fit_curve(m, &all, NULL, &options, &alone) == CBP_OK);
    for (size_t trial = 0; trial < 5; trial++) {
        const unsigned char shared[] = {1, trial != 1, trial != 2};
        const cbp_curve_groups groups = {
            .examples = trial == 0 ? parts : &all, .count = trial == 0 ? 2 : 1, .shared = shared};
        found_groups found;
        CHECK(fit_groups("logistic3", &groups, NULL, &options, &found) == CBP_OK);
        CHECK(found.results[0].df == 7);
        for (size_t k = 0; k < 3; k++) {
            const double error = error_of(&found, 0, k, 3, 0);
            CHECK(fabs((double)(found.of[0].natural[k] - alone.natural[k])) < OF_AN_ERROR * error);
            CHECK(is_near(error / sqrt((double)alone.covariance[k * 3 + k]), 1, OF_ERRORS));
        }
    }
}

/* Many groups, of which one is flat: its ec50 is not determined, and the others do not mind. The
 * covariance is that of the triangle. */
static void test_many_groups(void)
{
    cbp_real x[12], y[GROUPS][12];
    cbp_examples examples[GROUPS];
    const unsigned char shared[] = {1, 0, 0, 1};
    const cbp_curve_groups groups = {.examples = examples, .count = GROUPS, .shared = shared},
                           rest = {.examples = examples, .count = GROUPS - 1, .shared = shared};
    const cbp_fit_options options = squared();
    static found_groups with, without;
    for (size_t i = 0; i < 12; i++) {
        x[i] = R(pow(10, -2 + (double)i * 4 / 11));
    }
    for (size_t g = 0; g < GROUPS; g++) {
        const int is_flat = g + 1 == GROUPS;
        const double top = 2 + sin((double)g), ec50 = exp(2 * sin(2.0 * (double)g));
        for (size_t i = 0; i < 12; i++) {
            const double curve =
                is_flat ? 0.5 : 0.5 + (top - 0.5) / (1 + pow(ec50 / (double)x[i], 1.3));
            y[g][i] = R(curve + (is_flat ? 0 : 0.03 * random_between(-1, 1)));
        }
        examples[g] = (cbp_examples){x, y[g], NULL, 12};
    }
    CHECK(fit_groups("logistic4", &groups, NULL, &options, &with) == CBP_OK);
    CHECK(fit_groups("logistic4", &rest, NULL, &options, &without) == CBP_OK);
    CHECK(without.results[0].outcome == CBP_CONVERGED);
    CHECK(without.results[0].df == (GROUPS - 1) * 10 - 2);
    CHECK(is_near((double)without.of[0].natural[0], 0.5, 0.02));
    CHECK(is_near((double)without.of[0].natural[3], 1.3, 0.05));
    for (size_t g = 0; g + 1 < GROUPS; g++) {
        const cbp_real *triangle = without.of[g].triangle;
        CHECK(is_near((double)with.of[g].natural[2], (double)without.of[g].natural[2], 0.02));
        for (size_t i = 0; i < 4; i++) { /* R'R C = s^2 */
            for (size_t j = 0; j < 4; j++) {
                double sum = 0, size = 0;
                for (size_t k = 0; k < 4; k++) {
                    double square = 0;
                    for (size_t row = 0; row < 4; row++) {
                        square += (double)(triangle[row * 5 + i] * triangle[row * 5 + k]);
                    }
                    sum += square * (double)without.of[g].covariance[k * 4 + j];
                    size += fabs(square * (double)without.of[g].covariance[k * 4 + j]);
                }
                const double wanted = i == j ? (double)without.results[g].variance : 0;
                CHECK(fabs(sum - wanted) <= 1e3 * EPSILON * size);
            }
        }
    }
    const unsigned char *flat = with.of[GROUPS - 1].determined;
    CHECK(flat[0] == CBP_DETERMINED && flat[2] != CBP_DETERMINED);
}

/* Values for some of the groups, with factors: where each value is that of one group, the groups
 * are as apart as without; and doses divided by the factors have one ec50. */
static void test_values(void)
{
    cbp_real x[12], scaled[6][12], y[6][12], among[36];
    cbp_examples examples[6], of_scaled[6];
    size_t value[6 * 4] = {0};
    cbp_real factor[6 * 4];
    const unsigned char two[] = {1, 1, 0, 0}, three[] = {1, 1, 1, 0};
    const cbp_fit_options options = squared();
    static found_groups found, wanted;
    for (size_t i = 0; i < 12; i++) {
        x[i] = R(pow(10, -2 + (double)i * 4 / 11));
    }
    for (size_t g = 0; g < 6; g++) {
        const double times = pow(2, (double)g - 2);
        for (size_t i = 0; i < 12; i++) {
            const double curve = 0.5 + 1.5 / (1 + pow(times / (double)x[i], 1.3));
            y[g][i] = R(curve + 0.03 * random_between(-1, 1));
            scaled[g][i] = x[i] / R(times);
        }
        for (size_t k = 0; k < 4; k++) {
            factor[g * 4 + k] = k == 2 ? R(times) : 1;
        }
        value[g * 4 + 2] = g;
        examples[g] = (cbp_examples){x, y[g], NULL, 12};
        of_scaled[g] = (cbp_examples){scaled[g], y[g], NULL, 12};
    }
    const cbp_curve_groups apart = {.examples = examples, .count = 6, .shared = two},
                           labelled = {.examples = examples,
                                       .count = 6,
                                       .shared = three,
                                       .value = value},
                           divided = {.examples = of_scaled, .count = 6, .shared = three},
                           times = {.examples = examples,
                                    .count = 6,
                                    .shared = three,
                                    .factor = factor,
                                    .covariance = among};
    CHECK(fit_groups("logistic4", &apart, NULL, &options, &wanted) == CBP_OK);
    CHECK(fit_groups("logistic4", &labelled, NULL, &options, &found) == CBP_OK);
    check_same_groups(&found, &wanted, 6, NULL);
    CHECK(fit_groups("logistic4", &divided, NULL, &options, &wanted) == CBP_OK);
    CHECK(fit_groups("logistic4", &times, NULL, &options, &found) == CBP_OK);
    check_same_groups(&found, &wanted, 6, factor);
    for (size_t i = 0; i < 3; i++) { /* bottom, top and the logarithm of ec50 */
        for (size_t j = 0; j < 3; j++) {
            CHECK(is_near((double)(among[i * 3 + j] / found.of[4].covariance[i * 4 + j]), 1,
                          OF_ERRORS));
        }
    }
    factor[2] = -1;
    CHECK(fit_groups("logistic4", &times, NULL, &options, &found) == CBP_ERROR_OPTION);
    factor[2] = R(NAN);
    CHECK(fit_groups("logistic4", &times, NULL, &options, &found) == CBP_ERROR_OPTION);
}

/* Groups of fewer examples than parameters are fitted together; one that cannot be fitted does not
 * take the others with it where nothing is shared. */
static void test_groups_of_few(void)
{
    cbp_real x[GROUPS][3], y[GROUPS][3];
    cbp_examples examples[GROUPS];
    const unsigned char shared[] = {1, 0, 1, 1};
    const cbp_curve_groups groups = {.examples = examples, .count = GROUPS, .shared = shared};
    const cbp_fit_options options = squared();
    static found_groups found;
    for (size_t g = 0; g < GROUPS; g++) {
        const double top = 2 + 0.5 * sin((double)g);
        for (size_t i = 0; i < 3; i++) {
            x[g][i] = R(exp(random_between(-3, 3)));
            y[g][i] = R(0.5 + (top - 0.5) / (1 + pow(1.4 / (double)x[g][i], 1.3)));
        }
        examples[g] = (cbp_examples){x[g], y[g], NULL, 3};
    }
    CHECK(fit_groups("logistic4", &groups, NULL, &options, &found) == CBP_OK);
    CHECK(found.results[0].outcome == CBP_CONVERGED);
    CHECK(is_near((double)found.of[0].natural[2], 1.4, 1e-3));
    CHECK(is_near((double)found.of[7].natural[1], 2 + 0.5 * sin(7), 1e-3));
    const cbp_real huge = R(sizeof(cbp_real) == sizeof(float) ? 1e37 : 1e200),
                   far[] = {huge, 2 * huge, 4 * huge};
    const unsigned char none[] = {0, 0};
    const cbp_examples lines[] = {{x[0], y[0], NULL, 3}, {x[1], far, NULL, 3}};
    const cbp_curve_groups apart = {.examples = lines, .count = 2, .shared = none};
    CHECK(fit_groups("michaelis_menten", &apart, NULL, &options, &found) == CBP_OK);
    CHECK(found.results[0].status == CBP_OK && found.of[0].natural[0] > 0);
    CHECK(found.results[1].status == CBP_ERROR_START_LOSS);
    CHECK(found.of[1].natural[0] != found.of[1].natural[0]);
    CHECK(found.of[1].determined[1] == CBP_UNDETERMINED && found.results[0].df == 1);
}

/* A weight of 2 is an example that is there twice, in a group among weightless or larger ones;
 * bounds are those of all, and what is fixed is so in all. */
static void test_weights_and_bounds(void)
{
    static cbp_real x[300], y[300], twice_x[24], twice_y[24], weight[12];
    static found_groups found, wanted;
    const cbp_real fixed[] = {R(NAN), R(NAN), R(NAN), R(1.3)}, low[] = {0, 0, R(0.1), 0},
                   high[] = {1, R(1.8), 9, 9};
    const cbp_examples weighted[] = {{x, y, weight, 12},
                                     {x, y, NULL, 300},
                                     {x + 9, y + 9, NULL, 9}},
                       twice[] = {{twice_x, twice_y, NULL, 24},
                                  {x, y, NULL, 300},
                                  {x + 9, y + 9, NULL, 9}};
    const unsigned char shared[] = {1, 1, 0, 1};
    const cbp_curve_groups own = {.examples = weighted, .count = 3, .shared = shared},
                           other = {.examples = twice, .count = 3, .shared = shared};
    for (size_t i = 0; i < 300; i++) {
        x[i] = R(pow(10, -2 + (double)(i % 12) * 4 / 11));
        y[i] = R(0.5 + 1.5 / (1 + pow(1 / (double)x[i], 1.3)) + 0.03 * random_between(-1, 1));
    }
    for (size_t i = 0; i < 24; i++) {
        twice_x[i] = x[i % 12];
        twice_y[i] = y[i % 12];
        weight[i % 12] = 2;
    }
    cbp_fit_options options = squared();
    CHECK(fit_groups("logistic4", &own, fixed, &options, &found) == CBP_OK);
    CHECK(fit_groups("logistic4", &other, fixed, &options, &wanted) == CBP_OK);
    for (size_t g = 0; g < 3; g++) {
        CHECK(found.results[g].outcome == CBP_CONVERGED && found.of[g].determined[3] == CBP_FROZEN);
        for (size_t k = 0; k < 4; k++) {
            CHECK(
                is_near((double)(found.of[g].natural[k] / wanted.of[g].natural[k]), 1, OF_ERRORS));
        }
    }
    options.lower = low;
    options.upper = high;
    CHECK(fit_groups("logistic4", &own, NULL, &options, &found) == CBP_OK);
    CHECK(found.of[0].natural[1] == high[1] && found.of[2].determined[1] == CBP_AT_BOUND);
    CHECK(found.of[0].covariance[5] == 0);
}

static void test_refused(void)
{
    const cbp_real x[] = {1, 2, 3, 4, 5, 6}, y[] = {1, 3, 4, 5, 5, 6},
                   bad[] = {1, 3, R(NAN), 5, 5, 6}, all[] = {0, 1, 2, 1},
                   below[] = {-1, 2, 3, 4, 5, 6};
    const cbp_examples examples[] = {{x, y, NULL, 6}, {x, y, NULL, 6}},
                       few[] = {{x, y, NULL, 6}, {x, y, NULL, 2}},
                       nan[] = {{x, y, NULL, 6}, {x, bad, NULL, 6}},
                       outside[] = {{x, y, NULL, 6}, {below, y, NULL, 6}};
    const unsigned char none[] = {0, 0, 0, 0}, bottom[] = {1, 0, 0, 0};
    cbp_fit_options options = squared();
    found_groups found;
    const struct {
        cbp_curve_groups groups;
        const cbp_real *fixed;
        int status;
    } cases[] = {{{.examples = examples, .count = 2, .shared = bottom}, all, CBP_ERROR_NO_FREE},
                 {{.examples = few, .count = 2, .shared = none}, NULL, CBP_ERROR_FEW_EXAMPLES},
                 {{.examples = examples, .count = 0, .shared = bottom}, NULL, CBP_ERROR_EMPTY},
                 {{.examples = few, .count = 2, .shared = bottom}, NULL, CBP_ERROR_FEW_EXAMPLES},
                 {{.examples = nan, .count = 2, .shared = bottom}, NULL, CBP_ERROR_TARGET},
                 {{.examples = outside, .count = 2, .shared = bottom}, NULL, CBP_ERROR_DOMAIN}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int status =
            fit_groups("logistic4", &cases[i].groups, cases[i].fixed, &options, &found);
        CHECK(status == cases[i].status || (i == 4 && status == CBP_ERROR_DATA));
        CHECK(found.of[0].natural[0] == 0 && found.results[0].df == 0);
    }
    const cbp_curve_groups groups = {.examples = examples, .count = 2, .shared = bottom};
    CHECK(fit_groups("logistic", &groups, NULL, &options, &found) == CBP_ERROR_CURVE);
    options.size--;
    CHECK(fit_groups("logistic4", &groups, NULL, &options, &found) == CBP_ERROR_OPTION);
    options.size++;
    cbp_real work[1];
    const cbp_curve *curve = cbp_curve_named("logistic4");
    CHECK(cbp_curve_fit_groups(curve, NULL, NULL, &options, work, found.results) == CBP_ERROR_NULL);
    CHECK(cbp_curve_fit_groups(curve, &groups, NULL, &options, NULL, found.results) ==
          CBP_ERROR_NULL);
    CHECK(cbp_curve_fit_groups(curve, &groups, NULL, &options, work, NULL) == CBP_ERROR_NULL);
    CHECK(cbp_curve_fit_groups_work_len(curve, NULL) == 0);
}

/* ---- stopping -------------------------------------------------------------------------------- */

static int count_down(void *user, const cbp_fit_info *info)
{
    int *left = user;
    (void)info;
    return --*left <= 0;
}

/* Whenever the progress function says so. */
static void test_stop(void)
{
    const cbp_examples examples[] = {EXAMPLES(bentazone_x, bentazone_y),
                                     EXAMPLES(glyphosate_x, glyphosate_y)};
    const unsigned char shared[] = {1, 1, 0, 0}, none[] = {0, 0, 0, 0};
    for (int calls = 1; calls < 200; calls += 7) {
        for (int is_apart = 0; is_apart < 2; is_apart++) {
            const cbp_curve_groups groups = {
                .examples = examples, .count = 2, .shared = is_apart ? none : shared};
            int left = calls;
            cbp_fit_options options = squared();
            options.progress = count_down;
            options.user = &left;
            found_groups found;
            const int status = fit_groups("logistic4", &groups, NULL, &options, &found);
            CHECK(status == (left > 0 ? CBP_OK : CBP_STOPPED));
            CHECK(is_apart || (found.of[0].natural[0] != 0) == (left > 0));
        }
    }
}

int main(void)
{
    test_puromycin();
    test_herbicides();
    test_apart();
    test_one_of_all();
    test_many_groups();
    test_values();
    test_groups_of_few();
    test_weights_and_bounds();
    test_refused();
    test_stop();
    return check_done("test_curve_groups");
}
