/* Output, loss and gradient of one example, and a step of training. */
#include <cbackprop.h>
#include <stdio.h>

int main(void)
{
    double params[] = {1.5, 0.1, -0.8, 0.3}; /* w1, b1, w2, b2 */
    const unsigned char activations[] = {CBP_SIGMOID, CBP_SIGMOID};
    const double x = 0.5, y = 1;
    const cbp_chain chain = {.params = params, .activations = activations, .layers = 2};
    const cbp_examples example = {.x = &x, .y = &y, .n = 1};
    double out, loss, gradient[4];

    int status = cbp_forward(&chain, &x, 1, &out);
    if (status == CBP_OK) { /* the squared loss; so small a call needs no work memory */
        status = cbp_gradient(&chain, &example, NULL, NULL, &loss, gradient);
    }
    if (status == CBP_OK) {
        printf("%.6f %.6f: %.6f %.6f %.6f %.6f\n", out, loss, gradient[0], gradient[1], gradient[2],
               gradient[3]);
        status = cbp_step(&chain, &example, 0.1, NULL, params, &loss);
    }
    if (status != CBP_OK) {
        fprintf(stderr, "%s\n", cbp_status_string(status));
        return 1;
    }
    printf("%.6f %.6f %.6f %.6f\n", params[0], params[1], params[2], params[3]);
    return 0;
}
