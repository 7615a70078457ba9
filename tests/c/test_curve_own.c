/* Curves of the caller's own: filled rows, their starts, and rows that are refused. */
#include "curve_call.h"

#define CONSTANT(value) {CBP_RULE_CONSTANT, 0, 0, R(value)}
#define SAME(i) {CBP_RULE_SAME, i, 0, 1}
#define DIFFERENCE(i, j) {CBP_RULE_DIFFERENCE, i, j, 1}

enum { SETS = 5 };

/* ---- rows of one's own ----------------------------------------------------------------------- */

/* bottom + (top - bottom) tanh(rate x) */
static const cbp_curve plateau = {
    .name = "plateau",
    .parameters = {"bottom", "top", "rate"},
    .positive = {0, 0, 1},
    .activations = {CBP_TANH, CBP_IDENTITY},
    .domain_low = 0,
    .domain_high = R(INFINITY),
    .grid = CBP_GRID_RATES,
    .signs = CBP_ONE_SIGN,
    .slope = 1,
    .terms = {SAME(2), CONSTANT(0), DIFFERENCE(1, 0), SAME(0)},
};

static double plateau_at(const double *n, double x)
{
    return n[0] + (n[1] - n[0]) * tanh(n[2] * x);
}

/* top / (1 + exp(-2 (x - middle))): a slope that is a constant, and not 1 */
static const cbp_curve rise = {
    .name = "rise",
    .parameters = {"top", "middle"},
    .activations = {CBP_SIGMOID, CBP_IDENTITY},
    .domain_low = -R(INFINITY),
    .domain_high = R(INFINITY),
    .grid = CBP_GRID_STEPS,
    .signs = CBP_ONE_SIGN,
    .slope = 1,
    .terms = {CONSTANT(2), {CBP_RULE_SAME, 1, 0, -2}, SAME(0), CONSTANT(0)},
};

static double rise_at(const double *n, double x)
{
    return n[0] / (1 + exp(-2 * (x - n[1])));
}

/* low + (high - low) / (1 + exp(-rate (x - middle))), with the ends in another order than usual */
static const cbp_curve step = {
    .name = "step",
    .parameters = {"rate", "high", "middle", "low"},
    .activations = {CBP_SIGMOID, CBP_IDENTITY},
    .domain_low = -R(INFINITY),
    .domain_high = R(INFINITY),
    .grid = CBP_GRID_STEPS,
    .signs = CBP_MIRROR,
    .slope = 1,
    .ends = {.low = 3, .high = 1, .tilt = 0},
    .terms = {SAME(0), {CBP_RULE_PRODUCT, 0, 2, -1}, DIFFERENCE(1, 3), SAME(3)},
};

static double step_at(const double *n, double x)
{
    return n[3] + (n[1] - n[3]) / (1 + exp(-n[0] * (x - n[2])));
}

/* low + (high - low) exp(-exp(rate (x - middle))): falls, or with a negative rate rises */
static const cbp_curve fall = {
    .name = "fall",
    .parameters = {"rate", "high", "middle", "low"},
    .activations = {CBP_EXP, CBP_EXP, CBP_IDENTITY},
    .domain_low = -R(INFINITY),
    .domain_high = R(INFINITY),
    .grid = CBP_GRID_STEPS,
    .signs = CBP_ORDERED,
    .slope = 1,
    .ends = {.low = 3, .high = 1, .tilt = 0},
    .terms = {SAME(0),
              {CBP_RULE_PRODUCT, 0, 2, -1},
              CONSTANT(-1),
              CONSTANT(0),
              DIFFERENCE(1, 3),
              SAME(3)},
};

static double fall_at(const double *n, double x)
{
    return n[3] + (n[1] - n[3]) * exp(-exp(n[0] * (x - n[2])));
}

/* level + size sin(frequency x + phase) */
static const cbp_curve wave = {
    .name = "wave",
    .parameters = {"level", "size", "frequency", "phase"},
    .positive = {0, 1, 1, 0},
    .activations = {CBP_SIN, CBP_IDENTITY},
    .domain_low = -R(INFINITY),
    .domain_high = R(INFINITY),
    .grid = CBP_GRID_START,
    .terms = {SAME(2), SAME(3), SAME(1), SAME(0)},
};

static double wave_at(const double *n, double x)
{
    return n[0] + n[1] * sin(n[2] * x + n[3]);
}

/* ---- fits ------------------------------------------------------------------------------------ */

/* Evenly spaced inputs, and SETS sets of exact targets by the parameters in expected. */
static void fill_sets(const cbp_curve *curve, double (*value)(const double *, double), double high,
                      const double *natural, cbp_real *x, cbp_real *y, double *expected)
{
    cbp_curve_facts facts = {0};
    CHECK(cbp_curve_describe(curve, &facts) == CBP_OK);
    for (size_t i = 0; i < N; i++) {
        x[i] = R(high * (double)(i + 1) / N);
    }
    for (size_t set = 0; set < SETS; set++) {
        for (size_t k = 0; k < facts.count; k++) {
            expected[set * facts.count + k] = natural[k] * (1 + 0.02 * (double)set);
        }
        for (size_t i = 0; i < N; i++) {
            y[set * N + i] = R(value(expected + set * facts.count, (double)x[i]));
        }
    }
}

static int are_near(const cbp_real *found, const double *expected, size_t count)
{
    int are = 1;
    for (size_t k = 0; k < count; k++) {
        are &= is_near((double)found[k] / expected[k], 1, EXACT);
    }
    return are;
}

/* Parameters of exact data are found, alone and in many. */
static void test_exact(const cbp_curve *curve, double (*value)(const double *, double), double high,
                       const double *natural)
{
    cbp_real x[N], y[SETS * N];
    double expected[SETS * P];
    cbp_curve_facts facts = {0};
    cbp_fit_options options;
    CHECK(cbp_curve_describe(curve, &facts) == CBP_OK && facts.formula == NULL);
    CHECK(cbp_fit_defaults(&options) == CBP_OK);
    fill_sets(curve, value, high, natural, x, y, expected);
    for (size_t set = 0; set < SETS; set++) {
        const cbp_examples examples = {x, y + set * N, NULL, N};
        fitted found;
        CHECK(fit_row(curve, &examples, NULL, &options, &found) == CBP_OK);
        CHECK(found.result.outcome == CBP_CONVERGED);
        CHECK(are_near(found.natural, expected + set * facts.count, facts.count));
    }
    const cbp_example_sets sets = {x, y, NULL, N, SETS, 0, 0};
    found_many many = fit_rows(curve, &sets, NULL, &options);
    for (size_t set = 0; set < SETS; set++) {
        const size_t at = set * facts.count;
        CHECK(many.fits.status[set] == CBP_CONVERGED);
        CHECK(are_near(many.fits.natural + at, expected + at, facts.count));
    }
    release(&many);
}

/* A copy of a row of the library gives the same bits. */
static void test_copies(void)
{
    for (size_t i = 0; i < MODELS; i++) {
        const model *m = &models[i];
        const cbp_curve copy = *cbp_curve_named(m->name);
        const cbp_fit_options options = options_for(m);
        cbp_real x[N], y[N];
        fitted own, found;
        fill_inputs(m, N, x);
        fill_noisy(m, m->natural, 0.02, N, x, y);
        const cbp_examples examples = {x, y, NULL, N};
        CHECK(fit_row(&copy, &examples, NULL, &options, &own) == CBP_OK);
        CHECK(fit_curve(m, &examples, NULL, &options, &found) == CBP_OK);
        CHECK(same_all(own.natural, found.natural, P));
        CHECK(same_all(own.covariance, found.covariance, P * P));
    }
}

/* A start for all sets, one for each, and starts that are refused. */
static void test_starts(void)
{
    const double natural[] = {1, 2, 1.5, 0.4};
    const cbp_real near_all[] = {0, 1, R(1.55), R(0.3)};
    cbp_real x[N], y[SETS * N], starts[SETS * 4], fixed[] = {R(NAN), R(NAN), R(1.5), R(NAN)};
    double expected[SETS * P];
    cbp_curve own = wave;
    cbp_fit_options options;
    fitted found;
    CHECK(cbp_fit_defaults(&options) == CBP_OK);
    own.start = near_all;
    test_exact(&own, wave_at, 10, natural);

    /* from another start another minimum: so this one counts, and nothing else */
    fill_sets(&own, wave_at, 10, natural, x, y, expected);
    const cbp_examples examples = {x, y, NULL, N};
    const cbp_real far[] = {0, 1, R(4), R(0.3)};
    own.start = far;
    CHECK(fit_row(&own, &examples, NULL, &options, &found) == CBP_OK);
    CHECK(!are_near(found.natural, expected, 4));
    /* what is fixed takes the place of a start */
    CHECK(fit_row(&own, &examples, fixed, &options, &found) == CBP_OK);
    CHECK(are_near(found.natural, expected, 4));
    /* and bounds move it */
    const cbp_real low[] = {-R(INFINITY), 0, 1, -R(INFINITY)},
                   high[] = {R(INFINITY), R(INFINITY), R(1.6), R(INFINITY)};
    options.lower = low;
    options.upper = high;
    CHECK(fit_row(&own, &examples, NULL, &options, &found) == CBP_OK);
    CHECK(are_near(found.natural, expected, 4));
    options.lower = options.upper = NULL;

    const cbp_example_sets sets = {x, y, NULL, N, SETS, 0, 0};
    for (size_t set = 0; set < SETS; set++) {
        memcpy(starts + set * 4, set == 1 ? far : near_all, sizeof far);
    }
    starts[2 * 4 + 1] = 0;
    starts[3 * 4] = R(NAN);
    own.start = starts;
    own.start_step = 4;
    found_many many = fit_rows(&own, &sets, NULL, &options);
    for (size_t set = 0; set < SETS; set++) {
        const int is_refused = set == 2 || set == 3;
        CHECK((many.fits.status[set] == CBP_ERROR_START) == is_refused);
        CHECK(are_near(many.fits.natural + set * 4, expected + set * 4, 4) ==
              (set != 1 && !is_refused));
    }
    release(&many);
    own.start = starts + 8;
    CHECK(fit_row(&own, &examples, NULL, &options, &found) == CBP_ERROR_START);
    own.start = NULL;
    CHECK(fit_row(&own, &examples, NULL, &options, &found) == CBP_ERROR_NULL);
    own.grid = CBP_GRID_STEPS; /* then a start is not read */
    own.start = starts + 8;
    own.signs = CBP_BOTH_SIGNS;
    own.slope = 1;
    CHECK(fit_row(&own, &examples, NULL, &options, &found) == CBP_OK);
}

/* ---- refused --------------------------------------------------------------------------------- */

/* Every function refuses the row, and changes nothing. */
static void check_refused(const cbp_curve *curve)
{
    cbp_curve_facts facts = {.name = "untouched"};
    cbp_real natural[P] = {1, 1, 1, 1, 1}, params[PLACES] = {7}, x[N], y[N];
    cbp_fit_options options;
    fitted found;
    CHECK(cbp_fit_defaults(&options) == CBP_OK);
    for (size_t i = 0; i < N; i++) {
        x[i] = y[i] = R(i + 1);
    }
    const cbp_examples examples = {x, y, NULL, N};
    CHECK(cbp_curve_describe(curve, &facts) == CBP_ERROR_CURVE);
    CHECK(strcmp(facts.name, "untouched") == 0);
    CHECK(cbp_curve_chain(curve, natural, params, NULL) == CBP_ERROR_CURVE && params[0] == 7);
    CHECK(fit_row(curve, &examples, NULL, &options, &found) == CBP_ERROR_CURVE);
    CHECK(found.natural[0] == 0 && found.determined[0] == 0);
    const cbp_example_sets sets = {x, y, NULL, N, 1, 0, 0};
    found_many many = room_for(&plateau, 1);
    cbp_real *work = guarded(cbp_curve_fit_many_work_len(N, 1));
    CHECK(cbp_curve_fit_many(curve, &sets, NULL, &options, work, &many.fits) == CBP_ERROR_CURVE);
    const unsigned char shared[P] = {1};
    const cbp_curve_groups groups = {.examples = &examples, .count = 1, .shared = shared};
    CHECK(cbp_curve_fit_groups(curve, &groups, NULL, &options, work, &found.result) ==
          CBP_ERROR_CURVE);
    CHECK(is_whole(work, cbp_curve_fit_many_work_len(N, 1)));
    release(&many);
    const cbp_curve_inference fit = {
        .curve = curve, .result = &found.result, .level = R(0.95), .interval = CBP_INTERVAL_WALD};
    const cbp_curve_band band = {.value = y};
    const cbp_curve_inputs inputs = {.value = y};
    CHECK(cbp_curve_intervals(&fit, natural, params) == CBP_ERROR_CURVE);
    CHECK(cbp_curve_predict(&fit, x, N, 1, &band) == CBP_ERROR_CURVE);
    CHECK(cbp_curve_invert(&fit, x, NULL, N, &inputs) == CBP_ERROR_CURVE);
    CHECK(cbp_curve_effective_dose(&fit, x, N, &inputs) == CBP_ERROR_CURVE && y[1] == 2);
}

/* The row with one field changed is refused. */
#define REFUSED(row, field, value) \
    do {                           \
        cbp_curve own = row;       \
        own.field = value;         \
        check_refused(&own);       \
    } while (0)

static void test_refused_fields(void)
{
    REFUSED(plateau, name, NULL);
    REFUSED(plateau, parameters[0], NULL);
    REFUSED(plateau, parameters[2], NULL); /* which a term has */
    REFUSED(plateau, parameters[3], "more");
    REFUSED(plateau, activations[0], CBP_ACTIVATION_END);
    REFUSED(plateau, activations[1], 255);
    REFUSED(plateau, domain_low, R(INFINITY));
    REFUSED(plateau, domain_low, R(NAN));
    REFUSED(plateau, domain_high, 0);
    REFUSED(plateau, domain_high, R(NAN));
    REFUSED(plateau, loss, CBP_LOSS_END);
    REFUSED(plateau, loss, CBP_LOG_LOSS); /* without a sigmoid */
    REFUSED(plateau, grid, CBP_GRID_END);
    REFUSED(plateau, signs, 0);
    REFUSED(plateau, signs, CBP_MIRROR); /* its ends are one parameter */
    REFUSED(plateau, signs, CBP_ORDERED);
    REFUSED(plateau, signs, CBP_ORDERED + 1);
    REFUSED(plateau, x_is, CBP_X_LOG_DOSE + 1);
    REFUSED(plateau, slope, 0);
    REFUSED(plateau, slope, 2);
    REFUSED(plateau, slope_at, 1);
    REFUSED(plateau, slope_at, 4);
    REFUSED(plateau, slope_at, 254);
    REFUSED(plateau, power_at, 1);
    REFUSED(plateau, power_at, 3);
    REFUSED(plateau, power_at, 4);
}

static void test_refused_ends(void)
{
    const cbp_curve *const rows[] = {&step, &fall};
    for (size_t i = 0; i < 2; i++) {
        cbp_curve_facts facts = {0};
        CHECK(cbp_curve_describe(rows[i], &facts) == CBP_OK);
        REFUSED(*rows[i], ends.low, 1);
        REFUSED(*rows[i], ends.low, 0);
        REFUSED(*rows[i], ends.low, 4);
        REFUSED(*rows[i], ends.high, 0);
        REFUSED(*rows[i], ends.high, 255);
        REFUSED(*rows[i], ends.tilt, 4);
        REFUSED(*rows[i], positive[0], 1);
        REFUSED(*rows[i], positive[1], 1);
        REFUSED(*rows[i], positive[3], 1);
    }
    REFUSED(fall, ends.tilt, 0 * (own.ends.high = 2)); /* the last weight is of 1 and 3 */
    REFUSED(fall, activations[2], CBP_TANH);
    REFUSED(fall, terms[4], ((cbp_curve_term){CBP_RULE_RATIO, 1, 3, 1}));
}

static void test_refused_terms(void)
{
    for (unsigned char rule = CBP_RULE_CONSTANT; rule <= CBP_RULE_RATIO; rule++) {
        const cbp_curve_term good = {rule, 2, (unsigned char)(rule == CBP_RULE_PRODUCT ? 1 : 0), 1};
        cbp_curve row = wave;
        row.terms[0] = good;
        cbp_curve_facts facts = {0};
        if (rule != CBP_RULE_CONSTANT) { /* parameter 2 would be in no term */
            CHECK(cbp_curve_describe(&row, &facts) == CBP_OK);
            REFUSED(row, terms[0].value, 0);
        }
        REFUSED(row, terms[0].i, 4);
        REFUSED(row, terms[0].i, 255);
        REFUSED(row, terms[0].j, 4);
        REFUSED(row, terms[0].value, R(NAN));
        REFUSED(row, terms[0].value, R(INFINITY));
    }
    REFUSED(wave, terms[0].rule, CBP_RULE_END); /* no layer */
    REFUSED(wave, terms[1].rule, CBP_RULE_END); /* half a layer */
    REFUSED(wave, terms[0].rule, CBP_RULE_RATIO + 1);
    REFUSED(wave, terms[0].rule, 255);
    REFUSED(wave, terms[0], ((cbp_curve_term){CBP_RULE_DIFFERENCE, 2, 2, 1}));
    REFUSED(wave, terms[0], ((cbp_curve_term){CBP_RULE_RATIO, 2, 2, 1}));
    REFUSED(wave, terms[0], ((cbp_curve_term){CBP_RULE_PRODUCT, 2, 2, 1}));
    REFUSED(wave, terms[1], ((cbp_curve_term){CBP_RULE_SAME, 2, 0, 1})); /* 3 is in no term */
    /* more natural parameters than variable ones of the chain, though each is in a term */
    REFUSED(plateau, terms[0], ((cbp_curve_term)CONSTANT(1)));
    cbp_curve row = plateau;
    row.positive[0] = row.positive[1] = 1;
    row.terms[2] = (cbp_curve_term){CBP_RULE_RATIO, 0, 1, 1};
    row.terms[3] = (cbp_curve_term){CBP_RULE_PRODUCT, 1, 0, 1};
    /* candidates do not tell 0 and 1 from their ratio and their product; a start does */
    check_refused(&row);
    row.grid = CBP_GRID_START;
    cbp_curve_facts facts = {0};
    CHECK(cbp_curve_describe(&row, &facts) == CBP_OK);
}

/* Rows of arbitrary bytes, in part within the ranges, are refused or used, without a crash. */
static void test_arbitrary(void)
{
    cbp_real x[N], y[2 * N];
    cbp_fit_options options;
    size_t taken = 0;
    const cbp_real start[P] = {1, 1, 1, 1, 1};
    CHECK(cbp_fit_defaults(&options) == CBP_OK);
    options.max_iterations = 20;
    for (size_t i = 0; i < N; i++) {
        x[i] = R(i + 1);
        y[i] = y[N + i] = R(random_between(0, 1));
    }
    const cbp_examples examples = {x, y, NULL, 8};
    const cbp_example_sets sets = {x, y, NULL, 8, 2, 0, 0};
    for (int trial = 0; trial < 400000; trial++) {
        cbp_curve own;
        unsigned char *byte = (unsigned char *)&own;
        const int is_wild = trial % 4 == 0;
        for (size_t i = 0; i < sizeof own; i++) {
            byte[i] = (unsigned char)random_between(0, is_wild ? 256 : 2);
        }
        const size_t count = (size_t)random_between(0, P + 1);
        for (size_t k = 0; k < P; k++) {
            own.parameters[k] = k < count ? "parameter" : NULL;
        }
        own.name = "arbitrary";
        own.formula = NULL;
        own.start = random_between(0, 1) < 0.5 ? start : NULL;
        own.start_step = 0;
        own.domain_low = -R(INFINITY);
        own.domain_high = R(INFINITY);
        own.slope = random_between(0, 1) < 0.5 ? 1 : -1;
        for (size_t k = 0; k < PLACES; k++) {
            own.terms[k].rule = (unsigned char)random_between(is_wild ? 0 : 1, 9);
            own.terms[k].i = (unsigned char)random_between(0, (double)count);
            own.terms[k].j = (unsigned char)random_between(0, (double)count);
            own.terms[k].value = R(random_between(-2, 2));
        }
        if (!is_wild) {
            own.grid = (unsigned char)random_between(0, CBP_GRID_END + 1);
            own.slope_at = (unsigned char)(2 * (int)random_between(0, 4));
            own.power_at = (unsigned char)(2 * (int)random_between(0, 4));
            own.signs = (unsigned char)random_between(0, CBP_ORDERED + 1);
            own.ends.low = (unsigned char)random_between(0, P);
            own.ends.high = (unsigned char)random_between(0, P);
            own.ends.tilt = (unsigned char)random_between(0, P);
            own.x_is = (unsigned char)random_between(0, CBP_X_LOG_DOSE + 1);
            own.terms[2 * (size_t)random_between(1, 4)].rule = CBP_RULE_END;
            for (size_t k = 0; k < CBP_CURVE_LAYERS; k++) {
                own.activations[k] = (unsigned char)random_between(0, CBP_ACTIVATION_END);
            }
        }
        cbp_curve_facts facts = {0};
        fitted found;
        const int status = cbp_curve_describe(&own, &facts);
        CHECK(status == CBP_OK || status == CBP_ERROR_CURVE);
        if (status != CBP_OK && trial % 16 != 0) {
            continue;
        }
        const int fit_status = fit_row(&own, &examples, NULL, &options, &found);
        CHECK((fit_status == CBP_ERROR_CURVE) == (status == CBP_ERROR_CURVE));
        if (status != CBP_OK || (own.grid == CBP_GRID_START && !own.start)) {
            continue;
        }
        taken++;
        found_many many = fit_rows(&own, &sets, NULL, &options);
        release(&many);
    }
    CHECK(taken > 500);
}

int main(void)
{
    test_copies();
    test_exact(&plateau, plateau_at, 6, (const double[]){1.4, 0.4, 0.7});
    test_exact(&rise, rise_at, 6, (const double[]){2.5, 2.9});
    test_exact(&step, step_at, 6, (const double[]){-1.3, 2.5, 2.9, 0.4});
    test_exact(&fall, fall_at, 6, (const double[]){-1.3, 2.5, 2.9, 0.4});
    test_exact(&fall, fall_at, 6, (const double[]){1.3, 2.5, 2.9, 0.4});
    test_starts();
    test_refused_fields();
    test_refused_ends();
    test_refused_terms();
    test_arbitrary();
    return check_done("test_curve_own");
}
