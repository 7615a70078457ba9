/* Many fits: what each finds is what it would find alone, whatever the others are and the work
 * memory has. */
#include "many_call.h"

/* ---- as one by one --------------------------------------------------------------------------- */

/* Chain i by cbp_fit_lm and cbp_fit_covariance, without what is missing. */
static void compare(const call *c, size_t i, const found *f)
{
    const cbp_example_sets own = alone(c, i).sets;
    const size_t all = 2 * c->chain.layers, open = free_of(c);
    cbp_real *x = numbers(own.n), *y = numbers(own.n), *weight = numbers(own.n),
             *work = filled(cbp_fit_work_len(c->chain.layers, open, own.n), NAN);
    cbp_real *params = numbers(all), *covariance = numbers(open * open), variance;
    unsigned char *determined = bytes(all);
    const cbp_covariance out = {&variance, covariance, determined};
    cbp_chain chain = c->chain;
    cbp_fit_info info;
    size_t n = 0;
    double total = 0, squares = 0, df = 0;
    for (size_t k = 0; k < own.n; k++) {
        if (!isnan(own.y[k])) {
            x[n] = own.x[k];
            y[n] = own.y[k];
            weight[n] = own.weight ? own.weight[k] : 1;
            total += (double)weight[n];
            df += weight[n] > 0;
            squares += (double)weight[n] * (double)y[n] * (double)y[n];
            n++;
        }
    }
    const cbp_examples examples = {x, y, weight, n};
    chain.params = c->start;
    CHECK(cbp_fit_lm(&chain, &examples, &c->options, work, params, &info) == CBP_OK);
    CHECK(info.outcome == CBP_CONVERGED && f->fits.status[i] == CBP_CONVERGED);
    chain.params = params;
    CHECK(cbp_fit_covariance(&chain, &examples, &c->options, NULL, work, &out) == CBP_OK);
    CHECK(memcmp(determined, f->fits.determined + i * all, all) == 0);
    CHECK(near((double)f->fits.weight[i], total, 0, 64));
    CHECK(f->fits.iterations[i] > 0);

    /* How near the minimum is, both tell from their last two steps, and are trusted in that to the
     * square root of the tolerance. Losses nearer to each other than rounding, which is of the
     * outputs too, cannot be told apart, and the parameters of two such are, in standard errors, as
     * far from each other as that difference is from the variance. */
    const double beside = sqrt(fmax(squares / (total * (double)info.loss), 1)),
                 noise_level = 8 * EPSILON * (8 + beside);
    const double relative_step =
        sqrt((double)c->options.tolerance) / 10 + sqrt((double)n * noise_level);
    CHECK(near((double)f->fits.loss[i], (double)info.loss, 0, 64 + 16 * beside * beside));
    const cbp_real *triangle = f->fits.covariance + i * f->triangle;
    for (size_t k = 0, row = 0; k < all; k++) {
        const int is_free = determined[k] != CBP_FROZEN;
        const double se = is_free ? sqrt((double)covariance[row * open + row]) : 0;
        const double found_se = (double)f->fits.standard_error[i * all + k];
        const double moved = fabs((double)f->fits.params[i * all + k] - (double)params[k]);
        CHECK(moved <= relative_step * se);
        df -= determined[k] == CBP_DETERMINED || determined[k] == CBP_UNDETERMINED;
        /* standard errors are of the point before the last step, which is less than 1e-3 of the
         * residuals (single: 0.03) */
        CHECK(fabs(found_se - se) <= (sizeof(cbp_real) == 4 ? 1e-1 : 1e-5) * se);
        for (size_t j = 0; is_free && j <= row; j++) {
            const double size = se * sqrt((double)covariance[j * open + j]);
            CHECK(j < row || near(found_se, sqrt((double)*triangle), 0, 4));
            CHECK(fabs((double)(*triangle++ - covariance[row * open + j])) <=
                  (sizeof(cbp_real) == 4 ? 2e-1 : 2e-5) * size);
        }
        row += (size_t)is_free;
    }
    CHECK(triangle == f->fits.covariance + (i + 1) * f->triangle);
    CHECK((double)f->fits.df[i] == df);
    /* the sum of squares is least for the squared loss alone */
    const double moves = c->options.loss.kind == CBP_SQUARED
                             ? relative_step * relative_step + 16 * noise_level
                             : relative_step;
    CHECK(fabs((double)(f->fits.variance[i] - variance)) <= moves * (double)variance);
    free(x);
    free(y);
    free(weight);
    free(work);
    free(params);
    free(covariance);
    free(determined);
}

static void compare_all(const call *c)
{
    found f = fit(c);
    for (size_t i = 0; i < c->sets.m; i++) {
        compare(c, i, &f);
    }
    release(&f);
}

/* Weights and inputs shared or not, missing points, and every loss. */
static void test_as_single(void)
{
    for (int kind = 0; kind < KINDS; kind++) {
        for (int variant = 0; variant < 8; variant++) {
            const int weighted = variant & 1, own_x = variant & 2, missing = variant & 4;
            call c = problem_of(kind, 24, 19);
            c.sets.weight = weighted ? all_weights : NULL;
            c.sets.x_step = c.sets.weight_step = own_x ? c.sets.n : 0;
            for (size_t k = 0; missing && k < c.sets.n * c.sets.m; k += 7) {
                all_y[k] = R(NAN);
                all_x[k] = own_x ? R(NAN) : all_x[k]; /* is not read where the target is missing */
            }
            compare_all(&c);
            const int is_robust_too = variant % 3 == 0 && takes_any_target(c.options.loss.kind);
            for (int loss = CBP_HUBER; is_robust_too && loss <= CBP_CAUCHY; loss++) {
                call robust = c;
                robust.options.loss.kind = loss;
                robust.options.loss.scale = R(0.25);
                compare_all(&robust);
            }
        }
    }
}

static void test_bounds(void)
{
    const cbp_real infinite = R(INFINITY);
    const cbp_real lower[] = {9, 9, R(0.5), -infinite, 1, R(-0.25)};
    /* crossed where frozen, which is not read */
    const cbp_real upper[] = {8, 8, 1, infinite, 3, R(0.75)};
    call c = problem_of(LOGISTICS, 24, MOST_CHAINS);
    size_t at_bound = 0;
    c.options.lower = lower;
    c.options.upper = upper;
    found f = fit(&c);
    for (size_t i = 0; i < c.sets.m; i++) {
        compare(&c, i, &f);
        for (size_t k = 2; k < 6; k++) {
            const cbp_real param = f.fits.params[i * 6 + k];
            CHECK(param >= lower[k] && param <= upper[k]);
            CHECK((f.fits.determined[i * 6 + k] == CBP_AT_BOUND) ==
                  (param == lower[k] || param == upper[k]));
            at_bound += param == lower[k] || param == upper[k];
        }
        CHECK(f.fits.params[i * 6] == 1 && f.fits.params[i * 6 + 1] == 0 &&
              f.fits.standard_error[i * 6] == 0);
        CHECK(f.fits.determined[i * 6] == CBP_FROZEN);
    }
    CHECK(at_bound > 25);
    release(&f);

    /* All at bounds that leave no room. */
    c.options.lower = c.options.upper = logistic_start;
    f = fit(&c);
    for (size_t i = 0; i < c.sets.m; i++) {
        CHECK(f.fits.status[i] == CBP_CONVERGED &&
              same_all(f.fits.params + i * 6, logistic_start, 6));
        CHECK(f.fits.df[i] == R(c.sets.n));
        for (size_t k = 2; k < 6; k++) {
            CHECK(f.fits.determined[i * 6 + k] == CBP_AT_BOUND &&
                  f.fits.standard_error[i * 6 + k] == 0);
        }
    }
    release(&f);
}

/* One side alone is the other side without an end. */
static void test_one_sided_bounds(void)
{
    const cbp_real infinite = R(INFINITY);
    const cbp_real lower[] = {0, 0, R(0.5), -infinite, 1, R(-0.25)},
                   upper[] = {9, 9, 1, infinite, 3, R(0.75)};
    const cbp_real no_lower[] = {0, 0, -infinite, -infinite, -infinite, -infinite};
    const cbp_real no_upper[] = {9, 9, infinite, infinite, infinite, infinite};
    for (int side = 0; side < 2; side++) {
        call c = problem_of(LOGISTICS, 24, 40), one = c;
        c.options.lower = side ? lower : no_lower;
        c.options.upper = side ? no_upper : upper;
        one.options.lower = side ? lower : NULL;
        one.options.upper = side ? NULL : upper;
        found both = fit(&c), f = fit(&one);
        size_t at_bound = 0;
        for (size_t i = 0; i < c.sets.m; i++) {
            compare(&one, i, &f);
            at_bound += memchr(f.fits.determined + i * 6, CBP_AT_BOUND, 6) != NULL;
        }
        CHECK(is_same_all(&both, &f) && at_bound > 0);
        release(&both);
        release(&f);
    }
}

/* What is undetermined is found to be so, by cbp_fit_lm. */
static void test_undetermined(void)
{
    static const unsigned char two_lines[] = {CBP_IDENTITY, CBP_IDENTITY};
    const cbp_real start[] = {1, R(0.5), R(0.75), R(-0.5)};
    call c = problem_of(LINES, 24, 20), wide = c;
    found plain = fit(&c);
    wide.chain.activations = two_lines;
    wide.chain.layers = 2;
    wide.start = start;
    found f = fit(&wide);
    for (size_t i = 0; i < c.sets.m; i++) {
        CHECK(f.fits.status[i] == CBP_CONVERGED);
        CHECK(near((double)f.fits.loss[i], (double)plain.fits.loss[i], 0, 1024));
        for (size_t k = 0; k < 4; k++) {
            CHECK(f.fits.determined[i * 4 + k] == CBP_UNDETERMINED &&
                  isinf(f.fits.standard_error[i * 4 + k]));
        }
        CHECK(f.fits.df[i] == R(c.sets.n - 4) && plain.fits.df[i] == R(c.sets.n - 2));
    }
    release(&plain);
    release(&f);
}

/* Without room for covariances all else is the same, of chains that are refused or fitted anew,
 * too. */
static void test_without_covariance(void)
{
    call c = problem_of(LOGISTICS, 17, 30);
    for (size_t k = 0; k < c.sets.n; k++) {
        all_y[4 * c.sets.n + k] = R(NAN);
        all_y[5 * c.sets.n + k] = 1; /* does not determine the middle */
    }
    found with = fit(&c), without = room_for(&c);
    cbp_real *kept = without.fits.covariance;
    without.fits.covariance = NULL;
    CHECK(fit_at(&c, 0, &without) == CBP_OK);
    without.fits.covariance = kept;
    for (size_t k = 0; k < 30 * with.triangle; k++) {
        CHECK(kept[k] == 5);
    }
    memcpy(kept, with.fits.covariance, 30 * with.triangle * sizeof *kept);
    CHECK(is_same_all(&with, &without));
    release(&with);
    release(&without);
}

/* With restarts, or of many examples, each is the fit of one, bit by bit. */
static void test_one_by_one(void)
{
    for (int bounded = 0; bounded < 2; bounded++) {
        const cbp_real upper[] = {9, 9, R(1.5), 9, 9, R(0.75)};
        call c = problem_of(LOGISTICS, 20, 9);
        c.options.upper = bounded ? upper : NULL;
        c.options.restarts = 2;
        found f = fit(&c);
        for (size_t i = 0; i < c.sets.m; i++) {
            cbp_real params[6], *work = filled(cbp_fit_work_len(3, 4, c.sets.n), NAN), variance,
                                covariance[16];
            unsigned char determined[6];
            const cbp_covariance out = {&variance, covariance, determined};
            const cbp_examples examples = {c.sets.x, c.sets.y + i * c.sets.n, NULL, c.sets.n};
            cbp_chain chain = {logistic_start, logistic, but_logarithm, 3};
            cbp_fit_info info;
            CHECK(cbp_fit_lm(&chain, &examples, &c.options, work, params, &info) == CBP_OK);
            chain.params = params;
            CHECK(cbp_fit_covariance(&chain, &examples, &c.options, NULL, work, &out) == CBP_OK);
            CHECK(same_all(f.fits.params + i * 6, params, 6) &&
                  f.fits.status[i] == (int)info.outcome);
            CHECK(f.fits.iterations[i] == info.iterations && same(f.fits.loss[i], info.loss));
            CHECK(same(f.fits.variance[i], variance) &&
                  memcmp(f.fits.determined + i * 6, determined, 6) == 0);
            const cbp_real *own = f.fits.covariance + i * f.triangle;
            for (size_t k = 0; k < 4; k++) {
                CHECK(same(f.fits.standard_error[i * 6 + 2 + k],
                           R(sqrt((double)covariance[k * 4 + k]))));
                for (size_t j = 0; j <= k; j++) {
                    CHECK(same(*own++, covariance[k * 4 + j]));
                }
            }
            free(work);
        }
        release(&f);
    }
}

/* ---- company --------------------------------------------------------------------------------- */

static void test_company(void)
{
    const size_t sizes[] = {1, 2, 15, 16, 17, 33, MOST_CHAINS};
    for (int kind = 0; kind < KINDS; kind++) {
        for (int variant = 0; variant < 4; variant++) {
            call c = problem_of(kind, variant < 2 ? 16 : 17, MOST_CHAINS);
            c.sets.x_step = variant % 2 ? c.sets.n : 0;
            c.sets.weight = variant == 1 ? all_weights : NULL;
            c.sets.weight_step = c.sets.n;
            /* a chain of its own kind in the midst of the others */
            for (size_t i = 0; i < c.sets.n; i++) {
                all_y[20 * c.sets.n + i] = families[kind].loss == CBP_LOG_LOSS ? i > 7 : R(1e6);
            }
            all_y[7 * c.sets.n + 3] = R(NAN);
            found whole = fit(&c);
            for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
                call some = c;
                some.sets.m = sizes[k];
                found f = fit(&some);
                for (size_t i = 0; i < some.sets.m; i++) {
                    CHECK(is_same(&f, i, &whole, i));
                }
                release(&f);
            }
            for (size_t i = 0; i < c.sets.m; i++) {
                const call one = alone(&c, i);
                found f = fit(&one);
                CHECK(is_same(&f, 0, &whole, i));
                release(&f);
            }
            release(&whole);
        }
    }
}

/* Inputs that all share are those of each. */
static void test_shared_inputs(void)
{
    for (int kind = 0; kind < KINDS; kind++) {
        call c = problem_of(kind, 23, 40);
        c.sets.weight = kind % 2 ? all_weights : NULL;
        all_y[3 * c.sets.n + 2] = R(NAN); /* missing points too */
        found shared = fit(&c);
        for (size_t i = 1; i < c.sets.m; i++) {
            memcpy(all_x + i * c.sets.n, all_x, c.sets.n * sizeof *all_x);
            memcpy(all_weights + i * c.sets.n, all_weights, c.sets.n * sizeof *all_weights);
        }
        c.sets.x_step = c.sets.weight_step = c.sets.n;
        found own = fit(&c);
        CHECK(is_same_all(&shared, &own));
        release(&shared);
        release(&own);
    }
}

/* A single example each, so that the inputs follow each other without a gap. */
static void test_single_examples(void)
{
    const unsigned char but_scale[] = {1, 1, 1, 1, 0, 1};
    call c = problem_of(LOGISTICS, 1, 40);
    c.chain.frozen = but_scale;
    c.sets.x_step = 1;
    for (size_t i = 0; i < c.sets.m; i++) {
        all_x[i] = 1 + R(i) / 8;
    }
    found whole = fit(&c);
    for (size_t i = 0; i < c.sets.m; i++) {
        const call one = alone(&c, i);
        found f = fit(&one);
        CHECK(f.fits.status[0] == CBP_CONVERGED && is_same(&f, 0, &whole, i));
        release(&f);
    }
    release(&whole);
}

/* An input that is not finite, or has no logarithm, is not read where the target is missing, and
 * an error where it is not. */
static void test_shared_fault(void)
{
    const cbp_real wrong[] = {R(NAN), R(INFINITY), -1};
    for (size_t k = 0; k < 3; k++) {
        const size_t at = 11 * k;
        call c = problem_of(LOGISTICS, 23, 40);
        for (size_t i = 0; i < c.sets.m; i++) {
            all_y[i * c.sets.n + at] = i % 2 ? all_y[i * c.sets.n + at] : R(NAN);
        }
        all_x[at] = wrong[k];
        found shared = fit(&c);
        for (size_t i = 0; i < c.sets.m; i++) {
            CHECK(shared.fits.status[i] == (i % 2 == 0 ? CBP_CONVERGED
                                            : k < 2    ? CBP_ERROR_DATA
                                                       : CBP_ERROR_START_LOSS));
            memmove(all_x + i * c.sets.n, all_x, c.sets.n * sizeof *all_x);
        }
        c.sets.x_step = c.sets.n;
        found own = fit(&c);
        CHECK(is_same_all(&shared, &own));
        release(&shared);
        release(&own);
    }
}

/* Doses of 0 below a logarithm that is fitted too: 0 times infinity is 0 in the lanes as
 * elsewhere. */
static void test_dose_zero(void)
{
    const unsigned char frozen[] = {0, 1, 0, 1, 0, 0};
    const cbp_real start[] = {R(0.75), 0, 1, 0, 3, R(0.5)};
    call c = problem_of(LOGISTICS, 24, 20);
    c.chain.frozen = frozen;
    c.start = start;
    all_x[0] = all_x[1] = 0;
    compare_all(&c);
}

static void test_kernels(void)
{
    const char *const levels[] = {"avx2", "avx512"};
    for (int kind = 0; kind < KINDS; kind++) {
        found first = {0};
        call c = problem_of(kind, 19, MOST_CHAINS);
        c.sets.weight = kind % 2 ? all_weights : NULL;
        for (size_t level = 0; level < 2; level++) {
            if (cbp_kernel_choose(levels[level]) != CBP_OK) {
                continue;
            }
            found f = fit(&c);
            if (first.m == 0) {
                first = f;
            } else {
                CHECK(is_same_all(&first, &f));
                release(&f);
            }
        }
        release(&first);
    }
    CHECK(cbp_kernel_choose("generic") == CBP_OK);
    test_as_single();
    test_bounds();
    CHECK(cbp_kernel_choose(NULL) == CBP_OK);
}

/* ---- memory ---------------------------------------------------------------------------------- */

/* Wherever the work memory starts, and whatever its content. */
static void test_memory(void)
{
    for (int kind = 0; kind < KINDS; kind++) {
        call c = problem_of(kind, 18, 20);
        found first = fit(&c);
        for (size_t offset = 1; offset <= OFFSETS; offset++) {
            found f = room_for(&c);
            CHECK(fit_at(&c, offset, &f) == CBP_OK);
            CHECK(is_same_all(&first, &f));
            release(&f);
        }
        release(&first);
    }
}

/* Deep chains, few and many free parameters, few and many examples, of which some are too many for
 * lanes. */
static void test_sizes(void)
{
    const unsigned char inner[] = {CBP_TANH, CBP_SOFTPLUS, CBP_SIN, CBP_SOFTSIGN};
    const size_t depths[] = {1, 2, 3, 7, 33}, lengths[] = {1, 2, 15, 16, 17, 33, 4095, 4096, 4097};
    check_state = 51;
    for (size_t i = 0; i < 5; i++) {
        const size_t layers = depths[i], all = 2 * layers, counts[] = {1, 2, layers, all - 1, all};
        unsigned char *activations = bytes(layers), *frozen = bytes(all);
        cbp_real *start = numbers(all);
        for (size_t l = 0; l < layers; l++) {
            activations[l] = l + 1 < layers ? inner[random_below(4)] : CBP_IDENTITY;
            start[2 * l] = R(random_between(0.8, 1.2));
            start[2 * l + 1] = R(random_between(-0.2, 0.2));
        }
        for (size_t j = 0; j < 5; j++) {
            for (size_t k = 0; k < 9; k++) {
                const size_t n = lengths[k], m = n < 100 ? 17 : 2;
                if ((n > 100 && layers > 2) || (layers > 7 && n > 17)) {
                    continue;
                }
                cbp_real *x = numbers(n * m), *y = numbers(n * m);
                call c = {.chain = {.activations = activations, .frozen = frozen, .layers = layers},
                          .sets = {.x = x, .y = y, .n = n, .m = m, .x_step = n},
                          .start = start};
                for (size_t at = 0; at < n * m; at++) {
                    x[at] = R(random_between(-2, 2));
                    y[at] = R(random_between(-1, 1));
                }
                memset(frozen, 1, all);
                for (size_t p = all; p-- > all - counts[j];) {
                    frozen[p] = 0;
                }
                CHECK(cbp_fit_defaults(&c.options) == CBP_OK);
                c.options.max_iterations = 3;
                found f = fit(&c);
                for (size_t at = 0; at < m; at++) {
                    const int status = f.fits.status[at];
                    CHECK(n < counts[j] ? status == CBP_ERROR_FEW_EXAMPLES
                                        : status == CBP_CONVERGED || status == CBP_EXHAUSTED);
                    CHECK(f.fits.iterations[at] <= 3);
                }
                release(&f);
                free(x);
                free(y);
            }
        }
        free(activations);
        free(frozen);
        free(start);
    }
}

int main(void)
{
    test_as_single();
    test_bounds();
    test_one_sided_bounds();
    test_undetermined();
    test_without_covariance();
    test_one_by_one();
    test_company();
    test_shared_inputs();
    test_single_examples();
    test_shared_fault();
    test_dose_zero();
    test_kernels();
    test_memory();
    test_sizes();
    return check_done("test_many");
}
