#include "client/job_follower.h"

#include <atomic>
#include <optional>
#include <thread>
#include <utility>

#include "absl/synchronization/mutex.h"
#include "client/cancellation.h"
#include "client/checkpoint_download.h"
#include "client/interrupt.h"
#include "client/job_watch.h"
#include "client/progress_display.h"
#include "client/reconnect.h"

namespace tern {
namespace {

constexpr absl::Duration kTick = absl::Milliseconds(100);

// Shows what a watch delivers, and passes it on.
class ForwardingListener : public WatchListener {
 public:
  ForwardingListener(ProgressDisplay* display, const FollowOptions& options,
                     std::atomic<bool>* unwanted)
      : display_(display), options_(options), unwanted_(unwanted) {}

  void OnWatchMessage(const v1::WatchQuantizationJobResponse& message) override {
    display_->OnWatchMessage(message);
    if (options_.on_message && !options_.on_message(message)) *unwanted_ = true;
  }
  void OnWatchInterrupted(const absl::Status& why, absl::Duration retry_in) override {
    display_->OnWatchInterrupted(why, retry_in);
  }

 private:
  ProgressDisplay* const display_;
  const FollowOptions& options_;
  std::atomic<bool>* const unwanted_;
};

absl::StatusOr<v1::QuantizationJob> GetPatiently(ServiceClient* client, const std::string& name,
                                                 absl::Duration give_up_after,
                                                 Cancellation* cancellation) {
  Reconnect reconnect(give_up_after);
  while (true) {
    absl::StatusOr<v1::QuantizationJob> job = client->Get(name, cancellation);
    // The job has ended; a server that is slow to say how may answer the next call.
    if (job.ok() || !(Reconnect::MayPass(job.status()) || absl::IsDeadlineExceeded(job.status()))) {
      return job;
    }
    const std::optional<absl::Duration> delay = reconnect.NextDelay(absl::Now());
    if (!delay) return job;
    if (cancellation->WaitFor(*delay)) return absl::CancelledError("the wait was stopped");
  }
}

// The two threads and what came of them.
class Follower {
 public:
  Follower(ServiceClient* client, const FollowOptions& options, Console* console)
      : client_(client), options_(options), display_(console) {}

  absl::StatusOr<FollowResult> Run() {
    const Interrupt interrupt;
    const absl::Time deadline = absl::Now() + options_.timeout;
    std::thread watch([this] { Watch(); });
    std::thread download;
    if (options_.folder != nullptr) download = std::thread([this] { Download(); });

    std::optional<FollowResult::End> cut_short;
    while (!WaitForEnd(kTick)) {
      display_.Tick();
      if (interrupt.received() || unwanted_) cut_short = FollowResult::End::kInterrupted;
      if (absl::Now() >= deadline) cut_short = FollowResult::End::kTimedOut;
      if (cut_short) break;
    }
    watching_.Cancel();
    downloading_.Cancel();
    watch.join();
    if (download.joinable()) download.join();
    display_.Finish();

    if (cut_short) {
      v1::QuantizationJob job;
      job.set_name(options_.job);
      job.set_state(display_.state());
      return FollowResult{*cut_short, std::move(job)};
    }
    const absl::MutexLock lock(&mutex_);
    if (DownloadFailed()) return *download_end_;
    if (!watched_->ok()) return watched_->status();
    return FollowResult{FollowResult::End::kTerminal, **std::move(watched_)};
  }

 private:
  void Watch() {
    ForwardingListener listener(&display_, options_, &unwanted_);
    const absl::Status status = WatchJob(client_, options_.job, options_.after_sequence,
                                         options_.give_up_after, &watching_, &listener);
    absl::StatusOr<v1::QuantizationJob> job =
        status.ok() ? GetPatiently(client_, options_.job, options_.give_up_after, &watching_)
                    : absl::StatusOr<v1::QuantizationJob>(status);
    const absl::MutexLock lock(&mutex_);
    watched_ = std::move(job);
  }

  void Download() {
    absl::Status status = DownloadCheckpoint(client_, options_.job, options_.give_up_after,
                                             options_.folder, &downloading_, &display_);
    const absl::MutexLock lock(&mutex_);
    download_end_ = std::move(status);
  }

  // Whether the download itself failed. ABORTED is how the stream ends with a job that does not
  // succeed; the watch says what became of the job.
  bool DownloadFailed() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (!download_end_ || download_end_->ok() || absl::IsCancelled(*download_end_)) return false;
    const bool job_succeeded =
        watched_ && watched_->ok() && (*watched_)->state() == v1::QuantizationJob::SUCCEEDED;
    return !absl::IsAborted(*download_end_) || job_succeeded;
  }

  bool Ended() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (DownloadFailed()) return true;
    if (!watched_) return false;
    if (!watched_->ok() || (*watched_)->state() != v1::QuantizationJob::SUCCEEDED) return true;
    return options_.folder == nullptr || download_end_;
  }

  bool WaitForEnd(absl::Duration duration) {
    const absl::MutexLock lock(&mutex_);
    return mutex_.AwaitWithTimeout(absl::Condition(this, &Follower::Ended), duration);
  }

  ServiceClient* const client_;
  const FollowOptions& options_;
  ProgressDisplay display_;
  Cancellation watching_;
  Cancellation downloading_;
  std::atomic<bool> unwanted_ = false;
  absl::Mutex mutex_;
  std::optional<absl::StatusOr<v1::QuantizationJob>> watched_ ABSL_GUARDED_BY(mutex_);
  std::optional<absl::Status> download_end_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

absl::StatusOr<FollowResult> FollowJob(ServiceClient* client, const FollowOptions& options,
                                       Console* console) {
  return Follower(client, options, console).Run();
}

}  // namespace tern
