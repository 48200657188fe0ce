#ifndef TERN_SERVER_JOBS_STORED_ACTIVATIONS_H_
#define TERN_SERVER_JOBS_STORED_ACTIVATIONS_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/jobs/method_recipe.h"
#include "server/store/store.h"
#include "tern/v1/quantization_job.pb.h"
#include "tern/worker/v1/worker_service.pb.h"

namespace tern {

// Whether a block's metrics have a clip ratio, above 0 and at most 1, of every linear layer for
// every width the recipe may use. INVALID_ARGUMENT names what is missing. Pure.
absl::Status CheckClipRatios(const MethodRecipe& recipe, const v1::BlockMetrics& metrics);

// How activations are quantized for tasks that run quantized blocks, from the stored results of the
// quantize tasks, which are done. DATA_LOSS when one is missing.
class StoredActivations {
 public:
  // Both must outlive this.
  StoredActivations(StoreReader& reader, const JobRecord& job) : reader_(reader), job_(job) {}

  absl::StatusOr<worker::v1::BlockActivations> At(int32_t block, int32_t bits);

  // Of every block, as fixed by the spec or chosen (`document.activation_bits`); empty for 16 bits.
  absl::StatusOr<std::vector<worker::v1::BlockActivations>> Chosen(
      const v1::QuantizationJob& document);

 private:
  StoreReader& reader_;
  const JobRecord& job_;
};

}  // namespace tern

#endif  // TERN_SERVER_JOBS_STORED_ACTIVATIONS_H_
