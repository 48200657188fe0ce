#ifndef TERN_CHECKPOINT_PACKED_FORMAT_H_
#define TERN_CHECKPOINT_PACKED_FORMAT_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "checkpoint/low_bit_activations.h"
#include "checkpoint/model_config.h"
#include "checkpoint/model_folder.h"
#include "checkpoint/model_layout.h"
#include "checkpoint/rotation_shape.h"
#include "checkpoint/ternary_layer.h"

namespace tern {

// The packed checkpoint folder:
//   config.json                    the model's, plus "quantization_config" (see PackedConfigJson)
//   tern-block-00000.safetensors   one per block: its ternary layers, norms and biases
//   tern-unquantized.safetensors   everything outside the blocks, as in the source
//   model.safetensors.index.json   tensor -> file
//   tern-manifest.json             every file's size and SHA-256 (but its own and the report's)
//   tern-report.json, README.md    report and model card
//   tokenizer files, copied

inline constexpr int kPackedFormatVersion = 1;
inline constexpr int kRotatedFormatVersion = 2;  // where layers are rotated or activations low-bit
inline constexpr char kConfigFile[] = "config.json";
inline constexpr char kIndexFile[] = "model.safetensors.index.json";
inline constexpr char kUnquantizedFile[] = "tern-unquantized.safetensors";
inline constexpr char kManifestFile[] = "tern-manifest.json";
inline constexpr char kReportFile[] = "tern-report.json";

// "tern-block-00003.safetensors"
std::string BlockFileName(int64_t block);

// How layers are rotated: all of them, each by factors of its own.
enum class RotationKind { kKotms, kHadamard };  // learned, seeded random
struct RotationFormat {
  RotationKind kind = RotationKind::kKotms;
  RotationFactorization factorization = RotationFactorization::kReleased;

  bool operator==(const RotationFormat&) const = default;
};

// "kotms", "hadamard"; "released", "balanced".
std::string RotationKindName(RotationKind kind);
std::string RotationFactorizationName(RotationFactorization factorization);

// How the layers are stored; what readers need to know before they open a block file.
struct PackedFormat {
  std::string method;  // "pt2llm", "twla"
  int64_t group_size = 128;
  bool permuted = false;  // every layer carries a `.perm`; without it, none does
  std::optional<RotationFormat> rotation = {};  // every layer carries `.rot1` and `.rot2`, or none
  std::vector<BlockActivations> activations = {};  // one a block; empty: 16 bits everywhere

  LayerParts parts() const { return {.permuted = permuted, .rotated = rotation.has_value()}; }
  // Of a layer's rotation; nothing where layers are not rotated.
  std::optional<RotationShape> RotationOf(const LinearShape& shape) const;
};

// The source model's config.json with "quantization_config" added: {"quant_method": "tern",
// "format_version", "method", "group_size", "permuted", "modules": {"self_attn.q_proj":
// {"scheme": "ternary"}, ...}, "modules_not_quantized": [...]} and its dtype kept. Modules are
// named within a block; group size, permutation and kind of rotation are the same for all. Where
// used: "rotation": {"kind": "kotms", "factorization": "released"}, and "activations"
// (ActivationsJson). INVALID_ARGUMENT for a format that ParsePackedConfig would refuse.
absl::StatusOr<std::string> PackedConfigJson(const std::string& source_config_json,
                                             const PackedFormat& format);

// A packed checkpoint's config.json taken apart again: the format, and the source's config.json.
// INVALID_ARGUMENT names the field of quantization_config at fault.
struct PackedConfig {
  PackedFormat format;
  std::string source_config_json;
};
absl::StatusOr<PackedConfig> ParsePackedConfig(const std::string& packed_config_json);

// Bytes of the layer's tensors.
int64_t PackedLayerBytes(const LinearShape& shape, const PackedFormat& format);

// tensor -> file, for every tensor of a packed checkpoint.
std::map<std::string, std::string> PackedWeightMap(const ModelConfig& config,
                                                   const PackedFormat& format);

// model.safetensors.index.json for a packed checkpoint of `model`: {"metadata": {"total_size":
// bytes of all tensors}, "weight_map": {tensor: file}}. It takes the model, not its config alone,
// because norms, biases and embeddings keep the source's dtypes.
absl::StatusOr<std::string> PackedIndexJson(const ModelFolder& model, const PackedFormat& format);

}  // namespace tern

#endif  // TERN_CHECKPOINT_PACKED_FORMAT_H_
