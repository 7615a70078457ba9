/* The header needs nothing before it, may come twice, and is C99. Compiled, and run for what it
 * says of itself. */
#include "cbackprop.h"
#include "cbackprop.h"

int main(void)
{
    return CBP_STATUS_END < 0 && CBP_ACTIVATION_END == 22 && CBP_OK == 0 &&
                   sizeof(cbp_real) >= sizeof(float)
               ? 0
               : 1;
}
