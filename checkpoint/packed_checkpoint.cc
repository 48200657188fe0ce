#include "checkpoint/packed_checkpoint.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "checkpoint/atomic_file.h"
#include "checkpoint/block_file.h"
#include "checkpoint/digest.h"
#include "checkpoint/status_macros.h"
#include "checkpoint/strict_json.h"

namespace tern {
namespace {

std::string FilePath(const std::string& folder, const std::string& name) {
  return absl::StrCat(folder, "/", name);
}

// A file that must be as the manifest says is damaged, whatever is wrong with it.
absl::Status AsDataLoss(const absl::Status& status) {
  return status.ok() ? status : absl::DataLossError(status.message());
}

std::vector<std::string> RequiredFiles(const ModelConfig& config) {
  std::vector<std::string> names = {kConfigFile, kIndexFile, kUnquantizedFile};
  for (int64_t block = 0; block < config.num_blocks; ++block) {
    names.push_back(BlockFileName(block));
  }
  return names;
}

absl::Status CheckListed(const std::string& folder,
                         const std::map<std::string, FileDigest>& manifest,
                         const ModelConfig& config) {
  for (const std::string& name : RequiredFiles(config)) {
    if (!manifest.contains(name)) {
      return absl::DataLossError(
          absl::StrCat(FilePath(folder, kManifestFile), ": does not list ", name));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckSize(const std::string& path, const FileDigest& expected) {
  std::error_code error;
  const uintmax_t size = std::filesystem::file_size(path, error);
  if (error) {
    return absl::DataLossError(
        absl::StrCat(path, ": listed in the manifest, but ", error.message()));
  }
  if (size != static_cast<uintmax_t>(expected.size)) {
    return absl::DataLossError(
        absl::StrCat(path, ": ", size, " bytes, but the manifest says ", expected.size));
  }
  return absl::OkStatus();
}

absl::Status VerifyDigest(const std::string& path, const FileDigest& expected) {
  const absl::StatusOr<FileDigest> actual = DigestFile(path);
  if (!actual.ok()) return AsDataLoss(actual.status());
  if (*actual == expected) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(path, ": SHA-256 is ", actual->sha256,
                                          ", but the manifest says ", expected.sha256));
}

// FAILED_PRECONDITION when a newer version wrote it, DATA_LOSS when it is anything but a manifest.
absl::StatusOr<std::map<std::string, FileDigest>> ReadManifest(const std::string& folder) {
  const std::string path = FilePath(folder, kManifestFile);
  TERN_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kMaxJsonFileBytes));
  absl::StatusOr<std::map<std::string, FileDigest>> manifest = ParseManifest(text);
  if (absl::IsInvalidArgument(manifest.status())) return AsDataLoss(manifest.status());
  return manifest;
}

// That the config is the one the manifest tells of: what is wrong in it then is no damage.
absl::Status VerifyConfig(const std::string& folder,
                          const std::map<std::string, FileDigest>& manifest) {
  const auto config = manifest.find(kConfigFile);
  if (config == manifest.end()) {
    return absl::DataLossError(
        absl::StrCat(FilePath(folder, kManifestFile), ": does not list ", kConfigFile));
  }
  return VerifyDigest(FilePath(folder, kConfigFile), config->second);
}

}  // namespace

absl::StatusOr<std::unique_ptr<PackedCheckpoint>> PackedCheckpoint::OpenConfig(
    const std::string& path) {
  std::unique_ptr<PackedCheckpoint> checkpoint(new PackedCheckpoint);
  checkpoint->path_ = path;
  auto manifest = ReadManifest(path);
  // A folder without one may be something else altogether, which its config.json tells.
  const bool has_manifest = !absl::IsNotFound(manifest.status());
  if (has_manifest) {
    TERN_RETURN_IF_ERROR(manifest.status());
    TERN_RETURN_IF_ERROR(VerifyConfig(path, *manifest));
  }
  TERN_ASSIGN_OR_RETURN(const std::string config_json,
                        ReadFile(FilePath(path, kConfigFile), kMaxConfigFileBytes));
  TERN_ASSIGN_OR_RETURN(PackedConfig packed, ParsePackedConfig(config_json));
  checkpoint->format_ = std::move(packed.format);
  checkpoint->source_config_json_ = std::move(packed.source_config_json);
  TERN_ASSIGN_OR_RETURN(checkpoint->config_, ParseModelConfig(checkpoint->source_config_json_));
  TERN_ASSIGN_OR_RETURN(checkpoint->manifest_, std::move(manifest));
  return checkpoint;
}

absl::StatusOr<std::unique_ptr<PackedCheckpoint>> PackedCheckpoint::Open(const std::string& path) {
  TERN_ASSIGN_OR_RETURN(std::unique_ptr<PackedCheckpoint> checkpoint, OpenConfig(path));
  TERN_RETURN_IF_ERROR(CheckListed(path, checkpoint->manifest_, checkpoint->config_));
  for (const auto& [name, digest] : checkpoint->manifest_) {
    TERN_RETURN_IF_ERROR(CheckSize(FilePath(path, name), digest));
  }
  return checkpoint;
}

absl::StatusOr<std::unique_ptr<SafetensorsReader>> PackedCheckpoint::OpenBlock(
    int64_t block) const {
  if (block < 0 || block >= config_.num_blocks) {
    return absl::InvalidArgumentError(
        absl::StrCat(path_, ": block ", block, " of ", config_.num_blocks, " does not exist"));
  }
  return SafetensorsReader::Open(FilePath(path_, BlockFileName(block)));
}

absl::StatusOr<std::unique_ptr<SafetensorsReader>> PackedCheckpoint::OpenUnquantized() const {
  return SafetensorsReader::Open(FilePath(path_, kUnquantizedFile));
}

absl::StatusOr<int64_t> PackedCheckpoint::CheckTensors(const std::string& name) const {
  if (name == kUnquantizedFile) {
    const auto file = OpenUnquantized();
    if (!file.ok()) return AsDataLoss(file.status());
    const std::vector<ExpectedTensor> outer = OuterTensors(config_);
    std::vector<std::string> outer_names;
    outer_names.reserve(outer.size());
    for (const ExpectedTensor& tensor : outer) outer_names.push_back(tensor.name);
    TERN_RETURN_IF_ERROR(CheckFileTensors(**file, outer_names));
    TERN_RETURN_IF_ERROR(CheckUnquantized(**file, outer));
    return (*file)->data_bytes();
  }
  for (int64_t block = 0; block < config_.num_blocks; ++block) {
    if (name != BlockFileName(block)) continue;
    const auto file = OpenBlock(block);
    if (!file.ok()) return AsDataLoss(file.status());
    TERN_RETURN_IF_ERROR(ReadBlockLayers(**file, config_, format_, block).status());
    return (*file)->data_bytes();
  }
  return 0;
}

absl::Status PackedCheckpoint::CheckIndex(std::optional<int64_t> tensor_bytes) const {
  const std::string path = FilePath(path_, kIndexFile);
  TERN_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kMaxJsonFileBytes));
  TERN_ASSIGN_OR_RETURN(const nlohmann::json index, ParseJsonObject(text, path));
  if (const auto map = index.find("weight_map");
      map == index.end() || *map != nlohmann::json(PackedWeightMap(config_, format_))) {
    return absl::DataLossError(
        absl::StrCat(path, ": weight_map is not that of this config.json's tensors"));
  }
  if (!tensor_bytes.has_value()) return absl::OkStatus();
  const nlohmann::json metadata = {{"total_size", *tensor_bytes}};
  if (const auto found = index.find("metadata"); found == index.end() || *found != metadata) {
    return absl::DataLossError(
        absl::StrCat(path, ": metadata: total_size ", *tensor_bytes, " is expected"));
  }
  return absl::OkStatus();
}

absl::Status PackedCheckpoint::Verify() const {
  // Tensors before digests: that way a fault is put down to a tensor where it shows in one.
  int64_t tensor_bytes = 0;
  for (const auto& [name, digest] : manifest_) {
    TERN_ASSIGN_OR_RETURN(const int64_t bytes, CheckTensors(name));
    TERN_RETURN_IF_ERROR(VerifyDigest(FilePath(path_, name), digest));
    tensor_bytes += bytes;
  }
  return AsDataLoss(CheckIndex(tensor_bytes));
}

absl::StatusOr<std::vector<PackedCheckpoint::BadFile>> PackedCheckpoint::FindBadFiles(
    const std::string& path) {
  const auto opened = OpenConfig(path);
  if (!opened.ok() && !absl::IsDataLoss(opened.status())) return opened.status();
  TERN_ASSIGN_OR_RETURN(const auto manifest, ReadManifest(path));

  std::vector<BadFile> bad;
  if (!opened.ok()) {
    bad.push_back({manifest.contains(kConfigFile) ? kConfigFile : kManifestFile, opened.status()});
  } else if (absl::Status listed = CheckListed(path, manifest, (*opened)->config_); !listed.ok()) {
    bad.push_back({kManifestFile, std::move(listed)});
  }
  // Unknown once a file is bad.
  std::optional<int64_t> tensor_bytes = bad.empty() ? std::optional<int64_t>(0) : std::nullopt;
  const auto check = [&](const std::string& name, const FileDigest& digest) -> absl::Status {
    TERN_RETURN_IF_ERROR(CheckSize(FilePath(path, name), digest));
    if (opened.ok()) {
      TERN_ASSIGN_OR_RETURN(const int64_t bytes, (*opened)->CheckTensors(name));
      if (tensor_bytes.has_value()) *tensor_bytes += bytes;
    }
    return VerifyDigest(FilePath(path, name), digest);
  };
  for (const auto& [name, digest] : manifest) {
    if (name == kConfigFile && !opened.ok()) continue;
    absl::Status fault = check(name, digest);
    if (fault.ok()) continue;
    bad.push_back({name, std::move(fault)});
    tensor_bytes.reset();
  }
  const bool index_is_bad = std::any_of(
      bad.begin(), bad.end(), [](const BadFile& file) { return file.name == kIndexFile; });
  if (!opened.ok() || index_is_bad || !manifest.contains(kIndexFile)) return bad;
  absl::Status index = AsDataLoss((*opened)->CheckIndex(tensor_bytes));
  if (!index.ok()) bad.push_back({kIndexFile, std::move(index)});
  return bad;
}

}  // namespace tern
