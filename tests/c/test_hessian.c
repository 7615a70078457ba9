/* Second derivatives against differences of the gradient, and the largest eigenvalue of matrices
 * whose eigenvalues are known. */
#include "check.h"

/* ---- second derivatives ---------------------------------------------------------------------- */

/* The Hessian against differences of the exact gradient. */
static void test_hessian(void)
{
    cbp_real *work = numbers(cbp_hessian_work_len(2)), *gradient_work = numbers(cbp_work_len(2, 3));
    const cbp_real network_params[] = {R(1.5), R(0.1), R(-0.8), R(0.3)};
    const unsigned char network_activations[] = {CBP_SIGMOID, CBP_SIGMOID};
    const cbp_real inputs[] = {R(0.5), R(-2), 0}, targets[] = {R(0.2), R(0.9), R(0.5)};
    const cbp_chain network = {network_params, network_activations, NULL, 2};
    const cbp_examples examples = {inputs, targets, NULL, 3};
    cbp_real hessian[16];
    CHECK(cbp_hessian(&network, &examples, NULL, work, hessian) == CBP_OK);
    const cbp_real step = R(pow(EPSILON, 1.0 / 3));
    for (int row = 0; row < 4; row++) {
        cbp_real params[4], up[4], down[4];
        const cbp_chain moved = {params, network_activations, NULL, 2};
        memcpy(params, network_params, sizeof params);
        params[row] = network_params[row] + step;
        const cbp_real high = params[row];
        CHECK(cbp_gradient(&moved, &examples, NULL, gradient_work, NULL, up) == CBP_OK);
        params[row] = network_params[row] - step;
        CHECK(cbp_gradient(&moved, &examples, NULL, gradient_work, NULL, down) == CBP_OK);
        for (int column = 0; column < 4; column++) {
            const double difference =
                (double)(up[column] - down[column]) / (double)(high - params[row]);
            CHECK(fabs(difference - (double)hessian[4 * row + column]) < 4 * pow(EPSILON, 2.0 / 3));
            CHECK(same(hessian[4 * row + column], hessian[4 * column + row]));
        }
    }
    free(work);
    free(gradient_work);
}

/* The same of every activation in the midst of four layers and of every loss, by differences of
 * fourth order, with weights. */
static void test_hessians(void)
{
    const cbp_real x[] = {R(0.4), R(0.9), R(1.3)}, y[] = {R(0.3), R(0.9), R(0.6)},
                   weight[] = {1, R(0.5), 2};
    const cbp_real middle[] = {R(0.8), R(0.1), R(1.1), R(0.2), R(0.9), R(-0.3), R(1.2), R(0.15)};
    const cbp_examples weighted = {x, y, weight, 3};
    const double step = pow(EPSILON, 0.2), units = 4096 * pow(EPSILON, 0.8);
    cbp_real *work = numbers(cbp_hessian_work_len(4)), *gradient_work = numbers(cbp_work_len(4, 3));
    for (int activation = 0; activation < CBP_ACTIVATION_END; activation++) {
        for (int kind = 0; kind < CBP_LOSS_END; kind++) {
            const cbp_loss loss = {kind, 2};
            const unsigned char last = takes_any_target(kind) ? CBP_TANH : CBP_SIGMOID;
            const unsigned char codes[] = {CBP_SOFTPLUS, (unsigned char)activation, CBP_ARCTAN,
                                           last};
            const cbp_chain chain = {middle, codes, NULL, 4};
            cbp_real hessian[64];
            CHECK(cbp_hessian(&chain, &weighted, &loss, work, hessian) == CBP_OK);
            cbp_real mean, mean_beside, unused[8];
            CHECK(cbp_loss_mean(&chain, &weighted, &loss, &mean) == CBP_OK);
            CHECK(cbp_gradient(&chain, &weighted, &loss, gradient_work, &mean_beside, unused) ==
                  CBP_OK);
            CHECK(same(mean, mean_beside));
            double largest = 1;
            for (int k = 0; k < 64; k++) {
                largest = fmax(largest, fabs((double)hessian[k]));
            }
            for (int row = 0; row < 8; row++) {
                cbp_real gradient[4][8];
                double at[4];
                for (int i = 0; i < 4; i++) {
                    cbp_real params[8];
                    const cbp_chain moved = {params, codes, NULL, 4};
                    memcpy(params, middle, sizeof params);
                    params[row] += R(step * (i < 2 ? i - 2 : i - 1));
                    at[i] = (double)params[row];
                    CHECK(cbp_gradient(&moved, &weighted, &loss, gradient_work, NULL,
                                       gradient[i]) == CBP_OK);
                }
                for (int column = 0; column < 8; column++) {
                    const double outer =
                        ((double)gradient[3][column] - (double)gradient[0][column]) /
                        (at[3] - at[0]);
                    const double inner =
                        ((double)gradient[2][column] - (double)gradient[1][column]) /
                        (at[2] - at[1]);
                    CHECK(fabs((4 * inner - outer) / 3 - (double)hessian[8 * row + column]) <=
                          units * largest);
                }
            }
        }
    }
    free(work);
    free(gradient_work);
}

/* ---- the largest eigenvalue ------------------------------------------------------------------ */

enum { MOST_LAYERS = 12, MOST = 2 * MOST_LAYERS };

static const cbp_real any_params[MOST];
static const unsigned char any_activations[MOST_LAYERS]; /* identities */

static cbp_chain of_layers(size_t layers)
{
    return (cbp_chain){any_params, any_activations, NULL, layers};
}

/* Of matrix[2 layers][2 layers], in memory that ends where the numbers end. */
static double sharpness_of(const cbp_chain *chain, const cbp_real *matrix)
{
    const size_t area = 4 * chain->layers * chain->layers;
    cbp_real *hessian = exactly(matrix, area), *work = numbers(area), sharpness, in_place;
    CHECK(cbp_sharpness(chain, hessian, work, &sharpness) == CBP_OK);
    CHECK(same_all(hessian, matrix, area));
    CHECK(cbp_sharpness(chain, hessian, hessian, &in_place) == CBP_OK);
    CHECK(same(sharpness, in_place));
    free(hessian);
    free(work);
    return (double)sharpness;
}

/* Symmetric matrices of `size` with known eigenvalues: which one, its norm, and the largest. */
typedef struct known {
    double norm, largest;
} known;

enum { DIFFERENCES, OPPOSITE, ONES, NO_ONES, REFLECTION, EYE, ZERO, GRADED, KNOWN };

static known fill_known(int which, size_t size, cbp_real *matrix)
{
    const double n = (double)size, pi = 3.141592653589793;
    const double low = 2 - 2 * cos(pi / (n + 1)), high = 2 + 2 * cos(pi / (n + 1));
    const known answers[KNOWN] = {
        [DIFFERENCES] = {4, high}, /* 2 beside -1: 2 - 2 cos(k pi / (n + 1)) */
        [OPPOSITE] = {4, -low},    /* less of it: all are negative */
        [ONES] = {n, n},           /* n once, and 0 */
        [NO_ONES] = {n, 2},        /* 2 less that: 2 - n once, and 2 */
        [REFLECTION] = {3, 3},     /* 3 (1 - 2 v v' / v'v): -3 once, and 3 */
        [EYE] = {5, -5},           /* -5 in the diagonal */
        [ZERO] = {0, 0},
        [GRADED] = {1, 1}, /* 1, 1/8, 1/64 ... in the diagonal, rotated below */
    };
    double squares = 0;
    for (size_t i = 0; i < size; i++) {
        squares += (double)((i + 1) * (i + 1));
    }
    for (size_t i = 0; i < size; i++) {
        for (size_t j = 0; j < size; j++) {
            const double is_same = i == j, is_beside = i == j + 1 || j == i + 1;
            const double reflected = is_same - 2 * (double)((i + 1) * (j + 1)) / squares;
            double graded = 0; /* R D R' with the same reflection R */
            for (size_t k = 0; k < size; k++) {
                const double left = (i == k) - 2 * (double)((i + 1) * (k + 1)) / squares;
                const double right = (j == k) - 2 * (double)((j + 1) * (k + 1)) / squares;
                graded += left * right * pow(0.125, (double)k);
            }
            const double entries[KNOWN] = {
                2 * is_same - is_beside,
                is_beside - 2 * is_same,
                1,
                2 * is_same - 1,
                3 * reflected,
                -5 * is_same,
                0,
                graded,
            };
            matrix[i * size + j] = R(entries[which]);
        }
    }
    return answers[which];
}

static void test_known_eigenvalues(void)
{
    const int far = sizeof(cbp_real) == 4 ? 120 : 1000;
    cbp_real matrix[MOST * MOST], scaled[MOST * MOST];
    for (size_t layers = 1; layers <= MOST_LAYERS; layers++) {
        const cbp_chain chain = of_layers(layers);
        const size_t size = 2 * layers;
        for (int which = 0; which < KNOWN; which++) {
            const known answer = fill_known(which, size, matrix);
            const double found = sharpness_of(&chain, matrix);
            if (!CHECK(fabs(found - answer.largest) <=
                       (double)(4 * size) * EPSILON * answer.norm)) {
                fprintf(stderr, "    matrix %d of %zu: %.17g, not %.17g\n", which, size, found,
                        answer.largest);
            }
            /* in other units, near both ends of the numbers, it is the same */
            for (int exponent = -far; exponent <= far; exponent += far / 2) {
                for (size_t k = 0; k < size * size; k++) {
                    scaled[k] = R(ldexp((double)matrix[k], exponent));
                }
                if (which != GRADED || exponent > -far) { /* some are below the least number */
                    CHECK(sharpness_of(&chain, scaled) == ldexp(found, exponent));
                }
            }
        }
    }
    /* whole multiples of the least number, and sums above the largest */
    const double least = sizeof(cbp_real) == 4 ? ldexp(1, -149) : ldexp(1, -1074);
    const cbp_real tiny[] = {R(2 * least), R(least), R(least), R(2 * least)};
    const double most = sizeof(cbp_real) == 4 ? FLT_MAX : DBL_MAX;
    const cbp_real huge[] = {R(most), R(most), R(most), R(most)};
    const cbp_real low[] = {R(-most), R(most), R(most), R(-most)};
    const cbp_chain line = of_layers(1);
    CHECK(sharpness_of(&line, tiny) == 3 * least);
    CHECK(sharpness_of(&line, huge) == INFINITY);
    CHECK(fabs(sharpness_of(&line, low)) <= 4 * EPSILON * most);
}

/* Rows and columns of frozen parameters do not count. */
static void test_frozen(void)
{
    cbp_real matrix[16];
    for (size_t k = 0; k < 16; k++) {
        matrix[k] = R(NAN);
    }
    const cbp_real single[] = {3, -3, R(0.1), 0, R(-1e-30)};
    for (size_t at = 0; at < 4; at++) {
        const unsigned char frozen[] = {at != 0, at != 1, at != 2, at != 3};
        const cbp_chain chain = {any_params, any_activations, frozen, 2};
        for (size_t k = 0; k < sizeof single / sizeof *single; k++) {
            matrix[5 * at] = single[k];
            CHECK(sharpness_of(&chain, matrix) == (double)single[k]);
        }
        matrix[5 * at] = R(NAN);
    }
    /* [4 1; 1 4] in rows 1 and 3: 5 and 3 */
    const unsigned char frozen[] = {1, 0, 7, 0};
    const cbp_chain chain = {any_params, any_activations, frozen, 2};
    matrix[5] = matrix[15] = 4;
    matrix[7] = matrix[13] = 1;
    CHECK(near(sharpness_of(&chain, matrix), 5, 0, 4));
    matrix[7] = matrix[13] = -1;
    CHECK(near(sharpness_of(&chain, matrix), 5, 0, 4));
    matrix[5] = matrix[15] = -4;
    CHECK(near(sharpness_of(&chain, matrix), -3, 5, 4));
    const double spoiled[] = {NAN, INFINITY, -INFINITY};
    for (size_t k = 0; k < 3; k++) {
        matrix[7] = matrix[13] = R(spoiled[k]);
        CHECK(isnan(sharpness_of(&chain, matrix)));
    }
}

static void test_refused(void)
{
    const unsigned char all[] = {1, 1};
    const cbp_real matrix[] = {2, 1, 1, 2};
    const cbp_chain line = of_layers(1), fixed = {any_params, any_activations, all, 1},
                    too_long = of_layers(SIZE_MAX / 4096);
    cbp_real work[4], sharpness = 7;
    CHECK(cbp_sharpness(&line, NULL, work, &sharpness) == CBP_ERROR_NULL);
    CHECK(cbp_sharpness(&line, matrix, NULL, &sharpness) == CBP_ERROR_NULL);
    CHECK(cbp_sharpness(&line, matrix, work, NULL) == CBP_ERROR_NULL);
    CHECK(cbp_sharpness(&fixed, matrix, work, &sharpness) == CBP_ERROR_NO_FREE);
    CHECK(cbp_sharpness(&too_long, matrix, work, &sharpness) == CBP_ERROR_LAYERS);
    CHECK(sharpness == 7);
}

int main(void)
{
    test_hessian();
    test_hessians();
    test_known_eigenvalues();
    test_frozen();
    test_refused();
    return check_done("test_hessian");
}
