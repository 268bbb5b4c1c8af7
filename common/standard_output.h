#pragma once

namespace proteus {

/// To be called first: where a standard stream is closed, no file or connection that is opened later takes its place;
/// what is written to it fails.
void keep_standard_descriptors();

/// To be called last: writes out what is still held back for standard output. If something could not be written, it
/// says so on standard error. Returns `code`, or 1 then if that is a result, 0 or 4 and above, which nobody has read.
/// Thread: main.
int flushed(int code, const char* program);

}  // namespace proteus
