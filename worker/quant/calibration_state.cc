#include "worker/quant/calibration_state.h"

#include <algorithm>
#include <cassert>

#include "checkpoint/status_macros.h"
#include "worker/model/outer_weights.h"
#include "worker/model/transformer_block.h"

namespace tern {
namespace {

absl::Status RunBlock(TransformerBlock& block, const BlockWeights& weights, int64_t window_length,
                      const std::function<bool()>& cancelled, const Tensor& h) {
  const int64_t batch = block.BatchWindows() * window_length;
  for (int64_t row = 0; row < h.rows(); row += batch) {
    if (cancelled && cancelled()) return absl::CancelledError("calibration was cancelled");
    TERN_RETURN_IF_ERROR(block.Forward(weights, h.Rows(row, std::min(batch, h.rows() - row))));
  }
  return absl::OkStatus();
}

}  // namespace

bool NeedsFullPrecision(const Pt2LlmOptions& options) { return options.gptaq > 0; }

absl::StatusOr<CalibrationState> StartCalibration(Backend& backend, const WeightSource& full,
                                                  std::span<const int32_t> ids,
                                                  int64_t window_length, int64_t first_block,
                                                  bool full_precision_stream,
                                                  const std::function<bool()>& cancelled) {
  assert(window_length > 0 && ids.size() % static_cast<size_t>(window_length) == 0);
  CalibrationState state;
  state.window_length = window_length;
  state.next_block = first_block;
  TERN_ASSIGN_OR_RETURN(state.quantized, EmbedTokens(backend, full, ids));
  for (int64_t i = 0; i < first_block; ++i) {
    TERN_ASSIGN_OR_RETURN(const BlockWeights weights, full.Block(backend, i));
    TERN_ASSIGN_OR_RETURN(TransformerBlock block,
                          TransformerBlock::Create(backend, full.config(), i, window_length));
    TERN_RETURN_IF_ERROR(RunBlock(block, weights, window_length, cancelled, state.quantized));
  }
  if (full_precision_stream) {
    TERN_ASSIGN_OR_RETURN(
        state.full_precision,
        backend.Allocate(ElementType::kF32, state.quantized.rows(), state.quantized.cols()));
    TERN_RETURN_IF_ERROR(backend.Copy(state.quantized, state.full_precision));
  }
  return state;
}

absl::Status AdvanceCalibration(Backend& backend, const ModelConfig& config,
                                const BlockWeights& full, const BlockWeights& quantized,
                                const std::function<bool()>& cancelled, CalibrationState& state) {
  TERN_ASSIGN_OR_RETURN(
      TransformerBlock block,
      TransformerBlock::Create(backend, config, state.next_block, state.window_length));
  if (!state.full_precision.empty()) {
    TERN_RETURN_IF_ERROR(
        RunBlock(block, full, state.window_length, cancelled, state.full_precision));
  }
  TERN_RETURN_IF_ERROR(RunBlock(block, quantized, state.window_length, cancelled, state.quantized));
  ++state.next_block;
  return absl::OkStatus();
}

}  // namespace tern
