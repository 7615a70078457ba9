/* Same bits: one example alone and among others, and on all kernels that have fused multiply-add;
 * for random chains of all activations.   test_kernels [SEED] */
#include "check.h"

#include <time.h>

#define MOST_LAYERS 40
#define MOST_EXAMPLES 700

static const char *const names[] = {"generic", "avx2", "avx512"};
#define LEVELS (sizeof names / sizeof *names)

typedef struct chain {
    cbp_real params[2 * MOST_LAYERS];
    unsigned char activations[MOST_LAYERS];
    size_t layers, n;
    int loss;
    cbp_real scale, x[MOST_EXAMPLES], y[MOST_EXAMPLES], weight[MOST_EXAMPLES];
} chain;

/* Everything that the array passes and the passes of one example can say about a chain. */
typedef struct answers {
    cbp_real forward[MOST_EXAMPLES], slope[MOST_EXAMPLES], inverse[MOST_EXAMPLES];
    cbp_real rows[MOST_EXAMPLES * 2 * MOST_LAYERS], jacobian[MOST_EXAMPLES * 2 * MOST_LAYERS];
    cbp_real gradient[2 * MOST_LAYERS], loss, loss_alone;
    int inverse_status;
} answers;

static cbp_real special(void)
{
    const cbp_real values[] = {0,      R(-0.0),  1,        -1,      R(INFINITY), R(-INFINITY),
                               R(NAN), R(1e-30), R(-1e30), R(1e-40)};
    return values[random_below(sizeof values / sizeof *values)];
}

static void draw(chain *c, int activation)
{
    c->layers = 1 + random_below(random_below(8) ? 6 : MOST_LAYERS);
    c->n = 2 + random_below(random_below(2) ? 40 : MOST_EXAMPLES - 2);
    c->loss = (int)random_below(CBP_LOSS_END);
    c->scale = R(random_between(0.1, 3));
    /* so that log and sqrt meet what they are made for */
    const int positive = (int)random_below(3) == 0;
    for (size_t l = 0; l < c->layers; l++) {
        c->params[2 * l] = R(random_between(positive ? 0.2 : -2.5, 2.5));
        c->params[2 * l + 1] = R(random_between(positive ? 0 : -2, 2));
        c->activations[l] = (unsigned char)random_below(CBP_ACTIVATION_END);
    }
    c->activations[random_below(c->layers)] = (unsigned char)activation;
    if (c->loss == CBP_LOG_LOSS) {
        c->activations[c->layers - 1] = CBP_SIGMOID;
    }
    for (size_t i = 0; i < c->n; i++) {
        c->x[i] = random_below(20) ? R(random_between(positive ? 0 : -6, 6)) : special();
        c->y[i] = R(random_between(0, 1));
        c->weight[i] = random_below(5) ? R(random_between(0, 3)) : 0;
    }
    c->weight[0] = 1;
}

static void evaluate_all(const chain *c, answers *out)
{
    cbp_real *work = numbers(cbp_work_len(c->layers, c->n));
    CHECK(cbp_forward(c->params, c->activations, c->x, c->layers, c->n, out->forward) == CBP_OK);
    CHECK(cbp_slope(c->params, c->activations, c->x, c->layers, c->n, out->slope) == CBP_OK);
    out->inverse_status =
        cbp_inverse(c->params, c->activations, c->y, c->layers, c->n, out->inverse);
    CHECK(cbp_gradients(c->params, c->activations, c->x, c->y, c->layers, c->n, c->loss, c->scale,
                        work, out->rows) == CBP_OK);
    CHECK(cbp_jacobian(c->params, c->activations, c->x, c->layers, c->n, work, out->jacobian) ==
          CBP_OK);
    CHECK(cbp_gradient(c->params, c->activations, c->x, c->y, c->weight, c->layers, c->n, c->loss,
                       c->scale, work, &out->loss, out->gradient) == CBP_OK);
    CHECK(cbp_loss_mean(c->params, c->activations, c->x, c->y, c->weight, c->layers, c->n, c->loss,
                        c->scale, &out->loss_alone) == CBP_OK);
    free(work);
}

static int same_answers(const chain *c, const answers *a, const answers *b)
{
    const size_t width = 2 * c->layers;
    return same_all(a->forward, b->forward, c->n) && same_all(a->slope, b->slope, c->n) &&
           a->inverse_status == b->inverse_status &&
           (a->inverse_status != CBP_OK || same_all(a->inverse, b->inverse, c->n)) &&
           same_all(a->rows, b->rows, c->n * width) &&
           same_all(a->jacobian, b->jacobian, c->n * width) &&
           same_all(a->gradient, b->gradient, width) && same(a->loss, b->loss) &&
           same(a->loss_alone, b->loss_alone);
}

/* Each example by itself gives what it gave among the others. */
static int same_alone(const chain *c, const answers *all)
{
    const size_t width = 2 * c->layers;
    cbp_real *work = numbers(cbp_work_len(c->layers, 1));
    int equal = 1;
    for (size_t i = 0; i < c->n; i++) {
        cbp_real forward, slope, inverse, loss, loss_alone, row[2 * MOST_LAYERS], z[MOST_LAYERS],
            a[MOST_LAYERS], slopes[MOST_LAYERS], delta[MOST_LAYERS];
        const cbp_real *x = c->x + i, *y = c->y + i;
        equal &= cbp_forward(c->params, c->activations, x, c->layers, 1, &forward) == CBP_OK;
        equal &= cbp_slope(c->params, c->activations, x, c->layers, 1, &slope) == CBP_OK;
        equal &= same(forward, all->forward[i]) && same(slope, all->slope[i]);
        if (all->inverse_status == CBP_OK) {
            equal &= cbp_inverse(c->params, c->activations, y, c->layers, 1, &inverse) == CBP_OK;
            equal &= same(inverse, all->inverse[i]);
        }
        equal &= cbp_gradients(c->params, c->activations, x, y, c->layers, 1, c->loss, c->scale,
                               work, row) == CBP_OK;
        equal &= same_all(row, all->rows + i * width, width);
        equal &= cbp_jacobian(c->params, c->activations, x, c->layers, 1, work, row) == CBP_OK;
        equal &= same_all(row, all->jacobian + i * width, width);
        equal &= cbp_gradient(c->params, c->activations, x, y, NULL, c->layers, 1, c->loss,
                              c->scale, work, &loss, row) == CBP_OK;
        equal &= same_all(row, all->rows + i * width, width);
        equal &= cbp_loss_mean(c->params, c->activations, x, y, NULL, c->layers, 1, c->loss,
                               c->scale, &loss_alone) == CBP_OK;
        equal &= same(loss, loss_alone);
        equal &= cbp_trace(c->params, c->activations, *x, *y, c->layers, c->loss, c->scale, z, a,
                           slopes, delta, row, &loss_alone) == CBP_OK;
        equal &= same(loss, loss_alone) && same(a[c->layers - 1], forward);
        equal &= same_all(row, all->rows + i * width, width);
    }
    free(work);
    return equal;
}

/* Value, slope and second derivative of one activation: all lanes, all kernels. */
static void test_activations(size_t first_level, size_t levels)
{
    enum { POINTS = 1000 };
    cbp_real z[POINTS], first[3][POINTS], other[3][POINTS];
    for (int activation = 0; activation < CBP_ACTIVATION_END; activation++) {
        for (int i = 0; i < POINTS; i++) {
            z[i] = i % 10 ? R(random_between(-1, 1) * exp2(random_between(-20, 11))) : special();
        }
        for (size_t level = first_level; level < levels; level++) {
            CHECK(cbp_kernel_choose(names[level]) == CBP_OK);
            CHECK(cbp_activation_values(activation, z, POINTS, other[0], other[1], other[2]) ==
                  CBP_OK);
            if (level == first_level) {
                memcpy(first, other, sizeof first);
            }
            for (int k = 0; k < 3; k++) {
                CHECK(same_all(first[k], other[k], POINTS));
            }
        }
    }
}

static void report(const chain *c, const char *what, const char *level)
{
    fprintf(stderr, "    %s, kernels %s, %zu examples, loss %d, chain:", what, level, c->n,
            c->loss);
    for (size_t l = 0; l < c->layers; l++) {
        fprintf(stderr, " (%a %a act %d)", (double)c->params[2 * l], (double)c->params[2 * l + 1],
                c->activations[l]);
    }
    fputc('\n', stderr);
}

static chain drawn;
static answers first, other;

int main(int argc, char **argv)
{
    check_state = argc > 1 ? strtoull(argv[1], NULL, 0) : (uint64_t)time(NULL) * 2654435761u + 1;
    printf("test_kernels: seed %llu\n", (unsigned long long)check_state);

    size_t levels = 0;
    while (levels < LEVELS && cbp_kernel_choose(names[levels]) == CBP_OK) {
        levels++;
    }
    /* Built for x86-64 without -mfma, the generic kernels have no FMA; then the rule is for those
     * above them. */
#if (defined(__x86_64__) || defined(_M_X64)) && !defined(__FMA__) && !defined(CBP_SINGLE)
    const size_t fused = levels > 1 ? 1 : 0;
#else
    const size_t fused = 0;
#endif
    printf("test_kernels: up to %s, compared from %s on\n", names[levels - 1], names[fused]);

    test_activations(fused, levels);
    for (int round = 0; round < 20; round++) {
        for (int activation = 0; activation < CBP_ACTIVATION_END; activation++) {
            draw(&drawn, activation);
            for (size_t level = levels; level-- > 0;) {
                CHECK(cbp_kernel_choose(names[level]) == CBP_OK);
                evaluate_all(&drawn, &other);
                if (!CHECK(same_alone(&drawn, &other))) {
                    report(&drawn, "one example alone differs", names[level]);
                }
                if (level == levels - 1) {
                    first = other;
                } else if (level >= fused && !CHECK(same_answers(&drawn, &first, &other))) {
                    report(&drawn, "differs from the best kernels", names[level]);
                }
            }
        }
    }
    CHECK(cbp_kernel_choose(NULL) == CBP_OK);
    return check_done("test_kernels");
}
