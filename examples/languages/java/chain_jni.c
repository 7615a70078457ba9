/* The native methods of Chain.java. */
#include <cbackprop.h>

#include <jni.h>
#include <stdlib.h>

/* Java's arrays are used where they are; nothing between get and release calls Java. */
static void *get(JNIEnv *env, jarray array)
{
    return (*env)->GetPrimitiveArrayCritical(env, array, NULL);
}

static void release(JNIEnv *env, jarray array, void *memory)
{
    (*env)->ReleasePrimitiveArrayCritical(env, array, memory, 0);
}

static void check(JNIEnv *env, int status)
{
    if (status != CBP_OK) {
        jclass kind = (*env)->FindClass(env, "java/lang/IllegalArgumentException");
        (*env)->ThrowNew(env, kind, cbp_status_string(status));
    }
}

JNIEXPORT void JNICALL Java_Chain_forward(JNIEnv *env, jclass self, jdoubleArray params, jbyteArray activations,
                                          jdoubleArray x, jdoubleArray out)
{
    const size_t layers = (size_t)(*env)->GetArrayLength(env, activations);
    const size_t n = (size_t)(*env)->GetArrayLength(env, x);
    double *p = get(env, params), *in = get(env, x), *to = get(env, out);
    unsigned char *codes = get(env, activations);
    const int status = cbp_forward(p, codes, in, layers, n, to);
    release(env, activations, codes);
    release(env, out, to);
    release(env, x, in);
    release(env, params, p);
    check(env, status);
    (void)self;
}

JNIEXPORT void JNICALL Java_Chain_gradient(JNIEnv *env, jclass self, jdoubleArray params, jbyteArray activations,
                                           jdoubleArray x, jdoubleArray y, jdoubleArray out)
{
    const size_t layers = (size_t)(*env)->GetArrayLength(env, activations);
    const size_t n = (size_t)(*env)->GetArrayLength(env, x), len = cbp_work_len(layers, n);
    double *work = len > 0 ? malloc(len * sizeof *work) : NULL;
    double *p = get(env, params), *in = get(env, x), *target = get(env, y), *to = get(env, out);
    unsigned char *codes = get(env, activations);
    const int status = cbp_gradient(p, codes, in, target, NULL, layers, n, CBP_SQUARED, 1, work, NULL, to);
    release(env, activations, codes);
    release(env, out, to);
    release(env, y, target);
    release(env, x, in);
    release(env, params, p);
    free(work);
    check(env, status);
    (void)self;
}

JNIEXPORT jlong JNICALL Java_Chain_fit(JNIEnv *env, jclass self, jdoubleArray params, jbyteArray activations,
                                       jbyteArray frozen, jdoubleArray x, jdoubleArray y)
{
    const size_t layers = (size_t)(*env)->GetArrayLength(env, activations);
    const size_t n = (size_t)(*env)->GetArrayLength(env, x);
    double *work = malloc(cbp_fit_work_len(layers, 2 * layers, n) * sizeof *work);
    double *p = get(env, params), *in = get(env, x), *target = get(env, y);
    unsigned char *codes = get(env, activations), *held = get(env, frozen);
    cbp_fit_options options;
    cbp_fit_info info;
    cbp_fit_defaults(&options);
    const int status = cbp_fit_lm(codes, held, NULL, NULL, in, target, NULL, layers, n, &options, work, p, &info);
    release(env, frozen, held);
    release(env, activations, codes);
    release(env, y, target);
    release(env, x, in);
    release(env, params, p);
    free(work);
    check(env, status);
    (void)self;
    return status == CBP_OK ? (jlong)info.iterations : 0;
}
