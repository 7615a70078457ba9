/* Status codes in words, and the version. */
#include "compiler.h"

const char *cbp_version(void)
{
    return CBP_VERSION;
}

const char *cbp_status_string(int status)
{
    switch (status) {
    case CBP_OK:
        return "no error";
    case CBP_ERROR_NULL:
        return "a required pointer is null";
    case CBP_ERROR_LAYERS:
        return "the number of layers is 0 or larger than memory can address";
    case CBP_ERROR_ACTIVATION:
        return "an activation code is unknown";
    case CBP_ERROR_EMPTY:
        return "an average needs at least one example";
    case CBP_ERROR_LOSS:
        return "the loss code is unknown";
    case CBP_ERROR_SCALE:
        return "the loss scale must be positive and finite";
    case CBP_ERROR_NO_SIGMOID:
        return "the log loss needs a chain whose last activation is sigmoid";
    case CBP_ERROR_TARGET:
        return "a target is outside the range that the loss takes";
    case CBP_ERROR_WEIGHT:
        return "example weights must be finite and not negative, and their sum finite and at least "
               "CBP_LEAST_WEIGHT";
    case CBP_ERROR_NOT_INVERTIBLE:
        return "a layer has w = 0 or an activation that is not one-to-one";
    case CBP_ERROR_LEARNING_RATE:
        return "the learning rate must be finite";
    case CBP_ERROR_NOT_FINITE:
        return "the gradient is not finite; no step was made";
    case CBP_ERROR_KERNEL:
        return "this machine or build does not have that kernel level";
    case CBP_ERROR_OPTION:
        return "a fit's option is out of its range, or the options are of an unknown size";
    case CBP_ERROR_NO_FREE:
        return "every parameter is frozen, so that there is nothing to fit";
    case CBP_ERROR_FEW_EXAMPLES:
        return "there are fewer examples than free parameters";
    case CBP_ERROR_BOUNDS:
        return "a lower bound is above its upper bound, or a bound is NaN";
    case CBP_ERROR_START:
        return "the start is not finite or outside its bounds";
    case CBP_ERROR_START_LOSS:
        return "the loss at the start, or the sum of the squared targets, is not finite";
    case CBP_ERROR_DATA:
        return "an example is NaN or infinite";
    case CBP_ERROR_NODE:
        return "a node does not follow those before it, or there is no room for it";
    case CBP_ERROR_CURVE:
        return "there is no such curve, or it is not filled as it must be";
    case CBP_ERROR_DOMAIN:
        return "an input is where the curve is not defined";
    case CBP_ERROR_LIMIT:
        return "the curve has no effective dose: it has no finite limit at an end of its domain";
    default:
        return "not a status of this library";
    }
}
