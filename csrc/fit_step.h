/* One step of Levenberg-Marquardt, from what a pass over the examples leaves. */
#ifndef CBP_FIT_STEP_H
#define CBP_FIT_STEP_H

#include "fit.h"

/* Vectors have an entry for each free parameter, in the order of params. */
typedef struct cbp_fit_step {
    size_t free, width; /* width = free + 1 */
    /* R with R'R = J'J, [width][width]; its last column carries the residuals */
    cbp_real *triangle;
    cbp_real *stack;              /* to work in, [2 free][width] */
    cbp_real *point, *low, *high; /* the free parameters and their bounds */
    cbp_real *scaling;            /* what each is measured by */
    cbp_real *step,
        *at_bound;       /* the step, and whether (not 0) it is given, at a bound or dropped */
    cbp_real *direction; /* to work in */
} cbp_fit_step;

/* Reflects rows x (columns + 1) of `stack`, of the given width, into an upper triangle. */
void cbp_triangulate(cbp_real *stack, size_t rows, size_t columns, size_t width);

/* Euclidean norm of column j of the Jacobian. */
cbp_real cbp_fit_step_column_norm(const cbp_fit_step *s, size_t j);

/* Marks what stands at a bound that the loss would cross; whether anything is left to move. */
int cbp_fit_step_mark_at_bounds(const cbp_fit_step *s);

/* The step of about the radius' length of what is not at a bound, and not dependent on the columns
 * before it, and the damping that makes it so; the undamped step if that is no longer, and then
 * 1. */
int cbp_fit_step_within(const cbp_fit_step *s, cbp_real radius, cbp_real *damping);

/* Length of what is not at a bound, in the scaling. */
cbp_real cbp_fit_step_length(const cbp_fit_step *s);

/* Shortens the step to where it meets the first bound; whether it had to. What stands at a bound
 * and would pass it is marked, and the others' step found again. */
int cbp_fit_step_stop_at_bounds(const cbp_fit_step *s, cbp_real damping);

/* By how much the parabola falls on the step, and the sum of squares that it falls from. */
cbp_real cbp_fit_step_predicted_fall(const cbp_fit_step *s);
cbp_real cbp_fit_step_squares(const cbp_fit_step *s);

/* |J step| of the undamped step: by how much the outputs differ from the best that the quadratic
 * model predicts. */
cbp_real cbp_fit_step_change(const cbp_fit_step *s);

/* Half the gradient of the summed loss: J' of the residuals. */
void cbp_fit_step_gradient(const cbp_fit_step *s, cbp_real *gradient);

#endif
