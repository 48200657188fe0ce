#ifndef TERN_TESTS_BENCHMARKS_SYNTHETIC_WEIGHTS_H_
#define TERN_TESTS_BENCHMARKS_SYNTHETIC_WEIGHTS_H_

#include <cstdint>
#include <span>
#include <vector>

#include "checkpoint/model_config.h"
#include "checkpoint/model_layout.h"

namespace tern {

// The values of one tensor of a made-up model, shaped like trained ones: heavy-tailed, rows of
// log-normal scale and small non-zero mean, a few input columns of larger scale. All tensors of a
// model agree on its outlier channels: the embedding has a large mean there, and what the blocks
// add to the residual stream is larger there. Weights keep the variance of their input, and o_proj
// and down_proj are divided by sqrt(2 · blocks) as GPT-2 does, so hidden states neither vanish nor
// grow with depth.
//
// Every row depends on seed, name and row number alone. Thread-safe.
class SyntheticTensor {
 public:
  // `tensor` is one of the model's: a matrix, or the vector of a norm, which is one row.
  SyntheticTensor(const ModelConfig& config, uint64_t seed, const ExpectedTensor& tensor);

  int64_t rows() const { return rows_; }
  int64_t cols() const { return cols_; }

  // The bits of row `row` as bfloat16; `out` has cols() elements.
  void FillRow(int64_t row, std::span<uint16_t> out) const;

 private:
  void SetColumnOutliers(int64_t count, float least, float most);
  double ColumnEnergy() const;

  uint64_t seed_;  // of this tensor
  int64_t rows_;
  int64_t cols_;
  // element = (draw · row scale + row mean) · column scale + column mean
  float scale_;                    // of a typical row
  float scale_spread_;             // standard deviation of the logarithm of row scales
  float mean_ = 0;                 // of a typical row
  float mean_spread_ = 0;          // standard deviation of row means
  std::vector<float> row_factor_;  // of scale and mean; empty: 1
  std::vector<float> column_scale_;
  std::vector<float> column_mean_;
};

}  // namespace tern

#endif  // TERN_TESTS_BENCHMARKS_SYNTHETIC_WEIGHTS_H_
