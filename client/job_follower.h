#ifndef TERN_CLIENT_JOB_FOLLOWER_H_
#define TERN_CLIENT_JOB_FOLLOWER_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/console.h"
#include "client/download_folder.h"
#include "client/service_client.h"

namespace tern {

struct FollowOptions {
  std::string job;
  // Where the checkpoint goes; null: it is not downloaded.
  DownloadFolder* folder = nullptr;
  int64_t after_sequence = 0;
  // How long to wait for the end.
  absl::Duration timeout = absl::InfiniteDuration();
  // How long the server may be away.
  absl::Duration give_up_after = absl::Minutes(5);
  // Called with everything the watch delivers, in its thread; may be empty. False ends the wait as
  // Ctrl-C does.
  std::function<bool(const v1::WatchQuantizationJobResponse&)> on_message = {};
};

struct FollowResult {
  enum class End { kTerminal, kInterrupted, kTimedOut } end;
  // As the server has it at the end; when interrupted or timed out only its name and last state.
  v1::QuantizationJob job;
};

// Watches a job, and downloads its checkpoint meanwhile, until the job is in a terminal state and
// everything is there, the time is over, or Ctrl-C. Progress goes to the console. An error means
// that watching or downloading failed, not the job.
absl::StatusOr<FollowResult> FollowJob(ServiceClient* client, const FollowOptions& options,
                                       Console* console);

}  // namespace tern

#endif  // TERN_CLIENT_JOB_FOLLOWER_H_
