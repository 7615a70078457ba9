// Chains read from standard input, and a fit of a named curve; ../README.md has the format.
#include <cbackprop.h>

#include <chrono>
#include <cmath>
#include <iomanip>
#include <iostream>
#include <stdexcept>
#include <vector>

using Numbers = std::vector<double>;
using Bytes = std::vector<unsigned char>;

static void check(int status)
{
    if (status != CBP_OK) {
        throw std::runtime_error(cbp_status_string(status));
    }
}

struct Chain {
    Numbers params;
    Bytes activations, frozen;

    cbp_chain view() const
    {
        return {params.data(), activations.data(), frozen.data(), activations.size()};
    }

    Numbers forward(const Numbers &x) const
    {
        const cbp_chain chain = view();
        Numbers out(x.size());
        check(cbp_forward(&chain, x.data(), x.size(), out.data()));
        return out;
    }

    // Into `out`, so that a loop allocates nothing; `work` has cbp_work_len(layers, n) numbers.
    void gradient(const cbp_examples &examples, Numbers &work, Numbers &out) const
    {
        const cbp_chain chain = view();
        check(cbp_gradient(&chain, &examples, nullptr, work.data(), nullptr, out.data()));
    }

    std::size_t fit(const cbp_examples &examples)
    {
        const cbp_chain chain = view();
        cbp_fit_options options;
        cbp_fit_info info;
        Numbers work(cbp_fit_work_len(chain.layers, params.size(), examples.n));
        check(cbp_fit_defaults(&options));
        check(cbp_fit_lm(&chain, &examples, &options, work.data(), params.data(), &info));
        return info.iterations;
    }
};

// A fit of "logistic4": bottom, top, ec50 and slope; no start is needed.
struct Logistic4 {
    Numbers natural = Numbers(4), errors = Numbers(4), params = Numbers(6);
    double rss;

    explicit Logistic4(const cbp_examples &examples)
    {
        Numbers covariance(4 * 4), triangle(5 * 5), work(cbp_curve_fit_work_len(examples.n));
        Bytes determined(4);
        cbp_curve_result result = {};
        result.natural = natural.data();
        result.params = params.data();
        result.covariance = covariance.data();
        result.determined = determined.data();
        result.triangle = triangle.data();
        cbp_fit_options options;
        check(cbp_fit_defaults(&options));
        check(cbp_curve_fit(cbp_curve_named("logistic4"), &examples, nullptr, &options, work.data(),
                            &result));
        for (std::size_t k = 0; k < 4; k++) {
            // the covariance has log(ec50)
            const double scale = k == 2 ? natural[k] : 1;
            errors[k] = std::sqrt(covariance[k * 4 + k] * scale * scale);
        }
        rss = result.rss;
    }
};

template <class T> static std::vector<T> read(std::size_t n)
{
    std::vector<T> out(n);
    for (T &item : out) {
        double number;
        std::cin >> number;
        item = static_cast<T>(number);
    }
    return out;
}

static void print(const char *what, const Numbers &of)
{
    std::cout << what << std::setprecision(17);
    for (double number : of) {
        std::cout << ' ' << number;
    }
    std::cout << '\n';
}

int main()
{
    std::size_t layers, n;
    long fit, curve, repeats;
    while (std::cin >> layers >> n >> fit >> curve >> repeats) {
        Chain chain;
        chain.activations = read<unsigned char>(layers);
        chain.frozen = read<unsigned char>(2 * layers);
        chain.params = read<double>(2 * layers);
        const Numbers x = read<double>(n), y = read<double>(n);
        const cbp_examples examples = {x.data(), y.data(), nullptr, n};
        Numbers gradient(2 * layers), work(cbp_work_len(layers, n));

        print("forward", chain.forward(x));
        chain.gradient(examples, work, gradient);
        print("gradient", gradient);
        if (fit) {
            std::cout << "iterations " << chain.fit(examples) << '\n';
            print("fit", chain.params);
        }
        if (curve) {
            const Logistic4 found(examples);
            print("natural", found.natural);
            print("errors", found.errors);
            print("rss", {found.rss});
        }
        if (repeats) {
            using Clock = std::chrono::steady_clock;
            const cbp_examples first = {x.data(), y.data(), nullptr, 1};
            const auto start = Clock::now();
            for (long i = 0; i < repeats; i++) {
                chain.gradient(first, work, gradient);
            }
            const std::chrono::duration<double, std::nano> took = Clock::now() - start;
            std::cout << "ns " << took.count() / static_cast<double>(repeats) << '\n';
        }
    }
}
