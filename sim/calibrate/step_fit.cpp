#include "sim/calibrate/step_fit.hpp"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "sim/base/check.hpp"
#include "sim/base/rng.hpp"

namespace kvsim {

namespace {

// Residuals well above this count by their size, not its square: kernels that chose another tile.
constexpr double kSoftScale = 0.1;
constexpr int kStepsMost = 60;
constexpr double kSettled = 1e-10;  // relative change of the loss

double soft_loss(double residual) {
  const double z = residual / kSoftScale;
  return std::sqrt(1 + z * z) - 1;
}
double soft_weight(double residual) {
  const double z = residual / kSoftScale;
  return 1 / std::sqrt(1 + z * z);
}

double log_error(const StepForm& form, const Coefficients& values, const FitRow& row) {
  return std::log(form.seconds(values, row) / row.seconds);
}

double loss(const StepForm& form, const Coefficients& values, const FitRows& rows) {
  double sum = 0;
  for (const FitRow& row : rows) sum += soft_loss(log_error(form, values, row));
  return sum;
}

Coefficients clamped(const StepForm& form, Coefficients values) {
  for (std::size_t j = 0; j < values.size(); ++j)
    values[j] = std::clamp(values[j], form.parameters[j].low, form.parameters[j].high);
  return values;
}

struct Normal {
  Eigen::MatrixXd matrix;
  Eigen::VectorXd gradient;
};

// J'WJ and J'Wr in units of the parameters' steps.
Normal normal_equations(const StepForm& form, const Coefficients& values, const FitRows& rows) {
  constexpr double kDifference = 1e-5;
  const auto n = static_cast<Eigen::Index>(values.size());
  Normal out{Eigen::MatrixXd::Zero(n, n), Eigen::VectorXd::Zero(n)};
  Eigen::VectorXd slope(n);
  for (const FitRow& row : rows) {
    const double residual = log_error(form, values, row);
    for (Eigen::Index j = 0; j < n; ++j) {
      const auto at = static_cast<std::size_t>(j);
      Coefficients moved = values;
      moved[at] += kDifference * form.parameters[at].step;
      slope[j] = (log_error(form, moved, row) - residual) / kDifference;
    }
    const double weight = soft_weight(residual);
    out.matrix += weight * slope * slope.transpose();
    out.gradient += weight * residual * slope;
  }
  return out;
}

// Levenberg-Marquardt from `values`, which it never makes worse.
Coefficients refine(const StepForm& form, Coefficients values, const FitRows& rows) {
  values = clamped(form, std::move(values));
  double best = loss(form, values, rows);
  double damping = 1e-3;
  for (int step = 0; step < kStepsMost && damping < 1e6; ++step) {
    const Normal normal = normal_equations(form, values, rows);
    bool better = false;
    for (; !better && damping < 1e6; damping *= better ? 0.2 : 5) {
      Eigen::MatrixXd matrix = normal.matrix;
      matrix.diagonal() += damping * (normal.matrix.diagonal().array() + 1e-12).matrix();
      const Eigen::VectorXd move = matrix.ldlt().solve(-normal.gradient);
      Coefficients next = values;
      for (std::size_t j = 0; j < next.size(); ++j)
        next[j] += move[static_cast<Eigen::Index>(j)] * form.parameters[j].step;
      next = clamped(form, std::move(next));
      const double now = loss(form, next, rows);
      if (!(now < best)) continue;
      better = true;
      const bool settled = best - now < kSettled * best;
      values = std::move(next);
      best = now;
      if (settled) return values;
    }
  }
  return values;
}

Coefficients best_end(const StepForm& form, const FitRows& rows) {
  Coefficients best;
  double least = 0;
  for (Coefficients& start : form.starts(rows)) {
    Coefficients end = refine(form, std::move(start), rows);
    const double now = loss(form, end, rows);
    if (!best.empty() && now >= least) continue;
    best = std::move(end);
    least = now;
  }
  return best;
}

// `values`, with the parameters that no step moves at their start for these rows.
Coefficients restarted(const StepForm& form, Coefficients values, const FitRows& rows) {
  const auto held = [](const StepForm::Parameter& parameter) { return parameter.step == 0; };
  if (std::none_of(form.parameters.begin(), form.parameters.end(), held)) return values;
  const Coefficients start = form.starts(rows).front();
  for (std::size_t j = 0; j < values.size(); ++j)
    if (held(form.parameters[j])) values[j] = start[j];
  return values;
}

std::vector<std::int64_t> groups_in(const FitRows& rows) {
  std::set<std::int64_t> groups;
  for (const FitRow& row : rows) groups.insert(row.group);
  return {groups.begin(), groups.end()};
}

// The groups that are held out: a random share, at least one.
std::set<std::int64_t> held_out_groups(std::vector<std::int64_t> groups,
                                       const FitOptions& options) {
  const auto count = static_cast<std::size_t>(
      std::max(1.0, std::round(options.held_out_share * static_cast<double>(groups.size()))));
  Rng rng = stream(options.seed, "fit/held out");
  std::set<std::int64_t> out;
  while (out.size() < count) {
    const std::size_t at = rng.below(groups.size());
    out.insert(groups[at]);
    groups.erase(groups.begin() + static_cast<std::ptrdiff_t>(at));
  }
  return out;
}

void hold_out(const StepForm& form, const FitRows& rows, const FitOptions& options,
              FitReport& report) {
  const std::vector<std::int64_t> groups = groups_in(rows);
  report.groups = groups.size();
  if (options.held_out_share <= 0 || groups.size() < 3) return;
  const std::set<std::int64_t> out = held_out_groups(groups, options);
  FitRows kept, tested;
  for (const FitRow& row : rows) (out.contains(row.group) ? tested : kept).push_back(row);
  if (kept.size() <= form.parameters.size()) return;
  report.held_out = fit_error(form, best_end(form, kept), tested);
}

// 95 % intervals: the fit repeated on groups drawn with replacement.
void resample(const StepForm& form, const FitRows& rows, const FitOptions& options,
              const Coefficients& values, FitReport& report) {
  std::map<std::int64_t, FitRows> by_group;
  for (const FitRow& row : rows) by_group[row.group].push_back(row);
  const std::vector<std::int64_t> groups = groups_in(rows);
  if (options.resamples <= 0 || groups.size() < 3) return;
  Rng rng = stream(options.seed, "fit/resample");
  std::vector<std::vector<double>> drawn(values.size());
  for (int i = 0; i < options.resamples; ++i) {
    FitRows sample;
    for (std::size_t g = 0; g < groups.size(); ++g) {
      const FitRows& group = by_group[groups[rng.below(groups.size())]];
      sample.insert(sample.end(), group.begin(), group.end());
    }
    const Coefficients again = refine(form, restarted(form, values, sample), sample);
    for (std::size_t j = 0; j < values.size(); ++j) drawn[j].push_back(again[j]);
  }
  for (std::size_t j = 0; j < values.size(); ++j) {
    std::sort(drawn[j].begin(), drawn[j].end());
    const auto at = [&](double share) {
      return drawn[j][static_cast<std::size_t>(share * static_cast<double>(drawn[j].size() - 1))];
    };
    report.coefficients[j].low = std::min(values[j], at(0.025));
    report.coefficients[j].high = std::max(values[j], at(0.975));
  }
}

}  // namespace

FitError fit_error(std::vector<double> errors) {
  FitError out;
  out.rows = errors.size();
  if (errors.empty()) return out;
  const auto count = static_cast<double>(errors.size());
  for (double& error : errors) {
    out.bias += error / count;
    error = std::abs(error);
    out.mean += error / count;
  }
  std::sort(errors.begin(), errors.end());
  out.p90 = errors[static_cast<std::size_t>(0.9 * (count - 1))];
  return out;
}

FitError fit_error(const StepForm& form, const Coefficients& values, const FitRows& rows) {
  std::vector<double> errors;
  errors.reserve(rows.size());
  for (const FitRow& row : rows) errors.push_back(form.seconds(values, row) / row.seconds - 1);
  return fit_error(std::move(errors));
}

Coefficients linear_relative_fit(const FitRows& rows, std::size_t columns, bool with_constant) {
  const std::size_t first = with_constant ? 1 : 0;
  const auto n = static_cast<Eigen::Index>(columns + first);
  const auto input = [&](const FitRow& row, Eigen::Index j) {
    const auto at = static_cast<std::size_t>(j);
    return at < first ? 1.0 : row.x[at - first];
  };
  std::vector<bool> used(static_cast<std::size_t>(n), true);
  while (true) {
    std::vector<Eigen::Index> open;
    for (Eigen::Index j = 0; j < n; ++j)
      if (used[static_cast<std::size_t>(j)]) open.push_back(j);
    if (open.empty()) return Coefficients(static_cast<std::size_t>(n), 0);
    Eigen::MatrixXd a(static_cast<Eigen::Index>(rows.size()),
                      static_cast<Eigen::Index>(open.size()));
    for (std::size_t i = 0; i < rows.size(); ++i)
      for (std::size_t j = 0; j < open.size(); ++j)
        a(static_cast<Eigen::Index>(i), static_cast<Eigen::Index>(j)) =
            input(rows[i], open[j]) / rows[i].seconds;
    // Columns of very different size: solved with each at length 1.
    const Eigen::VectorXd scale = a.colwise().norm().cwiseMax(1e-300);
    const Eigen::VectorXd solved = (a * scale.cwiseInverse().asDiagonal())
                                       .colPivHouseholderQr()
                                       .solve(Eigen::VectorXd::Ones(a.rows()))
                                       .cwiseQuotient(scale);
    Coefficients values(static_cast<std::size_t>(n), 0);
    bool negative = false;
    for (std::size_t j = 0; j < open.size(); ++j) {
      const double value = solved[static_cast<Eigen::Index>(j)];
      values[static_cast<std::size_t>(open[j])] = value;
      if (value < 0) used[static_cast<std::size_t>(open[j])] = false, negative = true;
    }
    if (!negative) return values;
  }
}

StepFit fit_form(const StepForm& form, const FitRows& rows, const FitOptions& options) {
  KV_CHECK(rows.size() > form.parameters.size(), "{} rows for {} coefficients", rows.size(),
           form.parameters.size());
  StepFit fit;
  fit.values = best_end(form, rows);
  for (std::size_t j = 0; j < fit.values.size(); ++j)
    fit.report.coefficients.push_back(
        {form.parameters[j].name, fit.values[j], fit.values[j], fit.values[j]});
  fit.report.training = fit_error(form, fit.values, rows);
  hold_out(form, rows, options, fit.report);
  resample(form, rows, options, fit.values, fit.report);
  return fit;
}

}  // namespace kvsim
