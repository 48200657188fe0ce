#ifndef TERN_CHECKPOINT_ROPE_CONFIG_H_
#define TERN_CHECKPOINT_ROPE_CONFIG_H_

#include "absl/status/statusor.h"
#include "checkpoint/config_fields.h"
#include "checkpoint/model_config.h"

namespace tern {

// Reads the RoPE fields of a config.json in either spelling: rope_theta with
// rope_scaling {"type" or "rope_type", ...}, or rope_parameters {"rope_type", "rope_theta", ...}.
absl::StatusOr<RopeConfig> ReadRopeConfig(const ConfigFields& config);

}  // namespace tern

#endif  // TERN_CHECKPOINT_ROPE_CONFIG_H_
