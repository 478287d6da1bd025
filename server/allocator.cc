// How jemalloc behaves in the server. It reads this variable by its name before main; the
// MALLOC_CONF environment variable goes over it.
//
// Two arenas, so that threads share what they free and memory does not grow with their number; free
// pages go back to the system within seconds, from a thread of jemalloc.
extern "C" const char* malloc_conf;
const char* malloc_conf = "narenas:2,background_thread:true,dirty_decay_ms:2000,muzzy_decay_ms:0";
