#include "worker/agent/job_inputs.h"

#include <sys/stat.h>

#include <cstring>
#include <filesystem>
#include <set>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "checkpoint/status_macros.h"
#include "worker/agent/weight_scan.h"

namespace tern {
namespace {

// Changes when a file of the folder is replaced, added, removed or written to.
std::string Fingerprint(const std::string& folder) {
  std::set<std::string> files;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    struct stat info;
    if (stat(entry->path().c_str(), &info) != 0) continue;
    files.insert(absl::StrCat(entry->path().filename().string(), "\t", info.st_dev, "\t",
                              info.st_ino, "\t", info.st_size, "\t", info.st_mtim.tv_sec, "\t",
                              info.st_mtim.tv_nsec, "\n"));
  }
  std::string fingerprint = absl::StrCat(folder, "\n");
  for (const std::string& file : files) absl::StrAppend(&fingerprint, file);
  return fingerprint;
}

absl::StatusOr<TokenWindows> ParseWindows(std::span<const uint8_t> bytes, const std::string& path) {
  TERN_ASSIGN_OR_RETURN(const auto reader, SafetensorsReader::Parse(bytes, path));
  TERN_ASSIGN_OR_RETURN(const TensorView ids, reader->Get("input_ids"));
  if (ids.dtype != DType::kI32 || ids.shape.size() != 2 || ids.elements() == 0) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": input_ids: ", DTypeName(ids.dtype), " ",
                                                   ShapeString(ids.shape),
                                                   ", but I32 [windows, length] is expected"));
  }
  TokenWindows windows;
  windows.windows = ids.shape[0];
  windows.length = ids.shape[1];
  windows.ids.resize(static_cast<size_t>(ids.elements()));
  std::memcpy(windows.ids.data(), ids.bytes.data(), ids.bytes.size());
  return windows;
}

}  // namespace

absl::StatusOr<std::shared_ptr<const ModelFolder>> JobInputs::Open(const std::string& path) {
  std::string fingerprint = Fingerprint(path);
  if (model_fingerprint_ != fingerprint) {
    model_ = nullptr;
    model_digest_.clear();
    model_fingerprint_ = std::move(fingerprint);
  }
  if (model_ == nullptr) {
    TERN_ASSIGN_OR_RETURN(model_, ModelFolder::Open(path));
  }
  return model_;
}

absl::StatusOr<std::string> JobInputs::ScanModel(const std::string& path, int threads,
                                                 const std::function<void(double)>& show,
                                                 const TaskProgress& progress) {
  TERN_ASSIGN_OR_RETURN(const auto model, Open(path));
  TERN_ASSIGN_OR_RETURN(model_digest_,
                        ScanWeights(*model, threads, show, [&] { return progress.stopped(); }));
  return model_digest_;
}

absl::StatusOr<std::shared_ptr<const ModelFolder>> JobInputs::Model(
    const tern::worker::v1::Task& task, int threads, TaskProgress& progress) {
  const std::string& path = task.spec().model();
  TERN_RETURN_IF_ERROR(Open(path).status());
  if (task.model_digest().empty()) return model_;
  if (model_digest_.empty()) {
    progress.EnterStage("load");
    const auto show_nothing = [](double) {};
    TERN_RETURN_IF_ERROR(ScanModel(path, threads, show_nothing, progress).status());
    progress.LeaveStage();
  }
  if (model_digest_ == task.model_digest()) return model_;
  return absl::FailedPreconditionError(absl::StrCat(
      path,
      ": the model changed while the job ran, and what was made of it before is of no use: "
      "submit the job again, and leave the folder as it is until the job has ended"));
}

absl::StatusOr<std::shared_ptr<const TokenWindows>> JobInputs::Windows(
    const std::string& job_uid, const std::string& path, const std::stop_token& stop) {
  const std::string key = absl::StrCat(job_uid, "/", path);
  if (windows_ == nullptr || windows_key_ != key) {
    windows_ = nullptr;
    auto bytes = blobs_.Read(job_uid, path, stop);
    if (!bytes.ok()) return TransferError(bytes.status(), path);
    TERN_ASSIGN_OR_RETURN(TokenWindows windows, ParseWindows(*bytes, path));
    windows_ = std::make_shared<const TokenWindows>(std::move(windows));
    windows_key_ = key;
  }
  return windows_;
}

void JobInputs::Clear() {
  model_ = nullptr;
  windows_ = nullptr;
}

absl::StatusOr<CommittedFile> ReadCommittedFile(BlobClient& blobs, const std::string& job_uid,
                                                const std::string& path,
                                                const std::stop_token& stop) {
  auto bytes = blobs.Read(job_uid, path, stop);
  if (!bytes.ok()) return TransferError(bytes.status(), path);
  CommittedFile file{.bytes = *std::move(bytes), .reader = nullptr};
  TERN_ASSIGN_OR_RETURN(file.reader, SafetensorsReader::Parse(file.bytes, path));
  return file;
}

absl::StatusOr<BlockLayers> ReadCommittedLayers(BlobClient& blobs, const std::string& job_uid,
                                                const ModelConfig& config,
                                                const PackedFormat& format, int64_t block,
                                                const std::stop_token& stop) {
  TERN_ASSIGN_OR_RETURN(const CommittedFile file,
                        ReadCommittedFile(blobs, job_uid, BlockFileName(block), stop));
  return ReadBlockLayers(*file.reader, config, format, block);
}

absl::Status TransferError(const absl::Status& status, absl::string_view path) {
  if (absl::IsCancelled(status) || absl::IsAborted(status) || absl::IsResourceExhausted(status)) {
    return status;
  }
  return absl::UnavailableError(
      absl::StrCat("moving ", path, " between worker and server: ", status.ToString()));
}

}  // namespace tern
