// Constants of a law by least squares of relative errors, each sample's median against the law, and
// how sure they are: by drawing the samples again (bootstrap).
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "sim/calibrate/lane_model.hpp"

namespace kvsim {

// What the law says of an operation, by its constants.
using Law = std::function<double(const BenchOperation& operation, std::span<const double> values)>;

// A constant that is sought: above 0, by the decade around `start`.
struct Sought {
  std::string path;  // in Figures
  double start;
};

// Fits the constants to the samples' medians; sets them in `figures` and says how sure they are.
// Nothing when there are no samples. Outliers weigh less (Huber's loss above 20 % error).
std::vector<FittedFigure> fit_law(const std::vector<Sample>& samples, const Law& law,
                                  const std::vector<Sought>& sought, Figures& figures);

// Samples of an operation of this name.
std::vector<Sample> samples_of(const std::vector<Sample>& samples, const std::string& name);

// Of operations that do nothing but work on cores, at `threads` each: their medians as they are on
// a machine that does nothing else, by the core time that the bench saw ("cpu_s"), where that is
// less than what passed.
std::vector<Sample> undisturbed(std::vector<Sample> samples, double threads, double cores);

// The object at `key`, or an empty one.
Json figures_at(const Figures& figures, const std::string& key);

}  // namespace kvsim
