/* What all fits share: options and random numbers. */
#include "check.h"
#include "fit.h"

static void test_random_bits(void)
{
    uint64_t state = 0;
    CHECK(cbp_random_bits(&state) == UINT64_C(0xe220a8397b1dcdaf));
    CHECK(cbp_random_bits(&state) == UINT64_C(0x6e789e6aa1b965f4));
    CHECK(cbp_random_bits(&state) == UINT64_C(0x06c45d188009454f));
    CHECK(state == 3 * UINT64_C(0x9e3779b97f4a7c15));
}

/* States after which all 64 bits are 1, all but the last, or none. */
#define BEFORE_ALL UINT64_C(0x31628af67b2131ab)
#define BEFORE_ALL_BUT_ONE UINT64_C(0x4f10d6ffa9921217)
#define BEFORE_NONE UINT64_C(0x61c8864680b583eb)

static void test_random_uniform(void)
{
    uint64_t state = BEFORE_ALL;
    CHECK(cbp_random_uniform(&state) == 1 - R(EPSILON) / 2); /* the largest below 1 */
    state = BEFORE_NONE;
    CHECK(cbp_random_uniform(&state) == 0);

    /* Means of 1, t and t^2 over 20000 draws, whose standard deviations are 0.002 and 0.0021. */
    double sum = 0, squares = 0;
    uint64_t bits = state = 5;
    for (int i = 0; i < 20000; i++) {
        const double t = (double)cbp_random_uniform(&state),
                     kept = ldexp(t, sizeof(cbp_real) == 4 ? 24 : 53);
        CHECK(t >= 0 && t < 1 && kept == floor(kept));
        CHECK(kept == (double)(cbp_random_bits(&bits) >> (sizeof(cbp_real) == 4 ? 40 : 11)));
        sum += t;
        squares += t * t;
    }
    CHECK(fabs(sum / 20000 - 0.5) < 0.01 && fabs(squares / 20000 - 1.0 / 3) < 0.01);
}

static void test_random_below(void)
{
    /* Of 2^64 numbers the last is one too many for 3, none for 2. */
    const uint64_t step = UINT64_C(0x9e3779b97f4a7c15);
    uint64_t state = BEFORE_ALL;
    const size_t again = cbp_random_below(&state, 3);
    CHECK(again < 3 && state == BEFORE_ALL + 2 * step);
    state = BEFORE_ALL + step;
    CHECK(cbp_random_below(&state, 3) == again);
    state = BEFORE_ALL_BUT_ONE;
    CHECK(cbp_random_below(&state, 3) == 2 && state == BEFORE_ALL_BUT_ONE + step);
    state = BEFORE_ALL;
    CHECK(cbp_random_below(&state, 2) == 1 && state == BEFORE_ALL + step);
    state = BEFORE_NONE;
    CHECK(cbp_random_below(&state, 7) == 0);

    for (size_t count = 1; count <= 10; count++) {
        size_t found[10] = {0};
        state = count;
        for (int i = 0; i < 10000; i++) {
            const size_t drawn = cbp_random_below(&state, count);
            CHECK(drawn < count);
            found[drawn < count ? drawn : 0]++;
        }
        for (size_t k = 0; k < count; k++) { /* within 5 standard deviations */
            const double mean = 10000 / (double)count;
            CHECK(fabs((double)found[k] - mean) <= 5 * sqrt(mean * (1 - 1 / (double)count)));
        }
    }

    /* Where the remainder alone would come twice as often in the first third as in the rest. */
    if (sizeof(size_t) == 8) {
        const size_t most = (size_t)(UINT64_C(3) << 51);
        int low = 0;
        for (int i = 0; i < 3000; i++) {
            const size_t drawn = cbp_random_below(&state, most);
            CHECK(drawn < most);
            low += drawn < most / 3;
        }
        CHECK(low > 850 && low < 1150);
    }
}

static void test_defaults(void)
{
    cbp_fit_options options;
    memset(&options, 77, sizeof options);
    CHECK(cbp_fit_defaults(NULL) == CBP_ERROR_NULL);
    CHECK(cbp_fit_defaults(&options) == CBP_OK);
    CHECK(options.size == sizeof options);
    CHECK(options.loss.kind == CBP_SQUARED && options.loss.scale == 1);
    CHECK(options.lower == NULL && options.upper == NULL);
    CHECK(options.max_iterations == 2000 &&
          options.tolerance == (sizeof(cbp_real) == 4 ? R(1e-5) : R(1e-10)));
    CHECK(options.progress == NULL && options.user == NULL && options.history == NULL &&
          options.history_len == 0);
    CHECK(options.restarts == 0 && options.seed == 0 && options.method == CBP_GRADIENT_DESCENT);
    CHECK(options.learning_rate == R(0.1) && options.momentum == R(0.9) && options.batch_size == 0);
}

int main(void)
{
    test_random_bits();
    test_random_uniform();
    test_random_below();
    test_defaults();
    return check_done("test_fit");
}
