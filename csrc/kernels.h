/* The table of kernels: the loops of kernels/, compiled for one instruction set, and what they are
 * given. */
#ifndef CBP_KERNELS_H
#define CBP_KERNELS_H

#include "compiler.h"

#if (defined(__GNUC__) || defined(__clang__)) && (defined(__x86_64__) || defined(_M_X64)) && \
    !defined(CBP_SINGLE)
#define CBP_X86_KERNELS 1
#else
#define CBP_X86_KERNELS 0
#endif

/* A tile is the group of examples that the array passes carry through all layers at once: its
 * activations and slopes (2 kB a layer) stay in the first-level cache for the depths that people
 * use. Sums keep CBP_LANES partial sums apart, a multiple of every vector width, so that the order
 * of the additions is the same on all of them. */
#ifndef CBP_LANES
#define CBP_LANES 16
#endif
#define CBP_TILE 128

/* The tile of fits: sixteen examples of each of CBP_LANES chains. */
#define CBP_FIT_TILE (16 * CBP_LANES)

/* A number for each lane, where vectors find it best. */
#if defined(__GNUC__) || defined(__clang__)
typedef cbp_real cbp_row[CBP_LANES] __attribute__((aligned(64)));
#else
typedef cbp_real cbp_row[CBP_LANES];
#endif

/* The "loss" whose gradient is the Jacobian: the output itself. */
#define CBP_OUTPUT (-1)

/* Adds `term` to the compensated sum (*sum, *compensation): Knuth's two-sum, which finds the
 * rounding error exactly. Once the sum is not finite the error means nothing and is dropped. */
CBP_INLINE void cbp_add(cbp_real *sum, cbp_real *compensation, cbp_real term)
{
    const cbp_real total = *sum + term;
    const cbp_real part = total - *sum;
    const cbp_real error = (*sum - (total - part)) + (term - part);
    *sum = total;
    *compensation += error - error == 0 ? error : 0;
}

/* What has become of a lane. */
#define CBP_LANE_RUNNING ((cbp_real)0)
#define CBP_LANE_DONE ((cbp_real)1)           /* converged */
#define CBP_LANE_NEEDS_FALLBACK ((cbp_real)2) /* to be fitted by cbp_fit_lm */
#define CBP_LANE_IDLE ((cbp_real)3)           /* no chain left for it */

/* Fits of CBP_LANES chains under way, one in each lane. Numbers of free parameters stand in the
 * order of params; packed matrices have free + 1 rows, [row (row + 1) / 2 + column][CBP_LANES]. */
typedef struct cbp_lanes {
    const unsigned char *activations, *frozen;
    size_t layers, free, n;
    cbp_loss criterion;
    cbp_real tolerance, patience; /* patience: iterations before cbp_fit_lm takes over */
    /* no slope jumps, so that a last step can be taken without a pass */
    int is_smooth;
    const size_t *places;       /* of the free among all parameters */
    const cbp_real *low, *high; /* [free], or null */
    /* [n][CBP_LANES]; root = sqrt(weight), a missing point has weight 0 */
    cbp_real *x, *y, *weight, *root;
    cbp_real *params, *trial; /* [2 layers][CBP_LANES] */
    /* packed; of a lane that is done trial_normal has the inverse */
    cbp_real *normal, *trial_normal;
    cbp_real *factor, *scaled; /* packed */
    /* packed: the second-order terms, by which the loss's curvature exceeds the normal equations */
    cbp_real *second_order, *trial_second_order;
    cbp_real *step, *at_bound; /* [free][CBP_LANES]; at_bound: not 0 if it stays at its bound */
    cbp_real *work;            /* (free + 1 + 3 layers + 6) * CBP_FIT_TILE */
    cbp_row loss, trial_loss;
    cbp_row squares; /* of the targets, weighted; log loss: the weights */
    cbp_row damping, growth;
    cbp_row predicted; /* by how much the last step was to make the loss less */
    cbp_row length;    /* its own, squared, in units of what each parameter does */
    cbp_row was_plain; /* the last step was undamped, whole and taken */
    cbp_row iterations, state;
} cbp_lanes;

/* Starts to choose from, the same for all chains; so many are looked at together. */
#define CBP_CANDIDATES 4

typedef struct cbp_lane_candidates {
    const cbp_real *params; /* [count][width], of which the first 2 layers count */
    size_t count, width;
    /* row: so many are neighbours, 0 if none are; depth: layers before a linear last one, or all */
    size_t row, depth;
    int is_linear;          /* the last layer is the identity */
    int solves_w, solves_b; /* its free ones are solved for */
    /* between which its weight must lie: if it is not solved for, both what it is */
    cbp_real low_w, high_w;
    int is_shared; /* inputs are shared and all weights 1 */
    int is_one;    /* all lanes have the same chain's examples */
    /* what `depth` layers make of shared inputs, [count][n]; null where they are not shared */
    const cbp_real *features;
    /* the same less their mean, if the last bias is solved for; [count to CBP_CANDIDATES][n] */
    const cbp_real *centred;
    const cbp_real *sizes;    /* [count to CBP_CANDIDATES]: sums of squares of those */
    const cbp_real *inverses; /* of those, if the last weight is solved for, else 0 */
    cbp_real *own_features;   /* to work in, [n][CBP_LANES] */
    cbp_real *gains;          /* to work in, [count to CBP_CANDIDATES][CBP_LANES] */
} cbp_lane_candidates;

#define CBP_EPSILON ((cbp_real)(sizeof(cbp_real) == sizeof(float) ? FLT_EPSILON : DBL_EPSILON))

/* A feature's sum of weight (f - mean)^2, for weights with this total: 0 where the feature is
 * constant and the sum only rounding: it gains nothing. */
CBP_INLINE cbp_real cbp_size_of_feature(cbp_real size, cbp_real mean, cbp_real total)
{
    const cbp_real rounding = 8 * CBP_EPSILON * mean;
    return size > rounding * rounding * total ? size : 0;
}

/* The table. Arguments have been checked; shapes are cbackprop.h's. */
typedef struct cbp_kernels {
    const char *name;
    void (*activation)(int code, const cbp_real *z, size_t n, cbp_real *value, cbp_real *slope,
                       cbp_real *second);
    cbp_real (*forward_one)(const cbp_chain *chain, cbp_real x);
    cbp_real (*slope_one)(const cbp_chain *chain, cbp_real x);
    cbp_real (*inverse_one)(const cbp_chain *chain, cbp_real y);
    cbp_real (*loss_one)(const cbp_chain *chain, cbp_loss criterion, cbp_real x, cbp_real y);
    cbp_real (*gradient_one)(const cbp_chain *chain, cbp_loss criterion, cbp_real x, cbp_real y,
                             const cbp_record *record);
    void (*forward)(const cbp_chain *chain, const cbp_real *x, size_t n, cbp_real *out);
    void (*slope)(const cbp_chain *chain, const cbp_real *x, size_t n, cbp_real *out);
    void (*inverse)(const cbp_chain *chain, const cbp_real *y, size_t n, cbp_real *out);
    void (*rows)(const cbp_chain *chain, cbp_loss criterion, const cbp_examples *examples,
                 cbp_real *work, cbp_real *rows);
    void (*loss_sums)(const cbp_chain *chain, cbp_loss criterion, const cbp_examples *examples,
                      cbp_real *sums, cbp_real *compensation);
    void (*gradient_sums)(const cbp_chain *chain, cbp_loss criterion, const cbp_examples *examples,
                          cbp_real *work, cbp_real *sums, cbp_real *compensation);
    void (*hessian_sums)(const cbp_chain *chain, cbp_loss criterion, const cbp_examples *examples,
                         cbp_real *work, cbp_real *sums, cbp_real *compensation);
    void (*fit_rows)(const cbp_chain *chain, cbp_loss criterion, const cbp_examples *examples,
                     size_t free, cbp_real *work, cbp_real *node);
    void (*merge_triangles)(size_t width, const cbp_real *other, cbp_real *columns,
                            cbp_real *triangle);
    void (*fit_lanes)(cbp_lanes *lanes);
    void (*finish_lanes)(cbp_lanes *lanes);
    void (*choose_starts)(const cbp_lanes *lanes, const cbp_lane_candidates *candidates,
                          cbp_real *chosen, cbp_real *gain);
} cbp_kernels;

extern const cbp_kernels cbp_kernels_generic;
#if CBP_X86_KERNELS
extern const cbp_kernels cbp_kernels_avx2;
extern const cbp_kernels cbp_kernels_avx512;
#endif

/* The lists of activation.h and loss.h as tables, by code. */
extern const cbp_activation_facts cbp_activation_table[];
extern const cbp_loss_facts cbp_loss_table[];

/* Where the four sums of a node stand, behind its triangle; their compensations follow. */
CBP_INLINE size_t cbp_fit_sums_at(size_t free)
{
    return (free + 1) * (free + 1);
}

/* sizes[n]: the square of what each output near a amounts to, in the units of the residuals of a
 * least-squares step. */
void cbp_loss_sizes(cbp_loss criterion, const cbp_real *a, const cbp_real *y, size_t n,
                    cbp_real *sizes);

#endif
