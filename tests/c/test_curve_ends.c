/* Named curves, many at once and at the edges: every set as by itself, missing points, blocks, what
 * is refused, and fits that are stopped. */
#include "curve_call.h"

enum { M = 50 };

static cbp_real many_x[M * N], many_y[M * N], many_weights[M * N];

/* M noisy data sets of a model near its typical parameters, some with missing points. */
static cbp_example_sets noisy_sets(const model *m, int has_own_x, int has_weights)
{
    check_state = 7;
    for (size_t i = 0; i < M; i++) {
        cbp_real *x = many_x + i * N, *y = many_y + i * N;
        double natural[P];
        for (size_t k = 0; k < P; k++) {
            natural[k] = m->natural[k] * random_between(0.9, 1.1);
        }
        fill_inputs(m, N, x);
        fill_noisy(m, natural, 0.01, N, x, y);
        for (size_t k = 0; k < N; k++) {
            many_weights[i * N + k] = R(random_between(0.5, 2));
            y[k] = i % 5 == 3 && k % 9 == i % 9 ? R(NAN) : y[k];
        }
    }
    return (cbp_example_sets){many_x,
                              many_y,
                              has_weights ? many_weights : NULL,
                              N,
                              M,
                              has_own_x ? N : 0,
                              has_weights ? N : 0};
}

/* The examples of a set that are not missing, as one call takes them; x, y, weight have room. */
static cbp_examples present(const cbp_example_sets *sets, size_t i, cbp_real *x, cbp_real *y,
                            cbp_real *weight)
{
    size_t n = 0;
    for (size_t k = 0; k < sets->n; k++) {
        if (!isnan(sets->y[i * sets->n + k])) {
            x[n] = sets->x[i * sets->x_step + k];
            y[n] = sets->y[i * sets->n + k];
            weight[n++] = sets->weight ? sets->weight[i * sets->weight_step + k] : 1;
        }
    }
    return (cbp_examples){x, y, weight, n};
}

/* Set i has found what it finds by itself. */
static void compare_alone(const model *m, const cbp_example_sets *sets, size_t i,
                          const found_many *many)
{
    const size_t p = many->count;
    const cbp_fit_options options = options_for(m);
    cbp_real x[N], y[N], weight[N], params[PLACES];
    const cbp_examples examples = present(sets, i, x, y, weight);
    double total = 0;
    fitted found;
    CHECK(fit_curve(m, &examples, NULL, &options, &found) == CBP_OK);
    CHECK(many->fits.status[i] == (int)found.result.outcome);
    CHECK(memcmp(many->fits.determined + i * p, found.determined, p) == 0);
    CHECK(near((double)many->fits.loss[i], (double)found.result.loss, 0, 1e5));
    CHECK(is_near((double)(many->fits.variance[i] / found.result.variance), 1, ALIKE));
    CHECK(many->fits.df[i] == found.result.df);
    for (size_t k = 0; k < examples.n; k++) {
        total += (double)weight[k];
    }
    CHECK(near((double)many->fits.weight[i], total, 0, 64));
    const cbp_real *natural = many->fits.natural + i * p;
    for (size_t k = 0; k < p && found.result.outcome == CBP_CONVERGED; k++) {
        const double error =
            sqrt((double)found.covariance[k * (p + 1)]) * scale_of(m, k, found.natural);
        CHECK(fabs((double)(natural[k] - found.natural[k])) <=
              ALIKE * (fabs((double)natural[k]) + error));
        const double own = (double)many->fits.standard_error[i * p + k];
        CHECK(own == error || fabs(own - error) <= ALIKE_ERRORS * error);
    }
    CHECK(cbp_curve_chain(cbp_curve_named(m->name), natural, params, NULL) == CBP_OK);
    for (size_t k = 0; k < 2 * many->layers; k++) {
        CHECK(near((double)params[k], (double)many->fits.params[i * 2 * many->layers + k], 0, 64));
    }
}

static void test_as_alone(void)
{
    for (size_t kind = 0; kind < MODELS; kind++) {
        const model *m = &models[kind];
        const cbp_fit_options options = options_for(m);
        for (int way = 0; way < 3; way++) { /* inputs shared, with weights, inputs of their own */
            const cbp_example_sets sets = noisy_sets(m, way == 2, way == 1);
            found_many many = fit_many(m, &sets, NULL, &options);
            for (size_t i = 0; i < M; i += way == 0 ? 1 : 7) {
                compare_alone(m, &sets, i, &many);
            }
            release(&many);
        }
    }
}

/* More sets than go through the lanes at once: each has the closed form of a line. */
static void test_blocks(void)
{
    enum { MANY = 1030, POINTS = 4 };
    static cbp_real y[MANY * POINTS];
    const model *m = find_model("linear");
    const cbp_fit_options options = options_for(m);
    const cbp_real x[POINTS] = {-3, -1, 1, 3};
    for (size_t k = 0; k < MANY * POINTS; k++) {
        y[k] = R(random_between(-1, 1));
    }
    const cbp_example_sets sets = {x, y, NULL, POINTS, MANY, 0, 0};
    found_many many = fit_many(m, &sets, NULL, &options);
    for (size_t i = 0; i < MANY; i++) {
        double slope = 0, mean = 0;
        for (size_t k = 0; k < POINTS; k++) {
            slope += (double)x[k] * (double)y[i * POINTS + k] / 20;
            mean += (double)y[i * POINTS + k] / POINTS;
        }
        CHECK(many.fits.status[i] == CBP_CONVERGED && many.fits.df[i] == POINTS - 2);
        CHECK(is_near((double)many.fits.natural[2 * i], slope, 1e4 * EPSILON));
        CHECK(is_near((double)many.fits.natural[2 * i + 1], mean, 1e4 * EPSILON));
    }
    release(&many);
}

/* A set that cannot be fitted says why, and disturbs no other. */
static void test_spoilt_sets(void)
{
    const model *m = find_model("logistic4");
    const cbp_fit_options options = options_for(m);
    cbp_example_sets sets = noisy_sets(m, 1, 1);
    for (size_t k = 0; k < N; k++) {
        many_y[k] = R(NAN);                             /* 0: nothing there */
        many_y[N + k] = k < 3 ? many_y[N + k] : R(NAN); /* 1: too little */
    }
    many_y[2 * N + 5] = R(INFINITY);
    many_x[4 * N + 5] = -1;
    many_weights[5 * N + 5] = -1;
    found_many many = fit_many(m, &sets, NULL, &options);
    const int expected[] = {CBP_ERROR_FEW_EXAMPLES, CBP_ERROR_FEW_EXAMPLES, CBP_ERROR_DATA,
                            CBP_CONVERGED,          CBP_ERROR_DOMAIN,       CBP_ERROR_WEIGHT};
    for (size_t i = 0; i < 6; i++) {
        CHECK(many.fits.status[i] == expected[i]);
        for (size_t k = 0; k < 4 && expected[i] < 0; k++) {
            CHECK(isnan(many.fits.natural[4 * i + k]));
            CHECK(isnan(many.fits.standard_error[4 * i + k]));
            CHECK(many.fits.determined[4 * i + k] == CBP_UNDETERMINED);
        }
        CHECK(expected[i] > 0 || (isnan(many.fits.loss[i]) && isnan(many.fits.variance[i]) &&
                                  isnan(many.fits.df[i]) && many.fits.iterations[i] == 0));
    }
    compare_alone(m, &sets, 6, &many);
    release(&many);
    sets.m = 0;
    sets.x = sets.y = NULL;
    many = fit_many(m, &sets, NULL, &options);
    release(&many);
    sets.m = 2;
    sets.n = 0;
    many = fit_many(m, &sets, NULL, &options);
    CHECK(many.fits.status[0] == CBP_ERROR_FEW_EXAMPLES);
    CHECK(many.fits.status[1] == CBP_ERROR_FEW_EXAMPLES);
    release(&many);
}

/* ---- what is refused ------------------------------------------------------------------------- */

/* A call of both functions, which must fail in the same way. */
typedef struct refusal {
    const cbp_curve *curve;
    cbp_real x[6], y[6], weight[6], fixed[P], lower[P], upper[P], work[2];
    cbp_examples examples;
    cbp_fit_options options;
    cbp_real *memory, *many_memory;
    fitted found;
    found_many many;
} refusal;

static refusal *new_refusal(void)
{
    const model *m = find_model("logistic4");
    refusal *c = bytes(sizeof *c);
    c->curve = cbp_curve_named(m->name);
    c->options = options_for(m);
    fill_inputs(m, 6, c->x);
    fill_targets(m, m->natural, 6, c->x, c->y);
    for (size_t k = 0; k < P; k++) {
        c->fixed[k] = R(NAN);
        c->lower[k] = -R(INFINITY);
        c->upper[k] = R(INFINITY);
    }
    for (size_t k = 0; k < 6; k++) {
        c->weight[k] = 1;
    }
    c->examples = (cbp_examples){c->x, c->y, c->weight, 6};
    c->options.lower = c->lower;
    c->options.upper = c->upper;
    c->memory = numbers(cbp_curve_fit_work_len(6));
    c->many_memory = numbers(cbp_curve_fit_many_work_len(6, 1));
    c->found.result = (cbp_curve_result){.natural = c->found.natural,
                                         .params = c->found.params,
                                         .covariance = c->found.covariance,
                                         .determined = c->found.determined,
                                         .triangle = c->found.triangle,
                                         .loss = 7};
    c->found.natural[0] = 7;
    c->many = room_for(cbp_curve_named(m->name), 1);
    c->many.fits.natural[0] = 7;
    return c;
}

static void end_refusal(refusal *c)
{
    free(c->memory);
    free(c->many_memory);
    release(&c->many);
    free(c);
}

static int fit_refused(refusal *c)
{
    return cbp_curve_fit(c->curve, &c->examples, c->fixed, &c->options, c->memory,
                         &c->found.result);
}

static int many_refused(refusal *c)
{
    const cbp_example_sets sets = {c->x, c->y, c->weight, 6, 1, 0, 0};
    return cbp_curve_fit_many(c->curve, &sets, c->fixed, &c->options, c->many_memory,
                              &c->many.fits);
}

/* What is common to all sets: both refuse it, and nothing has been written. */
static void check_common(refusal *c, int status)
{
    CHECK(fit_refused(c) == status && many_refused(c) == status);
    CHECK(c->found.natural[0] == 7 && c->found.result.loss == 7 && c->many.fits.natural[0] == 7);
    end_refusal(c);
}

/* What is a set's own: its status there. */
static void check_own(refusal *c, int status)
{
    CHECK(fit_refused(c) == status);
    CHECK(c->found.natural[0] == 7 && c->found.result.loss == 7);
    CHECK(many_refused(c) == CBP_OK && c->many.fits.status[0] == status);
    end_refusal(c);
}

static void test_refused_options(void)
{
    refusal *c = new_refusal();
    CHECK(fit_refused(c) == CBP_OK && many_refused(c) == CBP_OK);
    end_refusal(c);
    c = new_refusal();
    c->curve = NULL;
    check_common(c, CBP_ERROR_CURVE);
    c = new_refusal();
    c->options.size--;
    check_common(c, CBP_ERROR_OPTION);
    c = new_refusal();
    c->options.max_iterations = 0;
    check_common(c, CBP_ERROR_OPTION);
    c = new_refusal();
    c->options.tolerance = -1;
    check_common(c, CBP_ERROR_OPTION);
    c = new_refusal();
    c->options.loss.kind = CBP_LOSS_END;
    check_common(c, CBP_ERROR_LOSS);
    c = new_refusal();
    c->options.loss = (cbp_loss){CBP_HUBER, 0};
    check_common(c, CBP_ERROR_SCALE);
    c = new_refusal();
    c->options.loss.kind = CBP_LOG_LOSS;
    check_common(c, CBP_ERROR_NO_SIGMOID);
    c = new_refusal();
    for (size_t k = 0; k < 4; k++) {
        c->fixed[k] = 1;
    }
    check_common(c, CBP_ERROR_NO_FREE);
}

static void test_refused_parameters(void)
{
    refusal *c = new_refusal();
    c->fixed[1] = R(INFINITY);
    check_common(c, CBP_ERROR_START);
    c = new_refusal();
    c->fixed[2] = 0; /* ec50 */
    check_common(c, CBP_ERROR_START);
    c = new_refusal();
    c->fixed[2] = -1;
    check_common(c, CBP_ERROR_START);
    c = new_refusal();
    c->lower[1] = 2;
    c->upper[1] = 1;
    check_common(c, CBP_ERROR_BOUNDS);
    c = new_refusal();
    c->lower[3] = R(NAN);
    check_common(c, CBP_ERROR_BOUNDS);
    c = new_refusal();
    c->upper[3] = R(NAN);
    check_common(c, CBP_ERROR_BOUNDS);
    c = new_refusal();
    c->upper[2] = 0;
    check_common(c, CBP_ERROR_BOUNDS);
    c = new_refusal();
    c->lower[1] = R(INFINITY);
    check_common(c, CBP_ERROR_BOUNDS);
    c = new_refusal();
    c->upper[3] = -R(INFINITY);
    check_common(c, CBP_ERROR_BOUNDS);
    c = new_refusal(); /* bounds of what is fixed do not count */
    c->fixed[2] = R(1.6);
    c->upper[2] = 0;
    CHECK(fit_refused(c) == CBP_OK && many_refused(c) == CBP_OK);
    end_refusal(c);
}

static void test_refused_examples(void)
{
    refusal *c = new_refusal();
    c->x[2] = -1;
    check_own(c, CBP_ERROR_DOMAIN);
    c = new_refusal();
    c->x[2] = R(INFINITY);
    check_own(c, CBP_ERROR_DATA);
    c = new_refusal();
    c->y[2] = R(INFINITY);
    check_own(c, CBP_ERROR_DATA);
    c = new_refusal();
    c->weight[2] = -1;
    check_own(c, CBP_ERROR_WEIGHT);
    c = new_refusal();
    c->weight[1] = c->weight[2] = c->weight[3] = 0;
    check_own(c, CBP_ERROR_FEW_EXAMPLES);
    c = new_refusal();
    c->curve = cbp_curve_named("exponential");
    c->x[0] = sizeof(cbp_real) == 4 ? R(-3e38) : R(-1.7e308);
    c->x[5] = -c->x[0];
    check_own(c, CBP_ERROR_DATA);
    c = new_refusal();
    c->options.loss.kind = CBP_POISSON;
    c->y[2] = -1;
    check_own(c, CBP_ERROR_TARGET);
    c = new_refusal();
    c->y[2] = sizeof(cbp_real) == 4 ? R(1e30) : R(1e300);
    check_own(c, CBP_ERROR_START_LOSS);
    c = new_refusal();
    c->examples.n = 3;
    CHECK(fit_refused(c) == CBP_ERROR_FEW_EXAMPLES);
    c->examples.n = 0;
    CHECK(fit_refused(c) == CBP_ERROR_EMPTY);
    c->examples = (cbp_examples){c->x, c->y, c->weight, 6};
    c->y[2] = R(NAN); /* missing among many, but not alone */
    CHECK(fit_refused(c) == CBP_ERROR_DATA);
    CHECK(many_refused(c) == CBP_OK && c->many.fits.status[0] > 0);
    end_refusal(c);
}

static void test_refused_null(void)
{
    refusal *c = new_refusal();
    const cbp_example_sets sets = {c->x, c->y, NULL, 6, 1, 0, 0};
    cbp_example_sets no_x = sets, no_y = sets;
    no_x.x = no_y.y = NULL;
    CHECK(cbp_curve_fit(c->curve, NULL, NULL, &c->options, c->memory, &c->found.result) ==
          CBP_ERROR_NULL);
    CHECK(cbp_curve_fit(c->curve, &c->examples, NULL, NULL, c->memory, &c->found.result) ==
          CBP_ERROR_NULL);
    CHECK(cbp_curve_fit(c->curve, &c->examples, NULL, &c->options, NULL, &c->found.result) ==
          CBP_ERROR_NULL);
    CHECK(cbp_curve_fit(c->curve, &c->examples, NULL, &c->options, c->memory, NULL) ==
          CBP_ERROR_NULL);
    const cbp_curve_result whole = c->found.result;
    for (size_t k = 0; k < 5; k++) {
        cbp_curve_result part = whole;
        void *const null = NULL;
        char *at[] = {(char *)&part.natural, (char *)&part.params, (char *)&part.covariance,
                      (char *)&part.determined, (char *)&part.triangle};
        memcpy(at[k], &null, sizeof null);
        CHECK(cbp_curve_fit(c->curve, &c->examples, NULL, &c->options, c->memory, &part) ==
              CBP_ERROR_NULL);
    }
    c->examples.x = NULL;
    CHECK(fit_refused(c) == CBP_ERROR_NULL);
    c->examples.x = c->x;
    c->examples.y = NULL;
    CHECK(fit_refused(c) == CBP_ERROR_NULL);

    const cbp_example_sets *const some[] = {NULL, &no_x, &no_y};
    for (size_t k = 0; k < 3; k++) {
        CHECK(cbp_curve_fit_many(c->curve, some[k], NULL, &c->options, c->many_memory,
                                 &c->many.fits) == CBP_ERROR_NULL);
    }
    CHECK(cbp_curve_fit_many(c->curve, &sets, NULL, NULL, c->many_memory, &c->many.fits) ==
          CBP_ERROR_NULL);
    CHECK(cbp_curve_fit_many(c->curve, &sets, NULL, &c->options, NULL, &c->many.fits) ==
          CBP_ERROR_NULL);
    CHECK(cbp_curve_fit_many(c->curve, &sets, NULL, &c->options, c->many_memory, NULL) ==
          CBP_ERROR_NULL);
    for (size_t k = 0; k < 10; k++) {
        cbp_curve_fits part = c->many.fits;
        void *const null = NULL;
        memcpy((char *)&part + k * sizeof null, &null, sizeof null);
        CHECK(cbp_curve_fit_many(c->curve, &sets, NULL, &c->options, c->many_memory, &part) ==
              CBP_ERROR_NULL);
    }
    CHECK(c->found.natural[0] == 7 && c->many.fits.natural[0] == 7);
    end_refusal(c);
}

/* ---- progress -------------------------------------------------------------------------------- */

typedef struct stopper {
    size_t calls, after;
} stopper;

static int stop_after(void *user, const cbp_fit_info *info)
{
    stopper *s = user;
    CHECK(info->params != NULL);
    return ++s->calls > s->after;
}

static void test_stopped(void)
{
    const model *m = find_model("logistic4");
    cbp_fit_options options = options_for(m);
    const cbp_example_sets sets = noisy_sets(m, 0, 0);
    const cbp_examples examples = {sets.x, sets.y, NULL, N};
    stopper s = {0, 3};
    fitted found;
    options.progress = stop_after;
    options.user = &s;
    CHECK(fit_curve(m, &examples, NULL, &options, &found) == CBP_OK);
    CHECK(found.result.outcome == CBP_STOPPED && s.calls == 4);
    CHECK(isfinite(found.result.loss) && isfinite(found.natural[0]));
    s = (stopper){0, 100000};
    CHECK(fit_curve(m, &examples, NULL, &options, &found) == CBP_OK);
    CHECK(found.result.outcome == CBP_CONVERGED && s.calls == found.result.iterations);

    s = (stopper){0, 0};
    found_many many = fit_many(m, &sets, NULL, &options);
    for (size_t i = 0; i < M; i++) {
        CHECK(many.fits.status[i] == CBP_STOPPED);
    }
    CHECK(s.calls < 10);
    release(&many);
}

int main(void)
{
    test_as_alone();
    test_blocks();
    test_spoilt_sets();
    test_refused_options();
    test_refused_parameters();
    test_refused_examples();
    test_refused_null();
    test_stopped();
    return check_done("test_curve_ends");
}
