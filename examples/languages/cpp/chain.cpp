// Forward pass, gradient and fit of chains read from standard input; ../README.md has the format.
#include <cbackprop.h>

#include <chrono>
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

    std::size_t layers() const { return activations.size(); }

    Numbers forward(const Numbers &x) const
    {
        Numbers out(x.size());
        check(cbp_forward(params.data(), activations.data(), x.data(), layers(), x.size(), out.data()));
        return out;
    }

    // Into `out`, so that a loop allocates nothing; `work` has cbp_work_len(layers(), n) numbers.
    void gradient(const double *x, const double *y, std::size_t n, Numbers &work, Numbers &out) const
    {
        check(cbp_gradient(params.data(), activations.data(), x, y, nullptr, layers(), n, CBP_SQUARED, 1, work.data(),
                           nullptr, out.data()));
    }

    std::size_t fit(const Numbers &x, const Numbers &y)
    {
        cbp_fit_options options;
        cbp_fit_info info;
        Numbers work(cbp_fit_work_len(layers(), params.size(), x.size()));
        check(cbp_fit_defaults(&options));
        check(cbp_fit_lm(activations.data(), frozen.data(), nullptr, nullptr, x.data(), y.data(), nullptr, layers(),
                         x.size(), &options, work.data(), params.data(), &info));
        return info.iterations;
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
    long fit, repeats;
    while (std::cin >> layers >> n >> fit >> repeats) {
        Chain chain;
        chain.activations = read<unsigned char>(layers);
        chain.frozen = read<unsigned char>(2 * layers);
        chain.params = read<double>(2 * layers);
        const Numbers x = read<double>(n), y = read<double>(n);
        Numbers gradient(2 * layers), work(cbp_work_len(layers, n));

        print("forward", chain.forward(x));
        chain.gradient(x.data(), y.data(), n, work, gradient);
        print("gradient", gradient);
        if (fit) {
            std::cout << "iterations " << chain.fit(x, y) << '\n';
            print("fit", chain.params);
        }
        if (repeats) {
            const auto start = std::chrono::steady_clock::now();
            for (long i = 0; i < repeats; i++) {
                chain.gradient(x.data(), y.data(), 1, work, gradient);
            }
            const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - start;
            std::cout << "ns " << took.count() / static_cast<double>(repeats) << '\n';
        }
    }
}
