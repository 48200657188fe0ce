#ifndef TERN_SERVER_BLOBS_DIRECTORY_BLOB_STORE_H_
#define TERN_SERVER_BLOBS_DIRECTORY_BLOB_STORE_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/blobs/blob_store.h"

namespace tern {

// Blobs as files beneath `folder`, which is created if missing; what writers that were killed left
// behind is removed. One process at a time uses a folder. Write makes a temporary file, Commit
// syncs, renames and syncs the folders up to `folder`.
absl::StatusOr<std::unique_ptr<BlobStore>> OpenDirectoryBlobStore(const std::string& folder);

}  // namespace tern

#endif  // TERN_SERVER_BLOBS_DIRECTORY_BLOB_STORE_H_
