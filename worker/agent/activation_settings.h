#ifndef TERN_WORKER_AGENT_ACTIVATION_SETTINGS_H_
#define TERN_WORKER_AGENT_ACTIVATION_SETTINGS_H_

#include <vector>

#include "absl/status/statusor.h"
#include "checkpoint/low_bit_activations.h"
#include "tern/worker/v1/worker_service.pb.h"

namespace tern {

// What a task says of a block's activations. INVALID_ARGUMENT: bits that are not one of
// kActivationBits, or anything but one clip ratio in (0, 1] for each linear layer of the block.
absl::StatusOr<BlockActivations> ActivationsOf(const tern::worker::v1::BlockActivations& message);

// Of several blocks, in the same order.
absl::StatusOr<std::vector<BlockActivations>> ActivationsOf(
    const google::protobuf::RepeatedPtrField<tern::worker::v1::BlockActivations>& messages);

}  // namespace tern

#endif  // TERN_WORKER_AGENT_ACTIVATION_SETTINGS_H_
