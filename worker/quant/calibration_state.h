#ifndef TERN_WORKER_QUANT_CALIBRATION_STATE_H_
#define TERN_WORKER_QUANT_CALIBRATION_STATE_H_

#include <cstdint>
#include <functional>
#include <span>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "checkpoint/model_config.h"
#include "worker/backend/backend.h"
#include "worker/model/block_weights.h"
#include "worker/model/weight_source.h"
#include "worker/quant/quant_recipe.h"

namespace tern {

// The hidden states of the calibration windows where block `next_block` of a shard reads them.
// Inside a shard they have passed the blocks before as quantized and, in the full-precision stream,
// as they were; before a shard's first block both are the full-precision prefix.
//
// The bits do not depend on how a state came about: QuantizeBlock leaves behind what
// AdvanceCalibration makes of the same block's stored form.
struct CalibrationState {
  Tensor quantized;       // [tokens, hidden], whole windows
  Tensor full_precision;  // the same; empty when nothing needs it
  bool on_host = false;   // both lie in the host's memory, not in the device's own
  int64_t window_length = 0;
  int64_t next_block = 0;

  int64_t tokens() const { return quantized.rows(); }
};

// Whether a method reads the full-precision stream. Only asymmetric calibration does (G = X_fpᵀX);
// without it that stream is neither kept nor computed.
bool NeedsFullPrecision(const QuantRecipe& options);

// What a calibration state is to hold, and where.
struct CalibrationStreams {
  bool full_precision = false;  // beside the quantized one
  bool on_host = false;         // the bits are the same, the way there and back takes time
};

// Streams that the options need, in the host's memory where the backend's device has memory of its
// own and that has no room for them beside a block of the model.
CalibrationStreams ChooseStreams(const Backend& backend, const ModelConfig& config,
                                 const QuantRecipe& options, int64_t tokens, int64_t window_length);

// The state before `first_block`, a shard's first: the windows through the full-precision blocks
// before it, one stream, copied where both are needed. `ids` are whole windows. `cancelled` may be
// empty. INVALID_ARGUMENT names an id outside the vocabulary; CANCELLED.
absl::StatusOr<CalibrationState> StartCalibration(Backend& backend, const WeightSource& full,
                                                  std::span<const int32_t> ids,
                                                  int64_t window_length, int64_t first_block,
                                                  const CalibrationStreams& streams,
                                                  const std::function<bool()>& cancelled);

// Moves the state past block state.next_block: `quantized` are the block's weights with the ternary
// layers' stored values, `full` the model's (not read when the state has no full-precision stream).
// After an error the state is of no use.
absl::Status AdvanceCalibration(Backend& backend, const ModelConfig& config,
                                const BlockWeights& full, const BlockWeights& quantized,
                                const std::function<bool()>& cancelled, CalibrationState& state);

}  // namespace tern

#endif  // TERN_WORKER_QUANT_CALIBRATION_STATE_H_
