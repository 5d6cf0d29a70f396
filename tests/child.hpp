// SimGrid allows one simulation per process: runs one in a forked child and brings numbers back.
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

namespace kvsim {

// What `body` returned in the child. Throws when the child failed; its message goes to stderr.
inline std::string text_of_child(const std::function<std::string()>& body) {
  int ends[2];
  if (pipe(ends) != 0) throw std::runtime_error("no pipe");
  const pid_t child = fork();
  if (child == 0) {
    close(ends[0]);
    int status = 0;
    try {
      const std::string text = body();
      for (std::size_t done = 0; done < text.size();) {
        const ssize_t n = write(ends[1], text.data() + done, text.size() - done);
        if (n <= 0) _exit(3);
        done += static_cast<std::size_t>(n);
      }
    } catch (const std::exception& error) {
      const std::string text = std::string("child: ") + error.what() + "\n";
      if (write(2, text.data(), text.size()) < 0) _exit(4);
      status = 2;
    }
    close(ends[1]);
    _exit(status);  // no destructors: SimGrid's would run at exit
  }
  close(ends[1]);
  std::string text;
  char buffer[4096];
  for (ssize_t n; (n = read(ends[0], buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<std::size_t>(n));
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    throw std::runtime_error("the child failed with status " + std::to_string(status));
  return text;
}

inline std::vector<double> numbers_of_child(const std::function<std::vector<double>()>& body) {
  const std::string bytes = text_of_child([&] {
    const std::vector<double> numbers = body();
    return std::string(reinterpret_cast<const char*>(numbers.data()),
                       numbers.size() * sizeof(double));
  });
  std::vector<double> numbers(bytes.size() / sizeof(double));
  std::copy(bytes.begin(), bytes.end(), reinterpret_cast<char*>(numbers.data()));
  return numbers;
}

// Runs `body`, whose expectations count for the running test.
inline void in_child(const std::function<void()>& body) {
  const auto failed = [&body]() -> std::string {
    body();
    return testing::Test::HasFailure() ? "failed" : "";
  };
  EXPECT_EQ(text_of_child(failed), "") << "see the messages above";
}

}  // namespace kvsim
