#include "sim/kv/codec_rates.hpp"

#include <fmt/format.h>

#include "sim/base/errors.hpp"

namespace kvsim {

namespace {

CodecFigures figures_of(const char* name, const CodecOptions& options, const std::string& kv_dtype,
                        const std::vector<CodecRow>& rows) {
  std::vector<std::string> known;
  for (const CodecRow& row : rows) {
    if (row.kv_dtype == kv_dtype) return row.figures;
    known.push_back(row.kv_dtype);
  }
  if (options.ratio && options.encode && options.decode) return {};
  throw ConfigError(
      fmt::format("codec {}: found KV of type {}, for which nothing was measured; allowed: one of "
                  "{}, or state ratio, encode_bytes_per_s and decode_bytes_per_s",
                  name, kv_dtype, join_names(known)));
}

}  // namespace

RatedCodec::RatedCodec(const char* name, const Options& options, const Context& context,
                       const std::vector<CodecRow>& rows)
    : name_(std::string(name) + "/" + context.kv_dtype),
      figures_(figures_of(name, options, context.kv_dtype, rows)) {
  const auto lay_over = [](auto& figure, const auto& stated) {
    if (stated) figure = *stated;
  };
  lay_over(figures_.ratio, options.ratio);
  lay_over(figures_.encode, options.encode);
  lay_over(figures_.decode, options.decode);
  lay_over(figures_.gpu_encode, options.gpu_encode);
  lay_over(figures_.gpu_decode, options.gpu_decode);
}

}  // namespace kvsim
