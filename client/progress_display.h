#ifndef TERN_CLIENT_PROGRESS_DISPLAY_H_
#define TERN_CLIENT_PROGRESS_DISPLAY_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "client/checkpoint_download.h"
#include "client/console.h"
#include "client/job_watch.h"
#include "client/progress_line.h"

namespace tern {

// Shows how a job and its download come along: on a terminal one line that is drawn again and
// again, with notable events above it; otherwise a line per event. That no worker takes the job is
// said in a line of its own, once. Events from before the watch began are not shown. Thread-safe.
class ProgressDisplay : public WatchListener, public DownloadListener {
 public:
  explicit ProgressDisplay(Console* console);

  void OnWatchMessage(const v1::WatchQuantizationJobResponse& message) override;
  void OnWatchInterrupted(const absl::Status& why, absl::Duration retry_in) override;
  void OnFileReceived(const v1::CheckpointFile& file) override;
  void OnBytesReceived(int64_t bytes) override;
  void OnDownloadInterrupted(const absl::Status& why, absl::Duration retry_in) override;

  // Draws the line again; called several times a second.
  void Tick();

  // Removes the line: what follows is for others to write.
  void Finish();

  v1::QuantizationJob::State state() const;

 private:
  void Say(const std::string& line) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void SayShortage() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void SayInterrupted(const absl::Status& why) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Clear() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Console* const console_;
  mutable absl::Mutex mutex_;
  JobView view_ ABSL_GUARDED_BY(mutex_);
  // The sequence the first snapshot stood at; none before it.
  std::optional<int64_t> shown_from_ ABSL_GUARDED_BY(mutex_);
  std::string shortage_ ABSL_GUARDED_BY(mutex_);  // as it was said last
  bool drawn_ ABSL_GUARDED_BY(mutex_) = false;
  bool away_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace tern

#endif  // TERN_CLIENT_PROGRESS_DISPLAY_H_
