#ifndef TERN_WORKER_QUANT_SENSITIVITY_H_
#define TERN_WORKER_QUANT_SENSITIVITY_H_

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "checkpoint/low_bit_activations.h"
#include "worker/backend/backend.h"
#include "worker/model/weight_source.h"
#include "worker/model/window_losses.h"
#include "worker/quant/calibration_state.h"

namespace tern {

// What ILA-AMP asks of a block i: losses with the block, or blocks i - 1 and i, at fewer bits, all
// other blocks at the baseline.
struct SensitivityProbes {
  struct Probe {
    BlockActivations own;                      // of block i
    std::optional<BlockActivations> previous;  // of block i - 1; unset: at the baseline
  };
  int64_t block = 0;
  std::vector<Probe> probes;
  // Whether the loss with all blocks at the baseline is asked for too: it is the same for every i.
  bool baseline = false;
};

// Losses are sums of negative log-likelihoods over the windows' predicted tokens, in nats.
struct Sensitivity {
  struct Probe {
    int previous_bits;  // 0: the block before is at the baseline
    int bits;
    double loss;
  };
  int64_t tokens = 0;
  std::optional<double> baseline_loss;  // where asked for
  std::vector<Probe> probes;            // in the order they were asked for
};

// Where hidden states lie, how many at a time, and what is kept.
struct SensitivityMemory {
  // Windows are taken in passes of as many as keep the states of all probes within this (at least
  // one window a pass); each pass reads every block from the first that a probe changes on once.
  int64_t probe_bytes = int64_t{512} << 20;
  bool prefix_on_host = false;  // where the device's own memory has no room for it
  // The weights of as many of the last blocks, which most measurements ask for, stay in memory.
  int64_t kept_weight_bytes = 0;
  // So do the hidden states before as many blocks, evenly apart, for measurements that go back.
  int64_t kept_prefix_bytes = 0;
};

// On the CPU the prefix and as much again, at least 512 MiB, and nothing that stays; of what a
// device has of its own three eighths for probes, two for weights and one for states that stay.
// Depends on the arguments and the size of the device's memory alone.
SensitivityMemory ChooseSensitivityMemory(const Backend& backend, const ModelConfig& config,
                                          int64_t tokens);

struct SensitivityOptions {
  SensitivityMemory memory = {};
  // All may be empty; called on the calling thread. `upcoming` gets the block that the source will
  // be asked for next, if it is not kept, before the work on the one at hand begins. `done` counts
  // to `total`.
  std::function<void(int64_t block)> upcoming = {};
  std::function<void(int64_t done, int64_t total)> progress = {};
  std::function<bool()> cancelled = {};  // true ends the measurement with CANCELLED
};

// What one measurement leaves for the next of the same source and windows. After an error it is of
// no use.
struct SensitivityState {
  // The windows' hidden states before a block, all blocks before it at the baseline.
  CalibrationState prefix;
  std::map<int64_t, Tensor> kept_prefixes;  // the same before these blocks
  std::map<int64_t, BlockWeights> blocks;   // at the baseline
  std::optional<WindowLosses> losses;
};

// `baseline` gives the quantized blocks in low-bit form (QuantizedWeights with activations), with
// the activations that all probes are compared with.
//
// `state` is what an earlier measurement has left, or empty. Its prefix is brought to the first
// block that a probe changes, from where it stands, from what is kept or anew. Where its windows
// are of another shape, nothing of it is used.
//
// The bits of a loss depend neither on the state nor on the memory; on the CPU they are those of
// Evaluate with the same activations.
//
// Memory: the prefix and those kept, the probes' states, one block's weights and those kept, the
// head, 128 MiB of logits at most.
// INVALID_ARGUMENT: windows of another shape, token ids outside the vocabulary, no such block.
absl::StatusOr<Sensitivity> MeasureSensitivity(Backend& backend, const WeightSource& baseline,
                                               const EvaluatedWindows& windows,
                                               const SensitivityProbes& probes,
                                               const SensitivityOptions& options,
                                               SensitivityState& state);

}  // namespace tern

#endif  // TERN_WORKER_QUANT_SENSITIVITY_H_
