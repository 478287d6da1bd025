// Server reflection, for tools that know no .proto file: grpc.reflection.v1, which newer clients
// speak, and v1alpha, which older ones do; both have the same messages. gRPC 1.51 has v1alpha only,
// on its synchronous API and for every server of a process.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "server/services/serve.h"

namespace relais::services {

// Answers for the given full names of services, and for every file compiled in. `edge` outlives the
// endpoints.
std::vector<std::unique_ptr<Endpoint>> MakeReflection(const Edge& edge,
                                                      const std::vector<std::string>& services);

}  // namespace relais::services
