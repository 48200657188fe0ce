#ifndef TERN_SERVER_JOBS_ACTIVATION_STAGE_H_
#define TERN_SERVER_JOBS_ACTIVATION_STAGE_H_

#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/jobs/after_commit.h"
#include "server/jobs/jobs_context.h"
#include "server/store/store.h"

namespace tern {

// Within the transaction that ends `finished`, before what waits for it hears of that: once all
// measurements there are of a job are done, either its activation bits are chosen and become part
// of the job's document, before anything that depends on them can be leased; or the interactions
// that the choice still lacks are measured first, by interaction tasks that are added to the job.
// `job` is changed, and left to the caller to write. Other kinds of tasks have no part in this.
absl::Status ContinueActivationChoice(const JobsContext& context, Transaction& transaction,
                                      JobRecord& job, const TaskRecord& finished, absl::Time now,
                                      AfterCommit& after);

// What a job's interaction tasks are likely to cost on top of its planned `tasks`. Pure.
double ExpectedInteractionsCost(const v1::QuantizationSpec& spec,
                                const std::vector<TaskRecord>& tasks);

}  // namespace tern

#endif  // TERN_SERVER_JOBS_ACTIVATION_STAGE_H_
