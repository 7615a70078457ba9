/* The native methods of Chain.java. */
#include <cbackprop.h>

#include <jni.h>
#include <stdlib.h>

/* Java's arrays are used where they are; nothing between get and release calls Java. */
static void *get(JNIEnv *env, jarray array)
{
    return (*env)->GetPrimitiveArrayCritical(env, array, NULL);
}

static void release(JNIEnv *env, jarray array, const void *memory)
{
    (*env)->ReleasePrimitiveArrayCritical(env, array, (void *)memory, 0);
}

static size_t length(JNIEnv *env, jarray array)
{
    return (size_t)(*env)->GetArrayLength(env, array);
}

static void check(JNIEnv *env, int status)
{
    if (status != CBP_OK) {
        jclass kind = (*env)->FindClass(env, "java/lang/IllegalArgumentException");
        (*env)->ThrowNew(env, kind, cbp_status_string(status));
    }
}

JNIEXPORT void JNICALL Java_Chain_forward(JNIEnv *env, jclass self, jdoubleArray params,
                                          jbyteArray activations, jdoubleArray x, jdoubleArray out)
{
    const size_t layers = length(env, activations), n = length(env, x);
    const cbp_chain chain = {get(env, params), get(env, activations), NULL, layers};
    double *in = get(env, x), *to = get(env, out);
    const int status = cbp_forward(&chain, in, n, to);
    release(env, out, to);
    release(env, x, in);
    release(env, activations, chain.activations);
    release(env, params, chain.params);
    check(env, status);
    (void)self;
}

JNIEXPORT void JNICALL Java_Chain_gradient(JNIEnv *env, jclass self, jdoubleArray params,
                                           jbyteArray activations, jdoubleArray x, jdoubleArray y,
                                           jdoubleArray out)
{
    const size_t layers = length(env, activations), n = length(env, x);
    const size_t work_len = cbp_work_len(layers, n);
    double *work = work_len > 0 ? malloc(work_len * sizeof *work) : NULL;
    const cbp_chain chain = {get(env, params), get(env, activations), NULL, layers};
    const cbp_examples examples = {get(env, x), get(env, y), NULL, n};
    double *to = get(env, out);
    const int status = cbp_gradient(&chain, &examples, NULL, work, NULL, to);
    release(env, out, to);
    release(env, y, examples.y);
    release(env, x, examples.x);
    release(env, activations, chain.activations);
    release(env, params, chain.params);
    free(work);
    check(env, status);
    (void)self;
}

JNIEXPORT jlong JNICALL Java_Chain_fit(JNIEnv *env, jclass self, jdoubleArray params,
                                       jbyteArray activations, jbyteArray frozen, jdoubleArray x,
                                       jdoubleArray y)
{
    const size_t layers = length(env, activations), n = length(env, x);
    double *work = malloc(cbp_fit_work_len(layers, 2 * layers, n) * sizeof *work);
    double *moving = get(env, params);
    const cbp_chain chain = {moving, get(env, activations), get(env, frozen), layers};
    const cbp_examples examples = {get(env, x), get(env, y), NULL, n};
    cbp_fit_options options;
    cbp_fit_info info;
    cbp_fit_defaults(&options);
    const int status = cbp_fit_lm(&chain, &examples, &options, work, moving, &info);
    release(env, y, examples.y);
    release(env, x, examples.x);
    release(env, frozen, chain.frozen);
    release(env, activations, chain.activations);
    release(env, params, moving);
    free(work);
    check(env, status);
    (void)self;
    return status == CBP_OK ? (jlong)info.iterations : 0;
}

JNIEXPORT jdouble JNICALL Java_Chain_fitCurve(JNIEnv *env, jclass self, jdoubleArray x,
                                              jdoubleArray y, jdoubleArray natural,
                                              jdoubleArray covariance)
{
    const size_t n = length(env, x);
    double *work = malloc(cbp_curve_fit_work_len(n) * sizeof *work);
    double params[6], triangle[5 * 5];
    unsigned char determined[4];
    const cbp_examples examples = {get(env, x), get(env, y), NULL, n};
    cbp_curve_result result = {.natural = get(env, natural),
                               .params = params,
                               .covariance = get(env, covariance),
                               .determined = determined,
                               .triangle = triangle};
    cbp_fit_options options;
    cbp_fit_defaults(&options);
    const int status =
        cbp_curve_fit(cbp_curve_named("logistic4"), &examples, NULL, &options, work, &result);
    release(env, covariance, result.covariance);
    release(env, natural, result.natural);
    release(env, y, examples.y);
    release(env, x, examples.x);
    free(work);
    check(env, status);
    (void)self;
    return status == CBP_OK ? result.rss : 0;
}
