#ifndef TERN_WORKER_QUANT_BLOCK_QUANTIZER_H_
#define TERN_WORKER_QUANT_BLOCK_QUANTIZER_H_

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "checkpoint/block_file.h"
#include "checkpoint/model_config.h"
#include "checkpoint/model_layout.h"
#include "checkpoint/rotation_file.h"
#include "worker/backend/backend.h"
#include "worker/model/block_weights.h"
#include "worker/quant/calibration_state.h"
#include "worker/quant/layer_quantizer.h"
#include "worker/quant/quant_recipe.h"
#include "worker/quant/task_control.h"

namespace tern {

// How a block came out.
struct BlockMetrics {
  std::map<LinearKind, LayerMetrics> layers;
  double relative_error = 0;              // Σ output_error / Σ output_energy over its layers
  double bits_per_weight = 0;             // of its linear layers, from stored bytes
  int64_t tokens = 0;                     // calibrated on
  std::map<std::string, double> seconds;  // by stage (block_stages.h)
};

struct QuantizedBlock {
  BlockLayers layers;
  BlockMetrics metrics;
};

// Quantizes block state.next_block by the recipe and moves `state` past it. `rotations` are the
// stored ones of all its layers where the recipe has a rotation, else empty. The sets {q,k,v}, {o},
// {gate,up}, {down} are calibrated one after the other, each on what its layers see once the sets
// before are quantized and stored; where the options ask for asymmetric calibration,
// state.full_precision (which must then be there) runs beside it with `weights` as they are.
//
// Memory beside weights and state: one tensor of attention outputs for all tokens, activations of
// TransformerBlock::BatchWindows() windows, and for the widest input m six m × m
// matrices, eight where layers are rotated.
//
// Results depend on the arguments alone. After an error, CANCELLED included, the state is of no
// use.
absl::StatusOr<QuantizedBlock> QuantizeBlock(Backend& backend, const ModelConfig& config,
                                             const BlockWeights& weights,
                                             const QuantRecipe& options,
                                             const BlockRotations& rotations,
                                             const TaskControl& control, CalibrationState& state);

}  // namespace tern

#endif  // TERN_WORKER_QUANT_BLOCK_QUANTIZER_H_
