#include "worker/model/outer_weights.h"

#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "checkpoint/status_macros.h"
#include "checkpoint/tensor_values.h"

namespace tern {
namespace {

constexpr char kEmbedding[] = "model.embed_tokens.weight";

// Row `row` of a matrix as a tensor.
TensorView RowOf(const TensorView& matrix, int64_t row) {
  const size_t bytes = matrix.bytes.size() / matrix.shape[0];
  return {.name = absl::StrCat(matrix.name, "[", row, "]"),
          .dtype = matrix.dtype,
          .shape = {matrix.shape[1]},
          .bytes = matrix.bytes.subspan(row * bytes, bytes)};
}

absl::StatusOr<Tensor> LoadOuter(Backend& backend, const WeightSource& source,
                                 absl::string_view name, int64_t rows, int64_t cols,
                                 ElementType type) {
  TERN_ASSIGN_OR_RETURN(const TensorView view, source.Outer(name));
  const auto host = std::make_unique_for_overwrite<float[]>(rows * cols);
  TERN_RETURN_IF_ERROR(ReadFloat(view, std::span<float>(host.get(), rows * cols)));
  TERN_ASSIGN_OR_RETURN(Tensor tensor, backend.Allocate(ElementType::kF32, rows, cols));
  TERN_RETURN_IF_ERROR(backend.Upload(host.get(), tensor));
  if (type == ElementType::kF32) return tensor;
  TERN_ASSIGN_OR_RETURN(Tensor converted, backend.Allocate(type, rows, cols));
  TERN_RETURN_IF_ERROR(backend.Convert(tensor, converted));
  return converted;
}

}  // namespace

absl::StatusOr<Tensor> EmbedTokens(Backend& backend, const WeightSource& source,
                                   std::span<const int32_t> ids) {
  const int64_t hidden = source.config().hidden_size;
  TERN_ASSIGN_OR_RETURN(const TensorView table, source.Outer(kEmbedding));

  absl::flat_hash_map<int32_t, int32_t> row_of;
  std::vector<int32_t> distinct, rows;
  rows.reserve(ids.size());
  for (const int32_t id : ids) {
    if (id < 0 || id >= source.config().vocab_size) {
      return absl::InvalidArgumentError(absl::StrCat("token id ", id, " is outside the model's ",
                                                     source.config().vocab_size, " tokens"));
    }
    const auto [entry, is_new] = row_of.try_emplace(id, static_cast<int32_t>(distinct.size()));
    if (is_new) distinct.push_back(id);
    rows.push_back(entry->second);
  }

  std::vector<float> values(distinct.size() * hidden);
  for (size_t i = 0; i < distinct.size(); ++i) {
    TERN_RETURN_IF_ERROR(
        ReadFloat(RowOf(table, distinct[i]), std::span<float>(values).subspan(i * hidden, hidden)));
  }
  const auto tokens = static_cast<int64_t>(ids.size());
  TERN_ASSIGN_OR_RETURN(
      const Tensor used,
      backend.Allocate(ElementType::kF32, static_cast<int64_t>(distinct.size()), hidden));
  TERN_ASSIGN_OR_RETURN(const Tensor row_ids, backend.Allocate(ElementType::kI32, tokens, 1));
  TERN_ASSIGN_OR_RETURN(Tensor h, backend.Allocate(ElementType::kF32, tokens, hidden));
  TERN_RETURN_IF_ERROR(backend.Upload(values.data(), used));
  TERN_RETURN_IF_ERROR(backend.Upload(rows.data(), row_ids));
  TERN_RETURN_IF_ERROR(backend.transformer().Embed(used, row_ids, h));
  return h;
}

absl::StatusOr<LanguageHead> LanguageHead::Load(Backend& backend, const WeightSource& source) {
  const ModelConfig& config = source.config();
  LanguageHead head(backend);
  head.eps_ = config.rms_norm_eps;
  TERN_ASSIGN_OR_RETURN(head.norm_, LoadOuter(backend, source, "model.norm.weight", 1,
                                              config.hidden_size, ElementType::kF32));
  TERN_ASSIGN_OR_RETURN(
      head.projection_,
      LoadOuter(backend, source, config.tied_embeddings ? kEmbedding : "lm_head.weight",
                config.vocab_size, config.hidden_size, backend.activation_type()));
  return head;
}

absl::Status LanguageHead::Logits(const Tensor& h, const Tensor& logits) {
  if (normalized_.empty() || normalized_.rows() < h.rows()) {
    TERN_ASSIGN_OR_RETURN(normalized_,
                          backend_->Allocate(backend_->activation_type(), h.rows(), h.cols()));
  }
  const Tensor x = normalized_.Rows(0, h.rows());
  TERN_RETURN_IF_ERROR(backend_->transformer().RmsNorm(h, norm_, eps_, x));
  return backend_->Linear(x, projection_, Tensor(), /*accumulate=*/false, logits);
}

}  // namespace tern
