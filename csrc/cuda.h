/* Many fits on a graphics processor, one chain a thread: the lanes of many.c, one lane wide. What
 * they cannot finish gets the status CBP_RUNNING and keeps its start, for the host to fit.
 *
 * cbackprop.cuda puts the translation unit together from the single file (single_file.py), for one
 * kind of fit: CBP_CUDA_LAYERS, CBP_CUDA_FREE, CBP_CUDA_N, CBP_CUDA_ACTIVATIONS, CBP_CUDA_FROZEN
 * and CBP_CUDA_LOSS are constants of it. NVRTC compiles it, with -fmad=false, since products and
 * sums are fused only where CBP_FMA stands; and so does any compiler of C++ 20, for a test without
 * such a processor.
 */

/* The arguments of a call. */
typedef struct cbp_cuda_batch {
    cbp_example_sets sets;
    cbp_fits fits;
    const cbp_real *lower, *upper;
    size_t max_iterations;
    cbp_real tolerance, scale; /* scale: of the loss */
} cbp_cuda_batch;

static const unsigned char cuda_activations[CBP_CUDA_LAYERS] = {CBP_CUDA_ACTIVATIONS};
static const unsigned char cuda_frozen[2 * CBP_CUDA_LAYERS] = {CBP_CUDA_FROZEN};

static void cuda_fit(const cbp_cuda_batch *batch, size_t i)
{
    const size_t all = 2 * CBP_CUDA_LAYERS, packed = triangle_len(CBP_CUDA_FREE);
    cbp_real work[many_len(CBP_CUDA_LAYERS, CBP_CUDA_FREE, CBP_CUDA_N)];
    const cbp_example_sets *sets = &batch->sets;
    cbp_fits fits = batch->fits;
    cbp_fit_options options;
    many s;
    memset(&s, 0, sizeof s);
    memset(&options, 0, sizeof options);
    options.max_iterations = batch->max_iterations;
    options.tolerance = batch->tolerance;
    fits.params += i * all;
    fits.status += i;
    fits.iterations += i;
    fits.loss += i;
    fits.weight += i;
    fits.variance += i;
    fits.df += i;
    fits.standard_error += i * all;
    fits.covariance = fits.covariance ? fits.covariance + i * packed : NULL;
    fits.determined += i * all;
    s.fits = &fits;
    s.sets = *sets;
    s.sets.x += i * sets->x_step;
    s.sets.y += i * CBP_CUDA_N;
    s.sets.weight = sets->weight ? sets->weight + i * sets->weight_step : NULL;
    s.sets.n = CBP_CUDA_N;
    s.sets.m = 1;
    s.kind.chain.params = fits.params;
    s.kind.chain.activations = cuda_activations;
    s.kind.chain.frozen = cuda_frozen;
    s.kind.chain.layers = CBP_CUDA_LAYERS;
    s.kind.lower = batch->lower;
    s.kind.upper = batch->upper;
    s.kind.loss.kind = CBP_CUDA_LOSS;
    s.kind.loss.scale = batch->scale;
    s.kind.options = &options;
    fit_all_sets(&s, work);
}

#ifdef __CUDACC_RTC__
extern "C" __global__ void __launch_bounds__(128) cbp_cuda_fit_many(const cbp_cuda_batch *batch)
{
    const size_t i = blockIdx.x * (size_t)blockDim.x + threadIdx.x;
    if (i < batch->sets.m) {
        cuda_fit(batch, i);
    }
}
#else
extern "C" void cbp_cuda_fit_many(const cbp_cuda_batch *batch)
{
    for (size_t i = 0; i < batch->sets.m; i++) {
        cuda_fit(batch, i);
    }
}
#endif
