/* Where many fits start: the best of the candidates, or what lies between them. */
#include "many_call.h"

/* The sum of squares that a candidate leaves for chain i, its last layer's free w and b being put
 * in *w and *b. */
static double squares_of(const call *c, size_t i, const cbp_real *candidate, double *w, double *b)
{
    const cbp_chain *chain = &c->chain;
    const cbp_example_sets own = alone(c, i).sets;
    const size_t last = 2 * chain->layers - 2;
    const int linear = chain->activations[chain->layers - 1] == CBP_IDENTITY;
    const int solves_w = linear && !(chain->frozen && chain->frozen[last]);
    const int solves_b = linear && !(chain->frozen && chain->frozen[last + 1]);
    const cbp_chain inner = {candidate, chain->activations, NULL, chain->layers - (size_t)linear};
    double total = 0, f_sum = 0, y_sum = 0, ff = 0, fy = 0, squares = 0;
    cbp_real *features = numbers(own.n);
    CHECK(!linear || chain->layers > 1);
    CHECK(cbp_forward(&inner, own.x, own.n, features) == CBP_OK);
    *w = linear ? (double)candidate[last] : 1;
    *b = linear ? (double)candidate[last + 1] : 0;
    for (int pass = 0; pass < 3; pass++) {
        for (size_t k = 0; k < own.n; k++) {
            const double weight = isnan(own.y[k]) ? 0 : own.weight ? (double)own.weight[k] : 1;
            const double f = (double)features[k], y = (double)own.y[k];
            if (weight > 0 && pass == 0) {
                total += weight;
                f_sum += weight * f;
                y_sum += weight * y;
            } else if (weight > 0 && pass == 1) {
                const double mean_f = solves_b ? f_sum / total : 0,
                             level = solves_b ? y_sum / total : *b;
                ff += weight * (f - mean_f) * (f - mean_f);
                fy += weight * (f - mean_f) * (y - level);
            } else if (weight > 0) {
                const double residual = *w * f + *b - y;
                squares += weight * residual * residual;
            }
        }
        if (pass == 1) {
            *w = solves_w ? fy / ff : *w;
            *b = solves_b ? (y_sum - *w * f_sum) / total : *b;
        }
    }
    free(features);
    return squares;
}

static int choose_at(const call *c, const cbp_real *candidates, size_t count, size_t row,
                     size_t offset, cbp_real *params)
{
    const size_t len = cbp_choose_starts_work_len(c->chain.layers, c->sets.n, count);
    cbp_real *memory = filled(offset + len + GUARD, NAN), *work = memory + offset;
    cbp_real *y = exactly(c->sets.y, c->sets.n * c->sets.m);
    cbp_example_sets sets = c->sets;
    sets.y = y;
    for (size_t k = 0; k < GUARD; k++) {
        work[len + k] = R(1234.5) + R(k);
    }
    const int status = cbp_choose_starts(&c->chain, &sets, &c->options,
                                         &(cbp_candidates){candidates, count, row}, work, params);
    for (size_t k = 0; k < GUARD; k++) {
        CHECK(work[len + k] == R(1234.5) + R(k));
    }
    free(y);
    free(memory);
    return status;
}

enum { CANDIDATES = 12 };

static void fill_candidates(const call *c, cbp_real *candidates)
{
    check_state = 77;
    for (size_t k = 0; k < CANDIDATES * 2 * c->chain.layers; k++) {
        const size_t place = k % (2 * c->chain.layers);
        candidates[k] = c->chain.frozen && c->chain.frozen[place] ? c->start[place]
                                                                  : R(random_between(-1.5, 2));
    }
}

/* The chosen one leaves the least that any leaves, and stands there with what was solved for. */
static void check_starts(const call *c)
{
    const size_t all = 2 * c->chain.layers, last = all - 2;
    cbp_real *candidates = numbers(CANDIDATES * all), *params = filled(c->sets.m * all, 5),
             *again = filled(c->sets.m * all, 5);
    const int linear = c->chain.activations[c->chain.layers - 1] == CBP_IDENTITY;
    size_t chosen[CANDIDATES] = {0};
    fill_candidates(c, candidates);
    CHECK(choose_at(c, candidates, CANDIDATES, 0, 0, params) == CBP_OK);
    for (size_t i = 0; i < c->sets.m; i++) {
        const cbp_real *found_params = params + i * all;
        double least = INFINITY, w, b;
        size_t best = CANDIDATES;
        for (size_t k = 0; k < CANDIDATES; k++) {
            const double squares = squares_of(c, i, candidates + k * all, &w, &b);
            least = squares < least ? squares : least;
            best =
                memcmp(candidates + k * all, found_params, (linear ? last : all) * sizeof *params)
                    ? best
                    : k;
        }
        if (!CHECK(best < CANDIDATES)) {
            continue;
        }
        chosen[best]++;
        const double squares = squares_of(c, i, candidates + best * all, &w, &b);
        CHECK(squares <= least * (1 + (sizeof(cbp_real) == 4 ? 1e-3 : 1e-9)));
        if (linear) {
            CHECK(near((double)found_params[last], w, 1, sizeof(cbp_real) == 4 ? 1e4 : 1e5));
            CHECK(near((double)found_params[last + 1], b, 1, sizeof(cbp_real) == 4 ? 1e4 : 1e5));
        }
        const call one = alone(c, i);
        CHECK(choose_at(&one, candidates, CANDIDATES, 0, 0, again) == CBP_OK &&
              same_all(again, found_params, all));
    }
    size_t different = 0;
    for (size_t k = 0; k < CANDIDATES; k++) {
        different += chosen[k] > 0;
    }
    CHECK(different > 1);
    for (size_t offset = 1; offset <= OFFSETS; offset++) {
        CHECK(choose_at(c, candidates, CANDIDATES, 0, offset, again) == CBP_OK &&
              same_all(again, params, c->sets.m * all));
    }
    free(candidates);
    free(params);
    free(again);
}

static void test_starts(void)
{
    const unsigned char only_last_w[] = {1, 1, 0, 0, 0, 1}, only_last_b[] = {1, 1, 0, 0, 1, 0};
    const unsigned char neither[] = {1, 1, 0, 0, 1, 1};
    const unsigned char *const frozen[] = {but_logarithm, only_last_w, only_last_b, neither};
    for (int variant = 0; variant < 8; variant++) {
        for (size_t k = 0; k < 4; k++) {
            call c = problem_of(LOGISTICS, 21, 37);
            c.chain.frozen = frozen[k];
            c.sets.weight = variant & 1 ? all_weights : NULL;
            c.sets.x_step = c.sets.weight_step = variant & 2 ? c.sets.n : 0;
            for (size_t at = 0; variant & 4 && at < c.sets.n * c.sets.m / 2; at += 5) {
                all_y[at] = R(NAN);
            }
            check_starts(&c);
        }
        call c = problem_of(FROZEN_END, 21, 37);
        c.sets.weight = variant & 1 ? all_weights : NULL;
        c.sets.x_step = c.sets.weight_step = variant & 2 ? c.sets.n : 0;
        check_starts(&c);
    }

    /* A single example each. */
    call single = problem_of(LOGISTICS, 1, 37);
    single.chain.frozen = neither;
    single.sets.x_step = 1;
    for (size_t i = 0; i < single.sets.m; i++) {
        all_x[i] = 1 + R(i) / 8;
    }
    check_starts(&single);

    /* What was chosen is clamped to the bounds, also what was solved for. */
    const cbp_real lower[] = {9, 9, -9, -9, R(-0.25), R(-0.5)},
                   upper[] = {8, 8, R(0.5), 0, R(0.25), R(0.5)};
    call c = problem_of(LOGISTICS, 21, 20), free_call = c;
    cbp_real candidates[CANDIDATES * 6], params[20 * 6], unbounded[20 * 6];
    fill_candidates(&c, candidates);
    c.options.lower = lower;
    c.options.upper = upper;
    CHECK(choose_at(&c, candidates, CANDIDATES, 0, 0, params) == CBP_OK);
    CHECK(choose_at(&free_call, candidates, CANDIDATES, 0, 0, unbounded) == CBP_OK);
    for (size_t i = 0; i < 20; i++) {
        int is_inside = 1;
        for (size_t k = 0; k < 6; k++) {
            const cbp_real one = unbounded[i * 6 + k], bounded = params[i * 6 + k];
            CHECK(k < 2 ? bounded == logistic_start[k]
                        : bounded >= lower[k] && bounded <= upper[k]);
            is_inside = is_inside && (k < 2 || (one >= lower[k] && one <= upper[k]));
        }
        /* what is within the bounds anyway is the best that there is */
        CHECK(!is_inside || same_all(params + i * 6, unbounded + i * 6, 6));
    }
}

/* On a grid of slopes and middles, more of which lie between the best and its neighbours. */
static void test_starts_between(void)
{
    enum { SLOPES = 5, MIDDLES = 9, M = 60 };
    cbp_real grid[SLOPES * MIDDLES * 6], params[M * 6], plain[M * 6], again[6];
    for (int variant = 0; variant < 8; variant++) {
        call c = problem_of(LOGISTICS, 21, M);
        c.sets.weight = variant & 1 ? all_weights : NULL;
        c.sets.x_step = c.sets.weight_step = variant & 2 ? c.sets.n : 0;
        for (size_t at = 0; variant & 4 && at < c.sets.n * c.sets.m / 2; at += 5) {
            all_y[at] = R(NAN);
        }
        for (size_t k = 0; k < SLOPES * MIDDLES; k++) {
            const double slope = pow(2, (double)(k % SLOPES) - 2),
                         middle = (double)(k / SLOPES) - 4;
            const cbp_real candidate[6] = {1, 0, R(slope), R(-slope * middle), 7, 8};
            memcpy(grid + k * 6, candidate, sizeof candidate);
        }
        CHECK(choose_at(&c, grid, SLOPES * MIDDLES, 0, 0, plain) == CBP_OK);
        CHECK(choose_at(&c, grid, SLOPES * MIDDLES, SLOPES, 0, params) == CBP_OK);
        double sum = 0, sum_plain = 0;
        for (size_t i = 0; i < M; i++) {
            double w, b;
            const double squares = squares_of(&c, i, params + i * 6, &w, &b);
            sum += squares;
            sum_plain += squares_of(&c, i, plain + i * 6, &w, &b);
            /* halfway to a neighbour at most: a factor of 3/2 in the slope, and a half in the
             * middle */
            const double slope = (double)(params[i * 6 + 2] / plain[i * 6 + 2]);
            const double middle = (double)(params[i * 6 + 3] / params[i * 6 + 2] -
                                           plain[i * 6 + 3] / plain[i * 6 + 2]);
            CHECK(slope > 0.749 && slope < 1.501 && fabs(middle) < 0.501);
            CHECK(params[i * 6] == 1 && params[i * 6 + 1] == 0);
            (void)squares_of(&c, i, params + i * 6, &w, &b);
            CHECK(near((double)params[i * 6 + 4], w, 1, sizeof(cbp_real) == 4 ? 1e4 : 1e5));
            CHECK(near((double)params[i * 6 + 5], b, 1, sizeof(cbp_real) == 4 ? 1e4 : 1e5));
            const call one = alone(&c, i);
            CHECK(choose_at(&one, grid, SLOPES * MIDDLES, SLOPES, 0, again) == CBP_OK &&
                  same_all(again, params + i * 6, 6));
        }
        CHECK(sum < 0.9 * sum_plain);
    }
    /* at the ends of rows and columns, or beside candidates without a finite sum, there is nothing
     * between */
    call last = problem_of(LOGISTICS, 21, M);
    for (int low = 0; low < 2; low++) { /* slopes that are too low, or middles */
        for (size_t k = 0; k < SLOPES * MIDDLES; k++) {
            grid[k * 6 + 2] = R(pow(2, (double)(k % SLOPES) - (low ? 4 : 8)));
            grid[k * 6 + 3] = -grid[k * 6 + 2] * ((cbp_real)(k / SLOPES) - (low ? 20 : 4));
        }
        CHECK(choose_at(&last, grid, SLOPES * MIDDLES, SLOPES, 0, params) == CBP_OK);
        size_t at_end = 0;
        for (size_t i = 0; i < M; i++) {
            const double slope = (double)params[i * 6 + 2],
                         middle = -(double)params[i * 6 + 3] / slope;
            at_end +=
                low ? fabs(middle + 12) < 1e-3 : params[i * 6 + 2] == grid[(SLOPES - 1) * 6 + 2];
        }
        CHECK(at_end > M * 3 / 4);
    }
    last.chain.frozen = NULL;
    for (size_t k = 0; k < SLOPES * MIDDLES; k++) {
        grid[k * 6] = k == SLOPES * 4 + 2 ? 1 : -1; /* the logarithm of a negative number */
    }
    CHECK(choose_at(&last, grid, SLOPES * MIDDLES, SLOPES, 0, params) == CBP_OK);
    for (size_t i = 0; i < M; i++) {
        CHECK(same_all(params + i * 6, grid + (SLOPES * 4 + 2) * 6, 4));
    }
    for (size_t k = 0; k < SLOPES * MIDDLES; k++) {
        const double slope = pow(2, (double)(k % SLOPES) - 2), middle = (double)(k / SLOPES) - 4;
        const cbp_real candidate[6] = {1, 0, R(slope), R(-slope * middle), 7, 8};
        memcpy(grid + k * 6, candidate, sizeof candidate);
    }
    /* a candidate at the edge of the grid stays there; rows must be full */
    call c = problem_of(LOGISTICS, 21, M);
    CHECK(choose_at(&c, grid, SLOPES, SLOPES, 0, params) == CBP_OK &&
          choose_at(&c, grid, 2, 1, 0, plain) == CBP_OK);
    for (size_t i = 0; i < M; i++) {
        CHECK(params[i * 6 + 3] == -params[i * 6 + 2] * -4);
        CHECK(same_all(plain + i * 6, grid, 4) || same_all(plain + i * 6, grid + 6, 4));
    }
    CHECK(choose_at(&c, grid, 12, SLOPES, 0, params) == CBP_ERROR_OPTION);
}

/* A line needs no candidate: its features are the inputs. */
static void test_starts_of_lines(void)
{
    const unsigned char given_w[] = {1, 0}, given_b[] = {0, 1};
    const unsigned char *const frozen[] = {NULL, given_w, given_b};
    for (int variant = 0; variant < 6; variant++) {
        call c = problem_of(LINES, 21, 20);
        const cbp_real candidates[] = {R(0.75), R(0.25), R(0.75), R(0.25)};
        cbp_real params[20 * 2];
        c.chain.frozen = frozen[variant / 2];
        c.start = candidates;
        c.sets.x_step = variant % 2 ? c.sets.n : 0;
        CHECK(choose_at(&c, candidates, 2, 0, 0, params) == CBP_OK);
        found f = fit(&c);
        for (size_t i = 0; i < c.sets.m; i++) {
            CHECK(f.fits.status[i] == CBP_CONVERGED);
            for (size_t k = 0; k < 2; k++) {
                const int is_given = c.chain.frozen && c.chain.frozen[k];
                const double param = (double)params[i * 2 + k];
                CHECK(is_given ? param == (double)candidates[k]
                               : near(param, (double)f.fits.params[i * 2 + k], 1, 256));
            }
        }
        release(&f);
    }
}

/* Without examples the first candidate is taken; without chains nothing is needed. */
static void test_starts_of_nothing(void)
{
    call c = problem_of(LOGISTICS, 0, 3);
    cbp_real candidates[CANDIDATES * 6], params[18];
    fill_candidates(&c, candidates);
    c.sets.x = c.sets.y = NULL;
    CHECK(choose_at(&c, candidates, CANDIDATES, 0, 0, params) == CBP_OK);
    for (size_t i = 0; i < c.sets.m; i++) {
        CHECK(same_all(params + i * 6, candidates, 4));
    }
    c.chain.frozen = NULL;
    c.sets = (cbp_example_sets){.x = all_x, .n = 5};
    CHECK(cbp_choose_starts(&c.chain, &c.sets, &c.options,
                            &(cbp_candidates){candidates, CANDIDATES, 0}, all_weights,
                            params) == CBP_OK);
}

/* Candidates without a finite sum are passed over; where there is no other, the first is taken as
 * it is. */
static void test_hopeless_starts(void)
{
    call c = problem_of(LOGISTICS, 21, 20);
    cbp_real candidates[CANDIDATES * 6], params[20 * 6];
    c.chain.frozen = NULL;
    fill_candidates(&c, candidates);
    for (size_t k = 0; k < CANDIDATES; k++) {
        candidates[k * 6] = -1; /* the logarithm of a negative number */
    }
    CHECK(choose_at(&c, candidates, CANDIDATES, 0, 0, params) == CBP_OK);
    for (size_t i = 0; i < c.sets.m; i++) {
        CHECK(same_all(params + i * 6, candidates, 6));
    }
    candidates[5 * 6] = 1;
    CHECK(choose_at(&c, candidates, CANDIDATES, 0, 0, params) == CBP_OK);
    for (size_t i = 0; i < c.sets.m; i++) {
        CHECK(same_all(params + i * 6, candidates + 5 * 6, 4) && isfinite(params[i * 6 + 4]));
    }

    /* A missing point does not count, whatever its input is. */
    for (int own = 0; own < 2; own++) {
        c.sets.x_step = own ? c.sets.n : 0;
        candidates[5 * 6] = 1;
        candidates[5 * 6 + 1] = R(-1.5); /* ln(x - 1.5) */
        for (size_t k = 0; k < c.sets.n * c.sets.m; k++) {
            all_y[k] = all_x[k % (own ? c.sets.n * c.sets.m : c.sets.n)] > 2 ? all_y[k] : R(NAN);
        }
        CHECK(choose_at(&c, candidates, CANDIDATES, 0, 0, params) == CBP_OK);
        for (size_t i = 0; i < c.sets.m; i++) {
            CHECK(same_all(params + i * 6, candidates + 5 * 6, 4) && isfinite(params[i * 6 + 4]));
        }
    }
}

static void test_refused_starts(void)
{
    const unsigned char unknown[] = {CBP_LOG, CBP_ACTIVATION_END, CBP_IDENTITY};
    call c = problem_of(LOGISTICS, 20, 5);
    cbp_real candidates[CANDIDATES * 6], params[30];
    fill_candidates(&c, candidates);
    for (size_t k = 0; k < 30; k++) {
        params[k] = 5;
    }
#define REFUSED(status, change)                                               \
    do {                                                                      \
        call t = c;                                                           \
        change;                                                               \
        CHECK(choose_at(&t, candidates, CANDIDATES, 0, 0, params) == status); \
    } while (0)
    REFUSED(CBP_ERROR_NULL, t.chain.activations = NULL);
    REFUSED(CBP_ERROR_NULL, t.sets.x = NULL);
    REFUSED(CBP_ERROR_NULL, t.sets.y = NULL);
    REFUSED(CBP_ERROR_ACTIVATION, t.chain.activations = unknown);
#undef REFUSED
    CHECK(choose_at(&c, NULL, CANDIDATES, 0, 0, params) == CBP_ERROR_NULL);
    CHECK(choose_at(&c, candidates, 0, 0, 0, params) == CBP_ERROR_OPTION);
    CHECK(choose_at(&c, candidates, CANDIDATES, 0, 0, NULL) == CBP_ERROR_NULL);
    const cbp_candidates all = {candidates, CANDIDATES, 0};
    cbp_chain chain = c.chain;
#define ASK(chain, sets, options, candidates, work) \
    cbp_choose_starts(chain, sets, options, candidates, work, params)
    CHECK(ASK(NULL, &c.sets, &c.options, &all, all_weights) == CBP_ERROR_NULL);
    CHECK(ASK(&chain, NULL, &c.options, &all, all_weights) == CBP_ERROR_NULL);
    CHECK(ASK(&chain, &c.sets, NULL, &all, all_weights) == CBP_ERROR_NULL);
    CHECK(ASK(&chain, &c.sets, &c.options, NULL, all_weights) == CBP_ERROR_NULL);
    CHECK(ASK(&chain, &c.sets, &c.options, &all, NULL) == CBP_ERROR_NULL);
    chain.layers = 0;
    CHECK(ASK(&chain, &c.sets, &c.options, &all, all_weights) == CBP_ERROR_LAYERS);
    chain.layers = SIZE_MAX / 2;
    CHECK(ASK(&chain, &c.sets, &c.options, &all, all_weights) == CBP_ERROR_LAYERS);
#undef ASK
    for (size_t k = 0; k < 30; k++) {
        CHECK(params[k] == 5);
    }
}

int main(void)
{
    test_starts();
    test_starts_between();
    test_starts_of_lines();
    test_starts_of_nothing();
    test_hopeless_starts();
    test_refused_starts();
    return check_done("test_starts");
}
