#ifndef TERN_CHECKPOINT_MODEL_FOLDER_H_
#define TERN_CHECKPOINT_MODEL_FOLDER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "checkpoint/model_config.h"
#include "checkpoint/model_layout.h"
#include "checkpoint/safetensors_reader.h"

namespace tern {

// Files a packed checkpoint carries over unchanged, as far as the model has them.
const std::vector<std::string>& CompanionFileNames();

// A Hugging Face model folder: config.json and one (model.safetensors) or many shards
// (model.safetensors.index.json). Opening checks that every tensor the architecture implies is
// there with the right shape and a float dtype (BF16, F16, F32); tensors it does not know are
// ignored (rotary inv_freq buffers) unless they belong to a block's linear layers. Names of shards
// in the index must be plain file names. The weights' values are not read.
//
// Thread-safe after Open.
class ModelFolder {
 public:
  static absl::StatusOr<std::unique_ptr<ModelFolder>> Open(const std::string& path);

  const std::string& path() const { return path_; }
  const ModelConfig& config() const { return config_; }
  const std::string& config_json() const { return config_json_; }

  absl::StatusOr<TensorView> Get(absl::string_view tensor) const;

  // Converts a tensor to float32 into `out` (exactly its element count), and lets go of the memory
  // its bytes were mapped to. A NaN or infinity is INVALID_ARGUMENT naming tensor and index.
  absl::Status ReadFloat(absl::string_view tensor, std::span<float> out) const;

  // Lets go of the memory a tensor's bytes were mapped to; they are read again when touched.
  void Release(absl::string_view tensor) const;

  // Every tensor the architecture implies: embeddings, blocks, final norm, head.
  std::vector<ExpectedTensor> Tensors() const;

  // Bytes of all tensors the architecture implies, and their number of parameters.
  int64_t weight_bytes() const { return weight_bytes_; }
  int64_t parameters() const { return parameters_; }

  // Those of CompanionFileNames() that are there: tokenizer.json, tokenizer.model,
  // tokenizer_config.json, special_tokens_map.json, added_tokens.json, generation_config.json,
  // vocab.json, merges.txt, chat_template.jinja.
  std::vector<std::string> CompanionFiles() const;

 private:
  ModelFolder() = default;

  absl::Status OpenShards();
  absl::Status OpenSingleFile();
  absl::Status OpenIndexedShards();
  absl::Status CheckTensors();

  std::string path_;
  std::string config_json_;
  ModelConfig config_;
  std::vector<std::unique_ptr<SafetensorsReader>> shards_;
  std::map<std::string, const SafetensorsReader*, std::less<>> shard_of_;
  int64_t weight_bytes_ = 0;
  int64_t parameters_ = 0;
};

}  // namespace tern

#endif  // TERN_CHECKPOINT_MODEL_FOLDER_H_
