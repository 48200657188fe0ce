#ifndef TERN_WORKER_AGENT_SENSITIVITY_PREFIX_H_
#define TERN_WORKER_AGENT_SENSITIVITY_PREFIX_H_

#include <string>
#include <utility>
#include <vector>

#include "checkpoint/low_bit_activations.h"
#include "worker/quant/calibration_state.h"

namespace tern {

// The hidden states that one sensitivity task leaves for the next of its job: those of the
// calibration windows before a block, all blocks before it at the baseline. Thread-compatible.
class SensitivityPrefix {
 public:
  struct Key {
    std::string job_uid;
    std::vector<BlockActivations> baseline;

    bool operator==(const Key&) const = default;
  };

  // Hands over what is kept under the key, or an empty state; nothing is kept then.
  CalibrationState Take(const Key& key) {
    CalibrationState taken = std::exchange(state_, CalibrationState());
    return key == key_ ? std::move(taken) : CalibrationState();
  }

  void Keep(Key key, CalibrationState state) {
    key_ = std::move(key);
    state_ = std::move(state);
  }

  void Drop() { state_ = CalibrationState(); }

 private:
  Key key_;
  CalibrationState state_;
};

}  // namespace tern

#endif  // TERN_WORKER_AGENT_SENSITIVITY_PREFIX_H_
