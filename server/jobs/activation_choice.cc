#include "server/jobs/activation_choice.h"

#include <cmath>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "checkpoint/status_macros.h"
#include "server/jobs/bit_allocation.h"

namespace tern {
namespace {

using worker::v1::SensitivityResult;

// Mean losses by (previous bits, bits).
using Losses = std::map<std::pair<int32_t, int32_t>, double>;

Losses MeanLosses(const SensitivityResult& result) {
  const auto tokens = static_cast<double>(result.tokens());
  Losses losses;
  for (const auto& probe : result.probes()) {
    losses[{probe.previous_bits(), probe.bits()}] = probe.loss() / tokens;
  }
  return losses;
}

// The candidates below the baseline's width, which is the last.
std::vector<int32_t> Probed(const v1::MixedActivations& options) {
  return {options.candidates().begin(), options.candidates().end() - 1};
}

}  // namespace

absl::Status CheckSensitivity(const v1::MixedActivations& options, int32_t block,
                              const SensitivityResult& result) {
  const auto refuse = [block](absl::string_view what) {
    return absl::InvalidArgumentError(
        absl::StrCat("the worker's result of sensitivity/", block, " ", what));
  };
  if (result.block() != block) return refuse(absl::StrCat("is that of block ", result.block()));
  if (result.tokens() <= 0) return refuse("counts no tokens");
  if (result.has_baseline_loss() != (block == 0)) {
    return refuse(block == 0 ? "lacks the baseline's loss" : "has a baseline it was not asked for");
  }
  if (!std::isfinite(result.baseline_loss())) return refuse("has a loss that is not finite");
  for (const auto& probe : result.probes()) {
    if (!std::isfinite(probe.loss())) return refuse("has a loss that is not finite");
  }
  const Losses losses = MeanLosses(result);
  if (losses.size() != static_cast<size_t>(result.probes_size())) {
    return refuse("has a probe twice");
  }
  const std::vector<int32_t> probed = Probed(options);
  std::vector<int32_t> before = {0};
  if (block > 0) before.insert(before.end(), probed.begin(), probed.end());
  for (const int32_t previous : before) {
    for (const int32_t bits : probed) {
      if (losses.contains({previous, bits})) continue;
      return refuse(absl::StrCat("lacks the probe of ", bits, " bits after ", previous));
    }
  }
  if (losses.size() != before.size() * probed.size()) return refuse("has a probe too many");
  return absl::OkStatus();
}

absl::StatusOr<v1::ActivationBits> ChooseActivationBits(
    const v1::MixedActivations& options, const std::vector<SensitivityResult>& measured) {
  const std::vector<int32_t> probed = Probed(options);
  const size_t count = probed.size() + 1;
  const std::vector<double> none(count, 0);
  BitCosts costs;
  costs.candidates.assign(options.candidates().begin(), options.candidates().end());
  costs.sensitivity.assign(measured.size(), none);
  costs.interaction.assign(measured.size(), std::vector(count, none));

  const SensitivityResult& first = measured.front();
  const double baseline = first.baseline_loss() / static_cast<double>(first.tokens());
  v1::ActivationBits choice;
  for (size_t i = 0; i < measured.size(); ++i) {
    const Losses losses = MeanLosses(measured[i]);
    v1::ActivationBits::Block& block = *choice.add_blocks();
    for (size_t c = 0; c < probed.size(); ++c) {
      const double rise = losses.at({0, probed[c]}) - baseline;
      costs.sensitivity[i][c] = rise;
      auto& sensitivity = *block.add_sensitivities();
      sensitivity.set_bits(probed[c]);
      sensitivity.set_loss_rise(rise);
    }
    for (size_t p = 0; i > 0 && p < probed.size(); ++p) {
      for (size_t c = 0; c < probed.size(); ++c) {
        const double rise = losses.at({probed[p], probed[c]}) - baseline -
                            costs.sensitivity[i - 1][p] - costs.sensitivity[i][c];
        costs.interaction[i][p][c] = rise;
        auto& interaction = *block.add_interactions();
        interaction.set_previous_bits(probed[p]);
        interaction.set_bits(probed[c]);
        interaction.set_loss_rise(rise);
      }
    }
  }
  TERN_ASSIGN_OR_RETURN(const BitAllocation allocation,
                        AllocateBits(costs, options.beta(), options.average_bits()));
  double sum = 0;
  for (size_t i = 0; i < measured.size(); ++i) {
    choice.mutable_blocks(static_cast<int>(i))->set_bits(allocation.bits[i]);
    sum += allocation.bits[i];
  }
  choice.set_average_bits(sum / static_cast<double>(measured.size()));
  choice.set_beta(options.beta());
  choice.set_expected_loss_rise(allocation.cost);
  choice.set_baseline_loss(baseline);
  return choice;
}

v1::ActivationBits FixedActivationBits(int32_t bits, int32_t blocks) {
  v1::ActivationBits fixed;
  for (int32_t block = 0; block < blocks; ++block) fixed.add_blocks()->set_bits(bits);
  fixed.set_average_bits(bits);
  return fixed;
}

}  // namespace tern
