#include "checkpoint/safetensors_header.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "checkpoint/strict_json.h"

namespace tern {
namespace {

using nlohmann::json;

// Builds the header while its JSON is parsed, without a tree of it in between: a header may have
// 100 MB. Every callback returns false, and so ends the parse, at the first thing that is wrong.
class HeaderBuilder final : public nlohmann::json_sax<json> {
 public:
  bool start_object(std::size_t /*elements*/) override {
    switch (state_) {
      case State::kStart:
        state_ = State::kRoot;
        return true;
      case State::kRootValue:
        if (!in_metadata_) tensor_ = {};
        state_ = in_metadata_ ? State::kMetadata : State::kTensor;
        return true;
      default:
        return Unexpected("an object");
    }
  }

  bool key(std::string& name) override {
    switch (state_) {
      case State::kRoot:
        return RootName(name);
      case State::kMetadata:
        return MetadataName(name);
      case State::kTensor:
        return TensorField(name);
      default:
        return Unexpected("a name");
    }
  }

  bool end_object() override {
    switch (state_) {
      case State::kTensor:
        return FinishTensor();
      case State::kMetadata:
        state_ = State::kRoot;
        return true;
      default:  // kRoot: nothing else has an object's end
        state_ = State::kEnd;
        return true;
    }
  }

  bool start_array(std::size_t /*elements*/) override {
    if (state_ == State::kShape && !tensor_.shape.has_value()) {
      tensor_.shape.emplace();
      return true;
    }
    if (state_ == State::kOffsets && !tensor_.offsets.has_value()) {
      tensor_.offsets.emplace();
      return true;
    }
    return Unexpected("an array");
  }

  bool end_array() override {
    state_ = State::kTensor;
    return true;
  }

  bool string(std::string& text) override {
    if (state_ == State::kMetadataValue) {
      state_ = State::kMetadata;
      return true;
    }
    if (state_ == State::kDType) {
      tensor_.dtype = ParseDType(text);
      if (!tensor_.dtype.has_value()) {
        return Fail(
            absl::StrCat(Where(), "unknown dtype \"", Shown(text), "\"; known are ", DTypeNames()));
      }
      state_ = State::kTensor;
      return true;
    }
    return Unexpected("a string");
  }

  bool number_unsigned(uint64_t number) override {
    if (state_ == State::kShape && tensor_.shape.has_value()) {
      if (number > static_cast<uint64_t>(INT64_MAX)) {
        return Fail(absl::StrCat(Where(), "shape: ", number, " is too large"));
      }
      if (tensor_.shape->size() == kMaxDimensions) {
        return Fail(absl::StrCat(Where(), "shape: more than ", kMaxDimensions, " dimensions"));
      }
      tensor_.shape->push_back(static_cast<int64_t>(number));
      return true;
    }
    if (state_ == State::kOffsets && tensor_.offsets.has_value()) {
      if (tensor_.offsets->size() == 2) {
        return Fail(absl::StrCat(Where(), "data_offsets: more than two numbers"));
      }
      tensor_.offsets->push_back(number);
      return true;
    }
    return Unexpected("a number");
  }

  bool number_integer(int64_t number) override {
    return Unexpected(absl::StrCat("the number ", number));
  }
  bool number_float(double /*number*/, const std::string& text) override {
    return Unexpected(absl::StrCat("the number ", Shown(text)));
  }
  bool boolean(bool /*value*/) override { return Unexpected("a boolean"); }
  bool null() override { return Unexpected("null"); }
  bool binary(json::binary_t& /*value*/) override { return Unexpected("binary data"); }

  bool parse_error(std::size_t position, const std::string& /*token*/,
                   const json::exception& /*error*/) override {
    return Fail(absl::StrCat("header is not valid JSON at its byte ", position));
  }

  const std::string& error() const { return error_; }
  SafetensorsHeader Take() { return std::move(header_); }

 private:
  enum class State {
    kStart,
    kRoot,           // at a name of the outermost object
    kRootValue,      // at its value
    kMetadata,       // at a name of __metadata__
    kMetadataValue,  // at its value
    kTensor,         // at a field's name
    kDType,          // at the value of that field, or inside it
    kShape,
    kOffsets,
    kEnd,
  };

  struct Tensor {
    std::optional<DType> dtype;
    std::optional<std::vector<int64_t>> shape;
    std::optional<std::vector<uint64_t>> offsets;
  };

  bool RootName(std::string& name) {
    in_metadata_ = name == "__metadata__";
    name_ = std::move(name);
    state_ = State::kRootValue;
    if (in_metadata_) {
      return std::exchange(seen_metadata_, true) ? Fail("__metadata__ twice") : true;
    }
    if (name_.size() > kMaxNameBytes) {
      return Fail(absl::StrCat(Where(), "name of more than ", kMaxNameBytes, " bytes"));
    }
    if (header_.tensors.size() == kMaxTensors) {
      return Fail(absl::StrCat("more than ", kMaxTensors, " tensors"));
    }
    if (header_.tensors.contains(name_)) return Fail(absl::StrCat(Where(), "described twice"));
    return true;
  }

  bool MetadataName(std::string& name) {
    name_in_metadata_ = std::move(name);
    state_ = State::kMetadataValue;
    if (name_in_metadata_.size() > kMaxNameBytes) {
      return Fail(absl::StrCat("__metadata__: \"", Shown(name_in_metadata_),
                               "\": name of more than ", kMaxNameBytes, " bytes"));
    }
    if (metadata_names_.size() == kMaxMetadataEntries) {
      return Fail(absl::StrCat("__metadata__: more than ", kMaxMetadataEntries, " entries"));
    }
    if (!metadata_names_.insert(name_in_metadata_).second) {
      return Fail(absl::StrCat("__metadata__: \"", Shown(name_in_metadata_), "\" twice"));
    }
    return true;
  }

  bool TensorField(const std::string& field) {
    const bool seen = (field == "dtype" && tensor_.dtype.has_value()) ||
                      (field == "shape" && tensor_.shape.has_value()) ||
                      (field == "data_offsets" && tensor_.offsets.has_value());
    if (seen) return Fail(absl::StrCat(Where(), field, " twice"));
    if (field == "dtype") {
      state_ = State::kDType;
    } else if (field == "shape") {
      state_ = State::kShape;
    } else if (field == "data_offsets") {
      state_ = State::kOffsets;
    } else {
      return Fail(absl::StrCat(Where(), "unknown field \"", Shown(field), "\""));
    }
    return true;
  }

  bool FinishTensor() {
    if (!tensor_.dtype.has_value()) return Fail(absl::StrCat(Where(), "no dtype"));
    if (!tensor_.shape.has_value()) return Fail(absl::StrCat(Where(), "no shape"));
    if (!tensor_.offsets.has_value() || tensor_.offsets->size() != 2) {
      return Fail(absl::StrCat(Where(), "data_offsets must be two numbers"));
    }
    header_.tensors.emplace(std::move(name_),
                            HeaderTensor{*tensor_.dtype, *std::move(tensor_.shape),
                                         (*tensor_.offsets)[0], (*tensor_.offsets)[1]});
    state_ = State::kRoot;
    return true;
  }

  std::string Where() const { return absl::StrCat("tensor \"", Shown(name_), "\": "); }

  bool Unexpected(absl::string_view what) {
    switch (state_) {
      case State::kMetadataValue:
        return Fail(absl::StrCat("__metadata__: \"", Shown(name_in_metadata_),
                                 "\": a string is expected, not ", what));
      case State::kDType:
        return Fail(absl::StrCat(Where(), "dtype: a string is expected, not ", what));
      case State::kShape:
        return Fail(
            absl::StrCat(Where(), "shape: an array of whole numbers is expected, not ", what));
      case State::kOffsets:
        return Fail(
            absl::StrCat(Where(), "data_offsets: two whole numbers are expected, not ", what));
      default:
        return Fail(absl::StrCat(Where(), "an object is expected, not ", what));
    }
  }

  bool Fail(std::string error) {
    error_ = std::move(error);
    return false;
  }

  State state_ = State::kStart;
  std::string name_;  // of the tensor at hand
  std::string name_in_metadata_;
  std::set<std::string> metadata_names_;
  bool in_metadata_ = false;
  bool seen_metadata_ = false;
  Tensor tensor_;
  SafetensorsHeader header_;
  std::string error_;
};

}  // namespace

absl::StatusOr<SafetensorsHeader> ParseSafetensorsHeader(absl::string_view json,
                                                         absl::string_view label) {
  // The parser would pass over a byte order mark before the object, and end at a NUL after it.
  if (!absl::StartsWith(json, "{")) {
    return absl::InvalidArgumentError(absl::StrCat(label, ": header does not begin with {"));
  }
  if (absl::StrContains(json, '\0')) {
    return absl::InvalidArgumentError(absl::StrCat(label, ": header contains a NUL byte"));
  }
  HeaderBuilder builder;
  if (!nlohmann::json::sax_parse(json.data(), json.data() + json.size(), &builder)) {
    return absl::InvalidArgumentError(absl::StrCat(label, ": ", builder.error()));
  }
  return builder.Take();
}

}  // namespace tern
