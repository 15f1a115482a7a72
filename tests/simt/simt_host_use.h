// simt_host_use.h - host memory that queued copies read or write: what the host must not touch until it has waited.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace simt {

struct HostUse {
    const unsigned char *base;
    std::size_t bytes;
    const void *call_site; // of the copy, as a return address
    std::string what;
    std::vector<unsigned char> then; // an upload: the source as it was at the call; else empty
    bool pinned = false;
    bool rewritten = false; // by queued work, which is allowed
    bool ran = false;
    std::uint32_t stream = 0; // of the copy, once it ran
    std::uint64_t index = 0;
};

// Belongs to the queued copy. When the copy is over, the use goes on until a host thread has waited for it.
class HostUseHolder {
public:
    explicit HostUseHolder(HostUse use);
    ~HostUseHolder();
    HostUseHolder(const HostUseHolder &) = delete;
    HostUseHolder &operator=(const HostUseHolder &) = delete;
    // The copy runs now: a fault when the source is no longer what it was.
    void run();

private:
    std::shared_ptr<HostUse> use_; // listed too, until it is settled or forgotten, which may be before the copy is over
};

// Queued work writes [p, p + bytes).
void note_host_write(const void *p, std::size_t bytes);
// Queued copies will read some of [p, p + bytes).
bool is_read_by_queued_copy(const void *p, std::size_t bytes);
// Pinned memory is given back: a fault when a copy that nobody has waited for uses it.
void check_host_release(const void *p, std::size_t bytes, const void *call_site);
void forget_host_uses();

} // namespace simt
