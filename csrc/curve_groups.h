/* What the files share that fit one curve to several groups of examples. */
#ifndef CBP_CURVE_GROUPS_H
#define CBP_CURVE_GROUPS_H

#include "curve.h"
#include "many.h"

#define CBP_GROUP_TRIANGLE ((CBP_CURVE_PARAMETERS + 1) * (CBP_CURVE_PARAMETERS + 1))
#define CBP_GROUP_NODE (CBP_GROUP_TRIANGLE + 8)

/* Of a group: its coordinates, and by how much its own ones move with its shared ones. */
#define CBP_GROUP_SLOPES (CBP_CURVE_PARAMETERS * CBP_CURVE_PARAMETERS / 4)
#define CBP_GROUP_POINT (CBP_CURVE_WIDTH + CBP_GROUP_SLOPES)

/* Of few groups, so many starts are compared by fits to this tolerance. */
#define CBP_GROUP_TRIES 3
#define CBP_GROUP_COARSE ((cbp_real)1e-4)

/* A call under way. A shared parameter has one value, or several, each for some of the groups: all
 * values stand in one vector, those of the parameter with the most values first. */
typedef struct cbp_group_fit {
    cbp_curve_search s; /* of one group after the other */
    const cbp_curve_groups *groups;
    const cbp_fit_options *given;
    const cbp_real *fixed;                 /* as given, or null */
    unsigned char shared[CBP_CURVE_WIDTH]; /* those that are not fixed */
    size_t shared_count, own_count;
    size_t counts[CBP_CURVE_WIDTH], first[CBP_CURVE_WIDTH]; /* of values, and where they begin */
    size_t values_len;
    cbp_chain values; /* they are given to cbp_fit_over as a chain, whose params are `start` */
    cbp_real *start, *low, *high;     /* and bounds */
    cbp_real middle[CBP_CURVE_WIDTH]; /* coordinates in the middle of groups fitted alone */
    cbp_real *best, *trial;           /* [count][CBP_GROUP_POINT]: of the least loss; of a pass */
    cbp_real least;                   /* loss, summed */
    size_t weak_count; /* groups in a pass with own parameters that hardly change the outputs */
    cbp_real *row;     /* of a triangle of the values, [values_len + 1] */
    cbp_real *node, *ordered; /* of the values; a triangle of them in another order */
    size_t tries_len;         /* of few groups: starts in `ordered`, [values_len] each */
    cbp_real *matrix;         /* their covariance */
    cbp_real *block;          /* to fit groups in lanes */
    cbp_real *outer, *work;   /* of the fit of the values; of one group */
} cbp_group_fit;

/* Which value a group has of a shared parameter, and the coordinate that the group has then. */
size_t cbp_group_place(const cbp_group_fit *f, size_t group, size_t k);
cbp_real cbp_group_coordinate(const cbp_group_fit *f, size_t group, size_t k, cbp_real value);

/* Its derivative by the value. */
cbp_real cbp_group_slope(const cbp_group_fit *f, size_t group, size_t k);

/* Numbers the columns of a triangle of all that is not fixed: own ones, then shared ones. Left out
 * are own ones that depend on those before them. How many are own; *count: of all. */
size_t cbp_group_columns(const cbp_group_fit *f, const cbp_real *triangle, size_t rows,
                         size_t *order, size_t *count);

/* The columns of a group's triangle in this order, as an upper triangle: with the residuals,
 * [rows][count + 1]; rows is how many parameters there are, and one more. */
void cbp_group_order(const cbp_real *triangle, size_t rows, const size_t *order, size_t count,
                     cbp_real *to);

/* Takes a row, which is used up, into the triangle[width][width] above it. */
void cbp_group_add_row(size_t width, cbp_real *row, cbp_real *triangle);

/* A pass over all groups, a cbp_fit_pass whose `user` is a cbp_group_fit: the triangle of the
 * values. */
int cbp_group_pass(void *user, const cbp_chain *values, cbp_real *node);

/* Fits a group's own parameters at these values, and adds what it leaves to the node. 1 if the fit
 * is to stop. */
int cbp_group_add(cbp_group_fit *f, size_t group, const cbp_real *values, cbp_real *node);

/* Adds what a group leaves at these coordinates to the node of the values. */
void cbp_group_add_rest(cbp_group_fit *f, size_t group, cbp_real *at, cbp_real *node);

/* Where the values start: f->start, and the best of all in f->ordered, CBP_GROUP_TRIES at most. */
int cbp_group_start_values(cbp_group_fit *f);

/* Where the groups' own parameters start at these values: f->best. */
int cbp_group_start_own(cbp_group_fit *f);

/* How many numbers f->block has, for groups of so many examples at most. */
size_t cbp_group_block_len(size_t largest);

/* What is known of all parameters, from f->node. */
int cbp_group_conclude(cbp_group_fit *f, const cbp_fit_info *info, cbp_curve_result *results);

/* Fits the groups one by one, where they have only the variance in common. */
int cbp_group_fit_apart(cbp_group_fit *f, cbp_curve_result *results);

#endif
