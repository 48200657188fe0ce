#ifndef TERN_CHECKPOINT_ERRNO_STATUS_H_
#define TERN_CHECKPOINT_ERRNO_STATUS_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace tern {

// "<path>: cannot <action>: No space left on device". A missing file is NOT_FOUND; a full disk, an
// exhausted quota or a file over the size limit RESOURCE_EXHAUSTED; a path that is no file of the
// wanted kind INVALID_ARGUMENT; the rest as absl maps errno values.
absl::Status ErrnoStatus(int error, absl::string_view path, absl::string_view action);

}  // namespace tern

#endif  // TERN_CHECKPOINT_ERRNO_STATUS_H_
