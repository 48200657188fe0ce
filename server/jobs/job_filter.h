#ifndef TERN_SERVER_JOBS_JOB_FILTER_H_
#define TERN_SERVER_JOBS_JOB_FILTER_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/store/records.h"

namespace tern {

// Reads a filter: terms joined by AND (upper case), at most 16 of them:
//   state = RUNNING, state != FAILED    several != exclude several; several = match nothing
//   labels.KEY = "VALUE"                quotes may be left out around [A-Za-z0-9_./-]+
//   create_time > "2026-01-31T00:00:00Z" and <
// "" matches all. INVALID_ARGUMENT at "filter" quotes the term at fault and says what is allowed.
// Pure.
absl::StatusOr<JobQuery> ParseJobFilter(absl::string_view filter);

}  // namespace tern

#endif  // TERN_SERVER_JOBS_JOB_FILTER_H_
