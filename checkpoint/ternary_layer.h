#ifndef TERN_CHECKPOINT_TERNARY_LAYER_H_
#define TERN_CHECKPOINT_TERNARY_LAYER_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "checkpoint/safetensors_reader.h"
#include "checkpoint/safetensors_writer.h"
#include "checkpoint/stored_rotation.h"

namespace tern {

// One linear layer in stored form. Columns are in the order of quantization: column c of the trits
// is column perm[c] of the stored weight (perm empty: identity). With g = c / group_size,
//   Y_hat[r, perm[c]] = alpha[r, g] · T[r, c] + mu[r, g],   T in {-1, 0, 1}.
// alpha and mu are fp16, and the fp16 values are what every later computation uses.
//
// Without a rotation Y_hat is the weight. With one it is multiplied by the rotated input; the
// effective weight, which the input itself may be multiplied by, is Y_hat with every row as
// r1ᵀ·Y·r2ᵀ (RotationFold).
struct TernaryLayer {
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t group_size = 0;
  std::vector<uint8_t>
      trits;  // [rows, ceil(cols/5)], five a byte: Σ (t_i + 1)·3^i, little end first
  std::vector<uint16_t> alpha;  // fp16 bits [rows, groups]
  std::vector<uint16_t> mu;     // fp16 bits [rows, groups]
  std::vector<int32_t> perm;    // [cols] or empty
  std::optional<StoredRotation> rotation;

  int64_t groups() const { return (cols + group_size - 1) / group_size; }
  // Bytes of trits, alpha, mu, perm and the rotation's factors: what true bits per weight are
  // counted from.
  int64_t stored_bytes() const;
};

// `count` rows of Y_hat from `first` on, float32, in the order of the columns before quantization;
// `out` has count·cols elements.
void DequantizeStoredRows(const TernaryLayer& layer, int64_t first, int64_t count,
                          std::span<float> out);

// The effective weight, float32 [rows, cols]: Y_hat, taken back through the rotation where there is
// one. `out` has rows·cols elements.
void Dequantize(const TernaryLayer& layer, std::span<float> out);

// Which tensors a layer has beside `.trits`, `.alpha` and `.mu`.
struct LayerParts {
  bool permuted = false;  // `.perm`
  bool rotated = false;   // `.rot1`, `.rot2`

  bool operator==(const LayerParts&) const = default;
};
LayerParts PartsOf(const TernaryLayer& layer);

// The names of the layer's tensors, and of those among them that are its rotation's factors.
std::vector<std::string> LayerTensors(const std::string& name, const LayerParts& parts);
std::vector<std::string> RotationTensors(const std::string& name, const LayerParts& parts);

// Adds the layer's tensors to `tensors`; their bytes are those of `layer`, which must outlive them.
void AppendTensors(const std::string& name, const TernaryLayer& layer,
                   std::vector<TensorToWrite>& tensors);

// Reads and verifies: dtypes, shapes against rows, cols and group_size, every byte a valid one
// (< 243, padding trits zero, i.e. stored as 1), alpha and mu finite, perm a permutation, the
// factors of a rotation finite and orthogonal (kOrthogonalityTolerance). Errors are DATA_LOSS and
// name the tensor. A rotation is read, and must be there, where its shape is given.
absl::StatusOr<TernaryLayer> ReadTernaryLayer(
    const SafetensorsReader& file, const std::string& name, int64_t rows, int64_t cols,
    int64_t group_size, const std::optional<RotationShape>& rotation = std::nullopt);

// `<name>.rot1` and `<name>.rot2` alone, as in a layer's tensors.
void AppendRotation(const std::string& name, const StoredRotation& rotation,
                    std::vector<TensorToWrite>& tensors);
absl::StatusOr<StoredRotation> ReadRotation(const SafetensorsReader& file, const std::string& name,
                                            const RotationShape& shape);

}  // namespace tern

#endif  // TERN_CHECKPOINT_TERNARY_LAYER_H_
