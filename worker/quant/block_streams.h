#ifndef TERN_WORKER_QUANT_BLOCK_STREAMS_H_
#define TERN_WORKER_QUANT_BLOCK_STREAMS_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "checkpoint/model_config.h"
#include "checkpoint/model_layout.h"
#include "worker/backend/backend.h"
#include "worker/model/block_weights.h"
#include "worker/model/transformer_block.h"
#include "worker/quant/calibration_state.h"
#include "worker/quant/state_batch.h"

namespace tern {

// The streams of a calibration state on their way through one block, stopping at the inputs of each
// set of layers. A set is passed batch by batch, all batches of one before the next set; between
// two sets the layers of the first get their ternary weights.
//
// The full-precision stream moves on as soon as its layer is passed. The quantized one cannot
// before its layer is quantized: attention outputs are kept for that, MLP activations where the
// device has memory to spare and else computed again, to the same bits.
//
// Thread-compatible.
class BlockStreams {
 public:
  // For block state.next_block, with `weights` in both streams. Backend and state must outlive
  // this.
  static absl::StatusOr<BlockStreams> Create(Backend& backend, const ModelConfig& config,
                                             const BlockWeights& weights, CalibrationState& state);

  int64_t batches() const { return (state_->tokens() + batch_tokens_ - 1) / batch_tokens_; }

  // The weights of the quantized stream.
  BlockWeights& quantized_weights() { return quantized_weights_; }

  // What the layers of one set read, [tokens of the batch, cols]. Valid until the next call.
  struct Inputs {
    Tensor quantized;
    Tensor full_precision;  // empty where the state has no such stream
  };
  // `set` is the first layer of its set.
  absl::StatusOr<Inputs> Next(LinearKind set, int64_t batch);

  // Takes the quantized stream past the last set.
  absl::Status Finish(int64_t batch);

 private:
  BlockStreams(Backend& backend, const BlockWeights& weights, CalibrationState& state,
               TransformerBlock block);

  // First row and number of rows of a batch.
  struct Span {
    int64_t first, count;
  };
  Span SpanOf(int64_t batch) const;
  absl::StatusOr<Tensor> Load(StateBatch& states, const Tensor& tensor, int64_t batch);
  // A batch's rows of mlp_activation_, or scratch where that is not kept.
  Tensor MlpActivationOf(int64_t batch) const;
  absl::Status AllocateAttentionOutput();
  absl::Status KeepMlpActivation();
  absl::StatusOr<Tensor> QuantizedInput(LinearKind set, int64_t batch);
  absl::StatusOr<Tensor> FullPrecisionInput(LinearKind set, int64_t batch);

  Backend* backend_;
  CalibrationState* state_;
  TransformerBlock block_;
  const BlockWeights weights_;
  BlockWeights quantized_weights_;
  int64_t batch_tokens_;
  StateBatch quantized_states_, full_states_, attention_states_;
  int64_t attention_width_ = 0;
  int64_t mlp_width_ = 0;
  Tensor attention_output_;  // of the quantized stream, all tokens, between {o} and {gate,up}
  Tensor mlp_activation_;    // likewise, from {down} on; empty: computed again
  Tensor norm_;              // a batch's scratch, [batch, hidden]
  Tensor quantized_input_;   // a batch's scratch, the widest input
  Tensor full_input_;
};

}  // namespace tern

#endif  // TERN_WORKER_QUANT_BLOCK_STREAMS_H_
