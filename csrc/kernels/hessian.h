/* Sums over examples of the Hessian, one example after the other. */

/* The Hessian in closed form. With c_m = d2E/dz_m2, c_l = c_(l+1) (w_(l+1) s_l)^2 + dE/da_l
 * act''(z_l), and J the slope of z_m in z_l, for l <= m:
 *   d2E/db_m db_l = c_m J,   d2E/dw_m db_l = c_m J a_(m-1) + delta_m da_(m-1)/dz_l,
 * and a_(l-1) times these for w_l.
 * Adds weight and the lower triangle to sums[1 + (2L)^2], then copies it to the upper one. */
static void hessian_sums(const cbp_chain *chain, cbp_criterion criterion, const cbp_real *x,
                         const cbp_real *y, const cbp_real *weight, size_t n, cbp_real *work,
                         cbp_real *sums, cbp_real *lost)
{
    const cbp_real *params = chain->params;
    const size_t layers = chain->layers, last = layers - 1, width = 2 * layers;
    cbp_real *a = work, *slopes = a + layers + 1, *seconds = slopes + layers,
             *delta = seconds + layers, *curve = delta + layers;
    const int of_z = is_of_z(criterion.loss);
    for (size_t i = 0; i < n; i++) {
        const cbp_real factor = weight ? weight[i] : 1;
        cbp_real z = 0;
        a[0] = x[i];
        for (size_t l = 0; l < layers; l++) {
            z = CBP_FMA(params[2 * l], a[l], params[2 * l + 1]);
            const cbp_jet jet = jet_of(chain->activations[l], z);
            a[l + 1] = jet.value;
            slopes[l] = jet.slope;
            seconds[l] = jet.second;
        }
        const cbp_jet loss = loss_of(criterion, a[layers], z, y[i]);
        const cbp_real s = slopes[last];
        if (of_z) {
            delta[last] = factor * loss.slope;
            curve[last] = factor * loss.second;
        } else {
            delta[last] = factor * times_alone(loss.slope, s);
            curve[last] = factor * (times_alone(times_alone(loss.second, s), s) +
                                    times_alone(loss.slope, seconds[last]));
        }
        for (size_t l = last; l-- > 0;) {
            const cbp_real push = times_alone(delta[l + 1], params[2 * l + 2]);
            const cbp_real reach = times_alone(params[2 * l + 2], slopes[l]);
            delta[l] = times_alone(push, slopes[l]);
            curve[l] = times_alone(times_alone(curve[l + 1], reach), reach) +
                       times_alone(push, seconds[l]);
        }
        cbp_add(&sums[0], &lost[0], factor);
        for (size_t m = 0; m < layers; m++) {
            cbp_real reach = 1, before = 0; /* dz_m/dz_l and da_(m-1)/dz_l */
            for (size_t l = m;; l--) {
                const cbp_real by_b = times_alone(curve[m], reach);
                const cbp_real by_w = times_alone(by_b, a[m]) + times_alone(delta[m], before);
                const size_t row_w = 1 + 2 * m * width + 2 * l, row_b = row_w + width;
                cbp_add(&sums[row_w], &lost[row_w], times_alone(by_w, a[l]));
                cbp_add(&sums[row_w + 1], &lost[row_w + 1], by_w);
                cbp_add(&sums[row_b], &lost[row_b], times_alone(by_b, a[l]));
                cbp_add(&sums[row_b + 1], &lost[row_b + 1], by_b);
                if (l == 0) {
                    break;
                }
                before = l == m ? slopes[l - 1]
                                : times_alone(times_alone(before, params[2 * l]), slopes[l - 1]);
                reach = times_alone(times_alone(reach, params[2 * l]), slopes[l - 1]);
            }
        }
    }
    for (size_t row = 0; row < width; row++) {
        for (size_t column = 0; column < row; column++) {
            sums[1 + column * width + row] = sums[1 + row * width + column];
            lost[1 + column * width + row] = lost[1 + row * width + column];
        }
    }
}
