// JSON samples of our own GPU probe as operator timings. The median counts. Operations that no fit
// uses (shuffle, checksum, all-reduces by peer copies, ...) are skipped and named in the report.
// The probe cycles enough weight copies that weights come from memory; "weight_copies" of a sample
// says otherwise.
#include <fmt/format.h>

#include <map>

#include "sim/base/config_node.hpp"
#include "sim/calibrate/operator_table.hpp"

namespace kvsim {

namespace {

constexpr Range kCount{1, 1e15};
constexpr double kProbeWeightCopies = 6;

double label(const ConfigNode& sample, const char* name, Range range = kCount) {
  if (!sample.has(name))
    sample.fail(fmt::format("no \"{}\" in {}", name, sample.found()),
                fmt::format("a number \"{}\" beside the operation", name));
  return sample.at(name).number(range);
}

double label_or(const ConfigNode& sample, const char* name, double otherwise,
                Range range = kCount) {
  return sample.has(name) ? label(sample, name, range) : otherwise;
}

std::string text_or(const ConfigNode& sample, const char* name, const char* otherwise) {
  return sample.has(name) ? sample.at(name).text() : otherwise;
}

// Blocks over several streams are no figure of the link as engines use it: one stream a direction.
bool read_copy(const ConfigNode& sample, CopyDirection direction, double seconds,
               OperatorTable& table) {
  const double bytes = label(sample, "bytes");
  const std::string method = text_or(sample, "method", "");
  if (method != "memcpy" && label_or(sample, "streams", 1) > 1) return false;
  table.copies.push_back(
      {direction, method, bytes, label_or(sample, "block_bytes", bytes), seconds});
  return true;
}

bool read_sample(const ConfigNode& sample, const std::string& operation, OperatorTable& table) {
  const double seconds = label(sample, "p50_s", Range{1e-9, 1e4});
  const std::string dtype = plain_dtype(text_or(sample, "dtype", "bf16"));
  const TimingOrigin own{true, ""};
  if (operation == "gemm")
    table.gemm.push_back({own, dtype, label(sample, "m"), label(sample, "n"), label(sample, "k"),
                          label_or(sample, "weight_copies", kProbeWeightCopies), seconds});
  else if (operation == "prefill-attention")
    table.prefill.push_back({own, dtype, label(sample, "head_dim"), label(sample, "heads"),
                             label(sample, "kv_heads"), label_or(sample, "batch", 1),
                             label(sample, "chunk"), label_or(sample, "context", 0, Range{0, 1e12}),
                             seconds});
  else if (operation == "decode-attention")
    table.decode.push_back({own, dtype, label(sample, "head_dim"), label(sample, "heads"),
                            label(sample, "kv_heads"), label(sample, "batch"),
                            label(sample, "kv_len"), seconds});
  else if (operation == "all-reduce" && text_or(sample, "method", "") != "peer-copies")
    table.all_reduce.push_back({own, label(sample, "gpus"), label(sample, "bytes"), seconds});
  else if (operation == "copy-to-gpu")
    return read_copy(sample, CopyDirection::kToGpu, seconds, table);
  else if (operation == "copy-to-host")
    return read_copy(sample, CopyDirection::kToHost, seconds, table);
  else if (operation == "copy-both")
    return read_copy(sample, CopyDirection::kBoth, seconds, table);
  else
    return false;
  return true;
}

}  // namespace

void read_operator_samples(const std::string& path, OperatorTable& table) {
  const Json json = load_json(path);
  const ConfigNode root(json, path);
  root.expect_object();
  if (!root.has("samples"))
    root.fail("no \"samples\"",
              "{\"identity\": {...}, \"samples\": [...]}, as the GPU probe writes");
  const ConfigNode samples = root.at("samples");
  samples.expect_array();
  std::map<std::string, int> skipped;
  for (std::size_t i = 0; i < samples.json().size(); ++i) {
    const ConfigNode sample = samples.at(i);
    sample.expect_object();
    if (!sample.has("operation")) sample.fail(sample.found(), "an object with \"operation\"");
    const std::string operation = sample.at("operation").text();
    if (!read_sample(sample, operation, table)) ++skipped[operation];
  }
  for (const auto& [operation, count] : skipped)
    table.skipped.push_back(fmt::format("{}: {} samples of {}", path, count, operation));
}

}  // namespace kvsim
