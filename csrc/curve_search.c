/* The fits of a curve from several starts: coarse ones, of which the best is finished. */
#include "curve.h"

/* A start is unlikely to lead to the least loss if its own is so many times the least one that was
 * found, and so many times that of the best start. */
#define UNLIKELY 100
#define WORSE_START 4

/* Iterations after which a fit from one of several starts is left, to be continued if it is the
 * best; and one from an unlikely start, which is tried only if it is the first of its sign. */
#define COARSE_ITERATIONS 200
#define UNLIKELY_ITERATIONS 30

/* After so many iterations, and then each time that they have doubled, a fit from a further start
 * is given up if even a fall by so many times the last one would not bring it to the least loss. */
#define FIRST_PART 25
#define MAY_FALL 4

/* The tolerance at which starts are compared. Then losses that differ by less than this part of
 * them may be equal; and fits are the same if no coordinate differs by so much. */
#define COARSE ((cbp_real)1e-4)
#define TIE ((cbp_real)1e-5)
#define SAME_PLACE ((cbp_real)0.02)

/* How many starts of a sign are refined: they differ by a power alone. Thresholds, and those
 * of a second search, are all refined. */
#define REFINED_OF_SIGN 2

/* How many times the least loss is near it. */
#define NEAR_LOSS 3

/* The averaged squared loss of the mean of the targets. */
static cbp_real loss_of_mean(const cbp_curve_search *s)
{
    const cbp_examples *examples = &s->problem.examples;
    cbp_real targets = 0, total = 0, squares = 0;
    for (size_t i = 0; i < examples->n; i++) {
        const cbp_real weight = examples->weight ? examples->weight[i] : 1;
        targets += weight * examples->y[i];
        total += weight;
    }
    for (size_t i = 0; i < examples->n; i++) {
        const cbp_real apart = examples->y[i] - targets / total;
        squares += (examples->weight ? examples->weight[i] : 1) * (apart * apart);
    }
    return squares / total;
}

/* Whether a fit is better than another. Of mirror images that bounds keep apart it is the one of
 * the least loss, or that with low <= high if the losses are equal; and also if bounds say so,
 * unless it is no better than a constant. Of CBP_ORDERED it is the one with low <= high. */
static int is_better(const cbp_curve_search *s, const cbp_curve_start *own,
                     const cbp_curve_start *other)
{
    const int is_ordered = cbp_curve_is_ordered(s, own->at);
    if (is_ordered == cbp_curve_is_ordered(s, other->at) || !cbp_is_finite(other->loss)) {
        return own->loss < other->loss;
    }
    const cbp_real ordered = is_ordered ? own->loss : other->loss,
                   turned = is_ordered ? other->loss : own->loss;
    const int is_kept = s->has_order || ordered <= turned + cbp_curve_noise(s, turned) ||
                        (s->keeps_order && ordered < loss_of_mean(s));
    return is_ordered == is_kept;
}

/* The fit from one start, in its place; given up after so many iterations unless it is near the
 * least loss, and before if it falls too slowly to come to that. */
static int refine_start(cbp_curve_search *s, cbp_curve_start *from, size_t iterations,
                        cbp_real least, cbp_fit_info *found)
{
    const size_t most = s->options.max_iterations;
    const int is_first = !(least < (cbp_real)INFINITY);
    size_t part = is_first ? iterations : FIRST_PART;
    int goes_on = 1;
    while (goes_on) {
        const size_t left =
            from->iterations < iterations ? iterations - from->iterations : most - from->iterations;
        const cbp_real before = from->loss;
        const int status = cbp_curve_move(s, part < left ? part : left, from->at, found);
        if (status != CBP_OK) {
            return status;
        }
        const int is_slow =
            from->iterations > 0 && found->loss - MAY_FALL * (before - found->loss) > least;
        from->loss = found->loss;
        from->iterations += found->iterations;
        part = from->iterations;
        goes_on = found->outcome == CBP_EXHAUSTED && from->iterations < most && !is_first &&
                  !is_slow && (from->iterations < iterations || from->loss < NEAR_LOSS * least);
    }
    return CBP_OK;
}

/* Whether a fit that has been refined is as good as the best, but not the same. */
static int is_tie(const cbp_curve_search *s, const cbp_curve_start *own,
                  const cbp_curve_start *best)
{
    int is_elsewhere = 0;
    for (size_t k = 0; k < s->count; k++) {
        is_elsewhere |=
            cbp_magnitude(own->at[k] - best->at[k]) > SAME_PLACE * (1 + cbp_magnitude(best->at[k]));
    }
    return is_elsewhere && own->iterations > 0 &&
           cbp_magnitude(own->loss - best->loss) <= TIE * best->loss;
}

/* Continues a fit to the tolerance asked for, if it has iterations left. */
static int finish_start(cbp_curve_search *s, cbp_curve_start *own, cbp_fit_info *info)
{
    const size_t left = s->options.max_iterations - own->iterations;
    const int status = left > 0 ? cbp_curve_move(s, left, own->at, info) : CBP_OK;
    own->loss = info->loss;
    return status;
}

/* Finishes the best fit, and those that are as good. */
static int finish_best(cbp_curve_search *s, cbp_curve_start *best, cbp_fit_info *info)
{
    const cbp_curve_start coarse = *best;
    cbp_fit_info found = *info;
    int status = finish_start(s, best, info);
    for (size_t i = 0; i < s->starts_len && status == CBP_OK && !s->is_stopped; i++) {
        if (is_tie(s, &s->starts[i], &coarse)) {
            found.loss = s->starts[i].loss;
            status = finish_start(s, &s->starts[i], &found);
            if (status == CBP_OK && is_better(s, &s->starts[i], best)) {
                *best = s->starts[i];
                *info = found;
            }
        }
    }
    return status;
}

int cbp_curve_refine_starts(cbp_curve_search *s, cbp_fit_info *info)
{
    const cbp_real first_loss = s->starts_len > 0 ? s->starts[0].loss : 0,
                   tolerance = s->options.tolerance;
    cbp_curve_start best = {{0}, (cbp_real)INFINITY, 0, 0};
    const int of_sign = s->curve->grid == CBP_GRID_THRESHOLDS || s->is_second ? CBP_CURVE_STARTS
                                                                              : REFINED_OF_SIGN,
              is_coarse = s->starts_len > 1 && s->curve->grid != CBP_GRID_THRESHOLDS;
    int status = CBP_ERROR_START_LOSS, has_converged = 0, seen[2] = {0, 0};
    if (is_coarse && tolerance < COARSE) {
        s->options.tolerance = COARSE;
    }
    for (size_t i = 0; i < s->starts_len && !s->is_stopped; i++) {
        cbp_curve_start *from = &s->starts[i];
        cbp_fit_info found;
        const int is_unlikely = has_converged && cbp_curve_is_ordered(s, best.at) &&
                                from->loss > UNLIKELY * best.loss &&
                                from->loss > WORSE_START * first_loss;
        from->iterations = 0;
        if (seen[from->sign] >= (is_unlikely ? 1 : of_sign)) {
            continue;
        }
        seen[from->sign]++;
        const size_t most = !is_coarse    ? s->options.max_iterations
                            : is_unlikely ? UNLIKELY_ITERATIONS
                                          : COARSE_ITERATIONS;
        const int own = refine_start(s, from, most, best.loss, &found);
        if (own != CBP_OK) {
            status = best.loss < (cbp_real)INFINITY ? status : own;
            continue;
        }
        cbp_curve_settle_threshold(s, from, &found);
        from->loss = found.loss;
        if (is_better(s, from, &best) || status != CBP_OK) {
            status = CBP_OK;
            best = *from;
            *info = found;
        }
        has_converged |= found.outcome == CBP_CONVERGED;
    }
    s->options.tolerance = tolerance;
    if (status == CBP_OK && is_coarse && !s->is_stopped) {
        status = finish_best(s, &best, info);
    }
    s->starts[0] = best;
    s->coordinates.params = s->starts[0].at;
    return status;
}
