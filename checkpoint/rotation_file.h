#ifndef TERN_CHECKPOINT_ROTATION_FILE_H_
#define TERN_CHECKPOINT_ROTATION_FILE_H_

#include <cstdint>
#include <map>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "checkpoint/model_config.h"
#include "checkpoint/model_layout.h"
#include "checkpoint/packed_format.h"
#include "checkpoint/safetensors_reader.h"
#include "checkpoint/safetensors_writer.h"
#include "checkpoint/stored_rotation.h"

namespace tern {

// The rotations of a block's linear layers on their way from where they were found to where the
// block is quantized, `<name>.rot1` and `<name>.rot2` of all seven.
using BlockRotations = std::map<LinearKind, StoredRotation>;

absl::Status WriteRotationFile(int64_t block, const BlockRotations& rotations,
                               const ByteSink& sink);

// Reads and verifies, as ReadTernaryLayer does. Errors are DATA_LOSS and name the tensor.
absl::StatusOr<BlockRotations> ReadRotationFile(const SafetensorsReader& file,
                                                const ModelConfig& config,
                                                const PackedFormat& format, int64_t block);

}  // namespace tern

#endif  // TERN_CHECKPOINT_ROTATION_FILE_H_
