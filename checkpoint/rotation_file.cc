#include "checkpoint/rotation_file.h"

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "checkpoint/block_file.h"
#include "checkpoint/status_macros.h"
#include "checkpoint/ternary_layer.h"

namespace tern {

absl::Status WriteRotationFile(int64_t block, const BlockRotations& rotations,
                               const ByteSink& sink) {
  std::vector<TensorToWrite> tensors;
  for (const auto& [kind, rotation] : rotations) {
    AppendRotation(LinearName(block, kind), rotation, tensors);
  }
  return WriteSafetensors(tensors, {}, sink);
}

absl::StatusOr<BlockRotations> ReadRotationFile(const SafetensorsReader& file,
                                                const ModelConfig& config,
                                                const PackedFormat& format, int64_t block) {
  std::vector<std::string> names;
  BlockRotations rotations;
  for (const LinearKind kind : LinearKinds()) {
    const std::string name = LinearName(block, kind);
    for (std::string& tensor : RotationTensors(name, format.parts())) {
      names.push_back(std::move(tensor));
    }
    const std::optional<RotationShape> shape = format.RotationOf(ShapeOf(config, kind));
    if (!shape.has_value()) {
      return absl::InvalidArgumentError(absl::StrCat(name, ": its format has no rotation"));
    }
    TERN_ASSIGN_OR_RETURN(rotations[kind], ReadRotation(file, name, *shape));
  }
  TERN_RETURN_IF_ERROR(CheckFileTensors(file, names));
  return rotations;
}

}  // namespace tern
