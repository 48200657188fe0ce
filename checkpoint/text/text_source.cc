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
#include "checkpoint/atomic_file.h"
#include "checkpoint/readable_file.h"
#include "checkpoint/safetensors_layout.h"
#include "checkpoint/safetensors_reader.h"
#include "checkpoint/status_macros.h"
#include "checkpoint/strict_json.h"
#include "checkpoint/tokenizer/utf8.h"

namespace tern {
namespace {

constexpr absl::string_view kByteOrderMark = "\xEF\xBB\xBF";

// Of token ids, read at a time: a multiple of every id's size.
constexpr uint64_t kPieceBytes = uint64_t{1} << 20;

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

absl::Status AppendLines(const std::string& file, size_t index, absl::string_view bytes,
                         const std::string& text_field, std::vector<TextDocument>& documents) {
  const size_t before = documents.size();
  for (int64_t number = 1; !bytes.empty(); ++number) {
    const size_t end = std::min(bytes.find('\n'), bytes.size());
    const absl::string_view line = absl::StripAsciiWhitespace(bytes.substr(0, end));
    bytes.remove_prefix(std::min(end + 1, bytes.size()));
    if (line.empty()) continue;
    const std::string where = absl::StrCat(file, ": line ", number);
    if (line.size() > kMaxLineBytes) {
      return Error(where, absl::StrCat(line.size(), " bytes; a line may have ", kMaxLineBytes,
                                       ": cut it into shorter documents"));
    }
    TERN_ASSIGN_OR_RETURN(std::string text, TextOfLine(line, text_field, where));
    if (text.empty()) continue;
    if (documents.size() == kMaxDocuments) {
      return Error(where,
                   absl::StrCat("more than ", kMaxDocuments, " documents: give a part of it"));
    }
    documents.push_back({std::move(text), index, number});
  }
  if (documents.size() > before) return absl::OkStatus();
  return Error(file, absl::StrCat("no line has text in its field \"", Shown(text_field), "\""));
}

absl::Status AppendText(const std::string& file, size_t index, std::string text,
                        std::vector<TextDocument>& documents) {
  if (const std::optional<size_t> at = FindInvalidUtf8(text)) {
    return Error(file, absl::StrCat("not UTF-8 text at byte ", *at));
  }
  if (absl::StartsWith(text, kByteOrderMark)) text.erase(0, kByteOrderMark.size());
  if (text.empty()) return Error(file, "the file is empty");
  documents.push_back({std::move(text), index, 0});
  return absl::OkStatus();
}

// Appends the ids that `bytes` hold.
template <typename T>
absl::Status AppendIds(std::span<const uint8_t> bytes, const std::string& file,
                       std::vector<int32_t>& ids) {
  for (; !bytes.empty(); bytes = bytes.subspan(sizeof(T))) {
    T id;
    std::memcpy(&id, bytes.data(), sizeof(T));
    if (id < std::numeric_limits<int32_t>::min() || id > std::numeric_limits<int32_t>::max()) {
      return Error(file, absl::StrCat("input_ids: ", id, " is not a token id"));
    }
    ids.push_back(static_cast<int32_t>(id));
  }
  return absl::OkStatus();
}

// Dtype, shape and size of input_ids.
absl::Status CheckIds(const std::string& file, const HeaderTensor& tensor) {
  if (tensor.dtype != DType::kI32 && tensor.dtype != DType::kI64) {
    return Error(file, absl::StrCat("input_ids: dtype is ", DTypeName(tensor.dtype),
                                    "; it must be I32 or I64"));
  }
  if (tensor.shape.size() != 2 || tensor.begin == tensor.end) {
    return Error(file, absl::StrCat("input_ids: shape ", ShapeString(tensor.shape),
                                    "; it must be [windows,length], neither of them 0"));
  }
  const int64_t ids = tensor.shape[0] * tensor.shape[1];
  if (ids <= kMaxTextBytes) return absl::OkStatus();
  return Error(file,
               absl::StrCat("input_ids: ", ids, " ids; at most ", kMaxTextBytes, " are read"));
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
  for (size_t index = 0; index < files.size(); ++index) {
    const std::string& file = files[index];
    TERN_ASSIGN_OR_RETURN(std::string bytes, ReadFile(file, kMaxTextBytes));
    if (bytes.empty()) return Error(file, "the file is empty");
    total += static_cast<int64_t>(bytes.size());
    if (total > kMaxTextBytes) {
      return Error(file, absl::StrCat("with this file the text has ", total, " bytes; at most ",
                                      kMaxTextBytes, " are read: give a part of it"));
    }
    TERN_RETURN_IF_ERROR(IsJsonLines(file) ? AppendLines(file, index, bytes, field, documents)
                                           : AppendText(file, index, std::move(bytes), documents));
  }
  return documents;
}

absl::StatusOr<TokenWindows> ReadTokenIds(const std::string& file) {
  TERN_ASSIGN_OR_RETURN(const std::unique_ptr<ReadableFile> opened, ReadableFile::Open(file));
  TERN_ASSIGN_OR_RETURN(const SafetensorsLayout layout, ReadSafetensorsLayout(*opened));
  const auto found = layout.header.tensors.find("input_ids");
  if (found == layout.header.tensors.end()) return Error(file, "there is no tensor input_ids");
  const HeaderTensor& tensor = found->second;
  TERN_RETURN_IF_ERROR(CheckIds(file, tensor));
  TokenWindows windows;
  windows.windows = tensor.shape[0];
  windows.length = tensor.shape[1];
  windows.ids.reserve(static_cast<size_t>(windows.windows * windows.length));
  std::vector<uint8_t> piece;
  for (uint64_t at = tensor.begin; at < tensor.end; at += piece.size()) {
    piece.resize(std::min<uint64_t>(kPieceBytes, tensor.end - at));
    TERN_RETURN_IF_ERROR(opened->Read(static_cast<int64_t>(layout.data_begin + at), piece));
    TERN_RETURN_IF_ERROR(tensor.dtype == DType::kI32
                             ? AppendIds<int32_t>(piece, file, windows.ids)
                             : AppendIds<int64_t>(piece, file, windows.ids));
  }
  return windows;
}

}  // namespace tern
