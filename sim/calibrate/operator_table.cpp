// The columns that tell a kind of CSV apart, and how its rows become timings. Latencies of operator
// tables are milliseconds, those of layer profiles microseconds. GEMM tables cycle six copies of
// the weights per replay.
#include "sim/calibrate/operator_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "sim/base/config_node.hpp"
#include "sim/base/errors.hpp"
#include "sim/workload/csv_reader.hpp"

namespace kvsim {

namespace {

constexpr double kMillisecond = 1e-3;
constexpr double kMicrosecond = 1e-6;
constexpr double kTableWeightCopies = 6;

double field(const CsvReader& csv, const char* name, double low = 0) {
  return csv.number(csv.column(name), low);
}

std::string text(const CsvReader& csv, const char* name) {
  return std::string(csv.text(csv.column(name)));
}

double positive(const CsvReader& csv, const char* name) {
  const std::size_t column = csv.column(name);
  const double value = csv.number(column, 0);
  if (value == 0) csv.fail(column, "a number above 0");
  return value;
}

TimingOrigin release(const CsvReader& csv) {
  const auto column = csv.find_column("vllm");
  return {false, column ? std::string(csv.text(*column)) : ""};
}

void read_gemm(CsvReader& csv, OperatorTable& table) {
  table.gemm.push_back({release(csv), plain_dtype(text(csv, "dtype")), positive(csv, "m"),
                        positive(csv, "n"), positive(csv, "k"), kTableWeightCopies,
                        positive(csv, "latency_ms") * kMillisecond});
}

void read_prefill(CsvReader& csv, OperatorTable& table) {
  table.prefill.push_back({release(csv), plain_dtype(text(csv, "kv_dtype")),
                           positive(csv, "head_dim"), positive(csv, "heads"),
                           positive(csv, "kv_heads"), positive(csv, "batch"), positive(csv, "isl"),
                           0, positive(csv, "latency_ms") * kMillisecond});
}

void read_decode(CsvReader& csv, OperatorTable& table) {
  table.decode.push_back({release(csv), plain_dtype(text(csv, "kv_dtype")),
                          positive(csv, "head_dim"), positive(csv, "heads"),
                          positive(csv, "kv_heads"), positive(csv, "batch"),
                          positive(csv, "kv_len"), positive(csv, "latency_ms") * kMillisecond});
}

// Only times under CUDA graphs: that is how steps run.
void read_all_reduce(CsvReader& csv, OperatorTable& table) {
  if (text(csv, "kernel").ends_with("_eager")) return;
  table.all_reduce.push_back({release(csv), positive(csv, "gpus"), positive(csv, "bytes"),
                              positive(csv, "latency_ms") * kMillisecond});
}

void read_mixture(CsvReader& csv, OperatorTable& table) {
  table.mixture.push_back({release(csv), plain_dtype(text(csv, "dtype")), text(csv, "distribution"),
                           positive(csv, "hidden"), positive(csv, "inter"), positive(csv, "topk"),
                           positive(csv, "experts"), positive(csv, "tp"), positive(csv, "ep"),
                           positive(csv, "num_tokens"),
                           positive(csv, "latency_ms") * kMillisecond});
}

// The layer profiles are of one model, Llama-3.1-8B; a layer's weights by its name.
void read_layer(CsvReader& csv, OperatorTable& table, const char* rows_column) {
  struct Shape {
    const char* layer;
    double n, k;
  };
  constexpr Shape kShapes[] = {{"qkv_proj", 6144, 4096},
                               {"o_proj", 4096, 4096},
                               {"gate_up_proj", 28672, 4096},
                               {"down_proj", 4096, 14336},
                               {"lm_head", 128256, 4096}};
  // A pass goes through all layers' weights before it comes back to the same ones.
  constexpr double kPassElements = 218103808;
  const std::string layer = text(csv, "layer");
  for (const Shape& shape : kShapes)
    if (layer == shape.layer)
      table.gemm.push_back({release(csv), "bf16", positive(csv, rows_column), shape.n, shape.k,
                            std::max(1.0, kPassElements / (shape.n * shape.k)),
                            positive(csv, "time_us") * kMicrosecond});
}

// Mixed batches are left out: the form has one factor for them, which no single GPU settles.
void read_layer_attention(CsvReader& csv, OperatorTable& table) {
  constexpr double kDim = 128, kHeads = 32, kKvHeads = 8;
  const double chunk = field(csv, "prefill_chunk"), context = field(csv, "kv_prefill");
  const double sequences = field(csv, "n_decode"), kv_len = field(csv, "kv_decode");
  const double seconds = positive(csv, "time_us") * kMicrosecond;
  if (chunk > 0 && sequences == 0)
    table.prefill.push_back(
        {release(csv), "bf16", kDim, kHeads, kKvHeads, 1, chunk, context, seconds});
  if (chunk == 0 && sequences > 0)
    table.decode.push_back(
        {release(csv), "bf16", kDim, kHeads, kKvHeads, sequences, kv_len, seconds});
}

void skip_row(CsvReader&, OperatorTable&) {}

struct Kind {
  const char* name;
  std::vector<const char*> columns;  // that only this kind has all of
  void (*read)(CsvReader&, OperatorTable&);
};

const std::vector<Kind>& kinds() {
  static const std::vector<Kind> kAll = {
      {"experts", {"experts", "num_tokens", "latency_ms"}, read_mixture},
      {"matrix product", {"dtype", "m", "n", "k", "latency_ms"}, read_gemm},
      {"prefill attention", {"kv_dtype", "heads", "isl", "latency_ms"}, read_prefill},
      {"decode attention", {"kv_dtype", "heads", "kv_len", "latency_ms"}, read_decode},
      {"all-reduce", {"kernel", "gpus", "bytes", "latency_ms"}, read_all_reduce},
      {"layers",
       {"layer", "tokens", "time_us"},
       [](CsvReader& csv, OperatorTable& table) { read_layer(csv, table, "tokens"); }},
      {"layers per sequence",
       {"layer", "sequences", "time_us"},
       [](CsvReader& csv, OperatorTable& table) { read_layer(csv, table, "sequences"); }},
      {"layer attention", {"prefill_chunk", "n_decode", "time_us"}, read_layer_attention},
      // Collectives of NCCL: engines use the custom all-reduce at these sizes.
      {"collective", {"nccl", "collective", "latency_ms"}, skip_row}};
  return kAll;
}

void read_csv(std::unique_ptr<ByteStream> bytes, OperatorTable& table) {
  const std::string name = bytes->name();
  CsvReader csv(std::move(bytes));
  std::string known;
  for (const Kind& kind : kinds()) {
    const bool all = std::all_of(kind.columns.begin(), kind.columns.end(), [&](const char* column) {
      return csv.find_column(column).has_value();
    });
    known += fmt::format("{}{} ({})", known.empty() ? "" : "; ", kind.name,
                         fmt::join(kind.columns, ","));
    if (!all) continue;
    if (kind.read == skip_row) {
      table.skipped.push_back(fmt::format("{}: {}", name, kind.name));
      return;
    }
    while (csv.next()) kind.read(csv, table);
    return;
  }
  throw TraceError(fmt::format("{}: found a header of no known operator; allowed columns: {}",
                               csv.place(), known));
}

std::vector<int> numbers_of(std::string_view release) {
  std::vector<int> numbers;
  while (!release.empty()) {
    int number = 0;
    const auto [end, error] =
        std::from_chars(release.data(), release.data() + release.size(), number);
    numbers.push_back(error == std::errc() ? number : 0);
    const std::size_t dot = release.find('.', static_cast<std::size_t>(end - release.data()));
    if (dot == std::string_view::npos) break;
    release.remove_prefix(dot + 1);
  }
  return numbers;
}

}  // namespace

bool newer(const TimingOrigin& a, const TimingOrigin& b) {
  if (a.own != b.own) return a.own;
  const std::vector<int> left = numbers_of(a.release), right = numbers_of(b.release);
  return left != right ? left > right : a.release > b.release;
}

std::string plain_dtype(std::string_view name) {
  if (name == "bfloat16") return "bf16";
  if (name == "fp8_e4m3" || name == "e4m3" || name == "float8_e4m3fn") return "fp8";
  return std::string(name);
}

void read_operator_csv_text(const std::string& name, const std::string& text,
                            OperatorTable& table) {
  read_csv(ByteStream::of_text(name, text), table);
}

void read_operators(const std::string& path, OperatorTable& table) {
  namespace fs = std::filesystem;
  if (!fs::is_directory(path)) {
    if (path.ends_with(".json")) return read_operator_samples(path, table);
    if (path.ends_with(".csv")) return read_csv(ByteStream::open(path), table);
    throw ConfigError(
        fmt::format("operator timings: found \"{}\"; allowed: a .csv or .json file, or a folder "
                    "that holds some",
                    path));
  }
  std::vector<std::string> files;
  for (const auto& entry : fs::directory_iterator(path)) {
    const std::string extension = entry.path().extension();
    if (extension == ".csv" || extension == ".json") files.push_back(entry.path().string());
  }
  if (files.empty())
    throw ConfigError(
        fmt::format("operator timings: found no .csv or .json file in \"{}\"; allowed: a folder "
                    "that holds some",
                    path));
  std::sort(files.begin(), files.end());
  for (const std::string& file : files) read_operators(file, table);
}

}  // namespace kvsim
