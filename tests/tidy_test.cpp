// The rules of the tree that a compiler does not know: sizes, which folder may include which, calls
// that would make a run irreproducible. The rules are the tables at the top. A function is found by
// counting braces, which is enough for formatted code.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <regex>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr std::size_t kFileLines = 500;
constexpr std::size_t kFunctionLines = 70;
constexpr std::size_t kColumns = 100;

constexpr std::array kRoots{"sim", "kernels", "tests"};
constexpr std::array kExtensions{".cpp", ".hpp", ".cu", ".cuh", ".proto", ".py"};

// A file under `from` may include files under `to` and no other of the tree. The first row whose
// `from` starts the file's path counts, so exceptions stand above their folder.
struct IncludeRule {
  const char* from;
  std::vector<const char*> to;
};
const std::vector<IncludeRule> kIncludeRules = {
    {"sim/base/", {"sim/base/"}},
    {"sim/workload/", {"sim/workload/", "sim/base/"}},
    {"sim/perf/", {"sim/perf/", "sim/base/"}},
    {"sim/des/", {"sim/des/", "sim/base/"}},
    {"sim/explain/", {"sim/explain/", "sim/base/"}},
    {"sim/probe/", {"sim/probe/", "sim/base/", "kernels/"}},
    {"sim/store/", {"sim/store/", "sim/des/", "sim/workload/", "sim/perf/", "sim/base/"}},
    {"sim/calibrate/",
     {"sim/calibrate/", "sim/probe/", "sim/store/", "sim/kv/", "sim/des/", "sim/workload/",
      "sim/perf/", "sim/base/"}},
    // Of the KV layer, what moves bytes owns time; pools, tiers and policies are pure.
    {"sim/kv/mover",
     {"sim/kv/", "sim/store/", "sim/des/", "sim/workload/", "sim/perf/", "sim/base/"}},
    {"sim/kv/conn_",
     {"sim/kv/", "sim/store/", "sim/des/", "sim/workload/", "sim/perf/", "sim/base/"}},
    {"sim/kv/", {"sim/kv/", "sim/store/", "sim/workload/", "sim/perf/", "sim/base/"}},
    // The record of a request is plain data that the engine fills in.
    {"sim/engine/",
     {"sim/engine/", "sim/kv/", "sim/store/", "sim/des/", "sim/workload/", "sim/perf/", "sim/base/",
      "sim/report/request_record.hpp"}},
    {"sim/report/", {"sim/report/", "sim/workload/", "sim/base/"}},
    {"sim/frontend/",
     {"sim/frontend/", "sim/engine/", "sim/kv/", "sim/store/", "sim/report/", "sim/des/",
      "sim/workload/", "sim/perf/", "sim/base/"}},
    {"sim/experiment/",
     {"sim/experiment/", "sim/frontend/", "sim/engine/", "sim/kv/", "sim/store/", "sim/report/",
      "sim/des/", "sim/probe/", "sim/calibrate/", "sim/explain/", "sim/workload/", "sim/perf/",
      "sim/base/"}},
    {"sim/validate/storage_", {"sim/validate/", "sim/store/", "sim/des/", "sim/base/"}},
    // How measurements become experiments and results become numbers: no simulation in here.
    {"sim/validate/",
     {"sim/validate/", "sim/report/request_record.hpp", "sim/report/output_file.hpp",
      "sim/workload/record_lines.hpp", "sim/base/"}},
    {"sim/cli/", {"sim/"}},
    {"kernels/", {"kernels/"}},
    {"tests/", {"sim/", "kernels/", "tests/"}},
};

// What must not be written under `where` (a path prefix), save in files under `except`.
struct Ban {
  const char* pattern;
  const char* where;
  std::vector<const char*> except;
  const char* instead;
};
const std::vector<Ban> kBans = {
    {R"(\bs?rand\s*\()", "", {}, "a named stream of sim/base/rng.hpp"},
    {R"(\brandom_device\b)", "", {}, "a named stream of sim/base/rng.hpp"},
    {R"(\bstd::(mt19937|default_random_engine|\w+_distribution\b|shuffle))",
     "sim/",
     {},
     "sim/base/rng.hpp: standard draws differ between libraries"},
    {R"(\b(system|steady|high_resolution)_clock\b|\b(gettimeofday|clock_gettime)\b)",
     "sim/",
     {"sim/probe/", "sim/cli/", "sim/base/progress"},
     "simulated time; only probes, the command line and the progress bar see the wall clock"},
    {R"(\bstd::cout\b|\bprintf\s*\(|\bputs\s*\(|\bfmt::print\s*\((?!\s*stderr))",
     "sim/",
     {"sim/cli/", "sim/report/"},
     "a value that the caller prints"},
};

struct Offence {
  std::size_t line;
  std::string what;
};
using Offences = std::vector<Offence>;

bool starts_with(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

// Where the comment, string or character literal that starts at `from` ends; `from` if none does.
std::size_t skip_opaque(const std::string& text, std::size_t from) {
  const auto after = [&](std::string_view mark, std::size_t start) {
    const std::size_t found = text.find(mark, start);
    return found == std::string::npos ? text.size() : found + mark.size();
  };
  const std::string_view here = std::string_view(text).substr(from);
  if (starts_with(here, "//")) return std::min(text.find('\n', from), text.size());
  if (starts_with(here, "/*")) return after("*/", from + 2);
  if (starts_with(here, "R\"")) {
    const std::size_t open = text.find('(', from);
    if (open == std::string::npos) return text.size();
    return after(fmt::format("){}\"", text.substr(from + 2, open - from - 2)), open);
  }
  const bool separator =
      from > 0 && (std::isalnum(static_cast<unsigned char>(text[from - 1])) != 0);
  if (text[from] != '"' && (text[from] != '\'' || separator)) return from;
  std::size_t end = from + 1;
  while (end < text.size() && text[end] != text[from]) end += text[end] == '\\' ? 2 : 1;
  return std::min(end + 1, text.size());
}

// The text with comments and literals blanked out; line breaks stay.
std::string code_only(std::string text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::size_t end = skip_opaque(text, i);
    if (end == i) continue;
    std::replace_if(
        text.begin() + static_cast<std::ptrdiff_t>(i),
        text.begin() + static_cast<std::ptrdiff_t>(end), [](char c) { return c != '\n'; }, ' ');
    i = end - 1;
  }
  return text;
}

void check_sizes(const std::vector<std::string>& lines, Offences& out) {
  if (lines.size() > kFileLines) {
    out.push_back(
        {lines.size(), fmt::format("file of {} lines; allowed: {}", lines.size(), kFileLines)});
  }
  for (std::size_t i = 0; i < lines.size(); ++i) {
    // Continuation bytes of UTF-8 take no column.
    const auto columns = static_cast<std::size_t>(
        std::count_if(lines[i].begin(), lines[i].end(), [](char c) { return (c & 0xC0) != 0x80; }));
    if (columns > kColumns) {
      out.push_back({i + 1, fmt::format("{} columns; allowed: {}", columns, kColumns)});
    }
  }
}

// `head` is the code between the last ';', '{' or '}' and an opening brace.
bool opens_function(const std::string& head) {
  static const std::regex kScope(R"(\b(namespace|class|struct|union|enum|extern|concept)\b)");
  const std::size_t first = head.find_first_not_of(" \n");
  // "} {" and "}, b_{" occur in the initialisers of a constructor.
  if (first == std::string::npos || head[first] == ',') return true;
  const std::size_t paren = head.find('(');
  if (paren == std::string::npos) return false;
  std::smatch scope;
  return !std::regex_search(head, scope, kScope) || scope.position() > 0;
}

void check_functions(const std::string& code, Offences& out) {
  std::vector<std::size_t> open;  // line of each open brace; 0 = a scope, not a function
  std::size_t line = 1;
  std::size_t head_line = 0;
  std::string head;
  std::size_t outer = 0;  // open braces of functions
  for (std::size_t i = 0; i < code.size(); ++i) {
    const char c = code[i];
    if (c == '#' && (i == 0 || code[i - 1] == '\n')) {
      while (i + 1 < code.size() && (code[i + 1] != '\n' || code[i] == '\\')) {
        line += code[++i] == '\n' ? 1 : 0;
      }
      continue;
    }
    if (c == '{') {
      const bool function = outer > 0 || opens_function(head);
      open.push_back(function ? (head_line == 0 ? line : head_line) : 0);
      outer += function ? 1 : 0;
    } else if (c == '}' && !open.empty()) {
      const std::size_t length = line - open.back() + 1;
      if (open.back() != 0 && --outer == 0 && length > kFunctionLines) {
        out.push_back({open.back(),
                       fmt::format("function of {} lines; allowed: {}", length, kFunctionLines)});
      }
      open.pop_back();
    }
    if (c == ';' || c == '{' || c == '}') {
      head.clear();
      head_line = 0;
    } else {
      head += c;
      if (head_line == 0 && c != ' ' && c != '\n') head_line = line;
    }
    line += c == '\n' ? 1 : 0;
  }
}

void check_includes(const std::string& path, const std::vector<std::string>& lines, Offences& out) {
  static const std::regex kInclude(R"(^\s*#\s*include\s*[<"]([^>"]+)[>"])");
  const auto rule =
      std::find_if(kIncludeRules.begin(), kIncludeRules.end(),
                   [&](const IncludeRule& row) { return starts_with(path, row.from); });
  for (std::size_t i = 0; i < lines.size(); ++i) {
    std::smatch found;
    if (!std::regex_search(lines[i], found, kInclude)) continue;
    const std::string target = found[1];
    const bool ours = std::any_of(kRoots.begin(), kRoots.end(), [&](const std::string& root) {
      return starts_with(target, fmt::format("{}/", root));
    });
    if (ours && rule != kIncludeRules.end() &&
        std::none_of(rule->to.begin(), rule->to.end(),
                     [&](const char* to) { return starts_with(target, to); })) {
      out.push_back({i + 1, fmt::format("{} must not include {}", rule->from, target)});
    }
    if (ours && target.size() > 4 && target.substr(target.size() - 4) == ".cpp") {
      out.push_back({i + 1, "nobody includes a .cpp: " + target});
    }
    if (std::regex_search(target, std::regex("^(simgrid|xbt)/")) &&
        !starts_with(path, "sim/des/")) {
      out.push_back({i + 1, "only sim/des/ includes SimGrid: " + target});
    }
  }
}

void check_bans(const std::string& path, const std::vector<std::string>& code, Offences& out) {
  for (const Ban& ban : kBans) {
    const bool excepted = std::any_of(ban.except.begin(), ban.except.end(),
                                      [&](const char* file) { return starts_with(path, file); });
    if (!starts_with(path, ban.where) || excepted) continue;
    const std::regex pattern(ban.pattern);
    for (std::size_t i = 0; i < code.size(); ++i) {
      std::smatch found;
      if (!std::regex_search(code[i], found, pattern)) continue;
      out.push_back(
          {i + 1, fmt::format("'{}' is banned here; instead: {}", found.str(), ban.instead)});
    }
  }
}

// Two types of one name at namespace scope are two definitions of one: `defined` maps each name to
// the header that came first.
void check_types(const std::string& path, const std::vector<std::string>& code,
                 std::map<std::string, std::string>& defined, Offences& out) {
  static const std::regex kType(R"(^(?:struct|class|enum class) ([A-Z]\w*)(?![\w:<]).*[^;]$)");
  for (std::size_t i = 0; i < code.size(); ++i) {
    std::smatch found;
    if (!std::regex_match(code[i], found, kType)) continue;
    const auto [first, fresh] = defined.emplace(found[1].str(), path);
    if (!fresh)
      out.push_back(
          {i + 1, fmt::format("{} is defined in {} already", first->first, first->second)});
  }
}

void check_header(const std::vector<std::string>& lines, Offences& out) {
  if (lines.empty() || !starts_with(lines.front(), "//")) {
    out.push_back({1, "a header starts with a comment that says what it is for"});
  }
  if (std::find(lines.begin(), lines.end(), "#pragma once") == lines.end()) {
    out.push_back({1, "a header has #pragma once"});
  }
}

bool is_header(const std::filesystem::path& path) {
  return path.extension() == ".hpp" || path.extension() == ".cuh";
}

// `path` from the root of the tree, with '/'.
Offences check_file(const std::string& path, const std::string& text) {
  Offences out;
  const std::vector<std::string> lines = lines_of(text);
  const std::string extension = std::filesystem::path(path).extension();
  check_sizes(lines, out);
  if (extension == ".proto" || extension == ".py") return out;
  const std::string code = code_only(text);
  check_functions(code, out);
  check_includes(path, lines, out);
  check_bans(path, lines_of(code), out);
  if (is_header(path)) check_header(lines, out);
  return out;
}

std::string first_of(const Offences& offences) {
  return offences.empty() ? "" : offences.front().what;
}

std::string repeat(const std::string& text, std::size_t times) {
  std::string out;
  for (std::size_t i = 0; i < times; ++i) out += text;
  return out;
}

std::vector<std::filesystem::path> files_of_the_tree(const std::filesystem::path& root) {
  std::vector<std::filesystem::path> files;
  for (const char* folder : kRoots) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root / folder)) {
      const std::string extension = entry.path().extension();
      if (std::find(kExtensions.begin(), kExtensions.end(), extension) != kExtensions.end()) {
        files.push_back(entry.path());
      }
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

TEST(Tidy, TheTreeKeepsItsRules) {
  const std::filesystem::path root = KVSIM_SOURCE_DIR;
  const auto files = files_of_the_tree(root);
  EXPECT_GT(files.size(), 10u);
  std::map<std::string, std::string> types;
  for (const auto& file : files) {
    std::ifstream stream(file);
    const std::string text{std::istreambuf_iterator<char>(stream), {}};
    const std::string path = std::filesystem::relative(file, root).generic_string();
    Offences offences = check_file(path, text);
    if (is_header(path) && starts_with(path, "sim/"))
      check_types(path, lines_of(code_only(text)), types, offences);
    for (const Offence& offence : offences) {
      ADD_FAILURE_AT(path.c_str(), static_cast<int>(offence.line)) << offence.what;
    }
  }
}

TEST(TidyRules, ALongFileIsAnOffence) {
  EXPECT_TRUE(check_file("sim/base/a.cpp", repeat("\n", 500)).empty());
  EXPECT_EQ(first_of(check_file("sim/base/a.cpp", repeat("\n", 501))),
            "file of 501 lines; allowed: 500");
}

TEST(TidyRules, ALongLineIsAnOffence) {
  EXPECT_TRUE(check_file("sim/base/a.cpp", repeat("x", 98) + "\u00e9\u00e9\n").empty());
  EXPECT_EQ(first_of(check_file("sim/base/a.cpp", repeat("x", 101))), "101 columns; allowed: 100");
}

TEST(TidyRules, ALongFunctionIsAnOffenceAtItsFirstLine) {
  const std::string body = repeat("  if (x) { call(\"{\"); }  // {\n", 69);
  EXPECT_TRUE(check_file("sim/base/a.cpp", "void f(int x) {\n" + body + "}\n").size() == 1);
  const Offences found =
      check_file("sim/base/a.cpp",
                 "namespace {\nclass A final : B {\n A() : a_{1}, b_{2} {\n" + body + "}\n};}");
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].what, "function of 71 lines; allowed: 70");
}

TEST(TidyRules, AClassMayBeLongerThanAFunction) {
  const std::string members = repeat("  int f() const { return 1; }\n", 100);
  EXPECT_TRUE(check_file("sim/base/a.cpp", "struct A {\n" + members + "};\n").empty());
}

TEST(TidyRules, AnIncludeAgainstTheDirectionIsAnOffence) {
  EXPECT_EQ(first_of(check_file("sim/kv/a.cpp", "#include \"sim/engine/engine.hpp\"\n")),
            "sim/kv/ must not include sim/engine/engine.hpp");
  EXPECT_TRUE(check_file("sim/engine/a.cpp", "#include \"sim/kv/block_pool.hpp\"\n").empty());
}

TEST(TidyRules, OnlyTheMoverAndTheConnectorsOfKvSeeTime) {
  EXPECT_TRUE(check_file("sim/kv/mover.cpp", "#include \"sim/des/world.hpp\"\n").empty());
  EXPECT_TRUE(check_file("sim/kv/conn_native.cpp", "#include \"sim/des/lane.hpp\"\n").empty());
  EXPECT_FALSE(check_file("sim/kv/block_pool.cpp", "#include \"sim/des/world.hpp\"\n").empty());
}

TEST(TidyRules, SimGridStaysInItsFolder) {
  EXPECT_TRUE(check_file("sim/des/world.cpp", "#include <simgrid/s4u.hpp>\n").empty());
  EXPECT_FALSE(check_file("sim/engine/a.cpp", "#include <simgrid/s4u.hpp>\n").empty());
}

TEST(TidyRules, IncludingASourceFileIsAnOffence) {
  EXPECT_FALSE(check_file("tests/unit/a.cpp", "#include \"sim/kv/evict_lru.cpp\"\n").empty());
}

TEST(TidyRules, TheWallClockIsBannedInTheModel) {
  const std::string call = "auto t = std::chrono::steady_clock::now();\n";
  EXPECT_FALSE(check_file("sim/engine/a.cpp", call).empty());
  EXPECT_TRUE(check_file("sim/probe/a.cpp", call).empty());
  EXPECT_TRUE(check_file("sim/engine/a.cpp", "// " + call).empty());
}

TEST(TidyRules, StandardRandomNumbersAreBanned) {
  EXPECT_FALSE(check_file("sim/engine/a.cpp", "int x = rand();\n").empty());
  EXPECT_FALSE(check_file("sim/engine/a.cpp", "std::normal_distribution<double> d;\n").empty());
  EXPECT_TRUE(check_file("sim/engine/a.cpp", "int x = operand(y);\n").empty());
}

TEST(TidyRules, TheModelDoesNotPrintResults) {
  EXPECT_FALSE(check_file("sim/engine/a.cpp", "std::printf(\"x\");\n").empty());
  EXPECT_FALSE(check_file("sim/engine/a.cpp", "fmt::print(\"x\");\n").empty());
  EXPECT_TRUE(check_file("sim/engine/a.cpp", "fmt::print(stderr, \"x\");\n").empty());
  EXPECT_TRUE(check_file("sim/engine/a.cpp", "std::snprintf(b, 2, \"x\");\n").empty());
}

TEST(TidyRules, ATypeIsDefinedOnce) {
  std::map<std::string, std::string> types;
  Offences found;
  check_types("sim/a.hpp", {"struct Row {", "class Other;", "struct Row::Part {"}, types, found);
  check_types("sim/b.hpp", {"struct Row;", "struct Row::Rest {"}, types, found);
  EXPECT_TRUE(found.empty());
  check_types("sim/c.hpp", {"", "class Row final : Base {"}, types, found);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].line, 2u);
  EXPECT_EQ(found[0].what, "Row is defined in sim/a.hpp already");
}

TEST(TidyRules, AHeaderHasACommentAndAGuard) {
  EXPECT_TRUE(check_file("sim/kv/a.hpp", "// What it is.\n#pragma once\n").empty());
  EXPECT_EQ(check_file("sim/kv/a.hpp", "int x;\n").size(), 2u);
}

}  // namespace
