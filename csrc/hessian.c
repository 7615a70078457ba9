/* The second derivatives of the averaged loss, and the largest eigenvalue of their matrix. */
#include "fit.h"

static size_t hessian_sums_len(size_t layers)
{
    return 1 + 4 * layers * layers;
}

/* Whether memory can address that many. */
static int check_hessian(size_t layers)
{
    return layers > 0 && layers > CBP_MOST_LAYERS / layers ? CBP_ERROR_LAYERS : CBP_OK;
}

int cbp_hessian_sums(const cbp_chain *chain, const cbp_examples *examples, const cbp_loss *loss,
                     cbp_real *work, cbp_real *sums, cbp_real *compensation)
{
    const cbp_loss given = cbp_loss_given(loss);
    int status = cbp_check_average(chain, given, examples, sums);
    if (status == CBP_OK) {
        status = check_hessian(chain->layers);
    }
    if (status != CBP_OK) {
        return status;
    }
    if (!compensation || !work) {
        return CBP_ERROR_NULL;
    }
    cbp_kernels_now()->hessian_sums(chain, given, examples, work, sums, compensation);
    return CBP_OK;
}

/* The sums, their compensation, and one example's five arrays. */
size_t cbp_hessian_work_len(size_t layers)
{
    return 2 * hessian_sums_len(layers) + 5 * layers + 1;
}

int cbp_hessian(const cbp_chain *chain, const cbp_examples *examples, const cbp_loss *loss,
                cbp_real *work, cbp_real *hessian)
{
    if (!chain || !work || !hessian) {
        return CBP_ERROR_NULL;
    }
    int status = check_hessian(chain->layers);
    if (status != CBP_OK) {
        return status;
    }
    const size_t len = hessian_sums_len(chain->layers);
    cbp_real *sums = work, *compensation = sums + len;
    memset(sums, 0, 2 * len * sizeof *sums);
    status = cbp_hessian_sums(chain, examples, loss, compensation + len, sums, compensation);
    return status == CBP_OK ? cbp_sums_mean(sums, compensation, len, hessian) : status;
}

/* The sum of squares above the diagonal of a symmetric matrix. */
static cbp_real squares_above(const cbp_real *matrix, size_t size)
{
    cbp_real sum = 0;
    for (size_t p = 0; p < size; p++) {
        for (size_t q = p + 1; q < size; q++) {
            sum += matrix[p * size + q] * matrix[p * size + q];
        }
    }
    return sum;
}

/* Rotates rows and columns p and q of a symmetric matrix such that its entry (p, q) becomes 0. */
static void rotate(cbp_real *matrix, size_t size, size_t p, size_t q)
{
    const cbp_real first = matrix[p * size + p], last = matrix[q * size + q];
    const cbp_real entry = matrix[p * size + q];
    if (entry == 0) {
        return;
    }
    const cbp_real zeta = (last - first) / (2 * entry), root = cbp_root(1 + zeta * zeta);
    const cbp_real tangent = 1 / (zeta > 0 ? zeta + root : zeta - root);
    const cbp_real cosine = 1 / cbp_root(1 + tangent * tangent), sine = cosine * tangent;
    for (size_t i = 0; i < size; i++) {
        const cbp_real a = matrix[i * size + p], b = matrix[i * size + q];
        matrix[i * size + p] = matrix[p * size + i] = cosine * a - sine * b;
        matrix[i * size + q] = matrix[q * size + i] = sine * a + cosine * b;
    }
    matrix[p * size + p] = first - tangent * entry;
    matrix[q * size + q] = last + tangent * entry;
    matrix[p * size + q] = matrix[q * size + p] = 0;
}

/* The largest eigenvalue of a symmetric matrix, by cyclic Jacobi rotations for as long as they make
 * what is off the diagonal less. The matrix is overwritten. */
static cbp_real largest_eigenvalue(cbp_real *matrix, size_t size)
{
    cbp_real before = (cbp_real)INFINITY, after = squares_above(matrix, size);
    while (after < before) {
        for (size_t p = 0; p < size; p++) {
            for (size_t q = p + 1; q < size; q++) {
                rotate(matrix, size, p, q);
            }
        }
        before = after;
        after = squares_above(matrix, size);
    }
    cbp_real largest = matrix[0];
    for (size_t k = 1; k < size; k++) {
        const cbp_real eigenvalue = matrix[k * size + k];
        largest = eigenvalue > largest ? eigenvalue : largest;
    }
    return largest;
}

/* Copies the rows and columns of free parameters; picked may be hessian. */
static void pick_free(const cbp_real *hessian, const unsigned char *frozen, size_t all,
                      cbp_real *picked)
{
    for (size_t i = 0; i < all; i++) {
        for (size_t j = 0; cbp_is_free(frozen, i) && j < all; j++) {
            if (cbp_is_free(frozen, j)) {
                *picked++ = hessian[i * all + j];
            }
        }
    }
}

int cbp_sharpness(const cbp_chain *chain, const cbp_real *hessian, cbp_real *work,
                  cbp_real *sharpness)
{
    if (!chain || !hessian || !work || !sharpness) {
        return CBP_ERROR_NULL;
    }
    int status = check_hessian(chain->layers);
    if (status == CBP_OK) {
        status = cbp_check_chain(chain);
    }
    if (status != CBP_OK) {
        return status;
    }
    const size_t size = cbp_count_free(chain->frozen, chain->layers);
    if (size == 0) {
        return CBP_ERROR_NO_FREE;
    }
    pick_free(hessian, chain->frozen, 2 * chain->layers, work);
    cbp_real largest = 0;
    for (size_t k = 0; k < size * size; k++) {
        if (!cbp_is_finite(work[k])) {
            *sharpness = (cbp_real)NAN;
            return CBP_OK;
        }
        largest = cbp_magnitude(work[k]) > largest ? cbp_magnitude(work[k]) : largest;
    }
    for (size_t k = 0; largest > 0 && k < size * size; k++) {
        work[k] /= largest; /* no square overflows, or underflows where it counts */
    }
    *sharpness = largest * largest_eigenvalue(work, size);
    return CBP_OK;
}
