#ifndef TERN_CHECKPOINT_PACKED_CHECKPOINT_H_
#define TERN_CHECKPOINT_PACKED_CHECKPOINT_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "checkpoint/manifest.h"
#include "checkpoint/model_config.h"
#include "checkpoint/packed_format.h"
#include "checkpoint/safetensors_reader.h"

namespace tern {

// A packed checkpoint on disk. Opening checks config, format version, manifest and sizes; layers
// are verified as they are read. Thread-safe after Open.
class PackedCheckpoint {
 public:
  // NOT_FOUND when the folder or its manifest is missing. DATA_LOSS when the manifest does not
  // parse, config.json is not as the manifest says, or another listed file is missing or has
  // another size. INVALID_ARGUMENT when config.json is whole and not one that this build reads;
  // FAILED_PRECONDITION when a newer version wrote the manifest.
  static absl::StatusOr<std::unique_ptr<PackedCheckpoint>> Open(const std::string& path);

  const ModelConfig& config() const { return config_; }
  const PackedFormat& format() const { return format_; }
  const std::string& path() const { return path_; }
  const std::string& source_config_json() const { return source_config_json_; }
  const std::map<std::string, FileDigest>& manifest() const { return manifest_; }

  absl::StatusOr<std::unique_ptr<SafetensorsReader>> OpenBlock(int64_t block) const;
  absl::StatusOr<std::unique_ptr<SafetensorsReader>> OpenUnquantized() const;

  // Reads every byte: digests against the manifest, every layer against its rules, the index
  // against the files. The first fault found is DATA_LOSS and names file and tensor.
  absl::Status Verify() const;

 private:
  PackedCheckpoint() = default;

  std::string path_;
  std::string source_config_json_;
  ModelConfig config_;
  PackedFormat format_;
  std::map<std::string, FileDigest> manifest_;
};

}  // namespace tern

#endif  // TERN_CHECKPOINT_PACKED_CHECKPOINT_H_
