#ifndef TERN_CHECKPOINT_BLOCK_FILE_H_
#define TERN_CHECKPOINT_BLOCK_FILE_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "checkpoint/model_folder.h"
#include "checkpoint/model_layout.h"
#include "checkpoint/packed_format.h"
#include "checkpoint/safetensors_reader.h"
#include "checkpoint/safetensors_writer.h"
#include "checkpoint/ternary_layer.h"

namespace tern {

using BlockLayers = std::map<LinearKind, TernaryLayer>;

// Names of all tensors of a block's file, in no particular order.
std::vector<std::string> BlockFileTensors(const ModelConfig& config, const PackedFormat& format,
                                          int64_t block);

// Writes the file of `block` to `sink`: the layers (all seven, of the shapes `model` implies, all
// with a permutation or none and all with a rotation or none) and the block's norms and biases as
// in the source. Equal input gives equal bytes.
absl::Status WriteBlockFile(const ModelFolder& model, int64_t block, const BlockLayers& layers,
                            const ByteSink& sink);

// Writes every tensor outside the blocks, as in the source.
absl::Status WriteUnquantizedFile(const ModelFolder& model, const ByteSink& sink);

// Reads and verifies the layers of a block's file, and checks that it holds the block's norms and
// biases and nothing else. Errors are DATA_LOSS and name the tensor.
absl::StatusOr<BlockLayers> ReadBlockLayers(const SafetensorsReader& file,
                                            const ModelConfig& config, const PackedFormat& format,
                                            int64_t block);

// That `file` holds exactly these tensors; and that these are of a weight's dtype and the shape
// config.json implies. DATA_LOSS names the first that is wrong.
absl::Status CheckFileTensors(const SafetensorsReader& file,
                              const std::vector<std::string>& expected);
absl::Status CheckUnquantized(const SafetensorsReader& file,
                              const std::vector<ExpectedTensor>& expected);

}  // namespace tern

#endif  // TERN_CHECKPOINT_BLOCK_FILE_H_
