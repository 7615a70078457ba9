/* What the files of the curves share: their chains, and a fit under way. */
#ifndef CBP_CURVE_H
#define CBP_CURVE_H

#include "fit.h"

/* ---- curves ---------------------------------------------------------------------------------- */

#define CBP_CURVE_PLACES (2 * CBP_CURVE_LAYERS) /* parameters of a chain, at most */

/* CBP_ERROR_CURVE unless a curve is filled as struct cbp_curve has it. */
int cbp_curve_check(const cbp_curve *curve);

/* How many natural parameters a curve has, and how many layers its chain. */
size_t cbp_curve_count_parameters(const cbp_curve *curve);
size_t cbp_curve_count_layers(const cbp_curve *curve);

/* ---- natural parameters, coordinates, chains ------------------------------------------------- */

/* Natural parameters n, their coordinates t, and dn/dt. */
typedef struct cbp_curve_point {
    cbp_real n[CBP_CURVE_PARAMETERS], t[CBP_CURVE_PARAMETERS], dn[CBP_CURVE_PARAMETERS];
} cbp_curve_point;

/* The value of an activation, with the bits of the kernels in use. */
cbp_real cbp_curve_value(unsigned char activation, cbp_real z);

/* Whether a natural parameter is finite, and positive where it must be. */
int cbp_curve_is_natural(const cbp_curve *curve, size_t k, cbp_real natural);

/* Sets parameter k of a point. */
void cbp_curve_set_natural(const cbp_curve *curve, size_t k, cbp_real natural, cbp_curve_point *p);
void cbp_curve_set_coordinate(const cbp_curve *curve, size_t k, cbp_real coordinate,
                              cbp_curve_point *p);

/* The chain at a point: params[2L], and unless it is null slopes[2L][p], by the coordinates. */
void cbp_curve_chain_at(const cbp_curve *curve, const cbp_curve_point *p, cbp_real *params,
                        cbp_real *slopes);

/* The point at which the curve has this chain; 0 if there is none. Unless it is null
 * slopes[p][CBP_CURVE_PLACES], of the coordinates by the chain's parameters. */
int cbp_curve_point_of(const cbp_curve *curve, const cbp_real *params, cbp_curve_point *p,
                       cbp_real *slopes);

/* ---- a fit under way ------------------------------------------------------------------------- */

/* cbp_fit_over moves the coordinates, which are given to it as a chain: so many parameters, of
 * which those that the curve does not have are frozen, in so many layers. */
#define CBP_CURVE_WIDTH (CBP_CURVE_PARAMETERS + CBP_CURVE_PARAMETERS % 2)
#define CBP_COORDINATE_LAYERS (CBP_CURVE_WIDTH / 2)

/* Starts that a curve has at most, one for each list of candidates; and candidates in a list. */
#define CBP_CURVE_STARTS 8
#define CBP_CURVE_CANDIDATES 65

/* So many examples choose among the candidates, at most. */
#define CBP_CURVE_SAMPLE 256

typedef struct cbp_curve_start {
    cbp_real at[CBP_CURVE_WIDTH], loss; /* coordinates */
    int sign;                           /* of the slope w that it began with: 1 if negative */
    size_t iterations;                  /* of its fit so far */
} cbp_curve_start;

typedef struct cbp_curve_search {
    const cbp_curve *curve;
    size_t count, layers;
    cbp_fit problem;         /* the curve's chain and the examples */
    cbp_fit_options options; /* of fits of coordinates */
    cbp_fit_memory memory;
    cbp_chain coordinates;
    unsigned char frozen[CBP_CURVE_WIDTH];        /* natural parameters that are fixed */
    unsigned char constants[CBP_CURVE_PLACES];    /* of the chain */
    unsigned char chain_frozen[CBP_CURVE_PLACES]; /* of the chain, also by `frozen` */
    int fits_in_lanes; /* each fit of it is one of the curve, and most converge there */
    int has_order; /* it has bounds, by which only fits of CBP_ORDERED with low <= high are found */
    cbp_real chain_lower[CBP_CURVE_PLACES], chain_upper[CBP_CURVE_PLACES];
    cbp_real lower[CBP_CURVE_WIDTH], upper[CBP_CURVE_WIDTH]; /* of coordinates */
    cbp_curve_point fixed;                                   /* the values of fixed parameters */
    const cbp_real *start; /* natural parameters, where the curve has its own start */
    size_t inputs;         /* how many different ones there are, CBP_CURVE_PARAMETERS at most */
    unsigned char diverges[CBP_CURVE_WIDTH]; /* parameters with which the loss has no minimum */
    int is_bound;                            /* something is fixed or has bounds */
    int keeps_order; /* of a mirror image: bounds of parameters 0 and 1 are of the lesser and the
                        greater */
    size_t fixed_at; /* what was fixed on the way to a limit, or count */
    size_t iterations, evaluations;           /* of all fits so far */
    size_t last_iteration;                    /* of steps towards a limit */
    cbp_real least;                           /* the least loss that they have found */
    int is_stopped;                           /* by the progress function */
    int is_second;                            /* the search is the second one */
    cbp_curve_start starts[CBP_CURVE_STARTS]; /* starts[0]: then what was found */
    size_t starts_len;
    cbp_real *node, *work; /* the node of the chain and one of coordinates; the search's */
} cbp_curve_search;

/* What is known of fits before their examples: the curve, what is fixed, the bounds. */
int cbp_curve_prepare(cbp_curve_search *s, const cbp_curve *curve, const cbp_real *fixed,
                      const cbp_fit_options *options);

/* Freezes the chain's parameters that no free natural parameter moves. If as many are left as there
 * are free natural ones, each fit of the chain is a fit of the curve. */
void cbp_curve_freeze_chain(cbp_curve_search *s);

/* A search of these examples, in cbp_curve_fit_work_len(n) numbers of work memory. */
void cbp_curve_begin(cbp_curve_search *s, const cbp_examples *examples, cbp_real *work);

/* The fit of these examples, in as much work memory. */
int cbp_curve_fit_examples(cbp_curve_search *s, const cbp_examples *examples, cbp_real *work,
                           cbp_curve_result *result);

/* Whether all arrays of a result are given. */
int cbp_curve_has_arrays(const cbp_curve_result *result);

/* Whether all inputs are in the curve's domain. */
int cbp_curve_check_domain(const cbp_curve *curve, const cbp_examples *examples);

/* cbp_fit_over from these coordinates, which become what it finds, in at most so many iterations
 * (and those of the options). Adds to the search's iterations, evaluations and history. */
int cbp_curve_move(cbp_curve_search *s, size_t iterations, cbp_real *at, cbp_fit_info *info);

/* Whether limits and slope of a curve of CBP_MIRROR or CBP_ORDERED are all fitted. */
int cbp_curve_has_free_ends(const cbp_curve_search *s);

/* Whether a curve has low <= high, as it is reported: of CBP_ORDERED with limits and slope that are
 * fitted, and of CBP_MIRROR where something is fixed or has bounds, so that they may not be
 * exchanged. */
int cbp_curve_is_ordered(const cbp_curve_search *s, const cbp_real *at);

/* Exchanges them, if that is allowed, where they are not in this order; whether it has. */
int cbp_curve_choose_mirror(const cbp_curve_search *s, cbp_real *at);

/* The mean square of the targets. */
cbp_real cbp_curve_mean_square(const cbp_curve_search *s);

/* By how much averaged losses that are equal may differ. */
cbp_real cbp_curve_noise(const cbp_curve_search *s, cbp_real loss);

/* The triangle at these coordinates, of those that are not frozen; where it is. */
const cbp_real *cbp_curve_triangle_at(cbp_curve_search *s, const cbp_real *at);

/* Lists of candidates for these inputs, one for each sign of the slope and each power or part of
 * the range; how many. `params` has room for CBP_CURVE_STARTS times CBP_CURVE_CANDIDATES chains. */
size_t cbp_curve_list_candidates(const cbp_curve_search *s, const cbp_examples *examples,
                                 cbp_real *params, cbp_candidates *lists);

/* Fills s->starts with the best of each list, in the order of their loss, or with the curve's own
 * start. Fails with CBP_ERROR_START if that is not finite, or not positive where it must be. */
int cbp_curve_find_starts(cbp_curve_search *s, cbp_real *work);
size_t cbp_curve_find_starts_work_len(size_t n);

/* One candidate: the constants of the chain, its slope, middle and power; other weights are 1,
 * other biases 0. */
void cbp_curve_set_candidate(const cbp_curve *curve, cbp_real w, cbp_real m, cbp_real a,
                             cbp_real *params);

/* A step: its middle, and how far the next inputs are from that, in x or log x as the curve has
 * it. */
typedef struct cbp_curve_step {
    cbp_real middle, gap;
} cbp_curve_step;

/* Whether steps are limits of the curve, and the loss is that of least squares. */
int cbp_curve_has_steps(const cbp_curve_search *s);

/* Whether a fit of this averaged loss leaves much of the targets' sum of squares; those that are
 * NaN do not count. */
int cbp_curve_explains_little(const cbp_curve_search *s, const cbp_examples *examples,
                              cbp_real loss);

/* Whether a step, which the curve approaches as its slope grows, has an averaged loss clearly below
 * this one; *step: the best. Needs 3 n numbers of work memory. */
int cbp_curve_find_step(const cbp_curve_search *s, cbp_real loss, cbp_real *work,
                        cbp_curve_step *step);

/* Candidates near a step, with slopes of this sign: params[count][2L]; how many. */
size_t cbp_curve_fill_step(const cbp_curve *curve, const cbp_curve_step *step, cbp_real sign,
                           cbp_real *params);

/* Curves with an asymmetry near 0 and a large slope of this sign: a power of the input, or an
 * exponential, that becomes a plateau at a kink. params[count][2L]; how many. */
size_t cbp_curve_fill_kinks(const cbp_curve *curve, cbp_real low, cbp_real range, cbp_real sign,
                            cbp_real *params);

/* Candidates of an Arrhenius curve: the line through the logarithms, and slopes of both signs if an
 * example far off may have pulled it away. params[count][2L]; how many. */
size_t cbp_curve_fill_energies(const cbp_curve_search *s, const cbp_examples *examples,
                               cbp_real low, cbp_real range, cbp_real *params);

/* Fills s->starts with those of a second search: at a step, unless that is null; at kinks, if the
 * curve has an asymmetry; and unless the first has settled at a minimum, the best of the wide
 * candidates of each list. */
void cbp_curve_find_more_starts(cbp_curve_search *s, const cbp_curve_step *step, int was_settled,
                                cbp_real *work);

/* Fits from all starts side by side, if the chain allows it; whether one has converged. Then what
 * is left of s->starts is the best of these, and the starts of those that have not and may yet be
 * better. */
int cbp_curve_fit_starts(cbp_curve_search *s, cbp_real *work);
size_t cbp_curve_fit_starts_work_len(size_t n);

/* Continues a fit that converges slowly, from s->starts[0], where the second derivatives tell the
 * way; whether it has converged, with no greater loss than the one given. */
int cbp_curve_finish(cbp_curve_search *s, cbp_real loss, cbp_real *work);

/* Refines the starts that may lead to the least loss, coarsely at first if they are several; the
 * best is left in s->starts[0]. */
int cbp_curve_refine_starts(cbp_curve_search *s, cbp_fit_info *info);

/* Parameters, their covariance and the chain where the fit has ended. What was fixed on the way to
 * a limit is fixed here, too: the rest is the fit of the limit. From this node of all that is not
 * fixed, or if it is null from that of the examples. */
int cbp_curve_conclude(cbp_curve_search *s, const cbp_real *known, cbp_curve_result *result);

/* Takes a fit to a minimum at a kink next to it, if there is one. */
void cbp_curve_settle_threshold(cbp_curve_search *s, cbp_curve_start *at, cbp_fit_info *info);

/* Continues a fit that converges slowly in case the loss has no minimum. */
void cbp_curve_follow_loss(cbp_curve_search *s, cbp_fit_info *info);

/* Whether a fit that converged has stopped on the way to a limit: a parameter that the data do not
 * determine can go on in one direction without a change of the loss, but not in the other. Then
 * *loss becomes that of the point that is reported. */
int cbp_curve_finds_no_minimum(cbp_curve_search *s, const cbp_curve_result *result, cbp_real *loss);

#endif
