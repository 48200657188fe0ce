#ifndef TERN_WORKER_QUANT_PT2LLM_OPTIONS_H_
#define TERN_WORKER_QUANT_PT2LLM_OPTIONS_H_

#include <cstdint>

#include "absl/status/status.h"
#include "worker/backend/ternary_ops.h"

namespace tern {

// The order in which a layer's columns are quantized, a group at a time.
enum class Reorder {
  kSsr,     // before each group, the remaining columns most similar to their mean (PT²-LLM §3.3)
  kNone,    // as they are
  kRandom,  // a permutation that depends on the seed and the number of columns alone
  kHessian  // falling diagonal of the Hessian
};

// PT²-LLM and the ablations of the paper.
struct Pt2LlmOptions {
  // Columns that share a row's α and μ. From 16, where the grids already take two bits a weight, to
  // 4096, past which one group's factors outgrow what a device keeps at hand.
  int64_t group_size = 128;
  Reorder reorder = Reorder::kSsr;
  Compensation compensation = Compensation::kExact;
  double gptaq = 0.25;  // λ of asymmetric calibration, 0 to 1; 0 is off and saves its cost
  bool itf = true;      // iterative ternary fitting
  bool aga = true;      // activation-aware grid alignment
  // Added to H's diagonal, in shares of its mean. Above 0 and at most 1.
  double damping = 0.01;
  uint64_t seed = 0;  // of Reorder::kRandom
};

// INVALID_ARGUMENT names the field and its range.
absl::Status ValidateOptions(const Pt2LlmOptions& options);

}  // namespace tern

#endif  // TERN_WORKER_QUANT_PT2LLM_OPTIONS_H_
