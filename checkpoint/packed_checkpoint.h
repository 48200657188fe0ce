#ifndef TERN_CHECKPOINT_PACKED_CHECKPOINT_H_
#define TERN_CHECKPOINT_PACKED_CHECKPOINT_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
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

  // A file that is not as it should be, and its first fault, as Open and Verify tell it.
  struct BadFile {
    std::string name;
    absl::Status fault;
  };
  // Opens the folder and verifies all files; empty when each is whole. Where config.json is damaged
  // the others are held against the manifest alone. An error, one of Open's, when there is nothing
  // to hold them against.
  static absl::StatusOr<std::vector<BadFile>> FindBadFiles(const std::string& path);

 private:
  PackedCheckpoint() = default;

  // All of Open but the look at the files.
  static absl::StatusOr<std::unique_ptr<PackedCheckpoint>> OpenConfig(const std::string& path);
  // The bytes of the tensors of a file that the model is read from, each checked; 0 of another.
  absl::StatusOr<int64_t> CheckTensors(const std::string& name) const;
  // The index against the files' tensors, where all of their bytes are known.
  absl::Status CheckIndex(std::optional<int64_t> tensor_bytes) const;

  std::string path_;
  std::string source_config_json_;
  ModelConfig config_;
  PackedFormat format_;
  std::map<std::string, FileDigest> manifest_;
};

}  // namespace tern

#endif  // TERN_CHECKPOINT_PACKED_CHECKPOINT_H_
