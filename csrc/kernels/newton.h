/* Many fits at once, one chain in each lane: the normal equations are solved lane by lane, and the
 * step is judged. Lanes know nothing of each other, so that a chain's result is the same in any
 * company.
 */

/* ---- the trial ------------------------------------------------------------------------------- */

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
static void judge_trial(cbp_lanes *g, const cbp_real *CBP_RESTRICT is_nan)
{
    const cbp_real unit = CBP_PICK(DBL_EPSILON, FLT_EPSILON), half = CBP_PICK(0.5, 0.5f);
    cbp_row better, worse;
    CBP_EACH_LANE
    {
        const cbp_real loss = g->loss[k], fall = loss - g->trial_loss[k],
                       predicted = g->predicted[k];
        const cbp_real noise_level = 8 * unit * (8 * loss + cbp_sqrt(loss * g->squares[k]));
        const int is_seen = predicted > noise_level;
        const int is_unseen = !is_seen & (noise_level < CBP_INFINITY);
        const int is_good = (is_nan[k] == 0) & ((fall > 0) | (is_unseen & (-fall <= noise_level)));
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
        take_where(worse, g->second_order, packed(g->free, 0), g->trial_second_order);
        take_where(worse, g->params, 2 * g->layers * CBP_LANES, g->trial);
    }
    exchange(&g->normal, &g->trial_normal);
    exchange(&g->second_order, &g->trial_second_order);
    exchange(&g->params, &g->trial);
}

/* ---- the step -------------------------------------------------------------------------------- */

/* A pivot below this part of its diagonal means that the column may depend on those before it:
 * normal equations have half of the digits then. */
#define CBP_LEAST_PIVOT CBP_PICK(1e-6, 1e-3f)

/* Cholesky's factors L D L' of the damped normal equations, with the residuals as the last row:
 * g->factor has L below the diagonal and 1/D on it, g->scaled has L D. What is at a bound has a row
 * of the unit matrix. `independent` is 0 where a pivot is below CBP_LEAST_PIVOT of its diagonal. */
static void factor_normal(cbp_lanes *g, int with_second_order, cbp_real *CBP_RESTRICT independent)
{
    const size_t free = g->free;
    cbp_row entry;
    spread(1, independent);
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
            if (with_second_order && i < free) {
                const cbp_real *CBP_RESTRICT second_order = g->second_order + packed(i, j);
                CBP_EACH_LANE
                {
                    entry[k] += second_order[k];
                }
            }
            if (g->low) {
                const cbp_real *fixed_i = g->at_bound + (i < free ? i : j) * CBP_LANES,
                               *fixed_j = g->at_bound + j * CBP_LANES;
                CBP_EACH_LANE
                {
                    entry[k] = fixed_i[k] + fixed_j[k] > 0 ? damped : entry[k];
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
                    independent[k] = entry[k] > CBP_LEAST_PIVOT * normal[k] ? independent[k] : 0;
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

/* Marks what stands at a bound that the gradient points beyond. */
static void mark_at_bounds(cbp_lanes *g)
{
    for (size_t j = 0; j < g->free; j++) {
        const cbp_real *slope = g->normal + packed(g->free, j),
                       *point = g->params + g->places[j] * CBP_LANES;
        const cbp_real low = g->low[j], high = g->high[j];
        cbp_real *CBP_RESTRICT at_bound = g->at_bound + j * CBP_LANES;
        CBP_EACH_LANE
        {
            at_bound[k] =
                ((point[k] <= low) & (slope[k] >= 0)) | ((point[k] >= high) & (slope[k] <= 0)) ? 1
                                                                                               : 0;
        }
    }
}

/* Marks also what stands at a bound that the step would leave; whether there was any. */
static int mark_leaving(cbp_lanes *g)
{
    cbp_row found = {0};
    for (size_t j = 0; j < g->free; j++) {
        const cbp_real *step = g->step + j * CBP_LANES,
                       *point = g->params + g->places[j] * CBP_LANES;
        const cbp_real low = g->low[j], high = g->high[j];
        cbp_real *CBP_RESTRICT at_bound = g->at_bound + j * CBP_LANES;
        CBP_EACH_LANE
        {
            const int leaves =
                ((point[k] <= low) & (step[k] < 0)) | ((point[k] >= high) & (step[k] > 0));
            found[k] = leaves ? 1 : found[k];
            at_bound[k] = leaves ? 1 : at_bound[k];
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
            const cbp_real to = point[k] + step[k], room = (to < low ? low : high) - point[k];
            const cbp_real most = room / step[k];
            part[k] = (((to < low) | (to > high)) & (most < part[k])) ? most : part[k];
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

/* Where the second-order terms leave no minimum to go to, they are dropped; whether there was such
 * a lane. */
static int drop_second_order(cbp_lanes *g, const cbp_real *CBP_RESTRICT independent)
{
    cbp_row keep;
    CBP_EACH_LANE
    {
        keep[k] = independent[k] > 0 ? 1 : 0;
    }
    if (!any_is(independent, 0)) {
        return 0;
    }
    for (size_t i = 0; i < packed(g->free, 0); i += CBP_LANES) {
        cbp_real *CBP_RESTRICT second_order = g->second_order + i;
        CBP_EACH_LANE
        {
            second_order[k] = keep[k] > 0 ? second_order[k] : 0;
        }
    }
    return 1;
}

/* g->step, and which `part` of it the bounds allow. */
static void find_step(cbp_lanes *g, cbp_real *CBP_RESTRICT part, cbp_real *CBP_RESTRICT independent)
{
    if (g->low) {
        mark_at_bounds(g);
    }
    factor_normal(g, 1, independent);
    if (drop_second_order(g, independent)) {
        factor_normal(g, 1, independent);
    }
    solve_factored(g);
    spread(1, part);
    if (g->low) {
        for (size_t again = 0; again < g->free && mark_leaving(g); again++) {
            factor_normal(g, 1, independent);
            solve_factored(g);
        }
        cut_at_bounds(g, part);
    }
}

/* Of the step: along = gradient' step, length = step' D step, D being the diagonal. */
static void measure_step(const cbp_lanes *g, cbp_real *CBP_RESTRICT along,
                         cbp_real *CBP_RESTRICT length)
{
    spread(0, along);
    spread(0, length);
    for (size_t j = 0; j < g->free; j++) {
        const cbp_real *step = g->step + j * CBP_LANES, *slope = g->normal + packed(g->free, j);
        const cbp_real *diagonal = g->normal + packed(j, j);
        CBP_EACH_LANE
        {
            along[k] = CBP_FMA(slope[k], step[k], along[k]);
            length[k] = CBP_FMA(diagonal[k] * step[k], step[k], length[k]);
        }
    }
}

/* From the point reached, the next trial, or the end. A lane is done if what remains after the step
 * is less than the tolerance, as far as falls and lengths of the last two steps tell; the step is
 * then taken without a pass. Past a kink they tell nothing: where there is one the step itself must
 * bring less, and is not taken. */
static void plan_trial(cbp_lanes *g)
{
    const cbp_real *squares = g->normal + packed(g->free, g->free);
    const cbp_real tolerance = g->tolerance * g->tolerance;
    const int is_robust = cbp_loss_table[g->criterion.kind].is_robust;
    cbp_row independent, part, along, length;
    find_step(g, part, independent);
    measure_step(g, along, length);
    make_trial(g, part);
    CBP_EACH_LANE
    {
        const cbp_real damping = g->damping[k], loss = g->loss[k];
        /* with (A + damping D) step = -gradient: step' A step */
        const cbp_real curvature = -along[k] - damping * length[k];
        const cbp_real predicted = -part[k] * (2 * along[k] + part[k] * curvature);
        const cbp_real relative_step = predicted / squares[k];
        const cbp_real fall_rate = predicted / g->predicted[k],
                       length_rate = length[k] / g->length[k];
        const cbp_real rate = fall_rate > length_rate ? fall_rate : length_rate;
        const cbp_real rounding =
            16 * CBP_PICK(DBL_EPSILON * DBL_EPSILON, FLT_EPSILON * FLT_EPSILON) * g->squares[k];
        const int is_steady = g->is_smooth & (g->was_plain[k] > 0) & (rate < CBP_PICK(0.25, 0.25f));
        const cbp_real rest = is_steady ? 4 * rate * relative_step : relative_step;
        const int is_plain = (damping == 0) & (part[k] == 1);
        /* which part of the loss a last step may be worth: less where falls are not steady and may
         * differ from it widely */
        const cbp_real most = is_steady ? CBP_PICK(1e-10, 1e-5f) : CBP_PICK(1e-13, 1e-6f);
        const int is_settled = is_plain & (rest <= tolerance) & (predicted <= most * loss);
        const int is_done = is_settled | (is_plain & (predicted <= rounding));
        /* outliers that a robust loss hardly sees, but by which rounding was measured:
         * cbp_fit_squares does better */
        const int is_coarse = is_robust & (g->squares[k] > CBP_PICK(0x1p38, 0x1p20f) * loss);
        const int has_failed = (independent[k] == 0) | (is_done & is_coarse) |
                               !(loss < CBP_INFINITY) | (predicted != predicted);
        const int is_late = !is_done & (g->iterations[k] >= g->patience);
        const cbp_real ended = is_done ? CBP_LANE_DONE : CBP_LANE_RUNNING;
        const cbp_real state = has_failed | is_late ? CBP_LANE_NEEDS_FALLBACK : ended;
        g->state[k] = g->state[k] == CBP_LANE_IDLE ? CBP_LANE_IDLE : state;
        g->loss[k] = is_settled & g->is_smooth ? loss - predicted : loss;
        g->predicted[k] = predicted;
        g->length[k] = length[k];
        g->was_plain[k] = is_plain ? 1 : 0;
    }
}

/* Whether the outputs hardly depend on a parameter, or it is not finite, which cbp_fit_lm is to
 * judge. */
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
            const int is_seen = diagonal[k] * size * size > 4 * limit * g->squares[k];
            weak[k] = (is_seen & (size - size == 0)) ? weak[k] : 1;
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

/* Of lanes that are done: the inverse of the normal equations to trial_normal; and
 * CBP_LANE_NEEDS_FALLBACK in the place of CBP_LANE_DONE where it is not clear that they have
 * one. */
static void finish_lanes(cbp_lanes *g)
{
    cbp_row independent, weak, plain = {0};
    spread(0, g->damping);
    factor_normal(g, 0, independent);
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
        /* the fall that the last step was to bring, and what it would be without second-order
         * terms */
        const int is_curved = plain[k] > 100 * g->predicted[k];
        const int is_unclear = (independent[k] == 0) | (weak[k] > 0) | is_curved;
        g->state[k] = is_unclear ? CBP_LANE_NEEDS_FALLBACK : g->state[k];
    }
}

/* One iteration of all lanes: the pass at the trial, its judgement, and the next trial. */
static void fit_lanes(cbp_lanes *g)
{
    cbp_row is_nan;
    add_normal(0, g);
    find_nan(g, is_nan);
    if (has_nan(is_nan,
                CBP_LANES)) { /* from 0 * infinity, perhaps: the rare case is worked twice */
        add_normal(1, g);
        find_nan(g, is_nan);
    }
    judge_trial(g, is_nan);
    plan_trial(g);
}
