// Settings of jemalloc, which looks for this name as it begins (its manual, "Tuning").

extern "C" {
extern const char* malloc_conf;
/// What is not needed any more is given back to the kernel by a thread for that, and not in the middle of a query.
const char* malloc_conf = "background_thread:true";
}
