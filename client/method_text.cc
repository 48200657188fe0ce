#include "client/method_text.h"

#include <algorithm>
#include <map>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/format_values.h"

namespace tern {

std::string ActivationBitsText(const v1::ActivationBits& activations) {
  std::map<int32_t, int> blocks;
  for (const auto& block : activations.blocks()) ++blocks[block.bits()];
  std::string text;
  if (blocks.size() == 1) {
    text = absl::StrCat(blocks.begin()->first, " in all blocks");
  } else {
    std::vector<std::string> parts;
    parts.reserve(blocks.size());
    for (const auto& [bits, count] : blocks) {
      parts.push_back(absl::StrFormat("%d in %d block%s", bits, count, count == 1 ? "" : "s"));
    }
    text = absl::StrFormat("%.2f on average: %s", activations.average_bits(),
                           absl::StrJoin(parts, ", "));
  }
  if (activations.has_expected_loss_rise()) {
    absl::StrAppend(&text, "; expected loss rise ",
                    SignificantText(activations.expected_loss_rise()), " nats per token");
  }
  return text;
}

void RotationSummary::Add(const v1::BlockMetrics& block) {
  for (const v1::LayerMetrics& layer : block.layers()) {
    if (!layer.has_rotation()) continue;
    ++layers_;
    loss_before_ += layer.rotation().loss_before();
    loss_after_ += layer.rotation().loss_after();
    orthogonality_error_ = std::max(orthogonality_error_, layer.rotation().orthogonality_error());
  }
}

std::string RotationSummary::Text() const {
  return absl::StrFormat("loss %s to %s (mean of %d layers), at most %s from orthogonal",
                         SignificantText(loss_before_ / layers_),
                         SignificantText(loss_after_ / layers_), layers_,
                         SignificantText(orthogonality_error_));
}

}  // namespace tern
