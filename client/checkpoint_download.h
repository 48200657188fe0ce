#ifndef TERN_CLIENT_CHECKPOINT_DOWNLOAD_H_
#define TERN_CLIENT_CHECKPOINT_DOWNLOAD_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/cancellation.h"
#include "client/download_folder.h"
#include "client/service_client.h"

namespace tern {

// Called in the thread that downloads.
class DownloadListener {
 public:
  virtual ~DownloadListener() = default;
  virtual void OnFileReceived(const v1::CheckpointFile& file) = 0;
  // `bytes` more have arrived.
  virtual void OnBytesReceived(int64_t bytes) = 0;
  virtual void OnDownloadInterrupted(const absl::Status& why, absl::Duration retry_in) = 0;
};

// Receives every file of the job's checkpoint into `folder`, as they appear, until the job has
// succeeded and all are there; then checks them against the manifest. What `folder` has is not
// fetched again. A connection that breaks and a piece with a wrong CRC32C are tried again from the
// byte where it stopped, for as long as `give_up_after`. ABORTED when the job fails or is
// cancelled; CANCELLED after `cancellation`.
absl::Status DownloadCheckpoint(ServiceClient* client, const std::string& job,
                                absl::Duration give_up_after, DownloadFolder* folder,
                                Cancellation* cancellation, DownloadListener* listener);

}  // namespace tern

#endif  // TERN_CLIENT_CHECKPOINT_DOWNLOAD_H_
