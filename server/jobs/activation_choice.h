#ifndef TERN_SERVER_JOBS_ACTIVATION_CHOICE_H_
#define TERN_SERVER_JOBS_ACTIVATION_CHOICE_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tern/v1/quantization_job.pb.h"
#include "tern/worker/v1/worker_service.pb.h"

namespace tern {

// Whether `result` is that of `block`'s sensitivity task under these (complete) options: tokens,
// finite losses, exactly the probes that the choice needs, and block 0's the baseline.
// INVALID_ARGUMENT says what is wrong. Pure.
absl::Status CheckSensitivity(const v1::MixedActivations& options, int32_t block,
                              const worker::v1::SensitivityResult& result);

// The bits of every block and what they were chosen from. `measured` holds the checked result of
// every block, in order. Means are each task's losses over its tokens; k_i is 0 where either block
// is at 8 bits. Pure.
absl::StatusOr<v1::ActivationBits> ChooseActivationBits(
    const v1::MixedActivations& options,
    const std::vector<worker::v1::SensitivityResult>& measured);

// The same bits for all blocks.
v1::ActivationBits FixedActivationBits(int32_t bits, int32_t blocks);

}  // namespace tern

#endif  // TERN_SERVER_JOBS_ACTIVATION_CHOICE_H_
