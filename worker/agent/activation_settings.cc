#include "worker/agent/activation_settings.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "checkpoint/model_layout.h"
#include "checkpoint/status_macros.h"

namespace tern {

absl::StatusOr<BlockActivations> ActivationsOf(const tern::worker::v1::BlockActivations& message) {
  if (std::find(kActivationBits.begin(), kActivationBits.end(), message.bits()) ==
      kActivationBits.end()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the task's activations: ", message.bits(), " bits, but one of ",
                     absl::StrJoin(kActivationBits, ", "), " is expected"));
  }
  BlockActivations setting{.bits = message.bits(), .clip = {}};
  for (const LinearKind kind : LinearKinds()) {
    const std::string module = LinearModule(kind);
    const auto found = message.clip().find(module);
    if (found == message.clip().end() || !(found->second > 0 && found->second <= 1)) {
      return absl::InvalidArgumentError(absl::StrCat("the task's activations: a clip ratio of ",
                                                     module, " above 0, at most 1, is expected"));
    }
    setting.clip[kind] = found->second;
  }
  if (message.clip().size() != setting.clip.size()) {
    return absl::InvalidArgumentError(
        "the task's activations: a clip ratio of a layer that blocks do not have");
  }
  return setting;
}

absl::StatusOr<std::vector<BlockActivations>> ActivationsOf(
    const google::protobuf::RepeatedPtrField<tern::worker::v1::BlockActivations>& messages) {
  std::vector<BlockActivations> settings;
  settings.reserve(messages.size());
  for (const auto& message : messages) {
    TERN_ASSIGN_OR_RETURN(BlockActivations setting, ActivationsOf(message));
    settings.push_back(std::move(setting));
  }
  return settings;
}

}  // namespace tern
