#include "controller/ctl/exit_code.h"

#include <iostream>

namespace proteus::ctl {

int report(const Error& error) {
  std::cerr << "proteusctl: " << error.message << "\n";
  switch (error.code) {
    case ErrorCode::kInvalidArgument: return kUsage;
    case ErrorCode::kUnavailable: return kUnreachable;
    case ErrorCode::kNotFound: return kNotFound;
    default: return kFailed;
  }
}

}  // namespace proteus::ctl
