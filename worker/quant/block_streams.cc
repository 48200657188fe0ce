#include "worker/quant/block_streams.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "checkpoint/status_macros.h"
#include "worker/quant/slice.h"

namespace tern {
namespace {

// m × m: two moments, the inverse and its scratch, two downdates, and as much for what else.
constexpr int64_t kMatricesOfALayer = 10;

}  // namespace

absl::StatusOr<BlockStreams> BlockStreams::Create(Backend& backend, const ModelConfig& config,
                                                  const BlockWeights& weights,
                                                  CalibrationState& state) {
  TERN_ASSIGN_OR_RETURN(
      TransformerBlock block,
      TransformerBlock::Create(backend, config, state.next_block, state.window_length));
  BlockStreams streams(backend, weights, state, std::move(block));
  streams.attention_width_ = ShapeOf(config, LinearKind::kO).cols;
  streams.mlp_width_ = ShapeOf(config, LinearKind::kDown).cols;
  const int64_t hidden = state.quantized.cols();
  const int64_t widest = std::max({hidden, streams.attention_width_, streams.mlp_width_});
  const int64_t tokens = std::min(streams.batch_tokens_, state.tokens());
  const ElementType type = backend.activation_type();
  TERN_ASSIGN_OR_RETURN(streams.norm_, backend.Allocate(type, tokens, hidden));
  TERN_ASSIGN_OR_RETURN(streams.quantized_input_, backend.Allocate(type, tokens, widest));
  if (!state.full_precision.empty()) {
    TERN_ASSIGN_OR_RETURN(streams.full_input_, backend.Allocate(type, tokens, widest));
  }
  return streams;
}

BlockStreams::BlockStreams(Backend& backend, const BlockWeights& weights, CalibrationState& state,
                           TransformerBlock block)
    : backend_(&backend),
      state_(&state),
      block_(std::move(block)),
      weights_(weights),
      quantized_weights_(weights),
      batch_tokens_(block_.BatchWindows() * state.window_length),
      quantized_states_(backend, state.on_host, std::min(batch_tokens_, state.tokens())),
      full_states_(quantized_states_),
      attention_states_(quantized_states_) {}

BlockStreams::Span BlockStreams::SpanOf(int64_t batch) const {
  const int64_t first = batch * batch_tokens_;
  return {first, std::min(batch_tokens_, state_->tokens() - first)};
}

absl::StatusOr<Tensor> BlockStreams::Load(StateBatch& states, const Tensor& tensor, int64_t batch) {
  const Span rows = SpanOf(batch);
  return states.Load(tensor, rows.first, rows.count);
}

absl::StatusOr<BlockStreams::Inputs> BlockStreams::Next(LinearKind set, int64_t batch) {
  Inputs inputs;
  TERN_ASSIGN_OR_RETURN(inputs.quantized, QuantizedInput(set, batch));
  if (!state_->full_precision.empty()) {
    TERN_ASSIGN_OR_RETURN(inputs.full_precision, FullPrecisionInput(set, batch));
  }
  return inputs;
}

absl::StatusOr<Tensor> BlockStreams::QuantizedInput(LinearKind set, int64_t batch) {
  const BlockWeights& weights = quantized_weights_;
  TERN_ASSIGN_OR_RETURN(const Tensor h, Load(quantized_states_, state_->quantized, batch));
  const Tensor norm = norm_.Rows(0, h.rows());
  if (set == LinearKind::kQ) {
    const Tensor x = Slice(quantized_input_, 0, h.rows(), h.cols());
    TERN_RETURN_IF_ERROR(block_.AttentionInput(weights, h, x));
    return x;
  }
  if (set == LinearKind::kO) {
    if (batch == 0) TERN_RETURN_IF_ERROR(AllocateAttentionOutput());
    const Span rows = SpanOf(batch);
    TERN_ASSIGN_OR_RETURN(const Tensor a,
                          attention_states_.Claim(attention_output_, rows.first, rows.count));
    TERN_RETURN_IF_ERROR(block_.AttentionInput(weights, h, norm));
    TERN_RETURN_IF_ERROR(block_.Attention(weights, norm, a));
    TERN_RETURN_IF_ERROR(attention_states_.Store());
    return a;
  }
  if (set == LinearKind::kGate) {
    TERN_ASSIGN_OR_RETURN(const Tensor a, Load(attention_states_, attention_output_, batch));
    TERN_RETURN_IF_ERROR(block_.AddAttentionOutput(weights, a, h));
    TERN_RETURN_IF_ERROR(quantized_states_.Store());
    if (batch == batches() - 1) {
      attention_output_ = Tensor();
      attention_states_.Release();
    }
    const Tensor x = Slice(quantized_input_, 0, h.rows(), h.cols());
    TERN_RETURN_IF_ERROR(block_.MlpInput(weights, h, x));
    return x;
  }
  if (batch == 0) TERN_RETURN_IF_ERROR(KeepMlpActivation());
  const Tensor m = MlpActivationOf(batch);
  TERN_RETURN_IF_ERROR(block_.MlpInput(weights, h, norm));
  TERN_RETURN_IF_ERROR(block_.MlpActivation(weights, norm, m));
  return m;
}

absl::Status BlockStreams::AllocateAttentionOutput() {
  const ElementType type = backend_->activation_type();
  const int64_t tokens = state_->tokens();
  TERN_ASSIGN_OR_RETURN(attention_output_,
                        state_->on_host ? backend_->AllocateOnHost(type, tokens, attention_width_)
                                        : backend_->Allocate(type, tokens, attention_width_));
  return absl::OkStatus();
}

Tensor BlockStreams::MlpActivationOf(int64_t batch) const {
  const Span rows = SpanOf(batch);
  return mlp_activation_.empty() ? Slice(quantized_input_, 0, rows.count, mlp_width_)
                                 : mlp_activation_.Rows(rows.first, rows.count);
}

absl::Status BlockStreams::KeepMlpActivation() {
  const std::optional<DeviceMemory> memory = backend_->memory();
  // The host's memory is others' too.
  if (!memory.has_value() || state_->on_host) return absl::OkStatus();
  const ElementType type = backend_->activation_type();
  const int64_t activations = state_->tokens() * mlp_width_ * SizeOf(type);
  // What quantizing the layer takes beside them.
  const int64_t matrices = kMatricesOfALayer * mlp_width_ * mlp_width_ * SizeOf(ElementType::kF32);
  if (memory->total - memory->used < activations + matrices) return absl::OkStatus();
  absl::StatusOr<Tensor> kept = backend_->Allocate(type, state_->tokens(), mlp_width_);
  // The device had less to spare than it said: they are computed again then.
  if (absl::IsResourceExhausted(kept.status())) return absl::OkStatus();
  TERN_ASSIGN_OR_RETURN(mlp_activation_, std::move(kept));
  return absl::OkStatus();
}

absl::StatusOr<Tensor> BlockStreams::FullPrecisionInput(LinearKind set, int64_t batch) {
  TERN_ASSIGN_OR_RETURN(const Tensor h, Load(full_states_, state_->full_precision, batch));
  const Tensor norm = norm_.Rows(0, h.rows());
  if (set == LinearKind::kQ) {
    TERN_RETURN_IF_ERROR(block_.AttentionInput(weights_, h, norm));
    return norm;
  }
  if (set == LinearKind::kO) {
    const Tensor a = Slice(full_input_, 0, h.rows(), attention_width_);
    TERN_RETURN_IF_ERROR(block_.AttentionInput(weights_, h, norm));
    TERN_RETURN_IF_ERROR(block_.Attention(weights_, norm, a));
    TERN_RETURN_IF_ERROR(block_.AddAttentionOutput(weights_, a, h));
    TERN_RETURN_IF_ERROR(full_states_.Store());
    return a;
  }
  if (set == LinearKind::kGate) {
    TERN_RETURN_IF_ERROR(block_.MlpInput(weights_, h, norm));
    return norm;
  }
  const Tensor m = Slice(full_input_, 0, h.rows(), mlp_width_);
  TERN_RETURN_IF_ERROR(block_.MlpInput(weights_, h, norm));
  TERN_RETURN_IF_ERROR(block_.MlpActivation(weights_, norm, m));
  TERN_RETURN_IF_ERROR(block_.AddMlpOutput(weights_, m, h));
  TERN_RETURN_IF_ERROR(full_states_.Store());
  return m;
}

absl::Status BlockStreams::Finish(int64_t batch) {
  TERN_ASSIGN_OR_RETURN(const Tensor h, Load(quantized_states_, state_->quantized, batch));
  const Tensor norm = norm_.Rows(0, h.rows());
  const Tensor m = MlpActivationOf(batch);
  if (mlp_activation_.empty()) {
    TERN_RETURN_IF_ERROR(block_.MlpInput(quantized_weights_, h, norm));
    TERN_RETURN_IF_ERROR(block_.MlpActivation(quantized_weights_, norm, m));
  }
  TERN_RETURN_IF_ERROR(block_.AddMlpOutput(quantized_weights_, m, h));
  return quantized_states_.Store();
}

}  // namespace tern
