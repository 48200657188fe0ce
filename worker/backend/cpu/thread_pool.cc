#include "worker/backend/cpu/thread_pool.h"

#include <algorithm>

namespace tern {
namespace {

thread_local bool inside_task = false;

}  // namespace

ThreadPool::ThreadPool(int threads) {
  if (threads <= 0) threads = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  workers_.reserve(threads - 1);
  for (int i = 1; i < threads; ++i) workers_.emplace_back([this] { Work(); });
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::ParallelFor(int64_t tasks, absl::FunctionRef<void(int64_t)> task) {
  if (tasks <= 1 || workers_.empty() || inside_task) {
    for (int64_t i = 0; i < tasks; ++i) task(i);
    return;
  }
  const std::lock_guard<std::mutex> one_loop(loops_);
  Loop loop{task, tasks};
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    loop_ = &loop;
    ++loop_number_;
  }
  wake_.notify_all();
  Run(loop);
  std::unique_lock<std::mutex> lock(mutex_);
  loop_ = nullptr;  // from here on nobody joins
  idle_.wait(lock, [this] { return busy_ == 0; });
}

void ThreadPool::Work() {
  int64_t seen = 0;
  std::unique_lock<std::mutex> lock(mutex_);
  while (true) {
    wake_.wait(lock, [&] { return stop_ || (loop_ != nullptr && loop_number_ != seen); });
    if (stop_) return;
    seen = loop_number_;
    Loop& loop = *loop_;
    ++busy_;
    lock.unlock();
    Run(loop);
    lock.lock();
    if (--busy_ == 0) idle_.notify_one();
  }
}

void ThreadPool::Run(Loop& loop) {
  inside_task = true;
  for (int64_t i = loop.next++; i < loop.tasks; i = loop.next++) loop.task(i);
  inside_task = false;
}

}  // namespace tern
