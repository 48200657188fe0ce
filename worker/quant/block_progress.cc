#include "worker/quant/block_progress.h"

#include <algorithm>

#include "worker/quant/stage_clock.h"

namespace tern {

BlockProgress::BlockProgress(const ModelConfig& config, int64_t tokens, bool asymmetric,
                             const TaskControl& control)
    : config_(config),
      tokens_(static_cast<double>(tokens)),
      streams_(asymmetric ? 2 : 1),
      control_(control) {
  for (const std::vector<LinearKind>& set : CalibrationSets()) {
    total_ += CalibrationWork(set);
    for (const LinearKind kind : set) total_ += LayerWork(kind);
  }
  total_ += FinishWork();
}

void BlockProgress::CalibratedBatch(LinearKind set, int64_t batches) {
  for (const std::vector<LinearKind>& layers : CalibrationSets()) {
    if (layers.front() == set) {
      Add(kMomentsStage, CalibrationWork(layers) / static_cast<double>(batches));
    }
  }
}

void BlockProgress::FinishedBatch(int64_t batches) {
  Add(kForwardStage, FinishWork() / static_cast<double>(batches));
}

void BlockProgress::QuantizedLayer(LinearKind kind) { Add(kFitStage, LayerWork(kind)); }

// Inverse, downdates, asymmetry, and the rows' compensation and error.
double BlockProgress::LayerWork(LinearKind kind) const {
  const LinearShape shape = ShapeOf(config_, kind);
  const auto n = static_cast<double>(shape.rows);
  const auto m = static_cast<double>(shape.cols);
  return (0.5 + 0.5 * streams_) * m * m * m + 2 * n * m * m;
}

// The set's moments, and the layers a token passes between the set before and this one.
double BlockProgress::CalibrationWork(const std::vector<LinearKind>& set) const {
  const auto m = static_cast<double>(ShapeOf(config_, set.front()).cols);
  double weights = 0;
  for (const std::vector<LinearKind>& before : CalibrationSets()) {
    if (before == set) break;
    weights = 0;
    for (const LinearKind kind : before) {
      const LinearShape shape = ShapeOf(config_, kind);
      weights += static_cast<double>(shape.rows * shape.cols);
    }
  }
  return tokens_ * (streams_ * weights + (streams_ - 0.5) * m * m);
}

double BlockProgress::FinishWork() const {
  double weights = 0;
  for (const LinearKind kind : {LinearKind::kGate, LinearKind::kUp, LinearKind::kDown}) {
    const LinearShape shape = ShapeOf(config_, kind);
    weights += static_cast<double>(shape.rows * shape.cols);
  }
  return tokens_ * weights;
}

void BlockProgress::Add(const char* stage, double work) {
  done_ += work;
  if (control_.progress) control_.progress(stage, std::min(1.0, done_ / total_));
}

}  // namespace tern
