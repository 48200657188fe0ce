#ifndef TERN_CLIENT_RECONNECT_H_
#define TERN_CLIENT_RECONNECT_H_

#include <optional>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace tern {

// When to call again after a call failed in a way that may pass: after 0.1 s, 0.2 s, 0.4 s, … up
// to 5 s, until the server has been away for `give_up_after`. Thread-compatible.
class Reconnect {
 public:
  explicit Reconnect(absl::Duration give_up_after);

  // Something came from the server.
  void Succeeded();

  // How long to wait before the next call; none when it is time to give up.
  std::optional<absl::Duration> NextDelay(absl::Time now);

  // Whether a stream that ended so may be opened again where it stopped.
  static bool MayPass(const absl::Status& status);

 private:
  const absl::Duration give_up_after_;
  absl::Duration delay_;
  std::optional<absl::Time> away_since_;
};

}  // namespace tern

#endif  // TERN_CLIENT_RECONNECT_H_
