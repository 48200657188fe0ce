#include "server/jobs/file_commit.h"

#include <utility>

#include "checkpoint/status_macros.h"
#include "server/jobs/events.h"

namespace tern {

absl::Status CommitFile(const JobsContext& context, Transaction& transaction, JobRecord& job,
                        FileRecord file, absl::Time now) {
  file.index = ++job.last_file_index;
  TERN_RETURN_IF_ERROR(transaction.InsertFile(file));
  v1::JobEvent event;
  auto& committed = *event.mutable_file_committed()->mutable_file();
  committed.set_index(file.index);
  committed.set_path(file.path);
  committed.set_size_bytes(file.size);
  committed.set_sha256(file.sha256);
  return AppendEvent(transaction, job, std::move(event), now, context.options.events_kept);
}

}  // namespace tern
