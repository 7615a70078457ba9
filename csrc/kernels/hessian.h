/* Sums over examples of the Hessian, one example after the other. */

/* Of one example, times its weight where that is a derivative of the loss. */
typedef struct cbp_derivatives {
    cbp_real *a;                /* [layers + 1], from a_0 on */
    cbp_real *slopes, *seconds; /* [layers] each: act'(z), act''(z) */
    cbp_real *delta, *curve;    /* [layers] each: dE/dz, d2E/dz2 */
} cbp_derivatives;

static void differentiate(const cbp_chain *chain, cbp_loss criterion, cbp_real x, cbp_real y,
                          cbp_real weight, const cbp_derivatives *d)
{
    const cbp_real *params = chain->params;
    const size_t last = chain->layers - 1;
    cbp_real z = 0;
    d->a[0] = x;
    for (size_t l = 0; l <= last; l++) {
        z = CBP_FMA(params[2 * l], d->a[l], params[2 * l + 1]);
        const cbp_jet jet = jet_of(chain->activations[l], z);
        d->a[l + 1] = jet.value;
        d->slopes[l] = jet.slope;
        d->seconds[l] = jet.second;
    }
    const cbp_jet loss = loss_of(criterion, d->a[last + 1], z, y);
    const cbp_real s = d->slopes[last];
    if (is_of_z(criterion.kind)) {
        d->delta[last] = weight * loss.slope;
        d->curve[last] = weight * loss.second;
    } else {
        d->delta[last] = weight * times_alone(loss.slope, s);
        d->curve[last] = weight * (times_alone(times_alone(loss.second, s), s) +
                                   times_alone(loss.slope, d->seconds[last]));
    }
    for (size_t l = last; l-- > 0;) {
        const cbp_real upstream = times_alone(d->delta[l + 1], params[2 * l + 2]);
        const cbp_real reach = times_alone(params[2 * l + 2], d->slopes[l]);
        d->delta[l] = times_alone(upstream, d->slopes[l]);
        d->curve[l] = times_alone(times_alone(d->curve[l + 1], reach), reach) +
                      times_alone(upstream, d->seconds[l]);
    }
}

/* The Hessian in closed form. With c_m = d2E/dz_m2, c_l = c_(l+1) (w_(l+1) s_l)^2 + dE/da_l
 * act''(z_l), and J the slope of z_m in z_l, for l <= m:
 *   d2E/db_m db_l = c_m J,   d2E/dw_m db_l = c_m J a_(m-1) + delta_m da_(m-1)/dz_l,
 * and a_(l-1) times these for w_l.
 * Adds weight and the lower triangle to sums[1 + (2L)^2], then copies it to the upper one. */
static void hessian_sums(const cbp_chain *chain, cbp_loss criterion, const cbp_examples *examples,
                         cbp_real *work, cbp_real *sums, cbp_real *compensation)
{
    const cbp_real *params = chain->params;
    const size_t layers = chain->layers, width = 2 * layers;
    const cbp_derivatives d = {work, work + layers + 1, work + 2 * layers + 1,
                               work + 3 * layers + 1, work + 4 * layers + 1};
    const cbp_real *a = d.a, *slopes = d.slopes, *delta = d.delta, *curve = d.curve;
    for (size_t i = 0; i < examples->n; i++) {
        const cbp_real factor = examples->weight ? examples->weight[i] : 1;
        differentiate(chain, criterion, examples->x[i], examples->y[i], factor, &d);
        cbp_add(&sums[0], &compensation[0], factor);
        for (size_t m = 0; m < layers; m++) {
            cbp_real reach = 1, before = 0; /* dz_m/dz_l and da_(m-1)/dz_l */
            for (size_t l = m;; l--) {
                const cbp_real by_b = times_alone(curve[m], reach);
                const cbp_real by_w = times_alone(by_b, a[m]) + times_alone(delta[m], before);
                const size_t row_w = 1 + 2 * m * width + 2 * l, row_b = row_w + width;
                cbp_add(&sums[row_w], &compensation[row_w], times_alone(by_w, a[l]));
                cbp_add(&sums[row_w + 1], &compensation[row_w + 1], by_w);
                cbp_add(&sums[row_b], &compensation[row_b], times_alone(by_b, a[l]));
                cbp_add(&sums[row_b + 1], &compensation[row_b + 1], by_b);
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
            compensation[1 + column * width + row] = compensation[1 + row * width + column];
        }
    }
}
