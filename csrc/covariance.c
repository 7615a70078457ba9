/* The covariance of fitted parameters, and which of them the data do not determine. */
#include "fit.h"

/* Columns of length 1 whose smallest singular value is below this, of the largest, depend on each
 * other. */
#define DEPENDENT ((cbp_real)(sizeof(cbp_real) == sizeof(float) ? 1e-5 : 1e-12))

/* A parameter with more than this part in a direction that the data leave open is undetermined. */
#define LEAST_PART ((cbp_real)1e-3)

static cbp_real column_square(const cbp_real *matrix, size_t rows, size_t columns, size_t j)
{
    cbp_real sum = 0;
    for (size_t i = 0; i < rows; i++) {
        sum += matrix[i * columns + j] * matrix[i * columns + j];
    }
    return sum;
}

/* Turns columns p and q of matrix[rows][columns] by an angle. */
static void turn(cbp_real *matrix, size_t rows, size_t columns, size_t p, size_t q, cbp_real cosine,
                 cbp_real sine)
{
    for (size_t i = 0; i < rows; i++) {
        cbp_real *const a = matrix + i * columns + p, *const b = matrix + i * columns + q,
                        kept = *a;
        *a = cosine * kept - sine * *b;
        *b = sine * kept + cosine * *b;
    }
}

/* One-sided Jacobi rotations, until all columns of matrix[rows][columns] are at right angles: they
 * are then the left singular vectors times the singular values, and right[columns][columns] has the
 * right vectors. */
static void straighten(cbp_real *matrix, size_t rows, size_t columns, cbp_real *right)
{
    memset(right, 0, columns * columns * sizeof *right);
    for (size_t j = 0; j < columns; j++) {
        right[j * columns + j] = 1;
    }
    for (int sweep = 0, turned = 1; turned && sweep < 40; sweep++) {
        turned = 0;
        for (size_t q = 1; q < columns; q++) {
            for (size_t p = 0; p < q; p++) {
                const cbp_real a = column_square(matrix, rows, columns, p);
                const cbp_real b = column_square(matrix, rows, columns, q);
                cbp_real c = 0;
                for (size_t i = 0; i < rows; i++) {
                    c += matrix[i * columns + p] * matrix[i * columns + q];
                }
                if (c * c <= CBP_EPSILON * a * (CBP_EPSILON * b)) {
                    continue;
                }
                const cbp_real zeta = (b - a) / (2 * c), far = cbp_root(1 + zeta * zeta);
                const cbp_real tangent = 1 / (zeta > 0 ? zeta + far : zeta - far);
                const cbp_real cosine = 1 / cbp_root(1 + tangent * tangent);
                turn(matrix, rows, columns, p, q, cosine, cosine * tangent);
                turn(right, columns, columns, p, q, cosine, cosine * tangent);
                turned = 1;
            }
        }
    }
}

/* inverse[columns][columns] = factor * (matrix' matrix)^-1, without directions that rounding hides;
 * those parameters that lie in one get undetermined[j] = 1. Columns are taken to length 1 first.
 * `work` has columns (columns + 2) numbers. */
static void invert_square(cbp_real *matrix, size_t rows, size_t columns, cbp_real factor,
                          cbp_real *work, cbp_real *inverse, cbp_real *undetermined)
{
    cbp_real *right = work, *lengths = right + columns * columns, *squares = lengths + columns;
    cbp_real largest = 0;
    for (size_t j = 0; j < columns; j++) {
        lengths[j] = cbp_root(column_square(matrix, rows, columns, j));
        for (size_t i = 0; i < rows; i++) {
            matrix[i * columns + j] /= lengths[j];
        }
    }
    straighten(matrix, rows, columns, right);
    for (size_t k = 0; k < columns; k++) {
        squares[k] = column_square(matrix, rows, columns, k);
        largest = squares[k] > largest ? squares[k] : largest;
    }
    memset(inverse, 0, columns * columns * sizeof *inverse);
    for (size_t k = 0; k < columns; k++) {
        const int is_hidden = !(squares[k] > DEPENDENT * DEPENDENT * largest);
        for (size_t i = 0; i < columns; i++) {
            const cbp_real part = right[i * columns + k];
            undetermined[i] = is_hidden && cbp_magnitude(part) > LEAST_PART ? 1 : undetermined[i];
            for (size_t j = 0; !is_hidden && j < columns; j++) {
                inverse[i * columns + j] += factor * (part / lengths[i]) *
                                            (right[j * columns + k] / lengths[j]) / squares[k];
            }
        }
    }
}

/* The same where matrix[columns][columns] is an upper triangle that is far from singular, by its
 * inverse, which goes to `inverse_triangle`; 0 if it is not. */
static int invert_triangle(const cbp_real *matrix, size_t columns, cbp_real factor,
                           cbp_real *inverse_triangle, cbp_real *inverse)
{
    for (size_t j = 0; j < columns; j++) {
        const cbp_real length = cbp_root(column_square(matrix, columns, columns, j));
        if (!(cbp_magnitude(matrix[j * columns + j]) > CBP_INDEPENDENT * length)) {
            return 0;
        }
        for (size_t i = j + 1; i-- > 0;) { /* column j of the inverse, from the diagonal up */
            cbp_real sum = i == j ? 1 : 0;
            for (size_t k = i + 1; k <= j; k++) {
                sum -= matrix[i * columns + k] * inverse_triangle[k * columns + j];
            }
            inverse_triangle[i * columns + j] = sum / matrix[i * columns + i];
        }
    }
    for (size_t i = 0; i < columns; i++) {
        for (size_t j = i; j < columns; j++) {
            cbp_real sum = 0;
            for (size_t k = j; k < columns; k++) {
                sum += inverse_triangle[i * columns + k] * inverse_triangle[j * columns + k];
            }
            inverse[i * columns + j] = inverse[j * columns + i] = factor * sum;
        }
    }
    return 1;
}

/* Half the Hessian of the summed loss as the upper factor of Cholesky, in its place; 0 if it is not
 * positive definite. */
static int factor_square(cbp_real *matrix, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        for (size_t j = 0; j < i; j++) {
            matrix[i * size + j] = 0;
        }
        for (size_t j = i; j < size; j++) {
            cbp_real sum = matrix[i * size + j];
            for (size_t k = 0; k < i; k++) {
                sum -= matrix[k * size + i] * matrix[k * size + j];
            }
            if (j == i && !(sum > 0)) {
                return 0;
            }
            matrix[i * size + j] = j == i ? cbp_root(sum) : sum / matrix[i * size + i];
        }
    }
    return 1;
}

/* The columns of determined parameters, out of a triangle that has one for each free parameter, and
 * one for the residuals. */
static void pick_columns(const cbp_real *triangle, size_t free, const unsigned char *determined,
                         size_t all, cbp_real *picked)
{
    for (size_t i = 0; i < free; i++) {
        for (size_t k = 0, j = 0; k < all; k++) {
            if (determined[k] == CBP_DETERMINED) {
                *picked++ = triangle[i * (free + 1) + j];
            }
            j += determined[k] != CBP_FROZEN;
        }
    }
}

/* factor times rows and columns of determined parameters, out of hessian[all][all]. */
static void pick_square(const cbp_real *hessian, const unsigned char *determined, size_t all,
                        cbp_real factor, cbp_real *picked)
{
    for (size_t i = 0; i < all; i++) {
        for (size_t k = 0; determined[i] == CBP_DETERMINED && k < all; k++) {
            if (determined[k] == CBP_DETERMINED) {
                *picked++ = factor * hessian[i * all + k];
            }
        }
    }
}

/* Sets aside what is frozen, at a bound, or without any effect to speak of. */
static void note_undetermined(const cbp_fit *fit, const cbp_real *triangle, size_t free,
                              cbp_real target_size, unsigned char *determined)
{
    const cbp_real *params = fit->chain.params;
    for (size_t k = 0, j = 0; k < 2 * fit->chain.layers; k++) {
        determined[k] = CBP_FROZEN;
        if (!cbp_is_free(fit->chain.frozen, k)) {
            continue;
        }
        cbp_real slope = 0;
        for (size_t i = 0; i <= j; i++) {
            slope += triangle[i * (free + 1) + j] * triangle[i * (free + 1) + free];
        }
        const cbp_real length = cbp_root(column_square(triangle, j + 1, free + 1, j));
        const cbp_real size = params[k] > 1 || params[k] < -1 ? cbp_magnitude(params[k]) : 1;
        const int is_weak = !(length * size > CBP_WEAK * target_size);
        determined[k] = cbp_is_at_bound(fit, k, params[k], slope) ? CBP_AT_BOUND
                        : is_weak                                 ? CBP_UNDETERMINED
                                                                  : CBP_DETERMINED;
        j++;
    }
}

static size_t count_of(const unsigned char *determined, size_t all, enum cbp_determined kind)
{
    size_t count = 0;
    for (size_t k = 0; k < all; k++) {
        count += determined[k] == kind;
    }
    return count;
}

/* The determined parameters' covariance among zeros; undetermined ones have infinite variance.
 * `row` and `column` are the places of k and m among the free. */
static void spread_inverse(const cbp_real *inverse, const cbp_real *undetermined, size_t open,
                           size_t all, size_t free, unsigned char *determined, cbp_real *covariance)
{
    memset(covariance, 0, free * free * sizeof *covariance);
    for (size_t k = 0, i = 0, row = 0; k < all; k++) {
        if (determined[k] == CBP_DETERMINED) {
            for (size_t m = 0, j = 0, column = 0; m <= k; m++) { /* symmetric to the last bit */
                if (determined[m] == CBP_DETERMINED) {
                    covariance[row * free + column] = covariance[column * free + row] =
                        inverse[i * open + j++];
                }
                column += determined[m] != CBP_FROZEN;
            }
            i++;
        }
        row += determined[k] != CBP_FROZEN;
    }
    for (size_t k = 0, i = 0; k < all; k++) {
        if (determined[k] == CBP_DETERMINED && undetermined[i++] != 0) {
            determined[k] = CBP_UNDETERMINED;
        }
    }
    for (size_t k = 0, row = 0; k < all; k++) {
        for (size_t m = 0, column = 0; m < all && determined[k] == CBP_UNDETERMINED; m++) {
            if (determined[m] != CBP_FROZEN) {
                covariance[row * free + column] = covariance[column * free + row] =
                    k == m                          ? (cbp_real)INFINITY
                    : determined[m] == CBP_AT_BOUND ? 0
                                                    : (cbp_real)NAN;
                column++;
            }
        }
        row += determined[k] != CBP_FROZEN;
    }
}

/* From the node of all examples. */
static int conclude(const cbp_fit *fit, const cbp_real *hessian, const cbp_real *node,
                    cbp_real *work, const cbp_covariance *out)
{
    const size_t all = 2 * fit->chain.layers,
                 free = cbp_count_free(fit->chain.frozen, fit->chain.layers);
    const cbp_real *sums = node + cbp_fit_sums_at(free);
    const cbp_real total = sums[0] + sums[4], examples = sums[2] + sums[6],
                   target_size = cbp_root(sums[3] + sums[7]);
    unsigned char *determined = out->determined;
    if (!cbp_is_total(total)) {
        return CBP_ERROR_WEIGHT;
    }
    const cbp_real dispersion = cbp_loss_table[fit->loss.kind].dispersion;
    cbp_real *matrix = work, *inverse = matrix + free * free, *undetermined = inverse + free * free;
    cbp_real *rest = undetermined + free;
    note_undetermined(fit, node, free, target_size, determined);

    size_t open = count_of(determined, all, CBP_DETERMINED), rows = free;
    const cbp_real df = examples - (cbp_real)(open + count_of(determined, all, CBP_UNDETERMINED));
    const cbp_real squares = column_square(node, free + 1, free + 1, free);
    *out->variance = dispersion > 0 ? 1 : df > 0 ? squares / df : (cbp_real)NAN;
    if (!hessian) {
        pick_columns(node, free, determined, all, matrix);
    } else {
        pick_square(hessian, determined, all, total / 2, matrix);
        rows = open;
        if (!factor_square(matrix, open)) {
            for (size_t k = 0; k < all; k++) {
                determined[k] = determined[k] == CBP_DETERMINED ? CBP_UNDETERMINED : determined[k];
            }
            open = 0;
        }
    }
    /* the Hessian of the summed loss is 2 M'M, M = matrix: its covariance is factor / (M'M) */
    const cbp_real factor = dispersion > 0 ? dispersion : *out->variance;
    memset(undetermined, 0, open * sizeof *undetermined);
    if (rows != open || !invert_triangle(matrix, open, factor, rest, inverse)) {
        invert_square(matrix, rows, open, factor, rest, inverse, undetermined);
    }
    spread_inverse(inverse, undetermined, open, all, free, determined, out->matrix);
    return CBP_OK;
}

static int has_places(const cbp_covariance *out)
{
    return out && out->variance && out->matrix && out->determined;
}

int cbp_fit_covariance(const cbp_chain *chain, const cbp_examples *examples,
                       const cbp_fit_options *options, const cbp_real *hessian, cbp_real *work,
                       const cbp_covariance *out)
{
    cbp_fit fit;
    int status = examples && work && has_places(out) ? cbp_fit_given(chain, examples, options, &fit)
                                                     : CBP_ERROR_NULL;
    if (status == CBP_OK) {
        status = cbp_check_average(chain, fit.loss, examples, out->matrix);
    }
    if (status != CBP_OK) {
        return status;
    }
    fit.options = NULL; /* nobody asks whether to stop */
    const size_t free = cbp_count_free(chain->frozen, chain->layers);
    cbp_real *node = work, *rest = node + cbp_fit_node_len(free);
    cbp_fit_memory memory = {
        .fit = &fit, .work = rest, .nodes = rest + cbp_fit_pass_len(chain->layers, free)};
    (void)cbp_fit_pass_memory(&memory, chain, node);
    return conclude(&fit, hessian, node, rest, out);
}

int cbp_fit_node_covariance(const cbp_chain *chain, const cbp_fit_options *options,
                            const cbp_real *node, const cbp_real *hessian, cbp_real *work,
                            const cbp_covariance *out)
{
    cbp_fit fit;
    int status = node && work && has_places(out) ? cbp_fit_given(chain, NULL, options, &fit)
                                                 : CBP_ERROR_NULL;
    if (status == CBP_OK) {
        status = cbp_check_chain(chain);
    }
    if (status == CBP_OK) {
        status = cbp_check_loss(chain, fit.loss, NULL, 0);
    }
    return status == CBP_OK ? conclude(&fit, hessian, node, work, out) : status;
}
