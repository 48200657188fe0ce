#ifndef TERN_WORKER_QUANT_BLOCK_PROGRESS_H_
#define TERN_WORKER_QUANT_BLOCK_PROGRESS_H_

#include <cstdint>
#include <vector>

#include "checkpoint/model_config.h"
#include "checkpoint/model_layout.h"
#include "worker/quant/task_control.h"

namespace tern {

// Where a block's quantization stands, in shares of its multiplications. Estimates: a progress bar
// needs no more.
class BlockProgress {
 public:
  // `control` must outlive this.
  BlockProgress(const ModelConfig& config, int64_t tokens, bool asymmetric,
                const TaskControl& control);

  // A share of `batches` of a pass over all tokens was done: of the calibration of the set that
  // starts with `set`, or of the pass behind the last set.
  void CalibratedBatch(LinearKind set, int64_t batches);
  void FinishedBatch(int64_t batches);
  void QuantizedLayer(LinearKind kind);

 private:
  double LayerWork(LinearKind kind) const;
  double CalibrationWork(const std::vector<LinearKind>& set) const;
  double FinishWork() const;
  void Add(const char* stage, double work);

  const ModelConfig& config_;
  const double tokens_;
  const double streams_;
  const TaskControl& control_;
  double total_ = 0;
  double done_ = 0;
};

}  // namespace tern

#endif  // TERN_WORKER_QUANT_BLOCK_PROGRESS_H_
