#include "sim/probe/bench_disk_identity.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>

namespace kvsim {

namespace {

namespace fs = std::filesystem;

struct Mount {
  std::string at;
  std::string type;
  std::string source;
  std::string options;
};

// The file system that `path`, an absolute one, lies on: the last mounted of the deepest.
std::optional<Mount> mount_of(const std::string& path) {
  std::optional<Mount> found;
  std::ifstream in("/proc/self/mountinfo");
  for (std::string line; std::getline(in, line);) {
    // id parent major:minor root at options [tags] - type source options
    std::istringstream words(line);
    std::string skipped;
    Mount mount;
    words >> skipped >> skipped >> skipped >> skipped >> mount.at >> mount.options;
    while (words >> skipped && skipped != "-") {
    }
    std::string super;
    words >> mount.type >> mount.source >> super;
    mount.options = super.empty() ? mount.options : mount.options + "," + super;
    const std::string below = mount.at == "/" ? "/" : mount.at + "/";
    if (path != mount.at && !path.starts_with(below)) continue;
    if (!found || mount.at.size() >= found->at.size()) found = mount;
  }
  return found;
}

std::string first_line(const fs::path& file) {
  std::ifstream in(file);
  std::string line;
  std::getline(in, line);
  while (!line.empty() && line.back() == ' ') line.pop_back();
  return line;
}

void add_device(const std::string& device, Json& out) {
  struct stat status {};
  if (stat(device.c_str(), &status) != 0 || !S_ISBLK(status.st_mode)) return;
  out["device"] = device;
  const fs::path block =
      fmt::format("/sys/dev/block/{}:{}", major(status.st_rdev), minor(status.st_rdev));
  // A partition's queue is its disk's.
  const fs::path disk = fs::exists(block / "queue") ? block : fs::canonical(block) / "..";
  const auto add = [&out](const char* name, const std::string& value) {
    if (!value.empty()) out[name] = value;
  };
  add("model", first_line(disk / "device/model"));
  add("scheduler", first_line(disk / "queue/scheduler"));
  add("max_sectors_kb", first_line(disk / "queue/max_sectors_kb"));
  add("rotational", first_line(disk / "queue/rotational"));
  add("write_cache", first_line(disk / "queue/write_cache"));
  std::error_code none;
  for (const auto& member : fs::directory_iterator(disk / "slaves", none))
    out["members"].push_back(member.path().filename().string());
}

}  // namespace

Json storage_identity(const std::string& path) {
  Json out = {{"path", path}};
  std::error_code ignored;
  const fs::path whole = fs::canonical(path, ignored);
  struct stat status {};
  if (stat(path.c_str(), &status) == 0 && S_ISBLK(status.st_mode)) {
    add_device(whole.string(), out);
    return out;
  }
  const std::optional<Mount> mount = mount_of(whole.string());
  if (!mount) return out;
  out["file_system"] = mount->type;
  out["mount_options"] = mount->options;
  add_device(mount->source, out);
  return out;
}

std::string kernel_release() {
  struct utsname name {};
  return uname(&name) == 0 ? name.release : "";
}

}  // namespace kvsim
