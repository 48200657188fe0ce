#ifndef TERN_TESTS_UNIT_AGENT_SCRIPTED_SYNCHRONIZER_H_
#define TERN_TESTS_UNIT_AGENT_SCRIPTED_SYNCHRONIZER_H_

#include <condition_variable>
#include <functional>
#include <mutex>
#include <vector>

#include "worker/agent/synchronizer.h"

namespace tern {

// A server whose answers a test scripts, and that it can take away and bring back. It answers on
// the caller's thread, without gRPC. Thread-safe once `answer` is set.
class ScriptedSynchronizer final : public Synchronizer {
 public:
  using Request = tern::worker::v1::SynchronizeRequest;
  using Response = tern::worker::v1::SynchronizeResponse;

  // While the server is there.
  std::function<absl::Status(const Request&, const std::stop_token& cancel, Response&)> answer;

  void GoAway() { SetAway(true); }
  void ComeBack() { SetAway(false); }

  absl::StatusOr<Response> Synchronize(const Request& request, absl::Duration,
                                       std::stop_token cancel) override {
    {
      const std::lock_guard lock(mutex_);
      if (away_) {
        ++unanswered_;
        arrived_.notify_all();
        return absl::UnavailableError("connection refused");
      }
      requests_.push_back(request);
      arrived_.notify_all();
    }
    Response response;
    if (absl::Status status = answer(request, cancel, response); !status.ok()) return status;
    return response;
  }

  // Waits until a request satisfying `wanted` has been answered, and returns the first.
  Request WaitFor(const std::function<bool(const Request&)>& wanted) {
    std::unique_lock lock(mutex_);
    for (size_t next = 0;;) {
      for (; next < requests_.size(); ++next) {
        if (wanted(requests_[next])) return requests_[next];
      }
      arrived_.wait(lock);
    }
  }

  // Waits until a call has found nobody.
  void WaitForUnansweredCall() {
    std::unique_lock lock(mutex_);
    arrived_.wait(lock, [&] { return unanswered_ > 0; });
  }

  std::vector<Request> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

 private:
  void SetAway(bool away) {
    const std::lock_guard lock(mutex_);
    away_ = away;
    unanswered_ = 0;
  }

  mutable std::mutex mutex_;
  std::condition_variable arrived_;
  bool away_ = false;
  int unanswered_ = 0;
  std::vector<Request> requests_;
};

}  // namespace tern

#endif  // TERN_TESTS_UNIT_AGENT_SCRIPTED_SYNCHRONIZER_H_
