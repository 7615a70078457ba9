/* All that the core asks of <math.h>, by the compiler alone, for targets without a C library. */
#ifndef CBP_FREESTANDING_MATH_H
#define CBP_FREESTANDING_MATH_H

#define INFINITY __builtin_inff()
#define NAN __builtin_nanf("")

#define copysign __builtin_copysign
#define copysignf __builtin_copysignf
#define fabs __builtin_fabs
#define fabsf __builtin_fabsf
#define fma __builtin_fma
#define fmaf __builtin_fmaf
#define sqrt __builtin_sqrt
#define sqrtf __builtin_sqrtf

#endif
