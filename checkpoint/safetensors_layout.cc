#include "checkpoint/safetensors_layout.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "checkpoint/safetensors_reader.h"
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

absl::Status CheckFileSize(const std::string& path, uint64_t file_size) {
  if (file_size >= kLengthBytes) return absl::OkStatus();
  return Invalid(path,
                 absl::StrCat(file_size, " bytes, too short for a safetensors file: truncated?"));
}

// The header's length, which the file begins with.
absl::StatusOr<size_t> HeaderLength(const std::string& path, const uint8_t* first,
                                    uint64_t file_size) {
  uint64_t length;
  std::memcpy(&length, first, kLengthBytes);
  if (length > kMaxHeaderBytes) {
    return Invalid(path, absl::StrCat("header length ", length, " is over the limit of ",
                                      kMaxHeaderBytes, " bytes: not a safetensors file?"));
  }
  if (length > file_size - kLengthBytes) {
    return Invalid(path, absl::StrCat("header length ", length, " but only ",
                                      file_size - kLengthBytes, " bytes follow: truncated?"));
  }
  return static_cast<size_t>(length);
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

absl::StatusOr<SafetensorsLayout> ParseLayout(const std::string& path, absl::string_view json,
                                              uint64_t file_size) {
  SafetensorsLayout layout;
  layout.data_begin = kLengthBytes + json.size();
  const uint64_t data_size = file_size - layout.data_begin;
  TERN_ASSIGN_OR_RETURN(layout.header, ParseSafetensorsHeader(json, path));
  for (const auto& [name, tensor] : layout.header.tensors) {
    TERN_RETURN_IF_ERROR(CheckRange(path, name, tensor, data_size));
  }
  TERN_RETURN_IF_ERROR(CheckCoverage(path, layout.header, data_size));
  return layout;
}

}  // namespace

absl::StatusOr<SafetensorsLayout> ReadSafetensorsLayout(const ReadableFile& file) {
  const auto size = static_cast<uint64_t>(file.size());
  TERN_RETURN_IF_ERROR(CheckFileSize(file.path(), size));
  uint8_t first[kLengthBytes];
  TERN_RETURN_IF_ERROR(file.Read(0, first));
  TERN_ASSIGN_OR_RETURN(const size_t length, HeaderLength(file.path(), first, size));
  std::string json(length, '\0');
  TERN_RETURN_IF_ERROR(
      file.Read(kLengthBytes, {reinterpret_cast<uint8_t*>(json.data()), json.size()}));
  return ParseLayout(file.path(), json, size);
}

absl::StatusOr<SafetensorsLayout> ReadSafetensorsLayout(std::span<const uint8_t> bytes,
                                                        const std::string& label) {
  TERN_RETURN_IF_ERROR(CheckFileSize(label, bytes.size()));
  TERN_ASSIGN_OR_RETURN(const size_t length, HeaderLength(label, bytes.data(), bytes.size()));
  const auto* json = reinterpret_cast<const char*>(bytes.data() + kLengthBytes);
  return ParseLayout(label, {json, length}, bytes.size());
}

}  // namespace tern
