/* Named curves: their facts, their chains against the formulas, and fits of them. */
#include "curve_call.h"

/* ---- facts and chains ------------------------------------------------------------------------ */

/* The names in `list`, separated by spaces, are those of the parameters. */
static int has_names(const cbp_curve_facts *facts, const char *list)
{
    for (size_t k = 0; k < facts->count; k++) {
        const size_t len = strlen(facts->parameters[k]);
        if (strncmp(list, facts->parameters[k], len) != 0 ||
            list[len] != (k + 1 < facts->count ? ' ' : '\0')) {
            return 0;
        }
        list += len + 1;
    }
    return 1;
}

static void test_facts(void)
{
    cbp_curve_facts facts = {0};
    CHECK(cbp_curve_count() == MODELS);
    for (size_t i = 0; i < MODELS; i++) {
        const model *m = &models[i];
        CHECK(cbp_curve_describe(cbp_curve_named(m->name), &facts) == CBP_OK);
        CHECK(strcmp(facts.name, m->name) == 0);
        CHECK(cbp_curve_at(i) == cbp_curve_named(m->name));
        CHECK(facts.count == parameters_of(m) && has_names(&facts, m->parameters));
        CHECK(facts.domain_low == (m->is_of_positive ? 0 : -R(INFINITY)));
        CHECK(facts.domain_high == R(INFINITY));
        CHECK(facts.loss == m->loss && facts.is_log_x == m->is_log_x);
        CHECK(facts.is_log_dose == (strstr(m->name, "_log10") != NULL));
        CHECK(facts.layers > 0 && facts.layers <= CBP_CURVE_LAYERS);
        for (size_t k = 0; k < facts.count; k++) {
            CHECK(facts.positive[k] == (m->positive[k] == '1'));
            CHECK(strstr(facts.formula, facts.parameters[k]) != NULL);
        }
        for (size_t k = 0; k < facts.layers; k++) {
            CHECK(facts.activations[k] < CBP_ACTIVATION_END);
        }
    }
    CHECK(!cbp_curve_at(MODELS) && !cbp_curve_at((size_t)-1));
    CHECK(!cbp_curve_named("") && !cbp_curve_named("logistic") && !cbp_curve_named(NULL));
    facts.name = "untouched";
    CHECK(cbp_curve_describe(NULL, &facts) == CBP_ERROR_CURVE);
    CHECK(strcmp(facts.name, "untouched") == 0);
    CHECK(cbp_curve_describe(cbp_curve_at(0), NULL) == CBP_ERROR_NULL);
}

/* The chain computes the formula; its constants are those that nothing moves. */
static void test_chain_of(const model *m, const double *natural)
{
    const cbp_curve *curve = cbp_curve_named(m->name);
    const size_t p = parameters_of(m);
    cbp_real n[P], x[N], out[N], params[PLACES], jacobian[PLACES * P], without[PLACES];
    cbp_curve_facts facts = {0};
    CHECK(cbp_curve_describe(curve, &facts) == CBP_OK);
    for (size_t k = 0; k < p; k++) {
        n[k] = R(natural[k]);
    }
    CHECK(cbp_curve_chain(curve, n, params, jacobian) == CBP_OK);
    CHECK(cbp_curve_chain(curve, n, without, NULL) == CBP_OK);
    CHECK(same_all(params, without, 2 * facts.layers));
    const cbp_chain chain = {params, facts.activations, NULL, facts.layers};
    fill_inputs(m, N, x);
    CHECK(cbp_forward(&chain, x, N, out) == CBP_OK);
    for (size_t i = 0; i < N; i++) {
        double exact[P];
        for (size_t k = 0; k < p; k++) {
            exact[k] = (double)n[k];
        }
        CHECK(near((double)out[i], m->value(exact, (double)x[i]), 1, 64));
    }
    const double part = sizeof(cbp_real) == 4 ? 1e-2 : 1e-5;
    for (size_t k = 0; k < p; k++) {
        const cbp_real kept = n[k], step = R(part) * R(fmax(1e-3, fabs((double)kept)));
        cbp_real above[PLACES], below[PLACES];
        n[k] = kept + step;
        CHECK(cbp_curve_chain(curve, n, above, NULL) == CBP_OK);
        const cbp_real high = n[k];
        n[k] = kept - step;
        CHECK(cbp_curve_chain(curve, n, below, NULL) == CBP_OK);
        for (size_t row = 0; row < 2 * facts.layers; row++) {
            const double slope = (double)(above[row] - below[row]) / (double)(high - n[k]),
                         found = (double)jacobian[row * p + k];
            CHECK(fabs(found - slope) <=
                  10 * part * part * fmax(fabs(found), fabs(slope)) +
                      EPSILON * 8 * fabs((double)params[row] / (double)step));
            CHECK(!facts.frozen[row] || jacobian[row * p + k] == 0);
        }
        n[k] = kept;
    }
    for (size_t row = 0; row < 2 * facts.layers; row++) {
        int moves = 0;
        for (size_t k = 0; k < p; k++) {
            moves |= jacobian[row * p + k] != 0;
        }
        CHECK(moves == !facts.frozen[row]);
    }
}

static void test_chains(void)
{
    for (size_t i = 0; i < MODELS; i++) {
        const model *m = &models[i];
        test_chain_of(m, m->natural);
        for (int trial = 0; trial < 5; trial++) {
            double natural[P];
            for (size_t k = 0; k < P; k++) {
                natural[k] = m->natural[k] * random_between(0.7, 1.3);
            }
            test_chain_of(m, natural);
        }
    }
}

static void test_chain_refused(void)
{
    const cbp_curve *logistic = cbp_curve_named("logistic4"),
                    *scaled = cbp_curve_named("logistic3");
    cbp_real natural[] = {0, 1, 2, 1}, params[PLACES], jacobian[PLACES * P];
    params[0] = jacobian[0] = 7;
    CHECK(cbp_curve_chain(NULL, natural, params, jacobian) == CBP_ERROR_CURVE);
    CHECK(cbp_curve_chain(logistic, NULL, params, jacobian) == CBP_ERROR_NULL);
    CHECK(cbp_curve_chain(logistic, natural, NULL, jacobian) == CBP_ERROR_NULL);
    const cbp_real strangers[] = {R(NAN), R(INFINITY), -R(INFINITY)};
    for (size_t k = 0; k < 4; k++) {
        const cbp_real kept = natural[k];
        for (size_t i = 0; i < 3; i++) {
            natural[k] = strangers[i];
            CHECK(cbp_curve_chain(logistic, natural, params, jacobian) == CBP_ERROR_START);
        }
        natural[k] = kept;
    }
    natural[2] = 0;
    CHECK(cbp_curve_chain(logistic, natural, params, jacobian) == CBP_ERROR_START);
    natural[2] = -1;
    CHECK(cbp_curve_chain(logistic, natural, params, jacobian) == CBP_ERROR_START);
    natural[2] = 0; /* its scale, whose reciprocal is a weight */
    CHECK(cbp_curve_chain(scaled, natural, params, jacobian) == CBP_ERROR_START);
    CHECK(params[0] == 7 && jacobian[0] == 7);
}

/* ---- fits ------------------------------------------------------------------------------------ */

/* Whether natural parameters are those of the model. */
static int is_model(const model *m, const cbp_real *natural, double tolerance)
{
    int is = 1;
    for (size_t k = 0; k < parameters_of(m); k++) {
        is &= is_near((double)natural[k] / m->natural[k], 1, tolerance);
    }
    return is;
}

/* Exact data: their parameters are found, alone and among others, whose rows are shuffled. */
static void test_exact(void)
{
    for (size_t i = 0; i < MODELS; i++) {
        const model *m = &models[i];
        const size_t p = parameters_of(m);
        const cbp_fit_options options = options_for(m);
        cbp_real x[N], y[3 * N], params[PLACES];
        cbp_curve_facts facts = {0};
        fitted found;
        fill_inputs(m, N, x);
        for (size_t set = 0; set < 3; set++) {
            fill_targets(m, m->natural, N, x, y + set * N);
        }
        const cbp_examples examples = {x, y, NULL, N};
        CHECK(fit_curve(m, &examples, NULL, &options, &found) == CBP_OK);
        CHECK(found.result.outcome == CBP_CONVERGED && found.result.fixed_at == p);
        CHECK(found.result.iterations > 0 || found.result.loss < R(1e-20)); /* or the start is it */
        CHECK(found.result.evaluations > 0);
        CHECK(is_model(m, found.natural, EXACT));
        CHECK(found.result.df == R(N - p));
        CHECK(cbp_curve_describe(cbp_curve_named(m->name), &facts) == CBP_OK);
        CHECK(cbp_curve_chain(cbp_curve_named(m->name), found.natural, params, NULL) == CBP_OK);
        for (size_t k = 0; k < 2 * facts.layers; k++) {
            CHECK(near((double)params[k], (double)found.params[k], 0, 64));
        }
        for (size_t k = 0; k < p; k++) {
            CHECK(found.determined[k] == CBP_DETERMINED);
        }
        const cbp_example_sets sets = {x, y, NULL, N, 3, 0, 0};
        found_many many = fit_many(m, &sets, NULL, &options);
        for (size_t set = 0; set < 3; set++) {
            CHECK(many.fits.status[set] == CBP_CONVERGED);
            CHECK(is_model(m, many.fits.natural + set * p, EXACT));
        }
        release(&many);
    }
}

/* Every loss has its least value at exact data. */
static void test_losses(void)
{
    const model *m = find_model("exponential");
    cbp_real x[N], y[N];
    fill_inputs(m, N, x);
    fill_targets(m, m->natural, N, x, y);
    for (int kind = 0; kind < CBP_LOSS_END; kind++) {
        cbp_fit_options options = options_for(m);
        fitted found;
        options.loss = (cbp_loss){kind, R(0.3)};
        const cbp_examples examples = {x, y, NULL, N};
        const int status = fit_curve(m, &examples, NULL, &options, &found);
        CHECK(status == (kind == CBP_LOG_LOSS   ? CBP_ERROR_NO_SIGMOID
                         : kind == CBP_BINOMIAL ? CBP_ERROR_TARGET
                                                : CBP_OK));
        CHECK(status != CBP_OK || is_model(m, found.natural, 100 * EXACT));
    }
}

/* The closed form of a straight line: parameters, their covariance, and s^2. */
static void test_line(void)
{
    const model *m = find_model("linear");
    const cbp_fit_options options = options_for(m);
    cbp_real x[N], y[N];
    fitted found;
    double mean_x = 0, mean_y = 0, xx = 0, xy = 0, squares = 0;
    fill_inputs(m, N, x);
    fill_noisy(m, m->natural, 0.1, N, x, y);
    for (size_t i = 0; i < N; i++) {
        mean_x += (double)x[i] / N;
        mean_y += (double)y[i] / N;
    }
    for (size_t i = 0; i < N; i++) {
        xx += ((double)x[i] - mean_x) * ((double)x[i] - mean_x);
        xy += ((double)x[i] - mean_x) * ((double)y[i] - mean_y);
    }
    const double slope = xy / xx, intercept = mean_y - slope * mean_x;
    for (size_t i = 0; i < N; i++) {
        const double r = (double)y[i] - slope * (double)x[i] - intercept;
        squares += r * r;
    }
    const double s2 = squares / (N - 2);
    const cbp_examples examples = {x, y, NULL, N};
    CHECK(fit_curve(m, &examples, NULL, &options, &found) == CBP_OK);
    CHECK(is_near((double)found.natural[0], slope, 1e4 * EPSILON));
    CHECK(is_near((double)found.natural[1], intercept, 1e4 * EPSILON));
    CHECK(near((double)found.result.loss, squares / N, 0, 1e4));
    CHECK(near((double)found.result.rss, squares, 0, 1e4));
    CHECK(near((double)found.result.variance, s2, 0, 1e4));
    CHECK(near((double)found.covariance[0], s2 / xx, 0, 1e4));
    CHECK(near((double)found.covariance[1], -mean_x * s2 / xx, 0, 1e4));
    CHECK(same(found.covariance[1], found.covariance[2]));
    CHECK(near((double)found.covariance[3], s2 * (1.0 / N + mean_x * mean_x / xx), 0, 1e4));
    /* R'R = s^2 / covariance: its determinant is N xx */
    const double determinant = (double)found.triangle[0] * (double)found.triangle[4];
    CHECK(near(determinant * determinant, N * xx, 0, 1e4));
}

/* Each parameter fixed where it belongs, the others are found. */
static void test_fixed(void)
{
    for (size_t i = 0; i < MODELS; i++) {
        const model *m = &models[i];
        const size_t p = parameters_of(m);
        const cbp_fit_options options = options_for(m);
        cbp_real x[N], y[N];
        fill_inputs(m, N, x);
        fill_targets(m, m->natural, N, x, y);
        const cbp_examples examples = {x, y, NULL, N};
        const cbp_example_sets sets = {x, y, NULL, N, 1, 0, 0};
        for (size_t at = 0; at < p; at++) {
            cbp_real fixed[P];
            fitted found;
            for (size_t k = 0; k < P; k++) {
                fixed[k] = k == at ? R(m->natural[k]) : R(NAN);
            }
            CHECK(fit_curve(m, &examples, fixed, &options, &found) == CBP_OK);
            CHECK(is_model(m, found.natural, EXACT) && same(found.natural[at], fixed[at]));
            CHECK(found.result.df == R(N - p + 1));
            for (size_t k = 0; k < p; k++) {
                CHECK(found.determined[k] == (k == at ? CBP_FROZEN : CBP_DETERMINED));
                CHECK(found.covariance[at * p + k] == 0 && found.covariance[k * p + at] == 0);
            }
            found_many many = fit_many(m, &sets, fixed, &options);
            CHECK(many.fits.status[0] == CBP_CONVERGED);
            CHECK(is_model(m, many.fits.natural, EXACT));
            CHECK(same(many.fits.natural[at], fixed[at]));
            CHECK(many.fits.determined[at] == CBP_FROZEN && many.fits.standard_error[at] == 0);
            release(&many);
        }
    }
}

/* "logistic4" with bottom fixed at 0 is "hill": the same parameters, and the same covariance of
 * those that are not fixed. */
static void test_fixed_is_hill(void)
{
    const model *m = find_model("logistic4"), *other = find_model("hill");
    const cbp_fit_options options = options_for(m);
    const cbp_real fixed[] = {0, R(NAN), R(NAN), R(NAN)};
    cbp_real x[N], y[N];
    fitted found, hill_found;
    fill_inputs(other, N, x);
    fill_noisy(other, other->natural, 0.02, N, x, y);
    const cbp_examples examples = {x, y, NULL, N};
    CHECK(fit_curve(m, &examples, fixed, &options, &found) == CBP_OK);
    CHECK(fit_curve(other, &examples, NULL, &options, &hill_found) == CBP_OK);
    CHECK(is_near((double)(found.result.variance / hill_found.result.variance), 1, ALIKE));
    for (size_t k = 0; k < 3; k++) {
        CHECK(is_near((double)found.natural[k + 1], (double)hill_found.natural[k], ALIKE));
        for (size_t j = 0; j < 3; j++) {
            const double size = sqrt((double)hill_found.covariance[4 * k]) *
                                sqrt((double)hill_found.covariance[4 * j]);
            CHECK(fabs((double)(found.covariance[4 * (k + 1) + j + 1] -
                                hill_found.covariance[3 * k + j])) <= ALIKE_ERRORS * size);
        }
    }
}

/* At a bound the rest is the fit with that parameter fixed there, which is known in closed form. */
static void test_bounds(void)
{
    const model *m = find_model("michaelis_menten");
    cbp_fit_options options = options_for(m);
    const cbp_real lower[] = {-R(INFINITY), 2}, upper[] = {R(INFINITY), 1};
    cbp_real x[N], y[N];
    fitted found;
    fill_inputs(m, N, x);
    fill_noisy(m, m->natural, 0.02, N, x, y);
    const cbp_examples examples = {x, y, NULL, N};
    for (int is_upper = 0; is_upper < 2; is_upper++) {
        const double km = is_upper ? 1 : 2;
        double ff = 0, fy = 0;
        for (size_t i = 0; i < N; i++) {
            const double f = (double)x[i] / (km + (double)x[i]);
            ff += f * f;
            fy += f * (double)y[i];
        }
        options.lower = is_upper ? NULL : lower;
        options.upper = is_upper ? upper : NULL;
        CHECK(fit_curve(m, &examples, NULL, &options, &found) == CBP_OK);
        CHECK(found.result.outcome == CBP_CONVERGED);
        CHECK(near((double)found.natural[1], km, 0, 8));
        CHECK(found.determined[1] == CBP_AT_BOUND && found.determined[0] == CBP_DETERMINED);
        CHECK(is_near((double)found.natural[0], fy / ff, EXACT));
        const cbp_example_sets sets = {x, y, NULL, N, 1, 0, 0};
        found_many many = fit_many(m, &sets, NULL, &options);
        CHECK(many.fits.status[0] == CBP_CONVERGED);
        CHECK(many.fits.determined[1] == CBP_AT_BOUND && many.fits.standard_error[1] == 0);
        CHECK(is_near((double)many.fits.natural[0], fy / ff, EXACT));
        release(&many);
    }
}

/* A weight of 2 is the example twice, a weight of 0 leaves it out. */
static void test_weights(void)
{
    for (size_t i = 0; i < MODELS; i++) {
        const model *m = &models[i];
        const cbp_fit_options options = options_for(m);
        cbp_real x[N], y[N], weight[N], long_x[2 * N], long_y[2 * N];
        fitted weighted, repeated;
        size_t len = 0;
        fill_inputs(m, N, x);
        fill_noisy(m, m->natural, 0.02, N, x, y);
        for (size_t k = 0; k < N; k++) {
            weight[k] = R(k % 7 == 3 ? 0 : 1 + k % 2);
            for (int times = 0; times < (int)weight[k]; times++) {
                long_x[len] = x[k];
                long_y[len++] = y[k];
            }
        }
        const cbp_examples with = {x, y, weight, N}, without = {long_x, long_y, NULL, len};
        CHECK(fit_curve(m, &with, NULL, &options, &weighted) == CBP_OK);
        /* one sum, not two that differ by rounding */
        CHECK(m->loss != CBP_SQUARED ||
              same(weighted.result.rss, weighted.result.loss * weighted.result.weight));
        CHECK(fit_curve(m, &without, NULL, &options, &repeated) == CBP_OK);
        for (size_t k = 0; k < parameters_of(m); k++) {
            const double size = sqrt((double)weighted.covariance[k * (parameters_of(m) + 1)]);
            const double by = scale_of(m, k, weighted.natural);
            CHECK(fabs((double)(weighted.natural[k] - repeated.natural[k])) <=
                  ALIKE * 100 * (size * by + fabs((double)weighted.natural[k])));
        }
    }
}

/* Of two descriptions of a "logistic4", the one with bottom <= top: from falling data, and from
 * parameters that have it the other way round. */
static void test_mirror(void)
{
    const model *m = find_model("logistic4");
    const cbp_fit_options options = options_for(m);
    const double rising[] = {0.3, 2.2, 1.6, 1.3}, turned[] = {2.2, 0.3, 1.6, 1.3};
    cbp_real x[N], y[2 * N];
    fill_inputs(m, N, x);
    fill_targets(m, rising, N, x, y);
    fill_targets(m, turned, N, x, y + N);
    const cbp_example_sets sets = {x, y, NULL, N, 2, 0, 0};
    found_many many = fit_many(m, &sets, NULL, &options);
    for (size_t set = 0; set < 2; set++) {
        const cbp_examples examples = {x, y + set * N, NULL, N};
        fitted found;
        CHECK(fit_curve(m, &examples, NULL, &options, &found) == CBP_OK);
        for (size_t k = 0; k < 4; k++) {
            const double sign = k == 3 && set == 1 ? -1 : 1;
            CHECK(is_near((double)found.natural[k], sign * rising[k], EXACT));
            CHECK(is_near((double)many.fits.natural[set * 4 + k], sign * rising[k], EXACT));
        }
    }
    release(&many);

    /* with bottom fixed at the larger value it stays so */
    const cbp_real fixed[] = {R(2.2), R(NAN), R(NAN), R(NAN)};
    const cbp_examples falling = {x, y + N, NULL, N};
    fitted found;
    CHECK(fit_curve(m, &falling, fixed, &options, &found) == CBP_OK);
    for (size_t k = 0; k < 4; k++) {
        CHECK(is_near((double)found.natural[k], turned[k], EXACT));
    }
}

/* With its limits exchanged "weibull_type1" is "weibull_type2": from data of either both find
 * lower <= upper, alone and among others, unless a limit is fixed. */
static void test_ordered(void)
{
    const model *const types[] = {find_model("weibull_type1"), find_model("weibull_type2"),
                                  find_model("gompertz4")};
    for (size_t type = 0; type < 3; type++) {
        const model *m = types[type];
        const cbp_fit_options options = options_for(m);
        const double rising[] = {-1.3, 0.3, 2.2, 1.6}, falling[] = {1.3, 0.3, 2.2, 1.6},
                     up[] = {-1.3, 2.2, 0.3, 1.6}, down[] = {1.3, 2.2, 0.3, 1.6};
        const double *const sets_of[] = {rising, falling, up, down};
        cbp_real x[N], y[4 * N];
        fill_inputs(m, N, x);
        for (size_t set = 0; set < 4; set++) {
            fill_targets(m, sets_of[set], N, x, y + set * N);
        }
        const cbp_example_sets sets = {x, y, NULL, N, 4, 0, 0};
        found_many many = fit_many(m, &sets, NULL, &options);
        for (size_t set = 0; set < 4; set++) {
            const cbp_examples examples = {x, y + set * N, NULL, N};
            const cbp_real *among = many.fits.natural + set * 4;
            const cbp_real fixed[] = {R(NAN), R(sets_of[set][1]), R(NAN), R(NAN)};
            fitted found;
            CHECK(fit_curve(m, &examples, NULL, &options, &found) == CBP_OK);
            CHECK(found.natural[1] < found.natural[2] && among[1] < among[2]);
            CHECK(is_near((double)many.fits.loss[set], (double)found.result.loss, ALIKE));
            CHECK(set < 2 || found.result.loss > R(1e-5));
            for (size_t k = 0; k < 4 && set < 2; k++) {
                CHECK(is_near((double)found.natural[k], sets_of[set][k], EXACT));
                CHECK(is_near((double)among[k], sets_of[set][k], EXACT));
            }
            CHECK(fit_curve(m, &examples, fixed, &options, &found) == CBP_OK);
            for (size_t k = 0; k < 4; k++) {
                CHECK(is_near((double)found.natural[k], sets_of[set][k], 10 * EXACT));
            }
        }
        release(&many);
    }
}

/* A dose of 0 has the logarithm -infinity; infinite doses are refused. */
static void test_log_doses(void)
{
    const model *m = find_model("logistic4_log10"), *other = find_model("logistic4");
    const cbp_fit_options options = options_for(m);
    cbp_real x[N], dose[N], y[N];
    fitted found, expected;
    fill_inputs(m, N, x);
    fill_noisy(m, m->natural, 0.02, N, x, y);
    for (size_t i = 0; i < N; i++) {
        x[i] = i < 3 ? -R(INFINITY) : x[i];
        dose[i] = i < 3 ? 0 : R(pow(10, (double)x[i]));
    }
    const cbp_examples examples = {x, y, NULL, N}, doses = {dose, y, NULL, N};
    CHECK(fit_curve(m, &examples, NULL, &options, &found) == CBP_OK);
    CHECK(fit_curve(other, &doses, NULL, &options, &expected) == CBP_OK);
    CHECK(is_near((double)(found.result.loss / expected.result.loss), 1, ALIKE));
    CHECK(is_near((double)found.natural[2], log10((double)expected.natural[2]), EXACT));
    const cbp_example_sets sets = {x, y, NULL, N, 1, 0, 0};
    found_many many = fit_many(m, &sets, NULL, &options);
    CHECK(many.fits.status[0] == CBP_CONVERGED);
    CHECK(is_near((double)(many.fits.loss[0] / expected.result.loss), 1, ALIKE));
    release(&many);
    CHECK(fit_curve(find_model("logistic4_linear"), &examples, NULL, &options, &found) ==
          CBP_ERROR_DATA);
    for (int is_y = 0; is_y < 2; is_y++) {
        cbp_real *bad = is_y ? &y[5] : &x[5];
        const cbp_real kept = *bad;
        *bad = R(INFINITY);
        CHECK(fit_curve(m, &examples, NULL, &options, &found) == CBP_ERROR_DATA);
        many = fit_many(m, &sets, NULL, &options);
        CHECK(many.fits.status[0] == CBP_ERROR_DATA);
        release(&many);
        *bad = kept;
    }
}

/* Where bounds keep the images apart the least loss decides: falling data with a slope that must be
 * positive, and with bounds that only the image with bottom > top keeps; the order decides where a
 * bound holds one plateau, which the other image would escape. */
static void test_mirror_bounds(void)
{
    const model *m = find_model("logistic4");
    const cbp_real inf = R(INFINITY);
    const struct {
        double made[4];
        cbp_real lower[4], upper[4];
        int is_exact, bound; /* bound: the plateau that ends at its bound */
    } cases[] = {
        {{100, 2, 1.6, 1.3}, {-inf, -inf, 0, 0}, {inf, inf, inf, inf}, 1, 0},
        {{100, 2, 1.6, 1.3}, {80, -inf, 0, -inf}, {120, inf, inf, inf}, 1, 0},
        {{2, 100, 1.6, -1.3}, {-inf, -inf, 0, -inf}, {inf, inf, inf, 0}, 1, 0},
        {{2, 100, 1.6, -1.3}, {4, -inf, 0, -inf}, {inf, inf, inf, inf}, 0, 0},
        {{2, 100, 1.6, 1.3}, {-inf, -inf, 0, -inf}, {inf, 95, inf, inf}, 0, 1},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        cbp_fit_options options = options_for(m);
        cbp_real x[N], y[N];
        fill_inputs(m, N, x);
        fill_targets(m, cases[c].made, N, x, y);
        options.lower = cases[c].lower;
        options.upper = cases[c].upper;
        const cbp_examples examples = {x, y, NULL, N};
        const cbp_example_sets sets = {x, y, NULL, N, 1, 0, 0};
        fitted found;
        found_many many = fit_many(m, &sets, NULL, &options);
        CHECK(fit_curve(m, &examples, NULL, &options, &found) == CBP_OK);
        for (size_t k = 0; k < 4; k++) {
            const double made = cases[c].made[k];
            CHECK(!cases[c].is_exact || is_near((double)found.natural[k], made, EXACT));
            CHECK(is_near((double)many.fits.natural[k], (double)found.natural[k], ALIKE));
        }
        const int at = cases[c].bound;
        CHECK(cases[c].is_exact ||
              (found.determined[at] == CBP_AT_BOUND && found.natural[at] == (at == 0 ? 4 : 95) &&
               found.natural[0] < found.natural[1]));
        release(&many);
    }
}

/* Exponential growth is the limit of a logistic curve whose asymptote and midpoint grow: the fit
 * says so, and is as good as the limit. */
static void test_no_minimum(void)
{
    const model *m = find_model("logistic3");
    const cbp_fit_options options = options_for(m);
    cbp_real x[N], y[N];
    double squares = 0;
    fitted found;
    for (size_t i = 0; i < N; i++) {
        x[i] = R(i) / 4;
        y[i] = R(0.3 * exp(0.5 * (double)x[i]));
        squares += (double)y[i] * (double)y[i] / N;
    }
    const cbp_examples examples = {x, y, NULL, N};
    CHECK(fit_curve(m, &examples, NULL, &options, &found) == CBP_OK);
    CHECK(found.result.outcome == CBP_EXHAUSTED);
    CHECK(found.determined[0] == CBP_DIVERGES && found.determined[1] == CBP_DIVERGES);
    CHECK(found.result.fixed_at < 3 && isinf((double)found.covariance[0]));
    CHECK(is_near((double)found.natural[2], 2, sizeof(cbp_real) == 4 ? 1e-2 : 1e-5));
    CHECK((double)found.result.loss <= (sizeof(cbp_real) == 4 ? 1e-6 : 1e-12) * squares);
}

/* The quasi-likelihood of a power, and a transform of both sides: of exact data the curve itself,
 * with weights and without. A power of 1 and more needs targets above 0. */
static void test_powers(void)
{
    const model *m = find_model("logistic4");
    const cbp_real scales[] = {R(0.5), 1}, zero[N] = {0};
    cbp_real x[N], y[N], weight[N];
    fitted found;
    fill_inputs(m, N, x);
    for (size_t i = 0; i < N; i++) {
        y[i] = R(m->value(m->natural, (double)x[i]));
        weight[i] = R(1 + i % 3);
    }
    for (size_t i = 0; i < 8; i++) {
        const cbp_examples examples = {x, y, i & 2 ? weight : NULL, N};
        cbp_fit_options options = options_for(m);
        options.loss = (cbp_loss){i & 1 ? CBP_POWER : CBP_BOX_COX, scales[i / 4]};
        CHECK(fit_curve(m, &examples, NULL, &options, &found) == CBP_OK);
        CHECK(found.result.outcome == CBP_CONVERGED);
        for (size_t k = 0; k < 4; k++) {
            CHECK(is_near((double)found.natural[k], m->natural[k],
                          sizeof(cbp_real) == 4 ? 1e-2 : 1e-6));
        }
    }
    const cbp_examples none = {x, zero, NULL, N};
    cbp_fit_options options = options_for(m);
    options.loss = (cbp_loss){CBP_POWER, 1};
    CHECK(fit_curve(m, &none, NULL, &options, &found) == CBP_ERROR_TARGET);
    options.loss = (cbp_loss){CBP_BOX_COX, 0};
    CHECK(fit_curve(m, &none, NULL, &options, &found) == CBP_ERROR_TARGET);
}

int main(void)
{
    test_facts();
    test_chains();
    test_chain_refused();
    test_exact();
    test_losses();
    test_powers();
    test_line();
    test_fixed();
    test_fixed_is_hill();
    test_bounds();
    test_weights();
    test_mirror();
    test_ordered();
    test_log_doses();
    test_mirror_bounds();
    test_no_minimum();
    return check_done("test_curve");
}
