#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"
#include "server/blobs/blob_store.h"

namespace tern {
namespace {

constexpr size_t kMaxKeyBytes = 512;
constexpr size_t kMaxPartBytes = 200;

bool IsValidPart(absl::string_view part) {
  if (part.empty() || part.size() > kMaxPartBytes || part.front() == '.') return false;
  return std::all_of(part.begin(), part.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '_' || c == '-';
  });
}

}  // namespace

bool IsValidBlobKey(absl::string_view key) {
  if (key.size() > kMaxKeyBytes) return false;
  const std::vector<absl::string_view> parts = absl::StrSplit(key, '/');
  return std::all_of(parts.begin(), parts.end(), IsValidPart);
}

}  // namespace tern
