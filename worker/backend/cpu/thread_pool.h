#ifndef TERN_WORKER_BACKEND_CPU_THREAD_POOL_H_
#define TERN_WORKER_BACKEND_CPU_THREAD_POOL_H_

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include "absl/functional/function_ref.h"

namespace tern {

// A fixed number of threads that share out the tasks of one loop at a time. Idle threads sleep.
//
// Thread-safe; loops started from several threads run one after the other.
class ThreadPool {
 public:
  // The calling thread works too, so threads - 1 are started; 0 means one for each CPU.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  // Calls task(0) … task(tasks - 1), each once, in any order and on any thread, and returns when
  // all are done. A loop inside a task runs on that task's thread. Tasks must not throw.
  void ParallelFor(int64_t tasks, absl::FunctionRef<void(int64_t)> task);

 private:
  struct Loop {
    absl::FunctionRef<void(int64_t)> task;
    int64_t tasks;
    std::atomic<int64_t> next{0};
  };

  void Work();
  static void Run(Loop& loop);

  std::mutex loops_;  // held by the caller of ParallelFor for the whole loop

  // std rather than absl primitives: ThreadSanitizer does not see into a prebuilt Abseil.
  std::mutex mutex_;
  std::condition_variable wake_, idle_;
  Loop* loop_ = nullptr;  // what a woken thread joins
  int64_t loop_number_ = 0;
  int busy_ = 0;  // threads inside *loop_
  bool stop_ = false;
  std::vector<std::thread> workers_;
};

}  // namespace tern

#endif  // TERN_WORKER_BACKEND_CPU_THREAD_POOL_H_
