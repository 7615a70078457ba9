/* The activations at kinks, jumps and ends of their domains, against their values there; and in
 * between against the C library. */
#include "check.h"

#define PI_HALF 1.5707963267948966
#define LOG_2 0.69314718055994531
#define PHI_0 0.39894228040143268 /* 1/sqrt(2 pi) */

typedef struct point {
    int activation;
    double z, value, slope;
} point;

static const point points[] = {
    {CBP_IDENTITY, -INFINITY, -INFINITY, 1},
    {CBP_IDENTITY, 0, 0, 1},
    {CBP_IDENTITY, INFINITY, INFINITY, 1},
    {CBP_SIGMOID, -INFINITY, 0, 0},
    {CBP_SIGMOID, 0, 0.5, 0.25},
    {CBP_SIGMOID, INFINITY, 1, 0},
    {CBP_TANH, -INFINITY, -1, 0},
    {CBP_TANH, 0, 0, 1},
    {CBP_TANH, INFINITY, 1, 0},
    {CBP_RELU, -INFINITY, 0, 0},
    {CBP_RELU, 0, 0, 0},
    {CBP_RELU, INFINITY, INFINITY, 1},
    {CBP_LEAKY_RELU, -INFINITY, -INFINITY, 0.01},
    {CBP_LEAKY_RELU, -1, -0.01, 0.01},
    {CBP_LEAKY_RELU, INFINITY, INFINITY, 1},
    {CBP_ELU, -INFINITY, -1, 0},
    {CBP_ELU, 0, 0, 1},
    {CBP_ELU, INFINITY, INFINITY, 1},
    {CBP_SOFTPLUS, -INFINITY, 0, 0},
    {CBP_SOFTPLUS, 0, LOG_2, 0.5},
    {CBP_SOFTPLUS, INFINITY, INFINITY, 1},
    {CBP_SILU, -INFINITY, 0, 0},
    {CBP_SILU, 0, 0, 0.5},
    {CBP_SILU, INFINITY, INFINITY, 1},
    {CBP_GELU, -INFINITY, 0, 0},
    {CBP_GELU, 0, 0, 0.5},
    {CBP_GELU, INFINITY, INFINITY, 1},
    {CBP_SOFTSIGN, -INFINITY, -1, 0},
    {CBP_SOFTSIGN, 1, 0.5, 0.25},
    {CBP_SOFTSIGN, INFINITY, 1, 0},
    {CBP_ARCTAN, -INFINITY, -PI_HALF, 0},
    {CBP_ARCTAN, 1, PI_HALF / 2, 0.5},
    {CBP_ARCTAN, INFINITY, PI_HALF, 0},
    {CBP_EXP, -INFINITY, 0, 0},
    {CBP_EXP, 0, 1, 1},
    {CBP_EXP, INFINITY, INFINITY, INFINITY},
    {CBP_EXPM1, -INFINITY, -1, 0},
    {CBP_EXPM1, 0, 0, 1},
    {CBP_EXPM1, INFINITY, INFINITY, INFINITY},
    {CBP_LOG, -INFINITY, NAN, NAN},
    {CBP_LOG, -1, NAN, NAN},
    {CBP_LOG, 0, -INFINITY, INFINITY},
    {CBP_LOG, 1, 0, 1},
    {CBP_LOG, INFINITY, INFINITY, 0},
    {CBP_LOG1P, -2, NAN, NAN},
    {CBP_LOG1P, -1, -INFINITY, INFINITY},
    {CBP_LOG1P, 0, 0, 1},
    {CBP_LOG1P, INFINITY, INFINITY, 0},
    {CBP_RECIPROCAL, -INFINITY, 0, 0},
    {CBP_RECIPROCAL, 0, INFINITY, -INFINITY},
    {CBP_RECIPROCAL, -2, -0.5, -0.25},
    {CBP_SQUARE, -INFINITY, INFINITY, -INFINITY},
    {CBP_SQUARE, -3, 9, -6},
    {CBP_SQRT, -INFINITY, NAN, NAN},
    {CBP_SQRT, -1, NAN, NAN},
    {CBP_SQRT, 0, 0, INFINITY},
    {CBP_SQRT, 4, 2, 0.25},
    {CBP_SQRT, INFINITY, INFINITY, 0},
    {CBP_GAUSSIAN, -INFINITY, 0, 0},
    {CBP_GAUSSIAN, 0, 1, 0},
    {CBP_GAUSSIAN, INFINITY, 0, 0},
    {CBP_LOG_SIGMOID, -INFINITY, -INFINITY, 1},
    {CBP_LOG_SIGMOID, 0, -LOG_2, 0.5},
    {CBP_LOG_SIGMOID, INFINITY, 0, 0},
    {CBP_NORMAL_CDF, -INFINITY, 0, 0},
    {CBP_NORMAL_CDF, 0, 0.5, PHI_0},
    {CBP_NORMAL_CDF, INFINITY, 1, 0},
    {CBP_SIN, 0, 0, 1},
    {CBP_SIN, PI_HALF / 3, 0.5, 0.86602540378443865},
};

static int agrees(cbp_real got, double expected)
{
    return isnan(expected) ? isnan(got) : near((double)got, expected, 0, 8);
}

static void test_points(void)
{
    for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
        const point p = points[i];
        const cbp_real z = R(p.z);
        cbp_real value, slope, second;
        CHECK(cbp_activation_values(p.activation, &z, 1, &value, &slope, &second) == CBP_OK);
        if (!CHECK(agrees(value, p.value)) || !CHECK(agrees(slope, p.slope)) ||
            !CHECK(isnan(second) == isnan(p.value))) {
            fprintf(stderr, "    activation %d at %g: %g, slope %g, second %g\n", p.activation, p.z,
                    (double)value, (double)slope, (double)second);
        }
    }
}

/* NaN in, NaN out, in that lane alone; and the ends of what sin promises. */
static void test_lanes(void)
{
    for (int activation = 0; activation < CBP_ACTIVATION_END; activation++) {
        cbp_real z[40], value[40], slope[40], second[40], alone[3];
        for (int i = 0; i < 40; i++) {
            z[i] = R(i % 7 == 3 ? NAN : 0.25 * i + 0.125);
        }
        CHECK(cbp_activation_values(activation, z, 40, value, slope, second) == CBP_OK);
        for (int i = 0; i < 40; i++) {
            CHECK(isnan(value[i]) == isnan(z[i]));
            CHECK(isnan(slope[i]) == isnan(z[i]));
            CHECK(isnan(second[i]) == isnan(z[i]));
            CHECK(cbp_activation_values(activation, z + i, 1, alone, alone + 1, alone + 2) ==
                  CBP_OK);
            CHECK(same(alone[0], value[i]) && same(alone[1], slope[i]) &&
                  same(alone[2], second[i]));
        }
        /* Any output may be left out, and any may be z itself. */
        cbp_real own[40];
        memcpy(own, z, sizeof own);
        CHECK(cbp_activation_values(activation, own, 40, NULL, own, NULL) == CBP_OK);
        CHECK(same_all(own, slope, 40));
        CHECK(cbp_activation_values(activation, z, 40, NULL, NULL, NULL) == CBP_OK);
        CHECK(cbp_activation_values(activation, NULL, 0, NULL, NULL, NULL) == CBP_OK);
        CHECK(cbp_activation_values(activation, NULL, 1, own, NULL, NULL) == CBP_ERROR_NULL);
    }
    for (double z = 1; z < 1e30; z *= 1.7) {
        const cbp_real in = R(z);
        cbp_real value;
        CHECK(cbp_activation_values(CBP_SIN, &in, 1, &value, NULL, NULL) == CBP_OK);
        CHECK(value >= -1 && value <= 1);
    }
    cbp_real kept = 5;
    const cbp_real z = 1;
    CHECK(cbp_activation_values(-1, &z, 1, &kept, NULL, NULL) == CBP_ERROR_ACTIVATION);
    CHECK(cbp_activation_values(CBP_ACTIVATION_END, &z, 1, &kept, NULL, NULL) ==
          CBP_ERROR_ACTIVATION);
    CHECK(kept == 5);
}

static double sigmoid(double z)
{
    return 1 / (1 + exp(-z));
}

static double normal_cdf(double z)
{
    return 0.5 * erfc(-z * 0.70710678118654752);
}

/* Each against the C library, to about its accuracy. The exact bounds are tested by the golden
 * vectors. */
static double expected(int activation, double z)
{
    switch (activation) {
    case CBP_SIGMOID:
        return sigmoid(z);
    case CBP_TANH:
        return tanh(z);
    case CBP_RELU:
        return z > 0 ? z : 0;
    case CBP_LEAKY_RELU:
        return z > 0 ? z : 0.01 * z;
    case CBP_ELU:
        return z > 0 ? z : expm1(z);
    case CBP_SOFTPLUS:
        return log1p(exp(z));
    case CBP_SILU:
        return z * sigmoid(z);
    case CBP_GELU:
        return z * normal_cdf(z);
    case CBP_SOFTSIGN:
        return z / (1 + fabs(z));
    case CBP_ARCTAN:
        return atan(z);
    case CBP_EXP:
        return exp(z);
    case CBP_EXPM1:
        return expm1(z);
    case CBP_LOG:
        return log(z);
    case CBP_LOG1P:
        return log1p(z);
    case CBP_RECIPROCAL:
        return 1 / z;
    case CBP_SQUARE:
        return z * z;
    case CBP_SQRT:
        return sqrt(z);
    case CBP_GAUSSIAN:
        return exp(-z * z / 2);
    case CBP_LOG_SIGMOID:
        return -log1p(exp(-z));
    case CBP_NORMAL_CDF:
        return normal_cdf(z);
    case CBP_SIN:
        return sin(z);
    default:
        return z;
    }
}

static void test_between(void)
{
    for (int activation = 0; activation < CBP_ACTIVATION_END; activation++) {
        cbp_activation_facts facts;
        CHECK(cbp_activation_describe(activation, &facts) == CBP_OK);
        for (int i = -80; i <= 80; i++) {
            const cbp_real z = R(0.11 * i + 0.003);
            cbp_real value;
            CHECK(cbp_activation_values(activation, &z, 1, &value, NULL, NULL) == CBP_OK);
            if (z < facts.domain_low || z > facts.domain_high) {
                CHECK(isnan(value));
            } else if (!CHECK(near((double)value, expected(activation, (double)z), 0, 100)) ||
                       !CHECK(value >= facts.range_low && value <= facts.range_high)) {
                fprintf(stderr, "    %s at %.17g: %.17g\n", facts.name, (double)z, (double)value);
            }
        }
    }
}

static void test_describe(void)
{
    cbp_activation_facts facts = {"untouched", 1, 2, 3, 4, 5, 6};
    CHECK(cbp_activation_describe(-1, &facts) == CBP_ERROR_ACTIVATION);
    CHECK(cbp_activation_describe(CBP_ACTIVATION_END, &facts) == CBP_ERROR_ACTIVATION);
    CHECK(cbp_activation_describe(CBP_SIGMOID, NULL) == CBP_ERROR_NULL);
    CHECK(strcmp(facts.name, "untouched") == 0 && facts.one_to_one == 5);
    CHECK(cbp_activation_describe(CBP_SIGMOID, &facts) == CBP_OK);
    CHECK(strcmp(facts.name, "sigmoid") == 0);
    CHECK(facts.domain_low == -INFINITY && facts.domain_high == INFINITY);
    CHECK(facts.range_low == 0 && facts.range_high == 1 && facts.one_to_one == 1 &&
          facts.has_kink == 0);
    for (int code = 0; code < CBP_ACTIVATION_END; code++) {
        cbp_activation_facts one, other;
        CHECK(cbp_activation_describe(code, &one) == CBP_OK);
        for (int before = 0; before < code; before++) {
            CHECK(cbp_activation_describe(before, &other) == CBP_OK &&
                  strcmp(one.name, other.name) != 0);
        }
    }
}

static void test_describe_loss(void)
{
    cbp_loss_facts facts = {"untouched", 1, 2, 3, 4, 5, 6};
    CHECK(cbp_loss_describe(-1, &facts) == CBP_ERROR_LOSS);
    CHECK(cbp_loss_describe(CBP_LOSS_END, &facts) == CBP_ERROR_LOSS);
    CHECK(cbp_loss_describe(CBP_HUBER, NULL) == CBP_ERROR_NULL);
    CHECK(strcmp(facts.name, "untouched") == 0 && facts.needs_sigmoid == 6);
    CHECK(cbp_loss_describe(CBP_HUBER, &facts) == CBP_OK);
    CHECK(strcmp(facts.name, "huber") == 0 && facts.target_low == -INFINITY &&
          facts.target_high == INFINITY);
    CHECK(facts.dispersion == 0 && facts.has_scale == 1 && facts.is_robust == 1 &&
          facts.needs_sigmoid == 0);
    CHECK(cbp_loss_describe(CBP_LOG_LOSS, &facts) == CBP_OK);
    CHECK(strcmp(facts.name, "log") == 0 && facts.target_low == 0 && facts.target_high == 1);
    CHECK(facts.dispersion == R(0.5) && facts.has_scale == 0 && facts.is_robust == 0 &&
          facts.needs_sigmoid == 1);
    for (int code = 0; code < CBP_LOSS_END; code++) {
        cbp_loss_facts one, other;
        CHECK(cbp_loss_describe(code, &one) == CBP_OK);
        for (int before = 0; before < code; before++) {
            CHECK(cbp_loss_describe(before, &other) == CBP_OK && strcmp(one.name, other.name) != 0);
        }
    }
}

/* A slope that jumps differs just below and just above 0. */
static void test_kinks(void)
{
    for (int activation = 0; activation < CBP_ACTIVATION_END; activation++) {
        const cbp_real sides[] = {R(-1e-6), R(1e-6)};
        cbp_activation_facts facts;
        cbp_real slopes[2];
        CHECK(cbp_activation_describe(activation, &facts) == CBP_OK);
        CHECK(cbp_activation_values(activation, sides, 2, NULL, slopes, NULL) == CBP_OK);
        CHECK(facts.has_kink == (fabs((double)(slopes[1] - slopes[0])) > 0.5 && slopes[1] < 2));
    }
}

/* The second derivative is that of the slope, to the error of a difference quotient: h^2 / 6 times
 * a fourth derivative, and 4 ulp of the slopes over h; both are below 2e-9 (single: 2e-3) of the
 * numbers here. By all kernels. */
static void test_second(void)
{
    static const char *const levels[] = {"generic", "avx2", "avx512"};
    static const double places[] = {-2.25, -1.5, -0.75, -0.375, 0.375, 0.75, 1.5, 2.25};
    const int is_single = sizeof(cbp_real) == sizeof(float);
    const cbp_real h = is_single ? (cbp_real)0x1p-7 : (cbp_real)0x1p-17;
    for (size_t level = 0; level < 3; level++) {
        if (cbp_kernel_choose(levels[level]) != CBP_OK) {
            continue;
        }
        for (int activation = 0; activation < CBP_ACTIVATION_END; activation++) {
            for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
                const cbp_real z[] = {R(places[i]) - h, R(places[i]), R(places[i]) + h};
                cbp_real slope[3], second[3];
                CHECK(cbp_activation_values(activation, z, 3, NULL, slope, second) == CBP_OK);
                const double quotient = ((double)slope[2] - (double)slope[0]) / (2 * (double)h);
                const double scale = 1 + fabs((double)slope[1]) + fabs((double)second[1]);
                CHECK(isnan(quotient) ||
                      fabs((double)second[1] - quotient) <= (is_single ? 2e-3 : 2e-9) * scale);
            }
        }
    }
    CHECK(cbp_kernel_choose(NULL) == CBP_OK);
}

int main(void)
{
    test_points();
    test_lanes();
    test_between();
    test_describe();
    test_describe_loss();
    test_kinks();
    test_second();
    return check_done("test_elementary");
}
