#include "client/error_text.h"

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "client/format_values.h"
#include "client/method_options.h"
#include "client/proto_json.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "proto/service/error_details.h"

namespace tern {
namespace {

template <typename Detail>
bool FindDetail(const absl::Status& status, Detail* detail) {
  const google::rpc::Status proto = ToProto(status);
  for (const google::protobuf::Any& any : proto.details()) {
    if (any.Is<Detail>()) return any.UnpackTo(detail);
  }
  return false;
}

// The key of `--set` behind a field of the request; empty when there is none.
std::string SetKeyOf(absl::string_view field) {
  absl::string_view path = field.substr(0, field.find('['));
  return absl::ConsumePrefix(&path, "quantization_job.spec.") ? MethodKeyOf(path) : "";
}

// The flag of `tern submit` behind a field of the request; empty when there is none.
std::string FlagOf(absl::string_view field) {
  static const auto& flags = *new std::map<std::string, std::string>{
      {"parent", "--namespace"},
      {"quantization_job_id", "--job-id"},
      {"request_id", "--request-id"},
      {"quantization_job.labels", "--label"},
      {"quantization_job.spec.model", "MODEL"},
      {"quantization_job.spec.method", "--method"},
      {"quantization_job.spec.shards", "--shards"},
      {"quantization_job.spec.seed", "--seed"},
      {"quantization_job.spec.calibration", "--calibration"},
      {"quantization_job.spec.calibration.files", "--calibration"},
      {"quantization_job.spec.calibration.text_field", "--text-field"},
      {"quantization_job.spec.calibration.samples", "--samples"},
      {"quantization_job.spec.calibration.sequence_length", "--seq-len"},
      {"quantization_job.spec.evaluation", "--eval"},
      {"quantization_job.spec.evaluation.files", "--eval"},
      {"quantization_job.spec.evaluation.text_field", "--text-field"},
      {"quantization_job.spec.evaluation.window_length", "--eval-window"},
      {"quantization_job.spec.evaluation.windows", "--eval-windows"},
  };
  const std::string plain(field.substr(0, field.find('[')));
  if (const auto found = flags.find(plain); found != flags.end()) return found->second;
  const std::string key = SetKeyOf(plain);
  return key.empty() ? "" : absl::StrCat("--set ", key);
}

}  // namespace

std::vector<FieldFault> FieldFaults(const absl::Status& status) {
  google::rpc::BadRequest bad_request;
  std::vector<FieldFault> faults;
  if (!FindDetail(status, &bad_request)) return faults;
  for (const auto& violation : bad_request.field_violations()) {
    faults.push_back({violation.field(), violation.description()});
  }
  return faults;
}

absl::Status WithFieldFaults(const absl::Status& status, const std::vector<FieldFault>& faults) {
  google::rpc::BadRequest bad_request;
  for (const FieldFault& fault : faults) {
    google::rpc::BadRequest::FieldViolation& violation = *bad_request.add_field_violations();
    violation.set_field(fault.field);
    violation.set_description(fault.description);
  }
  google::rpc::Status proto = ToProto(status);
  proto.add_details()->PackFrom(bad_request);
  return FromProto(proto);
}

std::map<std::string, std::string> ErrorMetadata(const absl::Status& status) {
  google::rpc::ErrorInfo info;
  if (!FindDetail(status, &info)) return {};
  return {info.metadata().begin(), info.metadata().end()};
}

std::string ErrorText(const absl::Status& status) {
  std::string message =
      status.message().empty() ? StatusCodeName(status.code()) : std::string(status.message());
  std::string further;
  for (const FieldFault& fault : FieldFaults(status)) {
    const std::string flag = FlagOf(fault.field);
    const std::string& name = flag.empty() ? fault.field : flag;
    const bool is_option = !SetKeyOf(fault.field).empty();
    if (absl::StrContains(message, fault.field)) {
      message = absl::StrReplaceAll(message, {{fault.field, name}});
      if (is_option) message = InSetWords(message);
    } else {
      const std::string text = is_option ? InSetWords(fault.description) : fault.description;
      absl::StrAppend(&further, "  ", Printable(name), ": ", Printable(text), "\n");
    }
  }
  return absl::StrCat("tern: ", Printable(message), "\n", further);
}

std::string ErrorJson(const absl::Status& status, ExitCode exit_code) {
  nlohmann::ordered_json fields = nlohmann::ordered_json::array();
  for (const FieldFault& fault : FieldFaults(status)) {
    fields.push_back({{"field", fault.field}, {"description", fault.description}});
  }
  const nlohmann::ordered_json json = {
      {"error",
       {{"code", StatusCodeName(status.code())},
        {"message", std::string(status.message())},
        {"reason", ReasonOf(status)},
        {"fields", std::move(fields)}}},
      {"exit_code", static_cast<int>(exit_code)},
  };
  return JsonLine(json);
}

}  // namespace tern
