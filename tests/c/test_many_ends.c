/* Many fits: how each ends, by its own status; what is refused; chains of all kinds. */
#include "many_call.h"

/* ---- how fits end ---------------------------------------------------------------------------- */

typedef struct watcher {
    size_t calls, stop_at, taken, disorder;
} watcher;

static int watch(void *user, const cbp_fit_info *info)
{
    watcher *w = user;
    w->disorder += info->outcome != CBP_RUNNING;
    w->taken = info->iterations;
    return ++w->calls == w->stop_at;
}

/* Stopped at any time: what had been finished stays, all else is as it was. */
static void test_stopped(void)
{
    call c = problem_of(LOGISTICS, 24, 40);
    found whole = fit(&c);
    watcher all = {0};
    c.options.progress = watch;
    c.options.user = &all;
    found heard = fit(&c);
    CHECK(is_same_all(&whole, &heard) && all.disorder == 0 && all.calls > 5 && all.taken == 40);
    release(&heard);
    size_t before = 0;
    for (size_t stop_at = 1; stop_at <= all.calls; stop_at++) {
        watcher w = {.stop_at = stop_at};
        size_t finished = 0;
        c.options.user = &w;
        found f = fit(&c);
        CHECK(w.calls == stop_at && w.disorder == 0);
        for (size_t i = 0; i < c.sets.m; i++) {
            if (f.fits.status[i] == CBP_CONVERGED) {
                CHECK(is_same(&f, i, &whole, i));
                finished++;
                continue;
            }
            CHECK(f.fits.status[i] == CBP_STOPPED &&
                  same_all(f.fits.params + i * 6, logistic_start, 6));
            CHECK(isnan(f.fits.loss[i]) && isnan(f.fits.variance[i]) && isnan(f.fits.df[i]));
            for (size_t k = 0; k < 6; k++) {
                CHECK(isnan(f.fits.standard_error[i * 6 + k]) &&
                      f.fits.determined[i * 6 + k] == CBP_UNDETERMINED);
            }
        }
        CHECK(finished >= before && (stop_at < all.calls || finished == c.sets.m));
        before = finished;
        release(&f);
    }
    release(&whole);

    /* Chains of too many examples for lanes are stopped by the fit of one. */
    watcher w = {.stop_at = 2};
    const size_t n = 5000;
    cbp_real *x = numbers(n), *y = numbers(3 * n);
    for (size_t i = 0; i < 3 * n; i++) {
        x[i % n] = R(random_between(0, 4));
    }
    for (size_t i = 0; i < 3 * n; i++) {
        y[i] = R(3 * (1 - exp(-(double)x[i % n])) + random_between(-1, 1));
    }
    call large = problem_of(SATURATIONS, n < MOST_EXAMPLES ? n : 1, 3);
    large.sets.n = n;
    large.sets.x = x;
    large.sets.y = y;
    large.options.progress = watch;
    large.options.user = &w;
    found f = fit(&large);
    for (size_t i = 0; i < 3; i++) {
        CHECK(f.fits.status[i] == CBP_STOPPED);
        CHECK(i == 0 || same_all(f.fits.params + i * 4, saturation_start, 4));
    }
    release(&f);
    free(x);
    free(y);
}

static void test_exhausted(void)
{
    for (size_t limit = 1; limit <= 3; limit++) {
        call c = problem_of(LOGISTICS, 24, 20);
        c.options.max_iterations = limit;
        c.options.tolerance = 0;
        found f = fit(&c);
        for (size_t i = 0; i < c.sets.m; i++) {
            CHECK(f.fits.status[i] == CBP_EXHAUSTED && f.fits.iterations[i] == limit &&
                  isfinite(f.fits.loss[i]));
        }
        release(&f);
    }
}

/* Whether chain i has this status, its start for parameters, and NaN for the rest. */
static int is_refused(const call *c, const found *f, size_t i, int status)
{
    const size_t all = 2 * c->chain.layers;
    int is = f->fits.status[i] == status && f->fits.iterations[i] == 0 && f->fits.weight[i] == 0 &&
             isnan(f->fits.loss[i]) && isnan(f->fits.variance[i]) && isnan(f->fits.df[i]);
    for (size_t k = 0; k < all; k++) {
        is = is && isnan(f->fits.standard_error[i * all + k]) &&
             f->fits.determined[i * all + k] == CBP_UNDETERMINED;
    }
    for (size_t k = 0; k < f->triangle; k++) {
        is = is && isnan(f->fits.covariance[i * f->triangle + k]);
    }
    return is;
}

/* Chains that cannot be fitted have a status that says why, and do not affect the others. */
static void test_refused_chains(void)
{
    for (int own = 0; own < 2; own++) {
        call c = problem_of(LOGISTICS, 20, 45);
        c.sets.weight = all_weights;
        c.sets.x_step = c.sets.weight_step = own ? c.sets.n : 0;
        found whole = fit(&c);
        cbp_real *params = numbers(45 * 6);
        int expected[45] = {0};
        found f = room_for(&c);
        for (size_t k = 0; k < 20; k++) {
            all_y[2 * 20 + k] = R(NAN);             /* all missing */
            all_y[5 * 20 + k] = k < 3 ? 1 : R(NAN); /* three points, four parameters */
        }
        all_y[3 * 20 + 11] = R(INFINITY);
        all_y[4 * 20] = R(-INFINITY);
        expected[2] = expected[5] = CBP_ERROR_FEW_EXAMPLES;
        expected[3] = expected[4] = CBP_ERROR_DATA;
        if (own) {
            all_x[17 * 20 + 3] = R(NAN);
            all_x[18 * 20 + 19] = R(INFINITY);
            all_weights[19 * 20 + 5] = -1;
            all_weights[21 * 20 + 5] = R(NAN);
            all_weights[22 * 20 + 5] = R(INFINITY);
            memset(all_weights + 23 * 20, 0, 20 * sizeof *all_weights);
            for (size_t k = 0; k < 20; k++) {
                /* products with which would underflow */
                all_weights[25 * 20 + k] = CBP_LEAST_WEIGHT / 32;
            }
            all_x[24 * 20] = -1; /* outside the logarithm's domain */
            expected[17] = expected[18] = CBP_ERROR_DATA;
            expected[19] = expected[21] = expected[22] = expected[23] = expected[25] =
                CBP_ERROR_WEIGHT;
            expected[24] = CBP_ERROR_START_LOSS;
        }
        f.fits.params[30 * 6 + 4] = R(NAN);
        f.fits.params[31 * 6 + 5] = R(INFINITY);
        f.fits.params[32 * 6 + 1] = R(NAN); /* frozen */
        expected[30] = expected[31] = CBP_ERROR_START;
        expected[32] = CBP_ERROR_START_LOSS;
        memcpy(params, f.fits.params, 45 * 6 * sizeof *params);
        CHECK(fit_at(&c, 0, &f) == CBP_OK);
        for (size_t i = 0; i < c.sets.m; i++) {
            if (expected[i] == 0) {
                CHECK(is_same(&f, i, &whole, i));
            } else {
                CHECK(is_refused(&c, &f, i, expected[i]) &&
                      same_all(f.fits.params + i * 6, params + i * 6, 6));
            }
        }
        free(params);
        release(&f);
        release(&whole);
    }

    /* Targets of the log loss, and starts outside of bounds. */
    const cbp_real lower[] = {-1, -1}, upper[] = {1, 1};
    call c = problem_of(NEURONS, 20, 20);
    c.options.lower = lower;
    c.options.upper = upper;
    found whole = fit(&c), f = room_for(&c);
    all_y[20 + 3] = R(1.5);
    all_y[2 * 20 + 3] = R(-0.5);
    f.fits.params[3 * 2] = 2;
    f.fits.params[4 * 2 + 1] = -2;
    CHECK(fit_at(&c, 0, &f) == CBP_OK);
    for (size_t i = 0; i < c.sets.m; i++) {
        CHECK(i == 0 || i > 4 ? is_same(&f, i, &whole, i)
                              : is_refused(&c, &f, i, i < 3 ? CBP_ERROR_TARGET : CBP_ERROR_START));
    }
    CHECK(f.fits.params[3 * 2] == 2 && f.fits.params[4 * 2 + 1] == -2);
    release(&whole);
    release(&f);

    /* Fewer examples than parameters, the same for all. */
    call few = problem_of(LOGISTICS, 3, 40);
    f = fit(&few);
    for (size_t i = 0; i < few.sets.m; i++) {
        CHECK(is_refused(&few, &f, i, CBP_ERROR_FEW_EXAMPLES));
    }
    release(&f);

    /* No chain, and chains without examples. */
    call none = problem_of(LOGISTICS, 20, 0);
    none.sets.x = none.sets.y = NULL;
    f = fit(&none);
    release(&f);
    c.sets.n = 0;
    c.sets.x = c.sets.y = NULL;
    f = fit(&c);
    for (size_t i = 0; i < c.sets.m; i++) {
        CHECK(is_refused(&c, &f, i, CBP_ERROR_FEW_EXAMPLES));
    }
    release(&f);
}

/* ---- refusals -------------------------------------------------------------------------------- */

/* Whether the call fails with this status and writes nothing. */
static int refuses(const call *c, int status)
{
    found untouched = room_for(c), f = room_for(c);
    const int is = fit_at(c, 0, &f) == status && is_same_all(&untouched, &f);
    release(&untouched);
    release(&f);
    return is;
}

static void test_refused_arguments(void)
{
    const unsigned char both[] = {1, 1}, unknown[] = {CBP_ACTIVATION_END};
    const cbp_real no_number[] = {0, R(NAN)}, one[] = {1, 1}, half[] = {R(0.5), R(0.5)};
    const call c = problem_of(LINES, 20, 5);
#define REFUSED(status, change)     \
    do {                            \
        call t = c;                 \
        change;                     \
        CHECK(refuses(&t, status)); \
    } while (0)
    REFUSED(CBP_ERROR_NULL, t.chain.activations = NULL);
    REFUSED(CBP_ERROR_NULL, t.sets.x = NULL);
    REFUSED(CBP_ERROR_NULL, t.sets.y = NULL);
    REFUSED(CBP_ERROR_ACTIVATION, t.chain.activations = unknown);
    REFUSED(CBP_ERROR_LOSS, t.options.loss.kind = CBP_LOSS_END);
    REFUSED(CBP_ERROR_LOSS, t.options.loss.kind = -1);
    REFUSED(CBP_ERROR_NO_SIGMOID, t.options.loss.kind = CBP_LOG_LOSS);
    REFUSED(CBP_ERROR_SCALE, (t.options.loss.kind = CBP_HUBER, t.options.loss.scale = 0));
    REFUSED(CBP_ERROR_SCALE, (t.options.loss.kind = CBP_CAUCHY, t.options.loss.scale = R(NAN)));
    REFUSED(CBP_ERROR_OPTION, t.options.size--);
    REFUSED(CBP_ERROR_OPTION, t.options.size = 0);
    REFUSED(CBP_ERROR_OPTION, t.options.max_iterations = 0);
    REFUSED(CBP_ERROR_OPTION, t.options.tolerance = -1);
    REFUSED(CBP_ERROR_OPTION, t.options.tolerance = R(NAN));
    REFUSED(CBP_ERROR_NO_FREE, t.chain.frozen = both);
    REFUSED(CBP_ERROR_BOUNDS, t.options.lower = no_number);
    REFUSED(CBP_ERROR_BOUNDS, t.options.upper = no_number);
    REFUSED(CBP_ERROR_BOUNDS, (t.options.lower = one, t.options.upper = half));
#undef REFUSED

    /* What is common is refused without any chain, too. */
    call none = c;
    none.sets.m = 0;
    none.chain.frozen = both;
    CHECK(refuses(&none, CBP_ERROR_NO_FREE));

    /* No layer, or more than there is memory for. */
    found f = room_for(&c), untouched = room_for(&c);
    cbp_real *work = numbers(cbp_fit_many_work_len(1, 2, 20));
    cbp_chain chain = c.chain;
    chain.layers = 0;
    CHECK(cbp_fit_many(&chain, &c.sets, &c.options, work, &f.fits) == CBP_ERROR_LAYERS);
    chain.layers = SIZE_MAX / 2;
    CHECK(cbp_fit_many(&chain, &c.sets, &c.options, work, &f.fits) == CBP_ERROR_LAYERS);
    chain.frozen = both;
    CHECK(cbp_fit_many(&chain, &c.sets, &c.options, work, &f.fits) == CBP_ERROR_LAYERS);

    CHECK(cbp_fit_many(NULL, &c.sets, &c.options, work, &f.fits) == CBP_ERROR_NULL);
    CHECK(cbp_fit_many(&c.chain, NULL, &c.options, work, &f.fits) == CBP_ERROR_NULL);
    CHECK(cbp_fit_many(&c.chain, &c.sets, NULL, work, &f.fits) == CBP_ERROR_NULL);
    CHECK(cbp_fit_many(&c.chain, &c.sets, &c.options, NULL, &f.fits) == CBP_ERROR_NULL);
    CHECK(cbp_fit_many(&c.chain, &c.sets, &c.options, work, NULL) == CBP_ERROR_NULL);
    cbp_fits lacking[9];
    for (size_t k = 0; k < 9; k++) {
        lacking[k] = f.fits;
    }
    lacking[0].params = NULL;
    lacking[1].status = NULL;
    lacking[2].iterations = NULL;
    lacking[3].loss = NULL;
    lacking[4].weight = NULL;
    lacking[5].variance = NULL;
    lacking[6].df = NULL;
    lacking[7].standard_error = NULL;
    lacking[8].determined = NULL;
    for (size_t k = 0; k < 9; k++) {
        CHECK(cbp_fit_many(&c.chain, &c.sets, &c.options, work, &lacking[k]) == CBP_ERROR_NULL);
    }
    CHECK(is_same_all(&f, &untouched));
    CHECK(cbp_fit_many(&c.chain, &c.sets, &c.options, work, &f.fits) == CBP_OK);
    free(work);
    release(&f);
    release(&untouched);
}

/* ---- chains of all kinds --------------------------------------------------------------------- */

/* Every activation, and a layer that is frozen within the chain or at its end. */
static void test_kinds(void)
{
    static const unsigned char frozen_within[] = {0, 0, 1, 1, 0, 0},
                               frozen_last[] = {0, 0, 0, 0, 1, 1}, w_last[] = {0, 1, 1, 1, 0, 1};
    static const cbp_real start[] = {R(0.75), R(0.25), R(1.25), R(0.5), 1, 0};
    static const unsigned char *const frozen[] = {NULL, frozen_within, frozen_last, w_last};
    size_t converged = 0;
    for (int code = CBP_IDENTITY; code < CBP_ACTIVATION_END; code++) {
        for (size_t k = 0; k < 4; k++) {
            const unsigned char activations[] = {(unsigned char)code, CBP_TANH,
                                                 k == 2 ? CBP_SOFTPLUS : CBP_IDENTITY};
            call c = problem_of(SATURATIONS, 17, 18);
            cbp_real outputs[17];
            c.chain.activations = activations;
            c.chain.layers = 3;
            c.start = start;
            c.chain.frozen = frozen[k];
            c.options.max_iterations = 60;
            c.options.loss.kind = k == 3 ? CBP_HUBER : CBP_SQUARED;
            CHECK(cbp_forward(&(cbp_chain){start, activations, NULL, 3}, all_x, 17, outputs) ==
                  CBP_OK);
            for (size_t at = 0; at < c.sets.n * c.sets.m; at++) {
                /* the logarithm's and the root's inputs too */
                all_x[at] = all_x[at % c.sets.n] + 1;
                all_y[at] = R(0.25) * all_y[at] + R(0.5);
            }
            found f = fit(&c);
            for (size_t i = 0; i < c.sets.m; i++) {
                call one = alone(&c, i);
                found own = fit(&one);
                CHECK(f.fits.status[i] == own.fits.status[0] &&
                      f.fits.iterations[i] == own.fits.iterations[0]);
                CHECK(same(f.fits.loss[i], own.fits.loss[0]) &&
                      same_all(f.fits.params + i * 6, own.fits.params, 6));
                converged += f.fits.status[i] == CBP_CONVERGED;
                release(&own);
            }
            release(&f);
        }
    }
    CHECK(converged > 600);
}

/* A last step that takes a weight to 0, whose input is infinite: where it ends there is no loss,
 * which must be noticed. */
static void test_weight_to_zero(void)
{
    const cbp_real least = sizeof(cbp_real) == 4 ? R(FLT_MIN) : R(DBL_MIN);
    const unsigned char chain[] = {CBP_EXP, CBP_SOFTSIGN}, frozen[] = {1, 1, 0, 1};
    const cbp_real x[] = {least, least, least, least, R(-8e30)},
                   y[] = {least, least, least, least, -1};
    const cbp_real start[] = {R(-2.25), R(1.875), least, least};
    call c = problem_of(TANHS, 5, 1);
    c.chain.activations = chain;
    c.chain.frozen = frozen;
    c.start = start;
    c.sets.x = x;
    c.sets.y = y;
    c.options.tolerance = R(1e-3);
    found f = fit(&c);
    cbp_real value, gradient[4], *work = numbers(cbp_work_len(2, 5));
    CHECK(cbp_gradient(&(cbp_chain){f.fits.params, chain, NULL, 2}, &(cbp_examples){x, y, NULL, 5},
                       NULL, work, &value, gradient) == CBP_OK);
    CHECK(near((double)f.fits.loss[0], (double)value, 0, 64));
    free(work);
    release(&f);
}

/* A bound far off and weights that are small: the sum of the loss is finite, its average is not. */
static void test_infinite_average(void)
{
    const cbp_real far = sizeof(cbp_real) == 4 ? R(1e25) : R(1e160),
                   light = sizeof(cbp_real) == 4 ? R(1e-22) : R(1e-150);
    const cbp_real lower[] = {-1, far}, upper[] = {1, R(INFINITY)}, start[] = {0, far};
    const unsigned char frozen[] = {1, 0};
    call c = problem_of(LINES, 12, 20);
    for (size_t k = 0; k < c.sets.n * c.sets.m; k++) {
        all_weights[k] = light;
    }
    c.sets.weight = all_weights;
    c.options.lower = lower;
    c.options.upper = upper;
    c.start = start;
    c.chain.frozen = frozen;
    found f = fit(&c);
    for (size_t i = 0; i < c.sets.m; i++) {
        CHECK(f.fits.status[i] == CBP_ERROR_START_LOSS && isnan(f.fits.loss[i]));
        CHECK(same_all(f.fits.params + i * 2, start, 2));
    }
    release(&f);
}

/* Fits and their starts, too, look at what all have in common first, and without any chain. */
static void test_kind_of_fit(void)
{
    const unsigned char unknown[] = {CBP_LOG, CBP_ACTIVATION_END, CBP_IDENTITY};
    call c = problem_of(LOGISTICS, 21, 2);
    const cbp_candidates candidate = {c.start, 1, 0};
    cbp_real *work =
        filled(cbp_fit_many_work_len(3, 6, 21) + cbp_choose_starts_work_len(3, 21, 1), NAN);
    c.chain.frozen = NULL;
    c.sets.x_step = 21;
    for (size_t m = 0; m <= 2; m += 2) {
        found f = room_for(&c);
        cbp_real start[12] = {5};
        f.fits.params[0] = 5;
#define REFUSED(status, change)                                                            \
    do {                                                                                   \
        call t = c;                                                                        \
        t.sets.m = m;                                                                      \
        change;                                                                            \
        CHECK(cbp_fit_many(&t.chain, &t.sets, &t.options, work, &f.fits) == status);       \
        CHECK(cbp_choose_starts(&t.chain, &t.sets, &t.options, &candidate, work, start) == \
              status);                                                                     \
    } while (0)
        REFUSED(CBP_ERROR_NULL, t.chain.activations = NULL);
        REFUSED(CBP_ERROR_ACTIVATION, t.chain.activations = unknown);
        REFUSED(CBP_ERROR_LAYERS, t.chain.layers = 0);
        REFUSED(CBP_ERROR_LAYERS, t.chain.layers = SIZE_MAX);
#undef REFUSED
        CHECK(f.fits.params[0] == 5 && start[0] == 5);
        release(&f);
    }
    free(work);
}

int main(void)
{
    test_stopped();
    test_exhausted();
    test_refused_chains();
    test_refused_arguments();
    test_kinds();
    test_weight_to_zero();
    test_infinite_average();
    test_kind_of_fit();
    return check_done("test_many_ends");
}
