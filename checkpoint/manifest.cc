#include "checkpoint/manifest.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "checkpoint/path_rules.h"
#include "checkpoint/status_macros.h"
#include "checkpoint/strict_json.h"

namespace tern {
namespace {

using nlohmann::json;

constexpr char kLabel[] = "tern-manifest.json";
constexpr int64_t kManifestVersion = 1;
constexpr size_t kSha256HexDigits = 64;

bool IsSha256Hex(const json& value) {
  if (!value.is_string()) return false;
  const auto& text = value.get_ref<const std::string&>();
  return text.size() == kSha256HexDigits && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

absl::StatusOr<FileDigest> ParseEntry(const std::string& name, const json& entry) {
  const std::string label = absl::StrCat(kLabel, ": \"", Shown(name), "\"");
  if (!IsPlainFileName(name)) {
    return absl::InvalidArgumentError(absl::StrCat(label, ": not a plain file name"));
  }
  const auto size = entry.find("size");
  const auto sha256 = entry.find("sha256");
  if (!entry.is_object() || size == entry.end() || sha256 == entry.end()) {
    return absl::InvalidArgumentError(absl::StrCat(label, ": {size, sha256} is expected"));
  }
  FileDigest digest;
  TERN_ASSIGN_OR_RETURN(digest.size, JsonInteger(*size, absl::StrCat(label, ": size"), 0,
                                                 std::numeric_limits<int64_t>::max()));
  if (!IsSha256Hex(*sha256)) {
    return absl::InvalidArgumentError(
        absl::StrCat(label, ": sha256: ", kSha256HexDigits, " lower-case hex digits are expected"));
  }
  digest.sha256 = sha256->get<std::string>();
  return digest;
}

}  // namespace

std::string ManifestJson(const std::map<std::string, FileDigest>& files) {
  json entries = json::object();
  for (const auto& [name, digest] : files) {
    entries[name] = {{"size", digest.size}, {"sha256", digest.sha256}};
  }
  return JsonFileText({{"manifest_version", kManifestVersion}, {"files", entries}});
}

absl::StatusOr<std::map<std::string, FileDigest>> ParseManifest(const std::string& json) {
  TERN_ASSIGN_OR_RETURN(const nlohmann::json manifest, ParseJsonObject(json, kLabel));
  const auto version = manifest.find("manifest_version");
  if (version != manifest.end() && version->is_number_integer() && *version > kManifestVersion) {
    return absl::FailedPreconditionError(
        absl::StrCat(kLabel, ": manifest_version ", version->dump(),
                     " was written by a newer version of Tern; this one reads ", kManifestVersion));
  }
  if (version == manifest.end() || *version != kManifestVersion) {
    return absl::InvalidArgumentError(
        absl::StrCat(kLabel, ": manifest_version must be ", kManifestVersion));
  }
  const auto files = manifest.find("files");
  if (files == manifest.end() || !files->is_object()) {
    return absl::InvalidArgumentError(absl::StrCat(kLabel, ": files: an object is expected"));
  }
  std::map<std::string, FileDigest> digests;
  for (const auto& [name, entry] : files->items()) {
    TERN_ASSIGN_OR_RETURN(digests[name], ParseEntry(name, entry));
  }
  return digests;
}

}  // namespace tern
