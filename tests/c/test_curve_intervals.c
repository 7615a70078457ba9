/* Intervals of fitted curves against published quantiles, the formulas of a straight line, and
 * finite differences of the curves' formulas. */
#include "curve_call.h"

#ifdef CBP_SINGLE
#define DIGITS 2e-3
#define QUANTILE_DIGITS 1e-4
#else
#define DIGITS 1e-6
#define QUANTILE_DIGITS 1e-12
#endif

static int is_close(double a, double b, double tolerance)
{
    return fabs(a - b) <= tolerance * fmax(fabs(a), fabs(b));
}

/* ---- quantiles ------------------------------------------------------------------------------- */

static void test_quantiles(void)
{
    /* by mpmath, to 17 digits; the first three are in every table */
    static const double known[][3] = {
        {0.975, 10, 2.2281388519862742},  {0.995, 30, 2.7499956535672250},
        {0.975, 120, 1.9799304050824405}, {0.975, 1, 12.706204736174693},
        {0.9, 2, 1.8856180831641270},     {0.25, 5, -0.72668684380042265},
        {0.95, 0.5, 41.136000092878202},  {0.975, 1e9, 1.9599639869123251}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        CHECK(is_close((double)cbp_t_quantile(R(known[i][0]), R(known[i][1])), known[i][2],
                       QUANTILE_DIGITS));
    }
    CHECK(is_close((double)cbp_t_quantile(R(0.975), R(INFINITY)), 1.9599639845400545,
                   QUANTILE_DIGITS));
    CHECK(is_close((double)cbp_t_quantile(R(1e-13), R(INFINITY)), -7.3487961028006775,
                   QUANTILE_DIGITS));
    CHECK(cbp_t_quantile(R(0.5), 3) == 0);
    static const double refused[][2] = {{0, 1},   {1, 1},    {-1, 1},    {2, 1},
                                        {0.9, 0}, {0.9, -1}, {0.9, NAN}, {NAN, 1}};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        CHECK(isnan(cbp_t_quantile(R(refused[i][0]), R(refused[i][1]))));
    }
}

/* ---- fits ------------------------------------------------------------------------------------ */

static const char not_one_to_one[] = " gaussian_peak gaussian_peak_baseline no_effect_dose ",
                  without_limit[] = " linear power exponential_growth freundlich ",
                  from_0[] = " exponential saturation asymptotic asymptotic_regression ";

static int is_one_of(const model *m, const char *names)
{
    const size_t length = strlen(m->name);
    for (const char *at = strstr(names, m->name); at; at = strstr(at + 1, m->name)) {
        if (at[-1] == ' ' && at[length] == ' ') {
            return 1;
        }
    }
    return 0;
}

/* The fit of data with errors, and what intervals are made of. */
typedef struct fit {
    fitted found;
    cbp_curve_inference inference;
} fit;

static void fit_noisy(const model *m, double noise, fit *to)
{
    cbp_real x[N], y[N];
    const cbp_fit_options options = options_for(m);
    check_state = 31;
    fill_inputs(m, N, x);
    fill_noisy(m, m->natural, noise, N, x, y);
    CHECK(fit_curve(m, &(cbp_examples){x, y, NULL, N}, NULL, &options, &to->found) == CBP_OK);
    to->inference = (cbp_curve_inference){.curve = cbp_curve_named(m->name),
                                          .result = &to->found.result,
                                          .loss = m->loss,
                                          .level = R(0.9)};
}

/* The derivatives of a curve by the coordinates, by central differences of its formula. */
static void slopes_at(const model *m, const cbp_real *natural, double x, double *slopes)
{
    for (size_t k = 0; k < parameters_of(m); k++) {
        double ends[2], moved[P], step = 0;
        for (int i = 0; i < 2; i++) {
            for (size_t j = 0; j < parameters_of(m); j++) {
                moved[j] = (double)natural[j];
            }
            step = 1e-5 * (fabs(moved[k]) + 1e-3);
            moved[k] += i ? -step : step;
            ends[i] = m->value(moved, x);
        }
        slopes[k] = (ends[0] - ends[1]) / (2 * step) * scale_of(m, k, natural);
    }
}

/* The standard error of a number with these derivatives, by the covariance that the fit reports. */
static double error_of(const fitted *found, size_t p, const double *slopes)
{
    double variance = 0;
    for (size_t i = 0; i < p; i++) {
        for (size_t j = 0; j < p; j++) {
            variance += slopes[i] * (double)found->covariance[i * p + j] * slopes[j];
        }
    }
    return sqrt(variance);
}

static double error_at(const model *m, const fitted *found, double x)
{
    double slopes[P];
    slopes_at(m, found->natural, x, slopes);
    return error_of(found, parameters_of(m), slopes);
}

/* The quantile of a fit at the level 0.9; that of the core is tested above. */
static double quantile_of(const model *m, const fitted *found)
{
    return (double)cbp_t_quantile(R(0.95),
                                  m->loss == CBP_LOG_LOSS ? R(INFINITY) : found->result.df);
}

/* ---- bands ----------------------------------------------------------------------------------- */

static void test_bands(void)
{
    for (size_t i = 0; i < MODELS; i++) {
        const model *m = &models[i];
        enum { POINTS = 5 };
        cbp_real x[POINTS], value[POINTS], error[POINTS], low[POINTS], high[POINTS],
            single_low[POINTS], single_high[POINTS];
        const cbp_curve_band band = {value, error, low, high, single_low, single_high};
        fit f;
        fit_noisy(m, 0.02, &f);
        const fitted *found = &f.found;
        fill_inputs(m, POINTS, x);
        CHECK(cbp_curve_predict(&f.inference, x, POINTS, R(0.5), &band) == CBP_OK);
        const double t = quantile_of(m, found);
        double natural[P];
        for (size_t k = 0; k < P; k++) {
            natural[k] = (double)found->natural[k];
        }
        for (size_t j = 0; j < POINTS; j++) {
            const double expected = m->value(natural, (double)x[j]),
                         own = error_at(m, found, (double)x[j]),
                         single = sqrt(own * own + (double)found->result.variance / 0.5);
            CHECK(is_near((double)value[j], expected, DIGITS));
            CHECK(is_close((double)error[j], own, 50 * DIGITS));
            CHECK(is_near((double)(high[j] - value[j]), t * (double)error[j], DIGITS));
            CHECK(is_near((double)(value[j] - low[j]), t * (double)error[j], DIGITS));
            if (m->loss == CBP_LOG_LOSS) {
                CHECK(isnan(single_low[j]) && isnan(single_high[j]));
            } else {
                CHECK(is_near((double)single_high[j], expected + t * single, 5 * DIGITS));
                CHECK(is_near((double)single_low[j], expected - t * single, 5 * DIGITS));
            }
        }
        const cbp_curve_band values = {.value = error}, nothing = {0};
        CHECK(cbp_curve_predict(&f.inference, x, POINTS, 1, &values) == CBP_OK);
        CHECK(same_all(error, value, POINTS));
        CHECK(cbp_curve_predict(&f.inference, x, POINTS, 1, &nothing) == CBP_OK);
        CHECK(cbp_curve_predict(&f.inference, NULL, 0, 1, &nothing) == CBP_OK);
    }
}

/* ---- parameters ------------------------------------------------------------------------------ */

/* The variance of an observation is in proportion to a power of the curve. */
static void test_power_of_the_curve(void)
{
    const model *m = find_model("logistic4");
    const double powers[] = {1, 2, -0.5};
    fit f;
    fit_noisy(m, 0.02, &f);
    for (size_t i = 0; i < sizeof powers / sizeof *powers; i++) {
        cbp_real x[3], value[3], error[3], low[3], high[3], single_low[3], single_high[3];
        const cbp_curve_band band = {value, error, low, high, single_low, single_high};
        const double t = quantile_of(m, &f.found);
        fill_inputs(m, 3, x);
        f.inference.variance_power = R(powers[i]);
        CHECK(cbp_curve_predict(&f.inference, x, 3, 2, &band) == CBP_OK);
        for (size_t j = 0; j < 3; j++) {
            const double spread = pow(fabs((double)value[j]), powers[i]),
                         variance = (double)f.found.result.variance * spread / 2,
                         single = sqrt((double)error[j] * (double)error[j] + variance);
            CHECK(is_near((double)single_high[j], (double)value[j] + t * single, 5 * DIGITS));
            CHECK(is_near((double)single_low[j], (double)value[j] - t * single, 5 * DIGITS));
        }
    }
}

static void test_parameters(void)
{
    for (size_t i = 0; i < MODELS; i++) {
        const model *m = &models[i];
        const size_t p = parameters_of(m);
        cbp_real low[P], high[P];
        fit f;
        fit_noisy(m, 0.02, &f);
        const double t = quantile_of(m, &f.found);
        for (int kind = CBP_INTERVAL_LOG; kind <= CBP_INTERVAL_WALD; kind++) {
            f.inference.interval = kind;
            CHECK(cbp_curve_intervals(&f.inference, low, high) == CBP_OK);
            for (size_t k = 0; k < p; k++) {
                const double natural = (double)f.found.natural[k],
                             own = t * sqrt((double)f.found.covariance[k * p + k]);
                if (m->positive[k] == '1' && kind == CBP_INTERVAL_LOG) {
                    CHECK(is_close((double)low[k], natural * exp(-own), DIGITS));
                    CHECK(is_close((double)high[k], natural * exp(own), DIGITS));
                } else {
                    const double reach = own * scale_of(m, k, f.found.natural);
                    CHECK(is_near((double)low[k], natural - reach, DIGITS));
                    CHECK(is_near((double)high[k], natural + reach, DIGITS));
                }
            }
        }
        f.inference.interval = CBP_INTERVAL_FIELLER;
        CHECK(cbp_curve_intervals(&f.inference, low, high) == CBP_ERROR_OPTION);
    }
}

/* ---- inverses -------------------------------------------------------------------------------- */

/* By which part of the band's half width the curve at an end differs from what was given: 1. */
static double part_at(const model *m, const fitted *found, double y, double extra, double x)
{
    double natural[P];
    for (size_t k = 0; k < P; k++) {
        natural[k] = (double)found->natural[k];
    }
    const double own = error_at(m, found, x);
    return fabs(m->value(natural, x) - y) / (quantile_of(m, found) * sqrt(own * own + extra));
}

static void test_inverses(void)
{
    for (size_t i = 0; i < MODELS; i++) {
        const model *m = &models[i];
        cbp_real value, error, low, high, weight = 3;
        const cbp_curve_inputs inputs = {&value, &error, &low, &high};
        double natural[P];
        fit f;
        fit_noisy(m, 0.02, &f);
        for (size_t k = 0; k < P; k++) {
            natural[k] = (double)f.found.natural[k];
        }
        const double middle = m->is_log_x ? sqrt(m->low * m->high) : (m->low + m->high) / 2;
        const cbp_real y = R(m->value(natural, middle));
        if (is_one_of(m, not_one_to_one)) {
            CHECK(cbp_curve_invert(&f.inference, &y, NULL, 1, &inputs) == CBP_ERROR_NOT_INVERTIBLE);
            continue;
        }
        for (int has_weight = 0; has_weight < 1 + (m->loss != CBP_LOG_LOSS); has_weight++) {
            const cbp_real *given = has_weight ? &weight : NULL;
            const double extra = has_weight ? (double)f.found.result.variance / 3 : 0,
                         step = 1e-5 * (fabs(middle) + 0.01), own = error_at(m, &f.found, middle),
                         slope =
                             (m->value(natural, middle + step) - m->value(natural, middle - step)) /
                             (2 * step),
                         expected = sqrt(own * own + extra) / fabs(slope),
                         reach = quantile_of(m, &f.found) * expected;
            f.inference.interval = CBP_INTERVAL_WALD;
            CHECK(cbp_curve_invert(&f.inference, &y, given, 1, &inputs) == CBP_OK);
            CHECK(is_near((double)value, middle, 5 * DIGITS));
            CHECK(is_close((double)error, expected, 50 * DIGITS));
            CHECK(is_near((double)low, middle - reach, 50 * DIGITS));
            CHECK(is_near((double)high, middle + reach, 50 * DIGITS));
            f.inference.interval = CBP_INTERVAL_LOG;
            CHECK(cbp_curve_invert(&f.inference, &y, given, 1, &inputs) == CBP_OK);
            if (m->is_of_positive) {
                CHECK(is_close((double)low, middle * exp(-reach / middle), 50 * DIGITS));
                CHECK(is_close((double)high, middle * exp(reach / middle), 50 * DIGITS));
            } else {
                CHECK(is_near((double)low, middle - reach, 50 * DIGITS));
            }
            f.inference.interval = CBP_INTERVAL_FIELLER;
            CHECK(cbp_curve_invert(&f.inference, &y, given, 1, &inputs) == CBP_OK);
            CHECK(low < value && value < high);
            const cbp_real ends[] = {low, high};
            for (size_t j = 0; j < 2; j++) {
                CHECK(is_close(part_at(m, &f.found, (double)y, extra, (double)ends[j]), 1,
                               50 * DIGITS));
            }
        }
    }
}

/* Fieller's theorem for a line: (y - mean - slope u)^2 = t^2 s^2 (1 / n + 1 / w + u^2 / spread), u
 * the distance from the mean input. */
static void test_lines(void)
{
    static const double sizes[] = {0.05, 2};
    const model *m = find_model("linear");
    for (size_t i = 0; i < 2; i++) {
        cbp_real x[N], y[N], value, error, low, high;
        const cbp_curve_inputs inputs = {&value, &error, &low, &high};
        const cbp_fit_options options = options_for(m);
        double sum = 0, mean_x = 0, spread = 0;
        fit f;
        fill_inputs(m, N, x);
        for (size_t k = 0; k < N; k++) {
            y[k] = R(1 + 0.7 * (double)x[k] + sizes[i] * cos(5.0 * (double)k));
            sum += (double)y[k];
            mean_x += (double)x[k] / N;
        }
        for (size_t k = 0; k < N; k++) {
            spread += ((double)x[k] - mean_x) * ((double)x[k] - mean_x);
        }
        CHECK(fit_curve(m, &(cbp_examples){x, y, NULL, N}, NULL, &options, &f.found) == CBP_OK);
        f.inference = (cbp_curve_inference){.curve = cbp_curve_named("linear"),
                                            .result = &f.found.result,
                                            .interval = CBP_INTERVAL_FIELLER,
                                            .level = R(0.9)};
        const cbp_real given = 2, weight = 2;
        CHECK(cbp_curve_invert(&f.inference, &given, &weight, 1, &inputs) == CBP_OK);
        const double t = quantile_of(m, &f.found), s2 = t * t * (double)f.found.result.variance,
                     slope = (double)f.found.natural[0], rest = 2 - sum / N,
                     a = slope * slope - s2 / spread, b = -2 * slope * rest,
                     c = rest * rest - s2 * (1.0 / N + 0.5), root = sqrt(b * b - 4 * a * c);
        CHECK(is_near((double)low, mean_x + (-b - root) / (2 * a), DIGITS));
        CHECK(is_near((double)high, mean_x + (-b + root) / (2 * a), DIGITS));
    }
}

/* A response beyond the plateau: no dose gives it, but the data do not tell it from those of all
 * doses below some. */
static void test_a_plateau(void)
{
    const model *m = find_model("logistic4"); /* falls from its top, at dose 0 */
    cbp_real value, error, low, high;
    const cbp_curve_inputs inputs = {&value, &error, &low, &high};
    fit f;
    fit_noisy(m, 0.02, &f);
    const double top = (double)f.found.natural[1],
                 reach = quantile_of(m, &f.found) * sqrt((double)f.found.covariance[5]);
    const cbp_real near = R(top + 0.5 * reach), beyond = R(top + 2 * reach);
    CHECK(cbp_curve_invert(&f.inference, &near, NULL, 1, &inputs) == CBP_OK);
    CHECK(isnan(value) && isnan(error) && isnan(low) && isnan(high));
    f.inference.interval = CBP_INTERVAL_FIELLER;
    CHECK(cbp_curve_invert(&f.inference, &near, NULL, 1, &inputs) == CBP_OK);
    CHECK(isnan(value) && low == 0);
    CHECK(is_close(part_at(m, &f.found, (double)near, 0, (double)high), 1, 50 * DIGITS));
    const cbp_real within = R(top - 0.5 * reach);
    CHECK(cbp_curve_invert(&f.inference, &within, NULL, 1, &inputs) == CBP_OK);
    CHECK(low == 0 && value > 0 && high > value);
    CHECK(cbp_curve_invert(&f.inference, &beyond, NULL, 1, &inputs) == CBP_OK);
    CHECK(isnan(value) && isnan(low) && isnan(high));
}

/* A line whose slope may be 0: no input is ruled out. */
static void test_no_slope(void)
{
    const model *m = find_model("linear");
    const cbp_real x[] = {0, 1, 2, 3, 4, 5}, y[] = {1, -1, 1, R(-0.9), 1, -1}, given = 0;
    cbp_real low, high;
    const cbp_curve_inputs inputs = {.low = &low, .high = &high};
    const cbp_fit_options options = options_for(m);
    fit f;
    CHECK(fit_curve(m, &(cbp_examples){x, y, NULL, 6}, NULL, &options, &f.found) == CBP_OK);
    f.inference = (cbp_curve_inference){.curve = cbp_curve_named("linear"),
                                        .result = &f.found.result,
                                        .interval = CBP_INTERVAL_FIELLER,
                                        .level = R(0.9)};
    CHECK(cbp_curve_invert(&f.inference, &given, NULL, 1, &inputs) == CBP_OK);
    CHECK(isinf(low) && low < 0 && isinf(high) && high > 0);
}

/* ---- effective doses ------------------------------------------------------------------------- */

/* Where a fraction of the change from the first limit to the last is reached, by halving. */
static double dose_of(const model *m, const double *natural, double fraction)
{
    const int is_log = m->is_of_positive;
    double low = is_log ? 1e-12 : -300, high = is_log ? 1e12 : 300;
    low = is_one_of(m, from_0) ? 0 : low;
    const double first = m->value(natural, is_log ? 1e-300 : low),
                 last = m->value(natural, is_log ? 1e300 : high),
                 target = first + fraction * (last - first);
    for (int i = 0; i < 200; i++) {
        const double middle = is_log ? sqrt(low * high) : (low + high) / 2;
        if ((m->value(natural, middle) < target) == (first < last)) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

static void test_effective_doses(void)
{
    const cbp_real fractions[] = {R(0.1), R(0.5), R(0.9)};
    for (size_t i = 0; i < MODELS; i++) {
        const model *m = &models[i];
        const size_t p = parameters_of(m);
        cbp_real value[3], error[3], low[3], high[3];
        const cbp_curve_inputs inputs = {value, error, low, high};
        fit f;
        fit_noisy(m, 0.02, &f);
        f.inference.interval = CBP_INTERVAL_WALD;
        const int status = cbp_curve_effective_dose(&f.inference, fractions, 3, &inputs);
        if (is_one_of(m, not_one_to_one) || is_one_of(m, without_limit)) {
            CHECK(status ==
                  (is_one_of(m, without_limit) ? CBP_ERROR_LIMIT : CBP_ERROR_NOT_INVERTIBLE));
            continue;
        }
        CHECK(status == CBP_OK);
        for (size_t j = 0; j < 3; j++) {
            double natural[P], slopes[P];
            for (size_t k = 0; k < p; k++) {
                natural[k] = (double)f.found.natural[k];
            }
            const double dose = dose_of(m, natural, (double)fractions[j]);
            CHECK(is_near((double)value[j], dose, 5 * DIGITS));
            for (size_t k = 0; k < p; k++) {
                const double kept = natural[k], step = 1e-5 * fabs(kept);
                natural[k] = kept + step;
                slopes[k] = dose_of(m, natural, (double)fractions[j]);
                natural[k] = kept - step;
                slopes[k] -= dose_of(m, natural, (double)fractions[j]);
                natural[k] = kept;
                slopes[k] *= scale_of(m, k, f.found.natural) / (2 * step);
            }
            const double own = error_of(&f.found, p, slopes),
                         reach = quantile_of(m, &f.found) * (double)error[j];
            CHECK(is_close((double)error[j], own, 100 * DIGITS));
            CHECK(is_near((double)low[j], (double)value[j] - reach, 5 * DIGITS));
            CHECK(is_near((double)high[j], (double)value[j] + reach, 5 * DIGITS));
        }
    }
}

/* ---- a covariance that is given, and what is not determined ---------------------------------- */

static void test_another_covariance(void)
{
    const model *m = find_model("logistic4");
    cbp_real other[P * P], x = 2, y = R(1.3), own, given, half = R(0.5);
    const cbp_curve_band band = {.standard_error = &own};
    const cbp_curve_inputs inputs = {.standard_error = &given};
    fit f;
    fit_noisy(m, 0.02, &f);
    CHECK(cbp_curve_predict(&f.inference, &x, 1, 1, &band) == CBP_OK);
    const double once = (double)own;
    for (size_t k = 0; k < 16; k++) {
        other[k] = 4 * f.found.covariance[k];
    }
    f.inference.covariance = other;
    CHECK(cbp_curve_predict(&f.inference, &x, 1, 1, &band) == CBP_OK);
    CHECK(is_close((double)own, 2 * once, 50 * DIGITS));
    other[2 * 4 + 2] = R(INFINITY); /* of log ec50, which nothing determines then */
    CHECK(cbp_curve_predict(&f.inference, &x, 1, 1, &band) == CBP_OK);
    CHECK(isinf(own));
    CHECK(cbp_curve_invert(&f.inference, &y, NULL, 1, &inputs) == CBP_OK);
    CHECK(isinf(given));
    CHECK(cbp_curve_effective_dose(&f.inference, &half, 1, &inputs) == CBP_OK);
    CHECK(isinf(given));
}

/* All on a plateau: there are no doses of an effect, and no end to their intervals. */
static void test_undetermined(void)
{
    static const int kinds[] = {CBP_INTERVAL_LOG, CBP_INTERVAL_WALD, CBP_INTERVAL_FIELLER};
    const model *m = find_model("hill");
    const cbp_real x[] = {100, 200, 300, 400, 500, 600},
                   y[] = {1, R(1.1), R(0.9), 1, R(1.1), R(0.9)};
    cbp_real value, error, low, high, lows[P], highs[P], half = R(0.5);
    const cbp_curve_inputs inputs = {&value, &error, &low, &high};
    const cbp_fit_options options = options_for(m);
    fit f;
    CHECK(fit_curve(m, &(cbp_examples){x, y, NULL, 6}, NULL, &options, &f.found) == CBP_OK);
    CHECK(f.found.determined[1] == CBP_UNDETERMINED || f.found.determined[1] == CBP_DIVERGES);
    f.inference = (cbp_curve_inference){
        .curve = cbp_curve_named("hill"), .result = &f.found.result, .level = R(0.9)};
    CHECK(cbp_curve_intervals(&f.inference, lows, highs) == CBP_OK);
    CHECK(lows[1] == 0 && isinf(highs[1]));
    for (size_t i = 0; i < 3; i++) {
        f.inference.interval = kinds[i];
        CHECK(cbp_curve_effective_dose(&f.inference, &half, 1, &inputs) == CBP_OK);
        CHECK(isinf(error) && isinf(high) && high > 0);
        CHECK(kinds[i] == CBP_INTERVAL_WALD ? isinf(low) && low < 0 : low == 0);
    }
}

/* As many examples as parameters leave nothing to tell the errors from. */
static void test_no_degrees_of_freedom(void)
{
    const model *m = find_model("linear");
    const cbp_real x[] = {0, 1}, y[] = {1, 3}, at = 2;
    cbp_real value, error, low, high;
    const cbp_curve_inputs inputs = {&value, &error, &low, &high};
    const cbp_fit_options options = options_for(m);
    fit f;
    CHECK(fit_curve(m, &(cbp_examples){x, y, NULL, 2}, NULL, &options, &f.found) == CBP_OK);
    f.inference = (cbp_curve_inference){
        .curve = cbp_curve_named("linear"), .result = &f.found.result, .level = R(0.9)};
    for (int kind = 0; kind < CBP_INTERVAL_END; kind++) {
        f.inference.interval = kind;
        CHECK(cbp_curve_invert(&f.inference, &at, NULL, 1, &inputs) == CBP_OK);
        CHECK(is_near((double)value, 0.5, DIGITS));
        CHECK(isnan(error) && isnan(low) && isnan(high));
    }
}

/* ---- what is refused ------------------------------------------------------------------------- */

static void test_refused(void)
{
    const cbp_real wrong[] = {-1, R(NAN), R(INFINITY)}, levels[] = {0, 1, -1, 2, R(NAN)};
    cbp_real x = 2, half = R(0.5), low[P], high[P];
    const cbp_curve_band band = {.value = low};
    const cbp_curve_inputs inputs = {.value = low};
    fit f;
    fit_noisy(find_model("logistic4"), 0.02, &f);
    low[0] = R(77);
    for (size_t i = 0; i < 3; i++) {
        CHECK(cbp_curve_predict(&f.inference, &x, 1, wrong[i], &band) == CBP_ERROR_WEIGHT);
        CHECK(cbp_curve_invert(&f.inference, &x, &wrong[i], 1, &inputs) == CBP_ERROR_WEIGHT);
        CHECK(cbp_curve_effective_dose(&f.inference, &wrong[i], 1, &inputs) == CBP_ERROR_OPTION);
    }
    CHECK(cbp_curve_predict(&f.inference, NULL, 1, 1, &band) == CBP_ERROR_NULL);
    CHECK(cbp_curve_predict(&f.inference, &x, 1, 1, NULL) == CBP_ERROR_NULL);
    CHECK(cbp_curve_predict(NULL, &x, 1, 1, &band) == CBP_ERROR_NULL);
    CHECK(cbp_curve_invert(&f.inference, NULL, NULL, 1, &inputs) == CBP_ERROR_NULL);
    CHECK(cbp_curve_invert(&f.inference, &x, NULL, 1, NULL) == CBP_ERROR_NULL);
    CHECK(cbp_curve_effective_dose(&f.inference, NULL, 1, &inputs) == CBP_ERROR_NULL);
    CHECK(cbp_curve_effective_dose(&f.inference, &half, 1, NULL) == CBP_ERROR_NULL);
    CHECK(cbp_curve_intervals(&f.inference, NULL, high) == CBP_ERROR_NULL);
    CHECK(cbp_curve_intervals(&f.inference, low, NULL) == CBP_ERROR_NULL);
    for (size_t i = 0; i < 5; i++) {
        cbp_curve_inference other = f.inference;
        other.level = levels[i];
        CHECK(cbp_curve_intervals(&other, low, high) == CBP_ERROR_OPTION);
    }
    cbp_curve_inference other = f.inference;
    other.interval = CBP_INTERVAL_END;
    CHECK(cbp_curve_intervals(&other, low, high) == CBP_ERROR_OPTION);
    for (size_t i = 1; i < 3; i++) {
        other = f.inference;
        other.variance_power = wrong[i];
        CHECK(cbp_curve_intervals(&other, low, high) == CBP_ERROR_OPTION);
    }
    other = f.inference;
    other.loss = CBP_LOSS_END;
    CHECK(cbp_curve_intervals(&other, low, high) == CBP_ERROR_LOSS);
    other = f.inference;
    other.curve = NULL;
    CHECK(cbp_curve_intervals(&other, low, high) == CBP_ERROR_CURVE);
    other = f.inference;
    f.found.result.triangle = NULL;
    CHECK(cbp_curve_intervals(&other, low, high) == CBP_ERROR_NULL);
    CHECK(low[0] == R(77));
}

int main(void)
{
    test_quantiles();
    test_bands();
    test_power_of_the_curve();
    test_parameters();
    test_inverses();
    test_lines();
    test_a_plateau();
    test_no_slope();
    test_effective_doses();
    test_another_covariance();
    test_undetermined();
    test_no_degrees_of_freedom();
    test_refused();
    return check_done("curve intervals");
}
