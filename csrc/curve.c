/* Curves: the list of those with names, the check of any, and their chains. */
#include "curves.h"

#define CURVES (sizeof curve_table / sizeof *curve_table)

/* ---- the list -------------------------------------------------------------------------------- */

size_t cbp_curve_count(void)
{
    return CURVES;
}

const cbp_curve *cbp_curve_at(size_t number)
{
    return number < CURVES ? &curve_table[number] : NULL;
}

size_t cbp_curve_count_parameters(const cbp_curve *curve)
{
    size_t count = 0;
    while (count < CBP_CURVE_PARAMETERS && curve->parameters[count]) {
        count++;
    }
    return count;
}

size_t cbp_curve_count_layers(const cbp_curve *curve)
{
    size_t layers = 0;
    while (layers < CBP_CURVE_LAYERS && curve->terms[2 * layers].rule != CBP_RULE_END) {
        layers++;
    }
    return layers;
}

const cbp_curve *cbp_curve_named(const char *name)
{
    for (size_t k = 0; name && k < CURVES; k++) {
        if (strcmp(curve_table[k].name, name) == 0) {
            return &curve_table[k];
        }
    }
    return NULL;
}

int cbp_curve_describe(const cbp_curve *c, cbp_curve_facts *facts)
{
    if (cbp_curve_check(c) != CBP_OK) {
        return CBP_ERROR_CURVE;
    }
    if (!facts) {
        return CBP_ERROR_NULL;
    }
    *facts = (cbp_curve_facts){.name = c->name,
                               .formula = c->formula,
                               .count = cbp_curve_count_parameters(c),
                               .parameters = c->parameters,
                               .positive = c->positive,
                               .domain_low = c->domain_low,
                               .domain_high = c->domain_high,
                               .loss = c->loss,
                               .is_log_x = c->x_is == CBP_X_DOSE,
                               .layers = cbp_curve_count_layers(c),
                               .activations = c->activations,
                               .is_log_dose = c->x_is == CBP_X_LOG_DOSE};
    for (size_t k = 0; k < 2 * facts->layers; k++) {
        facts->frozen[k] = c->terms[k].rule == CBP_RULE_CONSTANT;
    }
    return CBP_OK;
}

/* ---- natural parameters, coordinates, chains ------------------------------------------------- */

cbp_real cbp_curve_value(unsigned char activation, cbp_real z)
{
    static const cbp_real params[] = {1, 0};
    const cbp_chain chain = {params, &activation, NULL, 1};
    return cbp_kernels_now()->forward_one(&chain, z);
}

void cbp_curve_set_natural(const cbp_curve *curve, size_t k, cbp_real natural, cbp_curve_point *p)
{
    const int is_positive = curve->positive[k];
    p->n[k] = natural;
    p->t[k] = is_positive ? cbp_curve_value(CBP_LOG, natural) : natural;
    p->dn[k] = is_positive ? natural : 1;
}

void cbp_curve_set_coordinate(const cbp_curve *curve, size_t k, cbp_real coordinate,
                              cbp_curve_point *p)
{
    p->t[k] = coordinate;
    p->n[k] = curve->positive[k] ? cbp_curve_value(CBP_EXP, coordinate) : coordinate;
    p->dn[k] = curve->positive[k] ? p->n[k] : 1;
}

/* The chain's parameter of a term, and its derivatives by the coordinates t_i and t_j. */
static cbp_real evaluate_term(const cbp_curve_term *term, const cbp_curve_point *p, cbp_real *by_i,
                              cbp_real *by_j)
{
    const size_t i = term->i, j = term->j;
    const cbp_real value = term->value;
    *by_i = *by_j = 0;
    switch (term->rule) {
    case CBP_RULE_CONSTANT:
        return value;
    case CBP_RULE_SAME:
        *by_i = value * p->dn[i];
        return value * p->n[i];
    case CBP_RULE_DIFFERENCE:
        *by_i = p->dn[i];
        *by_j = -p->dn[j];
        return p->n[i] - p->n[j];
    case CBP_RULE_COORDINATE:
        *by_i = value;
        return value * p->t[i];
    case CBP_RULE_PRODUCT:
        *by_i = value * p->t[j] * p->dn[i];
        *by_j = value * p->n[i];
        return value * p->n[i] * p->t[j];
    case CBP_RULE_RECIPROCAL:
        *by_i = -value / p->n[i] * (p->dn[i] / p->n[i]);
        return value / p->n[i];
    case CBP_RULE_RATIO:
        *by_i = value / p->n[j] * p->dn[i];
        *by_j = -value * (p->n[i] / p->n[j]) * (p->dn[j] / p->n[j]);
        return value * (p->n[i] / p->n[j]);
    default:
        return (cbp_real)NAN;
    }
}

void cbp_curve_chain_at(const cbp_curve *curve, const cbp_curve_point *p, cbp_real *params,
                        cbp_real *slopes)
{
    const size_t count = cbp_curve_count_parameters(curve);
    for (size_t k = 0; k < CBP_CURVE_PLACES && curve->terms[k].rule != CBP_RULE_END; k++) {
        const cbp_curve_term *term = &curve->terms[k];
        cbp_real by_i, by_j;
        params[k] = evaluate_term(term, p, &by_i, &by_j);
        if (slopes) {
            memset(slopes + k * count, 0, count * sizeof *slopes);
            slopes[k * count + term->i] += by_i;
            slopes[k * count + term->j] += by_j;
        }
    }
}

int cbp_curve_is_natural(const cbp_curve *curve, size_t k, cbp_real natural)
{
    return cbp_is_finite(natural) && (!curve->positive[k] || natural > 0);
}

int cbp_curve_chain(const cbp_curve *c, const cbp_real *natural, cbp_real *params,
                    cbp_real *jacobian)
{
    if (cbp_curve_check(c) != CBP_OK) {
        return CBP_ERROR_CURVE;
    }
    if (!natural || !params) {
        return CBP_ERROR_NULL;
    }
    const size_t count = cbp_curve_count_parameters(c), layers = cbp_curve_count_layers(c);
    cbp_real found[CBP_CURVE_PLACES], slopes[CBP_CURVE_PLACES * CBP_CURVE_PARAMETERS];
    cbp_curve_point p = {{0}, {0}, {0}};
    for (size_t k = 0; k < count; k++) {
        if (!cbp_curve_is_natural(c, k, natural[k])) {
            return CBP_ERROR_START;
        }
        cbp_curve_set_natural(c, k, natural[k], &p);
    }
    cbp_curve_chain_at(c, &p, found, slopes);
    for (size_t k = 0; k < 2 * layers; k++) {
        if (!cbp_is_finite(found[k])) {
            return CBP_ERROR_START;
        }
    }
    memcpy(params, found, 2 * layers * sizeof *params);
    for (size_t k = 0; jacobian && k < 2 * layers * count; k++) {
        jacobian[k] = slopes[k] / p.dn[k % count];
    }
    return CBP_OK;
}

#define NO_PARAMETER CBP_CURVE_PARAMETERS

/* The natural parameter that a term determines, with those that are known: its number, or
 * NO_PARAMETER. */
static size_t unknown_of(const cbp_curve_term *term, const unsigned char *known)
{
    const size_t i = term->i, j = term->j;
    switch (term->rule) {
    case CBP_RULE_SAME:
    case CBP_RULE_COORDINATE:
    case CBP_RULE_RECIPROCAL:
        return known[i] ? NO_PARAMETER : i;
    case CBP_RULE_DIFFERENCE:
        return known[i] == known[j] ? NO_PARAMETER : known[j] ? i : j;
    case CBP_RULE_PRODUCT:
        return known[i] && !known[j] ? j : NO_PARAMETER;
    case CBP_RULE_RATIO:
        return known[j] && !known[i] ? i : NO_PARAMETER;
    default:
        return NO_PARAMETER;
    }
}

/* Sets parameter k of a point, which this term determines; 0 if it is not one of the curve. */
static int solve_term(const cbp_curve *curve, const cbp_curve_term *term, cbp_real param, size_t k,
                      cbp_curve_point *p)
{
    cbp_real natural;
    switch (term->rule) {
    case CBP_RULE_COORDINATE:
        cbp_curve_set_coordinate(curve, k, param / term->value, p);
        return cbp_curve_is_natural(curve, k, p->n[k]);
    case CBP_RULE_PRODUCT:
        cbp_curve_set_coordinate(curve, k, param / (term->value * p->n[term->i]), p);
        return cbp_curve_is_natural(curve, k, p->n[k]);
    case CBP_RULE_SAME:
        natural = param / term->value;
        break;
    case CBP_RULE_RECIPROCAL:
        natural = term->value / param;
        break;
    case CBP_RULE_DIFFERENCE:
        natural = k == term->i ? param + p->n[term->j] : p->n[term->i] - param;
        break;
    default: /* CBP_RULE_RATIO */
        natural = param / term->value * p->n[term->j];
    }
    const int is_natural = cbp_curve_is_natural(curve, k, natural);
    if (is_natural) {
        cbp_curve_set_natural(curve, k, natural, p);
    }
    return is_natural;
}

/* slopes[k][]: the derivatives of coordinate k, which the term of this place determines, by the
 * chain's parameters, from those of the other that is in the term. */
static void differentiate_solution(const cbp_curve *curve, size_t place, size_t k,
                                   const cbp_curve_point *p, cbp_real *slopes)
{
    const cbp_curve_term *term = &curve->terms[place];
    const size_t other = k == term->i ? term->j : term->i;
    cbp_real by_i, by_j, *own = slopes + k * CBP_CURVE_PLACES;
    (void)evaluate_term(term, p, &by_i, &by_j);
    const cbp_real factor = 1 / (k == term->i ? by_i : by_j), rest = k == term->i ? by_j : by_i;
    memset(own, 0, CBP_CURVE_PLACES * sizeof *own);
    own[place] = factor;
    for (size_t a = 0; rest != 0 && a < CBP_CURVE_PLACES; a++) {
        own[a] -= factor * rest * slopes[other * CBP_CURVE_PLACES + a];
    }
}

/* Terms are solved one by one, until none determines another parameter. */
int cbp_curve_point_of(const cbp_curve *curve, const cbp_real *params, cbp_curve_point *p,
                       cbp_real *slopes)
{
    unsigned char known[CBP_CURVE_PARAMETERS] = {0};
    for (size_t left = cbp_curve_count_parameters(curve), before = 0; left != before;) {
        before = left;
        for (size_t k = 0; k < CBP_CURVE_PLACES && curve->terms[k].rule != CBP_RULE_END; k++) {
            const size_t found = unknown_of(&curve->terms[k], known);
            if (found == NO_PARAMETER) {
                continue;
            }
            if (!solve_term(curve, &curve->terms[k], params[k], found, p)) {
                return 0;
            }
            if (slopes) {
                differentiate_solution(curve, k, found, p, slopes);
            }
            known[found] = 1;
            if (--left == 0) {
                return 1;
            }
        }
    }
    return 0;
}

/* ---- the check of a curve -------------------------------------------------------------------- */

/* Everything is 1. */
static const cbp_curve_point all_ones = {{1, 1, 1, 1, 1}, {1, 1, 1, 1, 1}, {1, 1, 1, 1, 1}};

static int is_term(const cbp_curve_term *term, size_t count)
{
    const size_t i = term->i, j = term->j;
    if (i >= count || j >= count || !cbp_is_finite(term->value)) {
        return 0;
    }
    switch (term->rule) {
    case CBP_RULE_CONSTANT:
        return 1;
    case CBP_RULE_SAME:
    case CBP_RULE_COORDINATE:
    case CBP_RULE_RECIPROCAL:
        return term->value != 0;
    case CBP_RULE_DIFFERENCE:
    case CBP_RULE_PRODUCT:
    case CBP_RULE_RATIO:
        return term->value != 0 && i != j;
    default:
        return 0;
    }
}

/* Whether the terms are as struct cbp_curve has it, and each natural parameter is in one. */
static int has_terms(const cbp_curve *c, size_t count, size_t layers)
{
    cbp_real params[CBP_CURVE_PLACES], slopes[CBP_CURVE_PLACES * CBP_CURVE_PARAMETERS];
    size_t variable = 0, used = 0;
    for (size_t k = 0; k < 2 * layers; k++) {
        if (!is_term(&c->terms[k], count)) {
            return 0;
        }
        variable += c->terms[k].rule != CBP_RULE_CONSTANT;
    }
    cbp_curve_chain_at(c, &all_ones, params, slopes);
    for (size_t i = 0; i < count; i++) {
        int is_used = 0;
        for (size_t k = 0; k < 2 * layers; k++) {
            is_used |= slopes[k * count + i] != 0;
        }
        used += (size_t)is_used;
    }
    return variable >= count && used == count;
}

/* Whether cbp_curve_point_of can find all natural parameters of a chain. */
static int follows_from_chain(const cbp_curve *c, size_t count, size_t layers)
{
    unsigned char known[CBP_CURVE_PARAMETERS] = {0};
    size_t left = count;
    for (size_t turn = 0; turn < count; turn++) {
        for (size_t k = 0; k < 2 * layers; k++) {
            const size_t found = unknown_of(&c->terms[k], known);
            if (found != NO_PARAMETER) {
                known[found] = 1;
                left--;
            }
        }
    }
    return left == 0;
}

static int has_candidates(const cbp_curve *c, size_t count, size_t layers)
{
    const size_t slope_at = c->slope_at, power_at = c->power_at;
    const int has_power = power_at > slope_at && power_at < 2 * layers && power_at % 2 == 0 &&
                          c->terms[power_at].rule != CBP_RULE_CONSTANT;
    return c->signs > 0 && (c->slope == 1 || c->slope == -1) && slope_at < 2 * layers &&
           slope_at % 2 == 0 && (power_at == 0 || has_power) &&
           follows_from_chain(c, count, layers);
}

static int has_ends(const cbp_curve *c, size_t count, size_t layers)
{
    const unsigned char low = c->ends.low, high = c->ends.high, tilt = c->ends.tilt;
    if (low >= count || high >= count || tilt >= count || low == high || low == tilt ||
        high == tilt || c->positive[low] || c->positive[high] || c->positive[tilt]) {
        return 0;
    }
    const cbp_curve_term *last = &c->terms[2 * layers - 2];
    const int is_difference =
        last->rule == CBP_RULE_DIFFERENCE &&
        ((last->i == high && last->j == low) || (last->i == low && last->j == high));
    return c->signs == CBP_MIRROR || (is_difference && c->activations[layers - 1] == CBP_IDENTITY);
}

int cbp_curve_check(const cbp_curve *c)
{
    if (!c || !c->name) {
        return CBP_ERROR_CURVE;
    }
    const size_t count = cbp_curve_count_parameters(c), layers = cbp_curve_count_layers(c);
    int is_curve = count > 0 && layers > 0 && c->domain_low < c->domain_high &&
                   c->loss < CBP_LOSS_END && c->grid < CBP_GRID_END && c->signs <= CBP_ORDERED &&
                   c->x_is <= CBP_X_LOG_DOSE && has_terms(c, count, layers);
    for (size_t k = 0; k < layers; k++) {
        is_curve &= c->activations[k] < CBP_ACTIVATION_END;
    }
    if (is_curve && c->loss == CBP_LOG_LOSS) {
        is_curve = c->activations[layers - 1] == CBP_SIGMOID;
    }
    if (is_curve && c->signs >= CBP_MIRROR) {
        is_curve = has_ends(c, count, layers);
    }
    if (is_curve && c->grid != CBP_GRID_START) {
        is_curve = has_candidates(c, count, layers);
    }
    return is_curve ? CBP_OK : CBP_ERROR_CURVE;
}
