/* The uncertainty of a fitted curve, and of what is computed from it. */
#ifndef CBP_CURVE_SPREAD_H
#define CBP_CURVE_SPREAD_H

#include "curve.h"

typedef struct cbp_curve_spread {
    const cbp_curve *curve;
    size_t count;                                               /* p */
    cbp_chain chain;                                            /* the fitted one */
    cbp_real slopes[CBP_CURVE_PLACES * CBP_CURVE_PARAMETERS];   /* of it, by the coordinates */
    cbp_real root[CBP_CURVE_PARAMETERS * CBP_CURVE_PARAMETERS]; /* root root' is the covariance */
    unsigned char moves[CBP_CURVE_PARAMETERS];   /* of a coordinate: it has a variance */
    unsigned char unknown[CBP_CURVE_PARAMETERS]; /* of a coordinate: that is infinite */
    int is_blind;         /* no degrees of freedom: nothing is known of any variance */
    cbp_real quantile;    /* of the level */
    cbp_real observation; /* the variance of an observation of weight 1; NaN if it is not one */
    cbp_real power;       /* where the curve is 1: elsewhere times this power of it */
    int interval;
} cbp_curve_spread;

/* What a number computed from the chain is compared with: by an input x, f(x) - target. The target
 * has these derivatives by the coordinates; unless it is exact it is the mean of observations about
 * f(x), of this weight. */
typedef struct cbp_curve_aim {
    cbp_real target, slopes[CBP_CURVE_PARAMETERS], weight;
    int is_exact;
} cbp_curve_aim;

/* Takes what a caller gives. Fails as cbp_curve_intervals. */
int cbp_curve_open_spread(const cbp_curve_inference *fit, cbp_curve_spread *s);

/* The chain's output at x, its derivative *by_x, and those by the coordinates, slopes[p]. */
cbp_real cbp_curve_slopes_at(const cbp_curve_spread *s, cbp_real x, cbp_real *by_x,
                             cbp_real *slopes);

/* The variance of an observation of weight 1 where the curve has this value. */
cbp_real cbp_curve_observation_at(const cbp_curve_spread *s, cbp_real value);

/* The variance of a number with these derivatives. */
cbp_real cbp_curve_variance_of(const cbp_curve_spread *s, const cbp_real *slopes);

/* The interval of a number that has this standard error, and of one by that of its logarithm. */
void cbp_curve_plain_ends(cbp_real value, cbp_real reach, cbp_real *low, cbp_real *high);
void cbp_curve_log_ends(cbp_real value, cbp_real reach, cbp_real *low, cbp_real *high);

/* The interval of the inputs x at which f(x) does not differ from the target by more than the
 * uncertainty of that difference. */
void cbp_curve_fieller_ends(const cbp_curve_spread *s, const cbp_curve_aim *aim, cbp_real *low,
                            cbp_real *high);

/* The variance of f(x) - target, and *difference itself, and its derivative *by_x. */
cbp_real cbp_curve_difference_at(const cbp_curve_spread *s, const cbp_curve_aim *aim, cbp_real x,
                                 cbp_real *difference, cbp_real *by_x);

#endif
