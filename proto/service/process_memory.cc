#include "proto/service/process_memory.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <optional>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace tern {
namespace {

std::optional<int64_t> ReadNumber(const std::string& path) {
  std::ifstream file(path);
  std::string word;
  int64_t number = 0;
  if (!(file >> word) || !absl::SimpleAtoi(word, &number)) return std::nullopt;  // "max": no limit
  return number;
}

// Folder of this process's control group below /sys/fs/cgroup: the line "0::/path" (version 2).
std::string ControlGroup() {
  std::ifstream file("/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    absl::string_view group = line;
    if (absl::ConsumePrefix(&group, "0::")) return std::string(group);
  }
  return "/";
}

}  // namespace

int64_t MemoryLimitBytes() {
  int64_t limit = static_cast<int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE);
  // Inside a container the group's own folder is often mounted as the root.
  for (const std::string& path : {absl::StrCat("/sys/fs/cgroup", ControlGroup(), "/memory.max"),
                                  std::string("/sys/fs/cgroup/memory.max"),
                                  std::string("/sys/fs/cgroup/memory/memory.limit_in_bytes")}) {
    if (const auto group_limit = ReadNumber(path)) limit = std::min(limit, *group_limit);
  }
  return limit;
}

int64_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  int64_t total_pages = 0;
  int64_t resident_pages = 0;
  if (!(statm >> total_pages >> resident_pages)) return 0;
  return resident_pages * sysconf(_SC_PAGESIZE);
}

}  // namespace tern
