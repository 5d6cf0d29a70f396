// The measuring itself: statistics, stopping, JSON, the output file, the command line, shapes.
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>

#include "kernels/bench/arguments.hpp"
#include "kernels/bench/json.hpp"
#include "kernels/bench/measure.hpp"
#include "kernels/bench/output_file.hpp"
#include "kernels/bench/shapes.hpp"
#include "kernels/check/check.hpp"

namespace kvsim::kernels {
namespace {

// Gives run times from a list, then the last one for ever.
class Script final : public Stopwatch {
 public:
  explicit Script(std::vector<double> run_s) : run_s_(std::move(run_s)) {}
  double time(int repeats) override {
    runs += repeats;
    const double run_s = run_s_[std::min(calls, run_s_.size() - 1)];
    ++calls;
    return run_s * repeats;
  }
  std::size_t calls = 0;
  int runs = 0;

 private:
  std::vector<double> run_s_;
};

bool near(double a, double b) { return std::abs(a - b) <= 1e-9 * std::abs(b); }

void check_stopping(Report& report) {
  Limits limits;
  Script steady({9, 9, 9, 1e-3});
  const Measured quiet = measure(steady, limits);
  report.expect(quiet.count == limits.samples_min && !quiet.noisy, "steady times stop early");
  report.expect(near(quiet.p50_s, 1e-3) && near(quiet.p99_s, 1e-3), "warm-up does not count");

  std::vector<double> jumping;
  for (int i = 0; i < 500; ++i) jumping.push_back(i % 2 == 0 ? 1e-3 : 3e-3);
  Script restless(jumping);
  const Measured noisy = measure(restless, limits);
  report.expect(noisy.count == limits.samples_max && noisy.noisy, "restless times are noisy");

  Script slow({1.0, 1.0, 1.0, 1.0, 1.0, 2.0});
  limits.total_s = 0.5;
  report.expect(measure(slow, limits).count == limits.samples_min,
                "slow work stops at the minimum");

  Script quick({1e-6});
  const Measured repeated = measure(quick, limits);
  report.expect(repeated.repeats == 200 && near(repeated.p50_s, 1e-6),
                "short work is repeated within a sample and counted per run");
}

void check_statistics(Report& report) {
  const std::vector<double> five = {1, 2, 3, 4, 5};
  report.expect(
      near(quantile(five, 0.5), 3) && near(quantile(five, 0.1), 1.4) && near(quantile(five, 1), 5),
      "quantiles lie between neighbours");
  report.expect(median_noise(five) == 1, "five samples say nothing about the median");
  std::vector<double> hundred;
  for (int i = 1; i <= 100; ++i) hundred.push_back(i);
  // Ranks 40 to 61 of 100, as in tables of the sign test.
  report.expect(near(median_noise(hundred), 10.5 / 50.5), "the 95 % interval of the median");
  report.expect(above_peak(104, 100, "x").empty(), "4 % above the peak is its own uncertainty");
  report.expect(!above_peak(106, 100, "x").empty(), "6 % above the peak is an error");
  report.expect(above_peak(106, 0, "x").empty(), "no peak, no error");
}

void check_json(Report& report) {
  JsonWriter json;
  json.open_object();
  json.text("a", "x\"\\\n");
  json.open_array("list");
  json.open_object();
  json.number("whole", 3);
  json.number("part", 0.25);
  json.number("none", std::numeric_limits<double>::quiet_NaN());
  json.boolean("yes", true);
  json.close_object();
  json.close_array();
  json.open_array("empty");
  json.close_array();
  json.close_object();
  report.expect(
      json.str() ==
          "{\n  \"a\": \"x\\\"\\\\\\u000a\",\n  \"list\": [\n    {\"whole\": 3, \"part\": "
          "0.25, \"none\": null, \"yes\": true}\n  ],\n  \"empty\": []\n}\n",
      "JSON as expected, not:\n" + json.str());
}

void check_output_file(Report& report) {
  namespace fs = std::filesystem;
  const fs::path folder =
      fs::temp_directory_path() / ("kvsim_kernels_check." + std::to_string(getpid()));
  fs::create_directory(folder);
  const std::string path = folder / "out.json";
  const auto files = [&] {
    return std::distance(fs::directory_iterator(folder), fs::directory_iterator());
  };
  {
    const OutputFile file(path);
    report.expect(files() == 1 && !fs::exists(path), "only a temporary file while measuring");
  }
  report.expect(files() == 0, "nothing is left of a run that did not finish");
  OutputFile(path).finish("text");
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  report.expect(files() == 1 && text.str() == "text", "a finished file is in its place, alone");
  bool refused = false;
  try {
    const OutputFile file(folder / "missing" / "out.json");
  } catch (const std::runtime_error&) {
    refused = true;
  }
  report.expect(refused, "a folder that is not there is found out at once");
  fs::remove_all(folder);
}

void expect_usage_error(Report& report, const std::vector<std::string>& arguments) {
  bool refused = false;
  std::string line;
  for (const std::string& argument : arguments) line += " " + argument;
  try {
    parse_arguments(arguments);
  } catch (const UsageError&) {
    refused = true;
  }
  report.expect(refused, "refused:" + line);
}

void check_arguments(Report& report) {
  const Arguments full = parse_arguments({"--full", "--device", "2", "--out", "x.json"});
  report.expect(full.mode == Arguments::Mode::kMeasure && full.full && full.device == 2 &&
                    full.out == "x.json",
                "arguments of a full run");
  report.expect(parse_arguments({"--serve"}).mode == Arguments::Mode::kServe, "--serve");
  report.expect(parse_arguments({"--quick", "--help"}).mode == Arguments::Mode::kHelp, "--help");
  expect_usage_error(report, {});
  expect_usage_error(report, {"--quick"});
  expect_usage_error(report, {"--quick", "--full", "--out", "x"});
  expect_usage_error(report, {"--check", "--out", "x"});
  expect_usage_error(report, {"--quick", "--out"});
  expect_usage_error(report, {"--check", "--device", "1x"});
  expect_usage_error(report, {"--fast"});
}

void check_shapes(Report& report) {
  const Shapes quick = model_shapes(false, false);
  report.expect(quick.gemm.size() == 20, "five products of Llama-3-8B for four row counts");
  report.expect(quick.gemm[0] == GemmShape{1, 6144, 4096, "bfloat16"}, "its QKV product");
  const Shapes full = model_shapes(true, true);
  bool divides = true;
  for (const GemmShape& shape : full.gemm) divides &= shape.n % 8 == 0 && shape.k % 8 == 0;
  report.expect(divides, "all sizes suit tensor cores");
  const Shapes parsed = parse_shapes(
      "# a comment\n\ngemm 1 2 3 fp8\ndecode 4 512 32 8 128 # more\nprefill 256 0 32 8 128\n", "f");
  report.expect(parsed.gemm.size() == 1 && parsed.gemm[0] == GemmShape{1, 2, 3, "fp8"} &&
                    parsed.decode.size() == 1 && parsed.decode[0].kv_len == 512 &&
                    parsed.prefill.size() == 1 && parsed.prefill[0].chunk == 256,
                "shapes of a file");
  for (const char* wrong :
       {"gemm 1 2 3 int4", "gemm 1 2 3", "decode 1 2 3", "conv 1 2", "gemm 0 1 1 fp8"}) {
    std::string message;
    try {
      parse_shapes(std::string("\n") + wrong, "shapes.txt");
    } catch (const UsageError& error) {
      message = error.what();
    }
    report.expect(message.rfind("shapes.txt:2: ", 0) == 0, std::string("refused: ") + wrong);
  }
}

}  // namespace

void check_bench(Report& report) {
  check_stopping(report);
  check_statistics(report);
  check_json(report);
  check_output_file(report);
  check_arguments(report);
  check_shapes(report);
}

}  // namespace kvsim::kernels
