#ifndef TERN_PROTO_SERVICE_SHUTDOWN_SIGNAL_H_
#define TERN_PROTO_SERVICE_SHUTDOWN_SIGNAL_H_

#include "absl/time/time.h"

namespace tern {

// SIGTERM and SIGINT as something to wait for. Construct in main before any other thread starts
// (the signals are blocked in the constructor's thread and so in all it starts); one per process.
class ShutdownSignal {
 public:
  ShutdownSignal();

  // Waits at most `timeout`; true once a signal has come.
  bool Wait(absl::Duration timeout);
};

}  // namespace tern

#endif  // TERN_PROTO_SERVICE_SHUTDOWN_SIGNAL_H_
