#include "server/supervisor/supervisor.h"

#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "proto/service/log.h"

namespace tern {

Supervisor::Supervisor(Options options)
    : options_(std::move(options)),
      instance_prefix_(absl::StrCat("local-", absl::ToUnixNanos(absl::Now()), "-", getpid())) {
  for (int i = 0; i < options_.workers; ++i) {
    slots_.push_back(std::make_unique<Slot>());
    slots_.back()->index = i;
  }
  for (const auto& slot : slots_) {
    // The thread outlives the processes it starts, as ChildProcess demands.
    slot->thread = std::thread([this, &slot = *slot] { RunSlot(slot); });
  }
}

Supervisor::~Supervisor() {
  Drain();
  {
    const std::lock_guard lock(mutex_);
    SignalAll(SIGKILL);
  }
  for (const auto& slot : slots_) slot->thread.join();
}

void Supervisor::Drain() {
  const std::lock_guard lock(mutex_);
  draining_ = true;
  drained_.notify_all();
  SignalAll(SIGTERM);
}

bool Supervisor::AllEnded() const {
  const std::lock_guard lock(mutex_);
  return std::all_of(slots_.begin(), slots_.end(),
                     [](const auto& slot) { return slot->child == nullptr; });
}

std::vector<pid_t> Supervisor::RunningPids() const {
  const std::lock_guard lock(mutex_);
  std::vector<pid_t> pids;
  for (const auto& slot : slots_) {
    if (slot->child != nullptr) pids.push_back(slot->child->pid());
  }
  return pids;
}

void Supervisor::RunSlot(Slot& slot) {
  absl::Duration backoff = options_.first_backoff;
  for (int start = 1;; ++start) {
    const absl::Time started = absl::Now();
    if (!RunOnce(slot, start)) return;
    if (absl::Now() - started >= options_.stable_after) backoff = options_.first_backoff;
    if (!Pause(backoff)) return;
    backoff = std::min(2 * backoff, options_.longest_backoff);
  }
}

bool Supervisor::RunOnce(Slot& slot, int start) {
  const std::string instance = absl::StrCat(instance_prefix_, "-", slot.index, "-", start);
  std::vector<std::string> argv = {options_.binary};
  for (std::string& argument : options_.arguments(slot.index)) argv.push_back(std::move(argument));
  argv.push_back(absl::StrCat("--last-words=", ChildProcess::kLastWords));
  argv.push_back(absl::StrCat("--supervisor=", instance));

  std::shared_ptr<ChildProcess> child;
  {
    // Started and made known in one step, so that Drain misses none.
    const std::lock_guard lock(mutex_);
    if (draining_) return false;
    auto started = ChildProcess::Start(argv);
    if (!started.ok()) {
      Log(LogLevel::kError, "local worker cannot be started",
          {{"slot", slot.index}, {"error", started.status().message()}});
      return true;
    }
    child = *std::move(started);
    slot.child = child;
  }
  Log(LogLevel::kInfo, "local worker started",
      {{"slot", slot.index}, {"pid", static_cast<int64_t>(child->pid())}});

  const ProcessEnd end = child->Wait();
  options_.ended(instance);
  const std::lock_guard lock(mutex_);
  slot.child = nullptr;
  if (draining_) return false;
  return Survives(slot, end);
}

bool Supervisor::Survives(const Slot& slot, const ProcessEnd& end) {
  if (end.signal != 0 || end.exit_code != kConfigurationError) {
    Log(LogLevel::kWarning, "local worker ended and is started again",
        {{"slot", slot.index}, {"end", end.ToString()}});
    return true;
  }
  const std::string error = end.last_words.empty() ? "its own lines say why" : end.last_words;
  Log(LogLevel::kError, "local worker cannot run as it is told to and is not started again",
      {{"slot", slot.index}, {"error", error}});
  if (++refused_ == options_.workers) {
    Log(LogLevel::kError, "no local worker is left; jobs wait for workers that join by themselves",
        {{"error", error}});
  }
  return false;
}

bool Supervisor::Pause(absl::Duration duration) {
  std::unique_lock lock(mutex_);
  return !drained_.wait_for(lock, absl::ToChronoMilliseconds(duration),
                            [this] { return draining_; });
}

void Supervisor::SignalAll(int signal) {
  for (const auto& slot : slots_) {
    if (slot->child != nullptr) slot->child->Signal(signal);
  }
}

}  // namespace tern
