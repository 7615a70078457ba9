/* Forward pass and inverse of log -> sigmoid -> exp, for run.py to measure; sized.h is written there. */
#include "sized.h"

cbp_real forward(cbp_real x)
{
    return sized_forward(sized_params, x);
}

cbp_real inverse(cbp_real y)
{
    return sized_inverse(sized_params, y);
}
