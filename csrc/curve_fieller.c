/* Fieller's interval of an input: the inputs whose band contains what is given. */
#include "curve_spread.h"

/* Outputs are stepped through, from the estimate on: first in a part of the band's width, each step
 * longer by a factor; after many of them by a large one. */
#define FIRST_STEP ((cbp_real)0.25)
#define STEP_FACTOR ((cbp_real)1.5)
#define SHORT_STEPS 40
#define LONG_STEP_FACTOR 16

#define HALVINGS 200 /* at most */

#define LARGEST ((cbp_real)(sizeof(cbp_real) == sizeof(float) ? FLT_MAX : DBL_MAX))
#define SMALLEST ((cbp_real)(sizeof(cbp_real) == sizeof(float) ? FLT_MIN : DBL_MIN))

static int is_within(const cbp_curve_spread *s, const cbp_curve_aim *aim, cbp_real x)
{
    cbp_real difference, by_x;
    const cbp_real variance = cbp_curve_difference_at(s, aim, x, &difference, &by_x);
    return variance == (cbp_real)INFINITY ||
           cbp_magnitude(difference) <= s->quantile * cbp_root(variance);
}

/* A number between two, so that halving ends soon whatever their sizes. */
static cbp_real middle_of(cbp_real a, cbp_real b)
{
    const cbp_real size_a = cbp_magnitude(a), size_b = cbp_magnitude(b),
                   small = size_a < size_b ? size_a : size_b,
                   large = size_a < size_b ? size_b : size_a,
                   low = small < SMALLEST ? SMALLEST : small,
                   high = large > LARGEST ? LARGEST : large;
    if (a < 0 ? b > 0 : a > 0 && b < 0) {
        return 0;
    }
    const cbp_real middle =
        high > 4 * low ? cbp_root(low) * cbp_root(high) : low + (high - low) / 2;
    return a < 0 || b < 0 ? -middle : middle;
}

/* Where the interval ends, between an input within it and one that is not. */
static cbp_real halve(const cbp_curve_spread *s, const cbp_curve_aim *aim, cbp_real within,
                      cbp_real outside)
{
    for (int k = 0; k < HALVINGS; k++) {
        const cbp_real middle = middle_of(within, outside);
        if (middle == within || middle == outside) {
            break;
        }
        if (is_within(s, aim, middle)) {
            within = middle;
        } else {
            outside = middle;
        }
    }
    return within;
}

/* The input at which the chain gives this; not a number of the domain: `end`. */
static cbp_real input_or(const cbp_curve_spread *s, cbp_real output, cbp_real end)
{
    const cbp_real x = cbp_kernels_now()->inverse_one(&s->chain, output);
    return x >= s->curve->domain_low && x <= s->curve->domain_high ? x : end;
}

/* Where the interval ends on the way from x, where the chain gives `from`, to the end of the
 * domain, where it gives `to`. */
static cbp_real end_towards(const cbp_curve_spread *s, const cbp_curve_aim *aim, cbp_real x,
                            cbp_real from, cbp_real end, cbp_real to)
{
    cbp_real difference, by_x;
    const cbp_real width =
        s->quantile * cbp_root(cbp_curve_difference_at(s, aim, x, &difference, &by_x));
    if (!(width > 0) || width == (cbp_real)INFINITY) {
        return width > 0 ? end : x; /* nothing is known, or everything */
    }
    cbp_real step = FIRST_STEP * width;
    for (int k = 0; x != end; k++) {
        const cbp_real output = to > from ? from + step : from - step;
        const int is_short = to > from ? output < to : output > to;
        const cbp_real next = is_short ? input_or(s, output, end) : end;
        if (next == end && !cbp_is_finite(to)) {
            return end; /* it is not left as far as there are numbers */
        }
        if (!is_within(s, aim, next)) {
            return halve(s, aim, x, next);
        }
        x = next;
        step *= k < SHORT_STEPS ? STEP_FACTOR : LONG_STEP_FACTOR;
    }
    return x;
}

void cbp_curve_fieller_ends(const cbp_curve_spread *s, const cbp_curve_aim *aim, cbp_real *low,
                            cbp_real *high)
{
    const cbp_real first = s->curve->domain_low, last = s->curve->domain_high,
                   at_first = cbp_kernels_now()->forward_one(&s->chain, first),
                   at_last = cbp_kernels_now()->forward_one(&s->chain, last),
                   least = at_first < at_last ? at_first : at_last,
                   most = at_first < at_last ? at_last : at_first;
    const cbp_real from = aim->target < least ? least : aim->target > most ? most : aim->target;
    const cbp_real x = from == at_first  ? first
                       : from == at_last ? last
                                         : input_or(s, from, (cbp_real)NAN);
    const int is_known =
        s->quantile == s->quantile && (aim->is_exact || s->observation == s->observation);
    *low = *high = (cbp_real)NAN;
    if (is_known && x == x && (from == aim->target || is_within(s, aim, x))) {
        *low = end_towards(s, aim, x, from, first, at_first);
        *high = end_towards(s, aim, x, from, last, at_last);
    }
}
