// async.cc - many requests at once from C++: tickets, a completion callback, a deadline, a cancelled request.
//
//     async MODEL SENTENCE...
//
// Prints translations in the order in which they are ready, two hypotheses each.
#include <heddle/heddle.h>

#include <cstdio>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace {

struct ModelClose { void operator()(hdl_model *model) const { hdl_model_close(model); } };
struct TranslatorClose { void operator()(hdl_translator *t) const { hdl_translator_close(t, 1); } };
struct TicketRelease { void operator()(hdl_ticket *ticket) const { hdl_ticket_release(ticket); } };

using Model = std::unique_ptr<hdl_model, ModelClose>;
using Translator = std::unique_ptr<hdl_translator, TranslatorClose>;
using Ticket = std::unique_ptr<hdl_ticket, TicketRelease>;

// What the callback needs to know of a request; it must live until the callback has run.
struct Job {
    std::string source;
    std::mutex *printing;
};

// Runs on the library's delivery thread, one call at a time; the result is ready, so this wait never waits.
void print_result(hdl_ticket *ticket, void *user)
{
    const Job &job = *static_cast<const Job *>(user);
    const hdl_result *result = nullptr;
    if (hdl_ticket_wait(ticket, 0, &result) != HDL_OK) return;

    const std::lock_guard<std::mutex> lock(*job.printing);
    if (result->status != HDL_OK) {
        std::printf("%s\n    %s\n", job.source.c_str(), hdl_status_text(result->status));
        return;
    }
    std::printf("%s\n", job.source.c_str());
    for (size_t i = 0; i < result->n_hypotheses; i++)
        std::printf("    %8.4f  %s\n", static_cast<double>(result->hypotheses[i].score), result->hypotheses[i].text);
}

int fail()
{
    std::fprintf(stderr, "async: %s\n", hdl_error_detail());
    return 1;
}

Ticket submit(hdl_translator *translator, const hdl_search_options &search, Job &job)
{
    constexpr int64_t deadline_us = 60 * 1000 * 1000;

    hdl_request request = HDL_REQUEST_INIT;
    request.text = job.source.c_str();
    request.n_bytes = job.source.size();
    request.search = &search;
    request.deadline_us = deadline_us;
    request.wait = 1;               // rather than HDL_EAGAIN when the queue is full
    request.on_done = print_result;
    request.user = &job;

    hdl_ticket *ticket = nullptr;
    if (hdl_translator_submit(translator, &request, &ticket) != HDL_OK) fail();
    return Ticket(ticket);
}

} // namespace

int main(int argc, char **argv)
{
    if (argc < 3) {
        std::fprintf(stderr, "usage: async MODEL SENTENCE...\n");
        return 2;
    }

    std::mutex printing;
    std::vector<Job> jobs;
    for (int i = 2; i < argc; i++) jobs.push_back({argv[i], &printing});
    Job unwanted{"Nobody waits for this sentence any more.", &printing};
    std::vector<Ticket> tickets;    // released after the translator has closed, so that callbacks find theirs

    hdl_model *loaded = nullptr;
    if (hdl_model_load(argv[1], nullptr, &loaded) != HDL_OK) return fail();
    const Model model(loaded);

    hdl_translator *opened = nullptr;
    if (hdl_translator_open(model.get(), nullptr, &opened) != HDL_OK) return fail();
    const Translator translator(opened);

    hdl_search_options search = HDL_SEARCH_OPTIONS_INIT;
    search.beam = 4;
    search.n_best = 2;

    for (Job &job : jobs) {
        tickets.push_back(submit(translator.get(), search, job));
        if (!tickets.back()) return 1;
    }
    tickets.push_back(submit(translator.get(), search, unwanted));
    if (!tickets.back()) return 1;
    hdl_ticket_cancel(tickets.back().get());    // it may have been faster; both are fine

    for (size_t i = 0; i < jobs.size(); i++) {
        const hdl_result *result = nullptr;
        if (hdl_ticket_wait(tickets[i].get(), -1, &result) != HDL_OK) return fail();
        if (result->status != HDL_OK) return 1;
    }
    return 0;       // closing with drain = 1 lets the last callbacks run before the jobs go
}
