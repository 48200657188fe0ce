#include "checkpoint/safetensors_writer.h"

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>

#include "absl/strings/str_cat.h"
#include "checkpoint/atomic_file.h"
#include "checkpoint/safetensors_reader.h"
#include "checkpoint/status_macros.h"

namespace tern {
namespace {

constexpr size_t kHeaderAlignment = 8;

std::string JsonString(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// Indices of the tensors in the order of their data.
std::vector<size_t> FileOrder(const std::vector<TensorSpec>& tensors) {
  std::vector<size_t> order(tensors.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&tensors](size_t a, size_t b) {
    const int64_t size_a = DTypeSize(tensors[a].dtype);
    const int64_t size_b = DTypeSize(tensors[b].dtype);
    return size_a != size_b ? size_a > size_b : tensors[a].name < tensors[b].name;
  });
  return order;
}

// The file up to its data: the header's length and the header.
std::string Head(const std::vector<TensorSpec>& tensors, const std::vector<size_t>& order,
                 const std::map<std::string, std::string>& metadata) {
  std::string json = "{";
  if (!metadata.empty()) {
    json += "\"__metadata__\":{";
    for (const auto& [name, value] : metadata) {
      absl::StrAppend(&json, json.back() == '{' ? "" : ",", JsonString(name), ":",
                      JsonString(value));
    }
    json += "}";
  }
  int64_t offset = 0;
  for (const size_t index : order) {
    const TensorSpec& tensor = tensors[index];
    const int64_t end = offset + tensor.bytes();
    absl::StrAppend(&json, json.size() == 1 ? "" : ",", JsonString(tensor.name), ":{\"dtype\":\"",
                    DTypeName(tensor.dtype), "\",\"shape\":", ShapeString(tensor.shape),
                    ",\"data_offsets\":[", offset, ",", end, "]}");
    offset = end;
  }
  json += "}";
  json.resize((json.size() + kHeaderAlignment - 1) / kHeaderAlignment * kHeaderAlignment, ' ');
  const uint64_t length = json.size();
  return std::string(reinterpret_cast<const char*>(&length), sizeof(length)) + json;
}

std::vector<TensorSpec> SpecsOf(const std::vector<TensorToWrite>& tensors) {
  std::vector<TensorSpec> specs;
  specs.reserve(tensors.size());
  for (const TensorToWrite& tensor : tensors) {
    specs.push_back({tensor.name, tensor.dtype, tensor.shape});
  }
  return specs;
}

absl::Status CheckNames(const std::vector<TensorSpec>& tensors) {
  std::set<std::string> names;
  for (const TensorSpec& tensor : tensors) {
    if (!names.insert(tensor.name).second) {
      return absl::InvalidArgumentError(absl::StrCat(tensor.name, ": to be written twice"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

int64_t TensorSpec::bytes() const {
  return std::accumulate(shape.begin(), shape.end(), DTypeSize(dtype), std::multiplies<>());
}

absl::Status WriteSafetensors(const std::vector<TensorSpec>& tensors,
                              const std::map<std::string, std::string>& metadata,
                              const std::function<absl::Status(size_t, const ByteSink&)>& produce,
                              const ByteSink& sink) {
  TERN_RETURN_IF_ERROR(CheckNames(tensors));
  const std::vector<size_t> order = FileOrder(tensors);
  const std::string head = Head(tensors, order, metadata);
  TERN_RETURN_IF_ERROR(sink({reinterpret_cast<const uint8_t*>(head.data()), head.size()}));
  for (const size_t index : order) {
    int64_t written = 0;
    TERN_RETURN_IF_ERROR(produce(index, [&written, &sink](std::span<const uint8_t> piece) {
      written += static_cast<int64_t>(piece.size());
      return sink(piece);
    }));
    if (written != tensors[index].bytes()) {
      return absl::InvalidArgumentError(
          absl::StrCat(tensors[index].name, ": ", written, " bytes to write, but shape ",
                       ShapeString(tensors[index].shape), " of ", DTypeName(tensors[index].dtype),
                       " is ", tensors[index].bytes()));
    }
  }
  return absl::OkStatus();
}

absl::Status WriteSafetensors(const std::vector<TensorToWrite>& tensors,
                              const std::map<std::string, std::string>& metadata,
                              const ByteSink& sink) {
  return WriteSafetensors(
      SpecsOf(tensors), metadata,
      [&tensors](size_t index, const ByteSink& out) { return out(tensors[index].bytes); }, sink);
}

absl::Status WriteSafetensorsFile(const std::string& path,
                                  const std::vector<TensorToWrite>& tensors,
                                  const std::map<std::string, std::string>& metadata) {
  TERN_ASSIGN_OR_RETURN(const std::unique_ptr<AtomicFileWriter> writer,
                        AtomicFileWriter::Open(path));
  TERN_RETURN_IF_ERROR(WriteSafetensors(
      tensors, metadata,
      [&writer](std::span<const uint8_t> piece) { return writer->Append(piece); }));
  return writer->Commit();
}

}  // namespace tern
