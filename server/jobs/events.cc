#include "server/jobs/events.h"

#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "checkpoint/status_macros.h"
#include "proto/service/error_details.h"
#include "server/jobs/job_lookup.h"
#include "server/jobs/job_view.h"
#include "server/jobs/timestamps.h"

namespace tern {

absl::Status AppendEvent(Transaction& transaction, JobRecord& job, v1::JobEvent event,
                         absl::Time now, int64_t keep) {
  *event.mutable_time() = ToTimestamp(now);
  EventRecord record;
  record.job_uid = job.uid;
  record.sequence = ++job.last_sequence;
  record.event = event.SerializeAsString();
  TERN_RETURN_IF_ERROR(transaction.InsertEvent(record));

  // In strides, so that dropping is not a part of every append.
  const int64_t kept = job.last_sequence - job.oldest_sequence + 1;
  if (kept <= keep + keep / 8) return absl::OkStatus();
  job.oldest_sequence = job.last_sequence - keep + 1;
  return transaction.DeleteEventsThrough(job.uid, job.oldest_sequence - 1);
}

absl::StatusOr<EventPage> ReadEvents(const JobsContext& context, absl::string_view job_uid,
                                     int64_t after_sequence, int32_t limit) {
  if (after_sequence < 0) return InvalidField("after_sequence", "must not be negative");
  EventPage page;
  const absl::Status status = context.store.Read([&](StoreReader& reader) -> absl::Status {
    TERN_ASSIGN_OR_RETURN(const JobRecord job, GetJobByUid(reader, job_uid));
    if (after_sequence + 1 < job.oldest_sequence) {
      return WithReason(
          absl::OutOfRangeError(absl::StrCat("events after ", after_sequence,
                                             " are no longer kept; watch from the snapshot, or "
                                             "from after_sequence ",
                                             job.oldest_sequence - 1)),
          "EVENTS_DROPPED", {{"oldest_sequence", absl::StrCat(job.oldest_sequence)}});
    }
    TERN_ASSIGN_OR_RETURN(const std::vector<EventRecord> records,
                          reader.ListEvents(job_uid, after_sequence, limit));
    for (const EventRecord& record : records) {
      NumberedEvent numbered;
      numbered.sequence = record.sequence;
      if (!numbered.event.ParseFromString(record.event)) {
        return absl::DataLossError(
            absl::StrCat(NameOf(job), ": its stored event ", record.sequence, " does not parse"));
      }
      page.events.push_back(std::move(numbered));
    }
    const int64_t last = records.empty() ? after_sequence : records.back().sequence;
    page.ended = IsTerminal(job.state) && last >= job.last_sequence;
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return page;
}

}  // namespace tern
