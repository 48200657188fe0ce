#ifndef TERN_CHECKPOINT_LOW_BIT_ACTIVATIONS_H_
#define TERN_CHECKPOINT_LOW_BIT_ACTIVATIONS_H_

#include <array>
#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "checkpoint/model_layout.h"

namespace tern {

// The widths that activations may be stored to have; 16 is having none.
inline constexpr std::array<int, 4> kActivationBits = {2, 4, 6, 8};

// How the inputs of a block's linear layers are quantized at run time: per token, asymmetric
// (ActivationOps::Quantize), all to the same width, each by a clip ratio of its own in (0, 1].
struct BlockActivations {
  int bits = 0;
  std::map<LinearKind, double> clip;  // all seven

  bool operator==(const BlockActivations&) const = default;
};

// Over all blocks and layers; there is at least one block.
struct ActivationsSummary {
  int least_bits, most_bits;
  double average_bits;  // over blocks
  double least_clip, most_clip;
};
ActivationsSummary Summarize(const std::vector<BlockActivations>& blocks);

// {"scheme": "per_token_asymmetric", "blocks": [{"bits": 4, "clip": {"self_attn.q_proj": 0.95,
// ...}},
// ...]}, and that taken apart again. `label` names the object in errors, which are
// INVALID_ARGUMENT.
nlohmann::json ActivationsJson(const std::vector<BlockActivations>& blocks);
absl::StatusOr<std::vector<BlockActivations>> ParseActivations(const nlohmann::json& activations,
                                                               const std::string& label,
                                                               int64_t num_blocks);

}  // namespace tern

#endif  // TERN_CHECKPOINT_LOW_BIT_ACTIVATIONS_H_
