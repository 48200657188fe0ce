#include "checkpoint/safetensors_reader.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "checkpoint/readable_file.h"
#include "checkpoint/safetensors_layout.h"
#include "checkpoint/status_macros.h"
#include "checkpoint/strict_json.h"

namespace tern {

int64_t TensorView::elements() const {
  int64_t product = 1;
  for (const int64_t dimension : shape) product *= dimension;
  return product;
}

std::string ShapeString(std::span<const int64_t> shape) {
  return absl::StrCat("[", absl::StrJoin(shape.begin(), shape.end(), ","), "]");
}

SafetensorsReader::SafetensorsReader(std::string path, const SafetensorsLayout& layout,
                                     std::span<const uint8_t> bytes)
    : path_(std::move(path)) {
  for (const auto& [name, tensor] : layout.header.tensors) {
    tensors_.emplace_hint(
        tensors_.end(), name,
        TensorView{name, tensor.dtype, tensor.shape,
                   bytes.subspan(layout.data_begin + tensor.begin, tensor.end - tensor.begin)});
  }
}

absl::StatusOr<std::unique_ptr<SafetensorsReader>> SafetensorsReader::Open(
    const std::string& path) {
  TERN_ASSIGN_OR_RETURN(const std::unique_ptr<ReadableFile> file, ReadableFile::Open(path));
  TERN_ASSIGN_OR_RETURN(const SafetensorsLayout layout, ReadSafetensorsLayout(*file));
  TERN_ASSIGN_OR_RETURN(std::unique_ptr<MappedFile> mapped, MappedFile::Map(*file));
  std::unique_ptr<SafetensorsReader> reader(new SafetensorsReader(path, layout, mapped->bytes()));
  reader->file_ = std::move(mapped);
  return reader;
}

absl::StatusOr<std::unique_ptr<SafetensorsReader>> SafetensorsReader::Parse(
    std::span<const uint8_t> bytes, const std::string& label) {
  TERN_ASSIGN_OR_RETURN(const SafetensorsLayout layout, ReadSafetensorsLayout(bytes, label));
  return std::unique_ptr<SafetensorsReader>(new SafetensorsReader(label, layout, bytes));
}

absl::StatusOr<TensorView> SafetensorsReader::Get(absl::string_view name) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) {
    return absl::NotFoundError(absl::StrCat(path_, ": no tensor \"", Shown(name), "\""));
  }
  return found->second;
}

bool SafetensorsReader::Has(absl::string_view name) const {
  return tensors_.find(name) != tensors_.end();
}

int64_t SafetensorsReader::data_bytes() const {
  int64_t bytes = 0;
  for (const auto& [name, tensor] : tensors_) bytes += static_cast<int64_t>(tensor.bytes.size());
  return bytes;
}

void SafetensorsReader::Release(const TensorView& tensor) const {
  if (file_ != nullptr) file_->Release(tensor.bytes);
}

}  // namespace tern
