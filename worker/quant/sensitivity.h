#ifndef TERN_WORKER_QUANT_SENSITIVITY_H_
#define TERN_WORKER_QUANT_SENSITIVITY_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/statusor.h"
#include "checkpoint/low_bit_activations.h"
#include "worker/backend/backend.h"
#include "worker/model/weight_source.h"
#include "worker/model/window_losses.h"
#include "worker/quant/calibration_state.h"

namespace tern {

// What ILA-AMP asks of a block i: the loss with the block at each of `candidates`, and with blocks
// i - 1 and i at each pair of `previous` and `candidates`, all other blocks at the baseline.
struct SensitivityProbes {
  int64_t block = 0;
  std::vector<BlockActivations> candidates;
  std::vector<BlockActivations> previous;  // empty: no pairs, as for block 0
};

// Losses are sums of negative log-likelihoods over the windows' predicted tokens, in nats.
struct Sensitivity {
  struct Probe {
    int previous_bits;  // 0: the block before is at the baseline
    int bits;
    double loss;
  };
  int64_t tokens = 0;
  double baseline_loss = 0;
  std::vector<Probe> probes;  // the candidates, then the pairs, in the order they were asked for
};

// Where hidden states lie, and how many at a time.
struct SensitivityMemory {
  // Windows are taken in passes of as many as keep the states of all probes within this (at least
  // one window a pass); each pass reads every block from block i - 1 on once.
  int64_t probe_bytes = int64_t{512} << 20;
  bool prefix_on_host = false;  // where the device's own memory has no room for it
};

// The kept prefix and as much again on the CPU, at least 512 MiB; about half of what a device has
// of its own. Depends on the arguments and the size of the device's memory alone.
SensitivityMemory ChooseSensitivityMemory(const Backend& backend, const ModelConfig& config,
                                          int64_t tokens);

struct SensitivityOptions {
  SensitivityMemory memory = {};
  // All may be empty; called on the calling thread. `upcoming` gets the block that the source will
  // be asked for next, before the work on the one at hand begins. `done` counts to `total`.
  std::function<void(int64_t block)> upcoming = {};
  std::function<void(int64_t done, int64_t total)> progress = {};
  std::function<bool()> cancelled = {};  // true ends the measurement with CANCELLED
};

// `baseline` gives the quantized blocks in low-bit form (QuantizedWeights with activations), with
// the activations that all probes are compared with.
//
// `prefix` holds the windows' hidden states before a block, all blocks before it at the baseline:
// those that an earlier measurement of the same source and windows has left there, or none. It is
// brought to the block before `probes.block`, from where it stands or, where that is too far, anew.
// After an error it is of no use.
//
// The bits of a loss depend neither on the prefix nor on the memory; on the CPU they are those of
// Evaluate with the same activations.
//
// Memory: the prefix, the probes' states, one block's weights, the head, 128 MiB of logits at most.
// INVALID_ARGUMENT: windows of another shape, token ids outside the vocabulary, no such block.
absl::StatusOr<Sensitivity> MeasureSensitivity(Backend& backend, const WeightSource& baseline,
                                               const EvaluatedWindows& windows,
                                               const SensitivityProbes& probes,
                                               const SensitivityOptions& options,
                                               CalibrationState& prefix);

}  // namespace tern

#endif  // TERN_WORKER_QUANT_SENSITIVITY_H_
