/* Passes over the examples: the node of each leaf is computed from its examples, and nodes are
 * merged by a binary tree that depends on the number of leaves alone. */
#include "fit.h"

/* So many leaves as an index can count have no more levels. */
#define LEVELS 64

size_t cbp_fit_node_len(size_t free)
{
    return cbp_fit_sums_at(free) + 8;
}

/* How many levels a tree of so many leaves has, of which each is at least half full. */
static size_t levels_of(size_t leaves)
{
    size_t levels = 1;
    while (leaves >>= 1) {
        levels++;
    }
    return levels;
}

/* Of each level there may be a node on both sides of the largest. */
size_t cbp_fit_nodes_capacity(size_t leaves)
{
    return 2 * levels_of(leaves);
}

/* ---- merging --------------------------------------------------------------------------------- */

/* Adds a node to the one before it. `work` holds (free + 1) * CBP_FIT_TILE numbers. */
static void merge(size_t free, const cbp_real *other, cbp_real *work, cbp_real *node)
{
    const size_t sums = cbp_fit_sums_at(free), compensation = sums + 4;
    cbp_kernels_now()->merge_triangles(free + 1, other, work, node);
    (void)cbp_sums_merge(other + sums, other + compensation, 4, node + sums, node + compensation);
}

/* Merges the last node with the one before it. */
static void merge_last(cbp_fit_nodes *nodes, cbp_real *work)
{
    const size_t len = cbp_fit_node_len(nodes->free), last = --nodes->count;
    merge(nodes->free, nodes->values + last * len, work, nodes->values + (last - 1) * len);
    nodes->places[last - 1].count += nodes->places[last].count;
}

/* Whether a node and the next one are the halves of a node of the level above. */
static int are_halves(cbp_fit_place a, cbp_fit_place b)
{
    return a.count == b.count && a.first % (2 * a.count) == 0;
}

/* The last node, whose values stand in their place, joins the tree. */
static void settle(cbp_fit_nodes *nodes, cbp_fit_place place, cbp_real *work)
{
    nodes->places[nodes->count++] = place;
    while (nodes->count > 1 &&
           are_halves(nodes->places[nodes->count - 2], nodes->places[nodes->count - 1])) {
        merge_last(nodes, work);
    }
}

/* Whether there is room for a node that starts at leaf `first`, and the one before it ends
 * there. */
static int fits(const cbp_fit_nodes *nodes, size_t first)
{
    const cbp_fit_place *last = nodes->places + nodes->count - 1;
    return nodes->count < nodes->capacity &&
           (nodes->count == 0 || last->first + last->count == first);
}

int cbp_fit_nodes_push(cbp_fit_nodes *nodes, cbp_fit_place place, const cbp_real *node,
                       cbp_real *work)
{
    if (!nodes || !nodes->values || !nodes->places || !node || !work) {
        return CBP_ERROR_NULL;
    }
    const int is_aligned =
        place.count > 0 && (place.count & (place.count - 1)) == 0 && place.first % place.count == 0;
    const int is_countable = place.first <= SIZE_MAX / 4 && place.count <= SIZE_MAX / 4;
    if (!is_aligned || !is_countable || !fits(nodes, place.first)) {
        return CBP_ERROR_NODE;
    }
    const size_t len = cbp_fit_node_len(nodes->free);
    memcpy(nodes->values + nodes->count * len, node, len * sizeof *node);
    settle(nodes, place, work);
    return CBP_OK;
}

int cbp_fit_nodes_merge(cbp_fit_nodes *nodes, cbp_real *work, cbp_real *node)
{
    if (!nodes || !nodes->values || !nodes->places || !work || !node) {
        return CBP_ERROR_NULL;
    }
    if (nodes->count == 0 || nodes->places[0].first != 0) {
        return CBP_ERROR_NODE;
    }
    while (nodes->count > 1) {
        merge_last(nodes, work);
    }
    if (node != nodes->values) {
        memcpy(node, nodes->values, cbp_fit_node_len(nodes->free) * sizeof *node);
    }
    nodes->count = 0;
    return CBP_OK;
}

/* ---- leaves ---------------------------------------------------------------------------------- */

/* The sums of a leaf, fit's examples, but for that of the losses. */
static void compute_sums(const cbp_fit *fit, const cbp_chain *chain, cbp_real *sums)
{
    const cbp_fit_totals totals = cbp_fit_totals_of(fit);
    sums[0] = totals.weight;
    sums[1] = 0;
    sums[2] = totals.examples;
    sums[3] = cbp_fit_squares(fit, chain);
}

/* `count` of the examples, from `start` on. */
static cbp_examples part_of(const cbp_examples *examples, size_t start, size_t count)
{
    return (cbp_examples){examples->x + start, examples->y + start,
                          examples->weight ? examples->weight + start : NULL, count};
}

static size_t smaller_of(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* The rest of a leaf's node, which is 0 but for these sums. *passed counts the examples since the
 * progress function was asked. 1 if the fit is to stop. */
static int compute_rows(const cbp_fit *fit, const cbp_chain *chain, size_t *passed, cbp_real *work,
                        cbp_real *node)
{
    const size_t stretch = cbp_fit_stretch(chain->layers), n = fit->examples.n,
                 free = cbp_count_free(chain->frozen, chain->layers);
    for (size_t start = 0, count; start < n; start += count) {
        if (*passed >= stretch) {
            *passed = 0;
            if (cbp_fit_progress(fit)) {
                return 1;
            }
        }
        count = smaller_of(n - start, stretch - *passed);
        const cbp_examples part = part_of(&fit->examples, start, count);
        cbp_kernels_now()->fit_rows(chain, fit->loss, &part, free, work, node);
        *passed += count;
    }
    return 0;
}

/* The leaves that fit's examples are, from leaf `first` on; there is room for them. 1 if the fit is
 * to stop. */
static int add_leaves(const cbp_fit *fit, const cbp_chain *chain, size_t first, cbp_real *work,
                      cbp_fit_nodes *nodes)
{
    const size_t len = cbp_fit_node_len(nodes->free), n = fit->examples.n;
    size_t passed = 0;
    for (size_t start = 0; start < n; start += CBP_LEAF, first++) {
        cbp_fit leaf = *fit;
        leaf.examples = part_of(&fit->examples, start, smaller_of(n - start, CBP_LEAF));
        cbp_real *node = nodes->values + nodes->count * len;
        memset(node, 0, len * sizeof *node);
        compute_sums(&leaf, chain, node + cbp_fit_sums_at(nodes->free));
        if (compute_rows(&leaf, chain, &passed, work, node)) {
            return 1;
        }
        settle(nodes, (cbp_fit_place){first, 1}, work);
    }
    return 0;
}

int cbp_fit_nodes_add(const cbp_chain *chain, const cbp_examples *examples, const cbp_loss *loss,
                      size_t first, cbp_real *work, cbp_fit_nodes *nodes)
{
    if (!chain || !examples || !work || !nodes || !nodes->values || !nodes->places) {
        return CBP_ERROR_NULL;
    }
    const cbp_fit fit = {.chain = *chain, .examples = *examples, .loss = cbp_loss_given(loss)};
    int status = cbp_check_average(chain, fit.loss, examples, chain->params);
    if (status == CBP_OK) {
        status = cbp_fit_check_data(&fit);
    }
    if (status != CBP_OK) {
        return status;
    }
    const size_t leaves = (examples->n - 1) / CBP_LEAF + 1,
                 covered = nodes->count > 0 ? first - nodes->places[0].first : 0;
    const int has_room = nodes->capacity >= cbp_fit_nodes_capacity(covered + leaves);
    if (!has_room || !fits(nodes, first) ||
        nodes->free != cbp_count_free(chain->frozen, chain->layers)) {
        return CBP_ERROR_NODE;
    }
    (void)add_leaves(&fit, chain, first, work, nodes);
    return CBP_OK;
}

/* ---- examples in memory ---------------------------------------------------------------------- */

/* A single leaf needs no other place than where the node of all is written. */
size_t cbp_fit_memory_len(size_t free, size_t n)
{
    return n > CBP_LEAF ? levels_of((n - 1) / CBP_LEAF + 1) * cbp_fit_node_len(free) : 0;
}

/* Small fits take about as long as a few sums. */
static int pass_over_leaf(cbp_fit_memory *memory, const cbp_chain *chain, size_t free,
                          cbp_real *node)
{
    size_t passed = 0;
    if (!memory->has_sums || cbp_loss_table[memory->fit->loss.kind].is_robust) {
        compute_sums(memory->fit, chain, memory->sums);
        memory->has_sums = 1;
    }
    memset(node, 0, cbp_fit_node_len(free) * sizeof *node);
    memcpy(node + cbp_fit_sums_at(free), memory->sums, sizeof memory->sums);
    return compute_rows(memory->fit, chain, &passed, memory->work, node);
}

int cbp_fit_pass_memory(void *user, const cbp_chain *chain, cbp_real *node)
{
    cbp_fit_memory *memory = user;
    const size_t free = cbp_count_free(chain->frozen, chain->layers);
    if (memory->fit->examples.n <= CBP_LEAF) {
        return pass_over_leaf(memory, chain, free, node);
    }
    cbp_fit_place places[LEVELS];
    cbp_fit_nodes nodes = {memory->nodes, places, free, LEVELS, 0};
    if (add_leaves(memory->fit, chain, 0, memory->work, &nodes)) {
        return 1;
    }
    (void)cbp_fit_nodes_merge(&nodes, memory->work, node);
    return 0;
}
