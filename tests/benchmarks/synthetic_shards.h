#ifndef TERN_TESTS_BENCHMARKS_SYNTHETIC_SHARDS_H_
#define TERN_TESTS_BENCHMARKS_SYNTHETIC_SHARDS_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "checkpoint/model_config.h"

namespace tern {

struct SyntheticModelOptions {
  uint64_t seed = 1;
  int threads = 1;          // that make values
  int64_t shard_bytes = 0;  // at most, of a shard's tensors
};

// Writes the weights of a model (SyntheticTensor says which) into `folder`: bfloat16, in
// model-00001-of-….safetensors and so on, and at last their model.safetensors.index.json. The bytes
// depend on configuration, seed and shard size alone. They are handed to the operating system but
// not synced to the disk. Takes 32 MiB for every two threads at most, however large the model.
absl::Status WriteSyntheticWeights(const ModelConfig& config, const SyntheticModelOptions& options,
                                   const std::string& folder);

}  // namespace tern

#endif  // TERN_TESTS_BENCHMARKS_SYNTHETIC_SHARDS_H_
