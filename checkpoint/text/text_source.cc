#include "checkpoint/text/text_source.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "checkpoint/mapped_file.h"
#include "checkpoint/safetensors_reader.h"
#include "checkpoint/status_macros.h"
#include "checkpoint/strict_json.h"
#include "checkpoint/tokenizer/utf8.h"

namespace tern {
namespace {

constexpr absl::string_view kByteOrderMark = "\xEF\xBB\xBF";

absl::Status Error(absl::string_view file, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(file, ": ", what));
}

bool IsJsonLines(const std::string& file) {
  return absl::EndsWith(absl::AsciiStrToLower(file), ".jsonl");
}

// The string field of the JSON object on a line; `where` names the line.
absl::StatusOr<std::string> TextOfLine(absl::string_view line, const std::string& field,
                                       const std::string& where) {
  TERN_ASSIGN_OR_RETURN(const nlohmann::json object, ParseJsonObject(line, where));
  const auto text = object.find(field);
  if (text == object.end()) return Error(where, absl::StrCat("no field \"", Shown(field), "\""));
  if (!text->is_string()) {
    return Error(where, absl::StrCat("field \"", Shown(field), "\" is not a string"));
  }
  return text->get<std::string>();
}

absl::Status AppendLines(const std::string& file, absl::string_view bytes,
                         const std::string& text_field, std::vector<TextDocument>& documents) {
  const size_t before = documents.size();
  for (int64_t number = 1; !bytes.empty(); ++number) {
    const size_t end = std::min(bytes.find('\n'), bytes.size());
    const absl::string_view line = absl::StripAsciiWhitespace(bytes.substr(0, end));
    bytes.remove_prefix(std::min(end + 1, bytes.size()));
    if (line.empty()) continue;
    TERN_ASSIGN_OR_RETURN(std::string text,
                          TextOfLine(line, text_field, absl::StrCat(file, ": line ", number)));
    if (!text.empty()) documents.push_back({std::move(text), true});
  }
  if (documents.size() > before) return absl::OkStatus();
  return Error(file, absl::StrCat("no line has text in its field \"", Shown(text_field), "\""));
}

absl::Status AppendText(const std::string& file, absl::string_view bytes,
                        std::vector<TextDocument>& documents) {
  std::string text(bytes);
  if (const std::optional<size_t> at = FindInvalidUtf8(text)) {
    return Error(file, absl::StrCat("not UTF-8 text at byte ", *at));
  }
  if (absl::StartsWith(text, kByteOrderMark)) text.erase(0, kByteOrderMark.size());
  if (text.empty()) return Error(file, "the file is empty");
  documents.push_back({std::move(text), false});
  return absl::OkStatus();
}

template <typename T>
absl::Status CopyIds(const TensorView& tensor, const std::string& file, TokenWindows& windows) {
  for (size_t i = 0; i < windows.ids.size(); ++i) {
    T id;
    std::memcpy(&id, tensor.bytes.data() + i * sizeof(T), sizeof(T));
    if (id < std::numeric_limits<int32_t>::min() || id > std::numeric_limits<int32_t>::max()) {
      return Error(file, absl::StrCat("input_ids: ", id, " is not a token id"));
    }
    windows.ids[i] = static_cast<int32_t>(id);
  }
  return absl::OkStatus();
}

}  // namespace

bool HoldsTokenIds(absl::string_view path) {
  return absl::EndsWith(absl::AsciiStrToLower(path), ".safetensors");
}

absl::StatusOr<std::vector<TextDocument>> ReadDocuments(std::span<const std::string> files,
                                                        absl::string_view text_field) {
  if (files.empty()) return absl::InvalidArgumentError("no text file is given");
  const std::string field(text_field);
  std::vector<TextDocument> documents;
  int64_t total = 0;
  for (const std::string& file : files) {
    TERN_ASSIGN_OR_RETURN(const std::unique_ptr<MappedFile> mapped, MappedFile::Open(file));
    if (mapped->size() == 0) return Error(file, "the file is empty");
    total += mapped->size();
    if (total > kMaxTextBytes) {
      return Error(file, absl::StrCat("with this file the text has ", total, " bytes; at most ",
                                      kMaxTextBytes, " are read: give a part of it"));
    }
    const absl::string_view bytes(reinterpret_cast<const char*>(mapped->bytes().data()),
                                  mapped->bytes().size());
    TERN_RETURN_IF_ERROR(IsJsonLines(file) ? AppendLines(file, bytes, field, documents)
                                           : AppendText(file, bytes, documents));
  }
  return documents;
}

absl::StatusOr<TokenWindows> ReadTokenIds(const std::string& file) {
  TERN_ASSIGN_OR_RETURN(const std::unique_ptr<SafetensorsReader> reader,
                        SafetensorsReader::Open(file));
  if (!reader->Has("input_ids")) return Error(file, "there is no tensor input_ids");
  TERN_ASSIGN_OR_RETURN(const TensorView tensor, reader->Get("input_ids"));
  if (tensor.dtype != DType::kI32 && tensor.dtype != DType::kI64) {
    return Error(file, absl::StrCat("input_ids: dtype is ", DTypeName(tensor.dtype),
                                    "; it must be I32 or I64"));
  }
  if (tensor.shape.size() != 2 || tensor.elements() == 0) {
    return Error(file, absl::StrCat("input_ids: shape ", ShapeString(tensor.shape),
                                    "; it must be [windows,length], neither of them 0"));
  }
  if (tensor.elements() > kMaxTextBytes) {
    return Error(file, absl::StrCat("input_ids: ", tensor.elements(), " ids; at most ",
                                    kMaxTextBytes, " are read"));
  }
  TokenWindows windows;
  windows.windows = tensor.shape[0];
  windows.length = tensor.shape[1];
  windows.ids.resize(static_cast<size_t>(tensor.elements()));
  TERN_RETURN_IF_ERROR(tensor.dtype == DType::kI32 ? CopyIds<int32_t>(tensor, file, windows)
                                                   : CopyIds<int64_t>(tensor, file, windows));
  return windows;
}

}  // namespace tern
