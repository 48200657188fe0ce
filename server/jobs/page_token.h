#ifndef TERN_SERVER_JOBS_PAGE_TOKEN_H_
#define TERN_SERVER_JOBS_PAGE_TOKEN_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace tern {

// A place in the list that `parent` and `filter` give: jobs with a smaller number follow. Opaque to
// callers. Pure.
std::string MakePageToken(int64_t number, absl::string_view parent, absl::string_view filter);

// INVALID_ARGUMENT at "page_token" when it was not made by MakePageToken for the same parent and
// filter.
absl::StatusOr<int64_t> ReadPageToken(absl::string_view token, absl::string_view parent,
                                      absl::string_view filter);

}  // namespace tern

#endif  // TERN_SERVER_JOBS_PAGE_TOKEN_H_
