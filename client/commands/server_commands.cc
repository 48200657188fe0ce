#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "checkpoint/status_macros.h"
#include "client/command.h"
#include "client/format_values.h"
#include "client/proto_json.h"
#include "client/service_client.h"
#include "client/text_table.h"
#include "proto/service/version.h"

namespace tern {
namespace {

std::string WorkersTable(const v1::ListWorkersResponse& workers) {
  TextTable table(
      {"ID", "HOST", "DEVICE", "STATE", ">MEMORY", ">RESIDENT", ">SEEN", "VERSION", "WORKING ON"});
  for (const v1::Worker& worker : workers.workers()) {
    const absl::Duration ago = absl::Now() - absl::FromUnixSeconds(worker.last_seen().seconds());
    table.Add({worker.id(), worker.host(), worker.device(), v1::Worker::State_Name(worker.state()),
               BytesText(worker.memory_bytes()), BytesText(worker.resident_bytes()),
               DurationText(ago) + " ago", worker.version(),
               worker.job().empty() ? "" : absl::StrCat(worker.job(), " ", worker.task())});
  }
  return table.Text();
}

absl::StatusOr<ExitCode> ListWorkers(const Arguments& arguments, Console& console) {
  TERN_ASSIGN_OR_RETURN(const std::string server, ServerAddress(arguments));
  TERN_ASSIGN_OR_RETURN(const v1::ListWorkersResponse workers, ServiceClient(server).ListWorkers());
  if (console.json) {
    TERN_ASSIGN_OR_RETURN(const nlohmann::ordered_json json, ProtoToJson(workers));
    console.out << IndentedJson(json);
  } else {
    console.out << WorkersTable(workers);
  }
  return kExitOk;
}

absl::StatusOr<ExitCode> ServerInfo(const Arguments& arguments, Console& console) {
  TERN_ASSIGN_OR_RETURN(const std::string server, ServerAddress(arguments));
  TERN_ASSIGN_OR_RETURN(const v1::ServerInfo info, ServiceClient(server).GetServerInfo());
  if (console.json) {
    TERN_ASSIGN_OR_RETURN(const nlohmann::ordered_json json, ProtoToJson(info));
    console.out << IndentedJson(json);
    return kExitOk;
  }
  const absl::Duration up = absl::Now() - absl::FromUnixSeconds(info.start_time().seconds());
  console.out << "Version        " << info.version() << "\n"
              << "Up for         " << DurationText(up) << "\n"
              << "Methods        " << absl::StrJoin(info.methods(), ", ") << "\n"
              << "Architectures  " << absl::StrJoin(info.architectures(), ", ") << "\n"
              << "Input roots    "
              << (info.input_roots().empty() ? "any path" : absl::StrJoin(info.input_roots(), ", "))
              << "\n";
  return kExitOk;
}

absl::StatusOr<ExitCode> Version(const Arguments& /*arguments*/, Console& console) {
  if (console.json) {
    console.out << IndentedJson({{"version", kVersion}});
  } else {
    console.out << "tern " << kVersion << "\n";
  }
  return kExitOk;
}

}  // namespace

Command WorkersListCommand() {
  return {{.name = "workers list",
           .summary = "Lists the server's workers",
           .options = {ServerOption(), OutputOption()}},
          ListWorkers};
}

Command ServerInfoCommand() {
  return {{.name = "server info",
           .summary = "Shows what the server takes",
           .options = {ServerOption(), OutputOption()}},
          ServerInfo};
}

Command VersionCommand() {
  return {
      {.name = "version", .summary = "Shows the program's version", .options = {OutputOption()}},
      Version};
}

}  // namespace tern
