#include "kernels/bench/arguments.hpp"

#include <charconv>

namespace kvsim::kernels {
namespace {

int device_number(const std::string& text) {
  int device = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), device);
  if (error != std::errc() || end != text.data() + text.size() || device < 0) {
    throw UsageError("--device takes a number from 0 on; found '" + text + "'");
  }
  return device;
}

void set_mode(Arguments& out, Arguments::Mode mode) {
  if (out.mode != Arguments::Mode::kHelp) {
    throw UsageError("one of --quick, --full, --check, --serve at a time");
  }
  out.mode = mode;
}

}  // namespace

const char* usage_text() {
  return "Usage: gpu_probe --quick|--full [--device N] [--shapes FILE] --out FILE.json\n"
         "       gpu_probe --check [--device N]   compare all kernels with their references\n"
         "       gpu_probe --serve [--device N]   answer lines on stdin:\n"
         "           copy to-gpu|to-host BYTES BLOCK_BYTES AT_ONCE  ->  seconds\n"
         "--shapes: lines 'gemm M N K bfloat16|fp8', 'decode BATCH KV_LEN HEADS KV_HEADS "
         "HEAD_DIM',\n"
         "          'prefill CHUNK CONTEXT HEADS KV_HEADS HEAD_DIM'; # starts a comment\n"
         "Exit codes: 0 ok, 1 a check failed, 2 wrong usage, 3 no GPU or not enough of it\n";
}

Arguments parse_arguments(const std::vector<std::string>& arguments) {
  Arguments out;
  bool help = false;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& name = arguments[i];
    const auto value = [&]() -> const std::string& {
      if (i + 1 >= arguments.size()) throw UsageError(name + " needs a value");
      return arguments[++i];
    };
    if (name == "--quick" || name == "--full") {
      set_mode(out, Arguments::Mode::kMeasure);
      out.full = name == "--full";
    } else if (name == "--check") {
      set_mode(out, Arguments::Mode::kCheck);
    } else if (name == "--serve") {
      set_mode(out, Arguments::Mode::kServe);
    } else if (name == "--device") {
      out.device = device_number(value());
    } else if (name == "--shapes") {
      out.shapes = value();
    } else if (name == "--out") {
      out.out = value();
    } else if (name == "--help" || name == "-h") {
      help = true;
    } else {
      throw UsageError("unknown argument '" + name + "'; --help lists what is allowed");
    }
  }
  if (help) return {};
  const bool measures = out.mode == Arguments::Mode::kMeasure;
  if (out.mode == Arguments::Mode::kHelp) {
    throw UsageError("one of --quick, --full, --check, --serve is needed");
  }
  if (measures && out.out.empty()) throw UsageError("--quick and --full need --out FILE.json");
  if (!measures && (!out.out.empty() || !out.shapes.empty())) {
    throw UsageError("--out and --shapes go with --quick and --full only");
  }
  return out;
}

}  // namespace kvsim::kernels
