/* cbp_fit_shard: the rows of some examples as a triangle, and their sums. */
#include "check.h"

/* In units: what plain sums of N terms, here and in the core, lose at most. */
#define ROUNDING (N / 4.0)

enum { LAYERS = 2, ALL = 2 * LAYERS, FREE = 3, WIDTH = FREE + 1, N = 5000, CUT = 2 * CBP_BLOCK };

static const unsigned char activations[LAYERS] = {CBP_TANH, CBP_IDENTITY}, frozen[ALL] = {0, 1, 0, 0};
static const cbp_real params[ALL] = {R(0.75), R(-0.25), 2, R(0.5)};
static cbp_real x[N], y[N], some_weight[N];

typedef struct pass {
    cbp_real triangle[WIDTH * WIDTH], sums[4], lost[4];
} pass;

/* Adds the examples from `start` to `end`. */
static int add(pass *p, const cbp_real *weight, size_t start, size_t end, int loss)
{
    const size_t len = cbp_fit_work_len(LAYERS, FREE);
    cbp_real *work = numbers(len);
    for (size_t k = 0; k < len; k++) {
        work[k] = (cbp_real)NAN; /* unread */
    }
    const int status = cbp_fit_shard(params, activations, frozen, x + start, y + start, weight ? weight + start : NULL,
                                     LAYERS, end - start, loss, R(0.5), work, p->triangle, p->sums, p->lost);
    free(work);
    return status;
}

/* R'R against the sum of the rows' products, relative to the lengths of both columns. */
static void check_triangle(const pass *p, const cbp_real *weight)
{
    cbp_real *work = numbers(cbp_work_len(LAYERS, N)), *rows = numbers((size_t)N * ALL), *a = numbers(N);
    CHECK(cbp_jacobian(params, activations, x, LAYERS, N, work, rows) == CBP_OK);
    CHECK(cbp_forward(params, activations, x, LAYERS, N, a) == CBP_OK);
    double products[WIDTH][WIDTH] = {{0}}, squares = 0, total = 0, positive = 0;
    for (size_t i = 0; i < N; i++) {
        const double w = weight ? weight[i] : 1;
        const double row[WIDTH] = {rows[ALL * i], rows[ALL * i + 2], rows[ALL * i + 3], (double)a[i] - y[i]};
        for (size_t j = 0; j < WIDTH; j++) {
            for (size_t k = 0; k < WIDTH; k++) {
                products[j][k] += w * row[j] * row[k];
            }
        }
        total += w;
        squares += w * y[i] * y[i];
        positive += w > 0;
    }
    for (size_t j = 0; j < WIDTH; j++) {
        for (size_t k = 0; k < WIDTH; k++) {
            double product = 0;
            for (size_t i = 0; i <= j && i <= k; i++) {
                product += (double)p->triangle[i * WIDTH + j] * p->triangle[i * WIDTH + k];
            }
            CHECK(near(product, products[j][k], sqrt(products[j][j] * products[k][k]), ROUNDING));
            CHECK(k >= j || p->triangle[j * WIDTH + k] == 0);
        }
    }
    const double expected[4] = {total, products[FREE][FREE], positive, squares};
    for (size_t k = 0; k < 4; k++) {
        CHECK(near((double)p->sums[k] + p->lost[k], expected[k], 0, ROUNDING));
    }
    free(a);
    free(rows);
    free(work);
}

static void test_values(const cbp_real *weight)
{
    pass whole = {{0}, {0}, {0}}, parts = whole;
    CHECK(add(&whole, weight, 0, N, CBP_SQUARED) == CBP_OK);
    CHECK(add(&parts, weight, 0, CUT, CBP_SQUARED) == CBP_OK && add(&parts, weight, CUT, N, CBP_SQUARED) == CBP_OK);
    check_triangle(&whole, weight);
    check_triangle(&parts, weight);
    /* cut between tiles of rows, which blocks are made of, it is the same work */
    CHECK(same_all(parts.triangle, whole.triangle, WIDTH * WIDTH));
    CHECK(same(parts.sums[1], whole.sums[1]) && same(parts.lost[1], whole.lost[1]));
}

/* The triangle's gradient and the summed loss are those of the averages, whatever the loss. */
static void test_losses(void)
{
    for (int loss = 0; loss < CBP_LOSS_END; loss++) {
        pass p = {{0}, {0}, {0}};
        if (!takes_any_target(loss)) {
            const int refused = loss == CBP_LOG_LOSS ? CBP_ERROR_NO_SIGMOID : CBP_ERROR_TARGET;
            CHECK(add(&p, some_weight, 0, N, loss) == refused);
            continue;
        }
        cbp_real *work = numbers(cbp_work_len(LAYERS, N)), mean, gradient[ALL];
        CHECK(add(&p, some_weight, 0, N, loss) == CBP_OK);
        CHECK(cbp_gradient(params, activations, x, y, some_weight, LAYERS, N, loss, R(0.5), work, &mean, gradient) ==
              CBP_OK);
        CHECK(near(p.sums[1] / p.sums[0], mean, 0, ROUNDING));
        for (size_t k = 0, j = 0; k < ALL; k++) {
            double half = 0, length = 0, residual = 0;
            for (size_t i = 0; i < WIDTH && !frozen[k]; i++) {
                half += i <= j ? (double)p.triangle[i * WIDTH + j] * p.triangle[i * WIDTH + FREE] : 0;
                length += i <= j ? (double)p.triangle[i * WIDTH + j] * p.triangle[i * WIDTH + j] : 0;
                residual += (double)p.triangle[i * WIDTH + FREE] * p.triangle[i * WIDTH + FREE];
            }
            CHECK(frozen[k] || near(2 * half / p.sums[0], gradient[k], 2 * sqrt(length * residual) / p.sums[0], ROUNDING));
            j += !frozen[k];
        }
        free(work);
    }
}

/* A residual of 0 is where a robust loss is a square: nothing is reweighted. */
static void test_exact(void)
{
    cbp_real *kept = numbers(N);
    memcpy(kept, y, N * sizeof *y);
    CHECK(cbp_forward(params, activations, x, LAYERS, N, y) == CBP_OK);
    pass squared = {{0}, {0}, {0}};
    CHECK(add(&squared, some_weight, 0, N, CBP_SQUARED) == CBP_OK);
    for (int loss = CBP_HUBER; loss <= CBP_CAUCHY; loss++) {
        pass p = {{0}, {0}, {0}};
        CHECK(add(&p, some_weight, 0, N, loss) == CBP_OK);
        for (size_t k = 0; k < WIDTH * WIDTH; k++) {
            CHECK(near((double)p.triangle[k], (double)squared.triangle[k], 0, ROUNDING));
        }
        CHECK(p.triangle[WIDTH * WIDTH - 1] == 0 && p.sums[1] == 0);
    }
    memcpy(y, kept, N * sizeof *y);
    free(kept);
}

/* Without a free parameter there are the residuals alone, by every kind of last layer. */
static void test_none_free(void)
{
    const unsigned char all[ALL] = {1, 1, 1, 1}, ends[] = {CBP_IDENTITY, CBP_ARCTAN};
    cbp_real *work = numbers(cbp_fit_work_len(LAYERS, 0)), *a = numbers(N);
    for (size_t end = 0; end < 2; end++) {
        const unsigned char chain[] = {CBP_TANH, ends[end]};
        cbp_real triangle[1] = {0}, sums[4] = {0}, lost[4] = {0};
        double squares = 0;
        CHECK(cbp_fit_shard(params, chain, all, x, y, NULL, LAYERS, N, CBP_SQUARED, 1, work, triangle, sums, lost) ==
              CBP_OK);
        CHECK(cbp_forward(params, chain, x, LAYERS, N, a) == CBP_OK);
        for (size_t i = 0; i < N; i++) {
            squares += ((double)a[i] - (double)y[i]) * ((double)a[i] - (double)y[i]);
        }
        CHECK(near((double)triangle[0] * (double)triangle[0], squares, 0, ROUNDING));
        CHECK(near((double)sums[1], squares, 0, ROUNDING));
    }
    free(work);
    free(a);
}

static void test_refused(void)
{
    cbp_real *work = numbers(cbp_fit_work_len(LAYERS, FREE));
    const pass untouched = {{1, 2, 3}, {4, 5, 6, 7}, {8, 9, 10, 11}};
    pass p = untouched;
#define ASK(given_x, weight, n, given_work, triangle, sums, lost)                                                  \
    cbp_fit_shard(params, activations, frozen, given_x, y, weight, LAYERS, n, CBP_SQUARED, 1, given_work, triangle, sums, \
                  lost)
    const cbp_real wrong[1] = {-1};
    CHECK(ASK(x, NULL, 0, work, p.triangle, p.sums, p.lost) == CBP_ERROR_EMPTY);
    CHECK(ASK(x, wrong, 1, work, p.triangle, p.sums, p.lost) == CBP_ERROR_WEIGHT);
    CHECK(ASK(NULL, NULL, N, work, p.triangle, p.sums, p.lost) == CBP_ERROR_NULL);
    CHECK(ASK(x, NULL, N, NULL, p.triangle, p.sums, p.lost) == CBP_ERROR_NULL);
    CHECK(ASK(x, NULL, N, work, NULL, p.sums, p.lost) == CBP_ERROR_NULL);
    CHECK(ASK(x, NULL, N, work, p.triangle, NULL, p.lost) == CBP_ERROR_NULL);
    CHECK(ASK(x, NULL, N, work, p.triangle, p.sums, NULL) == CBP_ERROR_NULL);
#undef ASK
    CHECK(same_all(p.triangle, untouched.triangle, WIDTH * WIDTH));
    CHECK(same_all(p.sums, untouched.sums, 4) && same_all(p.lost, untouched.lost, 4));
    free(work);
}

int main(void)
{
    for (size_t i = 0; i < N; i++) {
        x[i] = (cbp_real)random_between(-2, 2);
        y[i] = (cbp_real)(3 * tanh((double)x[i]) + random_between(-1, 1));
        some_weight[i] = i % 7 == 0 ? 0 : (cbp_real)random_between(0, 2);
    }
    test_values(NULL);
    test_values(some_weight);
    test_losses();
    test_exact();
    test_none_free();
    test_refused();
    return check_done("test_fit_shard");
}
