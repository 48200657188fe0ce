#ifndef TERN_WORKER_AGENT_KEPT_SENSITIVITY_H_
#define TERN_WORKER_AGENT_KEPT_SENSITIVITY_H_

#include <string>
#include <utility>
#include <vector>

#include "checkpoint/low_bit_activations.h"
#include "worker/quant/sensitivity.h"

namespace tern {

// What one sensitivity task leaves for the next of its job. Thread-compatible.
class KeptSensitivity {
 public:
  struct Key {
    std::string job_uid;
    std::vector<BlockActivations> baseline;

    bool operator==(const Key&) const = default;
  };

  // Hands over what is kept under the key, or nothing; nothing is kept then.
  SensitivityState Take(const Key& key) {
    SensitivityState taken = std::exchange(state_, SensitivityState());
    return key == key_ ? std::move(taken) : SensitivityState();
  }

  void Keep(Key key, SensitivityState state) {
    key_ = std::move(key);
    state_ = std::move(state);
  }

  void Drop() { state_ = SensitivityState(); }

 private:
  Key key_;
  SensitivityState state_;
};

}  // namespace tern

#endif  // TERN_WORKER_AGENT_KEPT_SENSITIVITY_H_
