/* One pass of a fit over some of the examples: the normal equations that its rows add up to, and its sums. */
#include "check.h"

enum { LAYERS = 2, WIDTH = 2 * LAYERS, EXAMPLES = 21, SIDE = WIDTH + 1 };

#define TOLERANCE (256 * EPSILON)

static const unsigned char activations[LAYERS] = {CBP_TANH, CBP_IDENTITY};
static const cbp_real params[WIDTH] = {R(1.25), R(-0.5), R(2), R(0.75)};

typedef struct shard {
    cbp_real triangle[SIDE * SIDE], sums[4], lost[4];
} shard;

static cbp_real x[EXAMPLES], y[EXAMPLES], weight[EXAMPLES];

static int add(shard *to, const unsigned char *frozen, const cbp_real *weights, size_t from, size_t n, size_t free_count)
{
    cbp_real *work = numbers(cbp_fit_work_len(LAYERS, free_count));
    const int status = cbp_fit_shard(params, activations, frozen, x + from, y + from, weights ? weights + from : NULL, LAYERS,
                                     n, CBP_SQUARED, 1, work, to->triangle, to->sums, to->lost);
    free(work);
    return status;
}

/* T'T is the sum of the rows' products, in one go and in two. */
static void test_rows(const unsigned char *frozen, const cbp_real *weights)
{
    double expected[SIDE][SIDE] = {{0}}, sums[4] = {0};
    size_t places[WIDTH], count = 0;
    for (size_t k = 0; k < WIDTH; k++) {
        if (!frozen || !frozen[k]) {
            places[count++] = k;
        }
    }
    for (size_t i = 0; i < EXAMPLES; i++) {
        const double w = weights ? (double)weights[i] : 1;
        cbp_real jacobian[WIDTH], out;
        double row[SIDE];
        CHECK(cbp_jacobian(params, activations, x + i, LAYERS, 1, NULL, jacobian) == CBP_OK);
        CHECK(cbp_forward(params, activations, x + i, LAYERS, 1, &out) == CBP_OK);
        for (size_t j = 0; j < count; j++) {
            row[j] = (double)jacobian[places[j]];
        }
        row[count] = (double)out - (double)y[i];
        for (size_t j = 0; j <= count; j++) {
            for (size_t k = 0; k <= count; k++) {
                expected[j][k] += w * row[j] * row[k];
            }
        }
        sums[0] += w;
        sums[1] += w * row[count] * row[count];
        sums[2] += w > 0;
        sums[3] += w * (double)y[i] * (double)y[i];
    }
    for (size_t cut = 0; cut <= EXAMPLES; cut += 7) {
        shard found = {{0}, {0}, {0}};
        CHECK(cut == 0 || add(&found, frozen, weights, 0, cut, count) == CBP_OK);
        CHECK(cut == EXAMPLES || add(&found, frozen, weights, cut, EXAMPLES - cut, count) == CBP_OK);
        for (size_t j = 0; j <= count; j++) {
            for (size_t k = j; k <= count; k++) {
                double product = 0;
                for (size_t i = 0; i <= j; i++) {
                    product += (double)found.triangle[i * (count + 1) + j] * (double)found.triangle[i * (count + 1) + k];
                }
                const double size = sqrt(expected[j][j] * expected[k][k]);
                CHECK(fabs(product - expected[j][k]) <= TOLERANCE * size);
            }
        }
        for (size_t k = 0; k < 4; k++) {
            CHECK(fabs((double)found.sums[k] + (double)found.lost[k] - sums[k]) <= TOLERANCE * sums[k]);
            CHECK(fabs((double)found.lost[k]) <= TOLERANCE * sums[k]);
        }
    }
}

/* For the log loss the last sum is the weight, as the outputs are of size 1. */
static void test_log_loss(void)
{
    static const unsigned char sigmoid[] = {CBP_SIGMOID};
    static const cbp_real z[] = {R(0.5), R(1.5), R(-2)}, targets[] = {1, R(0.5), 0}, weights[] = {2, 0, R(0.25)};
    cbp_real *work = numbers(cbp_fit_work_len(1, 2)), triangle[9] = {0}, sums[4] = {0}, lost[4] = {0};
    CHECK(cbp_fit_shard(params, sigmoid, NULL, z, targets, weights, 1, 3, CBP_LOG_LOSS, 1, work, triangle, sums, lost) == CBP_OK);
    CHECK(sums[0] == R(2.25) && sums[2] == 2 && sums[3] == R(2.25) && sums[1] > 0);
    free(work);
}

static void test_failures(void)
{
    cbp_real work[1] = {0}, triangle[SIDE * SIDE], sums[4] = {7, 7, 7, 7}, lost[4];
    CHECK(cbp_fit_shard(NULL, activations, NULL, x, y, NULL, LAYERS, 3, 0, 1, work, triangle, sums, lost) == CBP_ERROR_NULL);
    CHECK(cbp_fit_shard(params, activations, NULL, x, y, NULL, 0, 3, 0, 1, work, triangle, sums, lost) == CBP_ERROR_LAYERS);
    CHECK(cbp_fit_shard(params, activations, NULL, x, y, NULL, LAYERS, 3, 9, 1, work, triangle, sums, lost) == CBP_ERROR_LOSS);
    CHECK(cbp_fit_shard(params, activations, NULL, x, y, NULL, LAYERS, 3, 0, 1, NULL, triangle, sums, lost) == CBP_ERROR_NULL);
    CHECK(cbp_fit_shard(params, activations, NULL, x, y, NULL, LAYERS, 3, 0, 1, work, NULL, sums, lost) == CBP_ERROR_NULL);
    CHECK(cbp_fit_shard(params, activations, NULL, x, y, NULL, LAYERS, 3, 0, 1, work, triangle, NULL, lost) == CBP_ERROR_NULL);
    CHECK(cbp_fit_shard(params, activations, NULL, x, y, NULL, LAYERS, 3, 0, 1, work, triangle, sums, NULL) == CBP_ERROR_NULL);
    CHECK(sums[0] == 7 && sums[1] == 7 && sums[2] == 7 && sums[3] == 7);
}

int main(void)
{
    static const unsigned char frozen[][WIDTH] = {{0, 0, 0, 1}, {1, 1, 0, 0}, {0, 1, 1, 0}};
    for (size_t i = 0; i < EXAMPLES; i++) {
        x[i] = (cbp_real)i / 8 - 1;
        y[i] = x[i] * x[i] - (cbp_real)(i % 3);
        weight[i] = (cbp_real)(i % 4) / 2;
    }
    test_rows(NULL, NULL);
    test_rows(NULL, weight);
    for (size_t i = 0; i < 3; i++) {
        test_rows(frozen[i], i == 1 ? weight : NULL);
    }
    test_log_loss();
    test_failures();
    return check_done("test_fit_shard");
}
