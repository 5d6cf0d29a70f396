#include "sim/workload/record_lines.hpp"

#include "sim/workload/json_line.hpp"

namespace kvsim {

RecordLines::RecordLines(std::unique_ptr<ByteStream> bytes) {
  if (bytes->peek().starts_with('{'))
    lines_.emplace(std::move(bytes));
  else
    csv_.emplace(std::move(bytes));
}

bool RecordLines::next() {
  if (csv_) return csv_->next();
  std::string_view line;
  if (!lines_->next(line)) return false;
  json_ = parse_json_line(line, *lines_);
  return true;
}

double RecordLines::number(const std::string& field) const {
  if (csv_) return csv_->number(csv_->column(field), 0);
  return JsonObject(json_, *lines_).number({field.c_str()});
}

std::int64_t RecordLines::integer(const std::string& field, std::int64_t low) const {
  if (csv_) return csv_->integer(csv_->column(field), low);
  return JsonObject(json_, *lines_).integer({field.c_str()}, low);
}

std::string RecordLines::text(const std::string& field) const {
  if (csv_) return std::string(csv_->text(csv_->column(field)));
  const nlohmann::json* const found = JsonObject(json_, *lines_).find({field.c_str()});
  if (found == nullptr) lines_->fail("no \"" + field + "\"", "it in every record");
  return found->is_string() ? found->get<std::string>() : found->dump();
}

}  // namespace kvsim
