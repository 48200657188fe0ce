#ifndef TERN_CLIENT_DOWNLOAD_FOLDER_H_
#define TERN_CLIENT_DOWNLOAD_FOLDER_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/partial_file.h"
#include "tern/v1/quantization_job.pb.h"
#include "tern/v1/quantization_service.pb.h"

namespace tern {

// The folder a checkpoint is downloaded to. While the download is under way it holds, beside the
// finished files, ".tern-download" with the job's identity, the files finished so far and the one
// being received; so a later process goes on where this one stopped. It is removed at the end.
// Thread-compatible; a lock keeps other processes out.
class DownloadFolder {
 public:
  // Checks, before any job exists, that `path` can take a download: it is made if missing and
  // must be empty, or, with `may_resume`, hold a download of some job.
  // FAILED_PRECONDITION otherwise. Returns whether the folder was made.
  static absl::StatusOr<bool> Prepare(const std::string& path, bool may_resume);

  // Takes back what Prepare made, if nothing was put there since.
  static void RemoveEmpty(const std::string& path);

  // Opens the folder for a job, which need not have finished. FAILED_PRECONDITION when it is not
  // empty and not a download of this job, whole or in part, or when a process downloads to it.
  static absl::StatusOr<std::unique_ptr<DownloadFolder>> Open(const std::string& path,
                                                              const v1::QuantizationJob& job);

  ~DownloadFolder();
  DownloadFolder(const DownloadFolder&) = delete;
  DownloadFolder& operator=(const DownloadFolder&) = delete;

  // Where to go on: the first file that is missing, and how much of it is here.
  struct Position {
    int64_t file_index;
    int64_t offset;
  };
  Position Next() const;

  // Whether the file is here and whole, by size and digest. Such a file is not received again.
  absl::StatusOr<bool> Holds(const v1::CheckpointFile& file);

  // Takes a piece of the file that Next names; it must start where the file stops so far. With its
  // last piece the file is checked and gets its name. DATA_LOSS when the digest is wrong: the file
  // starts anew. RESOURCE_EXHAUSTED when the disk is full: what there was of the file is removed.
  absl::Status Append(const v1::CheckpointFile& file, int64_t offset,
                      std::span<const uint8_t> bytes);

  // After the last file: compares all files with tern-manifest.json and removes ".tern-download".
  // DATA_LOSS when a file is missing or differs from what the manifest lists.
  absl::Status Complete();

  // Removes everything that was downloaded, and the folder if that leaves it empty and it was
  // `made` for the download.
  void Discard(bool made);

  const std::string& path() const { return path_; }

 private:
  explicit DownloadFolder(std::string path);

  absl::Status Lock();
  std::string StatePath() const;
  std::string PartPath(const v1::CheckpointFile& file) const;
  absl::Status Load();
  absl::Status Save() const;
  absl::Status Begin(const v1::CheckpointFile& file);
  void DropPart();
  absl::Status Record(const v1::CheckpointFile& file);

  const std::string path_;
  int lock_ = -1;  // the folder, open and locked
  std::string job_;
  std::string create_time_;
  std::map<int64_t, v1::CheckpointFile> finished_;  // by index
  std::optional<v1::CheckpointFile> current_;
  std::unique_ptr<PartialFile> part_;  // of current_; set with it
};

}  // namespace tern

#endif  // TERN_CLIENT_DOWNLOAD_FOLDER_H_
