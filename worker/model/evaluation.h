#ifndef TERN_WORKER_MODEL_EVALUATION_H_
#define TERN_WORKER_MODEL_EVALUATION_H_

#include <cstdint>
#include <functional>

#include "absl/status/statusor.h"
#include "worker/backend/backend.h"
#include "worker/model/weight_source.h"
#include "worker/model/window_losses.h"

namespace tern {

// Which forward passes are compared; either may be null. What lies outside the blocks is the same
// in both and is read from `full` where it is given.
struct EvaluatedModels {
  const WeightSource* full = nullptr;
  const WeightSource* quantized = nullptr;
};

// Sums over predicted tokens, in nats. perplexity = exp(nll / tokens); sums of several ranges of
// windows add up.
struct EvaluationSums {
  int64_t tokens = 0;
  double nll_full = 0;       // 0 without `full`
  double nll_quantized = 0;  // 0 without `quantized`
  double kl = 0;             // Σ KL(full ‖ quantized); 0 unless both are given
};

struct EvaluationOptions {
  // Windows are taken in passes of as many as keep the hidden states of all streams within this (at
  // least one window a pass); each pass reads every block once. The sums do not depend on it.
  int64_t hidden_state_bytes = int64_t{512} << 20;
  // Both may be empty; called between batches of windows, on the calling thread. `done` counts to
  // `total` in windows times layers.
  std::function<void(int64_t done, int64_t total)> progress = {};
  std::function<bool()> cancelled = {};  // true ends the evaluation with CANCELLED
};

// Memory: one block's weights, the head, 256 MiB of logits at most, and the hidden states.
// INVALID_ARGUMENT: windows of another shape, token ids outside the vocabulary, non-finite weights.
absl::StatusOr<EvaluationSums> Evaluate(Backend& backend, const EvaluatedModels& models,
                                        const EvaluatedWindows& windows,
                                        const EvaluationOptions& options);

}  // namespace tern

#endif  // TERN_WORKER_MODEL_EVALUATION_H_
