// The header is C++11 as well, and its functions keep their C names: this program links with the C
// objects.
#include "cbackprop.h"
#include "cbackprop.h"

int main()
{
    const cbp_real params[] = {2, 1};
    const unsigned char activations[] = {CBP_IDENTITY};
    const cbp_chain chain = {params, activations, nullptr, 1};
    const cbp_real x = 3;
    cbp_real out = 0;
    return cbp_forward(&chain, &x, 1, &out) == CBP_OK && out >= 7 && out <= 7 ? 0 : 1;
}
