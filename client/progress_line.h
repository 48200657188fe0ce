#ifndef TERN_CLIENT_PROGRESS_LINE_H_
#define TERN_CLIENT_PROGRESS_LINE_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "tern/v1/quantization_service.pb.h"

namespace tern {

// What is known of a job while it is watched. Thread-compatible.
struct JobView {
  v1::QuantizationJob::State state = v1::QuantizationJob::PENDING;
  v1::Progress progress;
  absl::Time progress_time;  // when `progress` came
  // The mean reconstruction error of the block that finished last.
  std::optional<double> layer_error;
  // Of all blocks finished so far, weighted by their weights.
  double quantized_bits = 0;
  double quantized_weights = 0;
  // On average over blocks, once they are chosen.
  std::optional<double> activation_bits;
  int64_t downloaded_bytes = 0;

  // Takes in what a watch delivered at `now`.
  void Apply(const v1::WatchQuantizationJobResponse& message, absl::Time now);
};

// One line of at most `width` characters: a bar, percent, blocks, layer error, bits per weight and
// of activations, time left or what it waits for, what is being worked on. What does not fit is
// left out, from the right.
std::string ProgressLine(const JobView& view, int width, absl::Time now);

// One line (without line feed) for an event, "" for one that is not worth a line.
std::string EventLine(const v1::JobEvent& event);

// What the job waits for and what to do about it, in one line; "" when it does not wait for a
// worker.
std::string ShortageText(const v1::Progress& progress);

// "RUNNING, 3/6 blocks, 48%, about 1m20s left"
std::string ProgressSummary(const v1::QuantizationJob& job);

}  // namespace tern

#endif  // TERN_CLIENT_PROGRESS_LINE_H_
