#include "server/jobs/activation_choice.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "absl/strings/str_cat.h"
#include "checkpoint/status_macros.h"
#include "server/jobs/bit_allocation.h"
#include "server/jobs/method_recipe.h"

namespace tern {
namespace {

using worker::v1::SensitivityResult;

// Mean losses of one block.
using Losses = std::map<BitsProbe, double>;

BitsProbe BitsOf(const SensitivityResult::Probe& probe) {
  return {.previous_bits = probe.previous_bits(), .bits = probe.bits()};
}

// The candidates below the baseline's width, which is the last.
std::vector<int32_t> Probed(const v1::MixedActivations& options) {
  return {options.candidates().begin(), options.candidates().end() - 1};
}

// What two blocks together raise the loss by beyond what each does alone, at the least: as long as
// both together do no less than the worse of them.
double LeastInteraction(double previous_rise, double rise) {
  return -std::max(0.0, std::min(previous_rise, rise));
}

// The losses measured so far, and what follows for the choice.
class Measured {
 public:
  Measured(const v1::MixedActivations& options, int32_t blocks,
           const std::vector<SensitivityResult>& results)
      : probed_(Probed(options)), losses_(blocks) {
    for (const SensitivityResult& result : results) {
      const auto tokens = static_cast<double>(result.tokens());
      if (result.has_baseline_loss()) baseline_ = result.baseline_loss() / tokens;
      for (const auto& probe : result.probes()) {
        losses_[result.block()][BitsOf(probe)] = probe.loss() / tokens;
      }
    }
    const std::vector<double> none(probed_.size() + 1, 0);
    costs_.candidates.assign(options.candidates().begin(), options.candidates().end());
    costs_.sensitivity.assign(losses_.size(), none);
    costs_.interaction.assign(losses_.size(), std::vector(none.size(), none));
    for (size_t i = 0; i < losses_.size(); ++i) SetCosts(i);
  }

  double baseline() const { return baseline_; }
  const BitCosts& costs() const { return costs_; }

  // Block i's part of the table, as far as it is measured.
  void Describe(size_t i, v1::ActivationBits::Block& block) const {
    for (size_t c = 0; c < probed_.size(); ++c) {
      auto& sensitivity = *block.add_sensitivities();
      sensitivity.set_bits(probed_[c]);
      sensitivity.set_loss_rise(costs_.sensitivity[i][c]);
    }
    for (size_t p = 0; p < probed_.size(); ++p) {
      for (size_t c = 0; c < probed_.size(); ++c) {
        if (!losses_[i].contains({probed_[p], probed_[c]})) continue;
        auto& interaction = *block.add_interactions();
        interaction.set_previous_bits(probed_[p]);
        interaction.set_bits(probed_[c]);
        interaction.set_loss_rise(costs_.interaction[i][p][c]);
      }
    }
  }

  // The interactions that a choice counts on without knowing them.
  std::map<int32_t, std::vector<BitsProbe>> Unmeasured(const std::vector<int32_t>& bits) const {
    std::map<int32_t, std::vector<BitsProbe>> unmeasured;
    const int32_t baseline_bits = costs_.candidates.back();
    for (size_t i = 1; i < bits.size(); ++i) {
      const BitsProbe probe = {.previous_bits = bits[i - 1], .bits = bits[i]};
      if (std::max(probe.previous_bits, probe.bits) == baseline_bits) continue;
      if (!losses_[i].contains(probe)) unmeasured[static_cast<int32_t>(i)].push_back(probe);
    }
    return unmeasured;
  }

 private:
  void SetCosts(size_t i) {
    for (size_t c = 0; c < probed_.size(); ++c) {
      costs_.sensitivity[i][c] = losses_[i].at({0, probed_[c]}) - baseline_;
    }
    for (size_t p = 0; i > 0 && p < probed_.size(); ++p) {
      for (size_t c = 0; c < probed_.size(); ++c) {
        const double previous = costs_.sensitivity[i - 1][p];
        const double own = costs_.sensitivity[i][c];
        const auto pair = losses_[i].find({probed_[p], probed_[c]});
        costs_.interaction[i][p][c] = pair == losses_[i].end()
                                          ? LeastInteraction(previous, own)
                                          : pair->second - baseline_ - previous - own;
      }
    }
  }

  std::vector<int32_t> probed_;
  std::vector<Losses> losses_;  // by block
  double baseline_ = 0;
  BitCosts costs_;
};

}  // namespace

std::vector<BitsProbe> ProbesOf(const v1::MixedActivations& options, const TaskRecord& task) {
  if (task.kind == TaskKind::kInteraction) return task.probes;
  const std::vector<int32_t> probed = Probed(options);
  std::vector<int32_t> before = {0};
  if (task.index > 0 && MeasuresAllInteractions(options)) {
    before.insert(before.end(), probed.begin(), probed.end());
  }
  std::vector<BitsProbe> probes;
  for (const int32_t previous : before) {
    for (const int32_t bits : probed) probes.push_back({previous, bits});
  }
  return probes;
}

bool MeasuresBaseline(const TaskRecord& task) {
  return task.kind == TaskKind::kSensitivity && task.index == 0;
}

absl::Status CheckSensitivity(const v1::MixedActivations& options, const TaskRecord& task,
                              const SensitivityResult& result) {
  const auto refuse = [&](absl::string_view what) {
    return absl::InvalidArgumentError(
        absl::StrCat("the worker's result of ", task.name, " ", what));
  };
  if (result.block() != task.index)
    return refuse(absl::StrCat("is that of block ", result.block()));
  if (result.tokens() <= 0) return refuse("counts no tokens");
  if (result.has_baseline_loss() != MeasuresBaseline(task)) {
    return refuse(result.has_baseline_loss() ? "has a baseline it was not asked for"
                                             : "lacks the baseline's loss");
  }
  if (!std::isfinite(result.baseline_loss())) return refuse("has a loss that is not finite");
  std::set<BitsProbe> found;
  for (const auto& probe : result.probes()) {
    if (!std::isfinite(probe.loss())) return refuse("has a loss that is not finite");
    if (!found.insert(BitsOf(probe)).second) return refuse("has a probe twice");
  }
  for (const BitsProbe& asked : ProbesOf(options, task)) {
    if (found.erase(asked) == 1) continue;
    return refuse(
        absl::StrCat("lacks the probe of ", asked.bits, " bits after ", asked.previous_bits));
  }
  if (!found.empty()) return refuse("has a probe too many");
  return absl::OkStatus();
}

absl::StatusOr<ActivationChoice> ChooseActivationBits(
    const v1::MixedActivations& options, int32_t blocks,
    const std::vector<SensitivityResult>& measured) {
  const Measured table(options, blocks, measured);
  TERN_ASSIGN_OR_RETURN(const BitAllocation allocation,
                        AllocateBits(table.costs(), options.beta(), options.average_bits()));
  ActivationChoice choice;
  double sum = 0;
  for (size_t i = 0; i < allocation.bits.size(); ++i) {
    v1::ActivationBits::Block& block = *choice.bits.add_blocks();
    block.set_bits(allocation.bits[i]);
    table.Describe(i, block);
    sum += allocation.bits[i];
  }
  choice.bits.set_average_bits(sum / blocks);
  choice.bits.set_beta(options.beta());
  choice.bits.set_expected_loss_rise(allocation.cost);
  choice.bits.set_baseline_loss(table.baseline());
  // Without weight they decide nothing.
  if (options.beta() > 0) choice.unmeasured = table.Unmeasured(allocation.bits);
  return choice;
}

v1::ActivationBits FixedActivationBits(int32_t bits, int32_t blocks) {
  v1::ActivationBits fixed;
  for (int32_t block = 0; block < blocks; ++block) fixed.add_blocks()->set_bits(bits);
  fixed.set_average_bits(bits);
  return fixed;
}

}  // namespace tern
