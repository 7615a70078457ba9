/* Same bits: one example alone and among others, and on all kernels that have fused multiply-add;
 * for random chains of all activations.   test_kernels [SEED] */
#include "check.h"

#include <time.h>

#define MOST_LAYERS 40
#define MOST_EXAMPLES 700

static const char *const names[] = {"generic", "avx2", "avx512"};
#define LEVELS (sizeof names / sizeof *names)

/* A chain with its examples, and room for them. */
typedef struct problem {
    cbp_chain chain;
    cbp_examples examples;
    cbp_loss loss;
    cbp_real params[2 * MOST_LAYERS], x[MOST_EXAMPLES], y[MOST_EXAMPLES], weight[MOST_EXAMPLES];
    unsigned char activations[MOST_LAYERS];
} problem;

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

static void draw(problem *p, int activation)
{
    const size_t layers = 1 + random_below(random_below(8) ? 6 : MOST_LAYERS);
    const size_t n = 2 + random_below(random_below(2) ? 40 : MOST_EXAMPLES - 2);
    p->chain = (cbp_chain){p->params, p->activations, NULL, layers};
    p->examples = (cbp_examples){p->x, p->y, p->weight, n};
    p->loss.kind = (int)random_below(CBP_LOSS_END);
    p->loss.scale = R(random_between(0.1, 3));
    /* so that log and sqrt meet what they are made for */
    const int positive = (int)random_below(3) == 0;
    for (size_t l = 0; l < layers; l++) {
        p->params[2 * l] = R(random_between(positive ? 0.2 : -2.5, 2.5));
        p->params[2 * l + 1] = R(random_between(positive ? 0 : -2, 2));
        p->activations[l] = (unsigned char)random_below(CBP_ACTIVATION_END);
    }
    p->activations[random_below(layers)] = (unsigned char)activation;
    if (p->loss.kind == CBP_LOG_LOSS) {
        p->activations[layers - 1] = CBP_SIGMOID;
    }
    for (size_t i = 0; i < n; i++) {
        p->x[i] = random_below(20) ? R(random_between(positive ? 0 : -6, 6)) : special();
        p->y[i] = R(random_between(0, 1));
        p->weight[i] = random_below(5) ? R(random_between(0, 3)) : 0;
    }
    p->weight[0] = 1;
}

static void evaluate_all(const problem *p, answers *out)
{
    const cbp_chain *chain = &p->chain;
    const size_t n = p->examples.n;
    cbp_real *work = numbers(cbp_work_len(chain->layers, n));
    CHECK(cbp_forward(chain, p->x, n, out->forward) == CBP_OK);
    CHECK(cbp_slope(chain, p->x, n, out->slope) == CBP_OK);
    out->inverse_status = cbp_inverse(chain, p->y, n, out->inverse);
    CHECK(cbp_gradients(chain, &p->examples, &p->loss, work, out->rows) == CBP_OK);
    CHECK(cbp_jacobian(chain, p->x, n, work, out->jacobian) == CBP_OK);
    CHECK(cbp_gradient(chain, &p->examples, &p->loss, work, &out->loss, out->gradient) == CBP_OK);
    CHECK(cbp_loss_mean(chain, &p->examples, &p->loss, &out->loss_alone) == CBP_OK);
    free(work);
}

static int same_answers(const problem *p, const answers *a, const answers *b)
{
    const size_t width = 2 * p->chain.layers, n = p->examples.n;
    return same_all(a->forward, b->forward, n) && same_all(a->slope, b->slope, n) &&
           a->inverse_status == b->inverse_status &&
           (a->inverse_status != CBP_OK || same_all(a->inverse, b->inverse, n)) &&
           same_all(a->rows, b->rows, n * width) && same_all(a->jacobian, b->jacobian, n * width) &&
           same_all(a->gradient, b->gradient, width) && same(a->loss, b->loss) &&
           same(a->loss_alone, b->loss_alone);
}

/* Each example by itself gives what it gave among the others. */
static int same_alone(const problem *p, const answers *all)
{
    const cbp_chain *chain = &p->chain;
    const size_t width = 2 * chain->layers;
    cbp_real *work = numbers(cbp_work_len(chain->layers, 1));
    int equal = 1;
    for (size_t i = 0; i < p->examples.n; i++) {
        cbp_real forward, slope, inverse, loss, loss_alone, row[2 * MOST_LAYERS], z[MOST_LAYERS],
            a[MOST_LAYERS], slopes[MOST_LAYERS], delta[MOST_LAYERS];
        const cbp_record record = {z, a, slopes, delta, row};
        const cbp_examples one = {p->x + i, p->y + i, NULL, 1};
        equal &= cbp_forward(chain, one.x, 1, &forward) == CBP_OK;
        equal &= cbp_slope(chain, one.x, 1, &slope) == CBP_OK;
        equal &= same(forward, all->forward[i]) && same(slope, all->slope[i]);
        if (all->inverse_status == CBP_OK) {
            equal &= cbp_inverse(chain, one.y, 1, &inverse) == CBP_OK;
            equal &= same(inverse, all->inverse[i]);
        }
        equal &= cbp_gradients(chain, &one, &p->loss, work, row) == CBP_OK;
        equal &= same_all(row, all->rows + i * width, width);
        equal &= cbp_jacobian(chain, one.x, 1, work, row) == CBP_OK;
        equal &= same_all(row, all->jacobian + i * width, width);
        equal &= cbp_gradient(chain, &one, &p->loss, work, &loss, row) == CBP_OK;
        equal &= same_all(row, all->rows + i * width, width);
        equal &= cbp_loss_mean(chain, &one, &p->loss, &loss_alone) == CBP_OK;
        equal &= same(loss, loss_alone);
        equal &= cbp_trace(chain, *one.x, *one.y, &p->loss, &record, &loss_alone) == CBP_OK;
        equal &= same(loss, loss_alone) && same(a[chain->layers - 1], forward);
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

static void report(const problem *p, const char *what, const char *level)
{
    fprintf(stderr, "    %s, kernels %s, %zu examples, loss %d, chain:", what, level, p->examples.n,
            p->loss.kind);
    for (size_t l = 0; l < p->chain.layers; l++) {
        fprintf(stderr, " (%a %a act %d)", (double)p->params[2 * l], (double)p->params[2 * l + 1],
                p->activations[l]);
    }
    fputc('\n', stderr);
}

static problem drawn;
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
