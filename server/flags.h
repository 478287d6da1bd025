// The server's command line.
#pragma once

#include "absl/status/statusor.h"
#include "server/runtime/options.h"

namespace relais {

// Reads every flag, or the environment variable RELAIS_<FLAG> where the flag was not given. Prints
// help and ends the process for --help and for flags that do not exist. INVALID_ARGUMENT for
// variables that cannot be read and for words that are no flags.
absl::StatusOr<runtime::Options> OptionsFromCommandLine(int argc, char** argv);

}  // namespace relais
