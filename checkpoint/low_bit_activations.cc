#include "checkpoint/low_bit_activations.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "checkpoint/config_fields.h"
#include "checkpoint/status_macros.h"
#include "checkpoint/strict_json.h"

namespace tern {
namespace {

using nlohmann::json;

constexpr char kScheme[] = "per_token_asymmetric";

// Every module once: a JSON object has no name twice, so all that are known and no more.
absl::StatusOr<std::map<LinearKind, double>> ParseClip(const ConfigFields& block) {
  const json* object = block.Find("clip");
  if (object == nullptr || !object->is_object())
    return block.Error("clip", "an object is expected");
  const ConfigFields fields(*object, block.Label("clip"));
  std::map<LinearKind, double> clip;
  for (const LinearKind kind : LinearKinds()) {
    TERN_ASSIGN_OR_RETURN(clip[kind], fields.Number(LinearModule(kind).c_str(), 0, 1));
  }
  for (const auto& entry : object->items()) {
    const auto known = std::find_if(clip.begin(), clip.end(), [&](const auto& of_kind) {
      return LinearModule(of_kind.first) == entry.key();
    });
    if (known == clip.end()) {
      return block.Error("clip",
                         absl::StrCat("no linear layer of a block is ", Shown(entry.key())));
    }
  }
  return clip;
}

absl::StatusOr<BlockActivations> ParseBlock(const json& object, std::string label) {
  if (!object.is_object()) {
    return absl::InvalidArgumentError(absl::StrCat(label, ": an object is expected"));
  }
  const ConfigFields fields(object, std::move(label));
  TERN_ASSIGN_OR_RETURN(const int64_t bits,
                        fields.Integer("bits", kActivationBits.front(), kActivationBits.back()));
  if (std::find(kActivationBits.begin(), kActivationBits.end(), bits) == kActivationBits.end()) {
    return fields.Error(
        "bits", absl::StrCat(bits, " is not one of ", absl::StrJoin(kActivationBits, ", ")));
  }
  BlockActivations block{.bits = static_cast<int>(bits), .clip = {}};
  TERN_ASSIGN_OR_RETURN(block.clip, ParseClip(fields));
  return block;
}

}  // namespace

ActivationsSummary Summarize(const std::vector<BlockActivations>& blocks) {
  ActivationsSummary summary{.least_bits = blocks.front().bits,
                             .most_bits = blocks.front().bits,
                             .average_bits = 0,
                             .least_clip = 1,
                             .most_clip = 0};
  for (const BlockActivations& block : blocks) {
    summary.least_bits = std::min(summary.least_bits, block.bits);
    summary.most_bits = std::max(summary.most_bits, block.bits);
    summary.average_bits += block.bits;
    for (const auto& [kind, ratio] : block.clip) {
      summary.least_clip = std::min(summary.least_clip, ratio);
      summary.most_clip = std::max(summary.most_clip, ratio);
    }
  }
  summary.average_bits /= static_cast<double>(blocks.size());
  return summary;
}

json ActivationsJson(const std::vector<BlockActivations>& blocks) {
  json list = json::array();
  for (const BlockActivations& block : blocks) {
    json clip = json::object();
    for (const auto& [kind, ratio] : block.clip) clip[LinearModule(kind)] = ratio;
    list.push_back({{"bits", block.bits}, {"clip", std::move(clip)}});
  }
  return {{"scheme", kScheme}, {"blocks", std::move(list)}};
}

absl::StatusOr<std::vector<BlockActivations>> ParseActivations(const json& activations,
                                                               const std::string& label,
                                                               int64_t num_blocks) {
  const ConfigFields fields(activations, label);
  const json* scheme = fields.Find("scheme");
  if (scheme == nullptr || *scheme != kScheme) {
    return fields.Error("scheme", absl::StrCat("\"", kScheme, "\" is expected"));
  }
  const json* list = fields.Find("blocks");
  if (list == nullptr || !list->is_array()) return fields.Error("blocks", "a list is expected");
  if (static_cast<int64_t>(list->size()) != num_blocks) {
    return fields.Error("blocks", absl::StrCat(list->size(), " entries, but the model has ",
                                               num_blocks, " blocks"));
  }
  std::vector<BlockActivations> blocks;
  blocks.reserve(list->size());
  for (const json& entry : *list) {
    TERN_ASSIGN_OR_RETURN(
        BlockActivations block,
        ParseBlock(entry, absl::StrCat(fields.Label("blocks"), "[", blocks.size(), "]")));
    blocks.push_back(std::move(block));
  }
  return blocks;
}

}  // namespace tern
