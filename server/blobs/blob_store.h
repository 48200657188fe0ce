#ifndef TERN_SERVER_BLOBS_BLOB_STORE_H_
#define TERN_SERVER_BLOBS_BLOB_STORE_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace tern {

// A blob being written: visible whole after Commit or not at all. Thread-compatible.
class BlobWriter {
 public:
  // Abandons the blob unless Commit has succeeded.
  virtual ~BlobWriter() = default;

  // RESOURCE_EXHAUSTED when the disk is full.
  virtual absl::Status Append(std::span<const uint8_t> bytes) = 0;

  // Once it returns OK the blob is durable under its key, in place of any earlier one. Nothing may
  // follow.
  virtual absl::Status Commit() = 0;
};

// An open blob. Stays readable when the key is deleted or replaced meanwhile. Thread-safe.
class BlobReader {
 public:
  virtual ~BlobReader() = default;

  virtual int64_t size() const = 0;

  // Fills `out` from `offset` and returns how many bytes there were: fewer than asked for only at
  // the end. OUT_OF_RANGE when `offset` is negative or past the end.
  virtual absl::StatusOr<int64_t> ReadAt(int64_t offset, std::span<uint8_t> out) = 0;
};

// Whether `key` may name a blob: at most 512 bytes, parts joined by "/", each 1 to 200 of
// [A-Za-z0-9._-] and not starting with a dot. So no key leads out of the store.
bool IsValidBlobKey(absl::string_view key);

// Keeps the bytes of jobs under keys. Thread-safe. Invalid keys are INVALID_ARGUMENT.
class BlobStore {
 public:
  virtual ~BlobStore() = default;

  virtual absl::StatusOr<std::unique_ptr<BlobWriter>> Write(absl::string_view key) = 0;
  // NOT_FOUND names the key.
  virtual absl::StatusOr<std::unique_ptr<BlobReader>> Read(absl::string_view key) = 0;

  // Deleting what is not there is OK.
  virtual absl::Status Delete(absl::string_view key) = 0;
  // Every blob whose key is `prefix` followed by "/" and more.
  virtual absl::Status DeletePrefix(absl::string_view prefix) = 0;

  // Keys beneath `prefix` ("" = all), in order. Blobs being written are not listed.
  virtual absl::StatusOr<std::vector<std::string>> List(absl::string_view prefix) = 0;

  // Bytes that can still be written.
  virtual absl::StatusOr<int64_t> FreeBytes() = 0;
};

}  // namespace tern

#endif  // TERN_SERVER_BLOBS_BLOB_STORE_H_
