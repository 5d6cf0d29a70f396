// result.pb: everything about a run in one streamed protobuf file; result.proto has the format.
#pragma once

#include <string>
#include <vector>

#include "sim/report/output_file.hpp"
#include "sim/report/request_sink.hpp"
#include "sim/report/run_facts.hpp"

namespace kvsim {

class ResultPb final : public RequestSink {
 public:
  // Of `provenance`, the trace digest is not known yet: it comes with the summary. `config` is the
  // resolved experiment; `stages` names RequestRecord::fetch_stages.
  ResultPb(const std::string& path, const RunProvenance& provenance,
           const std::vector<std::string>& tiers, const Json& config,
           const std::vector<std::string>& stages = {});
  void finished(const RequestRecord& record) override;
  void close(const Json& summary) override;

 private:
  OutputFile file_;
  std::size_t tiers_;
  std::size_t stages_;
  std::string buffer_;
};

}  // namespace kvsim
