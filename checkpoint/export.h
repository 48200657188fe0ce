#ifndef TERN_CHECKPOINT_EXPORT_H_
#define TERN_CHECKPOINT_EXPORT_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "checkpoint/packed_checkpoint.h"
#include "checkpoint/packed_format.h"

namespace tern {

// Tensor bytes a shard of an export holds at most, unless a single tensor is larger.
inline constexpr int64_t kExportShardBytes = 4'000'000'000;

// What an export of such a checkpoint cannot carry, for people; empty when nothing is lost: low-bit
// activations, as other loaders compute with 16 bits.
std::string ExportNote(const PackedFormat& format);

// Writes a Hugging Face folder with the effective weights in bf16 (round to nearest even) that any
// loader accepts: config.json without quantization_config and with dtype bfloat16, sharded, with an
// index when there is more than one shard, tokenizer files. Columns are in the source's order, and
// rotations folded back into the weights (float32, rounded once). An ExportNote is in README.md,
// and in config.json as "tern_export". The checkpoint is verified first. `out` must not exist or be
// empty; on failure nothing is left. Memory holds one packed layer and a few rows, never the model.
absl::Status ExportBf16(const PackedCheckpoint& checkpoint, const std::string& out,
                        int64_t shard_bytes = kExportShardBytes);

}  // namespace tern

#endif  // TERN_CHECKPOINT_EXPORT_H_
