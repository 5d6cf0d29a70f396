#include "sim/calibrate/lane_fit.hpp"

#include <algorithm>
#include <cmath>
#include <optional>

#include "sim/base/rng.hpp"

namespace kvsim {

namespace {

using Values = std::vector<double>;
using Loss = std::function<double(const Values& logs)>;

// Nelder and Mead's simplex, in logarithms: scale-free, and no constant becomes negative.
class Simplex {
 public:
  Simplex(const Loss& loss, const Values& start, double step) : loss_(loss) {
    add(start);
    for (std::size_t i = 0; i < start.size(); ++i) {
      Values corner = start;
      corner[i] += step;
      add(std::move(corner));
    }
    sort();
  }
  Values minimum() {
    constexpr int kMost = 2000;
    constexpr double kSmall = 1e-9;
    for (int i = 0; i < kMost && width() > kSmall; ++i) step();
    return corners_.front().at;
  }

 private:
  struct Corner {
    Values at;
    double loss;
  };
  void add(Values at) {
    const double loss = loss_(at);
    corners_.push_back({std::move(at), loss});
  }
  void sort() {
    std::stable_sort(corners_.begin(), corners_.end(),
                     [](const Corner& a, const Corner& b) { return a.loss < b.loss; });
  }
  [[nodiscard]] double width() const {
    double widest = 0;
    for (std::size_t i = 0; i < corners_[0].at.size(); ++i)
      widest = std::max(widest, std::abs(corners_.back().at[i] - corners_.front().at[i]));
    return widest;
  }
  // From the worst corner through the middle of the others: `far` times as far.
  [[nodiscard]] Corner through_middle(double far) const {
    const std::size_t others = corners_.size() - 1;
    Values at(corners_[0].at.size());
    for (std::size_t i = 0; i < at.size(); ++i) {
      double middle = 0;
      for (std::size_t c = 0; c < others; ++c) middle += corners_[c].at[i];
      middle /= static_cast<double>(others);
      at[i] = middle + far * (middle - corners_.back().at[i]);
    }
    const double loss = loss_(at);
    return {std::move(at), loss};
  }
  void step() {
    Corner& worst = corners_.back();
    const Corner mirrored = through_middle(1);
    if (mirrored.loss < corners_.front().loss) {
      Corner further = through_middle(2);
      worst = further.loss < mirrored.loss ? further : mirrored;
    } else if (mirrored.loss < corners_[corners_.size() - 2].loss) {
      worst = mirrored;
    } else {
      const Corner nearer = through_middle(mirrored.loss < worst.loss ? 0.5 : -0.5);
      if (nearer.loss < std::min(worst.loss, mirrored.loss))
        worst = nearer;
      else
        shrink();
    }
    sort();
  }
  void shrink() {
    for (std::size_t c = 1; c < corners_.size(); ++c) {
      for (std::size_t i = 0; i < corners_[c].at.size(); ++i)
        corners_[c].at[i] = (corners_[c].at[i] + corners_[0].at[i]) / 2;
      corners_[c].loss = loss_(corners_[c].at);
    }
  }
  const Loss& loss_;
  std::vector<Corner> corners_;
};

double huber(double error) {
  constexpr double kLarge = 0.2;
  const double size = std::abs(error);
  return size <= kLarge ? error * error : kLarge * (2 * size - kLarge);
}

Values exponentials(const Values& logs) {
  Values out;
  for (const double log : logs) out.push_back(std::exp(log));
  return out;
}

Values fitted(const std::vector<const Sample*>& samples, const Law& law, const Values& start) {
  const Loss loss = [&](const Values& logs) {
    const Values values = exponentials(logs);
    double sum = 0;
    for (const Sample* sample : samples)
      sum += huber(std::log(law(sample->operation, values) / sample->typical().count()));
    return sum;
  };
  // Again from where the last one ended: laws have edges, in which a simplex becomes flat.
  Values best = start;
  for (const double step : {0.5, -0.5, 0.3, -0.3, 0.1, -0.1, 0.5})
    best = Simplex(loss, best, step).minimum();
  return best;
}

constexpr int kDraws = 100;

}  // namespace

std::vector<FittedFigure> fit_law(const std::vector<Sample>& samples, const Law& law,
                                  const std::vector<Sought>& sought, Figures& figures) {
  if (samples.empty()) return {};
  Values start;
  for (const Sought& one : sought) start.push_back(std::log(one.start));
  std::vector<const Sample*> all;
  for (const Sample& sample : samples) all.push_back(&sample);
  const Values best = fitted(all, law, start);
  Rng rng = stream(1, "calibrate/bootstrap");
  std::vector<Values> drawn(sought.size());
  for (int draw = 0; draw < kDraws; ++draw) {
    std::vector<const Sample*> some;
    for (std::size_t i = 0; i < samples.size(); ++i)
      some.push_back(&samples[rng.below(samples.size())]);
    const Values values = fitted(some, law, best);
    for (std::size_t i = 0; i < values.size(); ++i) drawn[i].push_back(std::exp(values[i]));
  }
  std::vector<FittedFigure> out;
  for (std::size_t i = 0; i < sought.size(); ++i) {
    std::sort(drawn[i].begin(), drawn[i].end());
    const double value = std::exp(best[i]);
    figures[Json::json_pointer(sought[i].path)] = value;
    // The 95 % in the middle.
    out.push_back(
        {sought[i].path, value, drawn[i][kDraws / 40], drawn[i][kDraws - 1 - kDraws / 40]});
  }
  return out;
}

std::vector<Sample> samples_of(const std::vector<Sample>& samples, const std::string& name) {
  std::vector<Sample> out;
  for (const Sample& sample : samples)
    if (sample.operation.name == name) out.push_back(sample);
  return out;
}

std::vector<Sample> undisturbed(std::vector<Sample> samples, double threads, double cores) {
  for (Sample& sample : samples) {
    const std::optional<double> core_time = sample.seen("cpu_s");
    if (!core_time) continue;
    const double running = threads * static_cast<double>(sample.operation.at_once);
    const Seconds alone(*core_time / threads * std::max(1.0, running / cores));
    sample.p50 = std::min(sample.p50, alone);
    sample.mean = std::min(sample.mean, alone);
  }
  return samples;
}

Json figures_at(const Figures& figures, const std::string& key) {
  return figures.contains(key) ? figures.at(key) : Json::object();
}

}  // namespace kvsim
