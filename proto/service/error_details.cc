#include "proto/service/error_details.h"

#include <optional>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "checkpoint/bounded_utf8.h"
#include "google/rpc/error_details.pb.h"

namespace tern {
namespace {

constexpr size_t kMaxFieldBytes = 256;
constexpr char kTypePrefix[] = "type.googleapis.com/";

template <typename Detail>
std::string TypeUrl() {
  return absl::StrCat(kTypePrefix, Detail::descriptor()->full_name());
}

template <typename Detail>
std::optional<Detail> GetDetail(const absl::Status& status) {
  const auto payload = status.GetPayload(TypeUrl<Detail>());
  Detail detail;
  if (!payload.has_value() || !detail.ParseFromString(std::string(*payload))) return std::nullopt;
  return detail;
}

template <typename Detail>
void SetDetail(const Detail& detail, absl::Status& status) {
  status.SetPayload(TypeUrl<Detail>(), absl::Cord(detail.SerializeAsString()));
}

absl::Status WithMessage(const absl::Status& status, absl::string_view message) {
  absl::Status renamed(status.code(), message);
  status.ForEachPayload([&](absl::string_view type_url, const absl::Cord& payload) {
    renamed.SetPayload(type_url, payload);
  });
  return renamed;
}

}  // namespace

absl::Status WithReason(absl::Status status, absl::string_view reason,
                        const std::map<std::string, std::string>& metadata) {
  if (status.ok() || GetDetail<google::rpc::ErrorInfo>(status).has_value()) return status;
  google::rpc::ErrorInfo info;
  info.set_reason(std::string(reason));
  info.set_domain("tern");
  info.mutable_metadata()->insert(metadata.begin(), metadata.end());
  SetDetail(info, status);
  return status;
}

absl::Status AtField(absl::Status status, absl::string_view field) {
  if (status.ok()) return status;
  auto request = GetDetail<google::rpc::BadRequest>(status).value_or(google::rpc::BadRequest());
  auto* violation = request.add_field_violations();
  const std::string name = BoundedUtf8(field, kMaxFieldBytes);
  const std::string description = BoundedUtf8(status.message(), kMaxMessageBytes);
  violation->set_field(name);
  violation->set_description(description);
  absl::Status at_field = WithMessage(status, absl::StrCat(name, ": ", description));
  SetDetail(request, at_field);
  return at_field;
}

absl::Status InvalidField(absl::string_view field, absl::string_view description,
                          absl::string_view reason) {
  return WithReason(AtField(absl::InvalidArgumentError(description), field), reason);
}

std::string ReasonOf(const absl::Status& status) {
  const auto info = GetDetail<google::rpc::ErrorInfo>(status);
  return info.has_value() ? info->reason() : "";
}

google::rpc::Status ToProto(const absl::Status& status) {
  google::rpc::Status proto;
  proto.set_code(static_cast<int>(status.code()));
  proto.set_message(BoundedUtf8(status.message(), kMaxMessageBytes));
  const absl::Status complete = WithReason(status, absl::StatusCodeToString(status.code()));
  complete.ForEachPayload([&](absl::string_view type_url, const absl::Cord& payload) {
    auto* detail = proto.add_details();
    detail->set_type_url(std::string(type_url));
    detail->set_value(std::string(payload));
  });
  return proto;
}

absl::Status FromProto(const google::rpc::Status& proto) {
  absl::Status status(static_cast<absl::StatusCode>(proto.code()), proto.message());
  for (const auto& detail : proto.details()) {
    status.SetPayload(detail.type_url(), absl::Cord(detail.value()));
  }
  return status;
}

}  // namespace tern
