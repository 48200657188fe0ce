#ifndef TERN_SERVER_DATA_FOLDER_H_
#define TERN_SERVER_DATA_FOLDER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace tern {

// The folder that holds everything a server keeps, held by one process at a time (an flock that
// goes with the process, however it ends). Thread-safe.
class DataFolder {
 public:
  // Creates the folder where it is missing. Waits up to 3 seconds for another process to let go of
  // it; then FAILED_PRECONDITION names that process.
  static absl::StatusOr<std::unique_ptr<DataFolder>> Open(const std::string& path);
  ~DataFolder();
  DataFolder(const DataFolder&) = delete;
  DataFolder& operator=(const DataFolder&) = delete;

  std::string database() const { return path_ + "/tern.db"; }
  std::string blobs() const { return path_ + "/blobs"; }

 private:
  DataFolder(std::string path, int lock);

  const std::string path_;
  const int lock_;  // open file that carries the flock
};

}  // namespace tern

#endif  // TERN_SERVER_DATA_FOLDER_H_
