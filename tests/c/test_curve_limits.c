/* Named curves at their limits: data that fit ever better as a parameter runs off, data that leave
 * a parameter open, large tables, and starts from examples that hardly say anything. */
#include "curve_call.h"

typedef struct limit_fit {
    cbp_real natural[P], params[PLACES], covariance[P * P], triangle[(P + 1) * (P + 1)];
    unsigned char determined[P];
    cbp_curve_result result;
} limit_fit;

/* Alone and in company; the status. */
static int fit_both(const cbp_curve *curve, const cbp_examples *examples,
                    const cbp_fit_options *options, limit_fit *f)
{
    const size_t n = examples->n;
    cbp_real *work = numbers(cbp_curve_fit_work_len(n)), *y = numbers(2 * n),
             *many_work = numbers(cbp_curve_fit_many_work_len(n, 2));
    cbp_real natural[2 * P], error[2 * P], params[2 * PLACES], loss[2], weight[2], variance[2],
        df[2];
    unsigned char determined[2 * P];
    int status[2];
    size_t iterations[2];
    const cbp_curve_fits fits = {natural,    error, params, status,   determined,
                                 iterations, loss,  weight, variance, df};
    f->result = (cbp_curve_result){.natural = f->natural,
                                   .params = f->params,
                                   .covariance = f->covariance,
                                   .determined = f->determined,
                                   .triangle = f->triangle};
    const int alone = cbp_curve_fit(curve, examples, NULL, options, work, &f->result);
    for (size_t i = 0; i < n; i++) {
        y[i] = y[n + i] = examples->y[i];
    }
    const cbp_example_sets sets = {examples->x, y, examples->weight, n, 2, 0, 0};
    CHECK(cbp_curve_fit_many(curve, &sets, NULL, options, many_work, &fits) == CBP_OK);
    for (size_t i = 0; i < 2; i++) {
        CHECK(status[i] == (alone == CBP_OK ? (int)f->result.outcome : alone));
        CHECK(alone != CBP_OK || is_near((double)loss[i], (double)f->result.loss, ALIKE));
    }
    free(work);
    free(y);
    free(many_work);
    return alone;
}

/* In single precision a limit may be too near to be told from a parameter that is open. */
#define IS_DOUBLE (sizeof(cbp_real) == sizeof(double))
static int runs_off(const limit_fit *f, size_t k)
{
    return f->determined[k] == CBP_DIVERGES || (!IS_DOUBLE && f->determined[k] == CBP_UNDETERMINED);
}

#define EXAMPLES(x, y) (&(cbp_examples){x, y, NULL, sizeof(x) / sizeof *(x)})

static const cbp_fit_options *defaults(void)
{
    static cbp_fit_options options;
    (void)cbp_fit_defaults(&options);
    return &options;
}

/* A constant is reached only as km goes to 0. */
static void test_to_zero(void)
{
    const cbp_real x[] = {1, 2, 3, 4}, y[] = {5, R(5.1), R(4.9), 5};
    limit_fit f;
    CHECK(fit_both(cbp_curve_named("michaelis_menten"), EXAMPLES(x, y), defaults(), &f) == CBP_OK);
    CHECK(runs_off(&f, 1) && (!IS_DOUBLE || f.result.outcome == CBP_EXHAUSTED));
    CHECK(f.determined[0] == CBP_DETERMINED && is_near((double)f.natural[0], 5, EXACT));
    CHECK(is_near((double)f.result.rss, 0.02, 1e-4) && (!IS_DOUBLE || f.result.df == 3));
}

/* A step between doses, whose slope and middle are open; and one of no replicates. */
static void test_step(void)
{
    const cbp_real x[] = {1, 1, 2, 2, 5, 5, 5, 10, 10, 20, 20},
                   y[] = {100, 100, 100, 100, 0, 0, 100, 0, 0, 0, 0};
    limit_fit f;
    CHECK(fit_both(cbp_curve_named("logistic4"), EXAMPLES(x, y), defaults(), &f) == CBP_OK);
    CHECK(runs_off(&f, 3) && (!IS_DOUBLE || f.result.outcome == CBP_EXHAUSTED));
    CHECK(f.determined[1] == CBP_DETERMINED && is_near((double)f.natural[1], 100, 1e-3));
    CHECK(is_near((double)f.result.rss / 3, 20000.0 / 9, 1e-3));
}

/* Spikes at the least x: the exponent, and the rate, go to infinity. */
static void test_spikes(void)
{
    const cbp_real x[] = {R(0.5), 2, 4, 6, 8, 10}, from_0[] = {0, 1, 2, 3, 4, 5},
                   y[] = {3, R(0.1), R(-0.1), R(0.1), R(-0.1), 0};
    limit_fit f;
    CHECK(fit_both(cbp_curve_named("power"), EXAMPLES(x, y), defaults(), &f) == CBP_OK);
    CHECK(f.result.rss <= R(0.1));
    CHECK(fit_both(cbp_curve_named("exponential"), EXAMPLES(from_0, y), defaults(), &f) == CBP_OK);
    CHECK(f.result.rss <= R(0.1));
}

/* An upper plateau alone: bottom and ec50 run off together; to a bound, if there is one. */
static void test_plateau(void)
{
    const cbp_real x[] = {R(0.001), R(0.003), R(0.01), R(0.03), R(0.1), R(0.3), 1, 3, 10, 30},
                   y[] = {R(103.77), R(102.99), 99,       R(104.75), R(110.76),
                          R(101.19), R(100.02), R(93.45), R(90.59),  R(69.15)};
    const cbp_real lower[] = {-1000, R(-INFINITY), 0, R(-INFINITY)},
                   upper[] = {R(INFINITY), R(INFINITY), R(INFINITY), R(INFINITY)};
    cbp_fit_options options = *defaults();
    limit_fit f;
    CHECK(fit_both(cbp_curve_named("logistic4"), EXAMPLES(x, y), &options, &f) == CBP_OK);
    CHECK(is_near((double)f.natural[1], 103.6, 5e-3));
    options.lower = lower;
    options.upper = upper;
    CHECK(fit_both(cbp_curve_named("logistic4"), EXAMPLES(x, y), &options, &f) == CBP_OK);
    CHECK(f.natural[0] >= -1000 && is_near((double)f.natural[1], 103.6, 5e-3));
}

/* Thousands of examples, some of weight 0: candidates are ranked on some of those that count. */
static void test_large_table(void)
{
    enum { LARGE = 3001 };
    const double natural[] = {R(0.5), 4, 2, R(1.5)};
    cbp_real *x = numbers(LARGE), *y = numbers(LARGE), *weight = numbers(LARGE);
    limit_fit f;
    for (size_t i = 0; i < LARGE; i++) {
        x[i] = R(exp(-4 + 8.0 * (double)i / LARGE));
        y[i] = i % 2 ? R(logistic4(natural, (double)x[i])) : 1000;
        weight[i] = R(i % 2);
    }
    const cbp_examples half = {x, y, weight, LARGE};
    CHECK(fit_both(cbp_curve_named("logistic4"), &half, defaults(), &f) == CBP_OK);
    for (size_t k = 0; k < 4; k++) {
        CHECK(is_near((double)f.natural[k], natural[k], EXACT));
        y[2 * k] = R(logistic4(natural, (double)x[2 * k]));
    }
    for (size_t i = 0; i < LARGE; i += 2) {
        y[i] = R(logistic4(natural, (double)x[i]));
    }
    const cbp_examples all = {x, y, NULL, LARGE};
    CHECK(fit_both(cbp_curve_named("logistic4"), &all, defaults(), &f) == CBP_OK);
    for (size_t k = 0; k < 4; k++) {
        CHECK(is_near((double)f.natural[k], natural[k], EXACT));
    }
    free(x);
    free(y);
    free(weight);
}

/* Inputs that are all alike, or all 0 where the logarithm is taken; targets that have no logarithm;
 * weights of 0. What there is to find out of them is little, but it ends. */
static void test_poor_examples(void)
{
    const cbp_real same[] = {2, 2, 2, 2, 2}, zero[] = {0, 0, 0, 0, 0}, x[] = {1, 2, 3, 4, 5},
                   y[] = {1, 2, 3, 2, 1}, below[] = {-1, -2, -1, -2, -1}, flat[] = {0, 0, 0, 0, 0},
                   weight[] = {1, 0, 1, 1, 1};
    limit_fit f;
    for (size_t k = 0; k < cbp_curve_count(); k++) {
        const cbp_curve *curve = cbp_curve_at(k);
        if (curve == cbp_curve_named("platt")) {
            continue; /* a probability has other targets */
        }
        CHECK(fit_both(curve, EXAMPLES(same, y), defaults(), &f) == CBP_OK);
        (void)fit_both(curve, EXAMPLES(zero, y), defaults(), &f);
        CHECK(fit_both(curve, EXAMPLES(x, flat), defaults(), &f) == CBP_OK);
        (void)fit_both(curve, EXAMPLES(x, below), defaults(), &f);
        (void)fit_both(curve, &(cbp_examples){x, y, weight, 5}, defaults(), &f);
    }
}

/* Fewer different inputs than parameters: nothing diverges, but something is undetermined, and the
 * loss is that of the means; a bound or a fixed parameter may be what was missing. */
static void test_few_inputs(void)
{
    const cbp_real x[] = {1, 4, 1, 4, 9, 4}, y[] = {2, 5, 3, 6, 9, 7},
                   weight[] = {1, 1, 1, 1, 0, 1}, same[] = {2, 2, 2, 2, 2, 2};
    const double about_means[] = {0.5 + 2, 123 - 5 * 4.6 * 4.6}; /* of two groups, of one */
    limit_fit f;
    for (size_t k = 0; k < cbp_curve_count(); k++) {
        const cbp_curve *curve = cbp_curve_at(k);
        cbp_curve_facts facts = {0};
        CHECK(cbp_curve_describe(curve, &facts) == CBP_OK);
        if (facts.loss != CBP_SQUARED) {
            continue;
        }
        for (int way = 0; way < 2; way++) {
            const cbp_examples examples = {way == 0 ? x : same, y, weight, 6};
            const size_t inputs = way == 0 ? 2 : 1;
            size_t unknown = 0;
            CHECK(fit_both(curve, &examples, defaults(), &f) == CBP_OK);
            for (size_t j = 0; j < facts.count && facts.count > inputs; j++) {
                CHECK(f.determined[j] != CBP_DIVERGES);
                unknown += f.determined[j] == CBP_UNDETERMINED;
            }
            CHECK((unknown > 0) == (facts.count > inputs));
            CHECK(is_near((double)f.result.rss, about_means[way], 1e-3));
        }
    }
}

/* ---- iterations, stops, the history ---------------------------------------------------------- */

typedef struct stopper {
    size_t calls, after;
} stopper;

static int stop_after(void *user, const cbp_fit_info *info)
{
    stopper *s = user;
    CHECK(info->params != NULL);
    return ++s->calls > s->after;
}

/* Data without a minimum: bottom and ec50 run off. */
static const cbp_real falling_x[] = {R(0.001), R(0.003), R(0.01), R(0.03), R(0.1),
                                     R(0.3),   1,        3,       10,      30},
                      falling_y[] = {R(103.77), R(102.99), 99,       R(104.75), R(110.76),
                                     R(101.19), R(100.02), R(93.45), R(90.59),  R(69.15)};

/* Every iteration is counted and can be the last, also those on the way to a limit. */
static void test_stopped_on_the_way(void)
{
    cbp_fit_options options = *defaults();
    stopper s = {0, SIZE_MAX};
    limit_fit f;
    options.progress = stop_after;
    options.user = &s;
    const cbp_examples *examples = EXAMPLES(falling_x, falling_y);
    const cbp_curve *curve = cbp_curve_named("logistic4");
    cbp_real *work = numbers(cbp_curve_fit_work_len(examples->n));
    f.result = (cbp_curve_result){.natural = f.natural,
                                  .params = f.params,
                                  .covariance = f.covariance,
                                  .determined = f.determined,
                                  .triangle = f.triangle};
    CHECK(cbp_curve_fit(curve, examples, NULL, &options, work, &f.result) == CBP_OK);
    const size_t all = f.result.iterations;
    CHECK(s.calls == all);
    for (size_t after = 0; after < all; after += 1 + all / 40) {
        s = (stopper){0, after};
        CHECK(cbp_curve_fit(curve, examples, NULL, &options, work, &f.result) == CBP_OK);
        CHECK(f.result.outcome == CBP_STOPPED && s.calls == after + 1);
        CHECK(f.result.iterations == s.calls && isfinite(f.result.loss));
    }
    options.max_iterations = 3;
    s = (stopper){0, SIZE_MAX};
    CHECK(cbp_curve_fit(curve, examples, NULL, &options, work, &f.result) == CBP_OK);
    CHECK(f.result.outcome == CBP_EXHAUSTED && s.calls <= 3 * 9);
    free(work);
}

/* The history is that of all starts: the least loss so far, down to what is reported. */
static void test_history(void)
{
    enum { LEN = 60000 };
    static cbp_real history[LEN];
    const char *names[] = {"logistic4", "logistic5", "weibull", "exponential"};
    for (size_t which = 0; which < 8; which++) {
        const size_t len = which < 4 ? LEN : 7;
        cbp_fit_options options = *defaults();
        limit_fit f;
        for (size_t i = 0; i < LEN; i++) {
            history[i] = R(NAN);
        }
        cbp_real *work = numbers(cbp_curve_fit_work_len(10));
        f.result = (cbp_curve_result){.natural = f.natural,
                                      .params = f.params,
                                      .covariance = f.covariance,
                                      .determined = f.determined,
                                      .triangle = f.triangle};
        options.history = history;
        options.history_len = len;
        CHECK(cbp_curve_fit(cbp_curve_named(names[which % 4]), EXAMPLES(falling_x, falling_y), NULL,
                            &options, work, &f.result) == CBP_OK);
        const size_t all = f.result.iterations;
        CHECK(all < LEN && isnan(history[all + 1 < len ? all + 1 : len]));
        for (size_t i = 1; i <= all && i < len; i++) {
            CHECK((double)history[i] <= (double)history[i - 1] * (1 + ALIKE));
        }
        CHECK(len < all || is_near((double)(history[all] / f.result.loss), 1, ALIKE));
        free(work);
    }
}

/* A coarser tolerance takes fewer iterations, and is met; one iteration is not enough. */
static void test_iterations(void)
{
    enum { LEN = 12 };
    const char *names[] = {"logistic4", "michaelis_menten"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const model *m = find_model(names[i]);
        cbp_fit_options options = *defaults();
        cbp_real x[LEN], y[LEN];
        limit_fit f;
        fill_inputs(m, LEN, x);
        fill_noisy(m, m->natural, 0.05, LEN, x, y);
        CHECK(fit_both(cbp_curve_named(names[i]), EXAMPLES(x, y), &options, &f) == CBP_OK);
        CHECK(f.result.outcome == CBP_CONVERGED);
        const size_t all = f.result.iterations;
        const double least = (double)f.result.loss;
        cbp_real *work = numbers(cbp_curve_fit_work_len(LEN));
        options.tolerance = R(0.05);
        CHECK(cbp_curve_fit(cbp_curve_named(names[i]), EXAMPLES(x, y), NULL, &options, work,
                            &f.result) == CBP_OK);
        CHECK(f.result.outcome == CBP_CONVERGED && f.result.iterations < all);
        CHECK((double)f.result.loss >= least * (1 - ALIKE));
        CHECK((double)f.result.loss <= least * (1 + 0.05 * 0.05) * (1 + ALIKE));
        options.tolerance = 0;
        options.max_iterations = 1;
        CHECK(cbp_curve_fit(cbp_curve_named(names[i]), EXAMPLES(x, y), NULL, &options, work,
                            &f.result) == CBP_OK);
        /* one from each start, and four times as many on the way to a limit */
        CHECK(f.result.iterations <= 2 + 4 + 2);
        /* in single precision a start may be at the minimum already */
        CHECK(f.result.outcome == CBP_EXHAUSTED || !IS_DOUBLE);
        CHECK((double)f.result.loss > least || !IS_DOUBLE);
        free(work);
    }
}

int main(void)
{
    test_iterations();
    test_to_zero();
    test_step();
    test_spikes();
    test_plateau();
    test_large_table();
    test_poor_examples();
    test_few_inputs();
    test_stopped_on_the_way();
    test_history();
    return check_done("test_curve_limits");
}
