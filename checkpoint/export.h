#ifndef TERN_CHECKPOINT_EXPORT_H_
#define TERN_CHECKPOINT_EXPORT_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "checkpoint/packed_checkpoint.h"

namespace tern {

// Tensor bytes a shard of an export holds at most, unless a single tensor is larger.
inline constexpr int64_t kExportShardBytes = 4'000'000'000;

// Writes a Hugging Face folder with W_hat in bf16 (round to nearest even) that any loader accepts:
// config.json without quantization_config and with dtype bfloat16, sharded, with an index when
// there is more than one shard, tokenizer files. Columns are in the source's order. The checkpoint
// is verified first. `out` must not exist or be empty; on failure nothing is left. Memory holds
// one packed layer and a few rows, never the model.
absl::Status ExportBf16(const PackedCheckpoint& checkpoint, const std::string& out,
                        int64_t shard_bytes = kExportShardBytes);

}  // namespace tern

#endif  // TERN_CHECKPOINT_EXPORT_H_
