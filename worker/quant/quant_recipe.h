#ifndef TERN_WORKER_QUANT_QUANT_RECIPE_H_
#define TERN_WORKER_QUANT_QUANT_RECIPE_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "checkpoint/packed_format.h"
#include "worker/backend/ternary_ops.h"
#include "worker/quant/kotms.h"

namespace tern {

// The order in which a layer's columns are quantized, a group at a time.
enum class Reorder {
  kSsr,     // before each group, the remaining columns most similar to their mean (PT²-LLM §3.3)
  kNone,    // as they are
  kRandom,  // a permutation that depends on the seed and the number of columns alone
  kHessian  // falling diagonal of the Hessian
};

// How a group's trits and grid are found, before it is aligned to the layer's output.
enum class GridFit {
  kInitial,  // the initial grid of PT²-LLM (eq. 4, 5)
  kItf,      // and from there iterative ternary fitting (eq. 9, 10)
  kE2m       // the Euclidean stage of TWLA's E2M-ATQ
};

// The steps a linear layer goes through: rotate, order its columns, then group by group fit, align
// and compensate. PT²-LLM and TWLA are settings of it (these defaults are PT²-LLM's), and what lies
// between them is too.
struct QuantRecipe {
  // Learned or random, per layer; nothing: no rotation. Excludes an order other than kNone.
  std::optional<RotationFormat> rotation;
  KotmsOptions kotms;  // how a rotation is learned

  // Columns that share a row's α and μ. From 16, where the grids already take two bits a weight, to
  // 4096, past which one group's factors outgrow what a device keeps at hand.
  int64_t group_size = 128;
  Reorder reorder = Reorder::kSsr;
  GridFit fit = GridFit::kItf;
  bool align = true;  // to the layer's output: AGA, which is E2M-ATQ's manifold stage
  Compensation compensation = Compensation::kExact;
  double gptaq = 0.25;  // λ of asymmetric calibration, 0 to 1; 0 is off and saves its cost
  // Added to H's diagonal, in shares of its mean. Above 0 and at most 1.
  double damping = 0.01;
  uint64_t seed = 0;  // of Reorder::kRandom and random rotations

  // Widths that the layers' inputs may be quantized to at run time, for which clip ratios are
  // fitted; empty: they stay as they are.
  std::vector<int> activation_bits;
};

// INVALID_ARGUMENT names the field and its range.
absl::Status ValidateOptions(const QuantRecipe& recipe);

}  // namespace tern

#endif  // TERN_WORKER_QUANT_QUANT_RECIPE_H_
