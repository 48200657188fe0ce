#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "checkpoint/status_macros.h"
#include "client/command.h"
#include "client/job_name.h"
#include "client/proto_json.h"
#include "client/report_text.h"
#include "client/service_client.h"

namespace tern {
namespace {

// Jobs of large models have reports of tens of kilobytes.
constexpr int32_t kPageSize = 20;

CommandSyntax Syntax() {
  return {
      .name = "jobs list",
      .summary = "Lists jobs, newest first",
      .options =
          {
              ServerOption(),
              {.name = "filter",
               .placeholder = "EXPRESSION",
               .help = "Terms joined by AND: state = RUNNING, state != FAILED, "
                       "labels.KEY = \"VALUE\", create_time > \"2026-01-31T00:00:00Z\"."},
              {.name = "limit",
               .kind = OptionKind::kCount,
               .placeholder = "N",
               .help = "At most so many. Default: 0, all."},
              {.name = "namespace",
               .placeholder = "NS",
               .help = "The namespace, or - for all. Default: default."},
              OutputOption(),
          },
      .notes = "--output json prints {\"quantization_jobs\": [...]}.\n",
  };
}

absl::StatusOr<ExitCode> List(const Arguments& arguments, Console& console) {
  TERN_ASSIGN_OR_RETURN(const std::string server, ServerAddress(arguments));
  ServiceClient client(server);
  const auto limit = static_cast<size_t>(arguments.Count("limit"));
  v1::ListQuantizationJobsRequest request;
  request.set_parent(NamespaceName(arguments.Text("namespace", "default")));
  request.set_filter(arguments.Text("filter"));
  request.set_page_size(kPageSize);
  std::vector<v1::QuantizationJob> jobs;
  do {
    TERN_ASSIGN_OR_RETURN(v1::ListQuantizationJobsResponse page, client.List(request));
    for (v1::QuantizationJob& job : *page.mutable_quantization_jobs()) {
      jobs.push_back(std::move(job));
    }
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty() && (limit == 0 || jobs.size() < limit));
  if (limit > 0) jobs.resize(std::min(jobs.size(), limit));

  if (!console.json) {
    console.out << JobsTable(jobs);
    return kExitOk;
  }
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const v1::QuantizationJob& job : jobs) {
    TERN_ASSIGN_OR_RETURN(nlohmann::ordered_json json, ProtoToJson(job));
    list.push_back(std::move(json));
  }
  console.out << IndentedJson({{"quantization_jobs", std::move(list)}});
  return kExitOk;
}

}  // namespace

Command JobsListCommand() { return {Syntax(), List}; }

}  // namespace tern
