#include "server/jobs/bit_allocation.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"

namespace tern {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kRounding = 1e-9;  // of a number of bits: 3 blocks of 4.1 may use 12

// Least costs of the blocks from one on, by the bits left for them and the candidate before it.
class Suffix {
 public:
  Suffix(int64_t budget, size_t candidates)
      : candidates_(candidates), costs_((budget + 1) * candidates, 0) {}

  double& At(int64_t bits_left, size_t previous) {
    return costs_[bits_left * candidates_ + previous];
  }
  double At(int64_t bits_left, size_t previous) const {
    return costs_[bits_left * candidates_ + previous];
  }

 private:
  size_t candidates_;
  std::vector<double> costs_;
};

struct Choice {
  size_t candidate = 0;
  double cost = kInfinity;
};

// The best width of `block`, `suffix` being what the blocks after it cost.
Choice BestOf(const BitCosts& costs, double beta, size_t block, int64_t bits_left, size_t previous,
              const Suffix& suffix) {
  Choice best;
  for (size_t c = 0; c < costs.candidates.size(); ++c) {
    const int64_t left = bits_left - costs.candidates[c];
    if (left < 0) break;
    double own = costs.sensitivity[block][c];
    if (block > 0) own += beta * costs.interaction[block][previous][c];
    const double cost = own + suffix.At(left, c);
    if (cost < best.cost) best = {c, cost};
  }
  return best;
}

}  // namespace

absl::StatusOr<BitAllocation> AllocateBits(const BitCosts& costs, double beta,
                                           double average_bits) {
  const size_t blocks = costs.sensitivity.size();
  const size_t candidates = costs.candidates.size();
  const auto most = static_cast<double>(costs.candidates.back()) * static_cast<double>(blocks);
  const double wanted = average_bits * static_cast<double>(blocks);
  const auto budget = static_cast<int64_t>(std::floor(std::min(most, wanted) + kRounding));

  // suffixes[i]: of the blocks from i on; after the last there is nothing to pay.
  std::vector<Suffix> suffixes(blocks + 1, Suffix(budget, candidates));
  for (size_t block = blocks; block-- > 0;) {
    for (int64_t left = 0; left <= budget; ++left) {
      for (size_t previous = 0; previous < candidates; ++previous) {
        suffixes[block].At(left, previous) =
            BestOf(costs, beta, block, left, previous, suffixes[block + 1]).cost;
      }
    }
  }

  BitAllocation allocation;
  allocation.cost = suffixes[0].At(budget, 0);
  if (allocation.cost == kInfinity) {
    return absl::FailedPreconditionError(absl::StrCat("no choice of activation bits averages ",
                                                      average_bits, " or less over ", blocks,
                                                      " blocks"));
  }
  int64_t left = budget;
  size_t previous = 0;
  for (size_t block = 0; block < blocks; ++block) {
    previous = BestOf(costs, beta, block, left, previous, suffixes[block + 1]).candidate;
    allocation.bits.push_back(costs.candidates[previous]);
    left -= costs.candidates[previous];
  }
  return allocation;
}

}  // namespace tern
