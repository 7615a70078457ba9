// The fit of fits.c by Ceres' TinySolver: all sizes known to the compiler, nothing allocated, normal equations.
#include <ceres/tiny_solver.h>
#include <cmath>

namespace {

constexpr int POINTS = 10;

struct Residuals {
    typedef double Scalar;
    enum { NUM_RESIDUALS = POINTS, NUM_PARAMETERS = 4 };
    const double *log_dose, *y;

    bool operator()(const double *p, double *residuals, double *jacobian) const
    {
        for (int i = 0; i < POINTS; i++) {
            const double s = 1 / (1 + std::exp(-(p[0] * log_dose[i] + p[1])));
            residuals[i] = p[2] * s + p[3] - y[i];
            if (jacobian) {
                const double slope = p[2] * s * (1 - s);
                jacobian[i] = slope * log_dose[i];
                jacobian[POINTS + i] = slope;
                jacobian[2 * POINTS + i] = s;
                jacobian[3 * POINTS + i] = 1;
            }
        }
        return true;
    }
};

} // namespace

// The sum of squares; covariance[4][4] = (J'J)^-1.
extern "C" double tiny_solver(const double *log_dose, const double *y, const double *start, double *covariance)
{
    const Residuals function{log_dose, y};
    ceres::TinySolver<Residuals> solver;
    solver.options.parameter_tolerance = 1e-10;
    solver.options.function_tolerance = 1e-20; // of a change, not of a relative one: the steps decide
    Eigen::Vector4d p(start[0], start[1], start[2], start[3]);
    const double squares = 2 * solver.Solve(function, &p).final_cost;
    Eigen::Matrix<double, POINTS, 1> residuals;
    Eigen::Matrix<double, POINTS, 4> jacobian;
    function(p.data(), residuals.data(), jacobian.data());
    Eigen::Map<Eigen::Matrix4d>(covariance, 4, 4) =
        (jacobian.transpose() * jacobian).ldlt().solve(Eigen::Matrix4d::Identity());
    return squares;
}
