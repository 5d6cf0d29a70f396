// Small files of made-up cases and templates for tests of kvsim validate.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "sim/report/output_file.hpp"

namespace kvsim {

// A folder of its own for each test, removed afterwards.
class ValidateFiles : public testing::Test {
 protected:
  ValidateFiles() {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = std::filesystem::temp_directory_path() /
              (std::string("kvsim-") + test->test_suite_name() + "-" + test->name());
    std::filesystem::remove_all(folder_);
  }
  ~ValidateFiles() override { std::filesystem::remove_all(folder_); }

  // Writes the file; gives its path.
  std::string write(const std::string& name, const std::string& text) const {
    write_text_file((folder_ / name).string(), text);
    return (folder_ / name).string();
  }
  // What `call` complains about, less the folder.
  template <class Error, class Call>
  std::string complaint(Call call) const {
    try {
      (void)call();
    } catch (const Error& error) {
      std::string text = error.what();
      const std::string here = folder_.string() + "/";
      for (auto at = text.find(here); at != std::string::npos; at = text.find(here))
        text.erase(at, here.size());
      return text;
    }
    return "no complaint";
  }

  std::filesystem::path folder_;
};

}  // namespace kvsim
