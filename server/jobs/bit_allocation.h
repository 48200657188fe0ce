#ifndef TERN_SERVER_JOBS_BIT_ALLOCATION_H_
#define TERN_SERVER_JOBS_BIT_ALLOCATION_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"

namespace tern {

// What widths of activations cost, as ILA-AMP measures it.
struct BitCosts {
  // The widths a block may get, ascending, above 0.
  std::vector<int32_t> candidates;
  // [block][c]: δ_i(b), the rise of the loss with block i alone at candidates[c].
  std::vector<std::vector<double>> sensitivity;
  // [block][p][c]: k_i(b', b), what blocks i−1 at candidates[p] and i at candidates[c] raise it by
  // beyond that. Block 0's is not looked at.
  std::vector<std::vector<std::vector<double>>> interaction;
};

struct BitAllocation {
  std::vector<int32_t> bits;  // per block
  double cost = 0;            // what is minimised
};

// The bits b that minimise Σ δ_i(b_i) + β·Σ k_i(b_{i−1}, b_i), exactly, subject to
// Σ b_i ≤ n·average_bits, by dynamic programming over (block, bits left, last bits). Sums run from
// the last block to the first. Where several choices have the least cost, each block from the first
// on takes the fewest bits with which the blocks after it still reach it. FAILED_PRECONDITION when
// no choice keeps to the budget. Costs are finite. Pure.
absl::StatusOr<BitAllocation> AllocateBits(const BitCosts& costs, double beta, double average_bits);

}  // namespace tern

#endif  // TERN_SERVER_JOBS_BIT_ALLOCATION_H_
