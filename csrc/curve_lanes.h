/* What the files that fit curves in lanes share. */
#ifndef CBP_CURVE_LANES_H
#define CBP_CURVE_LANES_H

#include "curve.h"
#include "many.h"

/* What took more iterations in a lane is fitted by cbp_fit_over: its loss may have no minimum. */
#define CBP_CURVE_LANE_ITERATIONS 50

/* So is what did not converge, where it left less than so many times the least loss. */
#define CBP_CURVE_NEAR 30

/* From so many examples on one fit keeps the processor busy. Single precision is for processors
 * with little memory: there the starts are refined one by one, in a third of it. */
#ifdef CBP_SINGLE
#define CBP_CURVE_LANE_EXAMPLES 0
#else
#define CBP_CURVE_LANE_EXAMPLES 256
#endif

/* The options of fits in lanes. */
cbp_fit_options cbp_curve_lane_options(const cbp_curve_search *s);

/* Whether a fit in a lane has converged, with all parameters determined. */
int cbp_curve_is_settled(const cbp_fits *found, size_t i, size_t width);

/* The point that a chain found in a lane stands for, as it is reported, and the one before
 * parameters were exchanged; 0 if there is none, or it breaks a bound. Unless it is null
 * slopes[p][CBP_CURVE_PLACES], of the latter's coordinates by the chain's parameters. */
int cbp_curve_settle_point(const cbp_curve_search *s, const cbp_real *params, cbp_curve_point *own,
                           cbp_curve_point *p, cbp_real *slopes);

#endif
