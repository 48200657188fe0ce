#ifndef TERN_TESTS_UNIT_JOBS_FAILING_BLOB_STORE_H_
#define TERN_TESTS_UNIT_JOBS_FAILING_BLOB_STORE_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/blobs/blob_store.h"

namespace tern {

// Blobs that fail when a test says so. `fault` is asked before every append, commit and deletion of
// a key; it may also throw, as a crash at that instant.
class FailingBlobStore : public BlobStore {
 public:
  using Fault = std::function<absl::Status(absl::string_view key)>;

  FailingBlobStore(BlobStore& blobs, Fault fault) : blobs_(blobs), fault_(std::move(fault)) {}

  absl::StatusOr<std::unique_ptr<BlobWriter>> Write(absl::string_view key) override {
    auto writer = blobs_.Write(key);
    if (!writer.ok()) return writer.status();
    return std::make_unique<Writer>(*std::move(writer), std::string(key), fault_);
  }
  absl::StatusOr<std::unique_ptr<BlobReader>> Read(absl::string_view key) override {
    return blobs_.Read(key);
  }
  absl::Status Delete(absl::string_view key) override {
    if (absl::Status status = fault_(key); !status.ok()) return status;
    return blobs_.Delete(key);
  }
  absl::Status DeletePrefix(absl::string_view prefix) override {
    return blobs_.DeletePrefix(prefix);
  }
  absl::StatusOr<std::vector<std::string>> List(absl::string_view prefix) override {
    return blobs_.List(prefix);
  }
  absl::StatusOr<int64_t> FreeBytes() override { return free_bytes_ ? free_bytes_() : real_free(); }

  // What FreeBytes says instead of the truth.
  void set_free_bytes(std::function<int64_t()> free_bytes) { free_bytes_ = std::move(free_bytes); }

 private:
  class Writer : public BlobWriter {
   public:
    Writer(std::unique_ptr<BlobWriter> writer, std::string key, const Fault& fault)
        : writer_(std::move(writer)), key_(std::move(key)), fault_(fault) {}
    absl::Status Append(std::span<const uint8_t> bytes) override {
      if (absl::Status status = fault_(key_); !status.ok()) return status;
      return writer_->Append(bytes);
    }
    absl::Status Commit() override {
      if (absl::Status status = fault_(key_); !status.ok()) return status;
      return writer_->Commit();
    }

   private:
    const std::unique_ptr<BlobWriter> writer_;
    const std::string key_;
    const Fault& fault_;
  };

  absl::StatusOr<int64_t> real_free() { return blobs_.FreeBytes(); }

  BlobStore& blobs_;
  const Fault fault_;
  std::function<int64_t()> free_bytes_;
};

}  // namespace tern

#endif  // TERN_TESTS_UNIT_JOBS_FAILING_BLOB_STORE_H_
