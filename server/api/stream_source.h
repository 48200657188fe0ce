#ifndef TERN_SERVER_API_STREAM_SOURCE_H_
#define TERN_SERVER_API_STREAM_SOURCE_H_

#include <functional>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace tern {

// What a stream does next.
struct StreamStep {
  enum class Kind { kSend, kWait, kEnd };

  static StreamStep Send() { return {Kind::kSend, absl::InfiniteFuture()}; }
  // Pull again when `wake` is called, or at `until`.
  static StreamStep Wait(absl::Time until = absl::InfiniteFuture()) { return {Kind::kWait, until}; }
  static StreamStep End() { return {Kind::kEnd, absl::InfiniteFuture()}; }

  Kind kind;
  absl::Time until;
};

// Where a response stream's messages come from, one at a time and only as fast as the client takes
// them. Thread-compatible: Pull is never called twice at once.
template <typename Response>
class StreamSource {
 public:
  virtual ~StreamSource() = default;

  // Fills `response` (cleared before) for kSend. `wake` may be called from any thread, at any time
  // and for no reason. An error ends the stream with it.
  virtual absl::StatusOr<StreamStep> Pull(Response& response,
                                          const std::function<void()>& wake) = 0;
};

}  // namespace tern

#endif  // TERN_SERVER_API_STREAM_SOURCE_H_
