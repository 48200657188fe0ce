#ifndef TERN_CHECKPOINT_MANIFEST_H_
#define TERN_CHECKPOINT_MANIFEST_H_

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/statusor.h"

namespace tern {

struct FileDigest {
  int64_t size = 0;
  std::string sha256;  // 64 lower-case hex digits

  friend bool operator==(const FileDigest&, const FileDigest&) = default;
};

// tern-manifest.json's text, and back. Reading checks names (plain), sizes and digests' form;
// errors are INVALID_ARGUMENT and name the entry, but FAILED_PRECONDITION for a newer version's.
std::string ManifestJson(const std::map<std::string, FileDigest>& files);
absl::StatusOr<std::map<std::string, FileDigest>> ParseManifest(const std::string& json);

}  // namespace tern

#endif  // TERN_CHECKPOINT_MANIFEST_H_
