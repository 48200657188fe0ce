#include "worker/quant/calibration_state.h"

#include <algorithm>
#include <cassert>
#include <optional>

#include "checkpoint/block_memory.h"
#include "checkpoint/status_macros.h"
#include "worker/model/outer_weights.h"
#include "worker/model/transformer_block.h"
#include "worker/quant/state_batch.h"

namespace tern {
namespace {

absl::Status RunBlock(Backend& backend, TransformerBlock& block, const BlockWeights& weights,
                      const CalibrationState& state, const std::function<bool()>& cancelled,
                      const Tensor& h) {
  const int64_t batch = block.BatchWindows() * state.window_length;
  StateBatch rows(backend, state.on_host, std::min(batch, h.rows()));
  for (int64_t row = 0; row < h.rows(); row += batch) {
    if (cancelled && cancelled()) return absl::CancelledError("calibration was cancelled");
    TERN_ASSIGN_OR_RETURN(const Tensor states, rows.Load(h, row, std::min(batch, h.rows() - row)));
    TERN_RETURN_IF_ERROR(block.Forward(weights, states));
    TERN_RETURN_IF_ERROR(rows.Store());
  }
  return absl::OkStatus();
}

absl::StatusOr<Tensor> AllocateStates(Backend& backend, bool on_host, int64_t tokens,
                                      int64_t hidden) {
  return on_host ? backend.AllocateOnHost(ElementType::kF32, tokens, hidden)
                 : backend.Allocate(ElementType::kF32, tokens, hidden);
}

// The embeddings of `ids`, as many at a time as make a batch.
absl::Status Embed(Backend& backend, const WeightSource& source, std::span<const int32_t> ids,
                   const Tensor& states) {
  const auto batch = static_cast<size_t>(backend.batch_tokens());
  for (size_t first = 0; first < ids.size(); first += batch) {
    const size_t count = std::min(batch, ids.size() - first);
    TERN_ASSIGN_OR_RETURN(const Tensor rows,
                          EmbedTokens(backend, source, ids.subspan(first, count)));
    TERN_RETURN_IF_ERROR(
        backend.Copy(rows, states.Rows(static_cast<int64_t>(first), static_cast<int64_t>(count))));
  }
  return absl::OkStatus();
}

}  // namespace

bool NeedsFullPrecision(const QuantRecipe& options) { return options.gptaq > 0; }

CalibrationStreams ChooseStreams(const Backend& backend, const ModelConfig& config,
                                 const QuantRecipe& options, int64_t tokens,
                                 int64_t window_length) {
  CalibrationStreams streams{.full_precision = NeedsFullPrecision(options), .on_host = false};
  if (const std::optional<DeviceMemory> memory = backend.memory(); memory.has_value()) {
    const ComputeLayout layout = {.activation_bytes = SizeOf(backend.activation_type()),
                                  .batch_tokens = backend.batch_tokens(),
                                  .own_memory = true};
    const BlockMemory needed = QuantizeMemory(
        config, {tokens, window_length, streams.full_precision, options.rotation.has_value()},
        layout);
    streams.on_host = needed.total() > memory->total;
  }
  return streams;
}

absl::StatusOr<CalibrationState> StartCalibration(Backend& backend, const WeightSource& full,
                                                  std::span<const int32_t> ids,
                                                  int64_t window_length, int64_t first_block,
                                                  const CalibrationStreams& streams,
                                                  const std::function<bool()>& cancelled) {
  const auto tokens = static_cast<int64_t>(ids.size());
  const int64_t hidden = full.config().hidden_size;
  assert(window_length > 0 && tokens % window_length == 0);
  CalibrationState state;
  state.on_host = streams.on_host;
  state.window_length = window_length;
  state.next_block = first_block;
  TERN_ASSIGN_OR_RETURN(state.quantized, AllocateStates(backend, state.on_host, tokens, hidden));
  TERN_RETURN_IF_ERROR(Embed(backend, full, ids, state.quantized));
  for (int64_t i = 0; i < first_block; ++i) {
    TERN_ASSIGN_OR_RETURN(const BlockWeights weights, full.Block(backend, i));
    TERN_ASSIGN_OR_RETURN(TransformerBlock block,
                          TransformerBlock::Create(backend, full.config(), i, window_length));
    TERN_RETURN_IF_ERROR(RunBlock(backend, block, weights, state, cancelled, state.quantized));
  }
  if (streams.full_precision) {
    TERN_ASSIGN_OR_RETURN(state.full_precision,
                          AllocateStates(backend, state.on_host, tokens, hidden));
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
    TERN_RETURN_IF_ERROR(RunBlock(backend, block, full, state, cancelled, state.full_precision));
  }
  TERN_RETURN_IF_ERROR(RunBlock(backend, block, quantized, state, cancelled, state.quantized));
  ++state.next_block;
  return absl::OkStatus();
}

}  // namespace tern
