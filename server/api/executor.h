#ifndef TERN_SERVER_API_EXECUTOR_H_
#define TERN_SERVER_API_EXECUTOR_H_

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace tern {

// A fixed number of threads for work that blocks (database, disk, reading a model), so that gRPC's
// few event threads never do. Work starts in the order it came. Thread-safe.
class Executor {
 public:
  explicit Executor(int threads);
  // Finishes all work that was given.
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  void Run(std::function<void()> work);

 private:
  void Loop();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> queue_;  // guarded by mutex_
  bool ends_ = false;                        // guarded by mutex_
  std::vector<std::thread> threads_;
};

}  // namespace tern

#endif  // TERN_SERVER_API_EXECUTOR_H_
