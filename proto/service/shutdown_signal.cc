#include "proto/service/shutdown_signal.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>

namespace tern {
namespace {

sigset_t ShutdownSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  return signals;
}

}  // namespace

ShutdownSignal::ShutdownSignal() {
  const sigset_t signals = ShutdownSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

bool ShutdownSignal::Wait(absl::Duration timeout) {
  const sigset_t signals = ShutdownSignals();
  const timespec limit = absl::ToTimespec(timeout);
  return sigtimedwait(&signals, nullptr, &limit) > 0;
}

}  // namespace tern
