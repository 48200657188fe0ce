#ifndef TERN_CHECKPOINT_PATH_RULES_H_
#define TERN_CHECKPOINT_PATH_RULES_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace tern {

// Whether `name` names a file in a folder and nothing else: 1 to 255 bytes, no slash, backslash or
// control character, not "." or "..".
bool IsPlainFileName(absl::string_view name);

// Folders that submitted paths must lie beneath, and the setting that lists them ("--model-root"),
// which errors name.
struct AllowedRoots {
  std::vector<std::string> folders;
  std::string setting;
};

// The canonical form of `path` (absolute, every symlink followed) if it lies beneath one of the
// roots' canonical forms. A path outside, by ".." or through a symlink included, is
// PERMISSION_DENIED whether it exists or not; one inside that does not exist is NOT_FOUND. What the
// path names may change afterwards: only who may write to the roots can make it lead out.
absl::StatusOr<std::string> ResolveBeneath(const AllowedRoots& roots, const std::string& path);

// Checks that every entry of `folder` resolves beneath the roots as well: a model folder may hold
// symlinks.
absl::Status CheckEntriesBeneath(const AllowedRoots& roots, const std::string& folder);

}  // namespace tern

#endif  // TERN_CHECKPOINT_PATH_RULES_H_
