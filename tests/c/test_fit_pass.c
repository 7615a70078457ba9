/* Passes over examples that are in several places: nodes of leaves, the tree that merges them, and
 * fits over a pass. */
#include "fit_lm_call.h"

/* In units of rounding: the error of plain sums of N terms, here and in the core, is at most
 * this. */
#define ROUNDING (N / 4.0)

enum {
    LAYERS = 2,
    ALL = 2 * LAYERS,
    FREE = 3,
    WIDTH = FREE + 1,
    LEAVES = 7,
    N = (LEAVES - 1) * CBP_LEAF + 77
};
enum { NODE = WIDTH * WIDTH + 8, SUMS = WIDTH * WIDTH };

static const unsigned char activations[LAYERS] = {CBP_TANH, CBP_IDENTITY},
                           frozen[ALL] = {0, 1, 0, 0};
static const cbp_real params[ALL] = {R(0.75), R(-0.25), 2, R(0.5)};
static cbp_real x[N], y[N], some_weight[N];

static call problem(size_t n, const cbp_real *weight, int loss)
{
    call c = fit_of(activations, LAYERS, x, y, n);
    c.chain.params = params;
    c.chain.frozen = frozen;
    c.examples.weight = weight;
    c.options.loss = (cbp_loss){loss, R(0.5)};
    return c;
}

static double sum_of(const cbp_real *node, size_t which)
{
    return (double)node[SUMS + which] + (double)node[SUMS + 4 + which];
}

/* The node of all examples, in one call. */
static void whole(const call *c, cbp_real *node)
{
    cbp_fit_nodes nodes = room_for(FREE, c->examples.n);
    cbp_real *work = spoilt(WIDTH * 256);
    CHECK(add_nodes(c, 0, c->examples.n, &nodes) == CBP_OK);
    CHECK(cbp_fit_nodes_merge(&nodes, work, node) == CBP_OK && nodes.count == 0);
    free(work);
    free_nodes(&nodes);
}

/* ---- what a node says ------------------------------------------------------------------------ */

/* R'R against the sum of all rows' products, relative to the lengths of both columns. */
static void test_values(const cbp_real *weight)
{
    const call c = problem(N, weight, CBP_SQUARED);
    cbp_real *work = numbers(cbp_work_len(LAYERS, N)), *rows = numbers((size_t)N * ALL),
             *a = numbers(N), node[NODE];
    CHECK(cbp_jacobian(&c.chain, x, N, work, rows) == CBP_OK);
    CHECK(cbp_forward(&c.chain, x, N, a) == CBP_OK);
    double products[WIDTH][WIDTH] = {{0}}, squares = 0, total = 0, positive = 0;
    for (size_t i = 0; i < N; i++) {
        const double w = weight ? (double)weight[i] : 1;
        const double row[WIDTH] = {(double)rows[ALL * i], (double)rows[ALL * i + 2],
                                   (double)rows[ALL * i + 3], (double)a[i] - (double)y[i]};
        for (size_t j = 0; j < WIDTH; j++) {
            for (size_t k = 0; k < WIDTH; k++) {
                products[j][k] += w * row[j] * row[k];
            }
        }
        total += w;
        squares += w * (double)y[i] * (double)y[i];
        positive += w > 0;
    }
    whole(&c, node);
    for (size_t j = 0; j < WIDTH; j++) {
        for (size_t k = 0; k < WIDTH; k++) {
            double product = 0;
            for (size_t i = 0; i <= j && i <= k; i++) {
                product += (double)node[i * WIDTH + j] * (double)node[i * WIDTH + k];
            }
            CHECK(near(product, products[j][k], sqrt(products[j][j] * products[k][k]), ROUNDING));
            CHECK(k >= j || node[j * WIDTH + k] == 0);
        }
    }
    const double expected[4] = {total, products[FREE][FREE], positive, squares};
    for (size_t k = 0; k < 4; k++) {
        CHECK(near(sum_of(node, k), expected[k], 0, ROUNDING));
    }
    free(a);
    free(rows);
    free(work);
}

/* The triangle's gradient and the summed loss are those of the averages, whatever the loss. */
static void test_losses(void)
{
    for (int loss = 0; loss < CBP_LOSS_END; loss++) {
        const call c = problem(N, some_weight, loss);
        cbp_real node[NODE], *work = numbers(cbp_work_len(LAYERS, N)), mean, gradient[ALL];
        if (!takes_any_target(loss)) {
            const int refused = loss == CBP_LOG_LOSS ? CBP_ERROR_NO_SIGMOID : CBP_ERROR_TARGET;
            cbp_fit_nodes nodes = room_for(FREE, N);
            CHECK(add_nodes(&c, 0, N, &nodes) == refused && nodes.count == 0);
            free_nodes(&nodes);
            free(work);
            continue;
        }
        whole(&c, node);
        CHECK(cbp_gradient(&c.chain, &c.examples, &c.options.loss, work, &mean, gradient) ==
              CBP_OK);
        CHECK(near(sum_of(node, 1) / sum_of(node, 0), (double)mean, 0, ROUNDING));
        for (size_t k = 0, j = 0; k < ALL; k++) {
            double half = 0, length = 0, residual = 0;
            for (size_t i = 0; i < WIDTH && !frozen[k]; i++) {
                const double here = i <= j ? (double)node[i * WIDTH + j] : 0,
                             last = (double)node[i * WIDTH + FREE];
                half += here * last;
                length += here * here;
                residual += last * last;
            }
            CHECK(frozen[k] || near(2 * half / sum_of(node, 0), (double)gradient[k],
                                    2 * sqrt(length * residual) / sum_of(node, 0), ROUNDING));
            j += !frozen[k];
        }
        free(work);
    }
}

/* A residual of 0 is where a robust loss is a square: nothing is reweighted. */
static void test_exact(void)
{
    cbp_real *kept = numbers(N), node[NODE], squared[NODE];
    call c = problem(N, some_weight, CBP_SQUARED);
    memcpy(kept, y, N * sizeof *y);
    CHECK(cbp_forward(&c.chain, x, N, y) == CBP_OK);
    whole(&c, squared);
    for (int loss = CBP_HUBER; loss <= CBP_CAUCHY; loss++) {
        c = problem(N, some_weight, loss);
        whole(&c, node);
        for (size_t k = 0; k < WIDTH * WIDTH; k++) {
            CHECK(near((double)node[k], (double)squared[k], 0, ROUNDING));
        }
        CHECK(node[WIDTH * WIDTH - 1] == 0 && sum_of(node, 1) == 0);
    }
    memcpy(y, kept, N * sizeof *y);
    free(kept);
}

/* Without a free parameter there are the residuals alone, by every kind of last layer. */
static void test_none_free(void)
{
    const unsigned char all[ALL] = {1, 1, 1, 1}, ends[] = {CBP_IDENTITY, CBP_ARCTAN};
    cbp_real *work = numbers(256), *a = numbers(N), node[9];
    for (size_t end = 0; end < 2; end++) {
        const unsigned char chain[] = {CBP_TANH, ends[end]};
        cbp_fit_nodes nodes = room_for(0, N);
        call c = problem(N, NULL, CBP_SQUARED);
        c.chain.activations = chain;
        c.chain.frozen = all;
        CHECK(add_nodes(&c, 0, N, &nodes) == CBP_OK &&
              cbp_fit_nodes_merge(&nodes, work, node) == CBP_OK);
        CHECK(cbp_forward(&c.chain, x, N, a) == CBP_OK);
        double squares = 0;
        for (size_t i = 0; i < N; i++) {
            squares += ((double)a[i] - (double)y[i]) * ((double)a[i] - (double)y[i]);
        }
        CHECK(near((double)node[0] * (double)node[0], squares, 0, ROUNDING));
        CHECK(near((double)node[2] + (double)node[6], squares, 0, ROUNDING));
        free_nodes(&nodes);
    }
    free(work);
    free(a);
}

/* ---- the tree -------------------------------------------------------------------------------- */

/* The nodes of some leaves, computed by themselves, follow those that are there. */
static void push_leaves(const call *c, size_t first, size_t end, cbp_fit_nodes *nodes)
{
    const size_t last = end * CBP_LEAF < c->examples.n ? end * CBP_LEAF : c->examples.n;
    cbp_fit_nodes part = room_for(FREE, last - first * CBP_LEAF);
    cbp_real *work = spoilt(WIDTH * 256);
    CHECK(add_nodes(c, first * CBP_LEAF, last, &part) == CBP_OK);
    for (size_t k = 0; k < part.count; k++) {
        CHECK(cbp_fit_nodes_push(nodes, part.places[k], part.values + k * NODE, work) == CBP_OK);
    }
    free(work);
    free_nodes(&part);
}

/* However the leaves are divided, by one cut or two, the bits are the same. */
static void test_division(void)
{
    cbp_real expected[NODE], node[NODE], *work = spoilt(WIDTH * 256);
    for (size_t n = 1; n <= N; n += n < 3 * CBP_LEAF ? CBP_LEAF / 2 + 100 : CBP_LEAF) {
        const call c = problem(n, some_weight, CBP_CAUCHY);
        const size_t leaves = (n - 1) / CBP_LEAF + 1;
        whole(&c, expected);
        for (size_t cut = 0; cut <= leaves; cut++) {
            for (size_t other = cut; other <= leaves; other++) {
                const size_t ends[] = {0, cut, other, leaves};
                cbp_fit_nodes nodes = room_for(FREE, n);
                for (size_t part = 0; part < 3; part++) {
                    if (ends[part] < ends[part + 1]) {
                        push_leaves(&c, ends[part], ends[part + 1], &nodes);
                    }
                }
                CHECK(cbp_fit_nodes_merge(&nodes, work, node) == CBP_OK &&
                      same_all(node, expected, NODE));
                free_nodes(&nodes);
            }
        }
    }
    free(work);
}

/* One leaf is what the kernels make of its rows; so much of the tree can be tested from outside. */
static void test_one_leaf(void)
{
    const call c = problem(CBP_LEAF, some_weight, CBP_SQUARED);
    cbp_real node[NODE], again[NODE], *work = spoilt(cbp_fit_work_len(LAYERS, FREE, 0));
    cbp_fit_nodes nodes = room_for(FREE, CBP_LEAF);
    whole(&c, node);
    CHECK(add_nodes(&c, 0, CBP_LEAF, &nodes) == CBP_OK && nodes.count == 1);
    CHECK(nodes.places[0].first == 0 && nodes.places[0].count == 1);
    CHECK(cbp_fit_nodes_merge(&nodes, work, again) == CBP_OK && same_all(node, again, NODE));

    /* without a loss it is the squared one */
    CHECK(cbp_fit_nodes_add(&c.chain, &c.examples, NULL, 0, work, &nodes) == CBP_OK);
    CHECK(cbp_fit_nodes_merge(&nodes, work, again) == CBP_OK && same_all(node, again, NODE));
    free_nodes(&nodes);
    free(work);
}

/* A triangle that is not finite stays so, wherever it stands; a column of zeros stays one. */
static void test_not_finite(void)
{
    cbp_real *work = spoilt(WIDTH * 256), plain[NODE] = {0}, other[NODE], node[NODE];
    const cbp_real spoils[] = {R(NAN), R(INFINITY), R(-INFINITY)};
    for (size_t i = 0; i < WIDTH; i++) {
        for (size_t j = i; j < WIDTH; j++) {
            plain[i * WIDTH + j] = i == 1 || j == 1 ? 0 : R(random_between(-1, 1));
        }
    }
    for (size_t where = 0; where < 2; where++) {
        for (size_t k = 0; k <= WIDTH * WIDTH; k++) {
            for (size_t spoil = 0; spoil < 3; spoil++) {
                if (k < WIDTH * WIDTH && k % WIDTH < k / WIDTH) {
                    continue;
                }
                cbp_fit_nodes nodes = room_for(FREE, 3 * CBP_LEAF);
                memcpy(other, plain, sizeof other);
                other[k] = k < WIDTH * WIDTH ? spoils[spoil] : 5;
                for (size_t leaf = 0; leaf < 3; leaf++) {
                    CHECK(cbp_fit_nodes_push(&nodes, (cbp_fit_place){leaf, 1},
                                             leaf == 2 * where ? other : plain, work) == CBP_OK);
                }
                CHECK(cbp_fit_nodes_merge(&nodes, work, node) == CBP_OK);
                int finite = 1;
                for (size_t i = 0; i < WIDTH * WIDTH; i++) {
                    finite = finite && isfinite(node[i]);
                }
                CHECK(finite == (k == WIDTH * WIDTH));
                CHECK(k < WIDTH * WIDTH ||
                      (node[1] == 0 && node[WIDTH + 1] == 0 && node[SUMS] == 5));
                free_nodes(&nodes);
            }
        }
    }
    free(work);
}

/* A triangle wider than a tile: of zeros but for two entries in each row, which are a Pythagorean
 * triple. */
static void test_wide(void)
{
    enum { FREE_COUNT = 600, SIDE = FREE_COUNT + 1 };
    const size_t len = cbp_fit_node_len(FREE_COUNT);
    cbp_real *node = numbers(len), *work = spoilt((size_t)SIDE * 256);
    cbp_fit_nodes nodes = room_for(FREE_COUNT, 2 * CBP_LEAF);
    for (size_t leaf = 0; leaf < 2; leaf++) {
        memset(node, 0, len * sizeof *node);
        for (size_t i = 0; i < SIDE; i++) {
            node[i * SIDE + i] = leaf ? 4 : 3;
        }
        CHECK(cbp_fit_nodes_push(&nodes, (cbp_fit_place){leaf, 1}, node, work) == CBP_OK);
    }
    CHECK(cbp_fit_nodes_merge(&nodes, work, node) == CBP_OK);
    for (size_t i = 0; i < SIDE; i++) {
        for (size_t j = 0; j < SIDE; j++) {
            CHECK(near(fabs((double)node[i * SIDE + j]), i == j ? 5 : 0, 0, 4));
        }
    }
    free_nodes(&nodes);
    free(node);
    free(work);
}

/* ---- fits over a pass ------------------------------------------------------------------------ */

/* Examples in parts of `part` leaves, as from so many places; ends the fit at the pass
 * `stop_at`. */
typedef struct places {
    const call *c;
    size_t part, passes, stop_at;
} places;

static int pass_over_places(void *user, const cbp_chain *chain, cbp_real *node)
{
    places *p = user;
    if (++p->passes == p->stop_at) {
        return 1;
    }
    call c = *p->c;
    c.chain = *chain;
    const size_t open = free_of(chain), len = cbp_fit_node_len(open);
    cbp_fit_nodes nodes = room_for(open, c.examples.n);
    cbp_real *work = spoilt((open + 1) * 256);
    for (size_t start = 0; start < c.examples.n; start += p->part * CBP_LEAF) {
        const size_t end = start + p->part * CBP_LEAF;
        cbp_fit_nodes part = room_for(open, p->part * CBP_LEAF);
        CHECK(add_nodes(&c, start, end < c.examples.n ? end : c.examples.n, &part) == CBP_OK);
        for (size_t k = 0; k < part.count; k++) {
            CHECK(cbp_fit_nodes_push(&nodes, part.places[k], part.values + k * len, work) ==
                  CBP_OK);
        }
        free_nodes(&part);
    }
    const int status = cbp_fit_nodes_merge(&nodes, work, node);
    free(work);
    free_nodes(&nodes);
    return status != CBP_OK;
}

static int fit_over(call *c, places *p, const cbp_real *start, cbp_real *found)
{
    cbp_real *work = spoilt(cbp_fit_work_len(c->chain.layers, free_of(&c->chain), 0));
    c->chain.params = start;
    const int status =
        cbp_fit_over(pass_over_places, p, &c->chain, &c->options, work, found, &c->info);
    c->chain.params = found;
    free(work);
    return status;
}

static void check_same_fit(const call *a, const call *b)
{
    CHECK(same_all(a->chain.params, b->chain.params, 2 * a->chain.layers));
    CHECK(same(a->info.loss, b->info.loss) && a->info.outcome == b->info.outcome);
    CHECK(same(a->info.gradient_norm, b->info.gradient_norm));
    CHECK(a->info.iterations == b->info.iterations && a->info.evaluations == b->info.evaluations);
}

/* In memory and from several places, the bits are the same: for each loss, with and without bounds,
 * with restarts, with a second attempt, which solves for the last layer. */
static void test_fits(void)
{
    const cbp_real upper[] = {R(1.5), 9, R(2.5), R(0.25)}, lower[] = {-9, -9, R(0.1), -9},
                   start[] = {R(0.2), 0, 1, R(0.1)};
    const size_t lengths[] = {100, CBP_LEAF, 2 * CBP_LEAF + 1, N};
    for (size_t i = 0; i < 16; i++) {
        const int losses[] = {CBP_CAUCHY, CBP_SQUARED, CBP_SOFT_L1, CBP_HUBER};
        call c = problem(lengths[i % 4], i % 3 ? some_weight : NULL, losses[i / 4]);
        c.chain.frozen = i % 4 == 1 ? NULL : frozen; /* NULL: the second attempt */
        c.options.lower = i % 2 ? lower : NULL;
        c.options.upper = i % 2 ? upper : NULL;
        c.options.restarts = i % 5 == 0 ? 2 : 0;
        c.options.max_iterations = 200;
        for (size_t part = 1; part <= LEAVES; part += 3) {
            cbp_real found[ALL], again[ALL];
            call over = c;
            places p = {&c, part, 0, 0};
            CHECK(fit_from(&c, start, found) == CBP_OK);
            CHECK(fit_over(&over, &p, start, again) == CBP_OK && over.info.params == again);
            CHECK(c.info.outcome == CBP_CONVERGED && p.passes >= over.info.evaluations);
            check_same_fit(&c, &over);
        }
    }
}

/* Ended by any pass, the one that solves for the last layer too: the best so far is returned. */
static void test_stopped(void)
{
    const cbp_real start[ALL] = {R(0.2), 0, 1, R(0.1)};
    call c = problem(2 * CBP_LEAF, NULL, CBP_SQUARED);
    /* of which the data determine two parameters, so that there is a second attempt */
    c.chain.activations = two_lines;
    c.options.max_iterations = 200;
    c.chain.frozen = NULL;
    size_t passes = 0, evaluations = 0;
    cbp_real last = R(INFINITY);
    for (size_t stop_at = 1; passes == stop_at - 1; stop_at++) {
        places p = {&c, 1, 0, stop_at};
        cbp_real found[ALL];
        CHECK(fit_over(&c, &p, start, found) == CBP_OK);
        passes = p.passes;
        if (passes < stop_at) {
            /* one for the last layer */
            CHECK(c.info.outcome == CBP_CONVERGED && passes == c.info.evaluations + 1);
            break;
        }
        CHECK(c.info.outcome == CBP_STOPPED && c.info.evaluations <= stop_at - 1);
        CHECK(stop_at == 1 ? isnan(c.info.loss) && same_all(found, start, ALL)
                           : c.info.loss <= last * R(1 + 64 * EPSILON));
        CHECK(c.info.evaluations >= evaluations);
        evaluations = c.info.evaluations;
        last = stop_at == 1 ? last : c.info.loss;
    }
    CHECK(passes > 4);
}

/* ---- refusals -------------------------------------------------------------------------------- */

static void test_refused_nodes(void)
{
    const cbp_real wrong[1] = {-1}, no_number[1] = {R(NAN)};
    const unsigned char unknown[] = {CBP_TANH, CBP_ACTIVATION_END};
    const call c = problem(2 * CBP_LEAF, NULL, CBP_SQUARED);
    cbp_real *work = numbers(cbp_fit_work_len(LAYERS, FREE, 0)), node[NODE] = {0};
    cbp_fit_nodes nodes = room_for(FREE, 2 * CBP_LEAF);
#define ADD(chain, examples, loss, work, nodes) \
    cbp_fit_nodes_add(chain, examples, loss, 0, work, nodes)
#define REFUSED(status, change)                                                     \
    do {                                                                            \
        call t = c;                                                                 \
        change;                                                                     \
        CHECK(ADD(&t.chain, &t.examples, &t.options.loss, work, &nodes) == status); \
        CHECK(nodes.count == 0);                                                    \
    } while (0)
    REFUSED(CBP_ERROR_NULL, t.chain.params = NULL);
    REFUSED(CBP_ERROR_NULL, t.chain.activations = NULL);
    REFUSED(CBP_ERROR_LAYERS, t.chain.layers = 0);
    REFUSED(CBP_ERROR_ACTIVATION, t.chain.activations = unknown);
    REFUSED(CBP_ERROR_LOSS, t.options.loss.kind = CBP_LOSS_END);
    REFUSED(CBP_ERROR_EMPTY, t.examples.n = 0);
    REFUSED(CBP_ERROR_NULL, t.examples.x = NULL);
    REFUSED(CBP_ERROR_NULL, t.examples.y = NULL);
    REFUSED(CBP_ERROR_WEIGHT, (t.examples.weight = wrong, t.examples.n = 1));
    REFUSED(CBP_ERROR_DATA, (t.examples.x = no_number, t.examples.n = 1));
    REFUSED(CBP_ERROR_DATA, (t.examples.y = no_number, t.examples.n = 1));
    REFUSED(CBP_ERROR_NODE, t.examples.n = N); /* no room */
    REFUSED(CBP_ERROR_NODE, nodes.free = FREE + 1);
    nodes.free = FREE;
#undef REFUSED
    CHECK(ADD(NULL, &c.examples, NULL, work, &nodes) == CBP_ERROR_NULL);
    CHECK(ADD(&c.chain, NULL, NULL, work, &nodes) == CBP_ERROR_NULL);
    CHECK(ADD(&c.chain, &c.examples, NULL, NULL, &nodes) == CBP_ERROR_NULL);
    CHECK(ADD(&c.chain, &c.examples, NULL, work, NULL) == CBP_ERROR_NULL);
#undef ADD

    const cbp_fit_place odd[] = {{1, 2}, {0, 3}, {0, 0}, {SIZE_MAX - 1, 1}};
    for (size_t k = 0; k < 4; k++) {
        CHECK(cbp_fit_nodes_push(&nodes, odd[k], node, work) == CBP_ERROR_NODE && nodes.count == 0);
    }
    CHECK(cbp_fit_nodes_merge(&nodes, work, node) == CBP_ERROR_NODE); /* none */
    CHECK(cbp_fit_nodes_push(&nodes, (cbp_fit_place){2, 1}, node, work) == CBP_OK);
    /* the first leaves are missing */
    CHECK(cbp_fit_nodes_merge(&nodes, work, node) == CBP_ERROR_NODE);
    CHECK(cbp_fit_nodes_push(&nodes, (cbp_fit_place){2, 1}, node, work) == CBP_ERROR_NODE);
    CHECK(cbp_fit_nodes_push(&nodes, (cbp_fit_place){4, 1}, node, work) == CBP_ERROR_NODE);
    CHECK(cbp_fit_nodes_add(&c.chain, &c.examples, NULL, 1, work, &nodes) == CBP_ERROR_NODE);
    CHECK(nodes.count == 1);
    CHECK(cbp_fit_nodes_push(NULL, (cbp_fit_place){3, 1}, node, work) == CBP_ERROR_NULL);
    CHECK(cbp_fit_nodes_push(&nodes, (cbp_fit_place){3, 1}, NULL, work) == CBP_ERROR_NULL);
    CHECK(cbp_fit_nodes_push(&nodes, (cbp_fit_place){3, 1}, node, NULL) == CBP_ERROR_NULL);
    CHECK(cbp_fit_nodes_merge(NULL, work, node) == CBP_ERROR_NULL);
    CHECK(cbp_fit_nodes_merge(&nodes, NULL, node) == CBP_ERROR_NULL);
    CHECK(cbp_fit_nodes_merge(&nodes, work, NULL) == CBP_ERROR_NULL);
    free_nodes(&nodes);
    free(work);
}

static void test_refused_fits(void)
{
    const unsigned char all[] = {1, 1, 1, 1};
    const cbp_real far[ALL] = {R(1e30), 0, HUGE_REAL, 0}, high[ALL] = {9, 9, 9, 9},
                   start[ALL] = {R(0.2), 0, 1, R(0.1)};
    const call good = problem(100, NULL, CBP_SQUARED);
#define REFUSED(status, from, change)                                                  \
    do {                                                                               \
        call c = good;                                                                 \
        cbp_real found[ALL];                                                           \
        memcpy(found, from, sizeof found);                                             \
        change;                                                                        \
        places p = {&c, 1, 0, 0};                                                      \
        CHECK(fit_over(&c, &p, found, found) == status && same_all(found, from, ALL)); \
    } while (0)
    cbp_real none[100] = {0}, two[100] = {1, 1};
    REFUSED(CBP_ERROR_WEIGHT, start, c.examples.weight = none);
    REFUSED(CBP_ERROR_FEW_EXAMPLES, start, c.examples.weight = two);
    REFUSED(CBP_ERROR_NO_FREE, start, c.chain.frozen = all);
    REFUSED(CBP_ERROR_START, start, c.options.lower = high);
    REFUSED(CBP_ERROR_START_LOSS, far, (void)0);
    REFUSED(CBP_ERROR_NO_SIGMOID, start, c.options.loss.kind = CBP_LOG_LOSS);
    REFUSED(CBP_ERROR_LOSS, start, c.options.loss.kind = -1);
    REFUSED(CBP_ERROR_OPTION, start, c.options.size = 0);
#undef REFUSED
    cbp_real *work = numbers(cbp_fit_work_len(LAYERS, FREE, 0)), found[ALL] = {0};
    const cbp_chain null = {NULL, activations, frozen, LAYERS};
    cbp_fit_info info;
#define ASK(pass, chain, options, work, params, info) \
    (cbp_fit_over(pass, NULL, chain, options, work, params, info) == CBP_ERROR_NULL)
    CHECK(ASK(NULL, &good.chain, &good.options, work, found, &info));
    CHECK(ASK(pass_over_places, NULL, &good.options, work, found, &info));
    CHECK(ASK(pass_over_places, &null, &good.options, work, found, &info));
    CHECK(ASK(pass_over_places, &good.chain, NULL, work, found, &info));
    CHECK(ASK(pass_over_places, &good.chain, &good.options, NULL, found, &info));
    CHECK(ASK(pass_over_places, &good.chain, &good.options, work, NULL, &info));
    CHECK(ASK(pass_over_places, &good.chain, &good.options, work, found, NULL));
#undef ASK
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
    test_division();
    test_one_leaf();
    test_not_finite();
    test_wide();
    test_fits();
    test_stopped();
    test_refused_nodes();
    test_refused_fits();
    return check_done("test_fit_pass");
}
