#ifndef TERN_CLIENT_COMMANDS_FOLLOWING_H_
#define TERN_CLIENT_COMMANDS_FOLLOWING_H_

#include <string>

#include "absl/status/statusor.h"
#include "client/command.h"
#include "client/download_folder.h"
#include "client/job_follower.h"
#include "client/service_client.h"

namespace tern {

// Follows a job as `options` say and writes its outcome: the report to stdout when it succeeded,
// what went wrong to stderr when not; after Ctrl-C or a timeout how to attach again. With
// --output json one object goes to stdout in every case ({"name", "state", ...}), written on one
// line when `json_lines`, and stderr ends with ErrorJson unless the job succeeded.
absl::StatusOr<ExitCode> FollowToEnd(ServiceClient* client, const FollowOptions& options,
                                     bool json_lines, Console& console);

}  // namespace tern

#endif  // TERN_CLIENT_COMMANDS_FOLLOWING_H_
