/* The covariance of fitted parameters, and which of them the data do not determine. */
#include "fit.h"

/* Columns of length 1 whose smallest singular value is below this, of the largest, depend on each
 * other. */
#define DEPENDENT ((cbp_real)(sizeof(cbp_real) == sizeof(float) ? 1e-5 : 1e-12))

/* From this share in a direction that the data leave open, a parameter is undetermined. */
#define SHARE ((cbp_real)1e-3)

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

/* inverse[columns][columns] = factor * (matrix' matrix)^-1, with directions left out that are lost
 * in rounding; those parameters that lie in one get undetermined[j] = 1. Columns are taken to
 * length 1 first. `right` and inverse have columns^2 numbers, lengths 2 columns. */
static void invert_square(cbp_real *matrix, size_t rows, size_t columns, cbp_real factor,
                          cbp_real *right, cbp_real *lengths, cbp_real *inverse,
                          cbp_real *undetermined)
{
    cbp_real largest = 0, *squares = lengths + columns;
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
        const int lost = !(squares[k] > DEPENDENT * DEPENDENT * largest);
        for (size_t i = 0; i < columns; i++) {
            const cbp_real share = right[i * columns + k];
            undetermined[i] = lost && (share > SHARE || -share > SHARE) ? 1 : undetermined[i];
            for (size_t j = 0; !lost && j < columns; j++) {
                inverse[i * columns + j] += factor * (share / lengths[i]) *
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
        if (!(cbp_magnitude(matrix[j * columns + j]) > CBP_CLEAR * length)) {
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

/* The columns of determined parameters, out of matrix[rows][width] with one for each that `among`
 * does not say is frozen (null: one for every parameter), times `factor`. With `rows_too` the rows
 * are picked in the same way. */
static void pick(const cbp_real *matrix, size_t rows, size_t width, const unsigned char *among,
                 const unsigned char *determined, size_t all, int rows_too, cbp_real factor,
                 cbp_real *picked)
{
    for (size_t i = 0; i < rows; i++) {
        if (rows_too && determined[i] != CBP_DETERMINED) {
            continue;
        }
        for (size_t k = 0, j = 0; k < all; k++) {
            if (determined[k] == CBP_DETERMINED) {
                *picked++ = factor * matrix[i * width + j];
            }
            j += (size_t)cbp_is_free(among, k);
        }
    }
}

/* Sets aside what is frozen, held at a bound by the gradient, or without any effect to speak of. */
static void note_undetermined(const cbp_fit *fit, const cbp_real *params, const cbp_real *triangle,
                              size_t free, cbp_real target_size, unsigned char *determined)
{
    for (size_t k = 0, j = 0; k < 2 * fit->layers; k++) {
        determined[k] = CBP_FROZEN;
        if (!cbp_is_free(fit->frozen, k)) {
            continue;
        }
        cbp_real slope = 0;
        for (size_t i = 0; i <= j; i++) {
            slope += triangle[i * (free + 1) + j] * triangle[i * (free + 1) + free];
        }
        const cbp_real length = cbp_root(column_square(triangle, j + 1, free + 1, j));
        const cbp_real size = params[k] > 1 || params[k] < -1 ? cbp_magnitude(params[k]) : 1;
        const int held = cbp_is_held(fit, k, params[k], slope);
        const int weak = !(length * size > CBP_WEAK * target_size);
        determined[k] = held ? CBP_AT_BOUND : weak ? CBP_UNDETERMINED : CBP_DETERMINED;
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
static int conclude(const cbp_fit *fit, const cbp_real *params, const cbp_real *hessian,
                    const cbp_real *triangle, cbp_real *work, const cbp_fit_spread *out)
{
    const size_t all = 2 * fit->layers, free = cbp_count_free(fit->frozen, fit->layers);
    const cbp_real *of_node = triangle + cbp_fit_sums_at(free);
    const cbp_real sums[4] = {of_node[0] + of_node[4], of_node[1] + of_node[5],
                              of_node[2] + of_node[6], of_node[3] + of_node[7]};
    cbp_real *variance = out->variance, *covariance = out->covariance;
    unsigned char *determined = out->determined;
    if (!cbp_is_total(sums[0])) {
        return CBP_ERROR_WEIGHT;
    }
    const cbp_real dispersion = cbp_loss_table[fit->criterion.loss].dispersion;
    cbp_real *matrix = work, *right = matrix + free * free, *inverse = right + free * free;
    cbp_real *lengths = inverse + free * free, *undetermined = lengths + 2 * free;
    note_undetermined(fit, params, triangle, free, cbp_root(sums[3]), determined);

    size_t open = count_of(determined, all, CBP_DETERMINED), rows = free;
    const cbp_real left_over =
        sums[2] - (cbp_real)(open + count_of(determined, all, CBP_UNDETERMINED));
    const cbp_real squares = column_square(triangle, free + 1, free + 1, free);
    *variance = dispersion > 0 ? 1 : left_over > 0 ? squares / left_over : (cbp_real)NAN;
    if (!hessian) {
        pick(triangle, free, free + 1, fit->frozen, determined, all, 0, 1, matrix);
    } else {
        pick(hessian, all, all, NULL, determined, all, 1, sums[0] / 2, matrix);
        rows = open;
        if (!factor_square(matrix, open)) {
            for (size_t k = 0; k < all; k++) {
                determined[k] = determined[k] == CBP_DETERMINED ? CBP_UNDETERMINED : determined[k];
            }
            open = 0;
        }
    }
    /* the loss is the sum of squares whose curvature is twice its matrix' matrix */
    const cbp_real factor = dispersion > 0 ? dispersion : *variance;
    memset(undetermined, 0, open * sizeof *undetermined);
    if (rows != open || !invert_triangle(matrix, open, factor, right, inverse)) {
        invert_square(matrix, rows, open, factor, right, lengths, inverse, undetermined);
    }
    spread_inverse(inverse, undetermined, open, all, free, determined, covariance);
    return CBP_OK;
}

int cbp_fit_covariance(const cbp_real *params, const unsigned char *activations,
                       const unsigned char *frozen, const cbp_real *lower, const cbp_real *upper,
                       const cbp_real *x, const cbp_real *y, const cbp_real *weight, size_t layers,
                       size_t n, int loss, cbp_real scale, const cbp_real *hessian, cbp_real *work,
                       cbp_real *variance, cbp_real *covariance, unsigned char *determined)
{
    const cbp_chain chain = {params, activations, layers};
    const cbp_fit fit = {activations, frozen, lower, upper,         x,    y,
                         weight,      layers, n,     {loss, scale}, NULL, NULL};
    const int status = cbp_check_average(&chain, fit.criterion, x, y, weight, n, covariance);
    if (status != CBP_OK) {
        return status;
    }
    if (!work || !variance || !determined) {
        return CBP_ERROR_NULL;
    }
    const size_t free = cbp_count_free(frozen, layers);
    cbp_real *node = work, *rest = node + cbp_fit_node_len(free);
    cbp_fit_memory memory = {
        .fit = &fit, .work = rest, .nodes = rest + cbp_fit_pass_len(layers, free)};
    (void)cbp_fit_pass_memory(&memory, params, frozen, node);
    return conclude(&fit, params, hessian, node, rest,
                    &(cbp_fit_spread){variance, covariance, determined});
}

int cbp_fit_node_covariance(const cbp_fit_chain *chain, const cbp_real *params, int loss,
                            const cbp_real *node, const cbp_real *hessian, cbp_real *work,
                            const cbp_fit_spread *out)
{
    if (!chain || !node || !work || !out || !out->variance || !out->covariance ||
        !out->determined) {
        return CBP_ERROR_NULL;
    }
    const cbp_chain plain = {params, chain->activations, chain->layers};
    const cbp_fit fit = {chain->activations,
                         chain->frozen,
                         chain->lower,
                         chain->upper,
                         NULL,
                         NULL,
                         NULL,
                         chain->layers,
                         0,
                         {loss, 1},
                         NULL,
                         NULL};
    int status = cbp_check_chain(&plain);
    if (status == CBP_OK) {
        status = cbp_check_criterion(&plain, fit.criterion, NULL, 0);
    }
    return status == CBP_OK ? conclude(&fit, params, hessian, node, work, out) : status;
}
