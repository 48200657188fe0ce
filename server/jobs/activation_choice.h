#ifndef TERN_SERVER_JOBS_ACTIVATION_CHOICE_H_
#define TERN_SERVER_JOBS_ACTIVATION_CHOICE_H_

#include <cstdint>
#include <map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/store/records.h"
#include "tern/v1/quantization_job.pb.h"
#include "tern/worker/v1/worker_service.pb.h"

namespace tern {

// The losses that a sensitivity or interaction task measures: of a sensitivity, its block's at
// every candidate below the baseline and, where all interactions are wanted, after each of those of
// the block before. `options` are complete. Pure.
std::vector<BitsProbe> ProbesOf(const v1::MixedActivations& options, const TaskRecord& task);

// Whether the loss with all blocks at the baseline is measured too: by one task of a job.
bool MeasuresBaseline(const TaskRecord& task);

// Whether `result` is that of such a task: its block, tokens, finite losses, exactly the probes and
// the baseline that it measures. INVALID_ARGUMENT says what is wrong. Pure.
absl::Status CheckSensitivity(const v1::MixedActivations& options, const TaskRecord& task,
                              const worker::v1::SensitivityResult& result);

struct ActivationChoice {
  // The bits of every block and what they were chosen from.
  v1::ActivationBits bits;
  // By block: the interactions with the block before that these bits count on and that are not
  // measured. While there are any, the bits are a guess, and these are what would tell.
  std::map<int32_t, std::vector<BitsProbe>> unmeasured;
};

// What is best by `measured`, the checked results of all sensitivities and of some interactions, in
// any order. Means are each task's losses over its tokens; k_i is 0 where either block is at 8 bits
// and, where it is not measured, −min(δ', δ) or 0, whichever is less. Pure.
absl::StatusOr<ActivationChoice> ChooseActivationBits(
    const v1::MixedActivations& options, int32_t blocks,
    const std::vector<worker::v1::SensitivityResult>& measured);

// The same bits for all blocks.
v1::ActivationBits FixedActivationBits(int32_t bits, int32_t blocks);

}  // namespace tern

#endif  // TERN_SERVER_JOBS_ACTIVATION_CHOICE_H_
