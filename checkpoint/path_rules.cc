#include "checkpoint/path_rules.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "checkpoint/errno_status.h"
#include "checkpoint/status_macros.h"

namespace tern {
namespace {

namespace fs = std::filesystem;

bool IsBeneath(const fs::path& root, const fs::path& path) {
  return std::mismatch(root.begin(), root.end(), path.begin(), path.end()).first == root.end();
}

bool IsBeneathAny(const std::vector<std::string>& roots, const fs::path& path) {
  return std::any_of(roots.begin(), roots.end(), [&path](const std::string& root) {
    std::error_code error;
    const fs::path canonical = fs::canonical(root, error);
    return !error && IsBeneath(canonical, path);
  });
}

absl::Status Outside(const AllowedRoots& roots, const std::string& path) {
  return absl::PermissionDeniedError(
      absl::StrCat(path, ": outside the folders that may be read (",
                   roots.folders.empty() ? "none" : absl::StrJoin(roots.folders, ", "),
                   "); move it beneath one of them or allow its folder with ", roots.setting));
}

}  // namespace

bool IsPlainFileName(absl::string_view name) {
  if (name.empty() || name.size() > 255 || name == "." || name == "..") return false;
  return std::none_of(name.begin(), name.end(), [](char c) {
    return c == '/' || c == '\\' || absl::ascii_iscntrl(static_cast<unsigned char>(c));
  });
}

absl::StatusOr<std::string> ResolveBeneath(const AllowedRoots& roots, const std::string& path) {
  if (path.find('\0') != std::string::npos) {
    return absl::InvalidArgumentError("path: contains a NUL character");
  }
  if (!fs::path(path).is_absolute()) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", path, "\": not an absolute path; give the path on the server, from /"));
  }
  std::error_code error;
  // Follows symlinks as far as the path exists, so that a path outside is refused before anything
  // is said about its existence.
  const fs::path resolved = fs::weakly_canonical(path, error);
  if (error) return ErrnoStatus(error.value(), path, "resolve");
  if (!IsBeneathAny(roots.folders, resolved)) return Outside(roots, path);
  const fs::path canonical = fs::canonical(path, error);
  if (error) return ErrnoStatus(error.value(), path, "open");
  if (!IsBeneathAny(roots.folders, canonical)) return Outside(roots, path);
  return canonical.string();
}

absl::Status CheckEntriesBeneath(const AllowedRoots& roots, const std::string& folder) {
  std::error_code error;
  fs::directory_iterator entries(folder, error);
  for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
    TERN_RETURN_IF_ERROR(ResolveBeneath(roots, entries->path().string()).status());
  }
  if (error) return ErrnoStatus(error.value(), folder, "list");
  return absl::OkStatus();
}

}  // namespace tern
