/* Many fits at once, one chain in each lane: the normal equations are solved lane by lane, and the
 * step is judged. Lanes know nothing of each other, so that a chain's result is the same in any
 * company.
 */

/* ---- the verdict ----------------------------------------------------------------------------- */

/* to = from in the lanes where `where` is not 0; few of them, if any. */
static void take_where(const cbp_real *CBP_RESTRICT where, const cbp_real *CBP_RESTRICT from,
                       size_t len, cbp_real *CBP_RESTRICT to)
{
    for (size_t i = 0; i < len; i += CBP_LANES) {
        CBP_EACH_LANE
        {
            to[i + k] = where[k] != 0 ? from[i + k] : to[i + k];
        }
    }
}

static void exchange(cbp_real **a, cbp_real **b)
{
    cbp_real *kept = *a;
    *a = *b;
    *b = kept;
}

/* Takes the trial where it is better, and learns from it how much to damp. */
static void judge_trial(cbp_lanes *g, const cbp_real *CBP_RESTRICT lost)
{
    const cbp_real unit = CBP_PICK(DBL_EPSILON, FLT_EPSILON), half = CBP_PICK(0.5, 0.5f);
    cbp_row better, worse;
    CBP_EACH_LANE
    {
        const cbp_real loss = g->loss[k], fall = loss - g->trial_loss[k],
                       predicted = g->predicted[k];
        const cbp_real blur = 8 * unit * (8 * loss + cbp_sqrt(loss * g->squares[k]));
        const int is_seen = predicted > blur;
        const int is_unseen = !is_seen & (blur < CBP_INFINITY);
        const int is_good = (lost[k] == 0) & ((fall > 0) | (is_unseen & (-fall <= blur)));
        const cbp_real ratio = is_seen ? fall / predicted : 1;
        const cbp_real damping = g->damping[k];
        /* after a rejected step damping goes down with care, lest every other step be rejected */
        const cbp_real down = g->growth[k] > 4 ? CBP_PICK(0.125, 0.125f) : CBP_PICK(0.005, 0.005f);
        const cbp_real factor = ratio > CBP_PICK(0.75, 0.75f) ? down : ratio > half / 2 ? half : 4;
        const cbp_real eased = loss < CBP_INFINITY ? damping * factor : damping;
        const cbp_real raised =
            (damping > CBP_PICK(1e-3, 1e-3f) ? damping : CBP_PICK(1e-3, 1e-3f)) * g->growth[k];
        better[k] = is_good ? 1 : 0;
        g->damping[k] = !is_good ? raised : eased < CBP_PICK(1e-4, 1e-4f) ? 0 : eased;
        g->growth[k] = is_good ? 4 : 2 * g->growth[k];
        g->loss[k] = is_good ? g->trial_loss[k] : loss;
        g->was_plain[k] = is_good ? g->was_plain[k] : 0;
        g->iterations[k] += 1;
    }
    if (any_is(better, 0)) {
        CBP_EACH_LANE
        {
            worse[k] = 1 - better[k];
        }
        take_where(worse, g->normal, packed(g->free + 1, 0), g->trial_normal);
        take_where(worse, g->bend, packed(g->free, 0), g->trial_bend);
        take_where(worse, g->params, 2 * g->layers * CBP_LANES, g->trial);
    }
    exchange(&g->normal, &g->trial_normal);
    exchange(&g->bend, &g->trial_bend);
    exchange(&g->params, &g->trial);
}

/* ---- the step -------------------------------------------------------------------------------- */

/* The least share of its diagonal that a pivot keeps where a column has something to say that those
 * before it have not: normal equations have lost half of the digits then. */
#define CBP_UNCLEAR CBP_PICK(1e-6, 1e-3f)

/* Cholesky's factors L D L' of the damped normal equations, with the residuals as the last row:
 * g->factor has L below the diagonal and 1/D on it, g->scaled has L D. What is held has a row of
 * its own. `clear` is 0 where less is left of a diagonal than says something new, or nothing. */
static void factor_normal(cbp_lanes *g, int bent, cbp_real *CBP_RESTRICT clear)
{
    const size_t free = g->free;
    cbp_row entry;
    spread(1, clear);
    for (size_t i = 0; i <= free; i++) {
        for (size_t j = 0; j <= i && j < free; j++) {
            const cbp_real *CBP_RESTRICT normal = g->normal + packed(i, j);
            cbp_real *CBP_RESTRICT to = g->factor + packed(i, j),
                                   *CBP_RESTRICT scaled = g->scaled + packed(i, j);
            const cbp_real damped = i == j ? 1 : 0;
            CBP_EACH_LANE
            {
                entry[k] = CBP_FMA(damped * g->damping[k], normal[k], normal[k]);
            }
            if (bent && i < free) {
                const cbp_real *CBP_RESTRICT bend = g->bend + packed(i, j);
                CBP_EACH_LANE
                {
                    entry[k] += bend[k];
                }
            }
            if (g->low) {
                const cbp_real *held_i = g->held + (i < free ? i : j) * CBP_LANES,
                               *held_j = g->held + j * CBP_LANES;
                CBP_EACH_LANE
                {
                    entry[k] = held_i[k] + held_j[k] > 0 ? damped : entry[k];
                }
            }
            for (size_t m = 0; m < j; m++) {
                const cbp_real *CBP_RESTRICT left = g->factor + packed(i, m),
                                             *CBP_RESTRICT right = g->scaled + packed(j, m);
                CBP_EACH_LANE
                {
                    entry[k] = CBP_FMA(-left[k], right[k], entry[k]);
                }
            }
            if (i == j) {
                CBP_EACH_LANE
                {
                    clear[k] = entry[k] > CBP_UNCLEAR * normal[k] ? clear[k] : 0;
                    to[k] = 1 / entry[k];
                }
            } else {
                const cbp_real *CBP_RESTRICT inverse = g->factor + packed(j, j);
                CBP_EACH_LANE
                {
                    scaled[k] = entry[k];
                    to[k] = entry[k] * inverse[k];
                }
            }
        }
    }
}

/* step[free], from g->factor. */
static void solve_factored(cbp_lanes *g)
{
    const size_t free = g->free;
    for (size_t j = free; j-- > 0;) {
        const cbp_real *last = g->factor + packed(free, j);
        cbp_real *CBP_RESTRICT step = g->step + j * CBP_LANES;
        CBP_EACH_LANE
        {
            step[k] = -last[k];
        }
        for (size_t i = j + 1; i < free; i++) {
            const cbp_real *entry = g->factor + packed(i, j),
                           *CBP_RESTRICT other = g->step + i * CBP_LANES;
            CBP_EACH_LANE
            {
                step[k] = CBP_FMA(-entry[k], other[k], step[k]);
            }
        }
    }
}

/* Holds what stands at a bound and is pushed beyond it by the gradient. */
static void hold_pushed(cbp_lanes *g)
{
    for (size_t j = 0; j < g->free; j++) {
        const cbp_real *slope = g->normal + packed(g->free, j),
                       *point = g->params + g->places[j] * CBP_LANES;
        const cbp_real low = g->low[j], high = g->high[j];
        cbp_real *CBP_RESTRICT held = g->held + j * CBP_LANES;
        CBP_EACH_LANE
        {
            held[k] = ((point[k] <= low) & (slope[k] >= 0)) | ((point[k] >= high) & (slope[k] <= 0))
                          ? 1
                          : 0;
        }
    }
}

/* Holds also what stands at a bound and would be moved beyond it by the step; whether there was
 * any. */
static int hold_leaving(cbp_lanes *g)
{
    cbp_row found = {0};
    for (size_t j = 0; j < g->free; j++) {
        const cbp_real *step = g->step + j * CBP_LANES,
                       *point = g->params + g->places[j] * CBP_LANES;
        const cbp_real low = g->low[j], high = g->high[j];
        cbp_real *CBP_RESTRICT held = g->held + j * CBP_LANES;
        CBP_EACH_LANE
        {
            const int leaves =
                ((point[k] <= low) & (step[k] < 0)) | ((point[k] >= high) & (step[k] > 0));
            found[k] = leaves ? 1 : found[k];
            held[k] = leaves ? 1 : held[k];
        }
    }
    return any_is(found, 1);
}

/* part = how much of the step can be made before the first bound. */
static void cut_at_bounds(const cbp_lanes *g, cbp_real *CBP_RESTRICT part)
{
    for (size_t j = 0; j < g->free; j++) {
        const cbp_real *step = g->step + j * CBP_LANES,
                       *point = g->params + g->places[j] * CBP_LANES;
        const cbp_real low = g->low[j], high = g->high[j];
        CBP_EACH_LANE
        {
            const cbp_real to = point[k] + step[k], way = (to < low ? low : high) - point[k];
            const cbp_real share = way / step[k];
            part[k] = (((to < low) | (to > high)) & (share < part[k])) ? share : part[k];
        }
    }
}

/* Where `part` of the step leads. What it takes to a bound stands exactly there. */
static void make_trial(cbp_lanes *g, const cbp_real *CBP_RESTRICT part)
{
    memcpy(g->trial, g->params, 2 * g->layers * CBP_LANES * sizeof *g->trial);
    for (size_t j = 0; j < g->free; j++) {
        const cbp_real *step = g->step + j * CBP_LANES,
                       *point = g->params + g->places[j] * CBP_LANES;
        cbp_real *CBP_RESTRICT trial = g->trial + g->places[j] * CBP_LANES;
        if (g->low) {
            const cbp_real low = g->low[j], high = g->high[j];
            CBP_EACH_LANE
            {
                const cbp_real end = step[k] < 0 ? low : high,
                               to = CBP_FMA(part[k], step[k], point[k]);
                const int meets = (part[k] < 1) & ((end - point[k]) / step[k] <= part[k]);
                trial[k] = meets ? end : cbp_clamp(to, low, high);
            }
        } else {
            CBP_EACH_LANE
            {
                trial[k] = point[k] + step[k];
            }
        }
    }
}

/* Where the bend leaves no minimum to go to, it is forgotten; whether there was any. */
static int forget_bend(cbp_lanes *g, const cbp_real *CBP_RESTRICT clear)
{
    cbp_row keep;
    CBP_EACH_LANE
    {
        keep[k] = clear[k] > 0 ? 1 : 0;
    }
    if (!any_is(clear, 0)) {
        return 0;
    }
    for (size_t i = 0; i < packed(g->free, 0); i += CBP_LANES) {
        cbp_real *CBP_RESTRICT bend = g->bend + i;
        CBP_EACH_LANE
        {
            bend[k] = keep[k] > 0 ? bend[k] : 0;
        }
    }
    return 1;
}

/* From the point reached, the next trial, or the end. A lane is done if what remains after the step
 * is less than the tolerance, as far as falls and lengths of the last two steps tell; the step is
 * then taken unseen. Past a kink they tell nothing: where there is one the step itself must bring
 * less, and is not taken. */
static void plan_trial(cbp_lanes *g)
{
    const size_t free = g->free;
    const cbp_real *squares = g->normal + packed(free, free);
    const cbp_real tolerance = g->tolerance * g->tolerance;
    const int is_robust = cbp_loss_table[g->criterion.loss].is_robust;
    cbp_row clear, part, along, length;
    if (g->low) {
        hold_pushed(g);
    }
    factor_normal(g, 1, clear);
    if (forget_bend(g, clear)) {
        factor_normal(g, 1, clear);
    }
    solve_factored(g);
    spread(1, part);
    if (g->low) {
        for (size_t again = 0; again < free && hold_leaving(g); again++) {
            factor_normal(g, 1, clear);
            solve_factored(g);
        }
        cut_at_bounds(g, part);
    }
    spread(0, along);
    spread(0, length);
    for (size_t j = 0; j < free; j++) {
        const cbp_real *step = g->step + j * CBP_LANES, *slope = g->normal + packed(free, j);
        const cbp_real *diagonal = g->normal + packed(j, j);
        CBP_EACH_LANE
        {
            along[k] = CBP_FMA(slope[k], step[k], along[k]);
            length[k] = CBP_FMA(diagonal[k] * step[k], step[k], length[k]);
        }
    }
    make_trial(g, part);
    CBP_EACH_LANE
    {
        const cbp_real damping = g->damping[k], loss = g->loss[k];
        /* with (A + damping D) step = -slope: step' A step */
        const cbp_real bend = -along[k] - damping * length[k];
        const cbp_real predicted = -part[k] * (2 * along[k] + part[k] * bend);
        const cbp_real share = predicted / squares[k];
        const cbp_real fall_rate = predicted / g->predicted[k],
                       length_rate = length[k] / g->length[k];
        const cbp_real rate = fall_rate > length_rate ? fall_rate : length_rate;
        const cbp_real rounding =
            16 * CBP_PICK(DBL_EPSILON * DBL_EPSILON, FLT_EPSILON * FLT_EPSILON) * g->squares[k];
        const int is_steady = g->is_smooth & (g->was_plain[k] > 0) & (rate < CBP_PICK(0.25, 0.25f));
        const cbp_real rest = is_steady ? 4 * rate * share : share;
        const int is_plain = (damping == 0) & (part[k] == 1);
        /* what share of the loss a last step may be worth: less where falls are not steady and may
         * differ from it widely */
        const cbp_real most = is_steady ? CBP_PICK(1e-10, 1e-5f) : CBP_PICK(1e-13, 1e-6f);
        const int is_settled = is_plain & (rest <= tolerance) & (predicted <= most * loss);
        const int is_done = is_settled | (is_plain & (predicted <= rounding));
        /* outliers that a robust loss hardly sees, but by which rounding was measured:
         * cbp_fit_squares does better */
        const int is_blurred = is_robust & (g->squares[k] > CBP_PICK(0x1p38, 0x1p20f) * loss);
        const int is_lost = (clear[k] == 0) | (is_done & is_blurred) | !(loss < CBP_INFINITY) |
                            (predicted != predicted);
        const int is_late = !is_done & (g->iterations[k] >= g->patience);
        const cbp_real ended = is_done ? CBP_LANE_DONE : CBP_LANE_RUNNING;
        const cbp_real state = is_lost | is_late ? CBP_LANE_HANDED : ended;
        g->state[k] = g->state[k] == CBP_LANE_IDLE ? CBP_LANE_IDLE : state;
        g->loss[k] = is_settled & g->is_smooth ? loss - predicted : loss;
        g->predicted[k] = predicted;
        g->length[k] = length[k];
        g->was_plain[k] = is_plain ? 1 : 0;
    }
}

/* Whether a parameter says next to nothing, or is not finite, which the careful fit is to judge. */
static void find_weak(const cbp_lanes *g, cbp_real *CBP_RESTRICT weak)
{
    const cbp_real limit = CBP_PICK(1e-16, 1e-8f); /* the square of CBP_WEAK */
    spread(0, weak);
    for (size_t j = 0; j < g->free; j++) {
        const cbp_real *diagonal = g->normal + packed(j, j),
                       *point = g->params + g->places[j] * CBP_LANES;
        CBP_EACH_LANE
        {
            const cbp_real size = cbp_abs(point[k]) > 1 ? point[k] : 1;
            const int speaks = diagonal[k] * size * size > 4 * limit * g->squares[k];
            weak[k] = (speaks & (size - size == 0)) ? weak[k] : 1;
        }
    }
}

/* The inverse of the undamped normal equations, packed, into trial_normal: with M = L^-1 in
 * g->scaled, M' D^-1 M. */
static void invert_normal(cbp_lanes *g)
{
    const size_t free = g->free;
    cbp_row sum;
    for (size_t j = 0; j < free; j++) {
        spread(1, g->scaled + packed(j, j));
        for (size_t i = j + 1; i < free; i++) {
            spread(0, sum);
            for (size_t m = j; m < i; m++) {
                const cbp_real *left = g->factor + packed(i, m), *right = g->scaled + packed(m, j);
                CBP_EACH_LANE
                {
                    sum[k] = CBP_FMA(-left[k], right[k], sum[k]);
                }
            }
            memcpy(g->scaled + packed(i, j), sum, sizeof sum);
        }
    }
    for (size_t i = 0; i < free; i++) {
        for (size_t j = 0; j <= i; j++) {
            spread(0, sum);
            for (size_t m = i; m < free; m++) {
                const cbp_real *left = g->scaled + packed(m, i), *right = g->scaled + packed(m, j);
                const cbp_real *inverse = g->factor + packed(m, m);
                CBP_EACH_LANE
                {
                    sum[k] = CBP_FMA(left[k] * inverse[k], right[k], sum[k]);
                }
            }
            memcpy(g->trial_normal + packed(i, j), sum, sizeof sum);
        }
    }
}

/* Of lanes that are done: the inverse of the normal equations to trial_normal; and CBP_LANE_HANDED
 * in the place of CBP_LANE_DONE where it is not clear that they have one. */
static void finish_lanes(cbp_lanes *g)
{
    cbp_row clear, weak, plain = {0};
    spread(0, g->damping);
    factor_normal(g, 0, clear);
    for (size_t j = 0; j < g->free; j++) {
        const cbp_real *last = g->factor + packed(g->free, j), *inverse = g->factor + packed(j, j);
        CBP_EACH_LANE
        {
            plain[k] += last[k] * last[k] / inverse[k];
        }
    }
    find_weak(g, weak);
    invert_normal(g);
    CBP_EACH_LANE
    {
        /* the fall that the last step was to bring, and what it would be without the bend */
        const int is_bent = plain[k] > 100 * g->predicted[k];
        const int is_doubtful = (clear[k] == 0) | (weak[k] > 0) | is_bent;
        g->state[k] = is_doubtful ? CBP_LANE_HANDED : g->state[k];
    }
}

/* One iteration of all lanes: the pass at the trial, the verdict, and the next trial. */
static void fit_lanes(cbp_lanes *g)
{
    cbp_row lost;
    add_normal(0, g);
    find_lost(g, lost);
    if (has_nan(lost, CBP_LANES)) { /* from 0 * infinity, perhaps: the rare case is worked twice */
        add_normal(1, g);
        find_lost(g, lost);
    }
    judge_trial(g, lost);
    plan_trial(g);
}
