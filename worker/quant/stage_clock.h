#ifndef TERN_WORKER_QUANT_STAGE_CLOCK_H_
#define TERN_WORKER_QUANT_STAGE_CLOCK_H_

#include <chrono>
#include <map>
#include <string>

namespace tern {

// The stages of quantizing a block, as metrics and reports name them.
inline constexpr char kForwardStage[] = "forward";        // hidden states through the block
inline constexpr char kMomentsStage[] = "moments";        // H and G
inline constexpr char kFactorizeStage[] = "factorize";    // inverse of H, its downdates
inline constexpr char kFitStage[] = "fit";                // column order, ITF, AGA
inline constexpr char kCompensateStage[] = "compensate";  // error and asymmetry to later columns
inline constexpr char kMeasureStage[] = "measure";        // packing, reconstruction error

// Seconds spent by stage. Time between two calls of Enter belongs to the stage entered by the
// first. Thread-compatible.
class StageClock {
 public:
  void Enter(const char* stage) {
    Stop();
    stage_ = &seconds_[stage];
  }

  void Stop() {
    const auto now = std::chrono::steady_clock::now();
    if (stage_ != nullptr) *stage_ += std::chrono::duration<double>(now - entered_).count();
    stage_ = nullptr;
    entered_ = now;
  }

  const std::map<std::string, double>& seconds() const { return seconds_; }

 private:
  std::map<std::string, double> seconds_;
  double* stage_ = nullptr;  // into seconds_, whose elements do not move
  std::chrono::steady_clock::time_point entered_;
};

}  // namespace tern

#endif  // TERN_WORKER_QUANT_STAGE_CLOCK_H_
