#include "checkpoint/safetensors_reader.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "checkpoint/safetensors_header.h"
#include "checkpoint/status_macros.h"
#include "checkpoint/strict_json.h"

namespace tern {
namespace {

constexpr size_t kLengthBytes = 8;

absl::Status Invalid(const std::string& path, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", what));
}

absl::Status InvalidTensor(const std::string& path, const std::string& tensor,
                           absl::string_view what) {
  return Invalid(path, absl::StrCat("tensor \"", Shown(tensor), "\": ", what));
}

// The file's two parts.
struct Parts {
  absl::string_view header;
  std::span<const uint8_t> data;
};

absl::StatusOr<Parts> Split(const std::string& path, std::span<const uint8_t> bytes) {
  if (bytes.size() < kLengthBytes) {
    return Invalid(
        path, absl::StrCat(bytes.size(), " bytes, too short for a safetensors file: truncated?"));
  }
  uint64_t length;
  std::memcpy(&length, bytes.data(), kLengthBytes);
  const std::span<const uint8_t> rest = bytes.subspan(kLengthBytes);
  if (length > kMaxHeaderBytes) {
    return Invalid(path, absl::StrCat("header length ", length, " is over the limit of ",
                                      kMaxHeaderBytes, " bytes: not a safetensors file?"));
  }
  if (length > rest.size()) {
    return Invalid(path, absl::StrCat("header length ", length, " but only ", rest.size(),
                                      " bytes follow: truncated?"));
  }
  const auto* text = reinterpret_cast<const char*>(rest.data());
  return Parts{{text, static_cast<size_t>(length)}, rest.subspan(length)};
}

// Bytes of a tensor by shape and dtype, or nullopt when they are past int64.
std::optional<uint64_t> BytesOf(const HeaderTensor& tensor) {
  int64_t bytes = DTypeSize(tensor.dtype);
  for (const int64_t dimension : tensor.shape) {
    if (__builtin_mul_overflow(bytes, dimension, &bytes)) return std::nullopt;
  }
  return static_cast<uint64_t>(bytes);
}

absl::Status CheckRange(const std::string& path, const std::string& name,
                        const HeaderTensor& tensor, uint64_t data_size) {
  if (tensor.begin > tensor.end) {
    return InvalidTensor(
        path, name,
        absl::StrCat("data_offsets [", tensor.begin, ",", tensor.end, "] run backwards"));
  }
  if (tensor.end > data_size) {
    return InvalidTensor(
        path, name,
        absl::StrCat("data_offsets [", tensor.begin, ",", tensor.end, "] but the file has ",
                     data_size, " bytes of data: truncated?"));
  }
  const std::optional<uint64_t> bytes = BytesOf(tensor);
  if (!bytes.has_value()) {
    return InvalidTensor(path, name,
                         absl::StrCat("shape ", ShapeString(tensor.shape), " is too large"));
  }
  if (*bytes != tensor.end - tensor.begin) {
    return InvalidTensor(
        path, name,
        absl::StrCat("shape ", ShapeString(tensor.shape), " of ", DTypeName(tensor.dtype), " is ",
                     *bytes, " bytes but data_offsets hold ", tensor.end - tensor.begin));
  }
  return absl::OkStatus();
}

// Every byte of the data belongs to exactly one tensor.
absl::Status CheckCoverage(const std::string& path, const SafetensorsHeader& header,
                           uint64_t data_size) {
  using Entry = std::pair<const std::string, HeaderTensor>;
  std::vector<const Entry*> by_offset;
  by_offset.reserve(header.tensors.size());
  for (const Entry& entry : header.tensors) by_offset.push_back(&entry);
  std::sort(by_offset.begin(), by_offset.end(), [](const Entry* a, const Entry* b) {
    return std::pair(a->second.begin, a->second.end) < std::pair(b->second.begin, b->second.end);
  });
  uint64_t covered = 0;
  const Entry* previous = nullptr;
  for (const Entry* entry : by_offset) {
    const uint64_t begin = entry->second.begin;
    if (begin < covered) {
      return InvalidTensor(
          path, entry->first,
          absl::StrCat("its bytes overlap those of \"", Shown(previous->first), "\""));
    }
    if (begin > covered) {
      return InvalidTensor(path, entry->first,
                           absl::StrCat("a hole of ", begin - covered, " bytes before its data"));
    }
    covered = entry->second.end;
    previous = entry;
  }
  if (covered != data_size) {
    return Invalid(path, absl::StrCat(data_size - covered, " bytes after the last tensor"));
  }
  return absl::OkStatus();
}

}  // namespace

int64_t TensorView::elements() const {
  int64_t product = 1;
  for (const int64_t dimension : shape) product *= dimension;
  return product;
}

std::string ShapeString(std::span<const int64_t> shape) {
  return absl::StrCat("[", absl::StrJoin(shape.begin(), shape.end(), ","), "]");
}

absl::StatusOr<std::unique_ptr<SafetensorsReader>> SafetensorsReader::Open(
    const std::string& path) {
  TERN_ASSIGN_OR_RETURN(std::unique_ptr<MappedFile> file, MappedFile::Open(path));
  TERN_ASSIGN_OR_RETURN(std::unique_ptr<SafetensorsReader> reader, Parse(file->bytes(), path));
  reader->file_ = std::move(file);
  return reader;
}

absl::StatusOr<std::unique_ptr<SafetensorsReader>> SafetensorsReader::Parse(
    std::span<const uint8_t> bytes, const std::string& label) {
  TERN_ASSIGN_OR_RETURN(const Parts parts, Split(label, bytes));
  TERN_ASSIGN_OR_RETURN(SafetensorsHeader header, ParseSafetensorsHeader(parts.header, label));
  for (const auto& [name, tensor] : header.tensors) {
    TERN_RETURN_IF_ERROR(CheckRange(label, name, tensor, parts.data.size()));
  }
  TERN_RETURN_IF_ERROR(CheckCoverage(label, header, parts.data.size()));

  std::unique_ptr<SafetensorsReader> reader(new SafetensorsReader);
  reader->path_ = label;
  reader->metadata_ = std::move(header.metadata);
  for (auto& [name, tensor] : header.tensors) {
    reader->tensors_.emplace_hint(
        reader->tensors_.end(), name,
        TensorView{name, tensor.dtype, std::move(tensor.shape),
                   parts.data.subspan(tensor.begin, tensor.end - tensor.begin)});
  }
  return reader;
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
