#include "server/jobs/stored_activations.h"

#include <map>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "checkpoint/model_layout.h"
#include "checkpoint/status_macros.h"
#include "server/jobs/activation_choice.h"
#include "server/jobs/job_view.h"
#include "server/jobs/task_names.h"

namespace tern {
namespace {

const v1::LayerMetrics* FindLayer(const v1::BlockMetrics& metrics, const std::string& name) {
  for (const v1::LayerMetrics& layer : metrics.layers()) {
    if (layer.layer() == name) return &layer;
  }
  return nullptr;
}

}  // namespace

absl::Status CheckClipRatios(const MethodRecipe& recipe, const v1::BlockMetrics& metrics) {
  if (recipe.activation_bits.empty()) return absl::OkStatus();
  for (const LinearKind kind : LinearKinds()) {
    const std::string name = LinearName(metrics.block(), kind);
    const v1::LayerMetrics* const layer = FindLayer(metrics, name);
    for (const int32_t bits : recipe.activation_bits) {
      double ratio = 0;
      if (layer != nullptr) {
        const auto found = layer->clip_ratios().find(bits);
        if (found != layer->clip_ratios().end()) ratio = found->second;
      }
      if (!(ratio > 0 && ratio <= 1)) {
        return absl::InvalidArgumentError(absl::StrCat("the worker's result has no clip ratio of ",
                                                       name, " for ", bits,
                                                       " bits, above 0, at most 1"));
      }
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<worker::v1::BlockActivations> StoredActivations::At(int32_t block, int32_t bits) {
  TERN_ASSIGN_OR_RETURN(const std::optional<TaskRecord> task,
                        reader_.GetTask(job_.uid, QuantizeTask(block)));
  worker::v1::TaskResult result;
  if (!task.has_value() || task->state != TaskState::kDone ||
      !result.ParseFromString(task->result)) {
    return absl::DataLossError(
        absl::StrCat(NameOf(job_), ": no result of ", QuantizeTask(block), " is stored"));
  }
  worker::v1::BlockActivations activations;
  activations.set_bits(bits);
  for (const LinearKind kind : LinearKinds()) {
    const v1::LayerMetrics* const layer = FindLayer(result.block(), LinearName(block, kind));
    if (layer == nullptr || !layer->clip_ratios().contains(bits)) {
      return absl::DataLossError(absl::StrCat(NameOf(job_), ": the stored result of ",
                                              QuantizeTask(block), " lacks clip ratios for ", bits,
                                              " bits"));
    }
    (*activations.mutable_clip())[LinearModule(kind)] = layer->clip_ratios().at(bits);
  }
  return activations;
}

absl::StatusOr<std::vector<worker::v1::BlockActivations>> StoredActivations::Chosen(
    const v1::QuantizationJob& document) {
  std::vector<worker::v1::BlockActivations> activations;
  const MethodRecipe recipe = RecipeOf(document.spec());
  if (recipe.activation_bits.empty()) return activations;
  const v1::ActivationBits bits =
      recipe.mixed ? document.activation_bits()
                   : FixedActivationBits(recipe.activation_bits.front(), document.model().blocks());
  for (int32_t block = 0; block < bits.blocks_size(); ++block) {
    TERN_ASSIGN_OR_RETURN(worker::v1::BlockActivations one, At(block, bits.blocks(block).bits()));
    activations.push_back(std::move(one));
  }
  return activations;
}

}  // namespace tern
